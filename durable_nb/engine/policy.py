"""What to look at after a cell, and what a save may cost."""

from __future__ import annotations

import asyncio
import fnmatch
import threading

from durable_nb.config import Settings
from durable_nb.state import access
from durable_nb.state.capture import Capture

SCAN_SECONDS = 0.001
"""A scan of all values that is expected to be shorter is always made."""

SCAN_SHARE = 0.02
"""So is one that takes less than this share of the cell's own run time."""

WRITE_RATE = 400e6
"""Bytes per second, assumed until this store has been measured."""

LONG = 10.0
"""A node that ran so many times as long as its save takes waits until it is kept."""


class Policy:
    """Decides, cell by cell, from the settings and from what was measured before."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ignored: set[str] = set()
        """names that the user asked to leave out"""
        self.rate = WRITE_RATE
        self._named: dict[str, bool] = {}
        self._patterns: tuple[str, ...] = ()
        self._since_scan = 0
        self._beside: str | None = None
        self._after: str | None = None
        self._given: str | None = None
        """what a library holds of the notebook: from then on any cell can touch it"""
        self._threads = {t.ident for t in threading.enumerate()}

    def excluded(self, name: str) -> bool:
        """Whether a variable of this name is left out."""
        return self.is_secret(name) or name in self.ignored

    def is_secret(self, name: str) -> bool:
        """Whether what has this name, a variable or a part of one, is neither kept nor shown."""
        if self._patterns != self.settings.exclude:
            self._patterns = self.settings.exclude
            self._named.clear()
        known = self._named.get(name)
        if known is None:
            lowered = name.lower()
            known = any(fnmatch.fnmatchcase(lowered, pattern.lower()) for pattern in self._patterns)
            self._named[name] = known
        return known

    def touched(
        self, cell: access.Access, capture: Capture, seconds: float, *, all_because: str | None
    ) -> tuple[set[str] | None, str]:
        """The names to look at (None: all), and why."""
        self._given = self._given or access.given_away(cell, capture.space)
        self._after = self._others()
        self._beside = self._beside or self._after
        reason = all_because or cell.scan or self._given
        self._since_scan += 1
        if reason is None:
            foreign = sorted(m for m in cell.modules if not access.is_library(m))
            reason = f"the cell imports {foreign[0]}" if foreign else self._beside
        if reason is None and self._since_scan >= self.settings.scan_every:
            reason = f"every {self.settings.scan_every} cells"
        names: set[str] = set()
        if reason is None:
            cost = capture.scan_seconds()
            if cost < max(SCAN_SECONDS, SCAN_SHARE * seconds):
                reason = "it is quick"
        if reason is None:
            names, reason = capture.touched(cell.names)
        if reason is not None:
            self._since_scan = 0
            return None, reason
        return names, "partial scan"

    def starting(self) -> None:
        """A cell starts: what runs beside it, or ran when the one before ended, may be over when it ends."""
        self._beside, self._after = self._after or self._others(), None

    def _others(self) -> str | None:
        """User code that runs beside the cells can change anything."""
        for thread in threading.enumerate():
            if thread.ident not in self._threads and not _is_machinery(thread):
                return f"the thread {thread.name} runs"
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return None
        tasks = [t for t in asyncio.all_tasks(loop) if not t.done() and _is_users(t)]
        return "an asyncio task runs" if tasks else None

    def limit(self, *, automatic: bool) -> int | None:
        """The most new bytes of one component that a save may write while the cell waits."""
        return int(self.settings.max_block * self.rate) if automatic else None

    def measured(self, written: int, seconds: float) -> None:
        """Learn how fast this store writes."""
        if written > 8 << 20 and seconds > 0:
            self.rate = 0.5 * self.rate + 0.5 * written / seconds

    def waits(self, ran: float, new_bytes: int) -> bool:
        """Whether a node's result is too dear to leave in a buffer."""
        return ran > LONG * (0.01 + new_bytes / self.rate)


def _is_machinery(thread: threading.Thread) -> bool:
    """Threads of the kernel and of ours. A user's pool thread is not told from a library's: it scans."""
    module = getattr(type(thread), "__module__", "")
    names = (
        "IPythonHistorySavingThread",
        "durable_nb",
        "Heartbeat",
        "IOPub",
        "Control",
        "Shell channel",
        "Subshell",
    )
    return module.startswith(
        ("ipykernel", "IPython", "zmq", "tornado", "durable_nb", "tqdm")
    ) or thread.name.startswith(names)


def _is_users(task: asyncio.Task[object]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    file = getattr(code, "co_filename", "")
    return "ipykernel_" in file or file.startswith("<")
