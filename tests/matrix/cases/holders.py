"""What holds another object without being a container: methods, closures, views, iterators, weak references."""

# ruff: noqa: E501 - a cell is one string

from __future__ import annotations

from typing import Any

from case import Case
from kinds import QUICK


def tied(
    name: str, make: str | tuple[str, ...], cell: str, holds: str, before: str, after: str, **options: Any
) -> Case:
    """`holds` is how things are tied, all the time."""
    cells = (make,) if isinstance(make, str) else make
    return Case(
        name,
        cells,
        (QUICK, cell),
        f"assert {holds}\nassert {before}",
        f"assert {holds}\nassert {after}",
        **options,
    )


CASES = (
    tied(
        "a bound method",
        "class B:\n    n = 0\n    def up(self): self.n += 1\nb = B(); up = b.up",
        "up()",
        "up.__self__ is b",
        "b.n == 0",
        "b.n == 1",
    ),
    tied(
        "a bound method of a list",
        "l = []; add = l.append",
        "add(1)",
        "add.__self__ is l",
        "l == []",
        "l == [1]",
    ),
    tied(
        "a bound method of a deque",
        "from collections import deque\nq = deque(maxlen=2); add = q.append",
        "add(1); add(2); add(3)",
        "add.__self__ is q and q.maxlen == 2",
        "not q",
        "list(q) == [2, 3]",
    ),
    tied(
        "a bound method of a dict in a list",
        "d = {}; gets = [d.get, d.setdefault]",
        "gets[1]('k', 5)",
        "gets[0].__self__ is d",
        "gets[0]('k') is None",
        "gets[0]('k') == 5",
    ),
    tied(
        "a class method bound to a class",
        "class B:\n    n = 0\n    @classmethod\n    def up(cls): cls.n += 1\nup = B.up",
        "up()",
        "up.__self__ is B",
        "B.n == 0",
        "B.n == 1",
    ),
    tied(
        "cells of two functions",
        "def make():\n    n = [0]\n    def up(): n[0] += 1\n    def now(): return n[0]\n    return up, now\nup, now = make()",
        "up()",
        "up.__closure__[0].cell_contents is now.__closure__[0].cell_contents",
        "now() == 0",
        "now() == 1",
    ),
    tied(
        "a nonlocal number of two functions",
        "def make():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n    def now(): return n\n    return up, now\nup, now = make()",
        "up()",
        "up.__closure__[0] is now.__closure__[0]",
        "now() == 0",
        "now() == 1",
    ),
    tied(
        "a nonlocal number of three, one in a list",
        "def make():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n    def now(): return n\n    return up, now, [lambda: n]\nup, now, box = make()",
        "up()",
        "now() == box[0]()",
        "now() == 0",
        "now() == 1",
    ),
    tied(
        "two counters of one maker",
        "def make():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n        return n\n    return up\na, b = make(), make(); a(); b(); b()",
        "a()",
        "a.__code__ is b.__code__ or a.__code__ == b.__code__",
        "a.__closure__[0].cell_contents == 1",
        "(a.__closure__[0].cell_contents, b.__closure__[0].cell_contents) == (2, 2)",
    ),
    tied(
        "a default that two functions share",
        "shared = []\ndef f(x=shared): return x\ndef g(x=shared): return x",
        "f().append(1)",
        "f() is g() is shared",
        "shared == []",
        "g() == [1]",
    ),
    tied(
        "partials over one object",
        "import functools\nl = []; a = functools.partial(l.append); b = functools.partial(l.extend)",
        "a(1); b([2])",
        "a.func.__self__ is l",
        "l == []",
        "l == [1, 2]",
    ),
    tied(
        "a dict's views",
        "d = {'a': 1}; k, v, i = d.keys(), d.values(), d.items()",
        "d['b'] = 2",
        "type(k) is type({}.keys()) and k.mapping == d",
        "list(v) == [1]",
        "list(k) == ['a', 'b'] and list(v) == [1, 2] and ('b', 2) in i",
    ),
    tied(
        "a mapping proxy",
        "import types\nd = {}; p = types.MappingProxyType(d)",
        "d['k'] = 1",
        "type(p) is types.MappingProxyType",
        "not p",
        "p['k'] == 1",
    ),
    tied(
        "ChainMap",
        "from collections import ChainMap\nlow, high = {'a': 1}, {}; c = ChainMap(high, low)",
        "c['b'] = 2; low['c'] = 3",
        "c.maps[0] is high and c.maps[1] is low",
        "dict(c) == {'a': 1}",
        "high == {'b': 2} and c['c'] == 3",
    ),
    tied(
        "a weak reference",
        "class N: pass\nimport weakref\nn = N(); r = weakref.ref(n)",
        "r().x = 1",
        "r() is n",
        "not vars(n)",
        "n.x == 1",
    ),
    tied(
        "a dead weak reference",
        "class N: pass\nimport weakref\nr = weakref.ref(N()); l = []",
        "l.append(1)",
        "r() is None",
        "not l",
        "l",
    ),
    tied(
        "WeakValueDictionary",
        "class N: pass\nimport weakref\nn = N(); d = weakref.WeakValueDictionary({'n': n})",
        "m = N(); d['m'] = m",
        "d['n'] is n",
        "len(d) == 1",
        "d['m'] is m",
    ),
    tied(
        "WeakKeyDictionary",
        "class N: pass\nimport weakref\nn = N(); d = weakref.WeakKeyDictionary({n: [1]})",
        "d[n].append(2)",
        "next(iter(d)) is n",
        "d[n] == [1]",
        "d[n] == [1, 2]",
    ),
    tied(
        "WeakSet",
        "class N: pass\nimport weakref\nn = N(); s = weakref.WeakSet([n])",
        "m = N(); s.add(m)",
        "n in s",
        "len(s) == 1",
        "m in s and len(s) == 2",
    ),
    tied(
        "a weak proxy",
        "class N: pass\nimport weakref\nn = N(); p = weakref.proxy(n)",
        "p.x = 1",
        "isinstance(p, weakref.ProxyType)",
        "not vars(n)",
        "n.x == p.x == 1",
    ),
    tied(
        "a list's iterator, half way",
        "l = [1, 2, 3]; it = iter(l); next(it)",
        "l.append(4); next(it)",
        "it.__reduce__()[1][0] is l",
        "it.__length_hint__() == 2",
        "it.__length_hint__() == 2 and it.__reduce__()[2] == 2",
    ),
    tied(
        "a dict's iterator, half way",
        "import copy\nd = {'a': 1, 'b': 2, 'c': 3}; it = iter(d); next(it)",
        "next(it)",
        "len(d) == 3",
        "it.__length_hint__() == 2",
        "it.__length_hint__() == 1",
    ),
    tied(
        "enumerate, half way",
        "l = ['a', 'b', 'c']; it = enumerate(l); next(it)",
        "next(it)",
        "it.__reduce__()[1][0].__reduce__()[1][0] is l",
        "it.__reduce__()[1][1] == 1",
        "it.__reduce__()[1][1] == 2",
    ),
    tied(
        "zip of iterators, half way",
        "a, b = iter('abc'), iter('xyz'); z = zip(a, b); next(z)",
        "next(z)",
        "z.__reduce__()[1][0] is a",
        "a.__length_hint__() == 2",
        "a.__length_hint__() == 1 == b.__length_hint__()",
    ),
    tied(
        "a range's iterator",
        "it = iter(range(5)); l = [it]",
        "next(it)",
        "l[0] is it",
        "it.__length_hint__() == 5",
        "it.__length_hint__() == 4",
    ),
    tied(
        "count",
        "import itertools, copy\nc = itertools.count(3); l = [c]",
        "next(c)",
        "l[0] is c",
        "repr(c) == 'count(3)'",
        "repr(c) == 'count(4)'",
    ),
    tied(
        "a reversed list",
        "l = [1, 2, 3]; r = reversed(l)",
        "next(r)",
        "len(l) == 3",
        "r.__length_hint__() == 3",
        "r.__length_hint__() == 2",
    ),
    tied(
        "StringIO and its reader",
        "import io, csv\nf = io.StringIO('a,b\\n1,2\\n'); box = [f]",
        "f.readline()",
        "box[0] is f",
        "f.tell() == 0",
        "f.tell() == 4 and f.getvalue().startswith('a,b')",
    ),
)
