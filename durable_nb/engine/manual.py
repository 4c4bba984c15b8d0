"""What a person decides about nodes: run again, skip, take as done, release, pause; each is recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from durable_nb.engine import lifecycle
from durable_nb.engine.attempts import Attempts
from durable_nb.engine.cell import Cell
from durable_nb.engine.keeper import Keeper
from durable_nb.engine.nodes import Node
from durable_nb.engine.recovery import Recovery
from durable_nb.errors import NodeError, NotFoundError
from durable_nb.model import Checkpoint, ExecutionStatus, NodeStatus

_UNFINISHED = (NodeStatus.LOST, NodeStatus.RETRY_WAIT, NodeStatus.INTERRUPTED)
"""What `resume` goes on with unasked; FAILED and QUARANTINED only by name."""

_BY_HAND = "by hand"


class Manual:
    """Keeps a person's decisions, and says what they mean for a cell that arrives."""

    def __init__(
        self,
        keeper: Keeper,
        recovery: Recovery,
        attempts: Attempts,
        sources: Callable[[], Mapping[str, str] | None],
    ) -> None:
        self._sources = sources
        self.keeper = keeper
        self.recovery = recovery
        self.attempts = attempts
        self._must_run: set[str] = set()

    def is_forced(self, cell: Cell) -> bool:
        """Whether the user asked for this node to run instead of being put back."""
        return cell.node in self._must_run

    def starts(self, node: str) -> None:
        """The node runs now: what was asked for is done."""
        self._must_run.discard(node)

    def decided(self, cell: Cell) -> str | None:
        """What to say of a node that does not run since a person decided so; None for others."""
        if cell.node is None or self.is_forced(cell):
            return None
        node = self.keeper.nodes[cell.node]
        if node.status is NodeStatus.SKIPPED:
            return f"durable_nb: `{node.name}` is skipped (%durable rerun {node.name} runs it)"
        if node.status is NodeStatus.COMPLETED and node.why == _BY_HAND and node.source == cell.digest:
            return f"durable_nb: `{node.name}` was marked as done (%durable rerun {node.name} runs it)"
        return None

    def may_start(self, cell: Cell, *, first: bool) -> None:
        """Refuse a node that may not run now.

        Raises:
            NodeError: the execution is paused, the node is quarantined, or it has effects and was lost.
        """
        if cell.options is None:
            return
        if self.keeper.nodes.paused:
            raise NodeError(f"the execution is paused, so `{cell.node}` does not run: %durable resume")
        node = self.keeper.nodes[cell.options.name]
        if node.status is NodeStatus.QUARANTINED:
            if node.source == cell.digest:
                raise NodeError(
                    f"`{node.name}` is in quarantine: {node.why}; change it, or "
                    f"`%durable release {node.name}` lets it run as it is"
                )
            self.attempts.mark(node.name, NodeStatus.LOST, "its source changed")
        if node.status is NodeStatus.LOST:
            self.may_repeat(cell, "the kernel died while it ran")
        elif first and node.status in (NodeStatus.COMPLETED, NodeStatus.REUSED):
            self.may_repeat(cell, "it was finished before the kernel died, on other source or inputs")

    def may_repeat(self, cell: Cell, why: str) -> None:
        """Refuse a node with effects that would run again unasked.

        Raises:
            NodeError: it has effects, and nobody asked for it.
        """
        options = cell.options
        if options is None or self.is_forced(cell):
            return
        if options.effects or self.keeper.nodes[options.name].effects:
            name = options.name
            raise NodeError(
                f"`{name}` has effects outside the notebook, and {why}: "
                f"`%durable rerun {name}` runs it again, `%durable done {name}` takes it as done, "
                f"`%durable skip {name}` leaves it out"
            )

    def rerun(self, name: str) -> None:
        """Run a node when it comes up next, instead of putting it back.

        Raises:
            NotFoundError: there is no such node.
        """
        node = self._known(name)
        if node.status is NodeStatus.QUARANTINED:
            self.release(name)
        self._must_run.add(name)

    def skip(self, name: str) -> None:
        """Leave a node out: it counts as finished, and does not run.

        Raises:
            NodeError: it is finished or running.
            NotFoundError: neither this execution nor the notebook's file has it.
        """
        if name not in (self._sources() or {}):
            self._known(name)
        self._settle(name, NodeStatus.SKIPPED)

    def done(self, name: str) -> None:
        """Take a node as done that did not finish.

        Raises:
            NodeError: it is finished or running.
            NotFoundError: there is no such node.
        """
        self._known(name)
        self._settle(name, NodeStatus.COMPLETED)

    def release(self, name: str) -> None:
        """Let a node in quarantine run again, with all its attempts.

        Raises:
            NodeError: it is in none.
            NotFoundError: there is no such node.
        """
        node = self._known(name)
        if node.status is not NodeStatus.QUARANTINED:
            raise NodeError(f"`{name}` is not in quarantine: it is {node.status}")
        self.attempts.mark(name, NodeStatus.LOST, "released")

    def pause(self) -> None:
        """Run no node from now on, in this kernel and those that continue it.

        Raises:
            NodeError: it is paused.
        """
        self._turn(ExecutionStatus.PAUSED)

    def resume(self) -> None:
        """Let nodes run again.

        Raises:
            NodeError: it is not paused.
        """
        self._turn(ExecutionStatus.RUNNING)

    def unfinished(self, name: str | None = None) -> Node | None:
        """The node to go on with: the newest one that was lost, waits for a retry or was interrupted.

        Raises:
            NotFoundError: the one that is named is not known.
            NodeError: nothing is left to do for it, or its source was not recorded.
        """
        self.keeper.drain()
        if name is None:
            left = [n for n in self.keeper.nodes.by_name.values() if n.status in _UNFINISHED and n.cell]
            return max(left, key=lambda n: n.started, default=None)
        node = self._known(name)
        if node.finished:
            raise NodeError(f"`{name}` is finished: `%durable rerun {name}`, then run its cell")
        if node.cell is None:
            raise NodeError(f"the source of `{name}` was not recorded: run its cell")
        return node

    def set_value(self, name: str, value: Any) -> Checkpoint | None:
        """Give a variable a value, as an intervention that is recorded; returns its checkpoint."""
        self.keeper.capture.space[name] = value
        ticket = self.keeper.checkpoint("manual", {"description": f"`{name}` was set by hand"})
        if ticket.error is not None:
            raise ticket.error
        return None if ticket.record is None else self.recovery.history().checkpoints()[ticket.record.number]

    def _known(self, name: str) -> Node:
        self.keeper.drain()
        nodes = self.keeper.nodes.by_name
        if name not in nodes:
            raise NotFoundError(f"no node `{name}`; there is {', '.join(sorted(nodes)) or 'none'}")
        return nodes[name]

    def _settle(self, name: str, status: NodeStatus) -> None:
        self.keeper.drain()
        node = self.keeper.nodes[name]
        if node.finished:
            raise NodeError(f"`{name}` is {node.status} already")
        self.attempts.mark(name, status, _BY_HAND)
        self._must_run.discard(name)

    def _turn(self, status: ExecutionStatus) -> None:
        self.keeper.drain()
        before = ExecutionStatus.PAUSED if self.keeper.nodes.paused else ExecutionStatus.RUNNING
        if before is status:
            raise NodeError(f"the execution is {status} already")
        lifecycle.move(lifecycle.EXECUTION_MOVES, before, status)
        self.keeper.note("execution", {"status": str(status)})
