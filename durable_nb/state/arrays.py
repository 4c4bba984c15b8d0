"""NumPy arrays: a view is written as a view of the array whose memory it shows."""

from __future__ import annotations

import sys
from typing import Any


def array_reduce(array: Any) -> Any:
    """How to make an array again; of a view, from its base."""
    root, base = array, array.base
    while type(base) in (type(array), sys.modules["numpy"].memmap) or type(base).__name__ == "DummyArray":
        if type(base).__name__ != "DummyArray":  # `as_strided` puts one between
            root = base
        base = base.base
    if root is array or not (root.flags.c_contiguous or root.flags.f_contiguous):
        return array.__reduce_ex__(5)
    offset = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    if not 0 <= offset <= root.nbytes:
        return array.__reduce_ex__(5)
    state = (array.flags.writeable,)
    if root.dtype == object == array.dtype:
        first = offset // root.itemsize
        return object_view, (root, array.shape, array.strides, first), state, None, None, set_writeable
    if root.dtype.hasobject:
        return array.__reduce_ex__(5)
    args = (root, array.dtype, array.shape, array.strides, offset)
    return array_view, args, state, None, None, set_writeable


def array_view(base: Any, dtype: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Any:
    """A view of a restored base."""
    import numpy as np

    if not base.nbytes:
        return np.ndarray(shape, dtype)
    flat = np.ndarray((base.nbytes,), np.uint8, base.reshape(-1, order="A").view("u1"))
    return np.ndarray(shape, dtype, flat, offset, strides)


def object_view(base: Any, shape: tuple[int, ...], strides: tuple[int, ...], first: int) -> Any:
    """A view of a restored array of objects, from its item number `first` on."""
    from numpy.lib.stride_tricks import as_strided

    return as_strided(base.reshape(-1, order="A")[first:], shape, strides)


def set_writeable(array: Any, state: tuple[bool]) -> None:
    """Make a view read-only, where it was."""
    if not state[0]:
        array.flags.writeable = False
