"""Bounded, reused memory for copies of changed bytes.

A copy is taken before the cell returns, so that later mutations cannot tear it. What does not fit is
not copied: the cell then waits until the writer has read the bytes where they are.
"""

from __future__ import annotations

import os
import threading

from durable_nb.model import CHUNK

_SMALL = 64 << 10
"""Up to so many bytes a copy is as large as what it holds; beyond, it is a slab of one chunk."""

_WARM = 16
"""Slabs kept for reuse: memory that was used before copies twice as fast as fresh."""


def default_limit() -> int:
    """Bytes: 1/16 of the machine's memory, at most 256 MiB."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(256 << 20, max(16 << 20, memory // 16))


class Pool:
    """At most `limit` bytes of copies between the cell and the writer."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._warm: list[bytearray] = []
        self._out: dict[int, bytearray] = {}
        """what is in use, by identity: a view of anything else is not ours to take back"""
        self._used = 0
        self._lock = threading.Lock()

    def copy(self, view: memoryview) -> memoryview | None:
        """A copy of `view` (at most one chunk), or None where the pool is full."""
        size = view.nbytes
        room = CHUNK if size > _SMALL else size
        with self._lock:
            if self._used + room > self.limit:
                return None
            self._used += room
            slab = self._warm.pop() if room == CHUNK and self._warm else bytearray(room)
            self._out[id(slab)] = slab
        copied = memoryview(slab)[:size]
        copied[:] = view
        return copied

    def release(self, copied: memoryview) -> None:
        """Give back a copy; a view that is none of ours is left alone."""
        held = copied.obj
        copied.release()
        with self._lock:
            slab = self._out.pop(id(held), None)
            if slab is None:
                return
            self._used -= len(slab)
            if len(slab) == CHUNK and len(self._warm) < _WARM:
                self._warm.append(slab)
