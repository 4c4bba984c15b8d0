"""Functions of every kind: they see live globals, hold their state, and run after every restore."""

# ruff: noqa: E501 - a cell is one string

from __future__ import annotations

from typing import Any

from case import Case


def runs(
    name: str, make: str | tuple[str, ...], mutate: str, before: str, after: str, **options: Any
) -> Case:
    """`quick` comes first: the cell after it is looked at by what it names."""
    cells = (make,) if isinstance(make, str) else make
    return Case(name, cells, ("quick = 1", mutate), f"assert {before}", f"assert {after}", **options)


AWAIT = "def run(c):\n    try: c.send(None)\n    except StopIteration as e: return e.value\n"

CASES = (
    runs(
        "live globals",
        ("rate = 2", "def pay(h): return h * rate"),
        "rate = 3",
        "pay(10) == 20 and pay.__globals__ is __import__('__main__').__dict__",
        "pay(10) == 30",
    ),
    runs(
        "a global made later",
        "def f(): return later",
        "later = [1]",
        "'later' not in globals()",
        "f() is later",
    ),
    runs(
        "a helper that is rebound",
        ("def helper(): return 1", "def main(): return helper()\njobs = [main]"),
        "def helper(): return 2",
        "jobs[0]() == 1",
        "jobs[0]() == 2 and jobs[0] is main",
    ),
    runs(
        "a function in a container only",
        "fs = {'f': lambda x: x + k}; k = 1",
        "k = 5",
        "fs['f'](1) == 2",
        "fs['f'](1) == 6",
    ),
    runs(
        "mutual recursion over two cells",
        ("def even(n): return n == 0 or odd(n - 1)", "def odd(n): return n != 0 and even(n - 1)"),
        "def odd(n): return 'other'",
        "even(10) is True and odd(10) is False",
        "even(1) == 'other'",
    ),
    runs(
        "recursion",
        "def fact(n): return 1 if n < 2 else n * fact(n - 1)\nalias = fact",
        "def fact(n): return 0",
        "alias(5) == 120 and alias is fact",
        "alias(5) == 0 and alias is not fact",
    ),
    runs(
        "recursion in a closure",
        "def make():\n    def fact(n): return 1 if n < 2 else n * fact(n - 1)\n    return fact\nf = make()",
        "g = make()",
        "f(5) == 120 and f.__closure__[0].cell_contents is f",
        "g(5) == f(5) and g.__closure__[0].cell_contents is g",
    ),
    runs(
        "defaults that change",
        "def f(x, seen=[]):\n    seen.append(x)\n    return len(seen)",
        "f(1); f(2)",
        "f.__defaults__ == ([],)",
        "f.__defaults__ == ([1, 2],)",
    ),
    runs(
        "keyword defaults that change",
        "def f(*, seen={}):\n    seen['n'] = seen.get('n', 0) + 1",
        "f()",
        "f.__kwdefaults__ == {'seen': {}}",
        "f.__kwdefaults__ == {'seen': {'n': 1}}",
    ),
    runs(
        "attributes",
        "def f():\n    f.calls += 1\n    return f.calls\nf.calls = 0",
        "f()",
        "f.calls == 0",
        "f.calls == 1",
    ),
    runs(
        "the doc, name and annotations",
        "def f(x: int = 1) -> 'str':\n    \"What it does.\"\n",
        "f.__doc__ = 'Other.'; f.__name__ = 'g'; f.__annotations__['x'] = float",
        "f.__doc__ == 'What it does.' and f.__annotations__ == {'x': int, 'return': 'str'}",
        "f.__doc__ == 'Other.' and f.__name__ == 'g' and f.__annotations__['x'] is float",
    ),
    runs(
        "the source",
        "import inspect\ndef f(r):\n    return 3 * r  # close enough",
        "def f(r):\n    return 4 * r  # not so close",
        "'close enough' in inspect.getsource(f)",
        "'not so close' in inspect.getsource(f)",
    ),
    runs(
        "a signature",
        "import inspect\ndef f(a, /, b, *c, d=1, **e): pass",
        "def f(x): pass",
        "str(inspect.signature(f)) == '(a, /, b, *c, d=1, **e)'",
        "str(inspect.signature(f)) == '(x)'",
    ),
    runs(
        "code that is replaced",
        "def f(): return 1\ndef g(): return 2",
        "f.__code__ = g.__code__",
        "f() == 1",
        "f() == 2 and g() == 2",
    ),
    runs("a lambda", "f = lambda x, y=[1]: x + y[0]", "f.__defaults__[0][0] = 5", "f(1) == 2", "f(1) == 6"),
    runs(
        "two lambdas on one line",
        "f, g = (lambda: 'f'), (lambda: 'g')",
        "f, g = g, f",
        "(f(), g()) == ('f', 'g')",
        "(f(), g()) == ('g', 'f')",
    ),
    runs(
        "lambdas of a loop",
        "fs = [lambda i=i: i * k for i in range(3)]; k = 1",
        "k = 10",
        "[f() for f in fs] == [0, 1, 2]",
        "[f() for f in fs] == [0, 10, 20]",
    ),
    runs(
        "lambdas that share a loop's cell",
        "fs = (lambda: [lambda: i for i in range(3)])()",
        "fs.append(len)",
        "[f() for f in fs] == [2, 2, 2]",
        "[f() for f in fs[:3]] == [2, 2, 2]",
    ),
    runs(
        "a decorator that wraps",
        "import functools\ndef logged(f):\n    @functools.wraps(f)\n    def inner(*a):\n        inner.calls += 1\n        return f(*a)\n    inner.calls = 0\n    return inner\n@logged\ndef add(a, b): return a + b",
        "add(1, 2)",
        "add.calls == 0 and add.__name__ == 'add' and add.__wrapped__(1, 2) == 3",
        "add.calls == 1 and add.__wrapped__(1, 1) == 2",
    ),
    runs(
        "a chain of decorators",
        "import functools\ndef times(n):\n    def outer(f):\n        @functools.wraps(f)\n        def inner(x): return n * f(x)\n        return inner\n    return outer\n@times(2)\n@times(3)\ndef f(x): return x + k\nk = 0",
        "k = 1",
        "f(1) == 6",
        "f(1) == 12 and f.__wrapped__.__wrapped__(1) == 2",
    ),
    runs(
        "a decorator that is a class",
        "class Counted:\n    def __init__(self, f): self.f, self.n = f, 0\n    def __call__(self, *a): self.n += 1; return self.f(*a)\n@Counted\ndef f(x): return x",
        "f(1); f(2)",
        "f.n == 0 and type(f) is Counted",
        "f.n == 2 and f.f(3) == 3",
    ),
    runs(
        "a decorator with a registry",
        "registry = {}\ndef known(f): registry[f.__name__] = f; return f\n@known\ndef a(): return 1",
        "@known\ndef b(): return 2",
        "registry == {'a': a}",
        "registry == {'a': a, 'b': b} and registry['b']() == 2",
    ),
    runs(
        "a decorator that is deleted",
        "def twice(f): return lambda x: 2 * f(x)\n@twice\ndef f(x): return x\n",
        "del twice",
        "f(2) == 4",
        "f(2) == 4 and 'twice' not in globals()",
    ),
    runs(
        "a decorated function that is rebound by its decorator",
        "import functools\n@functools.lru_cache(maxsize=None)\ndef fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)",
        "fib(20)",
        "fib.__wrapped__(1) == 1 and fib.cache_info().maxsize is None",
        "fib(30) == 832040",
        redo=False,
    ),
    runs(
        "functools.cache in a class",
        "import functools\nclass B:\n    @functools.cache\n    def f(self): return k\nk = 1; b = B()",
        "k = 2",
        "B.f.__wrapped__(b) == 1",
        "B.f.__wrapped__(b) == 2",
    ),
    runs(
        "cached_property",
        "import functools\nclass B:\n    @functools.cached_property\n    def x(self): return [k]\nk = 1; b = B()",
        "b.x.append(2)",
        "'x' not in vars(b)",
        "vars(b)['x'] == [1, 2]",
    ),
    runs(
        "partial",
        "import functools\ndef f(a, b, c=0): return (a, b, c, k)\nk = 0; p = functools.partial(f, 1, c=3)",
        "k = 5; p.keywords['c'] = 4",
        "p(2) == (1, 2, 3, 0)",
        "p(2) == (1, 2, 4, 5) and p.func is f",
    ),
    runs(
        "partial of partial with attributes",
        "import functools\nadd = functools.partial(functools.partial(int, base=16)); add.note = ['a']",
        "add.note.append('b')",
        "add('ff') == 255 and add.note == ['a']",
        "add('ff') == 255 and add.note == ['a', 'b']",
    ),
    runs(
        "singledispatch",
        "import functools\n@functools.singledispatch\ndef f(x): return 'any'\n@f.register\ndef f_int(x: int): return 'int'",
        "f.register(str, lambda x: 'str')",
        "(f(1), f('a'), f(None)) == ('int', 'any', 'any')",
        "(f(1), f('a'), f(None)) == ('int', 'str', 'any')",
    ),
    runs(
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
    runs(
        "singledispatchmethod",
        "import functools\nclass B:\n    @functools.singledispatchmethod\n    def f(self, x): return 'any'\n    @f.register\n    def _(self, x: int): return 'int'\nb = B()",
        "b.n = 1",
        "(b.f(1), b.f('a')) == ('int', 'any')",
        "(b.f(1), b.f('a')) == ('int', 'any')",
    ),
    runs(
        "total_ordering and cmp_to_key",
        "import functools\n@functools.total_ordering\nclass V:\n    def __init__(self, v): self.v = v\n    def __eq__(self, o): return self.v == o.v\n    def __lt__(self, o): return self.v < o.v\nvs = [V(2), V(1)]; cmp = lambda a, b: b.v - a.v",
        "vs.sort()",
        "vs[0] >= vs[1] and sorted(vs, key=functools.cmp_to_key(cmp))[0].v == 2",
        "vs[0] <= vs[1] and sorted(vs, key=functools.cmp_to_key(cmp))[0].v == 2",
    ),
    runs(
        "a generator function",
        "def numbers(n):\n    yield from range(n * k)\nk = 1",
        "k = 2",
        "list(numbers(2)) == [0, 1]",
        "list(numbers(2)) == [0, 1, 2, 3]",
    ),
    runs(
        "an async function",
        AWAIT + "async def later(x): return x + k\nk = 1",
        "k = 2",
        "run(later(1)) == 2",
        "run(later(1)) == 3",
    ),
    runs(
        "an async generator",
        AWAIT
        + "async def rows(n):\n    for i in range(n): yield i * k\nasync def all_of(): return [r async for r in rows(3)]\nk = 1",
        "k = 2",
        "run(all_of()) == [0, 1, 2]",
        "run(all_of()) == [0, 2, 4]",
    ),
    runs(
        "an async context manager",
        AWAIT
        + "import contextlib\nlog = []\n@contextlib.asynccontextmanager\nasync def ctx():\n    log.append('in')\n    yield log\nasync def use():\n    async with ctx() as l: return len(l)",
        "await use()",
        "log == []",
        "log == ['in']",
    ),
    runs(
        "a context manager",
        "import contextlib\nlog = []\n@contextlib.contextmanager\ndef ctx(x):\n    log.append(x)\n    yield k\n    log.append('out')\nk = 1",
        "with ctx('in') as got: pass",
        "log == []",
        "log == ['in', 'out'] and got == 1",
    ),
    runs(
        "a context manager as a decorator",
        "import contextlib\nlog = []\n@contextlib.contextmanager\ndef ctx():\n    log.append(1)\n    yield\n@ctx()\ndef f(): return 5",
        "f()",
        "log == []",
        "log == [1]",
    ),
    runs(
        "types.coroutine",
        AWAIT
        + "import types\n@types.coroutine\ndef c():\n    return 5\n    yield\nasync def f(): return await c()",
        "n = 1",
        "run(f()) == 5",
        "run(f()) == 5",
    ),
    runs(
        "nonlocal over three levels",
        "def a():\n    n = 0\n    def b():\n        def c():\n            nonlocal n\n            n += 1\n            return n\n        return c\n    return b()\nc = a(); c()",
        "c()",
        "c.__closure__[0].cell_contents == 1",
        "c.__closure__[0].cell_contents == 2",
    ),
    runs(
        "an empty cell",
        "def make():\n    def f(): return late\n    if False: late = 1\n    return f\nf = make(); l = [f]",
        "l.append(1)",
        "l[0] is f and f.__code__.co_freevars == ('late',)",
        "l == [f, 1]",
    ),
    runs(
        "a closure over a class",
        "def make(base):\n    class C(base):\n        def who(self): return (super().who(), k)\n    return C\nclass B:\n    def who(self): return 'B'\nC = make(B); k = 1; c = C()",
        "k = 2; c.x = 1",
        "c.who() == ('B', 1) and type(c) is C",
        "c.who() == ('B', 2) and type(c) is C and c.x == 1",
    ),
    runs(
        "a local function in a list",
        "def make(n): \n    def inner(x): return x * n + k\n    return inner\nfs = [make(i) for i in range(3)]; k = 0",
        "k = 1",
        "[f(2) for f in fs] == [0, 2, 4]",
        "[f(2) for f in fs] == [1, 3, 5]",
    ),
    runs(
        "a function made by exec", "exec('def f(x): return x * k'); k = 2", "k = 3", "f(2) == 4", "f(2) == 6"
    ),
    runs(
        "a function with globals of its own",
        "space = {'k': 2}; exec('def f(x): return x * k', space); f = space['f']",
        "space['k'] = 3",
        "f(2) == 4 and f.__globals__ is space",
        "f(2) == 6 and f.__globals__ is space",
    ),
    runs(
        "a function made by types.FunctionType",
        "import types\ndef f(x): return x + k\nk = 1; g = types.FunctionType(f.__code__, globals(), 'g', (5,))",
        "k = 2",
        "g() == 6 and g.__name__ == 'g'",
        "g() == 7",
    ),
    runs(
        "a function under another name",
        "def f(): return 1\ng = f; del f",
        "g.n = [1]",
        "g() == 1 and 'f' not in globals()",
        "g.n == [1]",
    ),
    runs(
        "a name that is another function's",
        "def f(): return 'first'\ng = f\ndef f(): return 'second'",
        "f, g = g, f",
        "(f(), g()) == ('second', 'first')",
        "(f(), g()) == ('first', 'second')",
    ),
    runs(
        "two functions of the same name in a list",
        "fs = []\nfor word in 'ab':\n    exec(f'def f(): return {word!r}')\n    fs.append(f)",
        "fs.reverse()",
        "[f() for f in fs] == ['a', 'b'] and fs[1] is f",
        "[f() for f in fs] == ['b', 'a'] and fs[0] is f",
    ),
    runs(
        "an imported function with changed attributes",
        "from textwrap import dedent as d\nl = [d]",
        "l.append(d)",
        "l[0] is d and d is __import__('textwrap').dedent",
        "l == [d, d]",
    ),
    runs(
        "builtin methods",
        "up, join, append = 'abc'.upper, '-'.join, [].append",
        "append(1)",
        "up() == 'ABC' and join('ab') == 'a-b' and append.__self__ == []",
        "append.__self__ == [1]",
    ),
    runs(
        "operator objects",
        "import operator as o\nget, name, call = o.itemgetter(1, 0), o.attrgetter('real'), o.methodcaller('upper')",
        "get = o.itemgetter(0)",
        "get('ab') == ('b', 'a') and name(5) == 5 and call('a') == 'A'",
        "get('ab') == 'a'",
    ),
    runs(
        "a stored coroutine's function",
        AWAIT
        + "class Job:\n    async def go(self): return await self.step()\n    async def step(self): return k\nk = 1; job = Job()",
        "k = 2",
        "run(job.go()) == 1",
        "run(job.go()) == 2",
    ),
    runs(
        "yield as an expression",
        "def g():\n    got = yield 1\n    yield got\ndef use(): i = g(); next(i); return i.send(k)\nk = 5",
        "k = 6",
        "use() == 5",
        "use() == 6",
    ),
    runs(
        "type parameters' old form",
        "from typing import TypeVar, Callable\nT = TypeVar('T', bound=int)\ndef f(x: T) -> T: return x",
        "f.n = [1]",
        "f.__annotations__['x'] is T and f(1) == 1",
        "f.n == [1] and f.__annotations__['x'] is T",
    ),
    runs(
        "a bare future import",
        "from __future__ import annotations\ndef f(x: Undefined) -> 'y': return x",
        "f.n = 1",
        "f.__annotations__ == {'x': 'Undefined', 'return': \"'y'\"}",
        "f.n == 1 and f(3) == 3",
    ),
    runs(
        "__builtins__ shadowed for a function",
        "def f(x): return len(x)",
        "len = lambda x: -1",
        "f('ab') == 2",
        "f('ab') == -1",
    ),
    runs(
        "__name__ and __file__",
        "def f(): return __name__",
        "n = 1",
        "f() == '__main__' and f.__module__ == '__main__'",
        "f() == '__main__'",
    ),
    runs(
        "a profiled function",
        "import time, functools\ndef timed(f):\n    times = []\n    @functools.wraps(f)\n    def inner(*a):\n        times.append(1)\n        return f(*a)\n    inner.times = times\n    return inner\n@timed\ndef f(): return 1",
        "f(); f()",
        "f.times == []",
        "f.times == [1, 1] and f.times is f.__closure__[1].cell_contents",
    ),
    runs(
        "a generator's counter",
        "state = {'n': 0}\ndef ticks():\n    while True:\n        state['n'] += 1\n        yield state['n']\nt = ticks(); next(t)",
        "next(t); next(t)",
        "state['n'] == 1",
        "state['n'] == 3",
        reported=("t",),
        redo=False,
    ),
)
