"""Putting a finished node back instead of running it: only where its source and inputs are what they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from durable_nb.engine import lifecycle, resume
from durable_nb.engine import target as targets
from durable_nb.engine.cell import Cell
from durable_nb.engine.keeper import Keeper
from durable_nb.engine.recovery import Recovery
from durable_nb.errors import DurableError, NodeError, NotFoundError
from durable_nb.model import NodeStatus, Record
from durable_nb.store.log import History


@dataclass(frozen=True, slots=True)
class Reused:
    """A node that was put back."""

    cell: str | None
    """digest of the chunk with its source and outputs"""


class Reuse:
    """Finds completed attempts that still hold, and puts them back."""

    def __init__(self, keeper: Keeper, recovery: Recovery) -> None:
        self.keeper = keeper
        self.recovery = recovery
        self.accepted: set[str] = set()
        """nodes whose result the user takes although their source changed"""

    def of(self, cell: Cell, notes: list[str], *, first: bool) -> Reused | None:
        """Put a node back as of its completion; None where it has to run.

        Args:
            cell: it is about to run.
            notes: lines for the user are added.
            first: it comes up for the first time in a kernel that continues a lost execution. Otherwise
                only a node with `--cache` is put back.

        Raises:
            NodeError: its source changed, and the user wants to be asked.
        """
        options = cell.options
        if options is None or not (first or options.cache):
            return None
        self.keeper.drain()
        status = self.keeper.nodes[options.name].status
        if NodeStatus.REUSED not in lifecycle.NODE_MOVES[status]:
            return None  # it waits for its next attempt, or is in quarantine
        why: str | None = None
        for history in self._histories(everywhere=options.cache):
            for record in reversed(history.records):
                if record.kind != "node" or record.body["attempt"]["node"] != options.name:
                    continue
                attempt = record.body["attempt"]
                live = self.keeper.input_digests(attempt["inputs"])
                reason = resume.why_stale(attempt, cell.digest, live)
                if reason is not None and first and why is None:
                    reason = self._changed(options.name, reason, notes)
                if reason is None and (reused := self._bring(options.name, history, record, notes)):
                    return reused
                why = why or reason
        if why is not None and first:
            notes.append(f"durable_nb: `{options.name}` runs again: {why}")
        return None

    def _changed(self, node: str, reason: str, notes: list[str]) -> str | None:
        """What `on_code_change` says to a changed source; the reason to run, or None to put back."""
        if not reason.startswith("source of"):
            return reason
        if node in self.accepted or self.keeper.settings.on_code_change == "use":
            notes.append(f"durable_nb: {reason}: its recorded result is used all the same")
            return None
        if self.keeper.settings.on_code_change == "ask":
            raise NodeError(
                f"{reason} since it was finished: `%durable rerun {node}` runs it, "
                f"`%durable use {node}` takes its recorded result"
            )
        return reason

    def _histories(self, *, everywhere: bool) -> Iterator[History]:
        """This execution; for memos also the others of this notebook, newest first."""
        keeper = self.keeper
        if keeper.begun:
            yield keeper.repository.history(keeper.execution)
        if not everywhere or keeper.notebook is None:
            return
        for execution in keeper.repository.executions():
            mine = execution.notebook == str(keeper.notebook) and execution.id != keeper.execution
            if mine and execution.trusted and execution.head:
                yield keeper.repository.history(execution.id)

    def _bring(self, node: str, history: History, record: Record, notes: list[str]) -> Reused | None:
        version = record.number
        point = history.checkpoints()[version]
        if point.retired:
            return None
        delta = record.body["state"]
        # A second run with the same result changed nothing: all that its attempts ever changed is its result.
        deltas = [
            r.body["state"] for r in history.records
            if r.kind == "node" and r.number <= version and r.body["attempt"]["node"] == node
        ]  # fmt: skip
        body = self._body(node, record.body)
        try:
            state = history.state(version)
            names = {n for d in deltas for n in d["set"] if n in state} | set(delta["del"])
            # With what is beside the variables: a node that drew random numbers moved the generator on.
            result = self.recovery.go(history, [point], only=list(names), kind="reuse", body=body)
        except NotFoundError:
            return None
        except (DurableError, OSError) as error:
            notes.append(f"durable_nb: `{node}` runs again: {targets.explain(error)}")
            return None
        if result.failed or result.unsaved:
            notes.append(f"durable_nb: `{node}` runs again: part of its result could not be put back")
            return None
        return Reused(record.body.get("cell"))

    def _body(self, node: str, recorded: Mapping[str, Any]) -> dict[str, Any]:
        known = self.keeper.nodes[node]
        attempt = {**recorded["attempt"], "n": 0, "status": str(NodeStatus.REUSED), "run": known.run or 1}
        return {"node": node, "attempt": attempt, "cell": recorded.get("cell")}
