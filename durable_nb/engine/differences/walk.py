"""Two values, part by part."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from durable_nb.engine.differences.change import Change, Fact, Sign, alone, both
from durable_nb.engine.differences.kinds import SCALARS, family
from durable_nb.engine.differences.texts import reason, renamed
from durable_nb.engine.differences.tokens import digest
from durable_nb.state.deadline import ExpiredError
from durable_nb.state.texts import ATOMS, LEFT_OUT, Hidden, is_hidden, nothing, qualified, short, step

DEPTH = 12
"""Steps from a value to the deepest part that is named; what is below is equal or not."""


class Walk:
    """One comparison.

    Args:
        hidden: says of keys and attributes that what is under them is not to be shown.
        seconds: after which it ends with an ExpiredError; 0: no limit.
        quick: it only matters whether there is a difference.
    """

    def __init__(self, hidden: Hidden = nothing, seconds: float = 0.0, *, quick: bool = False) -> None:
        self.hidden = hidden
        self.quick = quick
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._met: dict[tuple[int, int], tuple[Any, Any]] = {}
        """pairs that are compared already, held so that their identities stay theirs"""
        self._equal: dict[tuple[int, int], tuple[Any, Any]] = {}

    def values(self, before: Any, after: Any, path: str = "", depth: int = 0) -> Iterator[Change]:
        """What differs between two values; what cannot be compared is among it."""
        if _are_one(before, after):
            return
        if self._seconds and time.monotonic() > self._end:
            raise ExpiredError(f"it took longer than {self._seconds:g} s")
        try:
            yield from self._values(before, after, path, depth)
        except (KeyboardInterrupt, GeneratorExit, ExpiredError):
            raise
        except BaseException as error:
            yield self.failed(error, path)

    def failed(self, error: BaseException, path: str) -> Change:
        """A part that cannot be compared."""
        return Change(Sign.UNKNOWN, path, (Fact(note=f"cannot be compared: {reason(error)}"),))

    def _values(self, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
        kinds = type(before), type(after)
        compare, other = map(family, kinds)
        if compare is not other:
            yield self.replaced(before, after, path)
            return
        if compare is None:
            yield from self.opaque(before, after, path)
            return
        if compare in SCALARS:
            yield from compare(self, before, after, path, depth)
            return
        pair = (id(before), id(after))
        if pair in self._met or pair in self._equal:
            return
        self._met[pair] = (before, after)
        if depth > DEPTH:
            yield from self.opaque(before, after, path)
            return
        yield from compare(self, before, after, path, depth)

    def same(self, before: Any, after: Any, depth: int = 0) -> bool:
        """Whether there is no difference."""
        if _are_one(before, after):
            return True
        fork = Walk(self.hidden, quick=True)
        fork._seconds, fork._end, fork._equal = self._seconds, self._end, self._equal
        if next(fork.values(before, after, depth=depth), None) is not None:
            return False
        self._equal.update(fork._met)
        return True

    def under(self, key: object, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
        """What differs between two values under one key or attribute, whose end of the path is known."""
        if not is_hidden(key, self.hidden):
            yield from self.values(before, after, path, depth + 1)
        elif not self.same(before, after, depth + 1):
            yield Change(Sign.CHANGED, path, (Fact("", LEFT_OUT, LEFT_OUT),))

    def one(self, sign: Sign, key: object, value: Any, path: str) -> Change:
        """A part that only one of the two values has."""
        text = LEFT_OUT if is_hidden(key, self.hidden) else short(value, self.hidden)
        return alone(sign, path, text)

    def replaced(self, before: Any, after: Any, path: str) -> Change:
        """One value in the place of another that it has nothing in common with."""
        texts = both(self.short, before, after)
        told = all(text.startswith("<") for text in texts) and texts[0] != texts[1]
        note = "" if told else renamed(type(before), type(after))
        return Change(Sign.CHANGED, path, (Fact("", *texts, note),))

    def short(self, value: Any) -> str:
        """A value as a short text."""
        return short(value, self.hidden)

    def step(self, key: object) -> str:
        """A key as the end of a path."""
        return step(key, self.hidden)

    def opaque(self, before: Any, after: Any, path: str) -> Iterator[Change]:
        """Two objects that do not show what they hold: by the bytes that they would be kept as."""
        kinds = type(before), type(after)
        if digest(before) != digest(after) or qualified(kinds[0]) != qualified(kinds[1]):
            texts = both(self.short, before, after)
            note = renamed(*kinds) if kinds[0] is not kinds[1] else ""
            fact = Fact("", *texts, note) if texts[0] != texts[1] else Fact(note=f"{texts[0]} differs")
            yield Change(Sign.CHANGED, path, (fact,))


def _are_one(before: Any, after: Any) -> bool:
    kind = type(before)
    return before is after or (kind is type(after) and kind in ATOMS and bool(before == after))
