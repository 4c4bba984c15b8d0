"""Which variables share mutable objects or memory: components.

The walk is `gc.get_referents` in batches, with handlers for what the collector cannot see through.
Merging too much costs space; merging too little would break an alias, so doubt merges.
"""

from __future__ import annotations

import gc
import logging
import re
import sys
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from durable_nb.state.classes import in_notebook
from durable_nb.state.pickling import DEFINITIONS as _DEFINITIONS
from durable_nb.state.pickling import resolve

_ATOMIC: frozenset[type] = frozenset({
    int, float, complex, bool, str, bytes, type(None), type(Ellipsis), type(NotImplemented), range, slice,
    types.CodeType, types.GetSetDescriptorType,
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


def _may_be_atomic(kind: type) -> bool:
    module = kind.__module__
    return kind in (types.BuiltinFunctionType, types.MethodWrapperType) or (
        type(module) is str and module.partition(".")[0] in _LIBRARY_MODULES
    )


def is_atomic(value: Any) -> bool:
    """Whether a value can neither change nor hold anything that can."""
    kind = type(value)
    if kind in _ATOMIC:
        return True
    if kind in (types.BuiltinFunctionType, types.MethodWrapperType):
        return isinstance(value.__self__, types.ModuleType | type | None)
    if kind is types.ModuleType:
        return value.__spec__ is not None and sys.modules.get(value.__name__) is value
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
        self._special: dict[type, bool] = {}

    def referents(self, batch: Mapping[int, Any], owner: int) -> list[Any]:
        """What the objects of `batch` hold: the collector's answer, with handlers where it is blind."""
        special = {kind for kind in set(map(type, batch.values())) if self._is_special(kind)}
        if not special:
            return gc.get_referents(*batch.values())
        found = gc.get_referents(*(obj for obj in batch.values() if type(obj) not in special))
        for obj in batch.values():
            if type(obj) in special:
                try:
                    found.extend(self._held(obj, type(obj), owner))
                except Exception:
                    found.extend(gc.get_referents(obj))  # half-made or odd: what the collector sees has to do
        return found

    def _is_special(self, kind: type) -> bool:
        known = self._special.get(kind)
        if known is None:
            root = kind.__module__.partition(".")[0] if type(kind.__module__) is str else ""
            known = self._special[kind] = root in _HANDLED or issubclass(kind, _SPECIAL)
        return known

    def _held(self, obj: Any, kind: type, owner: int) -> Iterable[Any]:
        if kind is types.FunctionType:
            return [*(obj.__closure__ or ()), obj.__defaults__, obj.__kwdefaults__, obj.__dict__]
        if issubclass(kind, type):
            # `copyreg` leaves a list of slot names in every class whose instances were pickled.
            own = [held for key, held in vars(obj).items() if key != "__slotnames__"]
            return [*own, *obj.__bases__, kind]
        if issubclass(kind, weakref.ref):
            return [obj(), obj.__callback__, getattr(obj, "__dict__", None)]
        if issubclass(kind, weakref.ProxyTypes):
            return [obj.__dir__.__self__]
        if issubclass(kind, types.ModuleType):
            return [] if sys.modules.get(obj.__name__) is obj else [vars(obj)]
        if issubclass(kind, logging.Logger):
            return [obj.handlers, obj.filters]  # its manager and parents lead to all others
        if kind is memoryview:
            self._interval(obj, owner)
            return [obj.obj]
        root = kind.__module__.partition(".")[0]
        held: Iterable[Any] | None = None
        if root == "pandas":
            held = _pandas(obj)
        elif root == "pyarrow":
            held = _arrow(obj, self, owner)
        elif root == "torch":
            held = _torch(obj, self, owner)
        elif "numpy" in sys.modules:
            held = self._numpy(obj, owner)
        return gc.get_referents(obj) if held is None else held

    def _interval(self, obj: Any, owner: int) -> None:
        array = getattr(obj, "__array_interface__", None)
        if array is None:
            return
        start, size = array["data"][0], obj.nbytes
        if size:
            self.memory.append((start, start + size, owner))

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


_SPECIAL = (
    types.FunctionType, type, types.ModuleType, weakref.ref, *weakref.ProxyTypes, memoryview, logging.Logger,
)  # fmt: skip
_HANDLED = frozenset({"numpy", "pandas", "pyarrow", "torch"})
"""Libraries whose objects hold what the collector does not see."""


def _pandas(obj: Any) -> Iterable[Any] | None:
    pandas = sys.modules["pandas"]
    if issubclass(type(obj), pandas.Index):
        # Its values cannot change; reading those of a RangeIndex would make it build them.
        return obj.tolist() if obj.dtype == object else []
    manager = getattr(obj, "_mgr", None)
    if manager is not None and hasattr(manager, "blocks"):
        return [*(block.values for block in manager.blocks), *manager.axes, obj.__dict__.get("_attrs")]
    values = getattr(obj, "_data", None)
    if values is not None:  # an extension array
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
        if obj.size:
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


def components(values: Mapping[str, Any], space: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Partition variables of the namespace `space` into the smallest sets that share nothing mutable.

    A definition that is kept by reference ties nothing, and nor does the namespace itself.
    """
    names = list(values)
    union = _Union(len(names))
    owner_of: dict[int, int] = {}
    keep: list[Any] = []  # no address may be reused while it stands for an object
    walk = _Walk()
    for index, name in enumerate(names):
        frontier = [values[name]]
        while frontier:
            fresh = {id(obj): obj for obj in frontier if type(obj) not in _ATOMIC}
            fresh.pop(id(space), None)
            for key in fresh.keys() & owner_of.keys():
                obj = fresh.pop(key)
                if owner_of[key] != index and (type(obj) is not tuple or _ties(obj)):
                    union.join(owner_of[key], index)
            for kind in set(map(type, fresh.values())):
                if issubclass(kind, _DEFINITIONS):
                    _drop(fresh, kind, lambda obj: is_atomic(obj) or _is_leaf(name, obj, space))  # noqa: B023
                elif _may_be_atomic(kind):
                    _drop(fresh, kind, is_atomic)
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
    walk = _Walk()
    seen: set[int] = set()
    frontier = [value]
    while frontier:
        fresh: dict[int, Any] = {}
        for obj in frontier:
            kind = type(obj)
            if id(obj) in seen or kind in _ATOMIC or is_atomic(obj):
                continue
            if issubclass(kind, _DEFINITIONS):
                if _is_leaf(name, obj, space):
                    continue
                if obj is not value and resolve(space, obj.__qualname__) is not obj:
                    return True  # it lost its name: who else holds it must hold the same one
            elif not issubclass(kind, _CODE) and not (kind in (dict, tuple) and not obj):
                return True
            seen.add(id(obj))
            fresh[id(obj)] = obj
        frontier = walk.referents(fresh, 0) if fresh else []
    return False


def _is_leaf(root: str, obj: Any, space: Mapping[str, Any]) -> bool:
    """Whether a function or class, reached from the variable `root`, is kept by reference."""
    if not in_notebook(obj):
        return issubclass(type(obj), type) or _is_importable(obj)
    qualname = obj.__qualname__
    return qualname.partition(".")[0] != root and resolve(space, qualname) is obj


def _is_importable(obj: Any) -> bool:
    module = sys.modules.get(getattr(obj, "__module__", None) or "")
    return module is not None and resolve(vars(module), obj.__qualname__) is obj


def _ties(value: tuple[Any, ...]) -> bool:
    """Whether a shared tuple holds anything that can change: equal constants share tuples."""
    return any(not is_atomic(item) and not (type(item) is tuple and not _ties(item)) for item in value)
