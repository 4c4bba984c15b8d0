"""Numbers, text, bytes, and other values that have no parts."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from durable_nb.engine.differences import sources
from durable_nb.engine.differences.change import Change, Fact, Sign, both
from durable_nb.engine.differences.texts import relative, renamed
from durable_nb.state.texts import mro, qualified, short

if TYPE_CHECKING:
    from durable_nb.engine.differences.walk import Walk


def numbers(walk: Walk, before: Any, after: Any, path: str, _depth: int) -> Iterator[Change]:
    """Two numbers, with the relative change."""
    a, b = both(_number, before, after)
    other = renamed(type(before), type(after))
    if not other and (a == b or repr(a) == repr(b)):  # NaN
        return
    change = relative(a, b) if bool not in map(type, (a, b)) else ""
    note = ", ".join(filter(None, (change, other)))
    yield Change(Sign.CHANGED, path, (Fact("", *both(walk.short, before, after), note),))


def _number(value: Any) -> Any:
    """A number without what its class made of it."""
    base: Any
    for base in mro(type(value)):
        if base is bool:
            return value
        if base is int:
            return int.__index__(value)
        if base is float:
            return float.__float__(value)
        if base is complex:
            return complex.__pos__(value)
        if base.__module__ == "numpy" and issubclass(base, sys.modules["numpy"].generic):
            return base.item(value)
    raise TypeError(f"{qualified(type(value))} is no number")


def texts(_walk: Walk, before: Any, after: Any, path: str, _depth: int) -> Iterator[Change]:
    """Two texts."""
    a, b = str.__str__(before), str.__str__(after)
    other = renamed(type(before), type(after))
    if other:
        yield Change(Sign.CHANGED, path, (Fact(note=other),))
    if a != b:
        facts, patch = sources.texts(a, b)
        yield Change(Sign.CHANGED, path, facts, patch)


def binaries(walk: Walk, before: Any, after: Any, path: str, _depth: int) -> Iterator[Change]:
    """Two strings of bytes."""
    a, b = memoryview(before), memoryview(after)
    other = renamed(type(before), type(after))
    if a == b and not other:
        return
    facts = []
    if len(a) != len(b):
        facts.append(Fact("bytes", f"{len(a):,}", f"{len(b):,}", relative(len(a), len(b))))
    at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    texts = both(lambda part: short(bytes(part[at : at + 40]), walk.hidden, 40), a, b)
    facts.append(Fact("", *texts, ", ".join(filter(None, (f"from byte {at + 1:,}" if at else "", other)))))
    yield Change(Sign.CHANGED, path, tuple(facts))


def standard(walk: Walk, before: Any, after: Any, path: str, _depth: int) -> Iterator[Change]:
    """Two values of the standard library, or of one for data, that show what they are."""
    other = renamed(type(before), type(after))
    if other or repr(before) != repr(after) or (type(before) is re.Pattern and before != after):
        shown = both(walk.short, before, after)
        yield Change(Sign.CHANGED, path, (Fact("", *shown, other or relative(before, after)),))
