"""State of the interpreter and of libraries that results depend on, kept beside the variables.

Each kind is a pseudo-variable `ambient:<kind>`. Only what is imported already is looked at; environment
variables never are.
"""

from __future__ import annotations

import functools
import os
import random
import re
import site
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from durable_nb.state import ambient_libraries as libraries
from durable_nb.state.special import REGISTERED

PREFIX = "ambient:"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of ambient state."""

    help: str
    stamp: Callable[[Any], Any]
    """given its last result, what differs where the state differs: microseconds. None: nothing to keep"""
    value: Callable[[Any], Any]
    """what to keep, given the stamp"""
    write: Callable[[Any], None]


def _cwd_stamp(_before: Any) -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - after every cell, and `Path.cwd` takes ten times as long
    except FileNotFoundError:  # it was deleted under us
        return None


@functools.cache
def _installation() -> tuple[str, ...]:
    """Where this Python and its packages are: another one has its own."""
    import sysconfig

    paths = sysconfig.get_paths()
    archive = f"python{sys.version_info[0]}{sys.version_info[1]}.zip"
    return (
        *(paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")),
        *site.getsitepackages([sys.prefix, sys.base_prefix]),
        site.getusersitepackages(),
        str(Path(sys.base_prefix, sys.platlibdir, archive)),
    )


def _path_value(entries: tuple[Any, ...]) -> tuple[list[str], list[str]]:
    """Additions that come before the installation, and those after."""
    sides: tuple[list[str], list[str]] = ([], [])
    behind = False
    for entry in entries:
        if type(entry) is not str or not entry:  # "" is the working directory
            continue
        installed = any(entry == root or entry.startswith(root + os.sep) for root in _installation())
        behind = behind or installed
        if not installed:
            sides[behind].append(entry)
    return sides


def _path_write(sides: tuple[list[str], list[str]]) -> None:
    """Add what is missing. Nothing is taken away: what was imported from there may import more."""
    front, back = ([entry for entry in side if entry not in sys.path] for side in sides)
    sys.path[:0] = front
    sys.path.extend(back)


_ATTRIBUTES = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")


def _decimal_stamp(_before: Any) -> str | None:
    decimal = sys.modules.get("decimal")
    return None if decimal is None else repr(decimal.getcontext())


def _decimal_value(_stamp: str) -> dict[str, Any]:
    context = sys.modules["decimal"].getcontext()
    kept: dict[str, Any] = {name: getattr(context, name) for name in _ATTRIBUTES}
    for signals in ("traps", "flags"):
        kept[signals] = [signal.__name__ for signal, on in getattr(context, signals).items() if on]
    return kept


def _decimal_write(kept: dict[str, Any]) -> None:
    import decimal

    context = decimal.getcontext()  # changed, not replaced: other code may hold it
    for name in _ATTRIBUTES:
        setattr(context, name, kept[name])
    for signals in ("traps", "flags"):
        switches = getattr(context, signals)
        for signal in switches:
            switches[signal] = signal.__name__ in kept[signals]


def _warnings_value(filters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    kept = ((action, category, message, module, line) for action, message, category, module, line in filters)
    return [
        (action, _category(category), _pattern(message), _pattern(module), line)
        for action, category, message, module, line in kept
        if category.__module__ == "__main__" or _found(*_name(category)) is category
    ]


def _name(category: type[Warning]) -> tuple[str, str]:
    return category.__module__, category.__qualname__


def _category(category: type[Warning]) -> Any:
    """By name, so that one that cannot be imported costs its filter only; the notebook's own as they are."""
    return category if category.__module__ == "__main__" else _name(category)


def _pattern(pattern: Any) -> Any:
    return (pattern.pattern, pattern.flags) if isinstance(pattern, re.Pattern) else pattern


def _found(module: str, qualname: str) -> Any:
    return functools.reduce(
        lambda held, part: getattr(held, part, None), qualname.split("."), sys.modules.get(module)
    )


