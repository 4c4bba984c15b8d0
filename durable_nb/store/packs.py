"""Chunks in Parquet files: how a pack is built, and the index that finds a chunk again.

A chunk's address is the BLAKE3-256 of its bytes, in hex. A pack is named after the BLAKE3 of the
file, has the columns digest, codec, size and data, and is never changed.
"""

from __future__ import annotations

import functools
import secrets
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from blake3 import blake3

from durable_nb.errors import DamagedError, NotFoundError, StoreError
from durable_nb.model import FORMAT
from durable_nb.store.objects import Objects

if TYPE_CHECKING:
    import pyarrow as pa

Compression = Literal["lz4", "zstd", "none"]
Bytes = bytes | memoryview

ROW_GROUP = 16 << 20
"""The most bytes that must be read to get at one chunk."""

PACK = 32 << 20
"""Chunks are spread over several packs beyond this size."""

_SMALL = 256
_SAMPLE = 16 << 10
_SHRUNK = 0.9
_OPEN_PACKS = 8
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
        if groups[-1] and held + len(row[3]) > ROW_GROUP:
            groups.append([])
            held = 0
        groups[-1].append(row)
        held += len(row[3])
    schema = _schema()
    options: dict[str, Any] = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    with pq.ParquetWriter(sink, schema, store_schema=False, **options) as writer:
        for group in groups:
            columns = [
                pa.array([bytes.fromhex(r[0]) for r in group], schema.field(0).type),
                pa.array([r[1] for r in group], schema.field(1).type),
                pa.array([r[2] for r in group], schema.field(2).type),
                pa.array([r[3] for r in group], schema.field(3).type),
            ]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=len(group))
        # The salt makes every pack a new object: chunks rewritten from a condemned pack survive it.
        writer.add_key_value_metadata({"durable_nb": str(FORMAT), "salt": secrets.token_hex(8)})
    data = memoryview(sink.getvalue())
    key = f"packs/{digest_of(data)[:32]}.parquet"
    places = {row[0]: Place(key, g, i) for g, group in enumerate(groups) for i, row in enumerate(group)}
    return Pack(key, data, places)


@functools.cache
def _schema() -> pa.Schema:
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
    return (compression, memoryview(smaller)) if smaller.size <= _SHRUNK * size else ("raw", data)


def _decompress(codec: str, size: int, stored: pa.Buffer) -> memoryview:
    if codec == "raw":
        return memoryview(stored).cast("B")
    if codec not in {"lz4", "zstd"} or not 0 <= size < _LARGEST:
        raise ValueError(f"codec {codec!r}, size {size}")
    return memoryview(_codec(codec).decompress(stored, size)).cast("B")


