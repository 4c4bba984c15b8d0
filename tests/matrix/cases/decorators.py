"""Decorators, partial functions, caches, dispatch, context managers."""

# ruff: noqa: E501 - a cell is one string

from __future__ import annotations

from kinds import step

AWAIT = "def run(c):\n    try: c.send(None)\n    except StopIteration as e: return e.value\n"

CASES = (
    step(
        "a decorator that wraps",
        "import functools\ndef logged(f):\n    @functools.wraps(f)\n    def inner(*a):\n        inner.calls += 1\n        return f(*a)\n    inner.calls = 0\n    return inner\n@logged\ndef add(a, b): return a + b",
        "add(1, 2)",
        "add.calls == 0 and add.__name__ == 'add' and add.__wrapped__(1, 2) == 3",
        "add.calls == 1 and add.__wrapped__(1, 1) == 2",
    ),
    step(
        "a chain of decorators",
        "import functools\ndef times(n):\n    def outer(f):\n        @functools.wraps(f)\n        def inner(x): return n * f(x)\n        return inner\n    return outer\n@times(2)\n@times(3)\ndef f(x): return x + k\nk = 0",
        "k = 1",
        "f(1) == 6",
        "f(1) == 12 and f.__wrapped__.__wrapped__(1) == 2",
    ),
    step(
        "a decorator that is a class",
        "class Counted:\n    def __init__(self, f): self.f, self.n = f, 0\n    def __call__(self, *a): self.n += 1; return self.f(*a)\n@Counted\ndef f(x): return x",
        "f(1); f(2)",
        "f.n == 0 and type(f) is Counted",
        "f.n == 2 and f.f(3) == 3",
    ),
    step(
        "a decorator with a registry",
        "registry = {}\ndef known(f): registry[f.__name__] = f; return f\n@known\ndef a(): return 1",
        "@known\ndef b(): return 2",
        "registry == {'a': a}",
        "registry == {'a': a, 'b': b} and registry['b']() == 2",
    ),
    step(
        "a decorator that is deleted",
        "def twice(f): return lambda x: 2 * f(x)\n@twice\ndef f(x): return x\n",
        "del twice",
        "f(2) == 4",
        "f(2) == 4 and 'twice' not in globals()",
    ),
    step(
        "a decorated function that is rebound by its decorator",
        "import functools\n@functools.lru_cache(maxsize=None)\ndef fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)",
        "fib(20)",
        "fib.__wrapped__(1) == 1 and fib.cache_info().maxsize is None",
        "fib(30) == 832040",
        redo=False,
    ),
    step(
        "functools.cache in a class",
        "import functools\nclass B:\n    @functools.cache\n    def f(self): return k\nk = 1; b = B()",
        "k = 2",
        "B.f.__wrapped__(b) == 1",
        "B.f.__wrapped__(b) == 2",
    ),
    step(
        "cached_property",
        "import functools\nclass B:\n    @functools.cached_property\n    def x(self): return [k]\nk = 1; b = B()",
        "b.x.append(2)",
        "'x' not in vars(b)",
        "vars(b)['x'] == [1, 2]",
    ),
    step(
        "partial",
        "import functools\ndef f(a, b, c=0): return (a, b, c, k)\nk = 0; p = functools.partial(f, 1, c=3)",
        "k = 5; p.keywords['c'] = 4",
        "p(2) == (1, 2, 3, 0)",
        "p(2) == (1, 2, 4, 5) and p.func is f",
    ),
    step(
        "partial of partial with attributes",
        "import functools\nadd = functools.partial(functools.partial(int, base=16)); add.note = ['a']",
        "add.note.append('b')",
        "add('ff') == 255 and add.note == ['a']",
        "add('ff') == 255 and add.note == ['a', 'b']",
    ),
    step(
        "singledispatch",
        "import functools\n@functools.singledispatch\ndef f(x): return 'any'\n@f.register\ndef f_int(x: int): return 'int'",
        "f.register(str, lambda x: 'str')",
        "(f(1), f('a'), f(None)) == ('int', 'any', 'any')",
        "(f(1), f('a'), f(None)) == ('int', 'str', 'any')",
    ),
    step(
        "singledispatch over a notebook class",
        (
            "import functools\nclass A: pass",
            "@functools.singledispatch\ndef f(x): return 'any'\n@f.register(A)\ndef _of_a(x): return 'A'",
            "a = A()",
        ),
        "class B(A): pass\nb = B()",
        "f(a) == 'A' and f(1) == 'any'",
        "f(b) == 'A'",
    ),
    step(
        "singledispatchmethod",
        "import functools\nclass B:\n    @functools.singledispatchmethod\n    def f(self, x): return 'any'\n    @f.register\n    def _(self, x: int): return 'int'\nb = B()",
        "b.n = 1",
        "(b.f(1), b.f('a')) == ('int', 'any')",
        "(b.f(1), b.f('a')) == ('int', 'any')",
    ),
    step(
        "total_ordering and cmp_to_key",
        "import functools\n@functools.total_ordering\nclass V:\n    def __init__(self, v): self.v = v\n    def __eq__(self, o): return self.v == o.v\n    def __lt__(self, o): return self.v < o.v\nvs = [V(2), V(1)]; cmp = lambda a, b: b.v - a.v",
        "vs.sort()",
        "vs[0] >= vs[1] and sorted(vs, key=functools.cmp_to_key(cmp))[0].v == 2",
        "vs[0] <= vs[1] and sorted(vs, key=functools.cmp_to_key(cmp))[0].v == 2",
    ),
    step(
        "an async context manager",
        AWAIT
        + "import contextlib\nlog = []\n@contextlib.asynccontextmanager\nasync def ctx():\n    log.append('in')\n    yield log\nasync def use():\n    async with ctx() as l: return len(l)",
        "await use()",
        "log == []",
        "log == ['in']",
    ),
    step(
        "a context manager",
        "import contextlib\nlog = []\n@contextlib.contextmanager\ndef ctx(x):\n    log.append(x)\n    yield k\n    log.append('out')\nk = 1",
        "with ctx('in') as got: pass",
        "log == []",
        "log == ['in', 'out'] and got == 1",
    ),
    step(
        "a context manager as a decorator",
        "import contextlib\nlog = []\n@contextlib.contextmanager\ndef ctx():\n    log.append(1)\n    yield\n@ctx()\ndef f(): return 5",
        "f()",
        "log == []",
        "log == [1]",
    ),
    step(
        "a profiled function",
        "import time, functools\ndef timed(f):\n    times = []\n    @functools.wraps(f)\n    def inner(*a):\n        times.append(1)\n        return f(*a)\n    inner.times = times\n    return inner\n@timed\ndef f(): return 1",
        "f(); f()",
        "f.times == []",
        "f.times == [1, 1] and f.times is f.__closure__[1].cell_contents",
    ),
)
