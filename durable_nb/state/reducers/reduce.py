"""What reducers are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from durable_nb.state import refusals

Reduce = Callable[[Any], Any]
"""What `__reduce__` would return for an object"""

Table = Mapping[type, Reduce]


def refuse(value: Any) -> Any:
    """The reducer of what pickle takes, but would bring back broken."""
    raise TypeError(refusals.reason(value) or f"a {type(value).__name__} cannot be kept")


FAMILIES: set[type] = set()
"""Classes whose subclasses are reduced as they are."""


def family(kind: type[Any], reduce: Reduce) -> Table:
    """A reducer for a class and its subclasses, those that a notebook makes later included."""
    FAMILIES.add(kind)
    return {sub: reduce for sub in _subclasses(kind) if inherits(sub, kind)}


def inherits(kind: type, base: type) -> bool:
    """Whether a subclass says nothing of its own about how it is pickled."""
    hooks = ("__reduce_ex__", "__reduce__", "__getstate__")
    return all(getattr(kind, hook, None) is getattr(base, hook, None) for hook in hooks)


def _subclasses(kind: type[Any]) -> set[type[Any]]:
    found: set[type[Any]] = {kind}
    for sub in type.__subclasses__(kind):
        found |= _subclasses(sub)
    return found
