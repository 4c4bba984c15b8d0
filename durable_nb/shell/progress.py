"""What is shown under a node while it runs; one display, updated from a thread of its own."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any
from uuid import uuid4

from IPython.core.interactiveshell import InteractiveShell

from durable_nb.engine.cell import Cell
from durable_nb.engine.saver import Ticket
from durable_nb.engine.session import Session
from durable_nb.model import NodeStatus
from durable_nb.shell.outputs import Recorder
from durable_nb.ui import node_line
from durable_nb.ui.render import Rendered

_TICK = 1.0
"""Seconds between two updates."""

_SAFE = 60.0
"""Seconds after which nobody waits for a result to be safe any more."""


class NodeProgress:
    """Follows one node in one cell, from before its first attempt until its result is safe.

    What it shows is HTML, which outlives the kernel, and is no output of the cell that is recorded.
    """

    def __init__(self, shell: InteractiveShell, recorder: Recorder, session: Session, cell: Cell) -> None:
        assert cell.options is not None
        # The user's code may have put a capturing one in its place by the next update.
        self._publish: Any = shell.display_pub.publish
        self._recorder = recorder
        self._session = session
        self._name = cell.options.name
        self._attempts = cell.options.attempts
        self._display = uuid4().hex
        self._shown: str | None = None
        self._over = threading.Event()
        self._lock = threading.Lock()

    def begin(self) -> None:
        """The node is about to run."""
        self._show(self._going())
        threading.Thread(target=self._follow, name="durable_nb progress", daemon=True).start()

    def put_back(self) -> None:
        """The node was put back instead."""
        node = self._session.keeper.nodes[self._name]
        self._show(node_line.ended(node_line.Ended(self._name, str(NodeStatus.REUSED), node.seconds)))

    def end(self, ticket: Ticket | None, status: NodeStatus, error: BaseException | None) -> None:
        """The cell is over; its result may still be on its way."""
        self.stop()
        if ticket is None:
            node = self._session.keeper.nodes[self._name]
            ended = node_line.Ended(
                self._name, str(status), node.seconds, node.tries, type(error).__name__ if error else ""
            )
            self._show(node_line.ended(ended))
            return
        self._show(self._ended(ticket))
        if not ticket.safe:
            threading.Thread(
                target=self._until_safe, args=(ticket,), name="durable_nb progress", daemon=True
            ).start()

    def stop(self) -> None:
        """Show nothing more of how it is going."""
        self._over.set()

    def _follow(self) -> None:
        while not self._over.wait(_TICK):
            self._show(self._going(), running=True)

    def _until_safe(self, ticket: Ticket) -> None:
        if ticket.wait(safe=True, timeout=_SAFE):
            self._show(self._ended(ticket))

    def _going(self) -> Rendered:
        keeper, running = self._session.keeper, self._session.attempts.running
        node = keeper.nodes[self._name]
        now = time.time()
        if running is not None and running.node is not None:
            tries, elapsed, details = running.node.tries, now - running.started, running.details
            if details is None:
                details = running.node.details
            found = node_line.Going(self._name, elapsed, tries, self._attempts, details=details)
        else:
            wait = max(0.0, node.next_at - now)
            found = node_line.Going(self._name, 0.0, node.tries + 1, self._attempts, wait)
        return node_line.going(found)

    def _ended(self, ticket: Ticket) -> Rendered:
        attempt = ticket.draft.body["attempt"]
        record = ticket.record
        return node_line.ended(
            node_line.Ended(
                self._name, attempt["status"], attempt["seconds"], attempt.get("try", 1),
                attempt.get("error", ""), attempt.get("size", 0),
                record.body.get("stored", 0) if record is not None else 0,
                ticket.durability,
            )
        )  # fmt: skip

    def _show(self, rendered: Rendered, *, running: bool = False) -> None:
        with self._lock:
            if rendered.text == self._shown or (running and self._over.is_set()):
                return
            first, self._shown = self._shown is None, rendered.text
            bundle, place = rendered._repr_mimebundle_(), {"display_id": self._display}
            # Whatever a hook of somebody's raises: the cell is not to suffer from what is only shown.
            with self._recorder.unrecorded(), contextlib.suppress(Exception):
                self._publish(bundle, {"durable_nb": "progress"}, transient=place, update=not first)
