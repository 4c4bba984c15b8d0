"""Networks: parameters stay tied, optimizers keep working on them, and training goes on."""

from __future__ import annotations

from dataclasses import replace

from case import Case

TORCH = "import torch; from torch import nn; torch.set_num_threads(1); state = torch.manual_seed(0)"
X = "X = torch.linspace(-1, 1, 24).reshape(12, 2); y = X[:, :1] * 3 - X[:, 1:]"
TRAIN = """
def train(steps):
    for step in range(steps):
        opt.zero_grad()
        loss = nn.functional.mse_loss(net(X), y)
        loss.backward()
        opt.step()
"""
ORACLE = """
    import copy
    twin = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    twin.load_state_dict(start)
    twin_opt = {optimizer}
    for step in range({steps}):
        twin_opt.zero_grad()
        nn.functional.mse_loss(twin(X), y).backward()
        twin_opt.step()
    for name, value in twin.state_dict().items():
        assert torch.equal(value, net.state_dict()[name]), name
    held = {{id(p) for group in opt.param_groups for p in group['params']}}
    assert held == {{id(p) for p in net.parameters()}} and set(map(id, opt.state)) <= held
"""


def trained(optimizer: str) -> Case:
    """A net and its optimizer: after more steps both are where an undisturbed training gets to."""

    def oracle(steps: int) -> str:
        return ORACLE.format(optimizer=optimizer.replace("net", "twin"), steps=steps)

    return Case(
        f"torch.optim: {optimizer.partition('(')[0]} goes on training its model",
        make=(
            TORCH,
            X,
            "net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))",
            "start = {name: value.clone() for name, value in net.state_dict().items()}",
            f"opt = {optimizer}",
            TRAIN,
            "train(2)",
        ),
        mutate=("train(1)", "train(2)"),
        before=oracle(2),
        after=oracle(5),
        keep_id=("start",),
        needs=("torch",),
    )


