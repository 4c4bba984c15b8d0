"""The notebooks of the benchmarks. A scale of 1 is what the published figures are for."""

from __future__ import annotations

from tests.benchmarks.cases import CASES
from tests.benchmarks.workload import Workload


def frame(scale: float) -> Workload:
    rows = max(2_000, int(2_500_000 * scale))
    return Workload(
        "frame",
        f"{rows * 80 / 1e6:,.0f} MB frame, 500 rows of a column changed",
        "import numpy as np\nimport pandas as pd",
        (
            "rng = np.random.default_rng(0)",
            f"df = pd.DataFrame(rng.random(({rows}, 9)), columns=list('abcdefghi'))",
            f"df['key'] = rng.integers(0, 50, {rows})",
        ),
        tuple(f"df.iloc[{k * 100}:{k * 100 + 500}, {k % 9}] = {k}.5" for k in range(10)),
        {"df": "int(df.to_numpy().view('int64').sum())"},
        touched=("df",),
        changed=(4_000,) * 10,
    )


def array(scale: float) -> Workload:
    size = max(1_000, int(62_500_000 * scale))
    part = size // 100
    return Workload(
        "array",
        f"{size * 8 / 1e6:,.0f} MB array, 1 % changed",
        "import numpy as np",
        (f"a = np.random.default_rng(0).random({size})",),
        tuple(f"a[{7 * k * part}:{(7 * k + 1) * part}] += {k}" for k in range(1, 11)),
        {"a": "int(a.view('int64').sum())"},
        touched=("a",),
        changed=(part * 8,) * 10,
    )


LEAF = """\
class Leaf:
    def __init__(self, number, label):
        self.number = number
        self.weight = number / 7
        self.label = label
"""


def objects(scale: float) -> Workload:
    branches = max(2, int(200 * scale))
    return Workload(
        "objects",
        f"{branches * 1000:,} objects of a notebook class, one changed",
        "",
        (
            LEAF,
            "def branch(b):\n    return [Leaf(i, f'leaf {i % 50}') for i in range(b, b + 1000)]",
            f"tree = [branch(b) for b in range(0, {branches * 1000}, 1000)]",
        ),
        tuple(f"tree[{k * 17 % branches}][{k * 91}].weight = {k}.25" for k in range(1, 11)),
        {"tree": "sum(leaf.weight for branch in tree for leaf in branch)"},
        touched=("Leaf", "tree"),
        changed=(8,) * 10,
    )


def training(scale: float) -> Workload:
    epochs = max(1, int(3 * scale))
    many = "\n".join(f"w{i} = rng.normal(size={50 + i})\nname{i} = 'layer {i}'" for i in range(60))
    return Workload(
        "training",
        "a model in training, 130 small variables",
        "import numpy as np\nfrom sklearn.datasets import load_digits\n"
        "from sklearn.linear_model import SGDClassifier",
        (
            "rng = np.random.default_rng(0)\nX, y = load_digits(return_X_y=True)\n"
            "model = SGDClassifier(random_state=0)\nlosses, best = [], 0.0\n" + many,
        ),
        tuple(
            f"for epoch in range({k * epochs}, {(k + 1) * epochs}):\n"
            f"    model.partial_fit(X, y, classes=np.arange(10))\n"
            f"    losses.append(1 - model.score(X, y))\n"
            f"best = max(1 - min(losses), best)\nw{k} = w{k} * 0.9"
            for k in range(30)
        ),
        {
            "losses": "(len(losses), losses[-1:])",
            "model": "float(model.coef_.sum()) if losses else None",
            "weights": "float(sum(SPACE[f'w{k}'].sum() for k in range(60)))",
        },
        touched=("X", "best", "epoch", "losses", "model", "y", "w0"),
        changed=(10_000,) * 30,
    )


def cells(scale: float) -> Workload:
    count = max(40, int(1_000 * scale))
    return Workload(
        "cells",
        f"`v = i` over {count:,} cells, back to back",
        "",
        ("v = -1",),
        tuple(f"v = {i}" for i in range(count)),
        {"v": "v"},
        touched=("v",),
        settled=False,
    )


SHARING = """\
class Counter:
    def __init__(self):
        self.n = 0
    def bump(self):
        self.n += 1
        return self.n

def box():
    held = [0]
    def get():
        return held[0]
    def put(value):
        held[0] = value
    return get, put

def peek():
    return shared['n']
"""

TIES = """\
shared = {'n': 0}
left, right = [shared], [shared]
counter = Counter()
bump = counter.bump
get, put = box()
base = np.arange(200_000.0)
view = base[100:200]
grid = base[:100].reshape(10, 10).T
ring = [0]
ring.append(ring)
his, hers = ['his'], ['hers']
his.append(hers)
hers.append(his)
rows = [[0] * 3] * 2
keys = shared.keys()
"""


