"""Random cells, chosen by what the namespace holds, and weighted to trouble."""

from __future__ import annotations

import collections
import enum
import functools
import random
import re
import types
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

IMPORTS = """\
import collections, copy, dataclasses, enum, functools, weakref
import numpy as np, pandas as pd
a = b = c = d = None"""

NAMES = ("a", "b", "c", "d", "e", "u", "v", "max", "_own")
"""Few, so that cells meet: one is a builtin's, one private."""

LITERALS = (
    "None", "2**90", "-1.5", "float('nan')", "'ü\\ud800'", "'text' * 3", "b'\\0bytes'", "(1, (2, 'x'))", "1j",
    "frozenset([1, 2])", "range(3)", "...", "'k'", "True", "slice(1, 2)", "10**18",
)  # fmt: skip

STATEMENTS = Path(__file__).with_name("statements.txt")

_SLOT = re.compile(r"\{([a-z]+)(\d?)\}")


def _statements() -> list[tuple[str, int]]:
    """Templates with their weights."""
    lines = STATEMENTS.read_text().splitlines()
    rows = [line.split(" ", 1) for line in lines if not line.startswith("#")]
    return [(template.replace("\\n", "\n"), int(weight)) for weight, template in rows]


class Grammar:
    """Writes cells; the same seed and the same namespaces give the same ones.

    Args:
        chance: what is drawn from.
        weak: with weak references.
        without: statements that match this expression are not written.
    """

    def __init__(self, chance: random.Random, *, weak: bool = False, without: str = "") -> None:
        self._chance = chance
        self._count = 0
        rows = [(t, w) for t, w in _statements() if weak or "weakref." not in t]
        rows = [(t, w) for t, w in rows if not (without and re.search(without, t))]
        self._templates = [template for template, _ in rows]
        self._weights = [weight for _, weight in rows]

    def cell(self, space: Mapping[str, Any], names: list[str]) -> str:
        """One to three statements; now and then one that fails after the others have run."""
        found = list(_expressions(space, names))
        parts = [self._statement(found, names) for _ in range(self._chance.choice((1, 1, 1, 2, 3)))]
        if self._chance.random() < 0.04:
            parts.append(self._chance.choice(("1 / 0", "undefined_name", "raise ValueError('no')")))
        return "\n".join(parts)

    def _statement(self, found: list[tuple[str, Any]], names: list[str]) -> str:
        while True:
            (template,) = self._chance.choices(self._templates, self._weights)
            if "for n in" in template and self._chance.random() < 0.9:
                continue  # a variable that cannot be kept is one less to compare
            text = self._filled(template, found, names)
            if text is not None:
                return text

    def _filled(self, template: str, found: list[tuple[str, Any]], names: list[str]) -> str | None:
        chosen: dict[str, str] = {}
        self._count += 1
        for kind, label in _SLOT.findall(template):
            slot = kind + label
            if slot in chosen:
                continue
            text = self._slot(kind, found, names)
            if text is None:
                return None
            chosen[slot] = text
        return template.format(**chosen)

    def _slot(self, kind: str, found: list[tuple[str, Any]], names: list[str]) -> str | None:
        chance = self._chance
        if kind == "i":
            return str(self._count)
        if kind == "k":
            return str(self._count % 3)
        if kind == "lit":
            return chance.choice(LITERALS)
        if kind == "new":
            return chance.choice(NAMES)
        if kind == "old":
            own = [n for n in names if n in NAMES]
            return chance.choice(own) if own else None
        if kind == "any" and chance.random() < 0.15:
            return chance.choice((f"[{self._count}]", *LITERALS[:3]))
        fits = [text for text, value in found if KINDS[kind](value)]
        if not fits:
            return "'h'" if kind == "hash" else None
        short = [text for text in fits if text.isidentifier()]
        return chance.choice(short if short and chance.random() < 0.6 else fits)


def _hashable(value: Any) -> bool:
    return isinstance(value, int | str | bytes | types.FunctionType) or (
        type(value).__module__ == "__main__" and type(value).__hash__ is object.__hash__
    )


