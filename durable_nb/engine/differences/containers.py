"""Dicts, lists and sets, by path."""

from __future__ import annotations

import collections
import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from durable_nb.engine.differences import objects
from durable_nb.engine.differences.change import Change, Fact, Sign, alone, both, only_one_has
from durable_nb.engine.differences.sources import ends
from durable_nb.engine.differences.texts import renamed
from durable_nb.engine.differences.tokens import token
from durable_nb.state.texts import ATOMS, mro, named

if TYPE_CHECKING:
    from durable_nb.engine.differences.walk import Walk

_MATCHED = 1_000
"""Items up to which two lists are matched rather than compared place by place."""


def mappings(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """Two dicts, key by key."""
    yield from types(before, after, path)
    items = both(_items, before, after)
    for place, (key, value) in items[0].items():
        if place in items[1]:
            there = items[1][place][1]
            yield from walk.under(key, value, there, path + walk.step(key), depth)
    for sign, _, (key, value) in only_one_has(*items):
        yield walk.one(sign, key, value, path + walk.step(key))
    if items[0].keys() == items[1].keys() and list(items[0]) != list(items[1]):
        yield Change(Sign.CHANGED, path, (Fact(note="the keys are in another order"),))
    if all(issubclass(type(value), collections.defaultdict) for value in (before, after)):
        factories = both(vars(collections.defaultdict)["default_factory"].__get__, before, after)
        yield from walk.values(*factories, f"{path}.default_factory", depth + 1)
    yield from objects.attributed(walk, before, after, path, depth)


def _items(value: Any) -> dict[Any, tuple[Any, Any]]:
    items = dict.items(value) if issubclass(type(value), dict) else value.items()
    return {token(key): (key, held) for key, held in items}


def sequences(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """Two lists, item by item; what was put in or taken out moves no other item."""
    yield from types(before, after, path)
    fields = _fields(type(before))
    a, b = _list(before), _list(after)
    if fields is not None and fields == _fields(type(after)):
        for name, x, y in zip(fields, a, b, strict=True):
            yield from walk.under(name, x, y, f"{path}.{name}", depth)
    elif walk.quick:
        if len(a) != len(b):
            yield Change(Sign.CHANGED, path)
        for i, (x, y) in enumerate(zip(a, b, strict=False)):
            yield from walk.values(x, y, f"{path}[{i}]", depth + 1)
    else:
        yield from _matched(walk, a, b, path, depth)
    yield from objects.attributed(walk, before, after, path, depth)


def _list(value: Any) -> list[Any]:
    base: Any = next(k for k in mro(type(value)) if k in (list, tuple, collections.deque))
    return list(base.__iter__(value))


def _fields(kind: type) -> tuple[str, ...] | None:
    """The names of a named tuple's fields."""
    found = next((vars(k)["_fields"] for k in mro(kind) if "_fields" in vars(k)), None)
    return found if type(found) is tuple and issubclass(kind, tuple) else None


def _matched(walk: Walk, a: list[Any], b: list[Any], path: str, depth: int) -> Iterator[Change]:
    kinds = list(map(type, a)), list(map(type, b))
    plain = ATOMS.issuperset(kinds[0]) and ATOMS.issuperset(kinds[1])
    if plain and kinds[0] == kinds[1] and a == b:
        return
    first, last = ends(a, b, lambda x, y: walk.same(x, y, depth + 1))
    old, new = range(first, len(a) - last), range(first, len(b) - last)
    if plain and len(old) != len(new) and max(len(old), len(new)) <= _MATCHED:
        tokens = [token(a[i]) for i in old], [token(b[i]) for i in new]
        matcher = difflib.SequenceMatcher(None, *tokens, autojunk=False)
        parts = [(old[i:j], new[k:m]) for tag, i, j, k, m in matcher.get_opcodes() if tag != "equal"]
    else:
        parts = [(old, new)]
    for here, there in parts:
        for i, j in zip(here, there, strict=False):
            yield from walk.values(a[i], b[j], f"{path}[{i}]", depth + 1)
    for here, there in parts:
        for j in there[len(here) :]:
            yield walk.one(Sign.ADDED, j, b[j], f"{path}[{j}]")
    for here, there in parts:
        for i in here[len(there) :]:
            yield walk.one(Sign.REMOVED, i, a[i], f"{path}[{i}]")


def sets(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """Two sets, by what is in one of them only."""
    yield from types(before, after, path)
    items = both(_elements, before, after)
    only = [(sign, walk.short(item)) for sign, _, item in only_one_has(*items)]
    for sign, text in sorted(only):  # what was added first: "+" is before "-"
        yield alone(sign, path, text)
    yield from objects.attributed(walk, before, after, path, depth)


def _elements(value: Any) -> dict[Any, Any]:
    base: Any = frozenset if issubclass(type(value), frozenset) else set
    return {token(item): item for item in base.__iter__(value)}


def types(before: Any, after: Any, path: str) -> Iterator[Change]:
    """That two values are of different classes, though compared alike."""
    if renamed(type(before), type(after)):
        yield Change(Sign.CHANGED, path, (Fact("type", named(type(before)), named(type(after))),))
