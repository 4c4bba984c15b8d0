"""Where a profile's time went, by what it was spent on."""

from __future__ import annotations

from cProfile import Profile
from pathlib import Path, PurePath
from pstats import Stats
from typing import Any

import durable_nb

PACKAGE = Path(durable_nb.__file__).parent

Function = tuple[str, int, str]

_BUILT_IN = {"xxh3": "hashing", "Pickler": "pickling, in C", "blake3": "digests", "acquire": "waiting"}
"""Functions of C that are a phase of their own, wherever they are called from."""

_STATE = {
    "access": "what the cell touches",
    "sharing": "what shares objects",
    "pickling": "pickling, in Python",
    "source": "pickling, in Python",
    "special": "pickling, in Python",
    "pool": "copying",
    "ambient": "ambient state",
    "capture": "bookkeeping of the capture",
}

MOST = 15
"""Functions that are listed."""


def phase(function: Function) -> str | None:
    """What a function is for; None where that depends on who calls it."""
    file, _, name = function
    for part, found in _BUILT_IN.items():
        if part in name:
            return found
    path = PurePath(file)
    if not path.is_relative_to(PACKAGE):
        return None
    layer, *rest = path.relative_to(PACKAGE).parts
    return (
        _STATE.get(path.stem, "state: other") if layer == "state" and rest else f"{layer.removesuffix('.py')}"
    )


def table(profile: Profile, cells: int) -> dict[str, Any]:
    """Milliseconds a cell: by phase, and of the functions that took most."""
    phases: dict[str, float] = {}
    functions: dict[str, float] = {}
    stats: Any = Stats(profile)
    for function, (_, _, own, _, callers) in stats.stats.items():
        known = phase(function)
        by = {function: own} if known else {caller: spent[2] for caller, spent in callers.items()}
        for caller, seconds in by.items():
            what = known or phase(caller) or "other"
            name = function[2] if known else f"{function[2]} in {caller[2]}"
            phases[what] = phases.get(what, 0.0) + seconds * 1e3 / cells
            functions[f"{what}: {name}"] = functions.get(f"{what}: {name}", 0.0) + seconds * 1e3 / cells
    return {"phases": _sorted(phases), "functions": dict(list(_sorted(functions).items())[:MOST])}


def _sorted(found: dict[str, float]) -> dict[str, float]:
    return dict(sorted(found.items(), key=lambda item: -item[1]))
