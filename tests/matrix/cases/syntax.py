"""The newer syntax: type parameters, type aliases, nested f-strings."""

# ruff: noqa: E501 - a cell is one string

from __future__ import annotations

from case import Case
from kinds import QUICK


def new(name: str, make: str, mutate: str, before: str, after: str) -> Case:
    """Needs Python 3.12."""
    return Case(name, (make,), (QUICK, mutate), f"assert {before}", f"assert {after}", python=(3, 12))


CASES = (
    new(
        "a generic function",
        "def first[T](xs: list[T]) -> T: return xs[k]\nk = 0",
        "k = 1",
        "first([1, 2]) == 1 and first.__type_params__[0].__name__ == 'T'",
        "first([1, 2]) == 2 and first.__annotations__['return'] is first.__type_params__[0]",
    ),
    new(
        "a generic class",
        "class Box[T]:\n    def __init__(self, x: T): self.x = x\n    def get(self) -> T: return self.x\nb = Box[int](1)",
        "b.x = 2",
        "b.get() == 1 and type(b) is Box and Box.__type_params__[0].__name__ == 'T'",
        "b.get() == 2 and b.__orig_class__ == Box[int]",
    ),
    new(
        "a bound that names a class of the notebook",
        "class A: pass\nclass B[T: A]:\n    x: T\nb = B()",
        "b.x = A()",
        "B.__type_params__[0].__bound__ is A",
        "B.__type_params__[0].__bound__ is A and type(b.x) is A",
    ),
    new(
        "a type alias",
        "type Pair[T] = tuple[T, T]\nhints = [Pair[int]]",
        "hints.append(Pair)",
        "hints[0].__origin__ is Pair",
        "hints[1] is Pair and Pair.__name__ == 'Pair'",
    ),
    new(
        "a recursive type alias",
        "type Tree = list['Tree'] | int\nt: Tree = [1]",
        "t.append([2])",
        "t == [1] and Tree.__name__ == 'Tree'",
        "t == [1, [2]] and type(Tree).__name__ == 'TypeAliasType'",
    ),
    new(
        "nested f-strings",
        "f = lambda x: f\"{', '.join(f'{y!r}' for y in x)}{'' if k else \"!\"}\"\nk = 0",
        "k = 1",
        "f('ab') == \"'a', 'b'!\"",
        "f('ab') == \"'a', 'b'\"",
    ),
    new(
        "a generic dataclass",
        "import dataclasses\n@dataclasses.dataclass\nclass P[T]:\n    x: T\np = P(1)",
        "p.x = 2",
        "p == P(1)",
        "p == P(2) and repr(p) == 'P(x=2)'",
    ),
    new(
        "an inlined comprehension in a class body",
        "class A:\n    k = 2\n    xs = [i * 2 for i in range(3)]\n    f = lambda self: [j for j in self.xs if j]",
        "A.xs.append(9)",
        "A().f() == [2, 4]",
        "A().f() == [2, 4, 9]",
    ),
    new(
        "override",
        "from typing import override\nclass A:\n    def f(self): return 1\nclass B(A):\n    @override\n    def f(self): return super().f() + 1\nb = B()",
        "A.f = lambda self: 10",
        "b.f() == 2 and B.f.__override__",
        "b.f() == 11",
    ),
)
