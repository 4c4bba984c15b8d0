"""The one background writer: commits in order, at most one in flight."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from durable_nb.errors import DurableError, StoreError
from durable_nb.model import Record
from durable_nb.store.draft import Draft
from durable_nb.store.writer import Writer

_LULL = 0.005
"""Seconds without a new commit after which what was kept is made safe."""

_GROUP = 32
"""Commits that are made safe together at most."""


@dataclass(slots=True, eq=False)
class Ticket:
    """A commit on its way: first *kept*, then *safe*, or failed."""

    draft: Draft
    kept_then: Callable[[], None] | None = None
    """run on the writer's thread once the commit is kept, before anybody is told"""
    then: Callable[[], None] | None = None
    """run there once it is safe"""
    record: Record | None = None
    error: DurableError | None = None
    """why it is not kept"""
    flush_error: DurableError | None = None
    """why it is kept, and not safe"""
    seconds: float = 0.0
    """from the hand-over until it was kept"""
    _kept: threading.Event = field(default_factory=threading.Event)
    _safe: threading.Event = field(default_factory=threading.Event)

    @property
    def kept(self) -> bool:
        """Whether it survives the kernel's death."""
        return self._kept.is_set() and self.error is None

    @property
    def safe(self) -> bool:
        """Whether it survives power loss."""
        return self._safe.is_set() and self.error is None and self.flush_error is None

    @property
    def durability(self) -> str:
        """In a word: on its way, kept, safe, or not kept."""
        if self.error is not None:
            return "not kept"
        return "safe" if self.safe else "kept" if self.kept else "on its way"

    def wait(self, *, safe: bool = False, timeout: float | None = None) -> bool:
        """Wait until it is kept (or safe) or has failed; False where the time ran out."""
        return (self._safe if safe else self._kept).wait(timeout)

    def finish(self, *, safe: bool) -> None:
        """Wake who waits. Called by the writer's thread only."""
        self._kept.set()
        self.kept_then = None  # what these closed over is not needed again, and leads back here
        if safe:
            self.then = None
            self._safe.set()


class Saver:
    """Owns the writer's thread, which starts with the first commit and ends with `close`."""

    def __init__(self, writer: Writer, failed: Callable[[Ticket], None]) -> None:
        self.writer = writer
        self._failed = failed
        self._wake = threading.Condition()
        self._next: Ticket | None = None
        self._last: Ticket | None = None
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def last(self) -> Ticket | None:
        """The newest commit that was handed over."""
        return self._last

    def submit(self, ticket: Ticket) -> Ticket:
        """Hand a commit over. Waits while another one is in flight."""
        self.drain()
        with self._wake:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="durable_nb writer", daemon=True)
                self._thread.start()
            self._next = self._last = ticket
            self._wake.notify_all()
        return ticket

    def drain(self, timeout: float | None = None, *, safe: bool = False) -> bool:
        """Wait until nothing is in flight; False where the time ran out."""
        return self._last is None or self._last.wait(safe=safe, timeout=timeout)

    def close(self, timeout: float) -> bool:
        """Let the thread finish what it has; False where it could not in time."""
        done = self.drain(timeout, safe=True)
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        if self._thread is not None and done:
            self._thread.join(timeout)
        return done

    def _run(self) -> None:
        unsafe: list[Ticket] = []
        while True:
            with self._wake:
                if self._next is None and not self._closing:
                    self._wake.wait(_LULL if unsafe else None)
                ticket, self._next = self._next, None
                closing = self._closing
            if ticket is not None and self._commit(ticket):
                unsafe.append(ticket)
            if unsafe and (ticket is None or len(unsafe) >= _GROUP):
                self._flush(unsafe)
                unsafe = []
            elif ticket is None and closing:
                return

    def _commit(self, ticket: Ticket) -> bool:
        start = time.perf_counter()
        try:
            ticket.record = self.writer.commit(ticket.draft)
            ticket.seconds = time.perf_counter() - start
            if ticket.kept_then is not None:
                ticket.kept_then()
        except BaseException as error:
            # The thread must not die of it, and nobody may wait for ever.
            ticket.error = _ours(error)
            with contextlib.suppress(Exception):
                self._failed(ticket)  # before anybody who waits goes on
            ticket.finish(safe=True)
            return False
        ticket.finish(safe=False)
        return True

    def _flush(self, tickets: list[Ticket]) -> None:
        """Make them safe together: a flush takes longer than a commit."""
        failed: DurableError | None = None
        try:
            self.writer.safe()
        except BaseException as error:
            failed = _ours(error)  # the next flush tries again
        then = tickets[-1].then
        for ticket in tickets:
            ticket.flush_error = failed
            ticket.finish(safe=True)
        if then is not None:
            with contextlib.suppress(Exception):
                then()


def _ours(error: BaseException) -> DurableError:
    return error if isinstance(error, DurableError) else StoreError(f"{type(error).__name__}: {error}")
