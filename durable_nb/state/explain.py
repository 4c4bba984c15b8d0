"""Where in a value the part is that cannot be pickled."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from durable_nb.state.refusals import reason

_DEPTH = 12
_SECONDS = 1.0


def path_to_refusal(name: str, value: Any, refuses: Callable[[Any], bool]) -> tuple[str, Any]:
    """`df.attrs['conn'].socket`: the innermost part that refuses to be pickled, as an expression; and it.

    `refuses(value)` tries to pickle a value. Ends at what is known to refuse, and after a second.
    """
    deadline = time.monotonic() + _SECONDS
    path = name
    for _ in range(_DEPTH):
        if reason(value) is not None:
            break
        for step, child in _children(value):
            if time.monotonic() > deadline:
                return path, value
            if refuses(child):
                path, value = path + step, child
                break
        else:
            break
    return path, value


def _attributes(value: Any) -> dict[Any, Any]:
    try:
        return dict(object.__getattribute__(value, "__dict__"))
    except (AttributeError, TypeError):  # it has slots only
        return {}


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    kind = type(value)
    if kind in (list, tuple):
        yield from ((f"[{i}]", child) for i, child in enumerate(value))
    elif issubclass(kind, dict):
        yield from ((f"[{key!r}]", child) for key, child in value.items())
    elif kind in (set, frozenset):
        yield from ((f"{{{i}}}", child) for i, child in enumerate(value))
    else:
        attributes = _attributes(value)
        yield from ((f".{key}", child) for key, child in attributes.items() if type(key) is str)
        closure = getattr(value, "__closure__", None) if kind.__name__ == "function" else None
        if closure:
            for variable, cell in zip(value.__code__.co_freevars, closure, strict=True):
                try:
                    yield f" (closes over `{variable}`)", cell.cell_contents
                except ValueError:  # an empty cell
                    continue
