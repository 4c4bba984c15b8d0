"""Compacted records: consecutive ones in one Parquet file, each as it was published.

The file's metadata holds a summary, sealed like a record. Whoever compacts has verified the records
and signs what follows from them, with a digest over all their bytes. So one digest and one HMAC say
of a whole segment that every record is the one that was signed, and in its place.

    log/<execution>/00000001-00001024.parquet    column `record`: its two lines
"""

from __future__ import annotations

import functools
import itertools
import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from durable_nb.errors import DamagedError, NotFoundError, StoreError
from durable_nb.model import FORMAT, Record, canonical
from durable_nb.store.entry import Entry, entry_of, record_of, seal, unseal
from durable_nb.store.objects import Objects
from durable_nb.store.outline import Outline
from durable_nb.store.packs import digest_of
from durable_nb.store.signing import Signer

SPAN = 1024
"""Records in a segment: part of the format, since a writer looks for the one that would hold its number."""


def index_of(number: int) -> int:
    """Which segment holds a record, from 0, once it is compacted."""
    return (number - 1) // SPAN


def numbers_of(index: int) -> range:
    """The records of a segment."""
    return range(index * SPAN + 1, (index + 1) * SPAN + 1)


def segment_name(index: int) -> str:
    """Of the file, in the folder of its execution."""
    numbers = numbers_of(index)
    return f"{numbers[0]:08d}-{numbers[-1]:08d}.parquet"


@dataclass(frozen=True, slots=True)
class Summary:
    """What follows from the records of a segment."""

    parent: str
    """digest of the record before the first one"""
    digest: str
    """of the last one"""
    bases: tuple[int, ...]
    """of the last one"""
    outline: Outline

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Summary:
        """The summary of records in order."""
        last = entries[-1]
        return cls(
            entries[0].record.parent, last.record.digest, last.bases, Outline.of(e.record for e in entries)
        )


class Segment(Sequence[Entry]):
    """The records of one segment, read from the store when they are asked for.

    Raises NotFoundError if there is no such object, DamagedError if it cannot be read at all.
    """

    def __init__(self, key: str, execution: str, index: int, objects: Objects, signer: Signer) -> None:
        self.key = key
        self.numbers = numbers_of(index)
        self._execution = execution
        self._objects = objects
        self._signer = signer
        self._content = ""
        rows, summary = self._rows()
        self.turns = [n for n, row in zip(self.numbers, rows, strict=True) if _TURN in row]
        """the records that may say of the execution that it was paused or resumed"""
        self.summary = self._sealed(summary)
        """None where it is not this user's, or not that of these records: then each speaks for itself"""

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> list[Entry]: ...
    def __getitem__(self, at: int | slice) -> Entry | list[Entry]:
        if isinstance(at, slice):
            return [self.entry(number) for number in self.numbers[at]]
        return self.entry(self.numbers[at])

    def __iter__(self) -> Iterator[Entry]:
        return (self.entry(number) for number in self.numbers)

    def records(self) -> Iterator[Record]:
        """The records alone: where the summary holds, nothing more need be asked of them."""
        if self.summary is None:
            yield from (entry.record for entry in self)
            return
        for row in self._rows()[0]:
            line = row.partition(b"\n")[0]
            yield record_of(json.loads(line), digest_of(line))

    def entry(self, number: int) -> Entry:
        """The record of a number that the segment holds. Raises DamagedError."""
        rows, _ = self._rows()
        name = f"record {number} in {self.key}"
        raw, digest, signed = unseal(name, rows[number - self.numbers[0]], self._signer)
        entry = entry_of(name, raw, digest, signed=signed)
        if (entry.record.execution, entry.record.number) != (self._execution, number):
            raise DamagedError(f"{name} is damaged: it belongs elsewhere")
        return entry

    def epoch(self, number: int) -> int | None:
        """The epoch that a record was written in, where that can be read."""
        try:
            return self.entry(number).record.epoch
        except DamagedError:
            return None

    def problems(self) -> Iterator[str]:
        """What is wrong with the order of the records, or with a summary that this user signed."""
        try:
            entries = list(self)
        except DamagedError as error:
            yield str(error)
            return
        for before, after in itertools.pairwise(entries):
            if after.record.parent != before.record.digest:
                yield f"record {after.record.number} in {self.key} does not follow the one before it"
        if self.summary is not None and self.summary != Summary.of(entries):
            yield f"the summary of {self.key} is not that of its records"

    def _rows(self) -> tuple[list[bytes], bytes]:
        rows, summary = _read(self)
        return rows, summary

    def read(self) -> tuple[list[bytes], bytes]:
        """The bytes of all records, and of the summary, as they are in the store now."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            file = pq.ParquetFile(pa.BufferReader(pa.py_buffer(self._objects.get(self.key))))
            rows: list[bytes] = file.read(["record"], use_threads=False)["record"].to_pylist()
            summary: bytes = (file.metadata.metadata or {}).get(b"summary", b"")
        except (StoreError, NotFoundError):
            raise
        except Exception as error:
            # Damage shows itself as any exception of Arrow's.
            raise DamagedError(f"{self.key} is damaged: {type(error).__name__}: {error}") from None
        if len(rows) != len(self.numbers) or None in rows:
            raise DamagedError(f"{self.key} is damaged: it has not {len(self.numbers)} records")
        if self._content and _content(rows) != self._content:
            raise DamagedError(f"{self.key} was changed since it was opened")
        return rows, summary

    def _sealed(self, data: bytes) -> Summary | None:
        try:
            raw, _, signed = unseal(self.key, data, self._signer)
            placed = (raw["execution"], raw["first"]) == (self._execution, self.numbers[0])
            if not (signed and placed and raw["content"] == _content(self._rows()[0])):
                return None
            self._content = raw["content"]
            return Summary(
                raw["parent"], raw["digest"], tuple(raw["bases"]), Outline.from_json(raw["outline"])
            )
        except (DamagedError, KeyError, TypeError, ValueError):
            return None


@functools.lru_cache(maxsize=4)
def _read(segment: Segment) -> tuple[list[bytes], bytes]:
    # They are large, and most are read only to be verified.
    return segment.read()


_TURN = canonical({"kind": "execution"})[1:-1]


def _content(rows: Sequence[bytes]) -> str:
    # JSON holds no zero byte, so where a record ends is part of it.
    return digest_of(b"\0".join(rows))


def build(execution: str, entries: Sequence[Entry], rows: Sequence[bytes], signer: Signer) -> memoryview:
    """The file that holds these records, which the caller has verified: `rows` are their bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    summary = Summary.of(entries)
    fields: Mapping[str, Any] = {
        "execution": execution,
        "first": entries[0].record.number,
        "parent": summary.parent,
        "digest": summary.digest,
        "bases": list(summary.bases),
        "outline": summary.outline.to_json(),
        "content": _content(rows),
    }
    # From buffers, because pyarrow.array imports pandas, which takes half a second.
    offsets = array("i", itertools.accumulate(map(len, rows), initial=0)).tobytes()
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(rows))]
    column = pa.Array.from_buffers(pa.binary(), len(rows), buffers)
    sink = pa.BufferOutputStream()
    schema = pa.schema([("record", pa.binary())])
    options: dict[str, Any] = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}
    with pq.ParquetWriter(sink, schema, store_schema=False, **options) as writer:
        writer.write_table(pa.table([column], schema=schema), row_group_size=len(rows))
        sealed, _ = seal(fields, signer)
        writer.add_key_value_metadata({"durable_nb": str(FORMAT), "summary": sealed.decode()})
    return memoryview(sink.getvalue())