def aliasing(_: float) -> Workload:
    return Workload(
        "aliasing",
        "variables that share objects, changed through one of them",
        "import numpy as np",
        (
            SHARING,
            TIES,
        ),
        tuple(
            f"left[0]['n'] = {k}\nbump()\nput({k})\nview[:] = {k}\ngrid[0, :] = -{k}\nring[1][0] = {k}\n"
            f"his[1].append({k})\nrows[0][0] = {k}\nshared['k{k}'] = {k}"
            for k in range(1, 7)
        ),
        {
            "two lists hold one dict": "left[0] is right[0] is shared, shared['n']",
            "bound method": "bump.__self__ is counter, counter.n",
            "closure cell of two functions": "get.__closure__[0] is put.__closure__[0], get()",
            "array and view": "np.shares_memory(base, view), float(base.sum()), float(view.sum())",
            "reshaped and transposed": "np.shares_memory(base, grid), grid.strides, float(grid[0].sum())",
            "a list in itself": "ring[1] is ring, ring[0]",
            "lists in each other": "his[1] is hers, hers[1] is his, len(hers)",
            "one row twice": "rows[0] is rows[1], rows[1][0]",
            "keys of a dict": "len(keys), len(shared)",
            "class": "type(counter) is Counter",
            "live globals": "peek.__globals__ is SPACE, peek()",
        },
    )


LINES = """\
with open('lines.txt', 'w') as file:
    file.writelines(f'line {i}\\n' for i in range(100))
table = np.arange(100_000)
notes = []
"""


def unpicklables(_: float) -> Workload:
    return Workload(
        "unpicklables",
        "values that pickle refuses, among others that it takes",
        "import itertools, random, socket, sqlite3, threading\nimport numpy as np",
        (
            LINES,
            "reader = open('lines.txt')\nline = reader.readline()",
            "squares = (i * i for i in itertools.count())\nticket = random.random()",
            "guard = threading.Lock()",
            "db = sqlite3.connect('facts.db')\nwith db:\n    db.execute('create table facts (n int)')",
            "pair = socket.socketpair()",
        ),
        tuple(
            f"notes.append({k})\ntable[{k}] = -1\nline = reader.readline()\ns = next(squares)\n"
            "ticket = random.random()\nguard.release() if guard.locked() else guard.acquire()"
            for k in range(1, 7)
        ),
        {
            "list": "notes",
            "array": "int(table.sum())",
            "random number": "ticket",
            "state of `random`": "sum(random.getstate()[1])",
            "line that was read": "line",
            "open file": "reader.closed, reader.tell()",
            "database": "db.execute('select count(*) from facts').fetchone()",
            "lock": "guard.locked()",
            "generator": "squares.gi_frame.f_locals['.0'].__reduce__()",
            "sockets": "len([s.fileno() >= 0 for s in pair])",
        },
    )


def deltas(scale: float) -> Workload:
    rows, leaves = max(1_000, int(1_250_000 * scale)), max(100, int(100_000 * scale))
    parts = {
        "array, 1 % in place": (f"a[1000:{1000 + rows // 10}] += 1", rows // 10 * 8),
        "frame, a column added": ("df['new'] = rng.random(len(df))", rows * 8),
        "frame, a column changed": ("df['c3'] = df['c3'] + 1", rows * 8),
        "frame, a column dropped": ("del df['c5']", 0),
        "list of objects, one inserted near the front": ("items.insert(5, Leaf(-1, 'new'))", 100),
        "the same, objects that share labels": ("tagged.insert(5, Leaf(-1, labels[7]))", 100),
        "each further one of these": ("tagged.insert(5, Leaf(-2, labels[7]))", 100),
    }
    return Workload(
        "deltas",
        "what is stored, beside what changed",
        "import numpy as np\nimport pandas as pd",
        (
            LEAF,
            f"rng = np.random.default_rng(0)\na = rng.random({rows * 10})",
            f"df = pd.DataFrame({{f'c{{i}}': rng.random({rows}) for i in range(10)}})",
            f"items = [Leaf(n, f'leaf {{n % 50}}') for n in range({leaves})]",
            "labels = [f'label {i}' for i in range(5000)]",
            f"tagged = [Leaf(n, labels[n % 5000]) for n in range({leaves})]",
        ),
        tuple(source for source, _ in parts.values()),
        {
            "a": "int(a.view('int64').sum())",
            "df": "list(df), int(df.to_numpy().view('int64').sum())",
            "items": "len(items), sum(leaf.weight for leaf in items)",
            "tagged": "len(tagged), len({id(leaf.label) for leaf in tagged})",
        },
        what="growths",
        labels=tuple(parts),
        changed=tuple(changed for _, changed in parts.values()),
    )


LOOPS = """\
a, acc, s = 3, 0, 'abc'

def reads(n):
    for _ in range(n):
        a

def adds(n):
    b = 3
    for _ in range(n):
        b

def calls(n):
    for _ in range(n):
        len(s)
"""


def loops(scale: float) -> Workload:
    count = max(1_000, int(2_000_000 * scale))
    parts = {
        "loop that reads a global": f"for _ in range({count}):\n    a",
        "loop that writes a global": f"for _ in range({count}):\n    acc = acc + a",
        "function that reads a global": f"reads({count})",
        "function with locals only": f"adds({count})",
        "function that calls a built-in": f"calls({count})",
    }
    return Workload(
        "loops",
        f"the user's own code, {count:,} rounds",
        "",
        (LOOPS,),
        tuple(parts.values()) * 3,
        {"acc": "acc"},
        what="slowdowns",
        labels=tuple(parts) * 3,
    )


WORKLOADS = {
    make.__name__: make
    for make in (frame, array, objects, training, cells, aliasing, unpicklables, deltas, loops)
}


def workload(name: str, scale: float) -> Workload:
    """By name: one of the big notebooks, or one of the small cases."""
    return CASES[name] if name in CASES else WORKLOADS[name](scale)
