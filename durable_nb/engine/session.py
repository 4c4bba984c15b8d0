"""One notebook's execution in this process: cells arrive, run or are put back, and are kept."""

from __future__ import annotations

import ast
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blake3 import blake3

from durable_nb.config import Settings
from durable_nb.engine import housekeeping, lifecycle, resume
from durable_nb.engine import target as targets
from durable_nb.engine.keeper import Keeper
from durable_nb.engine.opening import Opening, Past
from durable_nb.engine.recovery import Recovery
from durable_nb.engine.saver import Ticket
from durable_nb.errors import (
    DurableError,
    FencedError,
    NodeError,
    NotFoundError,
    RefusedError,
    StoreError,
)
from durable_nb.model import Checkpoint, ExecutionStatus, NodeStatus, RecoveryResult, canonical
from durable_nb.state import access
from durable_nb.state.live import Live, Snapshot, is_pseudo
from durable_nb.state.pickling import Namespace
from durable_nb.store.log import History
from durable_nb.store.repository import Repository


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell as the shell hands it over."""

    raw: str
    source: str
    """canonical: without the directive line"""
    tree: ast.Module | None = field(compare=False)
    """of the plain Python that runs; None where it does not parse"""
    setup: bool = False
    """only imports and set-up magics"""
    node: str | None = None
    after: tuple[str, ...] = ()
    sync: bool = False
    cell_id: str | None = None
    count: int | None = None
    """the number in front of it"""

    @property
    def label(self) -> str:
        """The node's name, or its number: the text stays out of the log, where `forget` cannot reach it."""
        return self.node or f"cell [{self.count or ' '}]"

    @property
    def digest(self) -> str:
        """Of the source."""
        return blake3(self.source.encode()).hexdigest()


@dataclass(slots=True)
class Running:
    """The attempt that is under way."""

    cell: Cell
    access: access.Access
    number: int
    """its intent's number"""
    started: float
    clock: float
    inputs: dict[str, Live]
    rerun: resume.RecordedCell | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """What becomes of a cell that is about to run."""

    put_back: bool = False
    outputs: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    error: DurableError | None = None


