"""What the checkpoints of a store still need."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from durable_nb.errors import DamagedError, DurableError, NotFoundError, RefusedError
from durable_nb.model import Component
from durable_nb.store.log import History

if TYPE_CHECKING:
    from durable_nb.store.repository import Repository


@dataclass(slots=True)
class Needs:
    """Chunks of one execution, by what they are."""

    manifests: set[str] = field(default_factory=set)
    other: set[str] = field(default_factory=set)
    """cells, and states written whole"""


def needs(history: History) -> Needs:
    """What an execution needs for its checkpoints that are not retired, and for the newest one in any case.

    A writer builds the next state on the newest, so that one stays whatever became of it.
    """
    found = Needs()
    points = history.checkpoints()
    newest = max(points, default=0)
    live = {v for v, point in points.items() if not point.retired or v == newest}
    ancestors: set[int] = set()
    at: int | None
    for version in live:
        at = version
        while at is not None and at not in ancestors and at in points:
            ancestors.add(at)
            at = points[at].parent
    parents = {point.parent for point in points.values()}
    current: dict[str, str] = {}
    last: int | None = None
    whole = True
    for record in history.records:
        body = record.body
        state = body.get("state")
        if body.get("cell") and (state is None or record.number in ancestors):
            found.other.add(body["cell"])
        if state is None:
            continue
        if state["full"]:
            found.other.add(state["full"])
        if state["parent"] == last:
            for name in state["del"]:
                current.pop(name, None)
            current.update(state["set"])
        elif record.number in live or record.number in parents:
            current, whole = history.rebuild(record.number), True
        else:
            continue
        last = record.number
        if record.number in live:
            found.manifests.update(current.values() if whole else state["set"].values())
        # What a retired version brought in is needed by the live one that follows it.
        whole = record.number not in live
    found.other.update(history.begun())
    found.manifests -= history.forgotten
    found.other -= history.forgotten
    return found


class Reach:
    """Finds every chunk that is needed. Manifests are read once: they never change.

    Args:
        force: pass over what is damaged, and so let go of what only it could name.
    """

    def __init__(self, repository: Repository, *, force: bool = False) -> None:
        self._repository = repository
        self._force = force
        self._named: dict[str, list[str]] = {}

    def live(self) -> set[str]:
        """Digests of all chunks that some execution needs, whoever wrote it.

        Raises RefusedError where something is damaged, since what that needs cannot be known.
        """
        found: set[str] = set()
        for execution in self._repository.execution_ids():
            try:
                history = self._repository.history(execution)
            except NotFoundError:
                continue
            if history.problems and not self._force:
                raise RefusedError(
                    f"nothing was collected: execution {execution} is not whole ({history.problems[0]}), so "
                    "what it needs is not known; repair or remove it, or force the collection"
                )
            try:
                needed = needs(history)
            except DamagedError as error:
                if not self._force:
                    raise RefusedError(
                        f"nothing was collected: {error}; remove {execution}, or force"
                    ) from error
                continue
            found |= needed.other
            found |= self.below(needed.manifests)
        return found

    def forgotten(self) -> set[str]:
        """Chunks of what the user removed from all history, as far as they are still there."""
        found: set[str] = set()
        for execution in self._repository.execution_ids():
            try:
                forgotten = self._repository.history(execution).forgotten
            except NotFoundError:
                continue
            for digest in forgotten:
                if self._repository.packs.find(digest) is None:
                    continue
                found.add(digest)
                # It may be a cell, which names nothing.
                with contextlib.suppress(DurableError, OSError):
                    found.update(*(c.chunks() for c in self._repository.components([digest]).values()))
        return found

    def below(self, manifests: Iterable[str]) -> set[str]:
        """The manifests and everything that they name."""
        found = set(manifests)
        self._read(found)
        return found.union(*(self._named.get(digest, ()) for digest in found))

    def _read(self, manifests: set[str]) -> None:
        unread = [d for d in manifests if d not in self._named]
        try:
            for digest, data in self._repository.chunks(unread):
                self._named[digest] = Component.from_bytes(bytes(data)).chunks()
        except (DamagedError, NotFoundError, ValueError) as error:
            if not self._force:
                raise RefusedError(
                    f"nothing was collected: {error}; verify says more, or force the collection"
                ) from error
            for digest in unread:
                if digest not in self._named and len(unread) > 1:
                    self._read({digest})
