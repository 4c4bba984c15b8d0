"""What differs, in words: classes, numbers, counts, reasons."""

from __future__ import annotations

import math
from typing import Any

from durable_nb.state.texts import SHOWN, cut, named, qualified


def renamed(before: type, after: type) -> str:
    """Two classes, "int -> float"; "" where they are one."""
    full = qualified(before), qualified(after)
    if full[0] == full[1]:
        return ""
    names = named(before), named(after)
    return " -> ".join(names if names[0] != names[1] else full)


def number(value: float) -> str:
    """A computed number, to six digits; whole ones as they are counted."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e6):
        return f"{int(value):,}"
    return f"{value:.6g}"


def relative(before: Any, after: Any) -> str:
    """The relative change of a number, as "+4.9 %"; "" where there is none."""
    try:
        change = (float(after) - float(before)) / abs(float(before))
    except (ArithmeticError, TypeError, ValueError):
        return ""
    if not math.isfinite(change) or not change:
        return ""
    return f"{100 * change:+.3g} %" if abs(change) < 100 else f"{number(float(after) / float(before))} times"


def share(part: int, whole: int, what: str) -> str:
    """Such as "12 of 1,000 elements changed (1.2 %)"."""
    percent = f" ({100 * part / whole:.2g} %)" if 0 < part < whole and whole > 20 else ""
    return f"{part:,} of {whole:,} {what}{'' if whole == 1 else 's'} changed{percent}"


def reason(error: BaseException) -> str:
    """One line about an exception, which may be anybody's."""
    kind = named(type(error))
    try:
        return cut(f"{kind}: {error}".replace("\n", " "), 2 * SHOWN)
    except Exception:  # whatever its own `__str__` raises
        return kind
