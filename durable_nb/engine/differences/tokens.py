"""What stands for a value where equal ones are looked for."""

from __future__ import annotations

from typing import Any

from blake3 import blake3

from durable_nb.state import canonical, pickling
from durable_nb.state.texts import ATOMS, STANDARD, qualified


def digest(value: Any) -> str:
    """A digest of any object that can be kept, wherever it is; raises what pickling it raises."""
    values = {"value": value}
    try:
        return canonical.digest(values, values)
    except RecursionError:  # putting its sets in order takes the stack; plain pickling does not
        dump = pickling.dump_values(values, values)
        hashed = blake3(dump.stream)
        for region in dump.regions:
            hashed.update(region.memory.cast("B"))
        return hashed.hexdigest()


def token(value: Any) -> Any:
    """Something to find an equal value by, without its own `__hash__` and `__eq__`."""
    kind = type(value)
    if kind is float:
        return kind, repr(value)
    if kind in ATOMS or kind in STANDARD:
        return kind, value
    if kind is tuple:
        return kind, tuple(map(token, value))
    if issubclass(kind, type):
        return kind, qualified(value)
    return qualified(kind), digest(value)
