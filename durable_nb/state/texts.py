"""Values as short text, from a bounded part of them, without asking the notebook's own code for it."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import fractions
import pathlib
import re
import sys
import types
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import Any

from durable_nb.state import instances
from durable_nb.state.classes import in_notebook

LEFT_OUT = "<left out>"

Hidden = Callable[[str], bool]
"""Says of the name of a variable or attribute, or of a dict's key, that its value is not to be shown."""

Asked = Callable[[Any], str]
"""Gives the text of a value."""

SHOWN = 80
"""Characters of a value."""

_KEY = 40
"""Characters of a key in a path."""

ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented)})
"""Built-in types whose objects hold nothing."""

STANDARD = frozenset({
    dt.date, dt.datetime, dt.time, dt.timedelta, dt.timezone, decimal.Decimal, fractions.Fraction, uuid.UUID,
    pathlib.PosixPath, pathlib.PurePosixPath, pathlib.PureWindowsPath, range, re.Pattern,
})  # fmt: skip
"""Types of the standard library that compare and show what they are."""

_BRACKETS: tuple[tuple[Any, str, str], ...] = (
    (list, "[", "]"),
    (tuple, "(", ")"),
    (frozenset, "frozenset({", "})"),
    (set, "{", "}"),
    (collections.deque, "deque([", "])"),
)


_BUILT_IN = frozenset(vars(kind)["__repr__"] for kind in (str, bytes, int, dict, list, tuple, set, frozenset))
"""How types say what they are that are shown from a part of what they hold."""


def nothing(_name: str) -> bool:
    """Hides nothing."""
    return False


def is_hidden(key: object, hidden: Hidden) -> bool:
    """Whether the value under a key is not to be shown."""
    return type(key) is str and hidden(key)


def mro(kind: type) -> tuple[type, ...]:
    """The bases of a class, itself first, whatever its metaclass says."""
    found: tuple[type, ...] = type.__dict__["__mro__"].__get__(kind)
    return found


def qualified(kind: type) -> str:
    """The name of a class with its module."""
    module, name = (type.__dict__[part].__get__(kind) for part in ("__module__", "__qualname__"))
    return f"{module}.{name}"


def named(kind: type) -> str:
    """The name of a class, for people."""
    return printable(str(type.__dict__["__qualname__"].__get__(kind)))


