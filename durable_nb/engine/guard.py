"""Round the body of a cell: further attempts at a node, and its time limits."""

from __future__ import annotations

import asyncio
import inspect
import random
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from durable_nb.engine import target as targets
from durable_nb.engine import transient
from durable_nb.engine.attempts import Attempts
from durable_nb.engine.cell import NodeOptions
from durable_nb.engine.watch import OverdueError, Watch
from durable_nb.errors import DurableError, NodeTimeoutError
from durable_nb.model import NodeStatus

MULTIPLIER = 2.0
"""From one wait to the next."""

_RANDOM = random.SystemRandom()
"""Its own, since the state of the user's generator is brought back before each attempt."""


class Guard:
    """Round the body of a node that is tried again, or has a time limit.

    The body runs in `while guard.more(): with guard: …`; in a cell that awaits, with `async with` and
    `await guard.more_later()`.
    """

    def __init__(self, attempts: Attempts, options: NodeOptions, begin: Callable[[], None]) -> None:
        self.value: Any = None
        """of the body's last expression"""
        self._attempts = attempts
        self._options = options
        self._begin = begin
        self._more = True
        self._first = True
        self.watch = Watch(None, 0.0, attempts.keeper.say, f"`{options.name}`")

    def more(self) -> bool:
        """Whether the body is to run (again); waits until it may."""
        pause = self._pause()
        if pause is None:
            return False
        if pause > 0:
            time.sleep(pause)
        self._start()
        return True

    async def more_later(self) -> bool:
        """As `more`, and lets other tasks run meanwhile."""
        pause = self._pause()
        if pause is None:
            return False
        if pause > 0:
            await asyncio.sleep(pause)
        self._start()
        return True

    def given_up(self) -> None:
        """The cell ended while it waited for its next attempt."""
        name = self._options.name
        self._attempts.keeper.drain()
        if self._attempts.keeper.nodes[name].status is NodeStatus.RETRY_WAIT:
            self._attempts.mark(
                name, NodeStatus.INTERRUPTED, "interrupted while it waited for its next attempt"
            )

    def _pause(self) -> float | None:
        if not self._more:
            return None
        node = self._attempts.keeper.nodes[self._options.name]
        pause = node.next_at - time.time()
        if self._first and pause > 1.0:
            self._attempts.keeper.say(
                f"durable_nb: `{node.name}` waits {pause:.0f} s more: its last attempt "
                + ("was lost" if node.status is NodeStatus.LOST else "failed")
            )
        return pause

    def _start(self) -> None:
        self._more = self._first = False
        self._begin()

    def __enter__(self) -> None:
        self._enter(_caller())

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        return self._leave(error)

    async def __aenter__(self) -> None:
        self._enter(_caller(), in_task=True)

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        return self._leave(error)

    def _enter(self, frame: FrameType | None, *, in_task: bool = False) -> None:
        options = self._options
        limits = []
        if options.timeout:
            limits.append((options.timeout, f"--timeout {options.timeout:g} s"))
        left = self._left()
        if left is not None:
            limits.append((max(left, 0.0), f"--total-timeout {options.total_timeout:g} s"))
        due = min(limits) if limits else None
        self.watch = Watch(due, options.idle_timeout, self._attempts.keeper.say, f"`{options.name}`")
        if frame is not None:
            self.watch.start(frame, in_task=in_task)

    def _left(self) -> float | None:
        """Seconds until all attempts together are over their time."""
        running = self._attempts.running
        if not self._options.total_timeout or running is None or running.node is None:
            return None
        return (running.node.began or running.started) + self._options.total_timeout - time.time()

    def _leave(self, error: BaseException | None) -> bool:
        over = self.watch.stop()
        if error is None:
            return False
        if isinstance(error, OverdueError) or (over and isinstance(error, asyncio.CancelledError)):
            made = NodeTimeoutError(f"`{self._options.name}` took longer than it may: {over}")
            made.__traceback__ = error.__traceback__
            if self._goes_on(made):
                return True
            raise made from None
        return self._goes_on(error)

    def _goes_on(self, error: BaseException) -> bool:
        """Whether the body is to run again: then the failed attempt is kept, and undone."""
        attempts, options = self._attempts, self._options
        running = attempts.running
        if running is None or running.node is None or running.fenced or options.attempts == 1:
            return False
        why = transient.is_transient(error, options.retry_on)
        if why is None:
            return False
        say, name, tries = attempts.keeper.say, options.name, running.node.tries
        if tries >= options.attempts:
            say(f"durable_nb: `{name}` has failed {tries} times; %durable show {name} --traceback tells more")
            return False
        pause = self._backoff(tries, error)
        left = self._left()
        if left is not None and pause >= left:
            say(f"durable_nb: `{name}` is not tried again: --total-timeout would be over by then")
            return False
        if options.rollback and (refused := attempts.why_not_again(running)):
            say(f"durable_nb: `{name}` is not tried again: {refused} (--no-rollback tries it all the same)")
            return False
        try:
            attempts.commit(running, NodeStatus.FAILED, (), error, again_at=time.time() + pause)
            attempts.keeper.drain()
            if options.rollback:
                attempts.roll_back(running)
        except (DurableError, OSError) as failed:
            say(f"durable_nb: `{name}` is not tried again: {targets.explain(failed)}")
            return False
        attempts.running = None
        say(
            f"durable_nb: `{name}`, attempt {tries} of {options.attempts}, failed with {why} "
            f"({type(error).__name__}): again in {pause:.1f} s"
        )
        self._more = True
        return True

    def _backoff(self, tries: int, error: BaseException) -> float:
        """Full jitter (Brooker, AWS Architecture Blog 2015), and what the server asked for at least."""
        options = self._options
        most = min(options.backoff_cap, options.backoff * MULTIPLIER ** (tries - 1))
        return max(_RANDOM.uniform(0, most), transient.retry_after(error, time.time()) or 0.0)


def _caller() -> FrameType | None:
    """The frame that entered the guard: the cell's."""
    here = inspect.currentframe()
    return here.f_back.f_back if here is not None and here.f_back is not None else None
