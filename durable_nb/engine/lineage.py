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
    wanted = set(versions(history, version))
    return [record for record in history.records if record.number in wanted]
