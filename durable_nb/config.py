"""Every setting: its name, type, default and help. The help is the documentation.

A setting comes, in this order, from `%config Durable.<name>`, the environment (`DURABLE_NB_<NAME>`),
`[tool.durable_nb]` in the nearest `pyproject.toml`, or its default.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from durable_nb.errors import UsageError

_UNITS = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30,
}  # fmt: skip
_SPANS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_AMBIENT = (
    "random", "numpy", "torch", "cwd", "path", "matplotlib", "pandas", "decimal", "warnings", "registered",
)  # fmt: skip
_AMOUNT = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?)\s*([a-z]*)\s*", re.IGNORECASE)


def _setting(default: Any, text: str, kind: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"help": text, "kind": kind, "choices": choices})


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force."""

    enabled: bool = _setting(True, "record cells; off means that nothing is kept", "bool")
    store: str = _setting("", "folder of the store; empty: `.durable` beside the notebook", "text")
    durability: str = _setting(
        "async",
        "async: a cell returns when its state is captured; sync: when it is safe",
        "choice",
        ("async", "sync"),
    )
    auto_recovery: Literal["on", "ask", "off"] = _setting(
        "on",
        "after a loss, when the extension loads: on: bring the variables back; ask: say so and wait for "
        "%recover; off: begin a new execution",
        "switch",
        ("on", "ask", "off"),
    )
    recovery_max_attempts: int = _setting(
        3, "attempts at a node that the kernel dies in, over all restarts, before it is quarantined", "count"
    )
    recovery_delay: float = _setting(
        10.0, "from the start of a lost attempt to that of the next one, at least", "seconds"
    )
    recovery_timeout: float = _setting(
        300.0,
        "how long loading one variable may take before an older checkpoint is used; 0: no limit",
        "seconds",
    )
    attempts: int = _setting(3, "attempts in all, where `--retries` gives no number", "count")
    backoff: float = _setting(1.0, "before the second attempt, at most; doubled each time", "seconds")
    backoff_cap: float = _setting(60.0, "between two attempts, at most", "seconds")
    on_code_change: Literal["ask", "use", "rerun"] = _setting(
        "rerun",
        "a finished node whose source changed, when it comes up after a loss: run it, use its recorded "
        "result, or ask",
        "choice",
        ("ask", "use", "rerun"),
    )
    progress_tracking: bool = _setting(True, "tell those who subscribed how the notebook proceeds", "bool")
    resume: bool = _setting(
        False,
        "a notebook whose path is unknown (nbclient, papermill) continues its last unfinished run",
        "bool",
    )
    resume_window: float = _setting(86400.0, "oldest unfinished run that `resume` continues", "seconds")
    exclude: tuple[str, ...] = _setting(
        (
            "*api_key*", "*apikey*", "token", "*_token", "*password*", "*passwd*", "*secret*", "*credential*",
            "*private_key*",
        ),
        "names that are never kept (shell patterns, any case)",
        "names",
    )  # fmt: skip
    ambient: tuple[str, ...] = _setting(
        _AMBIENT,
        "kinds of ambient state to keep, where the library is imported; leave one out to turn it off",
        "names",
        _AMBIENT,
    )
    max_block: float = _setting(
        2.0, "an automatic save that would hold up a cell longer is put off", "seconds"
    )
    max_capture: float = _setting(30.0, "how long pickling one variable may take; 0: no limit", "seconds")
    min_free: int = _setting(10**9, "bytes of the disk that saving leaves free", "bytes")
    max_bytes: int = _setting(
        50 * 10**9, "beyond this the oldest automatic checkpoints of plain cells are removed", "bytes"
    )
    pool: int = _setting(
        0, "bytes of copies in flight to the disk; 0: 1/16 of memory, at most 256 MiB", "bytes"
    )
    scan_every: int = _setting(25, "look at every variable at least each so many cells", "count")
    compression: Literal["lz4", "zstd", "none"] = _setting(
        "lz4", "of chunks that shrink", "choice", ("lz4", "zstd", "none")
    )
    output_limit: int = _setting(1 << 20, "bytes of one recorded output; longer ones are cut", "bytes")


