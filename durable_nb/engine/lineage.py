"""The checkpoints that led to one."""

from __future__ import annotations

from durable_nb.model import Record
from durable_nb.store.log import History


def versions(history: History, version: int | None) -> list[int]:
    """Those that led to a version, and itself, oldest first; no record is read for it."""
    points = history.checkpoints()
    found: list[int] = []
    while version is not None and version in points:
        found.append(version)
        version = points[version].parent
    return found[::-1]


def records(history: History, version: int | None) -> list[Record]:
    """Their records."""
    entries = map(history.entry, versions(history, version))
    return [entry.record for entry in entries if entry is not None]
