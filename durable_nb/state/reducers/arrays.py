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


def table(kind: type) -> Any:
    """A table without columns."""
    return object.__new__(kind)


def set_table(target: Any, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Give a table its columns, which are told of it: `Table` itself would copy them."""
    attributes, columns = state
    vars(target).update(attributes)
    target.columns = target.TableColumns(columns)
    for column in columns.values():
        column.info.parent_table = target


def _table(value: Any) -> Any:
    attributes = {name: held for name, held in vars(value).items() if name != "columns"}
    return table, (type(value),), (attributes, dict(value.columns)), None, None, set_table


def tables(module: Any) -> Table:
    """Of `astropy.table.table`."""
    return family(module.Table, _table)


def info(kind: Any) -> Any:
    """What astropy notes of a column or quantity, empty."""
    return kind(bound=True)


def set_info(target: Any, attributes: dict[str, Any]) -> None:
    """Name, format, description."""
    target._attrs = attributes


def _info(value: Any) -> Any:
    return info, (type(value),), dict(value._attrs), None, None, set_info


def infos(module: Any) -> Table:
    """Of `astropy.utils.data_info`: unpickled by astropy alone, it cannot be formatted."""
    return family(module.DataInfo, _info)
