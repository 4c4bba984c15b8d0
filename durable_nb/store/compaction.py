"""Puts older records together, while others read and write.

The owner does it in the background, and whoever collects garbage does it for executions that ended.
A segment is published and flushed before any of its records is deleted, so the log is whole at every
moment; who listed the records before looks into the segment for what is gone. The newest record, and
those that a power loss might take back, stay as they are.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from typing import TYPE_CHECKING

from durable_nb.errors import DurableError, ObjectExistsError
from durable_nb.store.entry import Entry, entry_of, unseal
from durable_nb.store.log import History
from durable_nb.store.records import RecordFiles, record_key, segment_key
from durable_nb.store.segment import Summary, build, index_of, numbers_of

if TYPE_CHECKING:
    from durable_nb.store.repository import Repository


def compact(files: RecordFiles, history: History) -> bool:
    """Compact the oldest span of records that is due; False where none is."""
    settled = _settled(files, history)
    listing = files.listing(history.execution)
    loose: dict[int, list[int]] = {}
    for epoch, number in listing.records:
        # What a stale writer left is not in the segment, and nobody looks at it.
        if number <= settled and epoch == bisect_right(history.bases, number):
            loose.setdefault(index_of(number), []).append(number)
    due = (index for index in sorted(loose) if numbers_of(index)[-1] <= settled)
    return any(
        _compact(files, history, index, sorted(loose[index]), exists=index in listing.segments)
        for index in due
    )


def _settled(files: RecordFiles, history: History) -> int:
    """The newest number that no power loss takes back, below the newest record; 0 for none."""
    head, seen = history.head, files.signer.head(history.execution)
    if head is None or seen is None or seen.store != files.objects.name:
        return 0
    # Whoever does not see the log whole does not know what may be deleted.
    return min(head.number - 1, seen.number) if history.trusted and not history.problems else 0


def _compact(files: RecordFiles, history: History, index: int, loose: list[int], *, exists: bool) -> bool:
    numbers = numbers_of(index)
    key = segment_key(history.execution, index)
    epochs = {number: bisect_right(history.bases, number) for number in numbers}
    if not exists:
        found = [_read(files, history.execution, number, epochs[number]) for number in numbers]
        entries, rows = [entry for entry, _ in found], [row for _, row in found]
        if any(history.entry(entry.record.number) != entry for entry in entries):
            return False
        with contextlib.suppress(ObjectExistsError):
            files.objects.put(key, build(history.execution, entries, rows, files.signer))
    files.objects.sync([key])
    # Read back: somebody else may have published it, and another one than we would have.
    segment = files.segment(history.execution, index)
    if segment.summary is None or (not exists and segment.summary != Summary.of(entries)):
        return False
    for number in loose:
        files.let_go(history.execution, number, epochs[number])
    return True


def _read(files: RecordFiles, execution: str, number: int, epoch: int) -> tuple[Entry, bytes]:
    key = record_key(execution, number, epoch)
    data = bytes(files.objects.get(key))
    raw, digest, signed = unseal(key, data, files.signer)
    return entry_of(key, raw, digest, signed=signed), data


def compact_idle(repository: Repository) -> None:
    """Compact every execution that nobody runs."""
    for execution in repository.executions():
        if execution.running:
            continue
        with contextlib.suppress(DurableError, OSError):
            while repository.compact(execution.id):
                pass
