"""What can neither change nor hold anything that can: sharing it is not sharing."""

from __future__ import annotations

import dataclasses
import re
import sys
import types
from typing import Any

from durable_nb.state.classes import in_notebook

ATOMIC: frozenset[type] = frozenset({
    int, float, complex, bool, str, bytes, type(None), type(Ellipsis), type(NotImplemented), range, slice,
    types.CodeType, types.GetSetDescriptorType,
    types.MemberDescriptorType, types.MethodDescriptorType, types.WrapperDescriptorType,
    types.ClassMethodDescriptorType, re.Pattern,
    type(dataclasses.MISSING), type(dataclasses._FIELD),  # type: ignore[attr-defined]
    type(dataclasses._HAS_DEFAULT_FACTORY),  # type: ignore[attr-defined]
})  # fmt: skip
"""Types whose objects hold nothing that can change: sharing them is not sharing."""

NO_METADATA: Any = dataclasses._EMPTY_METADATA  # type: ignore[attr-defined]
"""What all fields of dataclasses share that have none."""

_LIBRARY_MODULES = ("numpy", "pandas", "pyarrow", "datetime", "decimal", "fractions", "uuid", "pathlib")
_IMMUTABLE_NAMES = frozenset({
    "numpy.dtype", "datetime.datetime", "datetime.date", "datetime.time", "datetime.timedelta",
    "datetime.timezone", "decimal.Decimal", "fractions.Fraction", "uuid.UUID", "pathlib.PosixPath",
    "pandas._libs.tslibs.timestamps.Timestamp", "pandas._libs.tslibs.timedeltas.Timedelta",
    "pandas._libs.missing.NAType", "pandas._libs.tslibs.nattype.NaTType",
})  # fmt: skip


def may_be_atomic(kind: type) -> bool:
    """Whether some objects of a class are atomic."""
    some = (types.BuiltinFunctionType, types.MethodWrapperType, types.ModuleType, types.MappingProxyType)
    return kind in some or library(kind) in _LIBRARY_MODULES


def library(kind: type) -> str:
    """The top-level module of a class; "" where it has none."""
    module = kind.__module__
    return module.partition(".")[0] if type(module) is str else ""


def is_atomic(value: Any) -> bool:
    """Whether a value can neither change nor hold anything that can."""
    kind = type(value)
    if kind in ATOMIC:
        return True
    if kind in (types.BuiltinFunctionType, types.MethodWrapperType):
        return isinstance(value.__self__, types.ModuleType | type | None)
    if kind is types.MappingProxyType:
        return value is NO_METADATA
    if kind is types.ModuleType:
        return (
            getattr(value, "__spec__", None) is not None
            and sys.modules.get(getattr(value, "__name__", "")) is value
        )
    if issubclass(kind, type):
        return not in_notebook(kind) and not in_notebook(value)
    if library(kind) not in _LIBRARY_MODULES:
        return False
    if f"{kind.__module__}.{kind.__qualname__}" in _IMMUTABLE_NAMES:
        return True
    dtypes = sys.modules.get("pandas.core.dtypes.base")
    if dtypes is not None and issubclass(kind, dtypes.ExtensionDtype):
        return kind.__name__ != "CategoricalDtype"  # that one holds the categories
    numpy = sys.modules.get("numpy")
    return numpy is not None and issubclass(kind, numpy.generic | numpy.dtype) and kind is not numpy.void
