"""Which variables share mutable objects or memory: components.

The walk is `gc.get_referents` in batches, with handlers for what the collector cannot see through.
Merging too much costs space; merging too little would break an alias, so doubt merges.
"""

from __future__ import annotations

import functools
import gc
import re
import sys
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

_ATOMIC: frozenset[type] = frozenset({
    int, float, complex, bool, str, bytes, type(None), type(Ellipsis), type(NotImplemented), range, slice,
    types.ModuleType, types.CodeType, types.GetSetDescriptorType,
    types.MemberDescriptorType, types.MethodDescriptorType, types.WrapperDescriptorType,
    types.ClassMethodDescriptorType, re.Pattern,
})  # fmt: skip
"""Types whose objects hold nothing that can change: sharing them is not sharing."""

_LIBRARY_MODULES = ("numpy", "pandas", "pyarrow", "datetime", "decimal", "fractions", "uuid", "pathlib")
_IMMUTABLE_NAMES = frozenset({
    "numpy.dtype", "datetime.datetime", "datetime.date", "datetime.time", "datetime.timedelta",
    "datetime.timezone", "decimal.Decimal", "fractions.Fraction", "uuid.UUID", "pathlib.PosixPath",
    "pandas._libs.tslibs.timestamps.Timestamp", "pandas._libs.tslibs.timedeltas.Timedelta",
    "pandas._libs.missing.NAType", "pandas._libs.tslibs.nattype.NaTType",
})  # fmt: skip


_DEFINITIONS = (types.FunctionType, type, functools._lru_cache_wrapper)


def is_atomic(value: Any) -> bool:
    """Whether a value can neither change nor hold anything that can."""
    kind = type(value)
    if kind in _ATOMIC:
        return True
    if kind in (types.BuiltinFunctionType, types.MethodWrapperType):
        return isinstance(value.__self__, types.ModuleType | type | None)
    if issubclass(kind, type):
        return kind.__module__ != "__main__" and value.__module__ != "__main__"
    module = kind.__module__
    if module.partition(".")[0] not in _LIBRARY_MODULES:
        return False
    if f"{module}.{kind.__qualname__}" in _IMMUTABLE_NAMES:
        return True
    numpy = sys.modules.get("numpy")
    return numpy is not None and issubclass(kind, numpy.generic | numpy.dtype) and kind is not numpy.void


class _Walk:
    """What objects hold, and the memory that they use."""

    def __init__(self) -> None:
        self.memory: list[tuple[int, int, int]] = []
        """(first byte, one past the last, owner)"""

    def referents(self, batch: list[Any], owner: int) -> list[Any]:
        """What the objects of `batch` hold, with handlers where the collector is blind."""
        plain: list[Any] = []
        found: list[Any] = []
        for obj in batch:
            kind = type(obj)
            if kind is types.FunctionType:
                found.extend(obj.__closure__ or ())
                found.extend((obj.__defaults__, obj.__kwdefaults__, obj.__dict__))
            elif issubclass(kind, type):
                # `copyreg` leaves a list of slot names in every class whose instances were pickled.
                found.extend(held for key, held in vars(obj).items() if key != "__slotnames__")
            elif kind is weakref.ref:
                continue
            elif kind is memoryview:
                found.append(obj.obj)
                self._interval(obj, owner)
            elif kind is bytearray:
                continue
            elif issubclass(kind, functools.partial):
                found.extend((obj.func, obj.args, obj.keywords))
            else:
                try:
                    more = self._library(obj, kind, owner)
                except Exception:
                    more = None  # half-made or odd: what the collector sees has to do
                if more is None:
                    plain.append(obj)
                else:
                    found.extend(more)
        if plain:
            found.extend(gc.get_referents(*plain))
        return found

    def _interval(self, obj: Any, owner: int) -> None:
        array = getattr(obj, "__array_interface__", None)
        if array is None:
            return
        start, size = array["data"][0], obj.nbytes
        if size:
            self.memory.append((start, start + size, owner))

    def _library(self, obj: Any, kind: type, owner: int) -> Iterable[Any] | None:
        root = kind.__module__.partition(".")[0]
        if root == "numpy":
            return self._numpy(obj, owner)
        if root == "pandas":
            return _pandas(obj)
        if root == "pyarrow":
            return _arrow(obj, self, owner)
        if root == "torch":
            return _torch(obj, self, owner)
        return None

    def _numpy(self, obj: Any, owner: int) -> Iterable[Any] | None:
        numpy = sys.modules["numpy"]
        if type(obj) is numpy.void:
            return [obj.base]  # a record of an array, and a view of it
        if not issubclass(type(obj), numpy.ndarray):
            return None
        held: list[Any] = [obj.base] if obj.base is not None else []
        if obj.dtype.hasobject:
            held.extend(obj.ravel(order="K").tolist() if obj.dtype == object else [obj.tolist()])
        else:
            low, high = numpy.lib.array_utils.byte_bounds(obj) if obj.size else (0, 0)
            if high > low:
                self.memory.append((low, high, owner))
        if type(obj) is not numpy.ndarray:
            held.append(getattr(obj, "__dict__", None))
        return held


