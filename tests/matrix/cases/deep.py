"""Deep and large values."""

# ruff: noqa: E501 - a cell is one string

from __future__ import annotations

from typing import Any

from case import Case
from kinds import QUICK, step


def deep(
    name: str, make: str | tuple[str, ...], mutate: str, before: str, after: str, **options: Any
) -> Case:
    """One cell that changes something; `before` and `after` are statements."""
    cells = (make,) if isinstance(make, str) else make
    return Case(name, cells, (QUICK, mutate), before, after, **options)


WALK = "n, c = 0, chain\nwhile c is not None: n, c = n + 1, {}\nassert n == {}"

CASES = (
    deep(
        "a long chain of lists",
        "chain = None\nfor i in range(2_000): chain = [i, chain]",
        "chain = ['new', chain]",
        WALK.format("c[1]", 2_000),
        WALK.format("c[1]", 2_001),
    ),
    deep(
        "a long chain of dicts",
        "chain = None\nfor i in range(2_000): chain = {'i': i, 'next': chain}",
        "chain['i'] = 'new'",
        WALK.format("c['next']", 2_000),
        "assert chain['i'] == 'new'",
    ),
    deep(
        "a long chain of instances",
        "class N:\n    def __init__(self, i, next): self.i, self.next = i, next\nchain = None\nfor i in range(2_000): chain = N(i, chain)",
        "chain.i = 'new'",
        WALK.format("c.next", 2_000),
        "assert chain.i == 'new' and type(chain.next) is N",
    ),
    deep(
        "a long chain of slotted instances",
        "class N:\n    __slots__ = ('i', 'next')\n    def __init__(self, i, next): self.i, self.next = i, next\nchain = None\nfor i in range(2_000): chain = N(i, chain)",
        "chain.i = 'new'",
        WALK.format("c.next", 2_000),
        "assert chain.i == 'new'",
    ),
    deep(
        "a long chain of tuples",
        "chain = None\nfor i in range(2_000): chain = (i, chain)",
        "chain = ('new', chain)",
        WALK.format("c[1]", 2_000),
        WALK.format("c[1]", 2_001),
    ),
    deep(
        "a long chain of closures",
        "def link(f): return lambda: f\nchain = None\nfor i in range(1_000): chain = link(chain)",
        "chain = link(chain)",
        WALK.format("c()", 1_000),
        WALK.format("c()", 1_001),
    ),
    deep(
        "a doubly linked long list",
        "class N: pass\nns = [N() for _ in range(2_000)]\nfor a, b in zip(ns, ns[1:]): a.next, b.prev = b, a\nhead = ns[0]; del ns, a, b",
        "head.next.i = 1",
        "n, c = 1, head\nwhile hasattr(c, 'next'): assert c.next.prev is c; n, c = n + 1, c.next\nassert n == 2_000",
        "assert head.next.i == 1 and head.next.prev is head",
    ),
    deep(
        "100,000 linked lists",
        "chain = None\nfor i in range(100_000): chain = [i, chain]",
        "chain = ['new', chain]",
        WALK.format("c[1]", 100_000),
        WALK.format("c[1]", 100_001),
        long=True,
        seconds=300,
    ),
    deep(
        "100,000 linked instances",
        "class N:\n    def __init__(self, i, next): self.i, self.next = i, next\nchain = None\nfor i in range(100_000): chain = N(i, chain)",
        "chain.i = 'new'",
        WALK.format("c.next", 100_000),
        "assert chain.i == 'new'",
        long=True,
        seconds=300,
    ),
    step(
        "a million numbers",
        "l = list(range(1_000_000))",
        "l[500_000] = 'x'",
        "l[-1] == 999_999 and l[500_000] == 500_000",
        "l[500_000] == 'x' and len(l) == 1_000_000",
    ),
    step(
        "a large dict",
        "d = {i: str(i) for i in range(100_000)}",
        "d[5] = 'x'; del d[6]",
        "len(d) == 100_000 and d[5] == '5'",
        "d[5] == 'x' and 6 not in d and d[99_999] == '99999'",
    ),
    step(
        "a million keys",
        "d = {i: str(i) for i in range(1_000_000)}",
        "d[5] = 'x'; del d[6]",
        "len(d) == 1_000_000",
        "d[5] == 'x' and len(d) == 999_999",
        long=True,
        seconds=300,
    ),
    step(
        "a large set",
        "s = set(range(100_000))",
        "s.remove(5); s.add('x')",
        "5 in s and len(s) == 100_000",
        "5 not in s and 'x' in s",
    ),
    step(
        "a million elements of a set",
        "s = set(range(1_000_000))",
        "s.remove(5)",
        "5 in s",
        "5 not in s and len(s) == 999_999",
        long=True,
        seconds=300,
    ),
    step(
        "many small objects",
        "class P:\n    def __init__(self, i): self.i = i\nps = [P(i) for i in range(10_000)]",
        "ps[5_000].i = 'x'",
        "ps[5_000].i == 5_000 and type(ps[0]) is P",
        "ps[5_000].i == 'x' and ps[-1].i == 9_999",
    ),
    step(
        "200,000 objects",
        "class P:\n    def __init__(self, i): self.i = i\nps = [P(i) for i in range(200_000)]",
        "ps[100_000].i = 'x'",
        "ps[100_000].i == 100_000",
        "ps[100_000].i == 'x'",
        long=True,
        seconds=300,
    ),
    step(
        "many references to one",
        "x = [1]; l = [x] * 100_000",
        "x.append(2)",
        "all(y is x for y in l) and x == [1]",
        "all(y is x for y in l) and x == [1, 2]",
    ),
    step(
        "a nested structure of every kind",
        "import collections\nl = [({'k': (frozenset({1}), [set()])}, collections.OrderedDict(a=[collections.deque([{}])]))]",
        "l[0][1]['a'][0][0]['x'] = l",
        "l[0][1]['a'][0][0] == {}",
        "l[0][1]['a'][0][0]['x'] is l",
    ),
)
