"""What objects hold: `gc.get_referents`, with handlers for what the collector cannot see through."""

from __future__ import annotations

import asyncio
import functools
import gc
import io
import logging
import os
import sys
import types
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from durable_nb.state import instances
from durable_nb.state.access import of_code
from durable_nb.state.arrays import is_plain
from durable_nb.state.atoms import library
from durable_nb.state.functions import is_script, own_scope


class _Token:
    """Stands for a global name of a script."""


class Walk:
    """What objects hold, and the memory that they use."""

    def __init__(self, space: Mapping[str, Any]) -> None:
        self._space = space
        self.memory: list[tuple[int, int, int]] = []
        """(first byte, one past the last, owner)"""
        self._special: dict[type, bool] = {}
        self._inline: dict[type, Any] = {}
        self._tokens: dict[tuple[int, str], _Token] = {}

    def referents(self, batch: Mapping[int, Any], owner: int) -> list[Any]:
        """What the objects of `batch` hold: the collector's answer, with handlers where it is blind."""
        special = {kind for kind in set(map(type, batch.values())) if self._is_special(kind)}
        found = self._outside(batch.values()) if _INLINE else []
        if not special:
            return found + gc.get_referents(*batch.values())
        found += gc.get_referents(*(obj for obj in batch.values() if type(obj) not in special))
        for obj in batch.values():
            if type(obj) in special:
                try:
                    found.extend(self._held(obj, type(obj), owner))
                except Exception:
                    found.extend(gc.get_referents(obj))  # half-made or odd: what the collector sees has to do
        return found

    def _outside(self, objects: Iterable[Any]) -> list[Any]:
        """The dicts of instances that somebody else holds too: where values lie inline, none is seen."""
        found = []
        kinds, getrefcount = self._inline, sys.getrefcount
        for obj in objects:
            kind = type(obj)
            try:
                get = kinds[kind]
            except KeyError:
                get = kinds[kind] = instances.dict_getter(kind) if kind.__flags__ & _INLINE else None
            if get is not None:
                held = get(obj)
                if getrefcount(held) > instances.ALONE:
                    found.append(held)
        return found

    def plain_array(
        self, obj: Any, owner: int, owner_of: dict[int, int], join: Callable[[int, int], None]
    ) -> bool:
        """Note the memory of an array that holds nothing else; whether `obj` is one."""
        if not is_plain(obj):
            return False
        first = owner_of.setdefault(id(obj), owner)
        if first != owner:
            join(first, owner)
        elif obj.nbytes:
            start = obj.__array_interface__["data"][0]
            self.memory.append((start, start + obj.nbytes, owner))
        return True

    def _is_special(self, kind: type) -> bool:
        known = self._special.get(kind)
        if known is None:
            known = self._special[kind] = library(kind) in _HANDLED or issubclass(kind, _SPECIAL)
        return known

    def _held(self, obj: Any, kind: type, owner: int) -> Iterable[Any]:
        if kind is types.FunctionType:
            held = [*(obj.__closure__ or ()), obj.__defaults__, obj.__kwdefaults__, obj.__dict__ or None]
            scope = own_scope(obj, self._space)
            if scope is not None and not is_script(scope):
                held.append(scope)
            elif scope is not None:
                for name in of_code(obj.__code__) & scope.keys():
                    # The object, and the name: functions that set it have to stay together.
                    held += [scope[name], self._tokens.setdefault((id(scope), name), _Token())]
            return held
        if issubclass(kind, type):
            # `copyreg` leaves a list of slot names in every class whose instances were pickled.
            own = [held for key, held in vars(obj).items() if key != "__slotnames__"]
            return [*own, *obj.__bases__, kind]
        if issubclass(kind, weakref.ref):
            return [obj(), obj.__callback__, getattr(obj, "__dict__", None)]
        if issubclass(kind, weakref.ProxyTypes):
            return [obj.__dir__.__self__]
        if kind in _UNKEPT:
            return []
        if kind is functools._lru_cache_wrapper:
            return [vars(obj)]  # its cache is not kept
        if issubclass(kind, types.ModuleType):
            return [vars(obj)]
        if issubclass(kind, logging.Logger):
            return [obj.handlers, obj.filters]  # its manager and parents lead to all others
        if (
            issubclass(kind, _PROCESS)
            or library(kind) == "ipykernel"
            or any(obj is stream for stream in _STREAMS)
        ):
            return []  # it is the process's, and leads to all of it
        if kind is memoryview:
            self._interval(obj, owner)
            return [obj.obj]
        root = library(kind)
        more: Iterable[Any] | None = None
        if root == "pandas":
            more = _pandas(obj)
        elif root == "pyarrow":
            more = _arrow(obj, self, owner)
        elif root == "torch":
            more = _torch(obj, self, owner)
        elif "numpy" in sys.modules:
            more = self._numpy(obj, owner)
        return gc.get_referents(obj) if more is None else more

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
    asyncio.AbstractEventLoop, type(os.environ), io.TextIOWrapper, types.TracebackType, types.FrameType,
    functools._lru_cache_wrapper,
)  # fmt: skip
_INLINE = 1 << 2 if sys.version_info >= (3, 13) else 0
"""Flag of a class whose instances hold the values of their attributes themselves (CPython's `object.h`)."""
_UNKEPT = (types.TracebackType, types.FrameType)
"""What an error leads to, and is not kept with it: all that ran when it was raised."""
_PROCESS = (asyncio.AbstractEventLoop, type(os.environ))
_STREAMS = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
_HANDLED = frozenset({"ipykernel", "numpy", "pandas", "pyarrow", "torch"})
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


def _arrow(obj: Any, walk: Walk, owner: int) -> Iterable[Any] | None:
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


def _torch(obj: Any, walk: Walk, owner: int) -> Iterable[Any] | None:
    torch = sys.modules["torch"]
    if not issubclass(type(obj), torch.Tensor):
        return None
    if obj.layout == torch.strided and obj.device.type == "cpu":
        storage = obj.untyped_storage()
        if storage.nbytes():
            walk.memory.append((storage.data_ptr(), storage.data_ptr() + storage.nbytes(), owner))
    return [obj.__dict__, obj.grad if obj.is_leaf else None]
