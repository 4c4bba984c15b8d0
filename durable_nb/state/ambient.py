"""State of the interpreter that results depend on, kept beside the variables.

Each kind is a pseudo-variable `ambient:<kind>`: read by one function, put back by another. Environment
variables are never read.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PREFIX = "ambient:"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of ambient state."""

    help: str
    read: Callable[[], Any]
    """returns the value to keep; None where there is nothing to keep"""
    write: Callable[[Any], None]


def _numpy_read() -> Any:
    numpy = sys.modules.get("numpy.random")
    return None if numpy is None else numpy.get_state()


def _numpy_write(state: Any) -> None:
    import numpy as np

    np.random.set_state(state)  # noqa: NPY002 - the global generator is what is put back


def _cwd_read() -> str | None:
    try:
        return str(Path.cwd())
    except FileNotFoundError:  # it was deleted under us
        return None


def _path_write(entries: list[str]) -> None:
    sys.path.extend(entry for entry in entries if entry not in sys.path)


FIRST = (PREFIX + "cwd", PREFIX + "path")
"""Put back before anything is loaded: the user's own modules are found through them."""

KINDS: dict[str, Kind] = {
    "random": Kind("the generator of `random`", random.getstate, random.setstate),
    "numpy": Kind("NumPy's global random generator", _numpy_read, _numpy_write),
    "cwd": Kind("the working directory", _cwd_read, os.chdir),
    "path": Kind("additions to sys.path", lambda: [p for p in sys.path if type(p) is str], _path_write),
}


def read(kinds: Iterable[str]) -> dict[str, Any]:
    """The ambient state now, by pseudo-variable."""
    values = {PREFIX + kind: KINDS[kind].read() for kind in kinds}
    return {name: value for name, value in values.items() if value is not None}


def write(name: str, value: Any) -> None:
    """Put one kind back. Raises what the interpreter raises (a directory that is gone)."""
    KINDS[name.removeprefix(PREFIX)].write(value)
