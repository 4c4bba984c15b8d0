"""Changes that a cell makes by ways that its text does not show: each appends 1 to `data`."""

# ruff: noqa: E501 - a cell is one string

from __future__ import annotations

from kinds import appends

MINE = """
    import pathlib, sys
    pathlib.Path('{name}.py').write_text('held = None\\ndef add(x): held.append(x)\\n')
    sys.path.insert(0, str(pathlib.Path.cwd()))
    import {name}
    {name}.held = data
"""


CASES = (
    appends("append", "n = 1", "data.append(1)"),
    appends("a function", "def add(): data.append(1)", "add()"),
    appends("global in a function", "def add():\n    global data\n    data = data + [1]", "add()"),
    appends("globals().update", "n = 1", "globals().update(data=[1])"),
    appends("globals() in a function", "def add(): globals()['data'].append(1)", "add()"),
    appends("exec", "n = 1", "exec('data.append(1)')"),
    appends("exec in a function", "def add(): exec('data.append(1)')", "add()"),
    appends("eval of a name that is put together", "n = 1", "eval('da' + 'ta').append(1)"),
    appends("a builtin under another name", "run = exec", "run('data.append(1)')"),
    appends("builtins.exec", "import builtins", "builtins.exec('data.append(1)')"),
    appends("exec in a container", "tools = {'run': exec}", "tools['run']('data.append(1)')"),
    appends("vars", "n = 1", "vars()['data'].append(1)"),
    appends("the shell's namespace", "ip = get_ipython()", "ip.user_ns['data'].append(1)"),
    appends("__main__", "import __main__ as here", "here.data.append(1)"),
    appends("sys.modules", "import sys", "sys.modules['__main__'].data.append(1)"),
    appends("a frame", "import sys", "sys._getframe().f_globals['data'].append(1)"),
    appends("inspect", "import inspect", "inspect.currentframe().f_globals['data'].append(1)"),
    appends("__globals__", "def f(): pass", "f.__globals__['data'].append(1)"),
    appends("gc", "import gc", "[o for o in gc.get_referrers(data) if o is globals()][0]['data'].append(1)"),
    appends("a method", "class Box:\n    def add(self): data.append(1)\nbox = Box()", "box.add()"),
    appends("a class attribute", "class Box:\n    items = data", "Box.items.append(1)"),
    appends(
        "a class attribute through an instance",
        "class Box:\n    items = data\nbox = Box()",
        "box.items.append(1)",
    ),
    appends(
        "a static method",
        "class Box:\n    @staticmethod\n    def add(): data.append(1)\nbox = Box()",
        "box.add()",
    ),
    appends(
        "an inherited method",
        ("class A:\n    def add(self): data.append(1)", "class B(A): pass", "b = B()"),
        "b.add()",
    ),
    appends("a key function", "def key(x): data[:] = [1]; return x", "quick = sorted([2], key=key)"),
    appends(
        "a key function in a dict",
        "tools = {'key': lambda x: data.append(1)}",
        "list(map(tools['key'], [0]));",
    ),
    appends("a lambda in a list", "add = [lambda: data.append(1)]", "add[0]()"),
    appends("a bound method", "add = data.append", "add(1)"),
    appends(
        "a bound method of a notebook class",
        "class B:\n    def add(self): data.append(1)\nadd = B().add",
        "add()",
    ),
    appends("a partial", "import functools\nadd = functools.partial(data.append, 1)", "add()"),
    appends(
        "a partial of a lambda",
        "import functools\nadd = functools.partial(lambda x: data.append(x), 1)",
        "add()",
    ),
    appends(
        "a partialmethod",
        "import functools\nclass B:\n    def add(self, x): data.append(x)\n    one = functools.partialmethod(add, 1)\nb = B()",
        "b.one()",
    ),
    appends(
        "methodcaller", "from operator import methodcaller\nadd = methodcaller('append', 1)", "add(data)"
    ),
    appends(
        "a closure over the list",
        "def outer(x):\n    def inner(): x.append(1)\n    return inner\nadd = outer(data)",
        "add()",
    ),
    appends(
        "a closure that names the list",
        "def outer():\n    def inner(): data.append(1)\n    return inner\nadd = outer()",
        "add()",
    ),
    appends("a chain of functions", ("def a(): b()", "def b(): c()", "def c(): data.append(1)"), "a()"),
    appends(
        "a function that is named by a string",
        "def add(): data.append(1)",
        "quick = getattr(__import__('__main__'), 'ad' + 'd')()",
    ),
    appends(
        "a function in a registry",
        "registry = {}\ndef known(f): registry[f.__name__] = f; return f\n@known\ndef add(): data.append(1)\ndel add",
        "registry['add']()",
    ),
    appends("a default argument", "def add(x, to=data): to.append(x)", "add(1)"),
    appends("a keyword default", "def add(x, *, to=data): to.append(x)", "add(1)"),
    appends("a function's attribute", "def f(): pass\nf.held = data", "f.held.append(1)"),
    appends(
        "a decorator",
        "def adds(f):\n    def inner(): data.append(1); return f()\n    return inner\n@adds\ndef f(): pass",
        "f()",
    ),
    appends(
        "a decorator that wraps",
        "import functools\ndef adds(f):\n    @functools.wraps(f)\n    def inner(): data.append(1); return f()\n    return inner\n@adds\ndef f(): pass",
        "f()",
    ),
    appends(
        "a decorator that is a class",
        "class adds:\n    def __init__(self, f): self.f = f\n    def __call__(self): data.append(1)\n@adds\ndef f(): pass",
        "f()",
    ),
    appends(
        "an lru_cache that is missed",
        "import functools\n@functools.lru_cache\ndef f(x): data.append(x)",
        "f(1)",
    ),
    appends(
        "a cached_property",
        "import functools\nclass B:\n    @functools.cached_property\n    def x(self): data.append(1)\nb = B()",
        "b.x",
    ),
    appends(
        "singledispatch",
        "import functools\n@functools.singledispatch\ndef f(x): pass\n@f.register\ndef _f(x: int): data.append(x)\ndel _f",
        "f(1)",
    ),
    appends("a generator", "def rows():\n    data.append(1)\n    yield 1", "list(rows());"),
    appends(
        "a generator that stands still",
        "def rows():\n    yield 0\n    data.append(1)\n    yield 1\nit = rows(); next(it)",
        "next(it)",
        reported=("it",),
        redo=False,
    ),
    appends(
        "a generator expression",
        "it = (data.append(i) for i in [1])",
        "list(it);",
        reported=("it",),
        redo=False,
    ),
    appends("map", "it = map(data.append, [1])", "list(it);", redo=False),
    appends("an iterator over a list of lists", "it = iter([data])", "next(it).append(1)"),
    appends(
        "contextmanager",
        "import contextlib\n@contextlib.contextmanager\ndef adding():\n    yield\n    data.append(1)",
        "with adding(): pass",
    ),
    appends(
        "an exit stack",
        "import contextlib\nstack = contextlib.ExitStack(); stack.callback(data.append, 1)",
        "stack.close()",
        redo=False,
    ),
    appends("an async function", "async def add(): data.append(1)", "await add()"),
    appends(
        "an async generator",
        "async def rows():\n    data.append(1)\n    yield 1",
        "async for r in rows(): pass",
    ),
    appends(
        "a dataclass field",
        "import dataclasses\n@dataclasses.dataclass\nclass B:\n    items: list\nb = B(data)",
        "b.items.append(1)",
    ),
    appends(
        "a default factory",
        "import collections\nd = collections.defaultdict(lambda: data.append(1))",
        "d['x']",
    ),
    appends(
        "ChainMap", "import collections\nchain = collections.ChainMap({'x': data})", "chain['x'].append(1)"
    ),
    appends("UserList", "import collections\nu = collections.UserList(); u.data = data", "u.append(1)"),
    appends("SimpleNamespace", "import types\nns = types.SimpleNamespace(x=data)", "ns.x.append(1)"),
    appends(
        "mappingproxy", "import types\nproxy = types.MappingProxyType({'x': data})", "proxy['x'].append(1)"
    ),
    appends(
        "a weak reference",
        "class L(list): pass\ndata = L()\nimport weakref\nref = weakref.ref(data)",
        "ref().append(1)",
    ),
    appends(
        "a weak value dict",
        "class L(list): pass\ndata = L()\nimport weakref\nrefs = weakref.WeakValueDictionary(x=data)",
        "refs['x'].append(1)",
    ),
    appends(
        "a context variable",
        "import contextvars\nvar = contextvars.ContextVar('var'); token = var.set(data); del token",
        "var.get().append(1)",
    ),
    appends(
        "a thread's local", "import threading\nlocal = threading.local(); local.x = data", "local.x.append(1)"
    ),
    appends(
        "a queue",
        "import queue\nq = queue.Queue(); q.put(data)",
        "q.get().append(1)",
    ),
    appends("an alias in a tuple", "pair = (data, 1)", "pair[0].append(1)"),
    appends("an alias in a nested dict", "deep = {'a': [{'b': data}]}", "deep['a'][0]['b'].append(1)"),
    appends(
        "an alias in an object array",
        "import numpy as np\nbox = np.array([data, None], dtype=object)",
        "box[0].append(1)",
    ),
    appends(
        "an alias in a frame",
        "import pandas as pd\ndf = pd.DataFrame({'x': [data, None]}, dtype=object)",
        "df.loc[0, 'x'].append(1)",
    ),
    appends(
        "an alias in df.attrs",
        "import pandas as pd\ndf = pd.DataFrame({'x': [1]}); df.attrs['d'] = data",
        "df.attrs['d'].append(1)",
    ),
    appends(
        "apply of a frame",
        "import pandas as pd\ns = pd.Series([1])\ndef add(x): data.append(x)",
        "s.apply(add);",
    ),
    appends("a user's module that holds it", MINE.format(name="mine_a"), "mine_a.held.append(1)", redo=False),
    appends("a user's module that changes it", MINE.format(name="mine_b"), "mine_b.add(1)", redo=False),
    appends(
        "a function of a user's module",
        MINE.format(name="mine_c") + "    from mine_c import add",
        "add(1)",
        redo=False,
    ),
    appends(
        "a user's module under another name",
        MINE.format(name="mine_d") + "    tools = [mine_d]\n    del mine_d",
        "tools[0].add(1)",
        redo=False,
    ),
    appends(
        "a partial of a user's module",
        MINE.format(name="mine_e") + "    import functools\n    go = functools.partial(mine_e.add, 1)",
        "go()",
        redo=False,
    ),
    appends(
        "a function of a user's module in a dict",
        MINE.format(name="mine_f") + "    tools = {'add': mine_f.add}",
        "tools['add'](1)",
        redo=False,
    ),
    appends(
        "a notebook function that imports it",
        MINE.format(name="mine_g")
        + "    def go():\n        import mine_g as m\n        m.add(1)\n    del mine_g",
        "go()",
        redo=False,
    ),
    appends(
        "an instance of a user's class",
        MINE.format(name="mine_h")
        + "    mine_h.B = type('B', (), {'go': lambda self: __import__('mine_h').add(1), '__module__': 'mine_h'})\n    b = mine_h.B()\n    del mine_h",
        "b.go()",
        redo=False,
        reported=("b",),
    ),
    appends(
        "a library's module that holds it", "import json; json.held = data", "json.held.append(1)", redo=False
    ),
    appends(
        "a library's module that calls it",
        "import json\nclass E(json.JSONEncoder):\n    def default(self, o): data.append(1); return 0",
        "quick = json.dumps({1j: 1}.popitem()[0], cls=E)",
    ),
    appends(
        "builtins that hold it",
        "import builtins; builtins.held_by_builtins = data",
        "held_by_builtins.append(1)",
        redo=False,
    ),
    appends("sys that holds it", "import sys; sys.held = data", "sys.held.append(1)", redo=False),
    appends("operator.iadd", "import operator", "operator.iadd(data, [1]);"),
    appends("operator.setitem", "import operator", "operator.setitem(data, slice(0, 0), [1])"),
    appends("setattr of a module", "import sys", "setattr(sys.modules['__main__'], 'data', [1])"),
    appends("a slice as a for target", "n = 1", "for data[:] in [[1]]: pass"),
    appends("a walrus", "n = 1", "[x := data, x.append(1)];"),
    appends("a comprehension", "n = 1", "[d.append(1) for d in [data]];"),
    appends("an unpacking", "n = 1", "data[:], quick = [1], 2"),
    appends("a with target", "import contextlib", "with contextlib.nullcontext([1]) as data[:]: pass"),
    appends("an augmented slice", "n = 1", "data[0:0] += [1]"),
    appends("match", "n = 1", "match [data]:\n    case [found]: found.append(1)"),
    appends("a failing cell", "n = 1", "# raises\ndata.append(1)\n1 / 0"),
    appends("a failing function", "def f():\n    data.append(1)\n    raise KeyError", "# raises\nf()"),
    appends("an except clause", "n = 1", "try: 1 / 0\nexcept ZeroDivisionError as e: data.append(1)"),
    appends("an assert that has effects", "def ok(): data.append(1); return True", "assert ok()"),
    appends(
        "an exception's payload",
        "def f(): raise ValueError(data)",
        "try: f()\nexcept ValueError as e: e.args[0].append(1)",
    ),
)