TORCH_CASES = (
    Case(
        "torch.Tensor, its views and NumPy over it",
        make=(
            TORCH,
            "import numpy as np",
            "a = np.zeros(6)",
            "t = torch.from_numpy(a)",
            "row = t.view(2, 3)[1]",
            "d = t.detach()",
            "other = torch.ones(3)",
        ),
        mutate=("t[0] = 5", "row += 1", "a[1] = 7"),
        before="assert not a.any() and not t.any() and t.data_ptr() == d.data_ptr() == a.ctypes.data",
        after="""
            assert t.tolist() == a.tolist() == d.tolist() == [5, 7, 0, 1, 1, 1] and row.tolist() == [1, 1, 1]
            assert t.data_ptr() == d.data_ptr() == a.ctypes.data and row.data_ptr() == t.data_ptr() + 24
        """,
        keep_id=("other",),
        needs=("torch", "numpy"),
    ),
    Case(
        "torch.Tensor of each kind: transposed, sparse, quantised to bytes, complex, bfloat16",
        make=(
            TORCH,
            "m = torch.arange(6.0).reshape(2, 3)",
            "t = m.t(); e = torch.ones(1).expand(4)",
            "s = torch.sparse_coo_tensor([[0, 1], [1, 0]], [1.0, 2.0], (2, 2)).coalesce()",
            "h = torch.ones(3, dtype=torch.bfloat16); c = torch.zeros(2, dtype=torch.complex64)",
        ),
        mutate=("t[0, 1] = 50", "s.values().mul_(3)", "h[1] = 2; c[0] = 1j"),
        before="""
            assert m[1, 0] == 3 and t.stride() == (1, 3) and e.stride() == (0,)
            assert s.to_dense().tolist() == [[0, 1], [2, 0]] and h.sum() == 3 and not c.any()
        """,
        after="""
            assert m[1, 0] == 50 and t.data_ptr() == m.data_ptr()
            assert s.to_dense().tolist() == [[0, 3], [6, 0]] and h.tolist() == [1, 2, 1] and c[0] == 1j
        """,
        needs=("torch",),
    ),
    Case(
        "torch gradients and what requires them",
        make=(
            TORCH,
            "w = torch.ones(3, requires_grad=True)",
            "loss = (w * torch.tensor([1.0, 2.0, 3.0])).sum(); loss.backward()",
        ),
        mutate=("(w ** 2).sum().backward()", "with torch.no_grad(): w.mul_(10)"),
        before="""
            assert w.grad.tolist() == [1, 2, 3] and w.tolist() == [1, 1, 1] and w.requires_grad
            assert w.is_leaf
        """,
        after="assert w.grad.tolist() == [3, 4, 5] and w.tolist() == [10, 10, 10] and w.requires_grad",
        needs=("torch",),
    ),
    Case(
        "torch.nn.Module of the notebook with tied weights, buffers and hooks",
        make=(
            TORCH,
            """
            class Tied(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.embed = nn.Embedding(5, 3)
                    self.out = nn.Linear(3, 5, bias=False)
                    self.out.weight = self.embed.weight
                    self.register_buffer('count', torch.zeros(1))
                def forward(self, i):
                    self.count += 1
                    return self.out(self.embed(i))
            """,
            "calls = []",
            "def note(module, args, output): calls.append(tuple(output.shape))",
            "net = Tied(); hook = net.register_forward_hook(note); weight = net.out.weight",
        ),
        mutate=(
            "out = net(torch.tensor([1, 2]))",
            "with torch.no_grad(): net.embed.weight[0] = 9",
            "shown = net.eval()",
        ),
        before="""
            assert net.out.weight is net.embed.weight is weight and net.count == 0 and calls == []
            assert net.training
            assert type(net) is Tied and len(list(net.parameters())) == 1
        """,
        after="""
            assert net.out.weight is net.embed.weight is weight and net.count == 1 and calls == [(2, 5)]
            assert weight[0].tolist() == [9, 9, 9] and not net.training and shown is net
        """,
        needs=("torch",),
    ),
    Case(
        "torch.nn.functional on batch norm and dropout modules",
        make=(
            TORCH,
            "net = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.5))",
            "x = torch.arange(8.0).reshape(4, 2)",
        ),
        mutate=("with torch.no_grad(): out = net(x)", "net[1].p = 0.9; net[0].momentum = 0.5"),
        before="""
            assert net[0].running_mean.tolist() == [0, 0] and net[0].num_batches_tracked == 0
            assert net[1].p == 0.5
        """,
        after="""
            assert torch.allclose(net[0].running_mean, torch.tensor([0.3, 0.4]))
            assert net[0].num_batches_tracked == 1
            assert net[1].p == 0.9 and nn.functional.dropout(x, p=net[1].p, training=False).equal(x)
        """,
        needs=("torch",),
    ),
    trained("torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)"),
    trained("torch.optim.Adam(net.parameters(), lr=0.1)"),
    trained(
        "torch.optim.AdamW([{'params': net[0].parameters()}, {'params': net[2].parameters(), 'lr': 0.5}])"
    ),
    trained("torch.optim.RMSprop(net.parameters(), centered=True)"),
    Case(
        "torch.optim.lr_scheduler works on its optimizer",
        make=(
            TORCH,
            "net = nn.Linear(2, 1); opt = torch.optim.SGD(net.parameters(), lr=1.0)",
            "sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda epoch: 0.5 ** epoch)",
        ),
        mutate=("opt.step(); sched.step()", "opt.step(); sched.step()"),
        before="""
            assert sched.optimizer is opt and opt.param_groups[0]['lr'] == 1
            assert opt.param_groups[0]['params'][0] is net.weight
        """,
        after="assert sched.optimizer is opt and opt.param_groups[0]['lr'] == 0.25 and sched.last_epoch == 2",
        needs=("torch",),
    ),
    Case(
        "torch.utils.data with a dataset of the notebook",
        make=(
            TORCH,
            "from torch.utils.data import DataLoader, Dataset, TensorDataset, random_split",
            """
            class Rows(Dataset):
                def __init__(self, rows): self.rows = rows
                def __len__(self): return len(self.rows)
                def __getitem__(self, i): return self.rows[i]
            """,
            "rows = Rows([torch.tensor([float(i)]) for i in range(6)])",
            "gen = torch.Generator().manual_seed(3)",
            "loader = DataLoader(rows, batch_size=2, shuffle=True, generator=gen)",
            "part = torch.utils.data.Subset(rows, [0, 1])",
        ),
        mutate=(
            "rows.rows.append(torch.tensor([100.0]))",
            "seen = torch.cat(list(loader)).flatten().tolist()",
        ),
        before="""
            assert loader.dataset is rows is part.dataset and len(rows) == 6 and gen.initial_seed() == 3
            assert loader.generator is gen
        """,
        after="""
            assert loader.dataset is rows and len(rows) == 7 and sorted(seen) == [0, 1, 2, 3, 4, 5, 100]
            twin = torch.Generator().manual_seed(3)
            again = DataLoader(rows, batch_size=2, shuffle=True, generator=twin)
            expected = torch.cat(list(again)).flatten().tolist()
            assert seen == expected and gen.get_state().equal(twin.get_state())
        """,
        needs=("torch",),
    ),
    Case(
        "torch module whose parameters a list, an optimizer and a state dict share",
        make=(
            TORCH,
            "net = nn.Linear(2, 2)",
            "params = list(net.parameters())",
            "kept = net.state_dict()",
            "ema = [p.detach().clone() for p in params]",
        ),
        mutate=("with torch.no_grad(): net.weight.fill_(3)",),
        before="""
            assert params[0] is net.weight and kept['weight'].data_ptr() == net.weight.data_ptr()
            assert ema[0].equal(net.weight)
        """,
        after="""
            assert params[0] is net.weight and kept['weight'].tolist() == [[3, 3], [3, 3]]
            assert kept['weight'].data_ptr() == net.weight.data_ptr() and not ema[0].equal(net.weight)
        """,
        needs=("torch",),
    ),
    Case(
        "torch random generator of its own",
        make=(
            TORCH,
            "gen = torch.Generator().manual_seed(9)",
            "drawn = torch.rand(2, generator=torch.Generator().manual_seed(9))",
        ),
        mutate=("got = torch.rand(2, generator=gen)",),
        before="assert gen.get_state().equal(torch.Generator().manual_seed(9).get_state())",
        after="""
            assert got.equal(drawn)
            assert not gen.get_state().equal(torch.Generator().manual_seed(9).get_state())
        """,
        needs=("torch",),
    ),
    Case(
        "torch.nn.utils: a pruned module, and a parametrised one, which torch refuses to pickle",
        make=(
            TORCH,
            "from torch.nn.utils import parametrizations, prune",
            "normed = parametrizations.weight_norm(nn.Linear(2, 2, bias=False))",
            "pruned = nn.Linear(2, 2); shown = prune.random_unstructured(pruned, 'weight', amount=2)",
        ),
        mutate=("pruned.weight_mask.fill_(1)", "out = pruned(torch.ones(1, 2)).detach()"),
        before="assert (pruned.weight_mask == 0).sum() == 2 and shown is pruned",
        after="""
            assert pruned.weight_mask.sum() == 4 and out.equal(pruned(torch.ones(1, 2)).detach())
            assert shown is pruned
        """,
        reported=("normed",),
        needs=("torch",),
    ),
)

