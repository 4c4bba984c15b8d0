"""One node's or cell's attempts: begun, kept, and what it takes to undo one."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from durable_nb.engine import failure, lifecycle, resume
from durable_nb.engine import target as targets
from durable_nb.engine.cell import Cell
from durable_nb.engine.keeper import Keeper
from durable_nb.engine.nodes import Node
from durable_nb.engine.recovery import Recovery
from durable_nb.engine.saver import Ticket
from durable_nb.errors import DurableError, NodeError
from durable_nb.model import NodeStatus, canonical
from durable_nb.state import access
from durable_nb.state.deadline import interrupts, uninterrupted
from durable_nb.state.live import Snapshot

if TYPE_CHECKING:
    from durable_nb.engine.guard import Guard

_BEAT = 1.0
"""Seconds between two signs of life that are kept."""


@dataclass(slots=True)
class Attempt:
    """The attempt that is under way."""

    cell: Cell
    access: access.Access
    number: int
    """its intent's number"""
    started: float
    """seconds since 1970"""
    clock: float
    """of `time.perf_counter`"""
    task: object
    """the thread, or the task of the event loop, that it runs in"""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """name -> what it was, as `Keeper.input_digests` says"""
    node: Node | None = None
    rerun: resume.RecordedCell | None = None
    before: int | None = None
    """the checkpoint of the state it began on, where it may have to be brought back"""
    details: Any = None
    beat: float = 0.0
    """when a sign of life was last kept"""
    fenced: bool = False
    """the state was moved from elsewhere while it ran"""
    ended: bool = False
    """how it ended was handed over to the writer"""


@dataclass(slots=True)
class _Outcome:
    """How a plain cell ended, until the writer has it."""

    execution: str
    attempt: Attempt
    outputs: tuple[Mapping[str, Any], ...]
    seconds: float


