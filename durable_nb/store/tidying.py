"""What keeps a store quick to open, on a thread of its own."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from durable_nb.errors import DurableError
from durable_nb.store.merging import MANY, merge
from durable_nb.store.segment import index_of

if TYPE_CHECKING:
    from durable_nb.store.repository import Repository
    from durable_nb.store.writer import Writer


class Tidying:
    """Compacts the log of a writer and merges small packs, a part at a time."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._spans: dict[str, int] = {}
        self._packs = 0
        self._thread: threading.Thread | None = None
        self._hurry = threading.Event()

    def follow(self, writer: Writer) -> None:
        """Do what is due since the last look. Returns at once."""
        spans = index_of(writer.number)
        full = spans > self._spans.get(writer.execution, 0)
        many = self._repository.packs.count - self._packs >= MANY
        if not (full or many) or (self._thread is not None and self._thread.is_alive()):
            return
        self._hurry.clear()
        self._thread = threading.Thread(
            target=self._run,
            args=(writer.execution, spans, full, many),
            name="durable_nb tidying",
            daemon=True,
        )
        self._thread.start()

    def finish(self, timeout: float = 0.5) -> None:
        """Return when nothing is being tidied, or after so many seconds.

        A thread that the end of the process catches inside of Arrow may bring it down.
        """
        self._hurry.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self, execution: str, spans: int, full: bool, many: bool) -> None:
        # What is in the way is for `verify` to say; it is tried again when there is more to do.
        if full:
            more = False
            with contextlib.suppress(DurableError, OSError):
                more = self._repository.compact(execution)
            if not more:
                self._spans[execution] = spans
        if many:
            with contextlib.suppress(DurableError, OSError):
                merge(self._repository, sleep=self._hurry.wait)
            self._packs = self._repository.packs.count
