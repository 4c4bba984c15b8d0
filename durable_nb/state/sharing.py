"""Which variables share mutable objects or memory: components.

Merging too much costs space; merging too little would break an alias, so doubt merges.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from durable_nb.state.atoms import ATOMIC, is_atomic, may_be_atomic
from durable_nb.state.classes import in_notebook
from durable_nb.state.pickling import DEFINITIONS as _DEFINITIONS
from durable_nb.state.pickling import resolve
from durable_nb.state.walk import Walk


class _Union:
    def __init__(self, size: int) -> None:
        self.parent = list(range(size))

    def find(self, i: int) -> int:
        while self.parent[i] != i:
            self.parent[i] = self.parent[self.parent[i]]
            i = self.parent[i]
        return i

    def join(self, i: int, j: int) -> None:
        i, j = self.find(i), self.find(j)
        if i != j:
            self.parent[max(i, j)] = min(i, j)


def components(values: Mapping[str, Any], space: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Partition variables of the namespace `space` into the smallest sets that share nothing mutable.

    A definition that is kept by reference ties nothing, and nor does the namespace itself.
    """
    names = list(values)
    union = _Union(len(names))
    owner_of: dict[int, int] = {}
    keep: list[Any] = []  # no address may be reused while it stands for an object
    walk = Walk(space)
    for index, name in enumerate(names):
        frontier = [] if walk.plain_array(values[name], index, owner_of, union.join) else [values[name]]
        while frontier:
            fresh = {id(obj): obj for obj in frontier if type(obj) not in ATOMIC}
            fresh.pop(id(space), None)
            fresh.pop(id(vars(builtins)), None)
            for kind in set(map(type, fresh.values())):
                if issubclass(kind, _DEFINITIONS):
                    _drop(fresh, kind, lambda obj: is_atomic(obj) or _is_leaf(name, obj, space))  # noqa: B023
                elif may_be_atomic(kind):
                    _drop(fresh, kind, is_atomic)
            for key in fresh.keys() & owner_of.keys():
                obj = fresh.pop(key)
                if owner_of[key] != index and (type(obj) not in (tuple, frozenset) or _ties(obj)):
                    union.join(owner_of[key], index)
            owner_of.update(dict.fromkeys(fresh, index))
            frontier = walk.referents(fresh, index) if fresh else []
            keep.append(frontier)
    walk.memory.sort()
    end, last = -1, -1
    for start, stop, index in walk.memory:
        if start < end:
            union.join(last, index)
            end = max(end, stop)
        else:
            end, last = stop, index
    groups: dict[int, list[str]] = {}
    for index, name in enumerate(names):
        groups.setdefault(union.find(index), []).append(name)
    yield from (tuple(sorted(group)) for group in groups.values())


def _drop(fresh: dict[int, Any], kind: type, is_dropped: Callable[[Any], bool]) -> None:
    for key in [key for key, obj in fresh.items() if type(obj) is kind and is_dropped(obj)]:
        del fresh[key]


_CODE = (*_DEFINITIONS, property, staticmethod, classmethod)


def can_tie(name: str, value: Any, space: Mapping[str, Any]) -> bool:
    """Whether a definition reaches anything that another variable could share: most reach nothing."""
    walk = Walk(space)
    seen: set[int] = set()
    frontier = [value]
    while frontier:
        fresh: dict[int, Any] = {}
        for obj in frontier:
            kind = type(obj)
            if id(obj) in seen or kind in ATOMIC or is_atomic(obj):
                continue
            if issubclass(kind, _DEFINITIONS):
                if _is_leaf(name, obj, space):
                    continue
                if obj is not value and resolve(space, getattr(obj, "__qualname__", "")) is not obj:
                    return True  # it lost its name: who else holds it must hold the same one
            elif not issubclass(kind, _CODE) and not (kind is tuple and not _ties(obj)):
                return True
            seen.add(id(obj))
            fresh[id(obj)] = obj
        frontier = walk.referents(fresh, 0) if fresh else []
    return False


def _is_leaf(root: str, obj: Any, space: Mapping[str, Any]) -> bool:
    """Whether a function or class, reached from the variable `root`, is kept by reference."""
    if not in_notebook(obj):
        return issubclass(type(obj), type) or _is_importable(obj)
    qualname = getattr(obj, "__qualname__", "")
    return qualname.partition(".")[0] != root and resolve(space, qualname) is obj


def _is_importable(obj: Any) -> bool:
    module = sys.modules.get(getattr(obj, "__module__", None) or "")
    return module is not None and resolve(vars(module), getattr(obj, "__qualname__", "")) is obj


def _ties(value: tuple[Any, ...] | frozenset[Any]) -> bool:
    """Whether a shared tuple or set holds anything that can change: equal constants share them."""
    return any(
        not is_atomic(item) and not (type(item) in (tuple, frozenset) and not _ties(item)) for item in value
    )
