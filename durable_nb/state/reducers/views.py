"""Objects that show others: they come back as what they are, and showing what was restored."""

from __future__ import annotations

import functools
import gc
import itertools
import os
import sys
import types
import warnings
import weakref
from collections import OrderedDict
from typing import Any

from durable_nb.state.reducers.reduce import Table, refuse


class _Short:
    """Something to refer to that is gone at once."""

    def method(self) -> None: ...


def weak(callback: Any, *target: Any) -> Any:
    """A weak reference; without a target, a dead one."""
    return weakref.ref(target[0] if target else _Short(), callback)


def weak_method(*method: Any) -> Any:
    """A weak reference to a bound method; without one, a dead one."""
    return weakref.WeakMethod(method[0] if method else _Short().method)


def proxy(*target: Any) -> Any:
    """A weak proxy; without a target, a dead one."""
    return weakref.proxy(target[0] if target else _Short())


def _weak(ref: Any) -> Any:
    target = ref()
    return weak, (ref.__callback__,) if target is None else (ref.__callback__, target)


def _weak_method(ref: Any) -> Any:
    method = ref()
    return weak_method, () if method is None else (method,)


def _proxy(value: Any) -> Any:
    try:
        target = value.__dir__.__self__
    except ReferenceError:
        return proxy, ()
    return proxy, (target,)


def _weak_mapping(mapping: Any) -> Any:
    return type(mapping), (), None, None, iter(list(mapping.items()))


def _shown(view: Any) -> Any:
    """The dictionary that a view or a read-only proxy shows."""
    (shown,) = (held for held in gc.get_referents(view) if isinstance(held, dict | types.MappingProxyType))
    return shown


def dict_view(shown: Any, kind: str) -> Any:
    """`shown.keys()`, `shown.values()`, `shown.items()`."""
    return getattr(shown, kind)()


def _dict_view(view: Any) -> Any:
    return dict_view, (_shown(view), type(view).__name__.partition("_")[2])


def class_namespace(kind: type) -> Any:
    """What a class shows as its `__dict__`."""
    return vars(kind)


def _read_only(view: Any) -> Any:
    shown = gc.get_referents(view)[0]
    owner = getattr(view.get("__dict__") or view.get("__weakref__"), "__objclass__", None)
    if owner is not None and gc.get_referents(vars(owner))[0] is shown:
        return class_namespace, (owner,)
    return types.MappingProxyType, (shown,)


@functools.cache
def _buffer() -> Any:
    """`Py_buffer`: nothing else says where a read-only view begins."""
    import ctypes

    class Buffer(ctypes.Structure):
        _fields_ = (
            ("buf", ctypes.c_void_p),
            ("obj", ctypes.c_void_p),
            ("len", ctypes.c_ssize_t),
            ("itemsize", ctypes.c_ssize_t),
            ("readonly", ctypes.c_int),
            ("ndim", ctypes.c_int),
            ("pointers", ctypes.c_void_p * 5),
        )

    return Buffer


_FULL = 0x118
"""PyBUF_INDIRECT: any layout, also a read-only one"""


def _address(view: memoryview) -> int:
    import ctypes

    buffer = _buffer()()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(view), ctypes.byref(buffer), _FULL)
    address: int = buffer.buf or 0
    ctypes.pythonapi.PyBuffer_Release(ctypes.byref(buffer))
    return address


def memory(base: Any, first: int, size: int, form: str, shape: tuple[int, ...], readonly: bool) -> Any:
    """Part of an object's memory."""
    view = memoryview(base).cast("B")[first : first + size]
    if (form, shape) != ("B", (size,)):
        view = view.cast(form, shape)  # type: ignore[call-overload]
    return view.toreadonly() if readonly else view


def whole_memory(base: Any, readonly: bool) -> Any:
    """An object's memory."""
    view = memoryview(base)
    return view.toreadonly() if readonly else view


def strided_memory(base: Any, first: int, stop: int | None, step: int, readonly: bool) -> Any:
    """Each so many items of an object's memory."""
    return whole_memory(base, readonly)[first:stop:step]


def _memory(view: memoryview) -> Any:
    base = view.obj
    whole = memoryview(base)
    if (view.format, view.shape, view.strides) == (whole.format, whole.shape, whole.strides):
        return whole_memory, (base, view.readonly)
    first = _address(view) - _address(whole)
    if view.c_contiguous and whole.c_contiguous:
        return memory, (base, first, view.nbytes, view.format, view.shape, view.readonly)
    shape, strides = view.shape or (), view.strides or ()
    if len(shape) == 1 and whole.ndim == 1 and whole.c_contiguous and view.format == whole.format:
        start, step = first // view.itemsize, strides[0] // view.itemsize
        stop = start + step * shape[0]
        return strided_memory, (base, start, stop if stop >= 0 else None, step, view.readonly)
    raise TypeError("a memoryview that skips parts of its object cannot be kept")


def _quietly(iterator: Any) -> Any:
    """Python 3.12 and 3.13 warn of what 3.14 cannot do: no news for the user at each checkpoint."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        make, args, *state = iterator.__reduce_ex__(5)
    return (make, args, *state[:1], None, None, set_iterator) if state else (make, args)


def set_iterator(iterator: Any, state: Any) -> None:
    """Give an iterator its position."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        iterator.__setstate__(state)


def environment(name: str) -> Any:
    """The process's environment: the one of the old process is not kept."""
    return getattr(os, name)


def _environment(value: Any) -> Any:
    for name in ("environ", "environb"):
        if getattr(os, name) is value:
            return environment, (name,)
    return refuse(value)


_DICTIONARIES: tuple[dict[Any, Any], ...] = ({}, OrderedDict())

VIEWS: Table = {
    weakref.ref: _weak,
    weakref.WeakMethod: _weak_method,
    weakref.ProxyType: _proxy,
    weakref.CallableProxyType: _proxy,
    weakref.WeakKeyDictionary: _weak_mapping,
    weakref.WeakValueDictionary: _weak_mapping,
    weakref.WeakSet: lambda value: (weakref.WeakSet, (list(value),)),
    **{type(getattr(d, k)()): _dict_view for d in _DICTIONARIES for k in ("keys", "values", "items")},
    types.MappingProxyType: _read_only,
    memoryview: _memory,
    super: lambda value: (super, (value.__thisclass__, value.__self__)),
    os._Environ: _environment,
}

if sys.version_info[:2] in {(3, 12), (3, 13)}:
    _kinds = (kind for kind in vars(itertools).values() if isinstance(kind, type))
    VIEWS = {**VIEWS, **{kind: _quietly for kind in _kinds if "__reduce__" in vars(kind)}}
