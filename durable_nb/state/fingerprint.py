"""Bytes -> pieces: which chunks of a component are new, and a copy of those."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any
from weakref import WeakValueDictionary

from blake3 import blake3
from xxhash import xxh3_128_intdigest

from durable_nb.model import CHUNK, Piece
from durable_nb.state.pool import Pool

_CUT_FROM = 128 << 10
"""Streams up to this many bytes are one chunk; longer ones are cut where their content says."""


@dataclass(slots=True)
class Split:
    """A buffer as pieces; with the bytes of those that are not on their way to the store yet."""

    pieces: list[Piece]
    fresh: list[tuple[Piece, memoryview]]


class Fingerprints:
    """The pieces that are alive, by xxh3-128 of their bytes: equal bytes are one piece."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: WeakValueDictionary[tuple[int, int], Piece] = WeakValueDictionary()

    def split(self, view: memoryview, *, content_defined: bool) -> Split:
        """Cut a buffer into pieces, at fixed places or where its content says."""
        found = Split([], [])
        for part in _parts(view, content_defined=content_defined):
            key = (xxh3_128_intdigest(part), part.nbytes)
            piece = self._known.get(key)
            if piece is None:
                piece = self._known[key] = Piece(part.nbytes)
                found.fresh.append((piece, part))
            elif piece.data is None and not piece.digest:
                found.fresh.append((piece, part))
            found.pieces.append(piece)
        return found

    def keep(self, piece: Piece, view: memoryview, *, own: bool) -> bool:
        """Give a piece its bytes: copied, unless they are our own or cannot change.

        Returns whether they are borrowed: the pool is full, and nothing may change them meanwhile.
        """
        if piece.data is not None:
            return False
        if own or (view.readonly and type(view.obj) is bytes):
            piece.data = view
            return False
        copied = self._pool.copy(view)
        piece.data = view if copied is None else copied
        return copied is None

    def give_up(self, pieces: Iterable[Piece]) -> None:
        """These will not be written: their memory is free again."""
        for piece in pieces:
            if piece.data is not None:
                self._pool.release(piece.data)
                piece.data = None

    def stored(self, data: memoryview, digest: str) -> Piece:
        """The piece of a chunk that was read back from the store."""
        key = (xxh3_128_intdigest(data), data.nbytes)
        piece = self._known.get(key)
        if piece is None or not piece.digest:
            piece = self._known[key] = Piece(data.nbytes, digest)
        return piece

    def matching(
        self, view: memoryview, digests: Iterable[str], *, content_defined: bool
    ) -> list[Piece] | None:
        """The stored pieces of a buffer, where these are its digests."""
        found = []
        for part, digest in zip_longest(_parts(view, content_defined=content_defined), digests):
            if part is None or digest is None:
                return None
            piece = self._known.get((xxh3_128_intdigest(part), part.nbytes))
            if ((piece is not None and piece.digest) or blake3(part).hexdigest()) != digest:
                return None
            found.append(self.stored(part, digest))
        return found

    def clear(self) -> None:
        """Rely on no bytes that were kept before."""
        self._known.clear()


def address(piece: Piece) -> None:
    """Give a piece that holds its bytes the digest that is its address."""
    piece.digest = piece.digest or blake3(piece.data or b"").hexdigest()


def _parts(view: memoryview, *, content_defined: bool) -> Iterable[memoryview]:
    size = view.nbytes
    if content_defined and size > _CUT_FROM:
        for cut in _cutter().cut_buf(view):
            yield view[cut.offset : cut.offset + cut.length]
    else:
        for start in range(0, size, CHUNK):
            yield view[start : start + CHUNK]


@functools.cache
def _cutter() -> Any:
    from pyfastcdc import FastCDC

    return FastCDC(256 << 10, min_size=64 << 10, max_size=CHUNK)
