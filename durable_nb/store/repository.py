"""The one front door of a store."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from durable_nb.errors import DamagedError, FencedError, NotFoundError, ObjectExistsError
from durable_nb.model import Component, Execution, ExecutionStatus, Liveness, Owner
from durable_nb.store.compaction import compact
from durable_nb.store.draft import Draft
from durable_nb.store.entry import Epoch
from durable_nb.store.index import PackIndex
from durable_nb.store.log import History
from durable_nb.store.objects import LocalFolder, Objects
from durable_nb.store.owner import LifeLock, liveness
from durable_nb.store.packs import Compression
from durable_nb.store.records import RecordFiles, epoch_key, record_key
from durable_nb.store.signing import Head, Signer
from durable_nb.store.thinning import Thinning
from durable_nb.store.tidying import Tidying
from durable_nb.store.writer import Writer


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes of a store, by what they are for."""

    packs: int
    log: int
    derived: int
    """the catalog: deleting it loses nothing"""

    @property
    def total(self) -> int:
        """All of it."""
        return self.packs + self.log + self.derived


class Repository:
    """Executions and their values, in one store.

    Args:
        objects: where the bytes are.
        signer: this user's key.
        compression: of new chunks: "lz4", "zstd" or "none"; all can be read.
        min_free: bytes of the disk that saving leaves free.
    """

    def __init__(
        self, objects: Objects, signer: Signer, *, compression: Compression = "lz4", min_free: int = 0
    ) -> None:
        self.objects = objects
        self.signer = signer
        self.compression = compression
        self.min_free = min_free
        self.packs = PackIndex(objects)
        self.tidying = Tidying(self)
        self.thinning = Thinning(self)
        self._files = RecordFiles(objects, signer)

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        signer: Signer | None = None,
        compression: Compression = "lz4",
        min_free: int = 0,
        create: bool = True,
    ) -> Repository:
        """The store in a folder; where there is none it is made, or NotFoundError raised."""
        objects = LocalFolder(folder, create=create)
        return cls(objects, signer or Signer(), compression=compression, min_free=min_free)

    @property
    def path(self) -> Path | None:
        """The folder, where the store is one."""
        return self.objects.path if isinstance(self.objects, LocalFolder) else None

    def execution_ids(self) -> list[str]:
        """The names of all executions."""
        return self._files.executions()

    def executions(self) -> list[Execution]:
        """All of them, newest first; also those that are damaged or not trusted."""
        found = []
        for name in self.execution_ids():
            # Removed since, or nothing of it is left but intents, which `verify` reports.
            with contextlib.suppress(NotFoundError):
                found.append(self.execution(name))
        return sorted(found, key=lambda e: (e.updated, e.started), reverse=True)

    def execution(self, execution: str) -> Execution:
        """What is known of one; NotFoundError if it is not in the store."""
        history = self.history(execution)
        owner = history.owner
        alive = (
            Liveness.UNKNOWN if owner is None else liveness(owner, self._lock_file(execution, history.epoch))
        )
        return Execution(
            id=execution,
            notebook=history.notebook,
            parent=history.parent,
            started=history.started,
            updated=history.updated,
            status=_status(history, alive),
            epoch=history.epoch,
            liveness=alive,
            owner=owner,
            head=history.head.number if history.head else 0,
            trusted=history.trusted,
            problems=tuple(history.head_problems),
        )

    def history(self, execution: str) -> History:
        """The verified past of an execution, as it is now; NotFoundError if it is not in the store."""
        return History(execution, self._files, self.cell)

    def vanished(self, notebook: str | None = None) -> list[str]:
        """A line for each execution that this user wrote to this store and that is not in it any more."""
        here = set(self.execution_ids())
        return [
            f"rolled back: execution {name}{f' of {head.notebook}' if head.notebook else ''} is gone, "
            f"this user last saw number {head.number}"
            for name, head in self.signer.heads().items()
            if head.store == self.objects.name and name not in here and notebook in {None, head.notebook}
        ]

    def forget_vanished(self, notebook: str) -> None:
        """The user was told that executions of this notebook are gone: say it no more."""
        here = set(self.execution_ids())
        for name, head in self.signer.heads().items():
            if head.store == self.objects.name and head.notebook == notebook and name not in here:
                self.signer.forget_head(name)

    def create(
        self,
        execution: str,
        owner: Owner,
        notebook: str | None = None,
        parent: str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Writer:
        """Begin an execution. ObjectExistsError if there is one of this id."""
        origin = {"notebook": notebook, "parent": parent, "meta": dict(meta or {})}
        epoch = self._files.open_epoch(execution, 1, owner, time.time(), origin)
        return self._writer(None, epoch, execution)

    def take_over(
        self,
        execution: str,
        owner: Owner,
        *,
        notebook: str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Writer:
        """Own an execution from now on: its former owner, if it still runs, is refused at its next commit.

        Raises FencedError if somebody else took it over at the same moment.
        """
        before = self.history(execution)
        origin = {
            "notebook": notebook or before.notebook,
            "parent": before.parent,
            "meta": {**before.meta, **(meta or {})},
        }
        try:
            epoch = self._files.open_epoch(execution, before.epoch + 1, owner, time.time(), origin)
        except ObjectExistsError:
            raise FencedError(f"another kernel has just taken execution {execution} over") from None
        # Read again: until the epoch was there, the former owner's records counted.
        history = self.history(execution)
        writer = self._writer(history, epoch, execution)
        writer.rely_on_unsafe(self._unsafe(history))
        # From this record on, it is fixed which of the former owner's records are part of the past.
        writer.commit(Draft(kind="takeover", body={"from": before.epoch}))
        writer.safe()
        return writer

    def retire(self, execution: str, versions: Iterable[int]) -> None:
        """Mark checkpoints of an execution that nobody owns any more as removed (see `annotate`)."""
        self.annotate(execution, {"retire": list(versions)})

    def annotate(self, execution: str, body: Mapping[str, Any]) -> None:
        """Add a record that is no checkpoint to an execution that nobody owns any more.

        FencedError if somebody owns it after all; DamagedError if its newest record does not hold.
        """
        history = self.history(execution)
        head, entry = history.head, history.entries[-1] if history.entries else None
        if head is None or entry is None or head.epoch != history.epoch or not history.trusted:
            raise DamagedError(f"execution {execution} cannot be written to: its newest record is not whole")
        if self.execution(execution).running:
            raise FencedError(f"execution {execution} is owned by a running kernel")
        ended = {"status": head.body["status"]} if head.kind == "end" else {}
        try:
            record = self._files.publish(
                {
                    "execution": execution,
                    "epoch": head.epoch,
                    "number": head.number + 1,
                    "parent": head.digest,
                    "bases": list(entry.bases),
                    "opened": entry.opened,
                    "intents": entry.intents,
                    # Removing old checkpoints does not make an old run the newest one.
                    "time": head.time,
                    "kind": "end" if ended else "note",
                    "body": {**ended, **body},
                }
            )
        except ObjectExistsError:
            raise FencedError(f"execution {execution} has just been written to by its owner") from None
        newer = self.objects.exists(epoch_key(execution, record.epoch + 1))
        if newer or self._files.is_compacted(execution, record.number):
            raise FencedError(f"execution {execution} has just been taken over: this does not count")
        head_seen = Head(record.number, record.epoch, record.digest, self.objects.name, history.notebook)
        self.objects.sync([record_key(execution, record.number, record.epoch)])
        self.signer.set_head(execution, head_seen)

    def components(self, digests: Iterable[str]) -> dict[str, Component]:
        """Manifests by digest. Raises NotFoundError or DamagedError."""
        return {digest: _manifest(digest, data) for digest, data in self.packs.read(digests)}

    def chunks(self, digests: Iterable[str]) -> Iterator[tuple[str, memoryview]]:
        """Chunks, verified, each once, in the order that is cheapest to read."""
        return self.packs.read(digests)

    def cell(self, digest: str) -> bytes:
        """One chunk as bytes: source and outputs of a cell."""
        return next(bytes(data) for _, data in self.packs.read([digest]))

    def remove(self, execution: str) -> None:
        """Delete the log of an execution; its values go with the next collection."""
        keys = self.objects.list(f"log/{execution}/")
        self.signer.forget_head(execution)
        self.signer.untrust(execution)
        # Newest first, epochs last: what is left of it in between is a shorter past.
        for key in sorted(keys, key=lambda k: ("epoch-" not in k, k), reverse=True):
            self.objects.delete(key)

    def verify(self, execution: str | None = None) -> list[str]:
        """A line for everything in the store that is not as it was written."""
        from durable_nb.store.verify import verify

        return verify(self, execution)

    def compact(self, execution: str) -> bool:
        """Put the oldest loose records of an execution together; False where nothing is left to do.

        Any process may, while any other reads or writes.
        """
        return compact(self._files, self.history(execution))

    def bytes_stored(self) -> int:
        """Bytes of the store on the disk."""
        return self.usage().total

    def usage(self) -> Usage:
        """Bytes of the store, by what they are for."""
        sizes = {"packs": 0, "log": 0}
        derived = 0
        for key in self.objects.list(""):
            folder = key.partition("/")[0]
            try:
                size = self.objects.size(key)
            except NotFoundError:
                continue
            if folder in sizes:
                sizes[folder] += size
            else:
                derived += size
        return Usage(sizes["packs"], sizes["log"], derived)

    def keep_within(self, writer: Writer, max_bytes: int) -> None:
        """Remove the oldest automatic checkpoints where the store is larger, and tidy up.

        Called after each flush; returns at once.
        """
        self.tidying.follow(writer)
        self.thinning.keep_within(writer, max_bytes)

    def _writer(self, history: History | None, epoch: Epoch, execution: str) -> Writer:
        file = self._lock_file(execution, epoch.number)
        return Writer(
            history,
            epoch,
            execution,
            self._files,
            self.packs,
            compression=self.compression,
            min_free=self.min_free,
            lock=LifeLock(file) if file else None,
            then=self.tidying.finish,
        )

    def _unsafe(self, history: History) -> list[str]:
        """What the former owner had kept, and perhaps not made safe."""
        seen: Head | None = self.signer.head(history.execution)
        safe = seen.number if seen and seen.store == self.objects.name else 0
        keys = []
        # What was compacted had been made safe before.
        for record in history.since(max(safe, history.compacted)):
            keys.append(record_key(history.execution, record.number, record.epoch))
            keys.extend(record.body.get("packs", ()))
        return keys

    def _lock_file(self, execution: str, epoch: int) -> Path | None:
        return self.path / "locks" / f"{execution}.{epoch}" if self.path else None


def _status(history: History, alive: Liveness) -> ExecutionStatus:
    head = history.head
    ended: object = None
    if head is not None and head.kind == "end" and head.epoch == history.epoch:
        ended = head.body.get("status")
    elif history.trusted:
        # The clean mark is an intent, because the kernel may not be left the time for a record.
        last = history.intents(history.epoch)[-1:]
        ended = last[0].get("end") if last else None
    if ended is not None:
        known = {str(status): status for status in ExecutionStatus}
        return known.get(str(ended), ExecutionStatus.INTERRUPTED)
    if alive is not Liveness.ALIVE:
        return ExecutionStatus.INTERRUPTED
    turn = next(history.turns, None)
    return ExecutionStatus(turn.body["status"]) if turn is not None else ExecutionStatus.RUNNING


def _manifest(digest: str, data: memoryview) -> Component:
    try:
        return Component.from_bytes(bytes(data))
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"manifest {digest} cannot be read: {error}") from None