TORCH_CASES += (
    Case(
        "torch.nn.Module that only predicts",
        make=(
            TORCH,
            """
            net = nn.Sequential(nn.Linear(2, 3), nn.ReLU()).eval()
            opt = torch.optim.Adam(net.parameters())
        """,
        ),
        mutate=(
            "with torch.no_grad(): out = net(torch.ones(1, 2))",
            "n = sum(p.numel() for p in net.parameters())",
        ),
        before="assert not net.training and opt.param_groups[0]['params'][0] is net[0].weight",
        after="assert out.shape == (1, 3) and n == 9",
        unchanged=("net", "opt"),
        needs=("torch",),
    ),
    Case(
        "torch training of a notebook class that holds it all",
        make=(
            TORCH,
            X,
            """
            class Job:
                def __init__(self):
                    self.net = nn.Linear(2, 1)
                    self.opt = torch.optim.SGD(self.net.parameters(), lr=0.1, momentum=0.9)
                    self.losses, self.best = [], None
                def run(self, steps):
                    for step in range(steps):
                        self.opt.zero_grad()
                        loss = nn.functional.mse_loss(self.net(X), y)
                        loss.backward()
                        self.opt.step()
                        self.losses.append(loss.item())
                    self.best = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
            """,
            "job = Job(); net = job.net; history = job.losses; job.run(2)",
        ),
        mutate=("job.run(3)",),
        before="""
            assert job.net is net and job.losses is history and len(history) == 2
            assert job.opt.param_groups[0]['params'][0] is net.weight and net.weight in job.opt.state
            assert torch.equal(job.best['weight'], net.weight)
        """,
        after="""
            assert job.net is net and len(history) == 5 and torch.equal(job.best['weight'], net.weight)
            state = torch.random.get_rng_state()
            torch.manual_seed(0)
            twin = type(job)()
            twin.run(5)
            torch.random.set_rng_state(state)
            assert twin.losses == history and torch.equal(twin.net.weight, net.weight)
        """,
        needs=("torch",),
    ),
    Case(
        "torch.jit.script module: said to be lost, not its weights",
        make=(
            TORCH,
            "net = nn.Linear(2, 1)",
            "import warnings",
            "with warnings.catch_warnings(): warnings.simplefilter('ignore'); fast = torch.jit.script(net)",
        ),
        mutate=("with torch.no_grad(): net.weight.fill_(2)",),
        before="assert not (net.weight == 2).any()",
        after="assert (net.weight == 2).all()",
        reported=("fast",),
        redo=False,
        needs=("torch",),
    ),
)