def printable(text: str) -> str:
    """Without what moves the cursor, changes colours or cannot be written to a file."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def cut(text: str, most: int = SHOWN) -> str:
    """The beginning of a text, in one printable line."""
    text = printable(text[: most + 1])
    return text if len(text) <= most else text[: most - 1] + "…"


def step(key: object, hidden: Hidden = nothing) -> str:
    """A key as the end of a path."""
    return f"[{short(key, hidden, _KEY)}]"


def short(
    value: Any, hidden: Hidden = nothing, most: int = SHOWN, depth: int = 2, asked: Asked | None = None
) -> str:
    """As `words`, cut, and never more than the name of its class where that fails."""
    try:
        return cut(words(value, hidden, most, depth, asked), most)
    except Exception:  # whatever its library raises; its class says something
        return f"<{named(type(value))}>"


def words(value: Any, hidden: Hidden, most: int, depth: int, asked: Asked | None = None) -> str:
    """About what `repr` says, from a bounded part of the value.

    Args:
        value: anything.
        hidden: says of keys and attributes that what is under them is left out.
        most: characters that are looked at; a few more come of it.
        depth: steps into what it holds.
        asked: gives the text of what has another `repr` than built-in types; None: nothing is asked for it.
    """
    kind = type(value)
    if asked is not None and kind.__repr__ not in _BUILT_IN:
        return asked(value)
    if issubclass(kind, enum.Enum):
        return f"{named(kind)}.{attributes(value).get('_name_')}"
    if issubclass(kind, str):
        return repr(str.__getitem__(value, slice(most + 1)))
    if issubclass(kind, bytes | bytearray):
        return repr(bytes(memoryview(value)[: most + 1]))
    if issubclass(kind, int) and kind is not bool:
        bits = int.bit_length(value)
        return int.__repr__(value) if bits <= 4 * most else f"<int of {bits:,} bits>"
    if issubclass(kind, float):
        return float.__repr__(value)
    if kind in ATOMS or kind in STANDARD:
        return repr(value)
    if issubclass(kind, dict):
        inner = (
            f"{short(key, hidden, _KEY, depth - 1, asked)}: "
            + (LEFT_OUT if is_hidden(key, hidden) else short(held, hidden, most, depth - 1, asked))
            for key, held in (dict.items(value) if depth else ())
        )
        return "{" + _joined(inner, dict.__len__(value), most) + "}"
    for base, opening, closing in _BRACKETS:
        if issubclass(kind, base):
            size = base.__len__(value)
            items = base.__iter__(value) if depth else ()
            if not size and base in (set, frozenset):
                return f"{base.__name__}()"
            inner = (short(held, hidden, most, depth - 1, asked) for held in items)
            comma = "," if base is tuple and size == 1 else ""
            return opening + _joined(inner, size, most) + comma + closing
    if issubclass(kind, type):
        return f"<class {named(value)}>"
    if kind in (types.FunctionType, types.BuiltinFunctionType):
        return f"<function {value.__qualname__}>"
    if kind is types.ModuleType:
        return f"<module {vars(value).get('__name__')}>"
    return of_library(value) or _object(value, hidden, most, depth)


def _joined(items: Iterable[str], count: int, most: int) -> str:
    """As many as can be seen when all is cut."""
    found = []
    room = most
    for item in islice(items, most):
        found.append(item)
        room -= len(item) + 2
        if room <= 0:
            break
    return ", ".join([*found, "…"] if len(found) < count else found)


def of_library(value: Any) -> str:
    """A value of a library for data, by its shape or in its own words; "" for anything else."""
    kind = type(value)
    if is_data_scalar(kind):
        return str(value)
    root = qualified(kind).partition(".")[0]
    size = _attribute(value, kind, "shape") if root in _SHAPED else None
    if size is None:
        return ""
    dtype = _attribute(value, kind, "dtype")
    return f"<{named(kind)} {shape(size)}{'' if dtype is None else f' {dtype}'}>"


def is_data_scalar(kind: type) -> bool:
    """Whether a class is one of NumPy's or pandas' for single values."""
    bases: tuple[type, ...] = ()
    with suppress(KeyError, AttributeError):  # it is not, or half, imported
        bases += (sys.modules["numpy"].generic,)
    with suppress(KeyError, AttributeError):
        m = sys.modules["pandas"]
        bases += (m.Timestamp, m.Timedelta, m.Period, m.Interval, type(m.NaT), type(m.NA))
    return qualified(kind).startswith(("numpy.", "pandas.")) and not set(mro(kind)).isdisjoint(bases)


_SHAPED = frozenset({"numpy", "pandas", "polars", "torch", "pyarrow", "scipy", "xarray"})


def _attribute(value: Any, kind: type, name: str) -> Any:
    return getattr(value, name) if any(name in vars(k) for k in mro(kind)) else None


def shape(size: Iterable[int]) -> str:
    """A shape (1,000, 5)."""
    return "(" + ", ".join(f"{n:,}" for n in size) + ")"


def _object(value: Any, hidden: Hidden, most: int, depth: int) -> str:
    kind = type(value)
    if not in_notebook(kind):
        return f"<{named(kind)}>"
    held = attributes(value) if depth else {}
    inner = (
        f"{cut(name, _KEY)}={LEFT_OUT if hidden(name) else short(part, hidden, most, depth - 1)}"
        for name, part in held.items()
    )
    return f"{named(kind)}({_joined(inner, len(held), most) if depth else '…'})"


def attributes(value: Any) -> dict[str, Any]:
    """What an object's `__dict__` and slots hold, without asking the object."""
    kind = type(value)
    get = instances.dict_getter(kind)
    found: dict[str, Any] = {str(k): v for k, v in get(value).items()} if get is not None else {}
    for base in mro(kind):
        for name, descriptor in vars(base).items():
            if type(descriptor) is types.MemberDescriptorType and "__slots__" in vars(base):
                try:
                    found.setdefault(name, descriptor.__get__(value, kind))
                except AttributeError:  # nothing is in the slot
                    continue
    return found
