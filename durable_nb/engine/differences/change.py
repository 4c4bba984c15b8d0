"""A difference, as values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class Verdict(StrEnum):
    """What came of comparing two values."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


class Sign(StrEnum):
    """What became of a part of a value."""

    ADDED = "+"
    REMOVED = "-"
    CHANGED = "~"
    UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is another one than before: `mean: 3.1 -> 3.4 (+9.7 %)`."""

    what: str = ""
    """"" where it is the value itself"""
    before: str = ""
    after: str = ""
    note: str = ""
    """what there is to add; all there is to say where `before` and `after` are empty"""


@dataclass(frozen=True, slots=True)
class Change:
    """What differs in one part of a value."""

    sign: Sign
    path: str
    """from the value to the part, as in Python: `['model'].depth`; "" for the value itself"""
    facts: tuple[Fact, ...] = ()
    patch: tuple[str, ...] = ()
    """lines of a unified diff, where the part is text or code"""


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between two values."""

    verdict: Verdict
    before: str
    """name of the class of the value before"""
    after: str
    changes: tuple[Change, ...] = ()
    more: int = 0
    """changes beyond those that are listed, counted up to `COUNTED`"""
    reason: str = ""
    """why it is not known, or why equal values were kept anew"""


COUNTED = 1_000
"""Changes that are counted after those that are listed."""


def told(what: str, before: str, after: str, note: str = "") -> Iterator[Fact]:
    """A fact, where the two texts are not the same."""
    if before != after:
        yield Fact(what, before, after, note)


def only_one_has(before: Mapping[K, V], after: Mapping[K, V]) -> Iterator[tuple[Sign, K, V]]:
    """What was added to a mapping, then what was removed from it."""
    yield from ((Sign.ADDED, key, value) for key, value in after.items() if key not in before)
    yield from ((Sign.REMOVED, key, value) for key, value in before.items() if key not in after)


def both(make: Callable[[Any], T], before: Any, after: Any) -> tuple[T, T]:
    """The same of two values."""
    return make(before), make(after)


def alone(sign: Sign, path: str, text: str) -> Change:
    """A part that only one of the two values has."""
    return Change(sign, path, (Fact("", text, "") if sign is Sign.REMOVED else Fact("", "", text),))
