"""Where records, epochs and intents lie, and how they are written and read.

An intent is one line of an appended file: JSON, a tab, its HMAC. Of records that were compacted the
files are deleted, once the segment is on the disk.

    log/<execution>/00000017.0002.json           record 17, written in epoch 2
    log/<execution>/00000001-00001024.parquet    a segment: compacted records
    log/<execution>/epoch-0002.json              who owns the execution since
    log/<execution>/epoch-0002.intents           what was about to begin
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from durable_nb.errors import DamagedError, NotFoundError
from durable_nb.model import FORMAT, Owner, Record, canonical
from durable_nb.store.entry import MAC, Entry, Epoch, entry_of, epoch_of, seal, unseal
from durable_nb.store.objects import Objects
from durable_nb.store.segment import Segment, index_of, numbers_of, segment_name
from durable_nb.store.signing import Signer

_NAME = re.compile(r"(?:(\d{8})\.(\d{4})\.json|epoch-(\d{4})\.(json|intents)|(\d{8})-\d{8}\.parquet)")
_EXECUTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(slots=True)
class Listing:
    """What the folder of an execution holds."""

    records: list[tuple[int, int]] = field(default_factory=list)
    """(epoch, number), oldest first"""
    epochs: list[int] = field(default_factory=list)
    intents: list[int] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)
    """which there are, from 0"""
    unknown: list[str] = field(default_factory=list)

    @property
    def newest_epoch(self) -> int:
        """Of the objects and of the records, in case the object is missing."""
        return max([0, *self.epochs, *(epoch for epoch, _ in self.records)])

    @property
    def compacted(self) -> int:
        """The newest number that is in a segment."""
        return numbers_of(self.segments[-1])[-1] if self.segments else 0


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


def segment_key(execution: str, index: int) -> str:
    """The object that holds a span of records. There is one name for it: the first to publish it wins."""
    return f"{folder(execution)}{segment_name(index)}"


class RecordFiles:
    """Reads and writes the log. Keeps what it has read: records never change."""

    def __init__(self, objects: Objects, signer: Signer) -> None:
        self.objects = objects
        self.signer = signer
        self._entries: dict[str, Entry] = {}
        self._epochs: dict[str, Epoch] = {}
        self._segments: dict[str, Segment] = {}

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
            elif match[3]:
                (found.epochs if match[4] == "json" else found.intents).append(int(match[3]))
            elif key == segment_key(execution, index := index_of(int(match[5]))):
                found.segments.append(index)
            else:
                found.unknown.append(key)
        if not (found.records or found.epochs or found.segments):
            raise NotFoundError(f"there is no execution {execution!r} in {self.objects.name}")
        found.records.sort()
        return found

    def entry(self, execution: str, number: int, epoch: int) -> Entry:
        """Raises DamagedError if the record is not whole, NotFoundError if it is missing."""
        try:
            return self.loose(execution, number, epoch)
        except (DamagedError, NotFoundError) as error:
            # Compacted since it was listed, or before.
            try:
                entry = self.segment(execution, index_of(number)).entry(number)
            except (DamagedError, NotFoundError):
                raise error from None
            if entry.record.epoch != epoch:
                raise
            return entry

    def loose(self, execution: str, number: int, epoch: int) -> Entry:
        """As `entry`, from a file of its own."""
        key = record_key(execution, number, epoch)
        entry = self._entries.get(key)
        if entry is None:
            raw, digest, signed = unseal(key, bytes(self.objects.get(key)), self.signer)
            entry = entry_of(key, raw, digest, signed=signed)
            found = entry.record
            if (found.execution, found.number, found.epoch) != (execution, number, epoch):
                raise DamagedError(f"{key} is damaged: it belongs elsewhere")
            self._entries[key] = entry
        return entry

    def segment(self, execution: str, index: int) -> Segment:
        """Raises DamagedError or NotFoundError."""
        key = segment_key(execution, index)
        found = self._segments.get(key)
        if found is None:
            found = self._segments[key] = Segment(key, execution, index, self.objects, self.signer)
        return found

    def is_compacted(self, execution: str, number: int) -> bool:
        """Whether a segment holds the number now: then a record that is published there is never read."""
        return self.objects.exists(segment_key(execution, index_of(number)))

    def let_go(self, execution: str, number: int, epoch: int) -> None:
        """Delete the file of a record that a segment holds."""
        key = record_key(execution, number, epoch)
        self.objects.delete(key)
        self._entries.pop(key, None)

    def epoch(self, execution: str, epoch: int) -> Epoch:
        """Raises DamagedError or NotFoundError."""
        key = epoch_key(execution, epoch)
        found = self._epochs.get(key)
        if found is None:
            raw, digest, signed = unseal(key, bytes(self.objects.get(key)), self.signer)
            found = epoch_of(key, raw, digest, signed=signed)
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
        if len(rest.partition(b"\t")[2]) > MAC:
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
        return entry_of(key, fields, digest, signed=True).record

    def open_epoch(
        self, execution: str, epoch: int, owner: Owner, time: float, origin: Mapping[str, Any]
    ) -> Epoch:
        """Put an epoch: notebook, parent and meta are in `origin`. ObjectExistsError if it is taken."""
        key = epoch_key(execution, epoch)
        fields = {"execution": execution, "epoch": epoch, "owner": owner.to_json(), "time": time, **origin}
        digest = self._seal(key, fields)
        return epoch_of(key, fields, digest, signed=True)

    def append_intent(self, execution: str, epoch: int, fields: Mapping[str, Any]) -> None:
        """Keep an intent."""
        line = canonical({**fields, "format": FORMAT, "execution": execution, "epoch": epoch})
        self.objects.append(intents_key(execution, epoch), line + f"\t{self.signer.sign(line)}\n".encode())

    def _seal(self, key: str, fields: Mapping[str, Any]) -> str:
        data, digest = seal(fields, self.signer)
        self.objects.put(key, data)
        return digest
