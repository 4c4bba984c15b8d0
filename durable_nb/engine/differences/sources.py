"""Text, and the source of functions and classes."""

from __future__ import annotations

import difflib
import functools
import inspect
import linecache
import operator
import textwrap
import types
from collections.abc import Callable, Iterator
from typing import Any

from durable_nb.engine.differences.change import Fact, both
from durable_nb.state import source
from durable_nb.state.texts import SHOWN, cut

PATCH = 40
"""Lines of a unified diff."""

_LINE = 160
"""Characters of a line in it."""

_LINES = 2_000
"""Lines between the first and the last difference up to which they are matched."""

CACHED = type(functools.cache(id))
"""What `functools.lru_cache` makes of a function."""

_AROUND = 20
"""Characters before the place where long lines begin to differ."""


def patch(before: str, after: str) -> tuple[str, ...]:
    """A unified diff without its head, of bounded length."""
    old, new = (text.expandtabs(4).splitlines() for text in (before, after))
    first, last = ends(old, new)
    if max(len(old), len(new)) - first - last > _LINES:
        return (f"@@ {len(old):,} lines -> {len(new):,} lines; the first that differs is {first + 1:,} @@",)
    skip, tail = max(first - 2, 0), max(last - 2, 0)
    old, new = old[skip : len(old) - tail], new[skip : len(new) - tail]
    found = [_head(line, skip) for line in difflib.unified_diff(old, new, n=2, lineterm="")][2:]
    lines = [cut(line, _LINE) for line in found[:PATCH]]
    if len(found) > PATCH:
        lines.append(f"… {len(found) - PATCH:,} more lines")
    return tuple(lines)


def ends(
    before: list[Any], after: list[Any], same: Callable[[Any, Any], bool] = operator.eq
) -> tuple[int, int]:
    """How many items at the start and at the end of two lists are the same."""
    shorter = min(len(before), len(after))
    first = next((i for i in range(shorter) if not same(before[i], after[i])), shorter)
    left = shorter - first
    last = next((i for i in range(left) if not same(before[-1 - i], after[-1 - i])), left)
    return first, last


def _head(line: str, skipped: int) -> str:
    """A hunk's head, with line numbers of the whole text."""
    if not line.startswith("@@"):
        return line
    words = line.split()
    for place in (1, 2):
        start, comma, count = words[place][1:].partition(",")
        words[place] = f"{words[place][0]}{int(start) + skipped}{comma}{count}"
    return " ".join(words)


def is_one_line(text: str) -> bool:
    """Whether a text is shown as a value rather than line by line."""
    return len(text) <= SHOWN and "\n" not in text


def texts(before: str, after: str) -> tuple[tuple[Fact, ...], tuple[str, ...]]:
    """How two texts differ: as values where both are short, else as a diff."""
    if is_one_line(before) and is_one_line(after):
        return (Fact("", repr(before), repr(after)),), ()
    if "\n" in before or "\n" in after:
        return (), patch(before, after)
    at = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), None)
    at = min(len(before), len(after)) if at is None else at
    start, dots = max(at - _AROUND, 0), "…" if at > _AROUND else ""
    parts = both(lambda text: dots + cut(text[start:], SHOWN // 2), before, after)
    note = f"from character {at + 1:,}"
    sizes = [Fact("length", f"{len(before):,}", f"{len(after):,}")] if len(before) != len(after) else []
    return (*sizes, Fact("", *parts, note)), ()


def unwrapped(value: Any) -> Any:
    """The plain function in what is wrapped around one."""
    while True:
        kind = type(value)
        if kind in (staticmethod, classmethod, types.MethodType):
            value = value.__func__
        elif kind is property:
            value = value.fget
        elif kind in (CACHED, functools.cached_property):
            value = value.__wrapped__ if kind is CACHED else value.func
        else:
            return value


def of_function(function: types.FunctionType) -> str | None:
    """The source of a function; None where it is not known."""
    code = function.__code__
    lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :]
    if not lines:
        return None
    try:
        return textwrap.dedent("".join(inspect.getblock(lines)))
    except (SyntaxError, IndentationError):
        return None


def of_class(kind: type) -> str | None:
    """The source of a class, by way of its methods; None where it is not known."""
    for function in methods(kind):
        found = source.statement(function.__code__)
        if found is not None:
            return found[0]
    return None


def methods(kind: type) -> Iterator[types.FunctionType]:
    """The functions that were written in the body of a class."""
    name = type.__dict__["__qualname__"].__get__(kind)
    for held in type.__dict__["__dict__"].__get__(kind).values():
        function = unwrapped(held)
        if type(function) is types.FunctionType and function.__code__.co_qualname.startswith(f"{name}."):
            yield function
