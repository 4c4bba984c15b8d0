"""Finds a chunk in the packs of a store, and reads it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any

from durable_nb.errors import DamagedError, NotFoundError, StoreError
from durable_nb.store.objects import Objects
from durable_nb.store.packs import Pack, Place, decompress, digest_of, schema

_OPEN_PACKS = 64


class PackIndex:
    """Finds chunks in packs. Reads only the digests of a pack, once, when a chunk is first missed.

    Safe to use from several threads.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._lock = threading.RLock()
        self._places: dict[str, tuple[Place, ...]] = {}
        self._known: dict[str, list[tuple[str, Place]]] = {}
        self._damaged: dict[str, str] = {}
        self._open: dict[str, Any] = {}

    @property
    def count(self) -> int:
        """How many packs are in the index."""
        return len(self._known)

    def find(self, digest: str) -> str | None:
        """The key of a pack that holds the chunk, as far as the index has looked."""
        places = self._places.get(digest)
        return places[-1].pack if places else None

    def holders(self, digest: str) -> list[str]:
        """All packs that are known to hold the chunk."""
        return [p.pack for p in self._places.get(digest, ())]

    def size(self, digest: str) -> int:
        """Bytes of a chunk, 0 if no pack is known to hold it."""
        places = self._places.get(digest)
        return places[-1].size if places else 0

    def contents(self) -> dict[str, dict[str, int]]:
        """For every pack in the index, its chunks: digest -> bytes."""
        with self._lock:
            return {
                pack: {digest: place.size for digest, place in held} for pack, held in self._known.items()
            }

    @property
    def damaged(self) -> dict[str, str]:
        """Why a pack cannot be read, for each that cannot."""
        return dict(self._damaged)

    def refresh(self, packs: Iterable[str] | None = None) -> None:
        """Look into the packs that are new; forget those that were deleted, if all are listed."""
        with self._lock:
            listed = set(self._objects.list("packs/")) if packs is None else set(packs)
            if packs is None:
                self._forget(self._known.keys() - listed)
                self._damaged = {k: v for k, v in self._damaged.items() if k in listed}
            for pack in sorted(listed - self._known.keys() - self._damaged.keys()):
                self._look_into(pack)

    def add(self, pack: Pack) -> None:
        """A pack that was just put need not be read to be known."""
        with self._lock:
            self._learn(pack.key, list(pack.places.items()))

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

    def damages(self, pack: str) -> list[str]:
        """Reads all of a pack that can be opened: a line for each chunk that is not what it should be."""
        with self._lock:
            rows: dict[int, list[tuple[int, str]]] = {}
            for digest, place in self._known.get(pack, ()):
                rows.setdefault(place.group, []).append((place.row, digest))
        loaded = [chunk for group in rows for chunk in self._load(pack, group, rows[group])]
        return [
            f"chunk {digest} in {pack} is damaged: {why}" for digest, why in loaded if isinstance(why, str)
        ]

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
            with self._lock:
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
                data = decompress(codecs[row], sizes[row], stored[row].as_buffer())
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
        held: list[tuple[str, Place]] = []
        try:
            file = self._file(pack)
            if file.schema_arrow.names != schema().names:
                raise ValueError("its columns are not those of a pack")
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, ["digest", "size"], use_threads=False)
                cells = zip(table["digest"].to_pylist(), table["size"].to_pylist(), strict=True)
                held += [(d.hex(), Place(pack, group, row, size)) for row, (d, size) in enumerate(cells)]
        except NotFoundError:
            return
        except Exception as error:
            self._open.pop(pack, None)
            self._damaged[pack] = f"{type(error).__name__}: {error}"
        else:
            self._learn(pack, held)

    def _learn(self, pack: str, held: list[tuple[str, Place]]) -> None:
        self._known[pack] = held
        for digest, place in held:
            self._places[digest] = (*self._places.get(digest, ()), place)

    def _forget(self, packs: Iterable[str]) -> None:
        for pack in list(packs):
            self._open.pop(pack, None)
            for digest, _ in self._known.pop(pack, ()):
                kept = tuple(p for p in self._places.get(digest, ()) if p.pack != pack)
                if kept:
                    self._places[digest] = kept
                else:
                    self._places.pop(digest, None)
