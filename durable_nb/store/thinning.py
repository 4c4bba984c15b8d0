"""Which checkpoints go first when the store is larger than it may be."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from durable_nb.errors import DurableError
from durable_nb.model import Checkpoint
from durable_nb.store.draft import Draft
from durable_nb.store.log import History
from durable_nb.store.reach import Reach

if TYPE_CHECKING:
    from durable_nb.store.repository import Repository
    from durable_nb.store.writer import Writer

_PAUSE = 30.0
_GRACE = 5.0


def candidates(history: History) -> list[Checkpoint]:
    """Checkpoints that may go, the first to go first: plain cells by age, then superseded nodes.

    Never the newest one, the newest of a node or of any other kind, a manual or a pinned one.
    """
    points = [p for p in history.checkpoints().values() if not p.retired]
    newest = {(p.kind, p.node if p.kind == "node" else None): p.version for p in points}
    kept = {*newest.values(), max((p.version for p in points), default=0)}
    free = [p for p in points if p.version not in kept and not p.pinned and p.kind != "manual"]
    return sorted(free, key=lambda p: (p.kind == "node", p.version))


def thin(repository: Repository, history: History, excess: int) -> list[int]:
    """Versions to retire, so that at least `excess` bytes of chunks become free; fewer if that cannot be."""
    order = candidates(history)
    rank = {point.version: i for i, point in enumerate(order)}
    stays = len(order)
    last_needed: dict[str, int] = {}
    reach = Reach(repository, force=True)
    for point in history.checkpoints().values():
        if not point.retired:
            at = rank.get(point.version, stays)
            for manifest in history.state(point.version).values():
                last_needed[manifest] = max(at, last_needed.get(manifest, at))
    chunks: dict[str, int] = {}
    for manifest, at in last_needed.items():
        for digest in reach.below([manifest]):
            chunks[digest] = max(at, chunks.get(digest, at))
    freed = [0] * (stays + 1)
    for digest, at in chunks.items():
        freed[at] += repository.packs.size(digest)
    chosen: list[int] = []
    for i, point in enumerate(order):
        if excess <= 0:
            break
        chosen.append(point.version)
        excess -= freed[i]
    return chosen


class Thinning:
    """Keeps a store within its size, now and then, on a thread of its own."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._next = 0.0
        self._thread: threading.Thread | None = None

    def keep_within(self, writer: Writer, max_bytes: int) -> None:
        """Look at the size at most every 30 s, and make the store smaller if it must be. Returns at once."""
        if time.monotonic() < self._next or (self._thread is not None and self._thread.is_alive()):
            return
        self._next = time.monotonic() + _PAUSE
        if self._repository.bytes_stored() <= max_bytes:
            return
        self._thread = threading.Thread(
            target=self._run, args=(writer, max_bytes), name="durable_nb thinning", daemon=True
        )
        self._thread.start()

    def run(self, writer: Writer, max_bytes: int, grace: float = _GRACE) -> list[tuple[str, int]]:
        """Retire checkpoints, older executions first, and collect; the (execution, version) that went."""
        from durable_nb.store.garbage import collect

        repository = self._repository
        gone: list[tuple[str, int]] = []
        for execution in self._in_order(writer):
            excess = repository.bytes_stored() - max_bytes
            if excess <= 0:
                break
            versions = thin(repository, repository.history(execution), excess)
            if not versions:
                continue
            if execution == writer.execution:
                writer.commit(Draft(kind="note", body={"retire": versions}))
                writer.safe()
            else:
                repository.retire(execution, versions)
            gone.extend((execution, version) for version in versions)
            collect(repository, grace=grace)
        return gone

    def _run(self, writer: Writer, max_bytes: int) -> None:
        try:
            self.run(writer, max_bytes)
        except (DurableError, OSError):
            # Tried again in a while; `%durable gc` says what is in the way.
            return

    def _in_order(self, writer: Writer) -> Iterator[str]:
        for execution in reversed(self._repository.executions()):
            idle = not execution.running and not execution.problems
            if execution.id != writer.execution and execution.trusted and idle:
                yield execution.id
        yield writer.execution
