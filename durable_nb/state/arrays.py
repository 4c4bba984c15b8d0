"""NumPy arrays: a view is written as a view of the array whose memory it shows."""

from __future__ import annotations

import array as array_module
import pickle
import sys
from typing import Any


def is_plain(value: Any) -> bool:
    """Whether a value is a contiguous array of numbers, with memory of its own."""
    numpy = sys.modules.get("numpy")
    if numpy is None or type(value) is not numpy.ndarray or value.base is not None:
        return False
    flags = value.flags
    return not value.dtype.hasobject and (flags.c_contiguous or flags.f_contiguous)


def shape_of(value: Any) -> Any:
    """All about a plain array, or a view of one, but the bytes of `memory_of` it; None for anything else."""
    if is_plain(value):
        return _layout(value)
    numpy = sys.modules.get("numpy")
    if numpy is None or type(value) is not numpy.ndarray or not is_plain(value.base):
        return None
    return (
        None if value.dtype.hasobject else (_layout(value), _layout(value.base), _offset(value, value.base))
    )


def memory_of(array: Any) -> memoryview:
    """The bytes that an array shows, and all others of its base."""
    return pickle.PickleBuffer(array if array.base is None else array.base).raw()


def _layout(array: Any) -> tuple[Any, ...]:
    return array.shape, array.strides, array.dtype, array.flags.writeable


def array_reduce(array: Any) -> Any:
    """How to make an array again; of a view, from its base."""
    root, base = array, array.base
    if base is None:
        return _base_reduce(array)
    numpy = sys.modules["numpy"]
    while issubclass(type(base), numpy.ndarray) or type(base).__name__ == "DummyArray":
        if type(base).__name__ != "DummyArray":  # `as_strided` puts one between
            root = base
        base = base.base
    while type(base) is memoryview:
        base = base.obj
    if type(base) in _EXPORTERS and not array.dtype.hasobject:
        return _view_reduce(array, numpy.frombuffer(base, "u1"), base)
    if root is array or not (root.flags.c_contiguous or root.flags.f_contiguous):
        return _base_reduce(array)
    if type(root) not in (numpy.ndarray, numpy.memmap):
        if array.flags.c_contiguous or array.flags.f_contiguous or root.dtype.hasobject:
            return _base_reduce(array)  # a buffer over the same memory, which makes them one region
        root = numpy.frombuffer(pickle.PickleBuffer(root).raw(), numpy.uint8)
    if root.dtype == object == array.dtype:
        first = _offset(array, root) // root.itemsize
        args = (root, array.shape, array.strides, first)
        return object_view, args, (array.flags.writeable,), None, None, set_writeable
    if root.dtype.hasobject:
        return array.__reduce_ex__(5)
    return _view_reduce(array, root, root)


def _view_reduce(array: Any, root: Any, base: Any) -> Any:
    offset = _offset(array, root)
    if not 0 <= offset <= root.nbytes:
        return array.__reduce_ex__(5)
    args = (base, array.dtype, array.shape, array.strides, offset)
    return array_view, args, (array.flags.writeable,), None, None, set_writeable


def _base_reduce(array: Any) -> Any:
    made = array.__reduce_ex__(5)
    if len(made) > 2:  # in band: it holds objects, or is not contiguous
        return _object_reduce(array, made[2]) if _holds_objects(array) else made
    return base_array, made, (array.flags.writeable,), None, None, set_writeable


def _holds_objects(array: Any) -> bool:
    numpy = sys.modules["numpy"]
    return type(array) is numpy.ndarray and array.dtype.char == "O" and array.dtype.metadata is None


def _object_reduce(array: Any, state: Any) -> Any:
    """It has its shape before it is filled: what it holds may show it through a view."""
    _, shape, _, fortran, _ = state
    whole = (array.flags.writeable, state)
    return object_array, (shape, "F" if fortran else "C"), whole, None, None, fill_object_array


def _offset(array: Any, root: Any) -> int:
    first: int = array.__array_interface__["data"][0]
    return first - int(root.__array_interface__["data"][0])


_EXPORTERS = (bytearray, array_module.array)
_SMALL = 64 << 10


def base_array(make: Any, args: tuple[Any, ...]) -> Any:
    """An array over a buffer; a small one gets memory of its own, which it can resize."""
    memory = memoryview(args[0])
    made = make(_unlocked(memory) if memory.readonly else args[0], *args[1:])
    shared = type(memory.obj) is bytearray
    return made if shared or made.nbytes > _SMALL else made.copy(order="K")


def object_array(shape: tuple[int, ...], order: Any) -> Any:
    """An array of objects that `fill_object_array` fills."""
    import numpy as np

    return np.empty(shape, object, order)


def fill_object_array(array: Any, state: tuple[bool, Any]) -> None:
    """Put into an array what NumPy's own state of it holds; its memory stays where it is."""
    writeable, whole = state
    held = type(array)(0, array.dtype)
    held.__setstate__(whole)
    array[...] = held
    array.flags.writeable = writeable


def _unlocked(memory: memoryview) -> memoryview:
    """The memory behind a read-only buffer: a view of the array may be writable."""
    import numpy as np

    whole = memoryview(memory.obj)
    if whole.readonly or not memory.nbytes:
        return memory
    first = _offset(np.frombuffer(memory, np.uint8), np.frombuffer(whole, np.uint8))
    return whole.cast("B")[first : first + memory.nbytes]


def array_view(base: Any, dtype: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Any:
    """A view of a restored base."""
    import numpy as np

    if type(base) is np.ndarray:
        if not base.nbytes:
            return np.ndarray(shape, dtype)
        base = np.ndarray((base.nbytes,), np.uint8, base.reshape(-1, order="A").view("u1"))
    elif type(base) in _EXPORTERS:
        base = np.frombuffer(base, np.uint8)  # it cannot be resized as long as this lives
    return np.ndarray(shape, dtype, base, offset, strides)


def record_reduce(record: Any) -> Any:
    """How to make a record again; one of an array, which shows its memory, from the array."""
    numpy, base = sys.modules["numpy"], record.base
    if type(base) is not numpy.ndarray or not (base.flags.c_contiguous or base.flags.f_contiguous):
        return record.__reduce__()
    first, rest = divmod(_offset(record, base), base.itemsize)
    if rest or base.dtype != record.dtype or not 0 <= first < base.size:
        return record.__reduce__()
    return record_of, (base, first)


def record_of(base: Any, first: int) -> Any:
    """A record of a restored array."""
    return base.reshape(-1, order="A")[first]


def object_view(base: Any, shape: tuple[int, ...], strides: tuple[int, ...], first: int) -> Any:
    """A view of a restored array of objects, from its item number `first` on."""
    from numpy.lib.stride_tricks import as_strided

    return as_strided(base.reshape(-1, order="A")[first:], shape, strides)


def set_writeable(array: Any, state: tuple[bool]) -> None:
    """Make an array read-only, or writable, as it was."""
    if state[0] and not array.flags.writeable:
        _make_writeable(array)
    elif not state[0]:
        array.flags.writeable = False


def _make_writeable(view: Any) -> None:
    """A view may be writable although its base, by now, is not."""
    bases = []
    base = view.base
    while hasattr(base, "flags") and not base.flags.writeable:
        bases.append(base)
        base = base.base
    for locked in reversed(bases):
        locked.flags.writeable = True
    view.flags.writeable = True
    for locked in bases:
        locked.flags.writeable = False
