"""Classes and functions that are defined again while what they made lives on."""

# ruff: noqa: E501 - a cell is one string

from __future__ import annotations

from typing import Any

from case import Case


def again(
    name: str, make: tuple[str, ...], mutate: tuple[str, ...], before: str, after: str, **options: Any
) -> Case:
    """What is made, then defined again."""
    return Case(name, make, mutate, f"assert {before}", f"assert {after}", **options)


OLD = "class P:\n    def who(self): return 'old'"
NEW = "class P:\n    def who(self): return 'new'"

CASES = (
    again(
        "an old instance",
        (OLD, "p = P()"),
        (NEW,),
        "p.who() == 'old' and type(p) is P",
        "p.who() == 'old' and type(p) is not P and P().who() == 'new'",
    ),
    again(
        "an old and a new instance",
        (OLD, "p = P()"),
        (NEW, "q = P()", "ps = [p, P(), q]"),
        "type(p) is P",
        "[x.who() for x in ps] == ['old', 'new', 'new'] and ps[0] is p and ps[2] is q and type(q) is P",
    ),
    again(
        "three generations",
        (OLD, "ps = [P()]", NEW, "ps.append(P())"),
        ("class P:\n    def who(self): return 'newest'", "ps.append(P())"),
        "[p.who() for p in ps] == ['old', 'new'] and type(ps[1]) is P",
        "[p.who() for p in ps] == ['old', 'new', 'newest'] and type(ps[2]) is P and len({type(p) for p in ps}) == 3",
    ),
    again(
        "old instances of one class",
        (OLD, "a, b = P(), P()"),
        (NEW,),
        "type(a) is type(b) is P",
        "type(a) is type(b) is not P and a.who() == 'old'",
    ),
    again(
        "old instances that change",
        (OLD, "p = P(); p.x = [1]", NEW),
        ("p.x.append(2)",),
        "p.x == [1] and p.who() == 'old'",
        "p.x == [1, 2] and p.who() == 'old' and P().who() == 'new'",
    ),
    again(
        "an old class that changes",
        (OLD, "p = P()", NEW),
        ("type(p).n = 5",),
        "not hasattr(p, 'n')",
        "p.n == 5 and not hasattr(P, 'n')",
    ),
    again(
        "a deleted class",
        (OLD, "p = P(); qs = [P()]"),
        ("del P",),
        "type(p) is P",
        "p.who() == 'old' and 'P' not in globals() and type(qs[0]) is type(p)",
    ),
    again(
        "a deleted class that is made again",
        (OLD, "p = P()"),
        ("del P", NEW),
        "type(p) is P",
        "p.who() == 'old' and P().who() == 'new'",
    ),
    again(
        "the old class under another name",
        (OLD, "p = P(); Old = P"),
        (NEW,),
        "type(p) is P is Old",
        "type(p) is Old is not P and Old().who() == 'old'",
    ),
    again(
        "the old class in a list",
        (OLD, "olds = [P]; p = P()"),
        (NEW, "olds.append(P)"),
        "olds == [P]",
        "type(p) is olds[0] and olds[1] is P and olds[0]().who() == 'old'",
    ),
    again(
        "names exchanged",
        (OLD, "class Q:\n    def who(self): return 'Q'", "p, q = P(), Q()"),
        ("P, Q = Q, P",),
        "type(p) is P and type(q) is Q",
        "type(p) is Q and type(q) is P and p.who() == 'old' and P().who() == 'Q'",
    ),
    again(
        "a base that is redefined",
        (OLD, "class S(P): pass\ns = S()"),
        (NEW,),
        "s.who() == 'old' and S.__base__ is P",
        "s.who() == 'old' and S.__base__ is not P and not isinstance(s, P)",
    ),
    again(
        "base and subclass redefined",
        (OLD, "class S(P): pass\ns = S()"),
        (NEW, "class S(P): pass\nt = S()"),
        "isinstance(s, P)",
        "(s.who(), t.who()) == ('old', 'new') and isinstance(t, P) and not isinstance(s, P)",
    ),
    again(
        "super() of an old class",
        (
            "class A:\n    def who(self): return 'A'",
            "class B(A):\n    def who(self): return super().who() + 'B'",
            "b = B()",
        ),
        ("class B(A):\n    def who(self): return 'other'",),
        "b.who() == 'AB'",
        "b.who() == 'AB' and B().who() == 'other' and isinstance(b, A)",
    ),
    again(
        "super(Name, self) of an old class",
        (
            "class A:\n    def who(self): return 'A'",
            "class B(A):\n    def who(self): return super(B, self).who() + 'B'",
            "b = B()",
        ),
        ("x = 1",),
        "b.who() == 'AB'",
        "b.who() == 'AB' and type(b) is B",
    ),
    again(
        "an identical definition",
        (OLD, "p = P()"),
        (OLD,),
        "type(p) is P",
        "p.who() == 'old' and type(p) is not P and P().who() == 'old'",
    ),
    again(
        "an identical dataclass",
        ("import dataclasses\n@dataclasses.dataclass\nclass D:\n    x: int = 1", "d = D()"),
        ("@dataclasses.dataclass\nclass D:\n    x: int = 1",),
        "d == D()",
        "d != D() and d.x == 1",
    ),
    again(
        "an enum",
        ("import enum\nclass E(enum.Enum): A = 1", "e = E.A; d = {e: 1}"),
        ("class E(enum.Enum):\n    A = 1\n    B = 2",),
        "e is E.A and d[E.A] == 1",
        "e is not E.A and e.name == 'A' and d[e] == 1 and list(E)[1].name == 'B'",
    ),
    again(
        "a NamedTuple",
        ("from typing import NamedTuple\nclass R(NamedTuple): a: int", "r = R(1)"),
        ("class R(NamedTuple):\n    a: int\n    b: int = 2",),
        "type(r) is R",
        "r == (1,) and R(1) == (1, 2) and type(r) is not R and r.a == 1",
    ),
    again(
        "a metaclass",
        ("class M(type):\n    def who(cls): return 'old'", "class A(metaclass=M): pass\na = A()"),
        ("class M(type):\n    def who(cls): return 'new'",),
        "A.who() == 'old' and type(A) is M",
        "A.who() == 'old' and type(A) is not M and type(a) is A",
    ),
    again(
        "a nested class",
        ("class A:\n    class B: n = 1\nb = A.B()",),
        ("class A:\n    class B: n = 2",),
        "type(b) is A.B",
        "b.n == 1 and A.B.n == 2 and type(b) is not A.B",
    ),
    again(
        "the class of a bound method",
        (OLD, "p = P(); who = p.who"),
        (NEW,),
        "who() == 'old'",
        "who() == 'old' and who.__self__ is p",
    ),
    again(
        "an unbound method of an old class",
        (OLD, "who = P.who"),
        (NEW,),
        "who(1) == 'old' and who is P.who",
        "who(1) == 'old' and who is not P.who",
    ),
    again(
        "a class attribute that is shared with a variable",
        ("held = [1]\nclass P: x = held", "p = P()"),
        ("class P: x = [2]",),
        "p.x is held",
        "p.x is held == [1] and P.x == [2]",
    ),
    again(
        "an old class that a variable shares an object with",
        ("held = [1]\nclass P: x = held", "p = P()", "class P: x = [2]"),
        ("held.append(5)",),
        "p.x is held == [1]",
        "p.x is held == [1, 5] and P.x == [2]",
    ),
    again(
        "an old class that sees live globals",
        ("k = 1\nclass P:\n    def f(self): return k", "p = P()", "class P: pass"),
        ("k = 2",),
        "p.f() == 1",
        "p.f() == 2",
    ),
    again(
        "an old class that makes its own",
        ("class P:\n    def twin(self): return type(self)()", "p = P()"),
        ("class P: pass", "q = p.twin()"),
        "type(p.twin()) is P",
        "type(q) is type(p) is not P",
    ),
    again(
        "a helper class that is redefined",
        ("class H:\n    n = 1", "class P:\n    def f(self): return H.n", "p = P()"),
        ("class H:\n    n = 2",),
        "p.f() == 1",
        "p.f() == 2 and type(p) is P",
    ),
    again(
        "a function in a list",
        ("def f(): return 1", "fs = [f]"),
        ("def f(): return 2", "fs.append(f)"),
        "fs == [f]",
        "[g() for g in fs] == [1, 2] and fs[1] is f and fs[0] is not f",
    ),
    again(
        "a function that was deleted",
        ("def f(): return 1", "fs = [f]"),
        ("del f",),
        "fs[0] is f",
        "fs[0]() == 1 and 'f' not in globals()",
    ),
    again(
        "an old function that calls by name",
        ("def f(n): return 'old' if n == 0 else f(n - 1)", "old = f"),
        ("def f(n): return 'new'",),
        "old(1) == 'old' and old is f",
        "old(0) == 'old' and old(1) == 'new'",
    ),
    again(
        "a decorated function",
        (
            "import functools\ndef d(f):\n    @functools.wraps(f)\n    def inner(): return 'd1' + f()\n    return inner",
            "@d\ndef f(): return 'f'",
        ),
        ("def d(f): return f",),
        "f() == 'd1f'",
        "f() == 'd1f' and f.__wrapped__() == 'f'",
    ),
    again(
        "a partial of an old function",
        ("import functools\ndef f(x): return ('old', x)", "p = functools.partial(f, 1)"),
        ("def f(x): return ('new', x)",),
        "p() == ('old', 1) and p.func is f",
        "p() == ('old', 1) and p.func is not f",
    ),
    again(
        "a rollback that needs the older helper",
        ("def helper(): return 1", "def main(): return helper()", "job = [main]"),
        ("def helper(): return 2", "def main(): return helper() + 10"),
        "job[0] is main and main() == 1",
        "job[0]() == 2 and main() == 12",
    ),
    again(
        "pydantic",
        ("from pydantic import BaseModel\nclass M(BaseModel): x: int = 1", "m = M()"),
        ("class M(BaseModel):\n    x: str = 'a'\n    y: int = 2",),
        "m == M() and type(m) is M",
        "m.x == 1 and type(m) is not M and M().model_dump() == {'x': 'a', 'y': 2} and type(m)(x='5').x == 5",
        needs=("pydantic",),
    ),
    again(
        "attrs",
        ("import attrs\n@attrs.define\nclass A: x: int = 1", "a = A()"),
        ("@attrs.define\nclass A: x: int = 2",),
        "a == A()",
        "a.x == 1 and A().x == 2 and type(a) is not A",
        needs=("attrs",),
    ),
    again(
        "a subclass of a frame",
        (
            "import pandas as pd\nclass F(pd.DataFrame):\n    @property\n    def _constructor(self): return F\n    def who(self): return 'old'",
            "f = F({'a': [1]})",
        ),
        ("class F(pd.DataFrame):\n    def who(self): return 'new'",),
        "type(f) is F and f.who() == 'old'",
        "f.who() == 'old' and F({'a': [1]}).who() == 'new'",
    ),
    again(
        "__class__ moved to the new one",
        (OLD, "p = P()"),
        (NEW, "p.__class__ = P"),
        "p.who() == 'old'",
        "p.who() == 'new' and type(p) is P",
    ),
    again(
        "isinstance across a rollback",
        (OLD, "p = P()", "d = {P: 'P'}"),
        (NEW, "d[P] = 'new P'"),
        "d[type(p)] == 'P' and isinstance(p, P)",
        "d[type(p)] == 'P' and d[P] == 'new P' and not isinstance(p, P)",
    ),
    again(
        "a name that becomes something else",
        (OLD, "p = P()"),
        ("P = 5",),
        "type(p) is P",
        "p.who() == 'old' and P == 5",
    ),
    again(
        "a name that becomes a function",
        (OLD, "p = P()"),
        ("def P(): return 'f'",),
        "type(p) is P",
        "p.who() == 'old' and P() == 'f'",
    ),
)
