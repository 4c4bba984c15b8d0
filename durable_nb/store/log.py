"""The verified past of one execution.

The newest record that this user signed, or chose to trust, is the head. From there the digests of
the parents lead back, and trust with them. What does not fit is passed over and named.
"""

from __future__ import annotations

import contextlib
import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from blake3 import blake3

from durable_nb.errors import DamagedError, DurableError, NotFoundError, StoreError
from durable_nb.model import Checkpoint, Owner, Record
from durable_nb.store import outline
from durable_nb.store.chain import Chain, Records, walk
from durable_nb.store.entry import Entry, Epoch
from durable_nb.store.records import RecordFiles
from durable_nb.store.segment import numbers_of

_MODULUS = 1 << 256


def weight(name: str, manifest: str) -> int:
    """What one variable adds to the root of a state."""
    return int.from_bytes(blake3(f"{name}\0{manifest}".encode()).digest())


def root_of(state: Mapping[str, str]) -> int:
    """Sum of the weights modulo 2**256: a root that follows a change of one variable at no cost.

    Additive multiset hashes: Clarke et al., ASIACRYPT 2003.
    """
    return sum(weight(name, manifest) for name, manifest in state.items()) % _MODULUS


def root_hex(root: int) -> str:
    """The root as it is written."""
    return f"{root % _MODULUS:064x}"


