"""Classes that say themselves how they are pickled, and objects that pickle badly."""

# ruff: noqa: E501 - a cell is one string

from __future__ import annotations

from typing import Any

from case import Case


def hooked(
    name: str, make: str | tuple[str, ...], mutate: str, before: str, after: str, **options: Any
) -> Case:
    """`quick` comes first: the cell after it is looked at by what it names."""
    cells = (make,) if isinstance(make, str) else make
    return Case(name, cells, ("quick = 1", mutate), f"assert {before}", f"assert {after}", **options)


BROKEN = "\nother = [1]; tied = [other]"

SHORT = (("MAX_CAPTURE", "0.2"),)
NAMED = "(result is None or 'bad' not in result.failed or __import__('re').search(r'cell .?\\d', result.failed['bad']))"
"""What fails to load is reported with the cell that made it."""

CASES = (
    hooked(
        "__getstate__ and __setstate__",
        "class A:\n    def __init__(self): self.x, self.cache = 1, [1]\n    def __getstate__(self): return {'x': self.x}\n    def __setstate__(self, s): self.__dict__.update(s, cache=[])\na = A()",
        "a.x = 2",
        "a.x == 1 and type(a) is A",
        "a.x == 2 and isinstance(a.cache, list)",
    ),
    hooked(
        "__getstate__ that is no dict",
        "class A:\n    def __init__(self, x): self.x = x\n    def __getstate__(self): return (self.x, 'v1')\n    def __setstate__(self, s): self.x, version = s\na = A([1])",
        "a.x.append(2)",
        "a.x == [1]",
        "a.x == [1, 2]",
    ),
    hooked(
        "a state that is false",
        "class A:\n    n = 5\n    def __getstate__(self): return {}\n    def __setstate__(self, s): self.called = True\na = A()",
        "A.n = 6",
        "a.n == 5",
        "a.n == 6",
    ),
    hooked(
        "__reduce__",
        "class A:\n    def __init__(self, x): self.x = x\n    def __reduce__(self): return A, (self.x,)\na = A([1]); b = [a]",
        "a.x.append(2)",
        "a.x == [1] and b[0] is a",
        "a.x == [1, 2] and b[0] is a",
    ),
    hooked(
        "__reduce__ with a function of the notebook",
        "def build(x): a = A(); a.x = x; return a\nclass A:\n    def __reduce__(self): return build, (self.x,)\na = build(1)",
        "a.x = 2",
        "a.x == 1",
        "a.x == 2 and type(a) is A",
    ),
    hooked(
        "__reduce__ with a lambda",
        "class A:\n    def __reduce__(self): return (lambda x: build(x)), (self.x,)\ndef build(x): a = A(); a.x = x; return a\na = build(1)",
        "a.x = 2",
        "a.x == 1",
        "a.x == 2",
    ),
    hooked(
        "__reduce__ with state, list and dict items",
        "class A(list):\n    def __reduce__(self): return A, (), {'n': self.n}, iter(self), None\na = A([1, 2]); a.n = 5",
        "a.append(3); a.n = 6",
        "a == [1, 2] and a.n == 5",
        "a == [1, 2, 3] and a.n == 6",
    ),
    hooked(
        "__reduce__ that returns a name",
        "class S:\n    def __reduce__(self): return 'one'\none = S(); box = [one]",
        "box.append(2)",
        "box == [one]",
        "box[0] is one and len(box) == 2",
    ),
    hooked(
        "__reduce_ex__",
        "class A:\n    def __reduce_ex__(self, p): return (A._make, (self.x, p))\n    @staticmethod\n    def _make(x, p): a = A(); a.x, a.p = x, p; return a\na = A(); a.x = 1",
        "a.x = 2",
        "a.x == 1",
        "a.x == 2",
    ),
    hooked(
        "__getnewargs__",
        "class A(tuple):\n    def __new__(cls, a, b): return super().__new__(cls, (a, b))\n    def __getnewargs__(self): return tuple(self)\na = A(1, [2])",
        "a[1].append(3)",
        "a == (1, [2]) and type(a) is A",
        "a == (1, [2, 3])",
    ),
    hooked(
        "__getnewargs_ex__",
        "class A:\n    def __new__(cls, *, x): a = object.__new__(cls); a.made = x; return a\n    def __getnewargs_ex__(self): return (), {'x': self.made}\na = A(x=1)",
        "a.y = 2",
        "a.made == 1",
        "(a.made, a.y) == (1, 2)",
    ),
    hooked(
        "__new__ with an argument and no hook",
        "class A:\n    def __new__(cls, x): a = object.__new__(cls); a.x = x; return a\na = A(1)",
        "a.x = 2",
        "a.x == 1",
        "a.x == 2",
    ),
    hooked(
        "__copy__ and __deepcopy__ that raise",
        "class A:\n    def __copy__(self): raise TypeError\n    def __deepcopy__(self, m): raise TypeError\na = A(); a.x = 1",
        "a.x = 2",
        "a.x == 1",
        "a.x == 2",
    ),
    hooked(
        "copyreg",
        "import copyreg\nclass A:\n    __slots__ = ('x',)\ndef build(x): a = A(); a.x = x; return a\ncopyreg.pickle(A, lambda a: (build, (a.x,)))\na = build(1)",
        "a.x = 2",
        "a.x == 1",
        "a.x == 2",
    ),
    hooked(
        "durable_nb.register",
        "import durable_nb, threading\nclass Pool:\n    def __init__(self, size): self.size, self.lock = size, threading.Thread()\ndurable_nb.register(Pool, lambda p: (Pool, (p.size,)))\np = Pool(1)",
        "p.size = 2",
        "p.size == 1",
        "p.size == 2 and type(p) is Pool",
    ),
    hooked(
        "__slots__ without __getstate__",
        "class A: __slots__ = ('x', 'y')\na = A(); a.x = [1]",
        "a.y = a.x",
        "a.x == [1] and not hasattr(a, 'y')",
        "a.y is a.x",
    ),
    hooked(
        "a reduction that raises",
        "class Bad:\n    def __reduce__(self): raise ValueError('never')\nbad = Bad()" + BROKEN,
        "other.append(2)",
        "tied[0] is other == [1]",
        "tied[0] is other == [1, 2]",
        reported=("bad",),
    ),
    hooked(
        "a reduction that raises, deep inside",
        "class Bad:\n    def __reduce__(self): raise ValueError('never')\nd = {'ok': 1, 'in': [Bad()]}"
        + BROKEN,
        "other.append(2)",
        "tied[0] is other == [1]",
        "tied[0] is other == [1, 2]",
        reported=("d",),
    ),
    hooked(
        "one that cannot be kept, tied to one that can",
        "class Bad:\n    def __reduce__(self): raise ValueError('never')\ndata = [1]; job = {'data': data, 'bad': Bad()}",
        "data.append(2)",
        "data == [1]",
        "data == [1, 2]",
        reported=("job",),
        redo=False,
    ),
    hooked(
        "a reduction that raises SystemExit",
        "class Bad:\n    def __reduce__(self): raise SystemExit(3)\nbad = Bad()" + BROKEN,
        "other.append(2)",
        "other == [1]",
        "tied[0] is other == [1, 2]",
        reported=("bad",),
    ),
    hooked(
        "a reduction that returns nonsense",
        "class Bad:\n    def __reduce__(self): return 5\nbad = Bad()" + BROKEN,
        "other.append(2)",
        "other == [1]",
        "other == [1, 2]",
        reported=("bad",),
    ),
    hooked(
        "a reduction that never ends",
        "class Bad:\n    def __reduce__(self): return (list, ([Bad()],))\nbad = Bad()" + BROKEN,
        "other.append(2)",
        "other == [1]",
        "other == [1, 2]",
        reported=("bad",),
        settings=SHORT,
    ),
    hooked(
        "a reduction that hangs",
        "import time\nclass Bad:\n    def __reduce__(self): time.sleep(3600)\nbad = Bad()" + BROKEN,
        "other.append(2)",
        "other == [1]",
        "tied[0] is other == [1, 2]",
        reported=("bad",),
        settings=SHORT,
    ),
    hooked(
        "a reduction that hangs and catches everything",
        "import time\nclass Bad:\n    def __reduce__(self):\n        while True:\n            try: time.sleep(0.01)\n            except Exception: pass\nbad = Bad()"
        + BROKEN,
        "other.append(2)",
        "other == [1]",
        "tied[0] is other == [1, 2]",
        reported=("bad",),
        settings=SHORT,
    ),
    hooked(
        "a reduction that prints",
        "class Loud:\n    def __reduce__(self): print('pickling!'); return Loud, ()\nloud = Loud()" + BROKEN,
        "other.append(2)",
        "other == [1]",
        "other == [1, 2] and type(loud) is Loud",
    ),
    hooked(
        "a reduction with a side effect on itself",
        "class A:\n    n = 0\n    def __reduce__(self): self.n += 1; return A, ()\na = A()" + BROKEN,
        "other.append(2)",
        "other == [1]",
        "other == [1, 2] and type(a) is A",
    ),
    hooked(
        "a reduction that changes another variable",
        "seen = []\nclass A:\n    def __reduce__(self): seen.append(1); return A, ()\na = A()" + BROKEN,
        "other.append(2)",
        "other == [1]",
        "other == [1, 2] and type(a) is A and set(seen) <= {1}",
    ),
    hooked(
        "a reduction that adds a variable",
        "class A:\n    def __reduce__(self): globals()['late'] = 1; return A, ()\na = A()" + BROKEN,
        "other.append(2)",
        "other == [1]",
        "other == [1, 2] and type(a) is A",
    ),
    hooked(
        "one that does not load",
        "import os\nclass Bad:\n    def __reduce__(self): return load_bad, ()\ndef load_bad(): raise OSError('gone')\nbad = Bad()"
        + BROKEN,
        "other.append(2)",
        "other == [1]",
        "tied[0] is other == [1, 2] and " + NAMED,
        reported=("bad",),
        redo=False,
    ),
    hooked(
        "one whose state does not load",
        "class Bad:\n    def __setstate__(self, s): raise KeyError('old format')\nbad = Bad(); bad.x = 1"
        + BROKEN,
        "other.append(2)",
        "other == [1]",
        "tied[0] is other == [1, 2] and " + NAMED,
        reported=("bad",),
        redo=False,
    ),
    hooked(
        "one that loads as something else",
        "class A:\n    def __reduce__(self): return str, ('not A',)\na = A()" + BROKEN,
        "other.append(2)",
        "other == [1]",
        "other == [1, 2]",
        redo=False,
    ),
    hooked(
        "one that exits when it loads",
        "class Bad:\n    def __reduce__(self): return exit_now, ()\ndef exit_now(): raise SystemExit(5)\nbad = Bad()"
        + BROKEN,
        "other.append(2)",
        "other == [1]",
        "tied[0] is other == [1, 2]",
        reported=("bad",),
        redo=False,
    ),
    hooked(
        "a deep copy that is made anew at each reduction",
        "class A:\n    def __init__(self): self.xs = [1]\n    def __getstate__(self): return {'xs': list(self.xs)}\na = A(); xs = a.xs",
        "xs.append(2)",
        "a.xs == [1]",
        "a.xs == [1, 2]",
        redo=False,
    ),
    hooked(
        "persistent_id-like attributes",
        "class A: pass\na = A(); a.persistent_id = lambda o: None; a.reducer_override = 1; a.dispatch_table = {}",
        "a.x = 1",
        "a.reducer_override == 1",
        "a.x == 1 and a.persistent_id(5) is None",
    ),
    hooked(
        "a class named like a library's",
        "class DataFrame:\n    def __init__(self): self.x = 1\n    __module__ = 'pandas.core.frame'\nd = DataFrame()",
        "d.x = 2",
        "d.x == 1",
        "d.x == 2 and type(d) is DataFrame",
    ),
    hooked(
        "a function that claims another module",
        "def f(): return k\nf.__module__ = 'json'; k = 1",
        "k = 2",
        "f() == 1",
        "f() == 2",
    ),
    hooked(
        "a class that claims another module",
        "class A:\n    __module__ = 'json'\n    def f(self): return k\na = A(); k = 1",
        "k = 2",
        "a.f() == 1 and type(a) is A",
        "a.f() == 2 and type(a) is A",
    ),
    hooked(
        "a function whose __qualname__ lies",
        "def f(): return 1\nf.__qualname__ = 'g'\ndef g(): return 2\nfs = [f, g]",
        "fs.reverse()",
        "[h() for h in fs] == [1, 2] and fs[0] is f",
        "[h() for h in fs] == [2, 1] and fs[1] is f and fs[0] is g",
    ),
    hooked(
        "a class whose __qualname__ lies",
        "class A: n = 1\nclass B: n = 2\nB.__qualname__ = 'A'; b, a = B(), A()",
        "b.x = 1",
        "type(b) is B and type(a) is A and (a.n, b.n) == (1, 2)",
        "type(b) is B and b.n == 2 and a.n == 1",
    ),
)
