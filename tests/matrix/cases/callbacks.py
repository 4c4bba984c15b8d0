"""Changes by code that runs from elsewhere: threads, timers, tasks, hooks, handlers.

Each appends 1 to `data`.
"""

# ruff: noqa: E501 - a cell is one string

from __future__ import annotations

from typing import Any

from case import Case


def seen(name: str, make: str | tuple[str, ...], *mutate: str, **options: Any) -> Case:
    """`quick` comes first: the cell after it is looked at by what it names."""
    cells = (make,) if isinstance(make, str) else make
    return Case(
        name,
        make=("data = []", *cells),
        mutate=("quick = 1", *mutate),
        before="assert data == []",
        after="assert data == [1]",
        **options,
    )


WORKER = """
    import threading
    go, done = threading.Event(), threading.Event()
    def work():
        go.wait(30); data.append(1); done.set()
    threading.Thread(target=work, name='of the user', daemon=True).start()
"""

CASES = (
    seen(
        "a thread within the cell",
        "from threading import Thread",
        "t = Thread(target=data.append, args=(1,)); t.start(); t.join(); del t",
    ),
    seen(
        "a thread that outlives its cell",
        "n = 1",
        WORKER,
        "go.set(); done.wait(30);",
        redo=False,
    ),
    seen(
        "a thread that ends between cells",
        "n = 1",
        WORKER,
        "# between\ngo.set(); done.wait(30)\n[t.join(5) for t in threading.enumerate() if t.name == 'of the user']",
        "n = 2",
        redo=False,
    ),
    seen(
        "a timer",
        "import threading",
        "t = threading.Timer(0.001, data.append, (1,)); t.start()",
        "# between\nt.join()",
        "del t",
    ),
    seen(
        "a pool",
        "from concurrent.futures import ThreadPoolExecutor",
        "with ThreadPoolExecutor(1) as pool: pool.submit(data.append, 1)",
        "del pool",
    ),
    seen(
        "a pool that stays",
        "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(1)",
        "pool.submit(data.append, 1).result()",
        redo=False,
        reported=("pool",),
    ),
    seen(
        "a pool's callback",
        "from concurrent.futures import ThreadPoolExecutor",
        "with ThreadPoolExecutor(1) as pool: pool.submit(int).add_done_callback(lambda f: data.append(1))",
        "del pool",
    ),
    seen(
        "map of a pool",
        "from multiprocessing.pool import ThreadPool",
        "with ThreadPool(1) as pool: pool.map(data.append, [1])",
        "del pool",
    ),
    seen(
        "asyncio.gather",
        "import asyncio\nasync def work():\n    await asyncio.sleep(0)\n    data.append(1)",
        "await asyncio.gather(work());",
    ),
    seen("a task", "import asyncio\nasync def work(): data.append(1)", "await asyncio.create_task(work())"),
    seen(
        "a task that outlives its cell",
        "import asyncio\nasync def work():\n    await asyncio.sleep(0.001); data.append(1)",
        "t = asyncio.create_task(work()); del t; await asyncio.sleep(0)",
        "await asyncio.sleep(0.1)",
    ),
    seen(
        "call_soon",
        "import asyncio",
        "asyncio.get_running_loop().call_soon(data.append, 1); await asyncio.sleep(0)",
    ),
    seen("to_thread", "import asyncio", "await asyncio.to_thread(data.append, 1)"),
    seen(
        "asyncio.TaskGroup",
        "import asyncio\nasync def work(): data.append(1)",
        "async with asyncio.TaskGroup() as group: task = group.create_task(work())\ndel group, task",
    ),
    seen(
        "an event of the shell",
        "def once(*_):\n    data.append(1); get_ipython().events.unregister('pre_run_cell', once)",
        "get_ipython().events.register('pre_run_cell', once)",
        "n = 2",
    ),
    seen(
        "an event after a cell",
        "def once(*_):\n    data.append(1); get_ipython().events.unregister('post_run_cell', once)",
        "get_ipython().events.register('post_run_cell', once)",
        "n = 2",
    ),
    seen(
        "an AST transformer",
        "import ast\nclass T(ast.NodeTransformer):\n    def visit(self, node):\n        if not data: data.append(1)\n        return node",
        "get_ipython().ast_transformers.append(T())",
        "n = 2",
        "get_ipython().ast_transformers.pop();",
    ),
    seen(
        "an input transformer",
        "def t(lines):\n    if not data: data.append(1)\n    return lines",
        "get_ipython().input_transformers_post.append(t)",
        "n = 2",
        "get_ipython().input_transformers_post.remove(t)",
    ),
    seen(
        "a formatter",
        "class B: pass\nb = B()\ndef show(o, p, cycle):\n    if not data: data.append(1)\nget_ipython().display_formatter.formatters['text/plain'].for_type(B, show);",
        "b",
        redo=False,
    ),
    seen(
        "a display hook",
        "class B:\n    def _repr_html_(self): data[:] = [1]; return ''\nb = B()",
        "display(b)",
    ),
    seen(
        "a custom magic",
        "from IPython.core.magic import register_line_magic\n@register_line_magic\ndef addone(line): data.append(1)\ndel addone",
        "%addone",
        redo=False,
    ),
    seen(
        "a custom cell magic",
        "from IPython.core.magic import register_cell_magic\n@register_cell_magic\ndef addtwo(line, cell): data.append(1)\ndel addtwo",
        "%%addtwo\npass",
        redo=False,
    ),
    seen(
        "a logging handler",
        "import logging\nclass H(logging.Handler):\n    def emit(self, record): data.append(1)\nlogging.getLogger('mx1').addHandler(H())",
        "logging.getLogger('mx1').warning('x')",
        redo=False,
    ),
    seen(
        "a logging filter that is a function",
        "import logging\nlog = logging.getLogger('mx2'); log.addFilter(lambda r: data.append(1) or False)",
        "log.warning('x')",
        redo=False,
    ),
    seen(
        "showwarning",
        "import warnings\ndef show(*a, **k): data.append(1)\nwas = warnings.showwarning; warnings.showwarning = show",
        "warnings.warn('x')",
        "warnings.showwarning = was",
        redo=False,
    ),
    seen(
        "stdout",
        "import sys, io\nclass Sink(io.StringIO):\n    def write(self, s):\n        if s.strip() == 'x': data.append(1)\n        return len(s)",
        "import contextlib\nwith contextlib.redirect_stdout(Sink()): print('x')",
    ),
    seen(
        "a signal handler",
        "import signal\ndef handle(*_): data.append(1)\nwas = signal.signal(signal.SIGUSR1, handle)",
        "signal.raise_signal(signal.SIGUSR1)",
        redo=False,
    ),
    seen(
        "a finalizer",
        "import weakref\nclass B: pass\nb = B(); fin = weakref.finalize(b, data.append, 1); fin.atexit = False; del fin",
        "del b",
        redo=False,
    ),
    seen(
        "a weak reference's callback",
        "import weakref\nclass B: pass\nb = B(); r = weakref.ref(b, lambda r: data.append(1))",
        "del b",
        redo=False,
    ),
    seen(
        "a trace function",
        "import sys\ndef f(): pass\ndef trace(*_):\n    if not data: data.append(1)",
        "sys.setprofile(trace); f(); sys.setprofile(None)",
    ),
    seen(
        "a monkeypatched library function",
        "import textwrap\nwas = textwrap.indent\ndef indent(*a):\n    data.append(1)\n    return ''\ntextwrap.indent = indent",
        "textwrap.indent('x', ' ');",
        "textwrap.indent = was",
        redo=False,
    ),
    seen(
        "a monkeypatched library class",
        "import fractions\nwas = fractions.Fraction.limit_denominator\nfractions.Fraction.limit_denominator = lambda self, n=1: data.append(1)",
        "fractions.Fraction(1, 3).limit_denominator()",
        "fractions.Fraction.limit_denominator = was",
        redo=False,
    ),
    seen(
        "copyreg",
        "import copyreg, copy\nclass B: pass\ndef red(b): data[:] = [1]; return B, ()\nb = B()",
        "copyreg.pickle(B, red); quick = copy.copy(b); del copyreg.dispatch_table[B]",
    ),
    seen(
        "a numpy error callback",
        "import numpy as np\ndef bad(*_):\n    if not data: data.append(1)\nwas = np.seterrcall(bad)",
        "with np.errstate(divide='call'): quick = np.ones(1) / np.zeros(1)",
        redo=False,
    ),
    seen(
        "np.vectorize",
        "import numpy as np\nadd = np.vectorize(lambda x: data.__setitem__(slice(None), [1]) or 0)",
        "add([5]);",
    ),
    seen(
        "np.frompyfunc",
        "import numpy as np\ndef f(x): data[:] = [1]; return x\nadd = np.frompyfunc(f, 1, 1)",
        "add(np.array([5]));",
        reported=("add",),
        redo=False,
    ),
    seen(
        "groupby.apply",
        "import pandas as pd\ndf = pd.DataFrame({'k': [1], 'v': [1]})\ndef f(g): data[:] = [1]; return 0",
        "df.groupby('k')[['v']].apply(f);",
    ),
    seen(
        "a frame's accessor",
        "import pandas as pd\n@pd.api.extensions.register_dataframe_accessor('mx_acc')\nclass Acc:\n    def __init__(self, df): self.df = df\n    def go(self): data.append(1)\ndf = pd.DataFrame({'k': [1]})\ndel Acc",
        "df.mx_acc.go()",
        redo=False,
    ),
    seen(
        "pipe",
        "import pandas as pd\ndf = pd.DataFrame({'k': [1]})\ntools = [lambda d: data.append(1)]",
        "df.pipe(tools[0])",
    ),
    seen(
        "scipy's callback",
        "from scipy.optimize import minimize\ndef f(x): return float(x @ x)\ndef cb(x): data[:] = [1]",
        "quick = minimize(f, [1.0], callback=cb).success",
        needs=("scipy",),
    ),
    seen("re.sub", "import re\ndef f(m): data.append(1); return ''", "re.sub('a', f, 'a')"),
    seen(
        "functools.reduce",
        "import functools\nfs = {'f': lambda a, b: data.append(b)}",
        "functools.reduce(fs['f'], [0, 1])",
    ),
    seen(
        "a ctypes callback",
        "import ctypes\nkind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)\ndef f(x): data.append(x); return 0",
        "kind(f)(1)",
        reported=("kind",),
        redo=False,
    ),
    seen(
        "sqlite's function",
        "import sqlite3\ndef f(x): data.append(x); return 0",
        "db = sqlite3.connect(':memory:'); db.create_function('f', 1, f); db.execute('select f(1)').fetchone(); db.close(); del db",
    ),
    seen(
        "sqlite's function, made before",
        "import sqlite3\ndb = sqlite3.connect(':memory:'); db.create_function('f', 1, lambda x: data.append(x) or 0)",
        "db.execute('select f(1)').fetchone();",
        redo=False,
    ),
    seen(
        "json's hook",
        "import json\ndef hook(d): data.append(1); return d",
        "json.loads('{}', object_hook=hook);",
    ),
    seen(
        "an XML parser's handler",
        "import xml.parsers.expat as expat\ndef start(*_): data.append(1)",
        "p = expat.ParserCreate(); p.StartElementHandler = start; p.Parse('<a/>', True); del p",
    ),
    seen(
        "unittest.mock's side effect",
        "from unittest.mock import Mock\nm = Mock(side_effect=lambda: data.append(1))",
        "m()",
        reported=("m",),
        redo=False,
    ),
    seen(
        "unittest.mock.patch",
        "from unittest.mock import patch\nimport textwrap\ndef fake(*_): data.append(1)",
        "with patch('textwrap.dedent', fake): textwrap.dedent('x')",
    ),
    seen(
        "atexit",
        "import atexit\ndef bye(): data[:] = [1]\natexit.register(bye)",
        "atexit.unregister(bye); bye()",
    ),
    seen(
        "a traitlet's observer",
        "import traitlets\nclass T(traitlets.HasTraits): x = traitlets.Int()\nt = T(); t.observe(lambda c: data.append(1), 'x')",
        "t.x = 5",
        redo=False,
    ),
    seen(
        "a widget's callback between cells",
        "n = 1",
        "# between\ndata.append(1)",
        "get_ipython().run_cell('pass', silent=True);",
        redo=False,
    ),
)
