"""Strings that a large value holds many times.

They are put first in its stream: an insertion then moves no number by which the rest refers to them.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from durable_nb.state import pickling

_OFTEN = 3
"""How often a string occurs that is worth standing first."""

_MOST = 1 << 20
"""Characters of such strings at most, together."""


def recurring(values: Mapping[str, Any], space: Mapping[str, Any], kinds: pickling.Kinds) -> tuple[str, ...]:
    """The strings that occur several times in values, as the same object.

    Raises whatever a value's own reduction raises, and RecursionError.
    """
    counter: Any = _Counter(io.BytesIO(), [], values, space, kinds)
    counter.memo = pickling.memo(space)
    try:
        counter.dump(dict(values))
    finally:
        counter.release()
    often = [text for key, text in counter.texts.items() if counter.counts[key] >= _OFTEN]
    room = accumulate(map(len, often))
    return tuple(text for text, used in zip(often, room, strict=True) if used <= _MOST)


class _Counter(pickling.Pickler):
    """Counts how often it meets each string."""

    def __init__(self, *args: Any) -> None:
        self.counts: dict[int, int] = {}
        self.texts: dict[int, str] = {}
        super().__init__(*args)

    def persistent_id(self, obj: Any) -> None:
        """`pickle` asks this of every object, each time it meets it."""
        if type(obj) is str:
            key = id(obj)
            self.counts[key] = self.counts.get(key, 0) + 1
            self.texts[key] = obj
