"""Records, epochs and intents: how each is signed, written and read.

A record or an epoch is two lines: canonical JSON, and its HMAC. An intent is one line of an
appended file: JSON, a tab, its HMAC.

    log/<execution>/00000017.0002.json    record 17, written in epoch 2
    log/<execution>/epoch-0002.json       who owns the execution since
    log/<execution>/epoch-0002.intents    what was about to begin
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from durable_nb.errors import DamagedError, NotFoundError
from durable_nb.model import FORMAT, Owner, Record, canonical
from durable_nb.store.objects import Objects
from durable_nb.store.packs import digest_of
from durable_nb.store.shape import check_epoch, check_record
from durable_nb.store.signing import Signer

_NAME = re.compile(r"(?:(\d{8})\.(\d{4})\.json|epoch-(\d{4})\.(json|intents))")
_EXECUTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_MAC = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """A record together with what says whether it is in its place."""

    record: Record
    bases: tuple[int, ...]
    """the number of the first record of each epoch so far: what tells a stale record from a good one"""
    opened: str
    """digest of the epoch object under which it was written"""
    intents: int
    """intents of its epoch that had been kept before it"""
    signed: bool
    """by this user"""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One kernel's ownership of an execution."""

    number: int
    owner: Owner
    time: float
    notebook: str | None
    parent: str | None
    meta: Mapping[str, Any]
    digest: str
    signed: bool


@dataclass(slots=True)
class Listing:
    """What the folder of an execution holds."""

    records: list[tuple[int, int]] = field(default_factory=list)
    """(epoch, number), oldest first"""
    epochs: list[int] = field(default_factory=list)
    intents: list[int] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def newest_epoch(self) -> int:
        """Of the objects and of the records, in case the object is missing."""
        return max([0, *self.epochs, *(epoch for epoch, _ in self.records)])


def folder(execution: str) -> str:
    """Prefix of the keys of an execution."""
    if not _EXECUTION.fullmatch(execution):
        raise NotFoundError(f"there is no execution {execution!r}")
    return f"log/{execution}/"


def record_key(execution: str, number: int, epoch: int) -> str:
    """The epoch is part of it: a stale writer cannot occupy a number of the new owner."""
    return f"{folder(execution)}{number:08d}.{epoch:04d}.json"


def epoch_key(execution: str, epoch: int) -> str:
    """The object that says who owns the execution."""
    return f"{folder(execution)}epoch-{epoch:04d}.json"


def intents_key(execution: str, epoch: int) -> str:
    """The file that the intents of an epoch are appended to."""
    return f"{folder(execution)}epoch-{epoch:04d}.intents"


