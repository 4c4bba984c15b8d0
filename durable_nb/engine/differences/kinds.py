"""Which way of comparing fits a class."""

from __future__ import annotations

import collections
import enum
import functools
import sys
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from durable_nb.engine.differences import containers, frames, libraries, objects, scalars, sources
from durable_nb.engine.differences.change import Change
from durable_nb.state.texts import STANDARD, is_data_scalar, mro

if TYPE_CHECKING:
    from durable_nb.engine.differences.walk import Walk

Compare = Callable[["Walk", Any, Any, str, int], Iterator[Change]]
"""(walk, before, after, path, depth) -> what differs"""

_BUILT_IN: tuple[tuple[tuple[type, ...], Compare], ...] = (
    ((enum.Enum,), objects.members),
    ((bool, int, float, complex), scalars.numbers),
    ((str,), scalars.texts),
    ((bytes, bytearray), scalars.binaries),
    ((dict,), containers.mappings),
    ((types.MappingProxyType,), containers.mappings),
    ((list, tuple, collections.deque), containers.sequences),
    ((set, frozenset), containers.sets),
    ((types.ModuleType,), objects.modules),
    ((type,), objects.classes),
    ((types.FunctionType,), objects.functions),
    (
        (staticmethod, classmethod, types.MethodType, property, sources.CACHED),
        objects.wrappers,
    ),
    ((functools.partial,), objects.partials),
    ((BaseException,), objects.exceptions),
)

_OF_MODULES: tuple[tuple[str, Callable[[Any], tuple[type, ...]], Compare], ...] = (
    ("numpy", lambda m: (m.ma.MaskedArray,), libraries.masked),
    ("numpy", lambda m: (m.ndarray,), libraries.arrays),
    ("numpy", lambda m: (m.number, m.bool_), scalars.numbers),
    ("pandas", lambda m: (m.DataFrame,), frames.pandas_frames),
    ("pandas", lambda m: (m.Series,), frames.pandas_series),
    ("pandas", lambda m: (m.Index,), frames.pandas_indexes),
    ("polars", lambda m: (m.DataFrame,), frames.polars_frames),
    ("polars", lambda m: (m.Series,), frames.polars_series),
    ("torch", lambda m: (m.Tensor,), libraries.tensors),
    ("torch", lambda m: (m.nn.Module,), libraries.networks),
    ("torch.optim", lambda m: (m.Optimizer,), libraries.optimizers),
)


SCALARS: frozenset[Compare] = frozenset(
    {scalars.numbers, scalars.texts, scalars.binaries, scalars.standard, objects.members}
)
"""Ways of comparing what has no parts: being one object in two places means nothing."""


def family(kind: type) -> Compare | None:
    """How two values of a class are compared; None where they do not show what they hold."""
    bases = mro(kind)
    for name, known, compare in _OF_MODULES:
        module = sys.modules.get(name)
        if module is not None and not set(bases).isdisjoint(_known(module, known)):
            return compare
    for built_in, compare in _BUILT_IN:
        if not set(bases).isdisjoint(built_in):
            return compare
    if kind in STANDARD or is_data_scalar(kind):
        return scalars.standard
    if any("get_params" in vars(base) for base in bases):
        return libraries.estimators
    return objects.plain if objects.has_attributes(kind) else None


def _known(module: Any, known: Callable[[Any], tuple[type, ...]]) -> tuple[type, ...]:
    try:
        return known(module)
    except AttributeError:  # it is half imported
        return ()