class History:
    """One execution as the store has it now. Raises NotFoundError if there is no such execution."""

    def __init__(self, execution: str, files: RecordFiles, read_chunk: Callable[[str], bytes]) -> None:
        self.execution = execution
        self._files = files
        self._read_chunk = read_chunk
        # Before the records: a writer notes its head after it has published.
        self._seen = files.signer.head(execution)
        self._listing = files.listing(execution)
        self._passed_over: dict[tuple[int, int], str] = {}
        self._rebuilt: tuple[int, dict[str, str]] | None = None
        self._trusted_digests = files.signer.trusted(execution)
        self._head, self.trusted = self._find_head()
        self.epoch = self._listing.newest_epoch
        """the newest epoch: who published it owns the execution"""

    @property
    def head(self) -> Record | None:
        """The newest record that holds."""
        return self._head.record if self._head else None

    @property
    def records(self) -> Sequence[Record]:
        """What led to the head, oldest first. Those that were compacted are read when they are asked for."""
        return Records(self._chain)

    def since(self, number: int) -> Iterator[Record]:
        """The records of larger numbers, without reading the others."""
        return self._chain.records(after=number)

    @property
    def problems(self) -> list[str]:
        """What was passed over, is missing, or older than what this user saw; a line each."""
        return [*self._chain.problems, *self.head_problems]

    @property
    def entries(self) -> Sequence[Entry]:
        """As `records`, with what says that each is in its place."""
        return self._chain

    @property
    def turns(self) -> Iterator[Record]:
        """The records that say of the execution that it was paused or resumed, newest first."""
        return self._chain.turns()

    @property
    def bases(self) -> tuple[int, ...]:
        """The number of the first record of each epoch that has one."""
        return self._head.bases if self._head else ()

    @property
    def compacted(self) -> int:
        """The newest number that was compacted: a record that is published below it is never read."""
        return self._listing.compacted

    @cached_property
    def head_problems(self) -> list[str]:
        """Those problems that can be told without reading all records."""
        found = [f"{why}: passed over" for why in self._passed_over.values()]
        found += self._epoch_problems()
        if rolled_back := self._rolled_back():
            found.append(rolled_back)
        return found

    @cached_property
    def epochs(self) -> dict[int, Epoch]:
        """Every epoch that can be read."""
        found = {}
        for number in self._listing.epochs:
            try:
                found[number] = self._files.epoch(self.execution, number)
            except (DamagedError, NotFoundError):
                continue
        return found

    @property
    def owner(self) -> Owner | None:
        """The process that owns the execution now; None if that cannot be read."""
        newest = self.epochs.get(self.epoch)
        return newest.owner if newest else None

    @property
    def notebook(self) -> str | None:
        """Path of the notebook, where it was known."""
        origin = self._origin
        return origin.notebook if origin else None

    @property
    def parent(self) -> str | None:
        """The execution that this one continues after a clean restart."""
        origin = self._origin
        return origin.parent if origin else None

    @property
    def meta(self) -> Mapping[str, Any]:
        """What was noted when the execution began."""
        origin = self._origin
        return origin.meta if origin else {}

    @property
    def started(self) -> float:
        """Seconds since 1970."""
        times = [e.time for e in self.epochs.values()] or [r.time for r in self.records[:1]]
        return min(times, default=0.0)

    @property
    def updated(self) -> float:
        """Seconds since 1970, of the newest record or epoch."""
        times = [e.time for e in self.epochs.values()]
        return max([*times, self.head.time if self.head else 0.0])

    def intents(self, epoch: int) -> list[dict[str, Any]]:
        """What was about to begin in an epoch, oldest first: only what this user signed."""
        return self._files.intents(self.execution, epoch)[0]

    def begun(self) -> set[str]:
        """Digests of the sources of what was begun last in each epoch: no record may hold them yet."""
        last = (
            next((i["cell"] for i in reversed(self.intents(e)) if "cell" in i), None) for e in self.epochs
        )
        return {digest for digest in last if digest is not None}

    @cached_property
    def _checkpoints(self) -> dict[int, Checkpoint]:
        return outline.checkpoints(self._chain.outlines)

    def checkpoints(self) -> dict[int, Checkpoint]:
        """Every version of the state, retired ones included, oldest first."""
        return dict(self._checkpoints)

    @cached_property
    def forgotten(self) -> frozenset[str]:
        """Digests of the manifests and cells that the user removed from all history."""
        return outline.forgotten(self._chain.outlines)

    def state(self, version: int) -> dict[str, str]:
        """Name -> manifest digest, as of a version, verified against its root.

        Raises:
            NotFoundError: there is no such checkpoint, or it was retired.
            DamagedError: what it is made of is not whole.
        """
        point = self._checkpoints.get(version)
        if point is None:
            raise NotFoundError(f"execution {self.execution} has no checkpoint v{version}")
        if point.retired:
            raise NotFoundError(f"checkpoint v{version} was retired: its values are gone")
        state = self.rebuild(version)
        return {name: digest for name, digest in state.items() if digest not in self.forgotten}

    def rebuild(self, version: int) -> dict[str, str]:
        """As `state`, whatever became of the checkpoint since: with what was retired or forgotten."""
        deltas: list[Mapping[str, Any]] = []
        at: int | None = version
        state: dict[str, str] = {}
        while at is not None:
            if self._rebuilt is not None and self._rebuilt[0] == at:
                state = dict(self._rebuilt[1])
                break
            delta = self._delta(at, version)
            full = self._full(delta)
            if full is not None:
                state = full
                break
            deltas.append(delta)
            parent = delta["parent"]
            if parent is not None and parent >= at:
                raise DamagedError(f"checkpoint v{version} cannot be put together: v{at} follows v{parent}")
            at = parent
        for delta in reversed(deltas):
            for name in delta["del"]:
                state.pop(name, None)
            state.update(delta["set"])
        if root_hex(root_of(state)) != self._delta(version, version)["root"]:
            raise DamagedError(f"checkpoint v{version} cannot be put together: its root is another one")
        self._rebuilt = (version, dict(state))
        return state

    def entry(self, number: int) -> Entry | None:
        """The record of this number, where it is sound."""
        return self._chain.find(number)

    def _delta(self, at: int, version: int) -> Mapping[str, Any]:
        entry = self.entry(at)
        delta = entry.record.body.get("state") if entry else None
        if delta is None:
            raise DamagedError(
                f"checkpoint v{version} cannot be put together: record {at} is missing or damaged"
            )
        return dict(delta)

    def _full(self, delta: Mapping[str, Any]) -> dict[str, str] | None:
        if not delta.get("full"):
            return None
        try:
            return dict(json.loads(self._read_chunk(delta["full"])))
        except (DurableError, ValueError):
            # The deltas below it may still do; the root tells.
            return None

    def _entry(self, number: int, epoch: int) -> Entry | str:
        try:
            return self._files.entry(self.execution, number, epoch)
        except (StoreError, NotFoundError) as error:
            return str(error)

    def _is_mine(self, entry: Entry) -> bool:
        return entry.signed or entry.record.digest in self._trusted_digests

    def _find_head(self) -> tuple[Entry | None, bool]:
        foreign: Entry | None = None
        foreign_keys: list[tuple[int, int]] = []
        for epoch, number in self._candidates():
            entry = self._entry(number, epoch)
            if isinstance(entry, str):
                self._passed_over[epoch, number] = entry
            elif self._is_mine(entry):
                for key in foreign_keys:
                    self._passed_over[key] = f"record {key[1]} of epoch {key[0]} is not signed by this user"
                return entry, True
            else:
                foreign = foreign or entry
                foreign_keys.append((epoch, number))
        if foreign is not None or self._listing.records:
            return foreign, False
        return None, any(e.signed for e in self.epochs.values())

    def _candidates(self) -> Iterator[tuple[int, int]]:
        """Records that may be the head, as (epoch, number), the newest first."""
        compacted = self._listing.compacted
        yield from (key for key in reversed(self._listing.records) if key[1] > compacted)
        # The newest record is never compacted, so this is for what is damaged or somebody else's.
        for index in reversed(self._listing.segments):
            numbers = numbers_of(index)
            found = {key for key in self._listing.records if key[1] in numbers}
            with contextlib.suppress(StoreError, NotFoundError):
                segment = self._files.segment(self.execution, index)
                found.update((epoch, n) for n in numbers if (epoch := segment.epoch(n)) is not None)
            yield from sorted(found, reverse=True)

    @cached_property
    def _chain(self) -> Chain:
        if self._head is None:
            return Chain([], [])
        return walk(
            self._files,
            self.execution,
            self._listing,
            self._head,
            self._is_mine if self.trusted else None,
            self._passed_over.keys(),
        )

    @cached_property
    def _origin(self) -> Epoch | None:
        return self.epochs[max(self.epochs)] if self.epochs else None

    def _epoch_problems(self) -> Iterable[str]:
        listed = set(self._listing.epochs)
        for number in range(1, self.epoch + 1):
            if number not in listed:
                yield f"epoch {number} of execution {self.execution} is missing"
            elif number not in self.epochs:
                yield f"epoch {number} of execution {self.execution} is damaged"
            elif self.trusted and not self.epochs[number].signed and not self._vouched(number):
                yield f"epoch {number} of execution {self.execution} is damaged, or not signed by this user"

    def _vouched(self, epoch: int) -> bool:
        # A record that is trusted names the epoch object under which it was written.
        return any(e.record.epoch == epoch and e.opened == self.epochs[epoch].digest for e in self.entries)

    def _rolled_back(self) -> str | None:
        seen = self._seen
        if seen is None:
            return None
        place = "" if seen.store == self._files.objects.name else f" in {seen.store}"
        if seen.epoch > self.epoch:
            return f"rolled back: this user last saw epoch {seen.epoch}{place}, the store has {self.epoch}"
        number, epoch = (self._head.record.number, self._head.record.epoch) if self._head else (0, 0)
        if epoch <= seen.epoch and number < seen.number:
            return f"rolled back: this user last saw number {seen.number}{place}, the store has {number}"
        if self._head and bisect_right(self.bases, seen.number) <= seen.epoch:
            entry = self._head if number == seen.number else self.entry(seen.number)
            if entry is not None and seen.digest and entry.record.digest != seen.digest:
                return f"rolled back: record {seen.number} is not the one that this user last saw{place}"
        return None
