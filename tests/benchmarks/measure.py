"""The instruments: clocks, a shell, the time between two callbacks, the size of a folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


@dataclass(frozen=True, slots=True)
class Lap:
    """Seconds on the clock, and CPU seconds of this thread."""

    wall: float
    cpu: float

    def __add__(self, other: Lap) -> Lap:
        return Lap(self.wall + other.wall, self.cpu + other.cpu)


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """Runs from construction on."""

    wall: float = field(default_factory=time.perf_counter)
    cpu: float = field(default_factory=time.thread_time)

    def lap(self) -> Lap:
        return Lap(time.perf_counter() - self.wall, time.thread_time() - self.cpu)


def timed(call: Callable[..., Any], *args: Any, **options: Any) -> Lap:
    watch = Stopwatch()
    call(*args, **options)
    return watch.lap()


def bare_shell() -> InteractiveShell:
    """A real shell, without a front end; this process is for nothing else."""
    config = Config()
    config.HistoryManager.enabled = False
    return InteractiveShell.instance(config=config)


class Hooks:
    """Times the extension's hooks around a cell: it is loaded between our own two callbacks."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._spent: list[Lap] = []
        self._watch = Stopwatch()
        events: Any = shell.events
        for event in ("pre_run_cell", "post_run_cell"):
            events.register(event, self._start)
        shell.run_line_magic("load_ext", "durable_nb")
        for event in ("pre_run_cell", "post_run_cell"):
            events.register(event, self._stop)

    def _start(self, _: object) -> None:
        self._watch = Stopwatch()

    def _stop(self, _: object) -> None:
        self._spent.append(self._watch.lap())

    def take(self) -> Lap:
        """What the hooks before and after the last cell took."""
        before, after = self._spent
        self._spent.clear()
        return before + after


def size_of(folder: Path) -> int:
    """Bytes of what is kept in a store; the catalog, which is derived, left out."""
    return sum(
        file.stat().st_size
        for file in folder.rglob("*")
        if file.is_file() and not file.name.startswith("catalog")
    )
