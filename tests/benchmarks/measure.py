"""The instruments: clocks, a shell, what a tool takes around each cell, peak memory, the size of a folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from cProfile import Profile
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
    """Times what a tool does before and after a cell, and the cell in between.

    The tool's own callbacks, which `attach` registers, lie between the ones registered here.
    With a profile, that looks at what the tool does and at nothing else.
    """

    def __init__(
        self, shell: InteractiveShell, attach: Callable[[], None], profile: Profile | None = None
    ) -> None:
        self._spent: list[Lap] = []
        self._watch = Stopwatch()
        self._profile = profile
        events: Any = shell.events
        events.register("pre_run_cell", self._start)
        events.register("post_run_cell", self._next_start)
        attach()
        events.register("pre_run_cell", self._next)
        events.register("post_run_cell", self._stop)

    def _start(self, _: object) -> None:
        self._spent.clear()
        self._begin()

    def _next_start(self, _: object) -> None:
        self._spent.append(self._watch.lap())
        self._begin()

    def _begin(self) -> None:
        self._watch = Stopwatch()
        if self._profile:
            self._profile.enable()

    def _next(self, _: object) -> None:
        self._stop(_)
        self._watch = Stopwatch()

    def _stop(self, _: object) -> None:
        if self._profile:
            self._profile.disable()
        self._spent.append(self._watch.lap())

    def take(self) -> tuple[Lap, Lap]:
        """What the tool took around the last cell; what the cell itself took."""
        before, cell, after = self._spent
        return before + after, cell


class Peak:
    """The most memory that this process held while a block ran, over all such blocks."""

    def __init__(self) -> None:
        self.bytes = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        Path("/proc/self/clear_refs").write_text("5")
        yield
        self.bytes = max(self.bytes, _status("VmHWM"))


def resident() -> int:
    """Bytes of memory that this process holds."""
    return _status("VmRSS")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def size_of(folder: Path) -> int:
    """Bytes of what is kept in a store; the catalog, which is derived, left out."""
    total = 0
    for file in folder.rglob("*"):
        if not file.name.startswith("catalog"):
            with suppress(FileNotFoundError):  # small packs become one meanwhile
                total += file.stat().st_size if file.is_file() else 0
    return total
