"""Subclasses of NumPy's array: plain memory, and attributes; NumPy would copy the memory into the stream."""

from __future__ import annotations

import importlib
from typing import Any

from durable_nb.state.reducers.reduce import Table, family


def of_kind(plain: Any, kind: type) -> Any:
    """A plain array as one of a subclass."""
    return plain.view(kind)


def set_attributes(target: Any, attributes: dict[str, Any]) -> None:
    """What it has beside its memory."""
    vars(target).update(attributes)


def _array(value: Any) -> Any:
    numpy = importlib.import_module("numpy")
    if value.dtype.hasobject:
        return value.__reduce_ex__(5)
    args = (value.view(numpy.ndarray), type(value))
    return of_kind, args, dict(vars(value)), None, None, set_attributes


def subclasses(module: Any) -> Table:
    """Of NumPy: those that keep nothing else."""
    return {module.recarray: _array, module.matrix: _array}


def quantities(module: Any) -> Table:
    """Of `astropy.units.quantity`."""
    return family(module.Quantity, _array)
