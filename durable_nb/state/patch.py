"""Restoring in place: where only buffers differ, the live memory gets the chunks that do.

The objects stay the ones that they are. That is right only where nothing derived from the buffers is
kept outside of what was pickled, so buffers are patched that belong to plain arrays and frames, reached
through containers and through instances that pickle as their attributes.
"""

from __future__ import annotations

import copyreg
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from durable_nb.model import Component
from durable_nb.state import pickling, special
from durable_nb.state.fingerprint import Fingerprints
from durable_nb.state.live import Live
from durable_nb.state.regions import Region

_HOOKS = ("__reduce_ex__", "__reduce__", "__getstate__")
_MOST = 10_000
"""Objects to look at; loading a larger graph anew is about as fast."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Live memory that a chunk of the checkpoint belongs in."""

    digest: str
    memory: memoryview
    region: Region
    """holds the memory"""


def may_fit(manifest: Component, live: Live | None) -> bool:
    """Whether a component differs from what is live in the contents of buffers only."""
    return (
        live is not None
        and bool(manifest.buffers)
        and live.unsaved is None
        and live.names == manifest.names
        and live.types == manifest.types
        and live.reaches == tuple(sorted(manifest.refs))
        and live.inline == manifest.inline
        and live.views == manifest.views
        and [p.digest for p in live.stream] == [digest for digest, _ in manifest.stream]
        and [(size, readonly) for size, readonly, _ in live.buffers]
        == [(b.size, b.readonly) for b in manifest.buffers]
    )


def gaps(
    manifest: Component, live: Live, space: Mapping[str, Any], fingerprints: Fingerprints
) -> list[Gap] | None:
    """What to overwrite, and where; None where the component has to be loaded anew."""
    values = {name: space[name] for name in manifest.names}
    dumped = pickling.dump_values(values, space)
    if live.inline is not None:
        same = dumped.stream == live.inline
    else:
        stream = fingerprints.split(memoryview(dumped.stream), content_defined=True)
        same = [id(p) for p in stream.pieces] == [id(p) for p in live.stream]
    if not same or dumped.views != live.views or len(dumped.regions) != len(manifest.buffers):
        return None
    arrays: set[int] | None = None
    found: list[Gap] = []
    for region, (_, _, pieces), wanted in zip(dumped.regions, live.buffers, manifest.buffers, strict=True):
        chunks = [digest for digest, _ in wanted.chunks]
        if [p.digest for p in pieces] == chunks:
            continue
        if arrays is None:
            arrays = _plain_arrays(values.values())
        if region.memory.readonly or region.memory.nbytes != wanted.size:
            return None
        if not all(_is_of(owner, arrays) for owner in region.owners):
            return None
        start = 0
        for piece, (digest, size) in zip(pieces, wanted.chunks, strict=True):
            if piece.digest != digest:
                found.append(Gap(digest, region.memory[start : start + size], region))
            start += size
    return found


def _plain_arrays(values: Iterable[Any]) -> set[int]:
    """The arrays, by identity, from which nothing is derived that is not pickled itself."""
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    frames = (pandas.DataFrame, pandas.Series) if pandas is not None else ()
    found: set[int] = set()
    seen: set[int] = set()
    todo = list(values)
    while todo and len(seen) < _MOST:
        obj = todo.pop()
        if id(obj) in seen:
            continue
        seen.add(id(obj))
        kind = type(obj)
        if numpy is not None and kind is numpy.ndarray:
            found.add(id(obj))
            todo.append(obj.base)
        elif kind in (list, tuple, set, frozenset):
            todo.extend(obj)
        elif kind is dict:
            todo.extend(obj.values())
        elif kind in frames:
            todo.extend(block.values for block in obj._mgr.blocks)
        elif _pickles_as_attributes(kind):
            todo.extend(getattr(obj, "__dict__", {}).values())
    return found


def _is_of(obj: Any, arrays: set[int]) -> bool:
    """Whether an array is one of those, or a view of one: NumPy pickles some as their transpose."""
    while obj is not None and id(obj) not in arrays:
        obj = getattr(obj, "base", None)
    return obj is not None


def _pickles_as_attributes(kind: type) -> bool:
    own = any(getattr(kind, hook) is not getattr(object, hook) for hook in _HOOKS)
    return not (own or kind in copyreg.dispatch_table or kind in special.reducers())
