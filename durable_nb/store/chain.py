"""The records that led to a head, each where the one after it says.

A segment whose summary holds is one step of the chain: nothing of it needs to be read.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import overload

from durable_nb.errors import NotFoundError, StoreError
from durable_nb.model import Record
from durable_nb.store.entry import Entry
from durable_nb.store.outline import Outline
from durable_nb.store.records import Listing, RecordFiles
from durable_nb.store.segment import Segment, index_of, numbers_of


class Chain(Sequence[Entry]):
    """Entries, oldest first; those in segments are read when they are asked for."""

    def __init__(self, parts: Sequence[Segment | list[Entry]], problems: Sequence[str]) -> None:
        self.problems = problems
        """what was passed over or is missing; a line each"""
        self._parts = parts
        self._starts = list(itertools.accumulate(map(len, parts), initial=0))

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> list[Entry]: ...
    def __getitem__(self, at: int | slice) -> Entry | list[Entry]:
        if isinstance(at, slice):
            return [self[i] for i in range(len(self))[at]]
        at = range(len(self))[at]
        part = bisect.bisect_right(self._starts, at) - 1
        return self._parts[part][at - self._starts[part]]

    def __iter__(self) -> Iterator[Entry]:
        return itertools.chain.from_iterable(self._parts)

    def find(self, number: int) -> Entry | None:
        """The record of this number, where it is sound."""
        part = bisect.bisect_right(self._parts, number, key=_first) - 1
        if part < 0:
            return None
        found = self._parts[part]
        if isinstance(found, Segment):
            return found.entry(number) if number in found.numbers else None
        at = bisect.bisect_left(found, number, key=_number)
        return found[at] if at < len(found) and found[at].record.number == number else None

    def records(self, after: int = 0) -> Iterator[Record]:
        """The records of larger numbers."""
        for i, part in enumerate(self._parts):
            if i + 1 < len(self._parts) and _first(self._parts[i + 1]) <= after + 1:
                continue
            found = part.records() if isinstance(part, Segment) else (entry.record for entry in part)
            yield from (record for record in found if record.number > after)

    def turns(self) -> Iterator[Record]:
        """The records that say of the execution that it was paused or resumed, newest first."""
        for part in reversed(self._parts):
            if isinstance(part, Segment):
                entries: Iterable[Entry] = map(part.entry, reversed(part.turns))
            else:
                entries = reversed(part)
            yield from (entry.record for entry in entries if entry.record.kind == "execution")

    @property
    def outlines(self) -> Iterator[Outline]:
        """What the records say about checkpoints, in order."""
        for part in self._parts:
            if isinstance(part, Segment) and part.summary is not None:
                yield part.summary.outline
            else:
                yield Outline.of(entry.record for entry in part)


class Records(Sequence[Record]):
    """The records of a chain."""

    def __init__(self, chain: Chain) -> None:
        self._entries = chain

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, at: int) -> Record: ...
    @overload
    def __getitem__(self, at: slice) -> list[Record]: ...
    def __getitem__(self, at: int | slice) -> Record | list[Record]:
        if isinstance(at, slice):
            return [entry.record for entry in self._entries[at]]
        return self._entries[at].record

    def __iter__(self) -> Iterator[Record]:
        return self._entries.records()


def walk(
    files: RecordFiles,
    execution: str,
    listing: Listing,
    head: Entry,
    is_mine: Callable[[Entry], bool] | None,
    told: Collection[tuple[int, int]],
) -> Chain:
    """Follow the parents from a head.

    Args:
        files: the log.
        execution: whose.
        listing: what there was when the head was found.
        head: where to begin.
        is_mine: whether an entry may be trusted on its own, below a gap; None where nothing is trusted.
        told: records, as (epoch, number), whose damage is known already.
    """
    steps, problems = _steps(files, execution, listing, head)
    found: list[Segment | Entry] = []
    expected: str | None = head.record.digest
    last = head.record.number + 1
    while steps:
        step = steps.pop()
        number = step.numbers[-1] if isinstance(step, Segment) else step
        if number != last - 1:
            problems.append(_missing(number + 1, last - 1))
            expected = None
        if isinstance(step, Segment):
            if step.summary is None or expected not in {None, step.summary.digest}:
                steps.extend(step.numbers)
                last = number + 1
                continue
            found.append(step)
            expected, last = step.summary.parent, step.numbers[0]
            continue
        last = number
        epoch = bisect.bisect_right(head.bases, number)
        try:
            entry = files.entry(execution, number, epoch)
        except (StoreError, NotFoundError) as error:
            if (epoch, number) not in told:
                problems.append(f"{error}: passed over")
            expected = None
            continue
        if expected is None and is_mine is not None and not is_mine(entry):
            problems.append(f"record {number} is not signed by this user: passed over")
        elif expected is not None and entry.record.digest != expected:
            problems.append(f"record {number} is not the one that record {number + 1} follows: passed over")
            expected = None
        else:
            found.append(entry)
            expected = entry.record.parent
    if last > 1:
        problems.append(_missing(1, last - 1))
    return Chain(_grouped(reversed(found)), problems[::-1])


def _steps(
    files: RecordFiles, execution: str, listing: Listing, head: Entry
) -> tuple[list[Segment | int], list[str]]:
    """What the way down leads over, the newest last; and why it cannot lead over some segment."""
    # Which epoch a number belongs to follows from the head: a record that a writer published
    # after it had lost the execution has a number of the next epoch, and is never looked at.
    loose = sorted(
        n for e, n in listing.records if n <= head.record.number and e == bisect.bisect_right(head.bases, n)
    )
    steps: list[Segment | int] = []
    problems: list[str] = []
    at = 0
    for index in range(index_of(head.record.number) + 1):
        numbers = numbers_of(index)
        end = bisect.bisect_right(loose, numbers[-1], at)
        here, at = loose[at:end], end
        whole = numbers[-1] <= head.record.number
        listed = index in listing.segments
        # A listing that was read while records were compacted may have neither these nor those.
        if listed or (whole and len(here) < len(numbers)):
            try:
                segment = files.segment(execution, index)
            except (StoreError, NotFoundError) as error:
                if listed:
                    problems.append(f"{error}: passed over")
            else:
                if whole and segment.summary is not None and _fits(segment.summary.bases, head.bases):
                    steps.append(segment)
                    continue
                here = [n for n in numbers if n in here or _may_hold(segment, n, head)]
        steps.extend(here)
    return steps, problems


def _may_hold(segment: Segment, number: int, head: Entry) -> bool:
    """Also where it cannot be read: then that is said."""
    if number > head.record.number:
        return False
    return segment.epoch(number) in {None, bisect.bisect_right(head.bases, number)}


def _fits(bases: tuple[int, ...], later: tuple[int, ...]) -> bool:
    return later[: len(bases)] == bases


def _grouped(items: Iterator[Segment | Entry]) -> list[Segment | list[Entry]]:
    parts: list[Segment | list[Entry]] = []
    for item in items:
        if isinstance(item, Segment):
            parts.append(item)
        elif parts and isinstance(parts[-1], list):
            parts[-1].append(item)
        else:
            parts.append([item])
    return parts


def _first(part: Segment | list[Entry]) -> int:
    return part.numbers[0] if isinstance(part, Segment) else part[0].record.number


def _number(entry: Entry) -> int:
    return entry.record.number


def _missing(first: int, last: int) -> str:
    return f"record {first} is missing" if first == last else f"records {first} to {last} are missing"
