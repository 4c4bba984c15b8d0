"""Everything in a store against its digests and signatures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from durable_nb.errors import DurableError, NotFoundError, StoreError
from durable_nb.model import Component
from durable_nb.store.condemned import condemned
from durable_nb.store.index import PackIndex
from durable_nb.store.log import History
from durable_nb.store.packs import digest_of
from durable_nb.store.records import Listing, RecordFiles
from durable_nb.store.segment import index_of

if TYPE_CHECKING:
    from durable_nb.store.repository import Repository


def verify(repository: Repository, execution: str | None = None) -> list[str]:
    """A line for each thing that is not as it was written; reads everything anew.

    Args:
        repository: the store.
        execution: look at this one only, and at the packs.
    """
    files = RecordFiles(repository.objects, repository.signer)
    index = PackIndex(repository.objects)
    problems = [*_packs(repository, index)]
    names = [execution] if execution is not None else repository.execution_ids()
    for name in names:
        problems += _execution(files, index, name)
    if execution is None:
        problems += repository.vanished()
        problems += _strays(repository)
    return list(dict.fromkeys(problems))


def _packs(repository: Repository, index: PackIndex) -> Iterator[str]:
    index.refresh()
    for pack, reason in index.damaged.items():
        yield f"{pack} is damaged: {reason}"
    for pack in sorted(index.contents()):
        try:
            data = repository.objects.get(pack)
        except NotFoundError:
            continue
        if f"packs/{digest_of(data)[:32]}.parquet" != pack:
            yield f"{pack} is damaged: its bytes are not those that it is named after"
        with contextlib.suppress(NotFoundError):
            yield from index.damages(pack)


def _execution(files: RecordFiles, index: PackIndex, name: str) -> Iterator[str]:
    def cell(digest: str) -> bytes:
        return next(bytes(data) for _, data in index.read([digest]))

    try:
        history = History(name, files, cell)
        listing = files.listing(name)
    except (StoreError, NotFoundError) as error:
        yield str(error)
        return
    yield from history.problems
    yield from (f"{key} does not belong there" for key in listing.unknown)
    if not history.trusted:
        yield f"execution {name} is not signed by this user"
    yield from _signatures(history, listing, files)
    yield from _intents(history, listing, files)
    yield from _values(history, index)


def _signatures(history: History, listing: Listing, files: RecordFiles) -> Iterator[str]:
    trusted = files.signer.trusted(history.execution)
    vouched = 0
    unsigned: list[int] = []
    chained: set[tuple[int, int]] = set()
    opened: dict[int, str] = {}
    mine: set[int] = set()
    for entry in history.entries:
        record = entry.record
        chained.add((record.epoch, record.number))
        opened[record.epoch] = entry.opened
        if entry.signed:
            mine.add(record.epoch)
        else:
            unsigned.append(record.number)
        if record.digest in trusted:
            vouched = record.number
    for number in unsigned:
        # Below a record that the user chose to trust, others may have signed.
        if history.trusted and number > vouched:
            yield f"the signature of record {number} of {history.execution} is not right"
    for index in listing.segments:
        # One that cannot be read is among the problems of the history.
        with contextlib.suppress(StoreError, NotFoundError):
            segment = files.segment(history.execution, index)
            yield from segment.problems()
            if segment.summary is None and segment.numbers[-1] > vouched:
                yield f"the summary of {segment.key} is damaged, or not signed by this user"
    for epoch, number in listing.records:
        if (epoch, number) in chained and index_of(number) not in listing.segments:
            continue
        # A stale writer's, or compacted since: it does not count, and yet nobody should have changed it.
        try:
            stale = files.loose(history.execution, number, epoch)
        except NotFoundError:
            continue  # deleted since it was listed: by whoever compacted it
        except StoreError as error:
            yield str(error)
            continue
        if history.trusted and not stale.signed:
            yield f"the signature of record {number} of epoch {epoch} of {history.execution} is not right"
    for epoch in listing.epochs:
        try:
            files.epoch(history.execution, epoch)
        except (StoreError, NotFoundError) as error:
            yield str(error)
    for number, found in history.epochs.items():
        if number in mine and not found.signed:
            yield f"the signature of epoch {number} of {history.execution} is not right"
        if opened.get(number, found.digest) != found.digest:
            yield f"epoch {number} of {history.execution} is not the one that its records were written in"


def _intents(history: History, listing: Listing, files: RecordFiles) -> Iterator[str]:
    expected: dict[int, int] = {}
    for entry in history.entries:
        expected[entry.record.epoch] = max(entry.intents, expected.get(entry.record.epoch, 0))
    for epoch in sorted({*listing.intents, *expected}):
        mine = epoch in history.epochs and history.epochs[epoch].signed
        found, problems = files.intents(history.execution, epoch)
        if history.trusted and mine:
            yield from problems
            if len(found) + len(problems) < expected.get(epoch, 0):
                yield (
                    f"intents of epoch {epoch} of execution {history.execution} are missing: "
                    f"{expected[epoch]} were kept, {len(found)} are there"
                )


def _values(history: History, index: PackIndex) -> Iterator[str]:
    seen: set[str] = set()
    points = history.checkpoints()
    for version, point in points.items():
        if point.retired:
            continue
        try:
            state = history.state(version)
        except (DurableError, OSError) as error:
            yield str(error)
            continue
        for name, digest in state.items():
            if digest not in seen:
                seen.add(digest)
                yield from (f"`{name}` of v{version}: {why}" for why in _value(digest, index))
    for record in history.records:
        cell = record.body.get("cell")
        retired = record.number in points and points[record.number].retired
        if cell and cell not in seen and cell not in history.forgotten and not retired:
            seen.add(cell)
            yield from (f"the cell of record {record.number}: {why}" for why in _missing([cell], index))


def _value(manifest: str, index: PackIndex) -> Iterator[str]:
    try:
        [(_, data)] = index.read([manifest])
        component = Component.from_bytes(bytes(data))
    except (DurableError, OSError, ValueError, KeyError, TypeError) as error:
        yield f"its manifest: {error}"
        return
    yield from _missing(component.chunks(), index)


def _missing(digests: list[str], index: PackIndex) -> Iterator[str]:
    for digest in digests:
        if index.find(digest) is None:
            yield f"chunk {digest} is missing"


def _strays(repository: Repository) -> Iterator[str]:
    known = {notice.key for notice in condemned(repository.objects)}
    for key in repository.objects.list("condemned/"):
        if key not in known:
            yield f"{key} is damaged"
    for key in repository.objects.list("log/"):
        if key.count("/") != 2:
            yield f"{key} does not belong there"