KERAS = """
    import os
    os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
    os.environ['CUDA_VISIBLE_DEVICES'] = ''
    import keras, numpy as np
    keras.utils.set_random_seed(0)
"""

KERAS_CASES = (
    Case(
        "keras.src.layers.core.dense.Dense",
        make=(KERAS, "layer = keras.layers.Dense(2); layer.build((None, 3))", "kernel = layer.kernel"),
        mutate=("kernel.assign(np.ones((3, 2)))", "layer.trainable = False"),
        before="assert layer.kernel is kernel and layer.trainable and not (np.asarray(kernel) == 1).any()",
        after="""
            assert layer.kernel is kernel and not layer.trainable
            assert np.asarray(layer(np.ones((1, 3)))).tolist() == [[3, 3]]
        """,
        needs=("keras", "tensorflow"),
        seconds=120,
    ),
    Case(
        "keras.src.initializers.initializers.RandomNormal",
        make=(KERAS, "init = keras.initializers.RandomNormal(stddev=0.1, seed=4)"),
        mutate=("init.stddev = 1.0",),
        before="""
            assert init.get_config() == {'mean': 0.0, 'stddev': 0.1, 'seed': 4}
            assert np.abs(np.asarray(init((50,)))).max() < 1
        """,
        after="assert init.stddev == 1 and np.abs(np.asarray(init((50,)))).max() > 1",
        needs=("keras", "tensorflow"),
    ),
    Case(
        "keras.src.initializers.initializers.RandomUniform",
        make=(KERAS, "init = keras.initializers.RandomUniform(0, 1, seed=4)"),
        mutate=("init.maxval = 100",),
        before="assert np.asarray(init((50,))).max() <= 1",
        after="assert np.asarray(init((50,))).max() > 1",
        needs=("keras", "tensorflow"),
    ),
    Case(
        "keras.src.optimizers.adam.Adam",
        make=(KERAS, "v = keras.Variable([1.0, 2.0])", "opt = keras.optimizers.Adam(0.1); opt.build([v])"),
        mutate=("opt.apply([np.array([1.0, -1.0], 'f4')])", "opt.learning_rate = 0.5"),
        before="""
            assert np.asarray(v).tolist() == [1, 2] and int(opt.iterations) == 0
            assert opt._trainable_variables[0] is v
        """,
        after="""
            assert np.allclose(np.asarray(v), [0.9, 2.1]) and int(opt.iterations) == 1
            assert float(opt.learning_rate) == 0.5 and opt._trainable_variables[0] is v
        """,
        needs=("keras", "tensorflow"),
    ),
    Case(
        "keras.src.optimizers.schedules.learning_rate_schedule.ExponentialDecay",
        make=(
            KERAS,
            "s = keras.optimizers.schedules.ExponentialDecay(1.0, 10, 0.5)",
            "opt = keras.optimizers.SGD(s)",
        ),
        mutate=("s.decay_rate = 0.1",),
        before="assert round(float(s(10)), 6) == 0.5 and opt._learning_rate is s",
        after="assert round(float(s(10)), 6) == 0.1 and opt._learning_rate is s",
        needs=("keras", "tensorflow"),
    ),
    Case(
        "tensorflow tensors, variables and a gradient",
        make=(
            KERAS,
            "import tensorflow as tf",
            "c = tf.constant([1.0, 2.0]); v = tf.Variable([1.0, 2.0]); same = v",
            "ragged = tf.ragged.constant([[1], [2, 3]])",
        ),
        mutate=("v.assign_add([1.0, 1.0]); done = True", "c = c * 10"),
        before="""
            assert v.numpy().tolist() == [1, 2] and same is v and c.numpy().tolist() == [1, 2]
            assert ragged.to_list() == [[1], [2, 3]]
        """,
        after="assert v.numpy().tolist() == [2, 3] and same is v and c.numpy().tolist() == [10, 20]",
        needs=("tensorflow", "keras"),
        seconds=120,
    ),
    Case(
        "tensorflow.keras.models, trained on",
        make=(
            KERAS,
            "from tensorflow.keras.models import Sequential",
            "X = np.linspace(-1, 1, 24, dtype='f4').reshape(12, 2); y = X[:, :1]",
            """
                inner = keras.layers.Dense(3, activation='tanh')
                net = Sequential([keras.Input((2,)), inner, keras.layers.Dense(1)])
            """,
            "net.compile('adam', 'mse'); h = net.fit(X, y, epochs=1, verbose=0, shuffle=False)",
            "first = net.predict(X, verbose=0)",
        ),
        mutate=(
            "h = net.fit(X, y, epochs=3, verbose=0, shuffle=False)",
            "second = net.predict(X, verbose=0)",
        ),
        before="""
            assert np.array_equal(net.predict(X, verbose=0), first) and int(net.optimizer.iterations) == 1
        """,
        after="""
            assert np.array_equal(net.predict(X, verbose=0), second) and not np.array_equal(first, second)
            assert int(net.optimizer.iterations) == 4 and len(h.history['loss']) == 3
        """,
        needs=("tensorflow", "keras"),
        seconds=240,
    ),
    Case(
        "tensorflow.keras.optimizers bound to a model",
        make=(
            KERAS,
            "from tensorflow.keras.optimizers import SGD",
            "opt = SGD(0.1, momentum=0.9)",
            """
                net = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer='ones')])
                net.compile(opt, 'mse')
            """,
        ),
        mutate=("h = net.fit(np.ones((4, 1)), np.zeros((4, 1)), epochs=2, verbose=0)",),
        before="""
            assert net.optimizer is opt and int(opt.iterations) == 0
            assert net.get_weights()[0].tolist() == [[1]]
        """,
        after="assert net.optimizer is opt and int(opt.iterations) == 2 and net.get_weights()[0][0, 0] < 1",
        needs=("tensorflow", "keras"),
        seconds=120,
    ),
)