def _callable(value: Any) -> bool:
    if not isinstance(value, types.FunctionType):
        return False
    code, given = value.__code__, len(value.__defaults__ or ())
    return code.co_argcount <= given and code.co_kwonlyargcount <= len(value.__kwdefaults__ or ())


def _numeric(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "iuf" and value.size > 0


KINDS = {
    "any": lambda v: not isinstance(v, types.ModuleType | types.MemberDescriptorType),
    "list": lambda v: isinstance(v, list),
    "full": lambda v: isinstance(v, list) and len(v) > 0,
    "dict": lambda v: isinstance(v, dict) and "__name__" not in v,
    "dd": lambda v: isinstance(v, collections.defaultdict),
    "set": lambda v: isinstance(v, set),
    "ba": lambda v: isinstance(v, bytearray),
    "deque": lambda v: isinstance(v, collections.deque),
    "hash": _hashable,
    "iter": lambda v: isinstance(v, type(iter([]))),
    "cls": lambda v: (
        isinstance(v, type) and v.__module__ == "__main__" and not issubclass(v, (enum.Enum, type))
    ),
    "enum": lambda v: isinstance(v, type) and "_member_map_" in vars(v),
    "inst": lambda v: type(v).__module__ == "__main__" and not isinstance(v, type),
    "plain": lambda v: type(v).__module__ == "__main__" and not isinstance(v, type | enum.Enum),
    "fn": _callable,
    "partial": lambda v: isinstance(v, functools.partial),
    "bound": lambda v: isinstance(v, types.BuiltinMethodType) and isinstance(v.__self__, list),
    "arr": lambda v: isinstance(v, np.ndarray),
    "narr": _numeric,
    "warr": lambda v: _numeric(v) and v.flags.writeable,
    "oarr": lambda v: isinstance(v, np.ndarray) and v.dtype == object and v.size > 0 and v.flags.writeable,
    "sarr": lambda v: isinstance(v, np.ndarray) and v.dtype.names is not None,
    "rng": lambda v: isinstance(v, np.random.Generator),
    "frame": lambda v: isinstance(v, pd.DataFrame) and "p" in v.columns,
    "series": lambda v: isinstance(v, pd.Series),
}


def _expressions(space: Mapping[str, Any], names: list[str], depth: int = 2) -> Iterator[tuple[str, Any]]:
    """Ways to write what is reachable, with what it is now."""
    level = [(n, space[n]) for n in names if not isinstance(space[n], types.ModuleType)]
    for _ in range(depth):
        yield from level
        level = [child for text, value in level for child in _children(text, value)]
    yield from level


def _children(text: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list | tuple | collections.deque) and value:
        yield f"{text}[0]", value[0]
        yield f"{text}[-1]", value[-1]
    elif isinstance(value, dict):
        if "__name__" in value:
            return
        for key in list(value)[:4]:
            if type(key) in (int, str):
                yield f"{text}[{key!r}]", value[key]
    elif isinstance(value, types.FunctionType):
        if value.__defaults__:
            yield f"{text}.__defaults__[0]", value.__defaults__[0]
        for i, cell in enumerate(value.__closure__ or ()):
            if cell != types.CellType():
                yield f"{text}.__closure__[{i}].cell_contents", cell.cell_contents
        if "hits" in vars(value):
            yield f"{text}.hits", vars(value)["hits"]
    elif isinstance(value, types.MethodType):
        yield f"{text}.__self__", value.__self__
    elif isinstance(value, functools.partial):
        yield from ((f"{text}.args[0]", v) for v in value.args[:1])
    elif isinstance(value, np.ndarray):
        if value.dtype == object and value.size:
            yield f"{text}.flat[0]", value.flat[0]
    elif isinstance(value, pd.DataFrame):
        yield from ((f"{text}.attrs['k']", v) for k, v in value.attrs.items() if k == "k")
    elif isinstance(value, weakref.ref):
        if value() is not None:
            yield f"{text}()", value()
    elif type(value).__module__ == "__main__" or (isinstance(value, type) and value.__module__ == "__main__"):
        held = getattr(value, "__dict__", {})
        yield from ((f"{text}.{k}", v) for k, v in held.items() if k.isidentifier() and k[0] != "_")
        if not isinstance(value, type):
            yield f"type({text})", type(value)
