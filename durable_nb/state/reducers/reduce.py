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


def family(kind: type[Any]) -> set[type[Any]]:
    """A class and its subclasses, as far as they exist now: reducers go by the exact class."""
    found: set[type[Any]] = {kind}
    for sub in type.__subclasses__(kind):
        found |= family(sub)
    return found