JAX_CASES = (
    Case(
        "jax arrays, keys and jitted functions of the notebook",
        make=(
            "import jax, jax.numpy as jnp",
            "x = jnp.arange(4.0); key = jax.random.key(1); tree = {'w': x, 'b': [x * 2]}",
            "@jax.jit\ndef f(v): return v * 2 + 1",
        ),
        mutate=("x = x.at[1].set(50.0); tree['w'] = x", "key, sub = jax.random.split(key)"),
        before="""
            assert x.tolist() == [0, 1, 2, 3] and tree['w'] is x and f(x).tolist() == [1, 3, 5, 7]
            assert jax.random.key_data(key).tolist() == jax.random.key_data(jax.random.key(1)).tolist()
        """,
        after="""
            assert x[1] == 50 and tree['w'] is x and tree['b'][0].tolist() == [0, 2, 4, 6]
            assert f(x)[1] == 101 and sub.shape == ()
        """,
        needs=("jax",),
    ),
    Case(
        "jax parameters and an optax optimizer, trained on",
        make=(
            "import jax, jax.numpy as jnp, optax",
            "params = {'w': jnp.ones(3)}; opt = optax.adam(0.1); memory = opt.init(params)",
            "grad = jax.grad(lambda p: (p['w'] ** 2).sum())",
            """
            def step():
                global params, memory
                updates, memory = opt.update(grad(params), memory)
                params = optax.apply_updates(params, updates)
            """,
            "step()",
        ),
        mutate=("step(); step()",),
        before="assert memory[0].count == 1 and round(float(params['w'][0]), 4) == 0.9",
        after="assert memory[0].count == 3 and round(float(params['w'][0]), 4) == 0.7016",
        needs=("jax", "optax"),
    ),
    Case(
        "jax and NumPy over one buffer",
        make=(
            "import jax.numpy as jnp, numpy as np",
            "a = np.arange(64.0, dtype='f4')",
            "x = jnp.array(a)",
            "n = np.asarray(x)",
        ),
        mutate=("a[0] = 9",),
        before="assert a[0] == 0 and x[0] == 0 and n[0] == 0 and not n.flags.writeable",
        after="assert a[0] == 9 and x[0] == 0 and n[0] == 0",
        needs=("jax",),
    ),
)

