"""Signals: a time limit for code that may hang, and no interrupt where all or nothing has to happen."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self, TypeVar

T = TypeVar("T")

_AGAIN = 1.0
"""Seconds after which code that went on regardless is interrupted again."""


class ExpiredError(BaseException):
    """The time is over. No `Exception`, for code that hangs in a loop often catches those."""


class Limit:
    """A time limit for each of many short pieces of work, for the price of one alarm.

    Used as a context around them all; `run` then does what `within` does. Only what takes longer than the
    limit by itself is interrupted.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since = 0.0
        """when the work under way started; 0 between two pieces"""
        self._handler: Any = None
        self._due = (0.0, 0.0)
        self._start = 0.0

    def __enter__(self) -> Self:
        main = threading.current_thread() is threading.main_thread()
        handler = signal.getsignal(signal.SIGALRM) if self._seconds and main else None
        if handler is not None:
            self._start = time.monotonic()
            self._due = signal.setitimer(signal.ITIMER_REAL, 0)
            self._handler = handler
            signal.signal(signal.SIGALRM, self._ring)
            signal.setitimer(signal.ITIMER_REAL, self._seconds, min(_AGAIN, self._seconds))
        return self

    def __exit__(self, *_: object) -> None:
        handler, self._handler = self._handler, None
        if handler is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, handler)
            due, interval = self._due
            if due:
                left = due - (time.monotonic() - self._start)
                signal.setitimer(signal.ITIMER_REAL, max(left, 1e-6), interval)

    def _ring(self, _signal: int, _frame: FrameType | None) -> None:
        if self._since and time.monotonic() - self._since >= self._seconds:
            raise ExpiredError(f"it took longer than {self._seconds:g} s")

    def run(self, work: Callable[[], T]) -> T:
        """Return what `work()` returns.

        Raises:
            ExpiredError: it took longer than the limit.
        """
        self._since = time.monotonic()
        try:
            return work()
        finally:
            self._since = 0.0


def within(seconds: float, work: Callable[[], T]) -> T:
    """Return what `work()` returns; raise in it when it takes longer.

    It uses an alarm signal, so that waiting for a lock, a socket or a sleep ends as well. Code in C that
    neither returns nor looks for signals cannot be interrupted. Only the main thread gets signals: elsewhere,
    and with `seconds` 0, there is no limit. An alarm of the user's own that falls due comes afterwards.

    Raises:
        ExpiredError: `work` took longer.
    """
    if not seconds or threading.current_thread() is not threading.main_thread():
        return work()
    handler: Any = signal.getsignal(signal.SIGALRM)
    if handler is None:  # set by something that is not Python: leave it alone
        return work()
    here: FrameType | None = sys._getframe()
    over, start = False, time.monotonic()

    def expired(_signal: int, frame: FrameType | None) -> None:
        while frame is not None and frame is not here:
            frame = frame.f_back
        if frame is None:  # an interrupt ended `within` before it could put everything back
            restore()
        elif not over:
            raise ExpiredError(f"it took longer than {seconds:g} s")

    def restore() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if due:
            signal.setitimer(signal.ITIMER_REAL, max(due - (time.monotonic() - start), 1e-6), interval)

    due, interval = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        signal.signal(signal.SIGALRM, expired)
        signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
        return work()
    finally:
        over = True
        restore()
        here = None  # a frame that holds itself would hold what its callers made


class _Held(list[int]):
    """A handler that keeps signals for later."""

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.append(number)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold an interrupt back until the block is over, and all such blocks around it."""
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if main else None
    if handler is None or type(handler) is _Held:
        yield
        return
    came = _Held()
    signal.signal(signal.SIGINT, came)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if came:
        signal.raise_signal(signal.SIGINT)


@contextmanager
def interrupts() -> Iterator[list[int]]:
    """The interrupts that come during the block, as signals: other `KeyboardInterrupt`s were only raised."""
    came: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if main else None
    if not callable(handler):
        yield came
        return
    take = handler

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        take(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, handler)
