"""The only one that writes to an execution."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from durable_nb.errors import FencedError, NoSpaceError, NotFoundError, ObjectExistsError, StoreError
from durable_nb.model import Component, Record, canonical
from durable_nb.store.condemned import condemned_packs
from durable_nb.store.draft import Draft, PendingComponent
from durable_nb.store.entry import Epoch
from durable_nb.store.index import PackIndex
from durable_nb.store.log import History, root_hex, weight
from durable_nb.store.naming import Naming
from durable_nb.store.owner import LifeLock
from durable_nb.store.packs import Bytes, Compression, build, digest_of
from durable_nb.store.records import RecordFiles, epoch_key, intents_key, record_key
from durable_nb.store.signing import Head

__all__ = ["Draft", "PendingComponent", "Writer"]

FULL_EVERY = 64
"""A state is written whole after so many deltas."""

_REFRESH = 5.0


@dataclass(slots=True)
class _State:
    """The variables of a version, as the next delta needs them."""

    version: int | None = None
    manifests: dict[str, str] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)
    root: int = 0
    depth: int = 0
    moved: bool = False
    """it is not the newest one of the execution"""


@dataclass(slots=True)
class _Batch:
    """The chunks of one commit: to be written, and those that it relies on."""

    new: dict[str, Bytes] = field(default_factory=dict)
    relied: set[str] = field(default_factory=set)
    packs: list[str] = field(default_factory=list)
    stored: int = 0
    """bytes of the packs"""

    def add(self, data: Bytes) -> str:
        digest = digest_of(data)
        self.new.setdefault(digest, data)
        return digest


class Writer:
    """Commits to one epoch of an execution, until another kernel takes it over.

    Commits come one at a time; `intent` may be called from another thread.
    """

    def __init__(
        self,
        history: History | None,
        epoch: Epoch,
        execution: str,
        files: RecordFiles,
        packs: PackIndex,
        *,
        compression: Compression = "lz4",
        min_free: int = 0,
        lock: LifeLock | None = None,
        then: Callable[[], None] | None = None,
    ) -> None:
        self.execution = execution
        self.epoch = epoch.number
        # Where what was compacted is lost, its numbers stay taken.
        self.number = max(history.head.number if history.head else 0, history.compacted) if history else 0
        self.fenced = False
        self._files = files
        self._objects = files.objects
        self._packs = packs
        self.compression = compression
        self.min_free = min_free
        self._life = lock
        self._then = then
        self._opened = epoch.digest
        self._notebook = epoch.notebook
        self._parent = history.head.digest if history and history.head else ""
        bases = history.bases if history else ()
        # Epochs that ended without a record begin where the next one does.
        self._bases = (*bases, *[self.number + 1] * (self.epoch - len(bases)))
        self._state = _State()
        self._intents = 0
        self._counted = True
        """whether `_intents` is known: an interrupt may come once a line is written"""
        self._unsynced: dict[str, None] = {epoch_key(execution, self.epoch): None}
        self._synced: set[str] = set()
        self._withdrawn: list[int] = []
        self._refreshed = float("-inf")
        self._committing = threading.RLock()

    @property
    def version(self) -> int | None:
        """The version of the state that the next commit follows."""
        return self._state.version

    def set_state(self, version: int, manifests: Mapping[str, str], contents: Mapping[str, str]) -> None:
        """Continue from another version, after a recovery or rollback.

        Args:
            version: a checkpoint of this execution.
            manifests: what its variables are: name -> manifest digest.
            contents: name -> content digest of the component that holds the name.
        """
        if version > self.number:
            raise StoreError(f"v{version} is newer than what this kernel owns of execution {self.execution}")
        with self._committing:
            root = sum(weight(n, d) for n, d in manifests.items())
            # What was forgotten since is in the deltas still, so the next state is written whole.
            self._state = _State(version, dict(manifests), dict(contents), root, FULL_EVERY, moved=True)

    def intent(self, fields: Mapping[str, Any], cell: bytes | None = None) -> int:
        """Keep what is about to begin, before it begins; returns its number in this epoch.

        `cell` is its source, which is kept as a chunk: nothing else may be on its way to the store then.
        """
        self._check_fence()
        if not self._counted:
            self._intents = len(self._files.intents(self.execution, self.epoch)[0])
        number = self._intents + 1
        if cell is not None:
            with self._committing:
                batch = _Batch()
                fields = {**fields, "cell": batch.add(cell)}
                self._store(batch)
                self._check_condemned(batch)
        fields = {**fields, "n": number, "time": time.time()}
        self._counted = False
        self._files.append_intent(self.execution, self.epoch, fields)
        self._intents, self._counted = number, True
        self._unsynced[intents_key(self.execution, self.epoch)] = None
        self._check_fence()
        return number

    def commit(self, draft: Draft) -> Record:
        """Make a draft true, all of it or nothing; it survives this process once this returns.

        Raises:
            FencedError: another kernel owns the execution; nothing of this one counts any more.
            NoSpaceError: the disk would be fuller than `min_free` allows.
            StoreError: some of what it relies on is not in the store: capture it again.
        """
        with self._committing:
            pieces = draft.unsaved_pieces()
            kept = False
            try:
                record = self._commit(draft)
                kept = True
            finally:
                draft.let_go(pieces, kept=kept)
            return record

    def safe(self) -> None:
        """Return when all that was committed survives a power loss, and note the head beside the key."""
        with self._committing:
            keys = list(self._unsynced)
            # A record must not be on the disk before the packs that it names.
            keys.sort(key=lambda key: not key.startswith("packs/"))
            self._objects.sync(keys)
            for key in keys:
                del self._unsynced[key]
                if key.startswith("packs/"):
                    self._synced.add(key)
            self._note_head()

    def end(self, status: str) -> Record:
        """Record that the execution ended in order."""
        record = self.commit(Draft(kind="end", body={"status": status}))
        self.close()
        return record

    def close(self) -> None:
        """Give up the lock that says that this process lives, and wait a moment for who tidies up."""
        if self._life is not None:
            self._life.close()
        if self._then is not None:
            self._then()

    def rely_on_unsafe(self, keys: Iterable[str]) -> None:
        """These objects may not be on the disk yet: the next `safe` sees to them."""
        self._unsynced.update(dict.fromkeys(keys))

    def _note_head(self) -> None:
        head = Head(self.number, self.epoch, self._parent, self._objects.name, self._notebook)
        self._files.signer.set_head(self.execution, head)

    def _check_fence(self) -> None:
        self.fenced = self.fenced or self._objects.exists(epoch_key(self.execution, self.epoch + 1))
        if self.fenced:
            raise FencedError(
                f"another kernel has taken execution {self.execution} over: nothing more of this one is kept"
            )

    def _check_compacted(self, number: int) -> None:
        """After publishing: on a number that was compacted, a record is in nobody's way, and never read."""
        if self._files.is_compacted(self.execution, number):
            self.fenced = True
            raise FencedError(
                f"record {number} of execution {self.execution} was written and compacted by another kernel: "
                "nothing more of this one is kept"
            )

    def _commit(self, draft: Draft) -> Record:
        self._check_fence()
        if draft.parent is not None and draft.parent != self._state.version:
            raise StoreError(
                f"the draft follows v{draft.parent}, the writer stands at v{self._state.version}"
            )
        # Another notebook's new packs may hold our bytes already; missing them costs a copy only.
        if time.monotonic() - self._refreshed > _REFRESH:
            self._packs.refresh()
            self._refreshed = time.monotonic()
        batch = _Batch()
        self._gather(draft, batch)
        manifests, contents = self._describe(draft, batch)
        body = dict(draft.body)
        if self._withdrawn:
            body["retire"] = [*body.get("retire", ()), *self._withdrawn]
        state: _State | None = None
        if draft.has_state or draft.components or draft.deleted or draft.assign:
            state, body["state"] = self._advance(draft, manifests, contents, batch)
        if draft.cell is not None:
            body["cell"] = batch.add(draft.cell)
        if state is not None and (self._state.moved or draft.assign):
            self._rely_on_state(state, batch)
        self._store(batch)
        if batch.packs:
            body["packs"], body["stored"] = batch.packs, batch.stored
        record = self._publish(draft.kind, body)
        self._check_fence()
        self._check_compacted(record.number)
        try:
            self._check_condemned(batch)
        except StoreError:
            self._withdrawn.append(record.number)
            raise
        self._withdrawn = []
        if state is not None:
            state.version = record.number
            self._state = state
        return record

    def _gather(self, draft: Draft, batch: _Batch) -> None:
        """Digests for all pieces; those that come without bytes are relied upon."""
        seen: set[int] = set()
        for component in draft.components:
            inline = component.is_inline
            for piece in component.pieces():
                if inline or id(piece) in seen:
                    continue
                seen.add(id(piece))
                if piece.data is not None:
                    piece.digest = batch.add(piece.data)
                elif piece.digest:
                    batch.relied.add(piece.digest)
                else:
                    raise StoreError(f"a piece of {', '.join(component.names)} has neither bytes nor digest")

    def _describe(self, draft: Draft, batch: _Batch) -> tuple[dict[str, str], dict[str, str]]:
        """Manifests and content digests of the draft, by name."""
        manifests, contents = dict(draft.assign), dict[str, str]()
        for digest, data in self._packs.read(draft.assign.values()):
            content = digest_of(canonical(Component.from_bytes(bytes(data)).content()))
            contents.update({n: content for n, d in draft.assign.items() if d == digest})
        naming = Naming(draft, {**self._state.contents, **contents})
        for pending in draft.components:
            naming.finish(pending)
            for name in pending.names:
                manifests[name], contents[name] = pending.digest, pending.content_digest
        for manifest in naming.manifests:
            batch.add(manifest)
        return manifests, contents

    def _advance(
        self, draft: Draft, manifests: Mapping[str, str], contents: Mapping[str, str], batch: _Batch
    ) -> tuple[_State, dict[str, Any]]:
        """The next state, and the delta that leads to it."""
        old = self._state
        changed = {n: d for n, d in manifests.items() if old.manifests.get(n) != d}
        deleted = sorted(n for n in set(draft.deleted) if n in old.manifests and n not in manifests)
        new = _State(None, dict(old.manifests), dict(old.contents), old.root, old.depth + 1)
        for name in [*deleted, *changed]:
            if name in new.manifests:
                new.root -= weight(name, new.manifests.pop(name))
        for name in deleted:
            new.contents.pop(name, None)
        for name, digest in changed.items():
            new.manifests[name] = digest
            new.root += weight(name, digest)
        new.contents.update(contents)
        full = None
        if new.depth >= FULL_EVERY:
            full, new.depth = batch.add(canonical(new.manifests)), 0
        root = root_hex(new.root)
        return new, {"parent": old.version, "set": changed, "del": deleted, "root": root, "full": full}

    def _rely_on_state(self, state: _State, batch: _Batch) -> None:
        """After a rollback the variables may be those of a checkpoint that is collected right now."""
        wanted = {d for d in state.manifests.values() if d not in batch.new}
        batch.relied |= wanted
        for _, data in self._read(wanted):
            batch.relied.update(Component.from_bytes(bytes(data)).chunks())

    def _read(self, digests: Iterable[str]) -> list[tuple[str, memoryview]]:
        try:
            return list(self._packs.read(digests))
        except NotFoundError as error:
            raise StoreError(f"the state that is continued is not whole: {error}") from error

    def _store(self, batch: _Batch) -> None:
        """Write what no pack holds; a pack that is condemned is as good as gone."""
        if not all(self._packs.find(digest) for digest in batch.relied):
            self._packs.refresh()
            if missing := [d for d in batch.relied if not self._packs.find(d)]:
                raise StoreError(
                    f"{len(missing)} chunks that were kept before are gone: they are captured anew"
                )
        avoid = condemned_packs(self._objects)
        self._write({d: data for d, data in batch.new.items() if not self._held(d, avoid)}, batch)

    def _write(self, chunks: Mapping[str, Bytes], batch: _Batch) -> None:
        if not chunks:
            return
        free = self._objects.free()
        size = sum(len(data) for data in chunks.values())
        if free is not None and free - size < self.min_free:
            raise NoSpaceError(
                f"saving {size >> 20} MiB would leave {max(0, free - size) >> 20} MiB of the disk free, "
                f"less than min_free ({self.min_free >> 20} MiB): free some space, or `%durable gc`"
            )
        for pack in build(chunks.items(), self.compression):
            self._objects.put(pack.key, pack.data)
            self._packs.add(pack)
            self._unsynced[pack.key] = None
            batch.packs.append(pack.key)
            batch.stored += len(pack.data)

    def _publish(self, kind: str, body: Mapping[str, Any]) -> Record:
        number = self.number + 1
        try:
            record = self._files.publish(
                {
                    "execution": self.execution,
                    "epoch": self.epoch,
                    "number": number,
                    "parent": self._parent,
                    "bases": list(self._bases),
                    "opened": self._opened,
                    "intents": self._intents,
                    "time": time.time(),
                    "kind": kind,
                    "body": body,
                }
            )
        except ObjectExistsError:
            self.fenced = True
            raise FencedError(
                f"record {number} of execution {self.execution} is taken: another kernel owns it"
            ) from None
        self.number, self._parent = number, record.digest
        self._unsynced[record_key(self.execution, number, self.epoch)] = None
        return record

    def _check_condemned(self, batch: _Batch) -> None:
        """After publishing: nothing that the record relies on may be on its way out.

        A collection marks again after it has condemned, so it either sees the record or is seen here.
        """
        while True:
            # In this order: what is condemned stays listed until its packs are gone.
            avoid = condemned_packs(self._objects)
            exists = dict.fromkeys(
                (p for d in (*batch.new, *batch.relied) for p in self._packs.holders(d)), True
            )
            for pack in exists:
                if not self._objects.exists(pack):
                    exists[pack] = False
                    self._packs.drop(pack)
            lost = [d for d in (*batch.new, *batch.relied) if not self._held(d, avoid)]
            if lost:
                self._packs.refresh()
                lost = [d for d in lost if not self._held(d, avoid)]
            if not lost:
                break
            gone = [d for d in lost if d not in batch.new]
            if gone:
                self._refreshed = float("-inf")
                raise StoreError(
                    f"{len(gone)} chunks were collected while they were used again: they are captured anew"
                )
            self._write({d: batch.new[d] for d in lost}, batch)
        for digest in (*batch.new, *batch.relied):
            holder = self._packs.find(digest)
            if holder is not None and holder not in self._synced:
                self._unsynced[holder] = None

    def _held(self, digest: str, avoid: frozenset[str]) -> bool:
        return any(pack not in avoid for pack in self._packs.holders(digest))
