"""Changes by code that runs from elsewhere: threads, timers, tasks, hooks, handlers.

Each appends 1 to `data`.
"""

# ruff: noqa: E501 - a cell is one string

from __future__ import annotations

from kinds import appends

WORKER = """
    import threading
    go, done = threading.Event(), threading.Event()
    def work():
        go.wait(30); data.append(1); done.set()
    threading.Thread(target=work, name='of the user', daemon=True).start()
"""

CASES = (
    appends(
        "a thread within the cell",
        "from threading import Thread",
        "t = Thread(target=data.append, args=(1,)); t.start(); t.join(); del t",
    ),
    appends(
        "a thread that outlives its cell",
        "n = 1",
        WORKER,
        "go.set(); done.wait(30);",
        redo=False,
    ),
    appends(
        "a thread that ends between cells",
        "n = 1",
        WORKER,
        "# between\ngo.set(); done.wait(30)\n[t.join(5) for t in threading.enumerate() if t.name == 'of the user']",
        "n = 2",
        redo=False,
    ),
    appends(
        "a timer",
        "import threading",
        "t = threading.Timer(0.001, data.append, (1,)); t.start()",
        "# between\nt.join()",
        "del t",
    ),
    appends(
        "a pool",
        "from concurrent.futures import ThreadPoolExecutor",
        "with ThreadPoolExecutor(1) as pool: pool.submit(data.append, 1)",
        "del pool",
    ),
    appends(
        "a pool that stays",
        "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(1)",
        "pool.submit(data.append, 1).result()",
        redo=False,
        reported=("pool",),
    ),
    appends(
        "a pool's callback",
        "from concurrent.futures import ThreadPoolExecutor",
        "with ThreadPoolExecutor(1) as pool: pool.submit(int).add_done_callback(lambda f: data.append(1))",
        "del pool",
    ),
    appends(
        "map of a pool",
        "from multiprocessing.pool import ThreadPool",
        "with ThreadPool(1) as pool: pool.map(data.append, [1])",
        "del pool",
    ),
    appends(
        "asyncio.gather",
        "import asyncio\nasync def work():\n    await asyncio.sleep(0)\n    data.append(1)",
        "await asyncio.gather(work());",
    ),
    appends(
        "a task", "import asyncio\nasync def work(): data.append(1)", "await asyncio.create_task(work())"
    ),
    appends(
        "a task that outlives its cell",
        "import asyncio\nasync def work():\n    await asyncio.sleep(0.001); data.append(1)",
        "t = asyncio.create_task(work()); del t; await asyncio.sleep(0)",
        "await asyncio.sleep(0.1)",
    ),
    appends(
        "call_soon",
        "import asyncio",
        "asyncio.get_running_loop().call_soon(data.append, 1); await asyncio.sleep(0)",
    ),
    appends("to_thread", "import asyncio", "await asyncio.to_thread(data.append, 1)"),
    appends(
        "asyncio.TaskGroup",
        "import asyncio\nasync def work(): data.append(1)",
        "async with asyncio.TaskGroup() as group: task = group.create_task(work())\ndel group, task",
    ),
    appends(
        "an event of the shell",
        "def once(*_):\n    data.append(1); get_ipython().events.unregister('pre_run_cell', once)",
        "get_ipython().events.register('pre_run_cell', once)",
        "n = 2",
    ),
    appends(
        "an event after a cell",
        "def once(*_):\n    data.append(1); get_ipython().events.unregister('post_run_cell', once)",
        "get_ipython().events.register('post_run_cell', once)",
        "n = 2",
    ),
    appends(
        "an AST transformer",
        "import ast\nclass T(ast.NodeTransformer):\n    def visit(self, node):\n        if not data: data.append(1)\n        return node",
        "get_ipython().ast_transformers.append(T())",
        "n = 2",
        "get_ipython().ast_transformers.pop();",
    ),
    appends(
        "an input transformer",
        "def t(lines):\n    if not data: data.append(1)\n    return lines",
        "get_ipython().input_transformers_post.append(t)",
        "n = 2",
        "get_ipython().input_transformers_post.remove(t)",
    ),
    appends(
        "a formatter",
        "class B: pass\nb = B()\ndef show(o, p, cycle):\n    if not data: data.append(1)\nget_ipython().display_formatter.formatters['text/plain'].for_type(B, show);",
        "b",
        redo=False,
    ),
    appends(
        "a display hook",
        "class B:\n    def _repr_html_(self): data[:] = [1]; return ''\nb = B()",
        "display(b)",
    ),
    appends(
        "a custom magic",
        "from IPython.core.magic import register_line_magic\n@register_line_magic\ndef addone(line): data.append(1)\ndel addone",
        "%addone",
        redo=False,
    ),
    appends(
        "a custom cell magic",
        "from IPython.core.magic import register_cell_magic\n@register_cell_magic\ndef addtwo(line, cell): data.append(1)\ndel addtwo",
        "%%addtwo\npass",
        redo=False,
    ),
    appends(
        "a logging handler",
        "import logging\nclass H(logging.Handler):\n    def emit(self, record): data.append(1)\nlogging.getLogger('mx1').addHandler(H())",
        "logging.getLogger('mx1').warning('x')",
        redo=False,
    ),
    appends(
        "a logging filter that is a function",
        "import logging\nlog = logging.getLogger('mx2'); log.addFilter(lambda r: data.append(1) or False)",
        "log.warning('x')",
        redo=False,
    ),
    appends(
        "showwarning",
        "import warnings\ndef show(*a, **k): data.append(1)\nwas = warnings.showwarning; warnings.showwarning = show",
        "warnings.warn('x')",
        "warnings.showwarning = was",
        redo=False,
    ),
    appends(
        "stdout",
        "import sys, io\nclass Sink(io.StringIO):\n    def write(self, s):\n        if s.strip() == 'x': data.append(1)\n        return len(s)",
        "import contextlib\nwith contextlib.redirect_stdout(Sink()): print('x')",
    ),
    appends(
        "a signal handler",
        "import signal\ndef handle(*_): data.append(1)\nwas = signal.signal(signal.SIGUSR1, handle)",
        "signal.raise_signal(signal.SIGUSR1)",
        redo=False,
    ),
    appends(
        "a finalizer",
        "import weakref\nclass B: pass\nb = B(); fin = weakref.finalize(b, data.append, 1); fin.atexit = False; del fin",
        "del b",
        redo=False,
    ),
    appends(
        "a weak reference's callback",
        "import weakref\nclass B: pass\nb = B(); r = weakref.ref(b, lambda r: data.append(1))",
        "del b",
        redo=False,
    ),
    appends(
        "a trace function",
        "import sys\ndef f(): pass\ndef trace(*_):\n    if not data: data.append(1)",
        "sys.setprofile(trace); f(); sys.setprofile(None)",
    ),
    appends(
        "a monkeypatched library function",
        "import textwrap\nwas = textwrap.indent\ndef indent(*a):\n    data.append(1)\n    return ''\ntextwrap.indent = indent",
        "textwrap.indent('x', ' ');",
        "textwrap.indent = was",
        redo=False,
    ),
    appends(
        "a monkeypatched library class",
        "import fractions\nwas = fractions.Fraction.limit_denominator\nfractions.Fraction.limit_denominator = lambda self, n=1: data.append(1)",
        "fractions.Fraction(1, 3).limit_denominator()",
        "fractions.Fraction.limit_denominator = was",
        redo=False,
    ),
    appends(
        "copyreg",
        "import copyreg, copy\nclass B: pass\ndef red(b): data[:] = [1]; return B, ()\nb = B()",
        "copyreg.pickle(B, red); quick = copy.copy(b); del copyreg.dispatch_table[B]",
    ),
    appends(
        "a numpy error callback",
        "import numpy as np\ndef bad(*_):\n    if not data: data.append(1)\nwas = np.seterrcall(bad)",
        "with np.errstate(divide='call'): quick = np.ones(1) / np.zeros(1)",
        redo=False,
    ),
    appends(
        "np.vectorize",
        "import numpy as np\nadd = np.vectorize(lambda x: data.__setitem__(slice(None), [1]) or 0)",
        "add([5]);",
    ),
    appends(
        "np.frompyfunc",
        "import numpy as np\ndef f(x): data[:] = [1]; return x\nadd = np.frompyfunc(f, 1, 1)",
        "add(np.array([5]));",
        reported=("add",),
        redo=False,
    ),
    appends(
        "groupby.apply",
        "import pandas as pd\ndf = pd.DataFrame({'k': [1], 'v': [1]})\ndef f(g): data[:] = [1]; return 0",
        "df.groupby('k')[['v']].apply(f);",
    ),
    appends(
        "a frame's accessor",
        "import pandas as pd\n@pd.api.extensions.register_dataframe_accessor('mx_acc')\nclass Acc:\n    def __init__(self, df): self.df = df\n    def go(self): data.append(1)\ndf = pd.DataFrame({'k': [1]})\ndel Acc",
        "df.mx_acc.go()",
        redo=False,
    ),
    appends(
        "pipe",
        "import pandas as pd\ndf = pd.DataFrame({'k': [1]})\ntools = [lambda d: data.append(1)]",
        "df.pipe(tools[0])",
    ),
    appends(
        "scipy's callback",
        "from scipy.optimize import minimize\ndef f(x): return float(x @ x)\ndef cb(x): data[:] = [1]",
        "quick = minimize(f, [1.0], callback=cb).success",
        needs=("scipy",),
    ),
    appends("re.sub", "import re\ndef f(m): data.append(1); return ''", "re.sub('a', f, 'a')"),
    appends(
        "functools.reduce",
        "import functools\nfs = {'f': lambda a, b: data.append(b)}",
        "functools.reduce(fs['f'], [0, 1])",
    ),
    appends(
        "a ctypes callback",
        "import ctypes\nkind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)\ndef f(x): data.append(x); return 0",
        "kind(f)(1)",
        reported=("kind",),
        redo=False,
    ),
    appends(
        "sqlite's function",
        "import sqlite3\ndef f(x): data.append(x); return 0",
        "db = sqlite3.connect(':memory:'); db.create_function('f', 1, f); db.execute('select f(1)').fetchone(); db.close(); del db",
    ),
    appends(
        "sqlite's function, made before",
        "import sqlite3\ndb = sqlite3.connect(':memory:'); db.create_function('f', 1, lambda x: data.append(x) or 0)",
        "db.execute('select f(1)').fetchone();",
        redo=False,
    ),
    appends(
        "a list's method as sqlite's function",
        "import sqlite3\ndb = sqlite3.connect(':memory:'); db.create_function('f', 1, data.append)",
        "db.execute('select f(1)').fetchone();",
        redo=False,
    ),
    appends(
        "json's hook",
        "import json\ndef hook(d): data.append(1); return d",
        "json.loads('{}', object_hook=hook);",
    ),
    appends(
        "an XML parser's handler",
        "import xml.parsers.expat as expat\ndef start(*_): data.append(1)",
        "p = expat.ParserCreate(); p.StartElementHandler = start; p.Parse('<a/>', True); del p",
    ),
    appends(
        "unittest.mock's side effect",
        "from unittest.mock import Mock\nm = Mock(side_effect=lambda: data.append(1))",
        "m()",
        reported=("m",),
        redo=False,
    ),
    appends(
        "unittest.mock.patch",
        "from unittest.mock import patch\nimport textwrap\ndef fake(*_): data.append(1)",
        "with patch('textwrap.dedent', fake): textwrap.dedent('x')",
    ),
    appends(
        "atexit",
        "import atexit\ndef bye(): data[:] = [1]\natexit.register(bye)",
        "atexit.unregister(bye); bye()",
    ),
    appends(
        "a traitlet's observer",
        "import traitlets\nclass T(traitlets.HasTraits): x = traitlets.Int()\nt = T(); t.observe(lambda c: data.append(1), 'x')",
        "t.x = 5",
        redo=False,
    ),
    appends(
        "a widget's callback between cells",
        "n = 1",
        "# between\ndata.append(1)",
        "get_ipython().run_cell('pass', silent=True);",
        redo=False,
    ),
)