class PackIndex:
    """Finds chunks in packs. Reads only the digests of a pack, once, when a chunk is first missed.

    Safe to use from several threads.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._lock = threading.RLock()
        self._places: dict[str, tuple[Place, ...]] = {}
        self._known: set[str] = set()
        self._damaged: dict[str, str] = {}
        self._open: dict[str, Any] = {}

    def find(self, digest: str) -> str | None:
        """The key of a pack that holds the chunk, as far as the index has looked."""
        places = self._places.get(digest)
        return places[-1].pack if places else None

    def holders(self, digest: str) -> list[str]:
        """All packs that are known to hold the chunk."""
        return [p.pack for p in self._places.get(digest, ())]

    def contents(self) -> dict[str, list[str]]:
        """pack key -> digests, for every pack in the index."""
        with self._lock:
            found: dict[str, list[str]] = {pack: [] for pack in self._known}
            for digest, places in self._places.items():
                for place in places:
                    found[place.pack].append(digest)
            return found

    @property
    def damaged(self) -> dict[str, str]:
        """pack key -> why it cannot be read."""
        return dict(self._damaged)

    def refresh(self, packs: Iterable[str] | None = None) -> None:
        """Look into the packs that are new; forget those that were deleted, if all are listed."""
        with self._lock:
            listed = set(self._objects.list("packs/")) if packs is None else set(packs)
            if packs is None:
                self._forget(self._known - listed)
                self._damaged = {k: v for k, v in self._damaged.items() if k in listed}
            for pack in sorted(listed - self._known - self._damaged.keys()):
                self._look_into(pack)

    def add(self, pack: Pack) -> None:
        """A pack that was just put need not be read to be known."""
        with self._lock:
            self._known.add(pack.key)
            for digest, place in pack.places.items():
                self._places[digest] = (*self._places.get(digest, ()), place)

    def drop(self, pack: str) -> None:
        """The pack is gone, or going: do not find anything in it any more."""
        with self._lock:
            self._forget({pack})

    def read(self, digests: Iterable[str], hint: Iterable[str] = ()) -> Iterator[tuple[str, memoryview]]:
        """The chunks, each once and verified, grouped by where they lie rather than as asked for.

        Raises NotFoundError for a chunk that is in no pack, DamagedError if what is there is not it.
        """
        wanted = dict.fromkeys(digests)
        if hint and not all(d in self._places for d in wanted):
            self.refresh(hint)
        if not all(d in self._places for d in wanted):
            self.refresh()
        grouped: dict[tuple[str, int], list[tuple[int, str]]] = {}
        for digest in wanted:
            place = self._place(digest)
            grouped.setdefault((place.pack, place.group), []).append((place.row, digest))
        for (pack, group), rows in grouped.items():
            yield from self._read_group(pack, group, sorted(rows))

    def _place(self, digest: str) -> Place:
        places = self._places.get(digest)
        if places:
            return places[-1]
        if self._damaged:
            pack, reason = next(iter(self._damaged.items()))
            raise DamagedError(f"chunk {digest} is in no pack that can be read; {pack} is damaged: {reason}")
        raise NotFoundError(f"chunk {digest} is in no pack of the store")

    def _read_group(
        self, pack: str, group: int, rows: list[tuple[int, str]]
    ) -> Iterator[tuple[str, memoryview]]:
        try:
            chunks = self._load(pack, group, rows)
        except NotFoundError:
            # Collected since: a chunk that is still needed was copied to another pack first.
            self.drop(pack)
            self.refresh()
            yield from self.read([digest for _, digest in rows])
            return
        for digest, data in chunks:
            yield digest, data if isinstance(data, memoryview) else self._elsewhere(pack, digest, data)

    def _elsewhere(self, pack: str, digest: str, reason: str) -> memoryview:
        for place in self._places.get(digest, ()):
            if place.pack != pack:
                for _, data in self._load(place.pack, place.group, [(place.row, digest)]):
                    if isinstance(data, memoryview):
                        return data
        raise DamagedError(f"chunk {digest} in {pack} is damaged: {reason}")

    def _load(self, pack: str, group: int, rows: list[tuple[int, str]]) -> list[tuple[str, memoryview | str]]:
        try:
            table = self._file(pack).read_row_group(group, ["codec", "size", "data"], use_threads=False)
            codecs, sizes = table["codec"].to_pylist(), table["size"].to_pylist()
            stored = table["data"].chunk(0)
        except (StoreError, NotFoundError):
            raise
        except Exception as error:
            # Damage shows itself as any exception of Arrow's.
            return [(digest, f"{type(error).__name__}: {error}") for _, digest in rows]
        found: list[tuple[str, memoryview | str]] = []
        for row, digest in rows:
            try:
                data = _decompress(codecs[row], sizes[row], stored[row].as_buffer())
            except Exception as error:
                found.append((digest, f"{type(error).__name__}: {error}"))
                continue
            found.append((digest, data if digest_of(data) == digest else "its bytes have another digest"))
        return found

    def _file(self, pack: str) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        with self._lock:
            file = self._open.pop(pack, None)
            if file is None:
                source = pa.BufferReader(pa.py_buffer(self._objects.get(pack)))
                file = pq.ParquetFile(source, pre_buffer=False)
            self._open[pack] = file
            while len(self._open) > _OPEN_PACKS:
                del self._open[next(iter(self._open))]
            return file

    def _look_into(self, pack: str) -> None:
        try:
            file = self._file(pack)
            if file.schema_arrow.names != _schema().names:
                raise ValueError("its columns are not those of a pack")
            for group in range(file.num_row_groups):
                column = file.read_row_group(group, ["digest"], use_threads=False)["digest"]
                for row, digest in enumerate(column.to_pylist()):
                    place = Place(pack, group, row)
                    known = self._places.get(digest.hex(), ())
                    self._places[digest.hex()] = (*known, place)
        except NotFoundError:
            return
        except Exception as error:
            self._known.add(pack)
            self._forget({pack})
            self._damaged[pack] = f"{type(error).__name__}: {error}"
        else:
            self._known.add(pack)

    def _forget(self, packs: set[str]) -> None:
        gone = packs & self._known
        for pack in packs:
            self._open.pop(pack, None)
        if not gone:
            return
        self._known -= gone
        for digest, places in list(self._places.items()):
            if any(p.pack in gone for p in places):
                kept = tuple(p for p in places if p.pack not in gone)
                if kept:
                    self._places[digest] = kept
                else:
                    del self._places[digest]