class Session:
    """The execution of one notebook. The arguments are those of `Keeper`."""

    def __init__(
        self,
        repository: Repository,
        space: Namespace,
        visible: Callable[[], Iterable[str]],
        settings: Settings,
        notebook: Path | None,
        say: Callable[[str], None],
    ) -> None:
        self.keeper = Keeper(repository, space, visible, settings, notebook, say)
        self.recovery = Recovery(self.keeper)
        self.past = Past(self.keeper, self.recovery)
        self.catch_up: resume.CatchUp | None = None
        self.recovered = False
        """whether this kernel continues an execution that was lost"""
        self.running: Running | None = None
        self.seen_nodes: dict[str, str | None] = {}
        """nodes that came up in this kernel, with the cell's id"""
        self._preface: Cell | None = None
        self._yours: tuple[str, ...] = ()
        self._offered: resume.CatchUp | None = None
        self._must_run: set[str] = set()
        self._last_status = NodeStatus.COMPLETED

    @property
    def repository(self) -> Repository:
        """The store."""
        return self.keeper.repository

    @property
    def settings(self) -> Settings:
        """The settings in force; assign to change them."""
        return self.keeper.settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self.keeper.apply(settings)

    @property
    def version(self) -> int | None:
        """The checkpoint that the live state was last equal to."""
        return self.keeper.version

    @property
    def in_node(self) -> bool:
        """Whether a node is running."""
        return self.running is not None and self.running.cell.node is not None

    def open(self, bound: Iterable[str] = (), load_cell: str | None = None) -> Opening:
        """Find this notebook's past, and take up an execution that was lost (see `Past.open`)."""
        return self._opened(self.past.open(bound, load_cell))

    def _opened(self, opening: Opening) -> Opening:
        self.recovered = self.recovered or opening.recovered
        if opening.offered:
            self._offered = opening.catch_up
        else:
            self.catch_up = opening.catch_up or self.catch_up
        self._yours = opening.result.yours if opening.result is not None else ()
        return opening

    def close(self, timeout: float = 2.0) -> None:
        """End the execution in order, within about `timeout` seconds."""
        done = self._last_status is NodeStatus.COMPLETED
        self.keeper.close(str(ExecutionStatus.COMPLETED if done else ExecutionStatus.FAILED), timeout)

    def new(self) -> None:
        """Begin a new execution whose parent is this one; the variables stay as they are."""
        self.close()
        self.keeper.new()
        self.recovery.reset()
        self.recovered = False
        self.catch_up = None
        self.seen_nodes.clear()
        self._last_status = NodeStatus.COMPLETED

    def note_unseen(self, why: str) -> None:
        """Code ran that was not followed: look at everything next time."""
        self.keeper.unseen = self.keeper.unseen or why

    def loaded_by(self, cell: Cell) -> None:
        """The cell that loaded the extension has run: it is the notebook's first."""
        known = self.catch_up
        if known is not None and known.at == 1 and known.cells[0].source == cell.digest:
            if not cell.setup:
                # The rest of that cell ran on top of what was recovered.
                bound = access.of_tree(cell.tree).names & self.keeper.capture.live.keys()
                self.keeper.capture.forget(bound)
                self.recovery.move(self.keeper.execution, known.version)
            return
        self._preface = cell

    def arrive(self, cell: Cell) -> Arrival:
        """A cell is about to run: put it back, refuse it, or note that it starts."""
        self.running = None
        if not self.keeper.enabled:
            self.note_unseen("cells ran while recording was off")
            return Arrival()
        notes: list[str] = []
        if self.past.candidates:
            opening = self._opened(self.past.adopt(cell.digest))
            notes += [f"durable_nb: {note}" for note in opening.notes]
            self._preface = None if opening.recovered else self._preface
        try:
            self._check_node(cell)
        except NodeError as error:
            self._last_status = NodeStatus.FAILED
            return Arrival(notes=tuple(notes), error=error)
        forced = cell.node in self._must_run
        answer = self._answer(cell, forced=forced)
        try:
            if answer.verdict is resume.Verdict.PUT_BACK and answer.cell is not None:
                if self._follow(cell, answer.cell, notes):
                    return self._put_back(cell, answer.cell.cell, notes)
                answer = resume.Answer(resume.Verdict.RUN)
            rerun = answer.cell if answer.verdict is resume.Verdict.RERUN else None
            if answer.before is not None:
                self._step_back(answer.before, notes, told=rerun is None)
        except (DurableError, OSError) as error:
            return self._stuck(error, notes)
        if cell.node:
            reused = None if rerun or forced else self._reuse(cell, notes)
            if reused is not None:
                return reused
            self.seen_nodes[cell.node] = cell.cell_id
            self._must_run.discard(cell.node)
        self._offered = None if not cell.setup else self._offered
        self._start(cell, rerun)
        return Arrival(notes=tuple(notes))

    def _stuck(self, error: Exception, notes: list[str]) -> Arrival:
        """The state that a cell belongs on cannot be had: it does not run on another one unasked."""
        self._last_status = NodeStatus.FAILED
        if self.catch_up is not None:
            self.catch_up.active = False
        refused = RefusedError(
            f"the state before this cell cannot be brought back ({targets.explain(error)}), "
            "so it did not run; run it again to run it on what is live"
        )
        return Arrival(notes=tuple(notes), error=refused)

    def _answer(self, cell: Cell, *, forced: bool) -> resume.Answer:
        if self.catch_up is None:
            return resume.Answer(resume.Verdict.RUN)
        return self.catch_up.arrive("" if forced else cell.digest, setup=cell.setup)

    def _start(self, cell: Cell, rerun: resume.RecordedCell | None) -> None:
        """Keep the intent before any of the user's code runs."""
        read = access.of_tree(cell.tree)
        self._keep_preface()
        self.keeper.policy.starting()
        if cell.node:
            self.keeper.drain()
        started = time.time()
        lifecycle.move(lifecycle.NODE_MOVES, None, NodeStatus.STARTED)
        try:
            number = self.keeper.begin().intent(
                {"label": cell.label, "node": cell.node, "source": cell.digest, "started": started}
            )
        except FencedError as error:
            self.keeper.refused(error)
            return
        inputs: dict[str, Live] = {}
        if cell.node and cell.tree is not None:
            live = self.keeper.capture.live
            reached, _ = access.reached(access.inputs(cell.tree), self.keeper.capture.space)
            inputs = {n: live[n] for n in reached if n in live}
        self.running = Running(cell, read, number, started, time.perf_counter(), inputs, rerun)

    def _keep_preface(self) -> None:
        """The cell that loaded the extension is kept with the first one that follows."""
        cell, self._preface = self._preface, None
        if cell is None or self.recovered:
            return
        attempt = resume.attempt(
            n=0, node=None, label=cell.label, source=cell.digest, status=NodeStatus.COMPLETED,
            started=time.time(), setup=cell.setup,
        )  # fmt: skip
        with self.keeper.undisturbed() as take:
            shot = take(None, None)
            body = {"attempt": attempt, "node": None}
            self.keeper.commit("cell", body, shot, cell=canonical({"source": cell.raw, "outputs": []}))
        self.keeper.announce(shot)

    def finish(self, status: NodeStatus, outputs: Iterable[Mapping[str, Any]] = ()) -> Ticket | None:
        """The cell has run: keep what it changed, its outputs and its status in one commit."""
        running, self.running = self.running, None
        if running is None or not self.keeper.enabled:
            return None
        seconds = time.perf_counter() - running.clock
        self._last_status = lifecycle.move(lifecycle.NODE_MOVES, NodeStatus.STARTED, status)
        done = status is NodeStatus.COMPLETED
        if running.rerun is not None and done:
            self._forward(running.rerun, running.access)
            return None
        if self.catch_up is not None and self.catch_up.active:
            if running.rerun is not None:
                self.catch_up.active = False  # what comes after was recorded on what is missing now
            elif running.cell.setup:
                self.note_unseen("imports ran during catch-up")
                return None
        keeper, cell = self.keeper, running.cell
        because = keeper.unseen or (f"`{cell.node}` is a node" if cell.node else None)
        with keeper.undisturbed() as take:
            keeper.drain()
            names, why = keeper.policy.touched(running.access, keeper.capture, seconds, all_because=because)
            shot = take(names, keeper.policy.limit(automatic=cell.node is None))
            body = {"attempt": self._attempt(running, status, seconds, shot, why), "node": cell.node}
            kind = ("node" if cell.node else "cell") if done else targets.ERROR
            shown = canonical({"source": cell.raw, "outputs": list(outputs)})
            ticket = keeper.commit(kind, body, shot, cell=shown)
        keeper.announce(shot)
        if cell.sync or keeper.settings.durability == "sync":
            ticket.wait(safe=True)
        elif cell.node and keeper.policy.waits(seconds, shot.new_bytes):
            ticket.wait()
        return ticket

    def _attempt(
        self, running: Running, status: NodeStatus, seconds: float, shot: Snapshot, why: str
    ) -> dict[str, Any]:
        cell = running.cell
        return resume.attempt(
            n=running.number,
            node=cell.node,
            label=cell.label,
            source=cell.digest,
            status=status,
            started=running.started,
            seconds=seconds,
            setup=cell.setup,
            after=list(cell.after),
            scan=why,
            inputs={n: live.digest if live.unsaved is None else "" for n, live in running.inputs.items()},
            unsaved=sorted(shot.remade | self.keeper.capture.advanced(running.access.names)),
            cell_id=cell.cell_id,
        )

    def _put_back(self, cell: Cell, shown: str | None, notes: list[str]) -> Arrival:
        if cell.node:
            self.seen_nodes[cell.node] = cell.cell_id
        self._last_status = NodeStatus.COMPLETED
        self._preface = None
        return Arrival(True, self._outputs(shown, notes), tuple(notes))

    def _outputs(self, digest: str | None, notes: list[str]) -> tuple[Mapping[str, Any], ...]:
        if digest is None:
            return ()
        try:
            return tuple(json.loads(self.repository.cell(digest))["outputs"])
        except (DurableError, OSError) as error:
            notes.append(f"durable_nb: the outputs of this cell are gone: {targets.explain(error)}")
            return ()

    def _step_back(self, before: int, notes: list[str], *, told: bool) -> None:
        newest = self.catch_up.version if self.catch_up else before
        self.recovery.move(self.keeper.execution, before)
        if told:
            notes.append(
                "durable_nb: this cell is not the one that was recorded here: it runs on the state before "
                f"it (v{before}); what came after is kept: %recover v{newest}"
            )

    def _forward(self, recorded: resume.RecordedCell, read: access.Access) -> None:
        """After a cell ran again only for what could not be kept: put back what was."""
        keeper = self.keeper
        missing = self._unsaved_of(recorded)
        history = self.repository.history(keeper.execution)
        found = targets.open_target(self.repository, history, recorded.version)
        # What came out the same stays the object that it is: the remade variable may hold it.
        keeper.capture.settle_for(keeper.capture.take(), found.state, found.manifests)
        self.recovery.move(keeper.execution, recorded.version, keep=missing)
        if self.catch_up is not None:
            self.catch_up.remade.update(dict.fromkeys(missing, read.names))

    def _unsaved_of(self, recorded: resume.RecordedCell) -> set[str]:
        history = self.repository.history(self.keeper.execution)
        found = targets.open_target(self.repository, history, recorded.version)
        return {n for n, d in found.state.items() if found.manifests[d].unsaved is not None}

    def _follow(self, cell: Cell, recorded: resume.RecordedCell, notes: list[str]) -> bool:
        """Once something was made again, live is not the newest state: take it to where this cell left it.

        False where that would replace what the remade variable was made from: a plain cell then runs.
        """
        known = self.catch_up
        if known is not None and self._yours and not cell.setup:
            self._yours = ()
            moved = self.recovery.move(self.keeper.execution, known.version)
            notes.append(
                f"durable_nb: {', '.join(moved)} brought back too: this run continues the recorded one"
            )
        if known is None or not known.remade:
            return True
        replaced = self.recovery.differing(self.keeper.execution, recorded.version)
        stale = [n for n, mentioned in known.remade.items() if not replaced.isdisjoint(mentioned - {n})]
        if stale and cell.node is None:
            known.active = False
            notes.append(
                f"durable_nb: this cell runs again, since it changes what `{stale[0]}` was made from"
            )
            return False
        self.recovery.move(self.keeper.execution, recorded.version, keep=self._unsaved_of(recorded))
        for name in stale:
            # A finished node is never run again: better without the variable than quietly wrong.
            self.keeper.capture.space.pop(name, None)
            del known.remade[name]
            notes.append(
                f"durable_nb: `{name}` could not be kept, and `{cell.node}` changed what it was made from: "
                "run the cell that makes it"
            )
        return True

    def _reuse(self, cell: Cell, notes: list[str]) -> Arrival | None:
        """After catch-up: put a node back as of its completion, when it comes up for the first time."""
        if not self.recovered or cell.node is None or cell.node in self.seen_nodes:
            return None
        self.keeper.drain()
        history = self.repository.history(self.keeper.execution)
        live = self.keeper.live_digests()
        why: str | None = None
        for record in reversed(history.records):
            if record.kind != "node" or record.body["attempt"]["node"] != cell.node:
                continue
            reason = resume.why_stale(record.body["attempt"], cell.digest, live)
            if reason is None and (arrival := self._bring_node(cell, history, record.number, notes)):
                return arrival
            why = why or reason
        if why is not None:
            notes.append(f"durable_nb: `{cell.node}` runs again: {why}")
        return None

    def _bring_node(self, cell: Cell, history: History, version: int, notes: list[str]) -> Arrival | None:
        record = next(r for r in history.records if r.number == version)
        delta = record.body["state"]
        # A second run with the same result changed nothing: all that its attempts ever changed is its result.
        deltas = [
            r.body["state"] for r in history.records
            if r.kind == "node" and r.number <= version and r.body["attempt"]["node"] == cell.node
        ]  # fmt: skip
        state = history.state(version)
        names = {n for d in deltas for n in d["set"] if n in state} | set(delta["del"])
        point = history.checkpoints()[version]
        attempt = {**record.body["attempt"], "n": 0, "status": str(NodeStatus.REUSED)}
        lifecycle.move(lifecycle.NODE_MOVES, None, NodeStatus.REUSED)
        body = {"node": cell.node, "attempt": attempt, "cell": record.body.get("cell")}
        try:
            result = self.recovery.go(
                history, [point], only=[n for n in names if not is_pseudo(n)], kind="reuse", body=body
            )
        except (DurableError, OSError) as error:
            notes.append(f"durable_nb: `{cell.node}` runs again: {targets.explain(error)}")
            return None
        if result.failed or result.unsaved:
            notes.append(f"durable_nb: `{cell.node}` runs again: part of its result could not be put back")
            return None
        return self._put_back(cell, record.body.get("cell"), notes)

    def _check_node(self, cell: Cell) -> None:
        if not cell.node:
            return
        before = self.seen_nodes.get(cell.node)
        if before is not None and cell.cell_id is not None and before != cell.cell_id:
            raise NodeError(
                f"two cells are named `{cell.node}` ({before} and {cell.cell_id}): "
                "give one of them another name, or `%durable rerun` it if the other one is gone"
            )
        done = self.finished_nodes() if cell.after else set()
        for name in cell.after:
            if name not in done:
                raise NodeError(
                    f"`{cell.node}` waits for `{name}`, which is not finished: run `{name}` first"
                )

    def finished_nodes(self) -> set[str]:
        """Nodes whose last attempt in this execution is completed."""
        if not self.keeper.begun:
            return set()
        last: dict[str, str] = {}
        for record in self.recovery.history().records:
            attempt = record.body.get("attempt")
            if attempt and attempt["node"]:
                last[attempt["node"]] = attempt["status"]
        done = (NodeStatus.COMPLETED, NodeStatus.REUSED)
        return {node for node, status in last.items() if status in done}

    def checkpoint(self, description: str = "") -> Checkpoint:
        """Keep everything now, by hand: safe when it returns, and pinned.

        Raises:
            StoreError: it could not be written.
        """
        if self.catch_up is not None and self.catch_up.active:
            # Run All comes by a checkpoint that was made before the loss.
            after, before = self.catch_up.place()
            for point in self.recovery.history().checkpoints().values():
                here = after < point.version < before and point.kind == "manual" and not point.retired
                if here and point.description == description:
                    return point
        ticket = self.keeper.checkpoint("manual", {"description": description, "pinned": True})
        if ticket.record is None:
            raise ticket.error or StoreError("the checkpoint was not made")
        if ticket.flush_error is not None:
            raise StoreError(f"v{ticket.record.number} is kept, but not safe: {ticket.flush_error}")
        return self.recovery.history().checkpoints()[ticket.record.number]

    def history(self) -> History:
        """The log of this execution (see `Recovery.history`)."""
        return self.recovery.history()

    def recover(
        self,
        wanted: str | int | None = None,
        *,
        only: Iterable[str] | None = None,
        plan: bool = False,
        execution: str | None = None,
        force: bool = False,
    ) -> RecoveryResult:
        """Make an earlier state live again (see `Recovery.recover`); catch-up ends."""
        result = self.recovery.recover(wanted, only=only, plan=plan, execution=execution, force=force)
        if not plan:
            accepted = wanted is None and only is None and execution is None
            self.catch_up = self._offered if accepted else None
            self._offered = None
        return result

    def undo(self) -> RecoveryResult:
        """Go back to where the last `recover` started."""
        return self.recovery.undo()

    def resolve(self, wanted: str) -> int:
        """The version that a person means by vN, a node's name or an id's prefix."""
        return targets.choose(self.history(), wanted)[0].version

    def settle(self) -> None:
        """Wait until nothing is on its way to the disk."""
        self.keeper.drain(safe=True)

    def pin(self, version: int, *, pinned: bool) -> None:
        """Pin a checkpoint, or unpin it."""
        housekeeping.pin(self.keeper, version, pinned=pinned)

    def delete(self, version: int, *, force: bool = False) -> None:
        """Remove a checkpoint (see `housekeeping.delete`)."""
        housekeeping.delete(self.keeper, self.recovery, version, force=force)

    def forget(self, names: Iterable[str]) -> tuple[list[str], list[str]]:
        """Remove variables from all history (see `housekeeping.forget`)."""
        return housekeeping.forget(self.keeper, names)

    def clear(self) -> int:
        """Remove everything that was kept of this notebook; returns the bytes given back."""
        freed = housekeeping.clear(self.keeper)
        self.recovery.reset()
        self.recovered, self.catch_up = False, None
        self.seen_nodes.clear()
        return freed

    def rerun(self, node: str) -> None:
        """Run a finished node again when it comes up next, instead of putting it back.

        Raises:
            NotFoundError: there is no such node.
        """
        attempts = (r.body.get("attempt") for r in self.history().records)
        known = sorted({a["node"] for a in attempts if a and a["node"]})
        if node not in known:
            raise NotFoundError(f"no node `{node}`; there is {', '.join(known) or 'none'}")
        self._must_run.add(node)
        self.seen_nodes.pop(node, None)
