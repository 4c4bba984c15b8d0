"""Out-of-band buffers -> regions: buffers that overlap in memory are kept, and come back, as one.

So an alias between any two libraries that show the same bytes survives, with no code for either.
"""

from __future__ import annotations

import ctypes
import pickle
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

View = tuple[int, int, int]
"""(number of the region, first byte, bytes) of one buffer."""


@dataclass(frozen=True, slots=True)
class Region:
    """Contiguous memory that one or several buffers show."""

    memory: memoryview
    readonly: bool
    owners: tuple[object, ...]
    """what exported the buffers"""


def merged(buffers: Sequence[pickle.PickleBuffer]) -> tuple[list[Region], tuple[View, ...]]:
    """The regions of some buffers, and where in them each one is; () where each is a region of its own."""
    raw = [buffer.raw() for buffer in buffers]
    owners = [memoryview(buffer).obj for buffer in buffers]
    spans = _spans(raw) if len(raw) > 1 else None
    if spans is None:
        alone = [Region(view, view.readonly, (owner,)) for view, owner in zip(raw, owners, strict=True)]
        return alone, ()
    regions: list[Region] = []
    views: dict[int, View] = {}
    for group in _overlapping(spans):
        start = min(spans[i][0] for i in group)
        stop = max(spans[i][1] for i in group)
        whole = next((raw[i] for i in group if spans[i] == (start, stop) and not raw[i].readonly), None)
        if whole is None:
            whole = raw[group[0]] if len(group) == 1 else _memory(start, stop - start)
        for i in group:
            views[i] = (len(regions), spans[i][0] - start, raw[i].nbytes)
        readonly = all(raw[i].readonly for i in group)
        regions.append(Region(whole, readonly, tuple(owners[i] for i in group)))
    return regions, tuple(views[i] for i in range(len(raw)))


def _spans(raw: Sequence[memoryview]) -> list[tuple[int, int]] | None:
    """The addresses of buffers, where any two of them overlap."""
    addresses = [_address(view) for view in raw]
    spans = [(start, start + view.nbytes) for start, view in zip(addresses, raw, strict=True)]
    end = 0
    for start, stop in sorted(spans):
        if start < end and stop > start:
            return spans
        end = max(end, stop)
    return None


def _address(view: memoryview) -> int:
    if "numpy" in sys.modules:
        array = sys.modules["numpy"].frombuffer(view, "u1") if view.nbytes else None
        return 0 if array is None else int(array.__array_interface__["data"][0])
    if view.readonly or not view.nbytes:
        return 0  # nothing that shares memory without NumPy hands out read-only buffers
    return ctypes.addressof(ctypes.c_char.from_buffer(view))


def _overlapping(spans: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Groups of spans that hang together, in the order of their first members."""
    groups: list[list[int]] = []
    end = -1
    for i in sorted(range(len(spans)), key=lambda i: spans[i]):
        start, stop = spans[i]
        if groups and start < end and stop > start:
            groups[-1].append(i)
        else:
            groups.append([i])
        end = max(end, stop)
    return iter(sorted((sorted(group) for group in groups), key=lambda group: group[0]))


def _memory(start: int, size: int) -> memoryview:
    """The process's memory there; who calls keeps its owners alive."""
    return memoryview((ctypes.c_char * size).from_address(start)).cast("B")


def handed_out(memory: Sequence[memoryview], views: Sequence[View]) -> list[memoryview]:
    """The buffers that show restored regions."""
    if not views:
        return list(memory)
    return [memory[region][first : first + size] for region, first, size in views]
