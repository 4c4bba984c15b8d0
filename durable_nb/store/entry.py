"""A record or an epoch as it is written: two lines, canonical JSON and its HMAC."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from durable_nb.errors import DamagedError
from durable_nb.model import FORMAT, Owner, Record, canonical
from durable_nb.store.packs import digest_of
from durable_nb.store.shape import check_epoch, check_record
from durable_nb.store.signing import Signer

MAC = 64
"""Characters of an HMAC."""


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


def seal(fields: Mapping[str, Any], signer: Signer) -> tuple[bytes, str]:
    """The two lines, and the digest of the first."""
    line = canonical({"format": FORMAT, **fields})
    return line + f"\n{signer.sign(line)}\n".encode(), digest_of(line)


def unseal(key: str, data: bytes, signer: Signer) -> tuple[dict[str, Any], str, bool]:
    """What the first line says, its digest, and whether this user signed it.

    Raises DamagedError for what is not two such lines, or of a newer format.
    """
    line, newline, mac = data.partition(b"\n")
    if not newline or len(mac) != MAC + 1 or mac[-1:] != b"\n":
        raise DamagedError(f"{key} is damaged: it is not two lines")
    signed = signer.verify(line, mac[:-1].decode("ascii", "replace"))
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


def entry_of(key: str, raw: Mapping[str, Any], digest: str, *, signed: bool) -> Entry:
    """A record. Raises DamagedError if it has not the shape of one."""
    try:
        check_record(raw, signed=signed)
        record = record_of(raw, digest)
        return Entry(record, tuple(raw["bases"]), raw["opened"], raw["intents"], signed)
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"{key} is damaged: {_what(error)}") from None


def record_of(raw: Mapping[str, Any], digest: str) -> Record:
    """The record itself, of what is known to have the shape of one."""
    return Record(
        execution=raw["execution"],
        epoch=raw["epoch"],
        number=raw["number"],
        parent=raw["parent"],
        time=float(raw["time"]),
        kind=raw["kind"],
        body=raw["body"],
        digest=digest,
    )


def epoch_of(key: str, raw: Mapping[str, Any], digest: str, *, signed: bool) -> Epoch:
    """An epoch. Raises DamagedError if it has not the shape of one."""
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