def definitions() -> dict[str, tuple[Any, str, str]]:
    """Every setting: name -> (default, kind, help)."""
    return {f.name: (f.default, f.metadata["kind"], f.metadata["help"]) for f in fields(Settings)}


def parse(name: str, value: Any) -> Any:
    """A setting's value from what a person wrote.

    Raises:
        UsageError: unknown name, or a value that is not allowed; it names setting, value and what is.
    """
    known = {f.name: f for f in fields(Settings)}
    if name not in known:
        raise UsageError(f"no setting `{name}`; there are {', '.join(known)}")
    kind, choices = known[name].metadata["kind"], known[name].metadata["choices"]
    try:
        return _PARSERS[kind](value, choices)
    except (ValueError, TypeError) as error:
        raise UsageError(f"setting `{name}` cannot be {value!r}: {error}") from None


def _bool(value: Any, _choices: tuple[str, ...]) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("it is true or false")


def _switch(value: Any, choices: tuple[str, ...]) -> str:
    """One of the choices; what is true is the first of them, and what is false the last."""
    text = str(value).strip().lower()
    if text in choices:
        return text
    try:
        return choices[0] if _bool(value, ()) else choices[-1]
    except ValueError:
        raise ValueError(f"it is one of {', '.join(choices)}") from None


def _choice(value: Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise ValueError(f"it is one of {', '.join(choices)}")
    return str(value)


def _amount(value: Any, units: Mapping[str, float], example: str) -> float:
    if isinstance(value, bool):
        raise TypeError(f"it is an amount, such as {example}")
    if isinstance(value, int | float):
        number, unit = float(value), ""
    else:
        match = _AMOUNT.fullmatch(str(value))
        if match is None or match[2].lower() not in units:
            raise ValueError(f"it is an amount, such as {example}")
        number, unit = float(match[1]), match[2].lower()
    if not number >= 0:
        raise ValueError("it is not negative")
    return number * units[unit]


def _names(value: Any, choices: tuple[str, ...]) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not all(isinstance(item, str) for item in items):
        raise TypeError("it is a list of names")
    names = tuple(item.strip() for item in items if item.strip())
    if choices and not set(names) <= set(choices):
        raise ValueError(f"it is some of {', '.join(choices)}")
    return names


def _count(value: Any, _choices: tuple[str, ...]) -> int:
    number = int(value)
    if number < 1:
        raise ValueError("it is at least 1")
    return number


def seconds(text: str) -> float:
    """A span of time as people write it ("30s", "5m", 2) in seconds. Raises ValueError for anything else."""
    return _amount(text, _SPANS, "30s")


_PARSERS: Mapping[str, Callable[[Any, tuple[str, ...]], Any]] = {
    "bool": _bool,
    "choice": _choice,
    "switch": _switch,
    "names": _names,
    "count": _count,
    "text": lambda value, _choices: str(value),
    "bytes": lambda value, _choices: int(_amount(value, _UNITS, "500MB")),
    "seconds": lambda value, _choices: seconds(value),
}


def load(folder: Path, environ: Mapping[str, str] = os.environ, **overrides: Any) -> Settings:
    """The settings for a notebook in `folder`.

    Raises:
        UsageError: a value somewhere is not allowed.
    """
    values = dict(_pyproject(folder))
    for name in definitions():
        if (text := environ.get(f"DURABLE_NB_{name.upper()}")) is not None:
            values[name] = text
    values.update(overrides)
    return replace(Settings(), **{name: parse(name, value) for name, value in values.items()})


def _pyproject(folder: Path) -> Mapping[str, Any]:
    for place in (folder, *folder.parents):
        file = place / "pyproject.toml"
        if file.is_file():
            try:
                table = tomllib.loads(file.read_text(encoding="utf-8"))
            except (tomllib.TOMLDecodeError, OSError):
                return {}
            found: Mapping[str, Any] = table.get("tool", {}).get("durable_nb", {})
            return found
    return {}