class RecordFiles:
    """Reads and writes the log. Keeps what it has read: records never change."""

    def __init__(self, objects: Objects, signer: Signer) -> None:
        self.objects = objects
        self.signer = signer
        self._entries: dict[str, Entry] = {}
        self._epochs: dict[str, Epoch] = {}

    def executions(self) -> list[str]:
        """Names of all executions."""
        return list(
            dict.fromkeys(key.split("/")[1] for key in self.objects.list("log/") if key.count("/") == 2)
        )

    def listing(self, execution: str) -> Listing:
        """Raises NotFoundError if there is no such execution."""
        prefix = folder(execution)
        found = Listing()
        for key in self.objects.list(prefix):
            match = _NAME.fullmatch(key, len(prefix))
            if match is None:
                found.unknown.append(key)
            elif match[1]:
                found.records.append((int(match[2]), int(match[1])))
            else:
                (found.epochs if match[4] == "json" else found.intents).append(int(match[3]))
        if not (found.records or found.epochs):
            raise NotFoundError(f"there is no execution {execution!r} in {self.objects.name}")
        found.records.sort()
        return found

    def entry(self, execution: str, number: int, epoch: int) -> Entry:
        """Raises DamagedError if the record is not whole, NotFoundError if it is missing."""
        key = record_key(execution, number, epoch)
        entry = self._entries.get(key)
        if entry is None:
            raw, digest, signed = self._unseal(key)
            entry = self._entries[key] = _entry(key, raw, digest, signed)
            if (entry.record.execution, entry.record.number, entry.record.epoch) != (
                execution,
                number,
                epoch,
            ):
                del self._entries[key]
                raise DamagedError(f"{key} is damaged: it belongs elsewhere")
        return entry

    def epoch(self, execution: str, epoch: int) -> Epoch:
        """Raises DamagedError or NotFoundError."""
        key = epoch_key(execution, epoch)
        found = self._epochs.get(key)
        if found is None:
            raw, digest, signed = self._unseal(key)
            found = _epoch(key, raw, digest, signed)
            if (raw["execution"], found.number) != (execution, epoch):
                raise DamagedError(f"{key} is damaged: it belongs elsewhere")
            self._epochs[key] = found
        return found

    def intents(self, execution: str, epoch: int) -> tuple[list[dict[str, Any]], list[str]]:
        """The intents that this user signed, and what is wrong with the others."""
        key = intents_key(execution, epoch)
        try:
            data = bytes(self.objects.get(key))
        except NotFoundError:
            return [], []
        *lines, rest = data.split(b"\n")
        # What a dying kernel leaves is the beginning of a line, which is nothing; this is longer than that.
        if len(rest.partition(b"\t")[2]) > _MAC:
            lines.append(rest)
        found: list[dict[str, Any]] = []
        problems: list[str] = []
        for count, line in enumerate(lines, 1):
            text, _, mac = line.rpartition(b"\t")
            if not self.signer.verify(text, mac.decode("ascii", "replace")):
                problems.append(f"{key}: line {count} is damaged, or not signed by this user")
                continue
            raw = json.loads(text)
            if (raw.get("execution"), raw.get("epoch")) != (execution, epoch) or raw["n"] != count:
                problems.append(f"{key}: line {count} belongs elsewhere, or lines before it are missing")
            found.append(raw)
        return found, problems

    def publish(self, fields: Mapping[str, Any]) -> Record:
        """Put a record. ObjectExistsError if its number is taken."""
        key = record_key(fields["execution"], fields["number"], fields["epoch"])
        digest = self._seal(key, fields)
        return _entry(key, {"format": FORMAT, **fields}, digest, signed=True).record

    def open_epoch(
        self, execution: str, epoch: int, owner: Owner, time: float, origin: Mapping[str, Any]
    ) -> Epoch:
        """Put an epoch: notebook, parent and meta are in `origin`. ObjectExistsError if it is taken."""
        key = epoch_key(execution, epoch)
        fields = {"execution": execution, "epoch": epoch, "owner": owner.to_json(), "time": time, **origin}
        digest = self._seal(key, fields)
        return _epoch(key, {"format": FORMAT, **fields}, digest, signed=True)

    def append_intent(self, execution: str, epoch: int, fields: Mapping[str, Any]) -> None:
        """Keep an intent."""
        line = canonical({**fields, "format": FORMAT, "execution": execution, "epoch": epoch})
        self.objects.append(intents_key(execution, epoch), line + f"\t{self.signer.sign(line)}\n".encode())

    def _seal(self, key: str, fields: Mapping[str, Any]) -> str:
        line = canonical({"format": FORMAT, **fields})
        self.objects.put(key, line + f"\n{self.signer.sign(line)}\n".encode())
        return digest_of(line)

    def _unseal(self, key: str) -> tuple[dict[str, Any], str, bool]:
        data = bytes(self.objects.get(key))
        line, newline, mac = data.partition(b"\n")
        if not newline or len(mac) != _MAC + 1 or mac[-1:] != b"\n":
            raise DamagedError(f"{key} is damaged: it is not two lines")
        signed = self.signer.verify(line, mac[:-1].decode("ascii", "replace"))
        try:
            raw = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DamagedError(f"{key} is damaged: {error}") from None
        written = raw.get("format") if isinstance(raw, dict) else None
        if not isinstance(written, int):
            raise DamagedError(f"{key} is damaged: it has no format")
        if written > FORMAT:
            raise DamagedError(
                f"{key} has format {written}, this version of durable_nb reads up to {FORMAT}: upgrade it"
            )
        return raw, digest_of(line), signed


def _entry(key: str, raw: dict[str, Any], digest: str, signed: bool) -> Entry:
    try:
        check_record(raw, signed=signed)
        record = Record(
            execution=raw["execution"],
            epoch=raw["epoch"],
            number=raw["number"],
            parent=raw["parent"],
            time=float(raw["time"]),
            kind=raw["kind"],
            body=raw["body"],
            digest=digest,
        )
        return Entry(record, tuple(raw["bases"]), raw["opened"], raw["intents"], signed)
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"{key} is damaged: {_what(error)}") from None


def _epoch(key: str, raw: dict[str, Any], digest: str, signed: bool) -> Epoch:
    try:
        check_epoch(raw)
        return Epoch(
            number=raw["epoch"],
            owner=Owner(**raw["owner"]),
            time=float(raw["time"]),
            notebook=raw["notebook"],
            parent=raw["parent"],
            meta=raw["meta"],
            digest=digest,
            signed=signed,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"{key} is damaged: {_what(error)}") from None


def _what(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)
