"""Identity and aliasing: who shares what with whom."""

from __future__ import annotations

from case import Case

CASES = (
    Case(
        "a list inside a dict",
        make=("inner = [1]", "outer = {'k': inner}", "apart = [inner.copy()]"),
        mutate=("inner.append(2)",),
        before="assert outer['k'] is inner and inner == [1]",
        after="assert outer['k'] is inner and inner == [1, 2]",
        keep_id=("apart",),
    ),
    Case(
        "a ring of lists",
        make=("a, b, c = [1], [2], [3]", "a.append(b); b.append(c); c.append(a)"),
        mutate=("a[0] = 10",),
        before="assert a[0] == 1 and a[1] is b and b[1] is c and c[1] is a",
        after="assert a[0] == 10 and a[1] is b and b[1] is c and c[1] is a",
    ),
    Case(
        "read only",
        make=("s = {'a', 'b', 'c'}", "t = [s, 1]"),
        mutate=("n = len(s)",),
        before="assert s == {'a', 'b', 'c'}",
        after="assert t[0] is s",
        unchanged=("s", "t"),
    ),
)
