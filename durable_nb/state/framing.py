"""Pickle streams without frames, so that an insertion moves the bytes behind it and changes none.

`pickle` puts a frame header before every 64 KiB. They only say how much to read ahead; where they fall
depends on everything before them, so one more object at the front would change each chunk of a stream.
They are taken out before the stream is cut into chunks, and one frame is put around it all to load it.
"""

from __future__ import annotations

import io
import struct

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


def _end(view: memoryview, at: int) -> int:
    """Where the opcode at `at` and its argument end."""
    opcode = view[at]
    width = _COUNTED.get(opcode)
    if width is None:
        return at + 1 + _SIZED.get(opcode, 0)
    return at + 1 + width + int.from_bytes(view[at + 1 : at + 1 + width], "little")


def wrap(stream: bytearray) -> None:
    """Put one frame around a stream that stands behind `ROOM` free bytes: it is then read in one go."""
    body = len(stream) - ROOM - len(PROTO)
    stream[: ROOM + len(PROTO)] = PROTO + struct.pack("<BQ", _FRAME, body)