def _warnings_write(kept: list[tuple[Any, ...]]) -> None:
    filters: list[Any] = []
    lost: list[str] = []
    for action, category, message, module, line in kept:
        if isinstance(category, tuple):
            try:
                import_module(category[0])
            except Exception:  # importing runs any code; the others are put back
                lost.append(".".join(category))
                continue
            category = _found(*category)  # noqa: PLW2901 - the class that the name stands for
        if isinstance(category, type) and issubclass(category, Warning):
            compiled = (re.compile(*p) if isinstance(p, tuple) else p for p in (message, module))
            filters.append((action, next(compiled), category, next(compiled), line))
    warnings.resetwarnings()  # this also tells the interpreter that they changed
    warnings.filters.extend(filters)  # type: ignore[attr-defined]
    if lost:
        raise ImportError(f"filters for {', '.join(lost)} are left out: that cannot be imported")


def _registered_write(kept: dict[type, Callable[[Any], Any]]) -> None:
    REGISTERED.clear()
    REGISTERED.update(kept)


FIRST = (PREFIX + "cwd", PREFIX + "path")
"""Put back before anything is loaded: the user's own modules are found through them."""

KINDS: dict[str, Kind] = {
    "random": Kind(
        "the generator of `random`", lambda _before: random.getstate(), lambda state: state, random.setstate
    ),
    "numpy": Kind(
        "NumPy's global random generator",
        libraries.numpy_stamp,
        libraries.numpy_value,
        libraries.numpy_write,
    ),
    "torch": Kind(
        "PyTorch's default random generators",
        libraries.torch_stamp,
        lambda states: states,
        libraries.torch_write,
    ),
    "cwd": Kind("the working directory", _cwd_stamp, lambda folder: folder, os.chdir),
    "path": Kind("additions to sys.path", lambda _before: tuple(sys.path), _path_value, _path_write),
    "matplotlib": Kind(
        "Matplotlib's rcParams that differ from the user's defaults (never the backend)",
        libraries.matplotlib_stamp,
        libraries.matplotlib_value,
        libraries.matplotlib_write,
    ),
    "pandas": Kind(
        "pandas' options that differ from the defaults",
        libraries.pandas_stamp,
        libraries.pandas_value,
        libraries.pandas_write,
    ),
    "decimal": Kind("the context of `decimal`", _decimal_stamp, _decimal_value, _decimal_write),
    "warnings": Kind(
        "the filters of `warnings`",
        lambda _before: tuple(warnings.filters),
        _warnings_value,
        _warnings_write,
    ),
    "registered": Kind(
        "what `durable_nb.register` was told",
        lambda _before: tuple(REGISTERED.items()) or None,
        dict,
        _registered_write,
    ),
}


class Watch:
    """What of the ambient state changed since it was asked last."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self._kinds = tuple(kinds)
        self._seen: dict[str, tuple[Any, object]] = {}

    def changed(self, live: Mapping[str, object]) -> dict[str, Any]:
        """The kinds to keep anew, by pseudo-variable.

        Also those whose entry in `live`, what is known to be kept, is not the one that stood there the
        last time: it was forgotten, or another checkpoint was gone to.
        """
        found: dict[str, Any] = {}
        for kind in self._kinds:
            name = PREFIX + kind
            before, entry = self._seen.get(name, (None, None))
            with suppress(Exception):  # a library that is half imported, or patched: the next cell's turn
                stamp = KINDS[kind].stamp(before)
                if stamp is None or (entry is not None and entry is live.get(name) and stamp == before):
                    continue
                found[name] = KINDS[kind].value(stamp)
                self._seen[name] = (stamp, live.get(name))
        return found


def write(name: str, value: Any) -> None:
    """Put one kind back. Raises what the interpreter raises (a directory that is gone)."""
    KINDS[name.removeprefix(PREFIX)].write(value)
