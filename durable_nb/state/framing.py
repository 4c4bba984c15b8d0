"""Pickle streams in which an insertion moves the bytes behind it, and changes none.

`pickle` puts a frame header before every 64 KiB, which only says how much to read ahead, and ends a batch
after every 1000 items of a list or dict. Where they fall depends on everything before them, so one more
object at the front would change each chunk of a stream. Both are taken out before the stream is cut into
chunks. To load it, the ends of batches are put back, and one frame is put around it all.
"""

from __future__ import annotations

import io
import struct
from array import array

PROTO = b"\x80\x05"
_FRAME = 0x95
_HEADER = 9
ROOM = _HEADER
"""Bytes to leave free in front of a stream that is going to be loaded."""

_COUNTED = {0x42: 4, 0x43: 1, 0x58: 4, 0x8A: 1, 0x8B: 4, 0x8C: 1, 0x8D: 8, 0x8E: 8, 0x96: 8}
"""Opcodes that are followed by a length of so many bytes, and by as much data."""

_SIZED = {0x4B: 1, 0x4D: 2, 0x4A: 4, 0x47: 8, 0x68: 1, 0x6A: 4}
"""Opcodes that are followed by so many bytes."""


def strip(file: io.BytesIO, start: int = 0) -> None:
    """Take the frame headers out of a protocol 5 stream that begins at `start`, in place.

    Between frames stand large strings, and what is shorter than a frame's header is worth.
    """
    with file.getbuffer() as view:
        size = len(view)
        at = put = start + len(PROTO)
        while at < size:
            if view[at] == _FRAME:
                first = at + _HEADER
                stop = first + struct.unpack_from("<Q", view, at + 1)[0]
            else:
                first, stop = at, _end(view, at)
            view[put : put + stop - first] = view[first:stop]
            put += stop - first
            at = stop
    file.truncate(put)


def bare(stream: bytes) -> bytes:
    """A stream of at most one frame, without its header."""
    start = len(PROTO)
    return PROTO + stream[start + _HEADER :] if stream[start] == _FRAME else stream


def _end(view: memoryview, at: int) -> int:
    """Where the opcode at `at` and its argument end."""
    opcode = view[at]
    width = _COUNTED.get(opcode)
    if width is None:
        return at + 1 + _SIZED.get(opcode, 0)
    return at + 1 + width + int.from_bytes(view[at + 1 : at + 1 + width], "little")


_BATCHES = (b"e(", b"u(")
"""What ends a batch of a list's or a dict's items, and begins the next one."""

_LONG = 128 << 10
"""Shorter streams are one chunk."""

_BLOCK = 1 << 20
_RARE = 64
"""Where it occurs more often than once in so many bytes, noting it would take too much."""

_NOTE = struct.Struct("<2IB")
_JOINED = 0xFF
"""The last byte of a stream without ends of batches; that of others is the opcode `STOP`."""


def join(file: io.BytesIO) -> None:
    """Take what looks like the end of a batch out of a long stream, and note at its end where each was.

    Bytes that mean something else may look the same: that does no harm, as they are put back.
    """
    size = file.seek(0, io.SEEK_END)
    if not _LONG < size < 1 << 32:
        return
    file.seek(0)
    start = file.read(_BLOCK)
    if sum(map(start.count, _BATCHES)) * _RARE > len(start):
        return
    noted = []
    with file.getbuffer() as view:
        for mark in _BATCHES:
            size, lengths = _without(view[:size], mark)
            noted.append(lengths[1:])  # what is before the first one is what is left over
    file.truncate(size)
    file.seek(size)
    for lengths in noted:
        file.write(lengths)
    file.write(_NOTE.pack(*map(len, noted), _JOINED))


def _without(view: memoryview, mark: bytes) -> tuple[int, array[int]]:
    """Take a mark out of a buffer, in place; returns what is left, and how long it is between two marks."""
    lengths, put = array("I", [0]), 0
    for start in range(0, len(view), _BLOCK):
        first, *more = bytes(view[start : start + _BLOCK]).split(mark)
        lengths[-1] += len(first)
        lengths.extend(map(len, more))
        kept = b"".join((first, *more)) if more else first
        view[put : put + len(kept)] = kept
        put += len(kept)
    return put, lengths


def apart(stream: bytearray) -> bytearray:
    """A stream that stands behind `ROOM` free bytes, with the ends of its batches."""
    if stream[-1] != _JOINED:
        return stream
    stop = len(stream) - _NOTE.size
    *counts, _ = _NOTE.unpack_from(stream, stop)
    noted = []
    for count in reversed(counts):
        first = stop - count * array("I").itemsize
        noted.append(array("I", stream[first:stop]))
        stop = first
    stream = stream[:stop]
    for mark, lengths in zip(reversed(_BATCHES), noted, strict=True):
        if lengths:
            stream = _with(memoryview(stream), mark, lengths)
    return stream


def _with(view: memoryview, mark: bytes, lengths: array[int]) -> bytearray:
    at = len(view) - sum(lengths)
    parts = [view[:at]]
    for length in lengths:
        parts.append(view[at : at + length])
        at += length
    return bytearray(mark).join(parts)


def wrap(stream: bytearray) -> None:
    """Put one frame around a stream that stands behind `ROOM` free bytes: it is then read in one go."""
    body = len(stream) - ROOM - len(PROTO)
    stream[: ROOM + len(PROTO)] = PROTO + struct.pack("<BQ", _FRAME, body)