HUB_CASES = (
    Case(
        "transformers model of its own configuration, trained a step",
        make=(
            TORCH,
            "import transformers; transformers.utils.logging.set_verbosity_error()",
            "from transformers import GPT2Config, GPT2LMHeadModel",
            """
                quiet = dict(resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
                config = GPT2Config(vocab_size=20, n_positions=8, n_embd=8, n_layer=1, n_head=2, **quiet)
            """,
            "net = GPT2LMHeadModel(config); opt = torch.optim.SGD(net.parameters(), lr=1.0)",
            "ids = torch.tensor([[1, 2, 3, 4]])",
            "with torch.no_grad(): first = net(ids).logits",
        ),
        mutate=(
            "net(ids, labels=ids).loss.backward(); opt.step()",
            "net.config.note = 'tuned'",
            "with torch.no_grad(): second = net(ids).logits",
        ),
        before="""
            with torch.no_grad():
                assert torch.equal(net(ids).logits, first)
            assert net.lm_head.weight is net.transformer.wte.weight
            assert opt.param_groups[0]['params'][0] is net.lm_head.weight
        """,
        after="""
            with torch.no_grad():
                assert torch.equal(net(ids).logits, second) and not torch.equal(first, second)
            assert net.lm_head.weight is net.transformer.wte.weight and net.config.note == 'tuned'
        """,
        needs=("transformers", "torch"),
        seconds=120,
    ),
    Case(
        "transformers.PreTrainedTokenizerFast over a tokenizer made here (huggingface)",
        make=(
            "from tokenizers import Tokenizer, models, pre_tokenizers",
            "from transformers import PreTrainedTokenizerFast",
            """
                t = Tokenizer(models.WordLevel({'a': 0, 'b': 1, '?': 2}, unk_token='?'))
                t.pre_tokenizer = pre_tokenizers.Whitespace()
            """,
            "tok = PreTrainedTokenizerFast(tokenizer_object=t, unk_token='?')",
        ),
        mutate=("added = tok.add_tokens(['zz'])", "tok.padding_side = 'left'"),
        before="assert tok('a zz')['input_ids'] == [0, 2] and tok.padding_side == 'right' and len(tok) == 3",
        after="assert tok('a zz')['input_ids'] == [0, 3] and tok.padding_side == 'left' and len(tok) == 4",
        needs=("transformers", "tokenizers"),
        seconds=120,
    ),
)

CASES = tuple(replace(case, long=True) for case in (*TORCH_CASES, *KERAS_CASES, *JAX_CASES, *HUB_CASES))
