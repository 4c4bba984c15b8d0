"""A time limit for a node's attempt: it ends Python code, sleeps and blocking reads where they are."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

_SIGNAL: Final = getattr(signal, "SIGRTMAX", signal.SIGALRM + 1) - 1
"""A real-time signal, which nobody else is likely to use: alarms stay the user's."""

_AGAIN = 1.0
"""Seconds after which code that went on regardless is interrupted again."""

_GRACE = 2.0
"""Seconds after which it is said that code does not end."""


class OverdueError(BaseException):
    """The time is over. No `Exception`: code that retries in a loop often catches those."""


class Watch:
    """Ends an attempt that takes too long, or gives no sign of life for too long.

    `start` and `stop` are called in the main thread, from the attempt's own frames; elsewhere, where signals
    do not arrive, there is no limit. Code in C that neither returns nor looks for signals is not ended: `say`
    tells so, and it is reported when it returns.

    Args:
        due: seconds from now after which the attempt is over, with what that limit is called; None: no limit.
        idle: most seconds between two calls of `alive`; 0: no limit.
        say: shows one line, from any thread.
        what: what runs, for that line.
    """

    def __init__(
        self, due: tuple[float, str] | None, idle: float, say: Callable[[str], None], what: str
    ) -> None:
        self._idle = idle
        self._say = say
        self._what = what
        self._began = self._last = time.monotonic()
        self._due = due
        self._frame: FrameType | None = None
        self._task: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handler: Any = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._ended_by: str | None = None
        self._stuck = False

    def start(self, frame: FrameType, *, in_task: bool = False) -> None:
        """Begin to watch the code that runs in `frame`, or below it."""
        self._began = self._last = time.monotonic()
        if (
            self._due is None and not self._idle
        ) or threading.current_thread() is not threading.main_thread():
            return
        self._frame = frame
        if in_task:
            self._task, self._loop = asyncio.current_task(), asyncio.get_running_loop()
        self._handler = signal.signal(_SIGNAL, self._ring)
        self._thread = threading.Thread(target=self._watch, name="durable_nb watch", daemon=True)
        self._thread.start()

    def stop(self) -> str | None:
        """End watching. Returns what was exceeded, where that is what ended the attempt."""
        self._frame = None
        if self._thread is not None:
            self._over.set()
            self._thread.join()
            signal.signal(_SIGNAL, self._handler or signal.SIG_DFL)
            self._thread = None
        if self._ended_by is not None and self._task is not None and self._task.cancelling():
            self._task.uncancel()
        self._task = None
        if self._ended_by is None:
            return None
        ran = time.monotonic() - self._began
        late = f"; it ended after {ran:,.1f} s, when code that cannot be interrupted returned"
        return self._ended_by + (late if self._stuck else "")

    def alive(self) -> None:
        """The attempt gives a sign of life."""
        self._last = time.monotonic()

    def _exceeded(self) -> str | None:
        now = time.monotonic()
        if self._due is not None and now - self._began >= self._due[0]:
            return self._due[1]
        if self._idle and now - self._last >= self._idle:
            return f"no sign of life for {self._idle:g} s (--idle-timeout)"
        return None

    def _next(self) -> float:
        now = time.monotonic()
        ends = [self._began + self._due[0]] if self._due is not None else []
        ends += [self._last + self._idle] if self._idle else []
        return max(min(ends) - now, 0.001)

    def _watch(self) -> None:
        """On the watch's own thread."""
        main = threading.main_thread().ident
        rung = 0.0
        while not self._over.wait(_AGAIN if rung else self._next()):
            why = self._exceeded()
            if why is None and not rung:
                continue
            self._ended_by = self._ended_by or why
            now = time.monotonic()
            if rung and now - rung >= _GRACE and not self._stuck:
                self._stuck = True
                self._say(
                    f"durable_nb: {self._what} is over its time ({self._ended_by}), in code that does not "
                    "let itself be interrupted: it ends when that returns"
                )
            rung = rung or now
            if main is not None:
                signal.pthread_kill(main, _SIGNAL)

    def _ring(self, _signal: int, frame: FrameType | None) -> None:
        """In the main thread, wherever that is."""
        inner = frame
        while frame is not None and frame is not self._frame:
            frame = frame.f_back
        ours = inner is not None and str(inner.f_globals.get("__name__")).startswith("durable_nb")
        if frame is not None and not ours:  # a save is not torn, and what has ended is over
            raise OverdueError
        if frame is None and self._frame is not None and self._task is not None and self._loop is not None:
            # It waits in the event loop, or somebody else's task runs there.
            self._loop.call_soon_threadsafe(self._task.cancel)
