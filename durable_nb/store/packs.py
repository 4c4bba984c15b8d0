"""Chunks in Parquet files: how a pack is built.

A chunk's address is the BLAKE3-256 of its bytes, in hex. A pack is named after the BLAKE3 of the
file, has the columns digest, codec, size and data, and is never changed.
"""

from __future__ import annotations

import functools
import itertools
import secrets
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from blake3 import blake3

from durable_nb.model import FORMAT

if TYPE_CHECKING:
    import pyarrow as pa

Compression = Literal["lz4", "zstd", "none"]
Bytes = bytes | memoryview

ROW_GROUP = 16 << 20
"""The most bytes that must be read to get at one chunk."""

_ROWS = 256
"""The most chunks that are decoded to get at one: small ones are many."""

PACK = 32 << 20
"""Chunks are spread over several packs beyond this size."""

_SMALL = 256
_SAMPLE = 16 << 10
_SHRUNK = 0.9
_LARGEST = 1 << 31


def digest_of(data: Bytes) -> str:
    """The address of a chunk."""
    return str(blake3(data).hexdigest())


@dataclass(frozen=True, slots=True)
class Place:
    """Where a chunk lies."""

    pack: str
    group: int
    row: int
    size: int
    """bytes of the chunk"""


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack that was built and not yet put."""

    key: str
    data: memoryview
    places: dict[str, Place]


def build(chunks: Iterable[tuple[str, Bytes]], compression: Compression = "lz4") -> Iterator[Pack]:
    """Packs of at most PACK bytes that hold the (digest, bytes) given, in order."""
    batch: list[tuple[str, str, int, Any]] = []
    held = 0
    for digest, data in chunks:
        codec, stored = _compress(data, compression)
        if batch and held + len(stored) > PACK:
            yield _build(batch)
            batch, held = [], 0
        batch.append((digest, codec, len(data), stored))
        held += len(stored)
    if batch:
        yield _build(batch)


def _build(rows: Sequence[tuple[str, str, int, Any]]) -> Pack:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    groups: list[list[tuple[str, str, int, Any]]] = [[]]
    held = 0
    for row in rows:
        if groups[-1] and (held + len(row[3]) > ROW_GROUP or len(groups[-1]) == _ROWS):
            groups.append([])
            held = 0
        groups[-1].append(row)
        held += len(row[3])
    names = schema()
    options: dict[str, Any] = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    with pq.ParquetWriter(sink, names, store_schema=False, **options) as writer:
        for group in groups:
            writer.write_table(pa.table(_columns(group), schema=names), row_group_size=len(group))
        # The salt makes every pack a new object: chunks rewritten from a condemned pack survive it.
        writer.add_key_value_metadata({"durable_nb": str(FORMAT), "salt": secrets.token_hex(8)})
    data = memoryview(sink.getvalue())
    key = f"packs/{digest_of(data)[:32]}.parquet"
    places = {
        row[0]: Place(key, g, i, row[2]) for g, group in enumerate(groups) for i, row in enumerate(group)
    }
    return Pack(key, data, places)


def _columns(rows: Sequence[tuple[str, str, int, Any]]) -> list[pa.Array]:
    # From buffers, because pyarrow.array imports pandas, which takes half a second.
    import pyarrow as pa

    def column(kind: pa.DataType, *buffers: bytes) -> pa.Array:
        return pa.Array.from_buffers(kind, len(rows), [None, *map(pa.py_buffer, buffers)])

    digests, codecs, sizes, data = zip(*rows, strict=True)
    kinds = [field.type for field in schema()]
    return [
        column(kinds[0], bytes.fromhex("".join(digests))),
        column(kinds[1], _offsets("i", codecs), "".join(codecs).encode()),
        column(kinds[2], array("q", sizes).tobytes()),
        column(kinds[3], _offsets("q", data), b"".join(data)),
    ]


def _offsets(kind: str, values: Sequence[Any]) -> bytes:
    return array(kind, itertools.accumulate(map(len, values), initial=0)).tobytes()


@functools.cache
def schema() -> pa.Schema:
    """The columns of a pack."""
    import pyarrow as pa

    return pa.schema(
        [
            ("digest", pa.binary(32)),
            ("codec", pa.string()),
            ("size", pa.int64()),
            ("data", pa.large_binary()),
        ]
    )


@functools.cache
def _codec(name: str) -> pa.Codec:
    import pyarrow as pa

    return pa.Codec(name, compression_level=1) if name == "zstd" else pa.Codec(name)


def _compress(data: Bytes, compression: Compression) -> tuple[str, Any]:
    size = len(data)
    if compression == "none" or size < _SMALL:
        return "raw", data
    codec = _codec(compression)
    if size > 2 * _SAMPLE:
        middle = (size - _SAMPLE) // 2
        if codec.compress(data[middle : middle + _SAMPLE]).size > _SHRUNK * _SAMPLE:
            return "raw", data
    smaller = codec.compress(data)
    return (compression, memoryview(smaller).cast("B")) if smaller.size <= _SHRUNK * size else ("raw", data)


def decompress(codec: str, size: int, stored: pa.Buffer) -> memoryview:
    """The bytes of a chunk, not verified yet."""
    if codec == "raw":
        return memoryview(stored).cast("B")
    if codec not in {"lz4", "zstd"} or not 0 <= size < _LARGEST:
        raise ValueError(f"codec {codec!r}, size {size}")
    return memoryview(_codec(codec).decompress(stored, size)).cast("B")