def _pandas(obj: Any) -> Iterable[Any] | None:
    manager = getattr(obj, "_mgr", None)
    if manager is not None and hasattr(manager, "blocks"):
        return [*(block.values for block in manager.blocks), *manager.axes, obj.__dict__.get("_attrs")]
    values = getattr(obj, "_data", None)
    if values is not None:  # an index or an extension array
        extra = [getattr(obj, "_mask", None), getattr(obj, "_ndarray", None), getattr(obj, "_pa_array", None)]
        return [values, *extra]
    return None


def _arrow(obj: Any, walk: _Walk, owner: int) -> Iterable[Any] | None:
    chunks = getattr(obj, "chunks", None)
    if chunks is not None:
        return list(chunks)
    columns = getattr(obj, "columns", None)
    if columns is not None:
        return list(columns)
    if hasattr(obj, "buffers"):
        return [b for b in obj.buffers() if b is not None]
    if hasattr(obj, "address") and hasattr(obj, "is_mutable"):
        if obj.size and obj.is_mutable:
            walk.memory.append((obj.address, obj.address + obj.size, owner))
        return []
    return None


def _torch(obj: Any, walk: _Walk, owner: int) -> Iterable[Any] | None:
    torch = sys.modules["torch"]
    if not issubclass(type(obj), torch.Tensor):
        return None
    if obj.layout == torch.strided and obj.device.type == "cpu":
        storage = obj.untyped_storage()
        if storage.nbytes():
            walk.memory.append((storage.data_ptr(), storage.data_ptr() + storage.nbytes(), owner))
    return [obj.__dict__, obj.grad if obj.is_leaf else None]


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


def components(
    values: Mapping[str, Any], is_leaf: Callable[[str, Any], bool], ignore: Iterable[Any] = ()
) -> Iterator[tuple[str, ...]]:
    """Partition variables into the smallest sets that share no mutable object and no memory.

    `is_leaf(root, obj)` says that an object reached from the variable `root` is a definition that is
    kept by reference, and so ties nothing. Objects in `ignore` (the namespace itself) tie nothing either.
    """
    names = list(values)
    union = _Union(len(names))
    owner_of: dict[int, int] = {}
    keep: list[Any] = []  # no address may be reused while it stands for an object
    skip = {id(obj) for obj in ignore}
    walk = _Walk()
    for index, name in enumerate(names):
        root = values[name]
        frontier = [root]
        while frontier:
            fresh: list[Any] = []
            for obj in frontier:
                key = id(obj)
                kind = type(obj)
                if kind in _ATOMIC or key in skip:
                    continue
                if issubclass(kind, _DEFINITIONS) and is_leaf(name, obj):
                    continue
                before = owner_of.get(key)
                if before is not None:
                    if before != index and (kind is not tuple or _ties(obj)):
                        union.join(before, index)
                    continue
                if is_atomic(obj):
                    continue
                owner_of[key] = index
                fresh.append(obj)
            if not fresh:
                break
            keep.append(fresh)
            frontier = walk.referents(fresh, index)
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


_CODE = (*_DEFINITIONS, property, staticmethod, classmethod)


def can_tie(name: str, value: Any, is_leaf: Callable[[str, Any], bool]) -> bool:
    """Whether a definition reaches anything that another variable could share: most reach nothing."""
    walk = _Walk()
    seen: set[int] = set()
    frontier = [value]
    while frontier:
        fresh: list[Any] = []
        for obj in frontier:
            kind = type(obj)
            if id(obj) in seen or kind in _ATOMIC or is_atomic(obj):
                continue
            if issubclass(kind, _DEFINITIONS) and is_leaf(name, obj):
                continue
            if not issubclass(kind, _CODE) and not (kind in (dict, tuple) and not obj):
                return True
            seen.add(id(obj))
            fresh.append(obj)
        frontier = walk.referents(fresh, 0) if fresh else []
    return False


def _ties(value: tuple[Any, ...]) -> bool:
    """Whether a shared tuple holds anything that can change: equal constants share tuples."""
    return any(not is_atomic(item) and not (type(item) is tuple and not _ties(item)) for item in value)