class Attempts:
    """Begins attempts in one execution, and keeps how they ended."""

    def __init__(self, keeper: Keeper, recovery: Recovery) -> None:
        self.keeper = keeper
        self.recovery = recovery
        self.running: Attempt | None = None
        self.guard: Guard | None = None
        """round the body of the cell that is running"""
        self.on_begin: Callable[[Attempt], None] = lambda _attempt: None
        self._outcome: _Outcome | None = None
        """of a plain cell whose save was interrupted"""

    def begin(self, cell: Cell, rerun: resume.RecordedCell | None = None) -> Attempt:
        """Keep the intent before any of the user's code runs.

        Raises:
            FencedError: another kernel owns the execution.
        """
        keeper = self.keeper
        self._make_good()
        read = access.of_tree(cell.tree)
        keeper.policy.starting()
        options, node, before = cell.options, None, None
        started = time.time()
        intent: dict[str, Any] = {
            "label": cell.label, "node": cell.node, "source": cell.digest, "started": started
        }  # fmt: skip
        source: bytes | None = None
        if options is None:
            lifecycle.move(lifecycle.ATTEMPT_MOVES, None, NodeStatus.STARTED)
        else:
            keeper.drain(safe=options.effects)
            node = keeper.nodes.starting(options.name, cell.digest, effects=options.effects)
            if options.attempts > 1 and options.rollback:
                # Where that could not be kept, there is nothing to go back to, and so no further attempt.
                held = keeper.secure(f"before `{options.name}`", safe=False)
                before = keeper.version if held is None else None
            intent |= _numbers(node, started)
            source = canonical({"source": cell.raw, "outputs": []})
        inputs: dict[str, str] = {}
        if cell.node and cell.tree is not None:
            reached, _ = access.reached(access.inputs(cell.tree), keeper.capture.space)
            inputs = keeper.input_digests(sorted(reached))
        writer = keeper.begin()
        with uninterrupted():  # what has begun in the log has begun here
            number = writer.intent(intent, source)
            clock = time.perf_counter()
            self.running = Attempt(cell, read, number, started, clock, _task(), inputs, node, rerun, before)
            if node is not None:
                keeper.nodes.started(replace(node, began=node.began or started, started=started, next_at=0.0))
                self.on_begin(self.running)
        return self.running

    def interrupted_early(self) -> None:
        """An interrupt came before any of the user's code ran: an attempt that had begun is over."""
        attempt, self.running = self.running, None
        if attempt is not None:
            self._over(attempt)

    def fence(self) -> None:
        """The state is moved: what runs beside whoever does that no longer works on its own state."""
        self._outcome = None
        if self.running is not None and self.running.task != _task():
            self.running.fenced = True

    def mark(self, name: str, status: NodeStatus, why: str) -> None:
        """Record where a node stands by a person's or a rule's decision; safe when it returns."""
        node = self.keeper.nodes[name]
        lifecycle.move(lifecycle.NODE_MOVES, node.status, status)
        attempt = resume.attempt(
            n=0, node=name, label=name, source=node.source, status=status, started=time.time(),
            why=why, run=node.run or 1, effects=node.effects, lost=0,
        )  # fmt: skip
        self.keeper.note(status.lower(), {"attempt": attempt, "node": name})

    def commit(
        self,
        attempt: Attempt,
        status: NodeStatus,
        outputs: Iterable[Mapping[str, Any]] = (),
        error: BaseException | None = None,
        *,
        again_at: float | None = None,
        seconds: float | None = None,
    ) -> Ticket:
        """Keep how an attempt ended, what it changed and what it showed, in one commit."""
        keeper, cell = self.keeper, attempt.cell
        seconds = time.perf_counter() - attempt.clock if seconds is None else seconds
        outputs = tuple(outputs)
        if cell.node is None and status is NodeStatus.COMPLETED:
            self._outcome = _Outcome(keeper.execution, attempt, outputs, seconds)
        lifecycle.move(lifecycle.ATTEMPT_MOVES, NodeStatus.STARTED, status)
        done = status is NodeStatus.COMPLETED
        shown: dict[str, Any] = {"source": cell.raw, "outputs": outputs}
        if error is not None and not isinstance(error, KeyboardInterrupt):
            shown["error"] = failure.describe(error, keeper.policy.excluded)
            values = failure.frames_bytes(error, keeper.policy.excluded) if cell.node else None
            if values is not None:
                shown["values"] = base64.b64encode(values).decode()
        because = keeper.unseen or (f"`{cell.node}` is a node" if cell.node else None)
        with keeper.undisturbed() as take:
            keeper.drain()
            names, why = keeper.policy.touched(attempt.access, keeper.capture, seconds, all_because=because)
            shot = take(names, keeper.policy.limit(automatic=cell.node is None))
            record = self._body(attempt, status, seconds, shot, why)
            record["size"] = sum(live.size for live in shot.changed)
            if error is not None:
                record["error"] = type(error).__name__
            if again_at is not None:
                record["next"] = again_at
            body = {"attempt": record, "node": cell.node}
            kind = ("node" if cell.node else "cell") if done else targets.ERROR
            with uninterrupted():
                ticket = keeper.commit(kind, body, shot, cell=canonical(shown))
                attempt.ended, self._outcome = True, None
        keeper.announce(shot)
        if (cell.options and cell.options.sync) or keeper.settings.durability == "sync":
            ticket.wait(safe=True)
        elif cell.node and keeper.policy.waits(seconds, shot.new_bytes):
            ticket.wait()
        return ticket

    def _make_good(self) -> None:
        """A plain cell whose save was interrupted is recorded before the next one runs.

        Otherwise what it did would be kept as done by the next one, and Run All would do it once more.
        """
        left, self._outcome = self._outcome, None
        if left is not None and left.execution == self.keeper.execution:
            with interrupts() as came:
                try:
                    self.commit(left.attempt, NodeStatus.COMPLETED, left.outputs, seconds=left.seconds)
                except KeyboardInterrupt:
                    if came:
                        raise
                    # A reduction of the user's raises it, and would with every cell.
                    self._outcome = None

    def not_kept(self, attempt: Attempt) -> None:
        """The save of an attempt was given up: what it changed is kept later, but as no node's result."""
        if attempt.node is None or attempt.ended:
            return
        self._over(attempt)
        self.keeper.say(f"durable_nb: `{attempt.node.name}` does not count as finished: run it again")

    def _over(self, attempt: Attempt) -> None:
        if attempt.node is not None:
            self.keeper.nodes.not_kept(attempt.node.name)
        with contextlib.suppress(DurableError, OSError):
            self.keeper.begin().intent({"over": attempt.number, "status": str(NodeStatus.INTERRUPTED)})

    def _body(
        self, attempt: Attempt, status: NodeStatus, seconds: float, shot: Snapshot, why: str
    ) -> dict[str, Any]:
        cell = attempt.cell
        body = resume.attempt(
            n=attempt.number,
            node=cell.node,
            label=cell.label,
            source=cell.digest,
            status=status,
            started=attempt.started,
            seconds=seconds,
            setup=cell.setup,
            after=list(cell.options.after) if cell.options else [],
            scan=why,
            inputs=dict(attempt.inputs),
            unsaved=sorted(shot.remade | self.keeper.capture.advanced(attempt.access.names)),
            cell_id=cell.cell_id,
        )
        if attempt.node is not None:
            body |= _numbers(attempt.node, attempt.started)
            if attempt.details is not None:
                body["details"] = attempt.details
        return body

    def heartbeat(self, details: Any) -> Any:
        """A sign of life of the node that is running; returns what the attempt before it last said."""
        attempt = self.running
        if attempt is None or attempt.node is None:
            return None
        if self.guard is not None:
            self.guard.watch.alive()
        if details is not None:
            canonical(details)
            attempt.details = details
            now = time.monotonic()
            if now - attempt.beat >= _BEAT:
                attempt.beat = now
                self.keeper.begin().intent({"of": attempt.number, "details": details})
        return attempt.node.details

    def key(self) -> str:
        """The idempotency key of the node that is running.

        Raises:
            NodeError: none is.
        """
        if self.running is None or self.running.node is None:
            raise NodeError("an idempotency key belongs to a node: begin the cell with `%%node NAME`")
        return self.running.node.key(self.keeper.execution)

    def roll_back(self, attempt: Attempt) -> None:
        """Take the namespace back to what it was when the attempt began."""
        if attempt.before is None:
            raise DurableError("the state before it is not known")
        self.recovery.move(self.keeper.execution, attempt.before)

    def why_not_again(self, attempt: Attempt) -> str | None:
        """Why the state before an attempt cannot be brought back; None where it can."""
        capture = self.keeper.capture
        names, reason = capture.touched(attempt.access.names)
        lost = sorted(n for n, live in capture.live.items() if live.unsaved is not None)
        if attempt.before is None:
            return "the state before it could not be kept"
        known = self.recovery.unsaved_at(self.keeper.execution, attempt.before)
        lost = [n for n in lost if n in known]
        touched = [n for n in lost if n in names] or (lost if attempt.access.scan else [])
        if touched:
            return f"it touches `{touched[0]}`, which cannot be kept: what it did to that cannot be undone"
        return (
            None
            if reason is None or not lost
            else f"it may touch `{lost[0]}`, which cannot be kept: {reason}"
        )


def _numbers(node: Node, started: float) -> dict[str, Any]:
    return {
        "run": node.run, "try": node.tries, "lost": node.lost, "effects": node.effects,
        "began": node.began or started,
    }  # fmt: skip


def _task() -> object:
    try:
        return asyncio.current_task() or threading.get_ident()
    except RuntimeError:
        return threading.get_ident()
