"""One notebook's execution in this process: cells arrive, run or are put back, and are kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
from blake3 import blake3

from durable_nb.config import Settings
from durable_nb.engine import lifecycle, recovery, resume
from durable_nb.engine.policy import Policy
from durable_nb.engine.saver import Saver, Ticket
from durable_nb.errors import DurableError, FencedError, NodeError, NotFoundError, RefusedError
from durable_nb.model import (
    Checkpoint,
    Component,
    Execution,
    ExecutionStatus,
    Liveness,
    NodeStatus,
    RecoveryResult,
    canonical,
)
from durable_nb.state import access, restore
from durable_nb.state.capture import Capture, Live, Snapshot, is_pseudo
from durable_nb.state.pickling import Namespace
from durable_nb.state.pool import Pool, default_limit
from durable_nb.store.log import History
from durable_nb.store.owner import current_owner
from durable_nb.store.repository import Repository
from durable_nb.store.writer import Draft, PendingComponent, Writer

READ_RATE = 500e6
"""Bytes per second that a recovery is expected to load, for deciding whether to do it unasked."""

UNASKED_SECONDS = 5.0
"""A recovery expected to take longer is offered, not done."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell as the shell hands it over."""

    raw: str
    source: str
    """canonical: without the directive line"""
    transformed: str
    """plain Python"""
    setup: bool = False
    """only imports and magics"""
    node: str | None = None
    after: tuple[str, ...] = ()
    sync: bool = False
    cell_id: str | None = None

    @property
    def label(self) -> str:
        """The node's name, or the first line that says something."""
        lines = (line.strip() for line in self.source.splitlines())
        return self.node or next(
            (line[:60] for line in lines if line and not line.startswith("#")), "(empty)"
        )

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


@dataclass(slots=True)
class Opening:
    """What was found when the session began."""

    notes: list[str] = field(default_factory=list)
    result: RecoveryResult | None = None


class Session:
    """The execution of one notebook.

    Args:
        repository: the store.
        space: the notebook's namespace.
        visible: gives the names in it that are the user's.
        settings: in force from the start; `%config` replaces them.
        notebook: its path, where it is known.
        say: shows one line to the user, from any thread.
    """

    def __init__(
        self,
        repository: Repository,
        space: Namespace,
        visible: Callable[[], Iterable[str]],
        settings: Settings,
        notebook: Path | None,
        say: Callable[[str], None],
    ) -> None:
        self.repository = repository
        self.settings = settings
        self.notebook = notebook
        self.policy = Policy(settings)
        self.ignored: set[str] = set()
        self.pool = Pool(settings.pool or default_limit())
        self._all_names = visible
        self.capture = Capture(
            space,
            lambda: [n for n in visible() if not self.policy.excluded(n, self.ignored)],
            self.pool,
            settings.ambient,
        )
        self.say = say
        self.enabled = settings.enabled
        self.execution = uuid4().hex[:12]
        self.parent: str | None = None
        self.recovered = False
        """whether this kernel continues an execution that was lost"""
        self.catch_up: resume.CatchUp | None = None
        self.version: int | None = None
        """the checkpoint that the live state was last equal to"""
        self.running: Running | None = None
        self.seen_nodes: dict[str, str | None] = {}
        """nodes that came up in this kernel, with the cell's id"""
        self._writer: Writer | None = None
        self._saver: Saver | None = None
        self._unseen: str | None = "it is the first checkpoint"
        self._failed: list[Ticket] = []
        self._announced: set[str] = set()
        self._deleted: set[str] = set()
        self._before_rollback: int | None = None
        self._last_status = NodeStatus.COMPLETED
        self._candidates: list[Execution] = []
        self._first_sources: list[str] = []
        self._preface: Cell | None = None
        self._must_run: set[str] = set()

    # -- beginning and end -----------------------------------------------------------------------

    @property
    def space(self) -> Namespace:
        """The notebook's namespace."""
        return self.capture.space

    @property
    def begun(self) -> bool:
        """Whether this kernel owns an execution yet."""
        return self._writer is not None

    def open(self, bound: Iterable[str] = (), load_cell: str | None = None) -> Opening:
        """Find this notebook's past, and take up an execution that was lost.

        Args:
            bound: names that the user bound before; they are not overwritten.
            load_cell: digest of the source of the cell that loads the extension.
        """
        opening = Opening()
        if self.notebook is None:
            if self.settings.resume:
                self._candidates = self._adoptable(load_cell)
                self._first_sources = [load_cell] if load_cell else []
            return opening
        past = [e for e in self.repository.executions() if e.notebook == str(self.notebook)]
        opening.notes.extend(self.repository.vanished(str(self.notebook)))
        if not past:
            return opening
        last = past[0]
        opening.notes.extend(p for p in last.problems if p.startswith("rolled back"))
        if not last.trusted:
            key = self.repository.signer.key_path
            opening.notes.append(
                f"execution {last.id} of this notebook was not signed with your key ({key}): nothing of it is "
                f"loaded; `%durable trust {last.id}` shows who wrote it"
            )
        elif last.status is ExecutionStatus.RUNNING:
            opening.notes.append(
                f"another kernel (process {last.owner.pid if last.owner else '?'}) runs this notebook: "
                "this one begins an execution of its own"
            )
        elif last.status is ExecutionStatus.INTERRUPTED and last.liveness is Liveness.UNKNOWN:
            opening.notes.append(
                f"execution {last.id} was begun on another machine or in another container, and may be running: "
                f"`%recover --execution {last.id}` takes it over"
            )
        elif last.status is ExecutionStatus.INTERRUPTED:
            self._take_up(last, opening, bound, load_cell)
        else:
            self.parent = last.id
            if last.head:
                opening.notes.append(
                    "the last run of this notebook ended in order; `%recover` brings its state back"
                )
        return opening

    def _take_up(
        self, lost: Execution, opening: Opening, bound: Iterable[str], load_cell: str | None
    ) -> None:
        try:
            history = self._own(lost.id)
        except FencedError:
            opening.notes.append("another kernel has just taken this notebook's execution over")
            return
        self.recovered = True
        points = recovery.newest(history)
        dead = recovery.lost_attempt(history)
        if dead is not None:
            self._record_lost(dead)
        if not points:
            self._bring(history)
            return
        if not self.settings.auto_recovery:
            opening.notes.append(
                f"{len(points)} checkpoints were kept before the kernel died; `%recover` brings them back"
            )
            self._bring(history)
            return
        opening.result = self._recover_unasked(history, points, set(bound), dead)
        self._begin_catch_up(history, load_cell)

    def _begin_catch_up(self, history: History, load_cell: str | None) -> None:
        points = recovery.newest(history)
        version = self.version or (points[0].version if points else None)
        if version is None:
            return
        cells = resume.recorded_cells(history, version)
        self.catch_up = resume.CatchUp(cells, version)
        if load_cell is not None and cells and cells[0].source == load_cell:
            self.catch_up.at = 1

    def _recover_unasked(
        self, history: History, points: list[Checkpoint], bound: set[str], dead: Mapping[str, Any] | None
    ) -> RecoveryResult | None:
        size = sum(c.size for c in self._manifests(history, points))
        free = psutil.virtual_memory().available
        if size > free / 2 or size / READ_RATE > UNASKED_SECONDS:
            self._bring(history)
            self.say(
                f"durable_nb: {size / 1e9:.1f} GB of variables can be recovered (v{points[0].version}): run %recover"
            )
            return None
        return self._go(
            history, points, keep=bound, kind="recovery", lost=str(dead["label"]) if dead else None
        )

    def _manifests(self, history: History, points: list[Checkpoint]) -> Iterable[Component]:
        for point in points:
            try:
                return recovery.open_target(self.repository, history, point.version).manifests.values()
            except (DurableError, OSError):
                continue
        return ()

    def _own(self, execution: str) -> History:
        """Take an execution over: publish its next epoch, then read what it holds."""
        self._writer = self.repository.take_over(execution, current_owner())
        self._saver = Saver(self._writer, self._commit_failed)
        self.execution = execution
        return self.repository.history(execution)

    def _begin(self) -> Writer:
        """The writer; the first call begins the execution."""
        if self._writer is None:
            self._writer = self.repository.create(
                self.execution,
                current_owner(),
                notebook=str(self.notebook) if self.notebook else None,
                parent=self.parent,
                meta={"folder": str(Path.cwd())},
            )
            self._saver = Saver(self._writer, self._commit_failed)
        return self._writer

    def close(self, timeout: float = 2.0) -> None:
        """End the execution in order: the mark first, then at most `timeout` seconds of flushing."""
        if self._writer is None or self._saver is None:
            return
        status = (
            ExecutionStatus.COMPLETED if self._last_status is NodeStatus.COMPLETED else ExecutionStatus.FAILED
        )
        writer, saver, self._writer = self._writer, self._saver, None
        deadline = time.monotonic() + timeout
        try:
            writer.intent({"end": str(status)})
            if saver.close(timeout) and time.monotonic() < deadline:
                writer.end(str(status))
        except (DurableError, OSError) as error:
            self.say(f"durable_nb: the end of this run could not be recorded: {recovery.explain(error)}")

    # -- a notebook that does not know its path -------------------------------------------------------

    def _adoptable(self, load_cell: str | None) -> list[Execution]:
        """Unfinished runs of the last `resume_window` seconds that began with the same cell."""
        now = time.time()
        found = []
        for execution in self.repository.executions():
            unfinished = execution.status is ExecutionStatus.FAILED or (
                execution.status is ExecutionStatus.INTERRUPTED and execution.liveness is Liveness.DEAD
            )
            if (
                not execution.trusted
                or not unfinished
                or now - execution.updated > self.settings.resume_window
            ):
                continue
            cells = resume.recorded_cells(*self._newest_of(execution.id))
            if cells and (load_cell is None or cells[0].source == load_cell):
                found.append(execution)
        return found

    def _newest_of(self, execution: str) -> tuple[History, int | None]:
        history = self.repository.history(execution)
        points = recovery.newest(history)
        return history, points[0].version if points else None

    def _adopt(self, digest: str) -> list[str]:
        """At the first cell after the load: continue the newest unfinished run that has this cell next."""
        candidates, self._candidates = self._candidates, []
        for execution in candidates:
            cells = resume.recorded_cells(*self._newest_of(execution.id))
            sources = [c.source for c in cells]
            begins = [*self._first_sources, digest]
            if sources[: len(begins)] != begins and sources != begins[: len(sources)]:
                continue
            try:
                history = self._own(execution.id)
            except FencedError:
                continue
            self.recovered = True
            age = time.time() - execution.updated
            dead = recovery.lost_attempt(history)
            if dead is not None:
                self._record_lost(dead)
            points = recovery.newest(history)
            result = self._go(history, points, kind="recovery", lost=str(dead["label"]) if dead else None)
            self._begin_catch_up(history, self._first_sources[0] if self._first_sources else None)
            return [
                f"durable_nb: continues the run {execution.id}, which ended {age:,.0f} s ago after "
                f"{len(cells)} finished cells; {result.message}"
            ]
        return []

    # -- cells -----------------------------------------------------------------------------------

    def arrive(self, cell: Cell) -> Arrival:
        """A cell is about to run: put it back, refuse it, or note that it starts."""
        self.running = None
        if not self.enabled:
            self._unseen = "cells ran while recording was off"
            return Arrival()
        notes: list[str] = []
        if self._candidates:
            notes += self._adopt(cell.digest)
        try:
            self._check_node(cell)
        except NodeError as error:
            return Arrival(notes=tuple(notes), error=error)
        forced = cell.node in self._must_run
        source = f"rerun {cell.digest}" if forced else cell.digest
        answer = self.catch_up.arrive(source, setup=cell.setup) if self.catch_up else None
        if answer is not None and answer.verdict is resume.Verdict.PUT_BACK and answer.cell is not None:
            return self._put_back(cell, answer.cell, notes)
        rerun = None
        if answer is not None and answer.before is not None and answer.cell is None:
            notes += self._step_back(answer.before)
        if answer is not None and answer.verdict is resume.Verdict.RERUN:
            rerun = answer.cell
            if answer.before is not None:
                self._move(answer.before)
        if cell.node:
            reused = None if rerun or forced else self._reuse(cell, notes)
            if reused is not None:
                return reused
            self.seen_nodes[cell.node] = cell.cell_id
            self._must_run.discard(cell.node)
        self._start(cell, rerun)
        return Arrival(notes=tuple(notes))

    @property
    def in_node(self) -> bool:
        """Whether a node is running."""
        return self.running is not None and self.running.cell.node is not None

    def note_unseen(self, why: str) -> None:
        """Code ran that was not followed: look at everything next time."""
        self._unseen = self._unseen or why

    def loaded_by(self, cell: Cell) -> None:
        """The cell that loaded the extension has run: it is the notebook's first."""
        if (
            self.catch_up is not None
            and self.catch_up.at == 1
            and self.catch_up.cells[0].source == cell.digest
        ):
            if not cell.setup and self.version is not None:
                # The rest of that cell ran on top of what was recovered.
                self.capture.forget(access.of_source(cell.transformed).names & self.capture.live.keys())
                self._move(self.version)
            return
        self._preface = cell

    def _keep_preface(self) -> None:
        cell, self._preface = self._preface, None
        if cell is None or self.recovered:
            return
        attempt: dict[str, Any] = {
            "n": 0, "node": None, "label": cell.label, "status": str(NodeStatus.COMPLETED), "source": cell.digest,
            "setup": cell.setup, "after": [], "started": time.time(), "seconds": 0.0, "scan": "", "inputs": {},
            "unsaved": [], "cell_id": None,
        }  # fmt: skip
        with self._undisturbed() as shot_of:
            shot = shot_of(None, None)
            body = {"attempt": attempt, "node": None}
            self._commit("cell", body, shot, cell=canonical({"source": cell.raw, "outputs": []}))
        self._announce(shot)

    def _start(self, cell: Cell, rerun: resume.RecordedCell | None) -> None:
        """Keep the intent before any of the user's code runs."""
        read = access.of_source(cell.transformed)
        if self._preface is not None:
            self._keep_preface()
        started = time.time()
        lifecycle.move(lifecycle.NODE_MOVES, None, NodeStatus.STARTED)
        if cell.node:
            self._settle_failures()
        number = self._begin().intent(
            {"label": cell.label, "node": cell.node, "source": cell.digest, "started": started}
        )
        reached, _ = access.reached(read.inputs, self.space)
        inputs = {n: self.capture.live[n] for n in reached if n in self.capture.live} if cell.node else {}
        self.running = Running(cell, read, number, started, time.perf_counter(), inputs, rerun)

    def finish(self, status: NodeStatus, outputs: Iterable[Mapping[str, Any]] = ()) -> Ticket | None:
        """The cell has run: keep what it changed, its outputs and its status in one commit."""
        running, self.running = self.running, None
        if running is None or self._saver is None:
            return None
        seconds = time.perf_counter() - running.clock
        lifecycle.move(lifecycle.NODE_MOVES, NodeStatus.STARTED, status)
        self._last_status = status
        if running.rerun is not None and status is NodeStatus.COMPLETED:
            self._forward(running.rerun)
            return None
        if self.catch_up is not None and self.catch_up.active and running.cell.setup:
            return None
        completed = status is NodeStatus.COMPLETED
        because = self._unseen or (f"`{running.cell.node}` is a node" if running.cell.node else None)
        with self._undisturbed() as shot_of:
            names, why = self.policy.touched(running.access, self.capture, seconds, all_because=because)
            automatic = running.cell.node is None
            shot = shot_of(names, self.policy.limit(automatic=automatic))
            attempt = self._attempt(running, status, seconds, shot, why)
            cell = canonical({"source": running.cell.raw, "outputs": list(outputs)})
            kind = ("node" if running.cell.node else "cell") if completed else recovery.ERROR
            body = {"attempt": attempt, "node": running.cell.node}
            ticket = self._commit(kind, body, shot, cell=cell)
        self._announce(shot)
        sync = running.cell.sync or self.settings.durability == "sync"
        if sync or shot.borrowed:
            ticket.wait(safe=sync)
        elif running.cell.node and self.policy.waits(seconds, shot.new_bytes):
            ticket.wait()
        return ticket

    def _attempt(
        self, running: Running, status: NodeStatus, seconds: float, shot: Snapshot, why: str
    ) -> dict[str, Any]:
        cell = running.cell
        self._saver.drain() if self._saver else None
        return {
            "n": running.number,
            "node": cell.node,
            "label": cell.label,
            "status": str(status),
            "source": cell.digest,
            "setup": cell.setup,
            "after": list(cell.after),
            "started": running.started,
            "seconds": seconds,
            "scan": why,
            "inputs": {name: live.digest for name, live in running.inputs.items()},
            "unsaved": sorted(n for live in shot.unsaved for n in live.names),
            "cell_id": cell.cell_id,
        }

    @contextmanager
    def _undisturbed(self) -> Iterator[Callable[[Iterable[str] | None, int | None], Snapshot]]:
        """Capture so that an interrupt or an error abandons this save only."""
        shots: list[Snapshot] = []

        def take(names: Iterable[str] | None, limit: int | None) -> Snapshot:
            self._settle_failures()
            shots.append(self.capture.take(names, limit))
            return shots[-1]

        try:
            yield take
        except BaseException:
            if shots:
                self.capture.forget(n for live in shots[-1].changed for n in live.names)
                self._deleted.update(shots[-1].deleted)
            self._unseen = "the save before was given up"
            raise

    def _commit(
        self,
        kind: str,
        body: Mapping[str, Any],
        shot: Snapshot,
        *,
        cell: bytes | None = None,
        parent: int | None = None,
        assign: Mapping[str, str] | None = None,
    ) -> Ticket:
        self._begin()
        assert self._saver is not None
        self._saver.drain()
        deleted = {n for n in (*shot.deleted, *self._deleted) if n not in self.capture.live}
        pending = [_pending(live) for live in shot.changed]
        draft = Draft(
            kind=kind,
            body=dict(body),
            components=pending,
            deleted=sorted(deleted),
            parent=parent if parent is not None else self.version,
            cell=cell,
            has_state=True,
            assign=dict(assign or {}),
            release=self.pool.release,
        )
        names = tuple(n for live in shot.changed for n in live.names)
        ticket = Ticket(draft, (*names, *deleted), then=self._tidy)
        ticket.kept_then = lambda: self._kept(ticket, shot, pending)
        self._unseen = None
        self._deleted = set()
        self._saver.submit(ticket)
        return ticket

    def _kept(self, ticket: Ticket, shot: Snapshot, pending: list[PendingComponent]) -> None:
        """On the writer's thread, before anybody is told: note the digests that the commit gave."""
        for live, done in zip(shot.changed, pending, strict=True):
            live.digest, live.content_digest = done.digest, done.content_digest
        if ticket.record is not None:
            self.version = ticket.record.number
        self.policy.measured(shot.new_bytes, ticket.seconds)

    def _commit_failed(self, ticket: Ticket) -> None:
        """On the writer's thread: one line; what was lost is captured again with the next cell."""
        self._failed.append(ticket)
        error = ticket.error
        if isinstance(error, FencedError):
            self.enabled = False
            self.say(
                f"durable_nb: {error} Nothing more of this kernel is kept; `%durable new` begins a new execution."
            )
        else:
            self.say(
                f"durable_nb: this cell's result was not kept: {error}. It is tried again after the next cell."
            )

    def _settle_failures(self) -> None:
        """Take back what a failed commit had promised."""
        if self._saver is not None:
            self._saver.drain()
        failed, self._failed = self._failed, []
        for ticket in failed:
            self.capture.forget(n for n in ticket.names if n in self.capture.live)
            self._deleted.update(ticket.names)
            self._unseen = "the save before failed"

    def _announce(self, shot: Snapshot) -> None:
        """Say once, for each variable, that it cannot be kept and why."""
        for live in shot.unsaved:
            for name in live.names:
                if name not in self._announced:
                    self._announced.add(name)
                    self.say(
                        f"durable_nb: `{name}` is not kept ({live.unsaved}); the cell that makes it will run again"
                    )

    def _tidy(self) -> None:
        """On the writer's thread, now and then: keep the store within `max_bytes`."""
        if self._writer is not None:
            self.repository.keep_within(self._writer, self.settings.max_bytes)

    # -- catch-up --------------------------------------------------------------------------------

    def _put_back(self, cell: Cell, recorded: resume.RecordedCell, notes: list[str]) -> Arrival:
        if cell.node:
            self.seen_nodes[cell.node] = cell.cell_id
        self._last_status = NodeStatus.COMPLETED
        return Arrival(True, self._outputs(recorded.cell, notes), tuple(notes))

    def _outputs(self, digest: str | None, notes: list[str]) -> tuple[Mapping[str, Any], ...]:
        if digest is None:
            return ()
        try:
            return tuple(json.loads(self.repository.cell(digest))["outputs"])
        except (DurableError, OSError) as error:
            notes.append(f"durable_nb: the outputs of this cell are gone: {error}")
            return ()

    def _step_back(self, before: int) -> list[str]:
        newest = self.catch_up.version if self.catch_up else before
        self._move(before)
        return [
            f"durable_nb: this cell differs from the recorded one and runs on the state before it (v{before}); "
            f"what came after is kept: %recover v{newest}"
        ]

    def _move(self, version: int, *, keep: Iterable[str] = ()) -> None:
        """Make a recorded state live without a report, as catch-up does."""
        history = self.repository.history(self.execution)
        points = [c for c in history.checkpoints().values() if c.version == version]
        target, todo, staged, _ = recovery.stage(
            self.repository, history, points, self.capture, only=None, keep=keep
        )
        restore.swap(staged, todo, self.capture)
        self._stand_at(target)

    def _forward(self, recorded: resume.RecordedCell) -> None:
        """After a cell ran again only for what could not be kept: put back what was."""
        history = self.repository.history(self.execution)
        target = recovery.open_target(self.repository, history, recorded.version)
        missing = {n for n, d in target.state.items() if target.manifests[d].unsaved is not None}
        self.capture.forget(list(self.capture.live))
        self._move(recorded.version, keep=missing)

    def _stand_at(self, target: recovery.Target) -> None:
        """The live state is that of a checkpoint now: the next one is its child."""
        if self._saver is not None:
            self._saver.drain()
        contents = target.contents()
        for name, live in self.capture.live.items():
            live.content_digest = live.content_digest or contents.get(name, "")
        self.version = target.version
        if self._writer is not None:
            self._writer.set_state(target.version, target.state, contents)

    def _bring(self, history: History) -> None:
        """Continue an execution without loading its state: the writer stands at its newest checkpoint."""
        for point in recovery.newest(history):
            try:
                self._stand_at(recovery.open_target(self.repository, history, point.version))
            except (DurableError, OSError):
                continue
            return

    def _reuse(self, cell: Cell, notes: list[str]) -> Arrival | None:
        """After catch-up: put a node back as of its completion, when it comes up for the first time."""
        if not self.recovered or cell.node in self.seen_nodes:
            return None
        self._settle_failures()
        history = self.repository.history(self.execution)
        attempts = [
            r for r in reversed(history.records)
            if r.kind == "node" and r.body["attempt"]["node"] == cell.node
        ]  # fmt: skip
        live = {name: live.digest for name, live in self.capture.live.items()}
        reasons = []
        for record in attempts:
            why = resume.why_stale(record.body["attempt"], cell.digest, live)
            if why is None:
                return self._bring_node(cell, history, record.number, notes)
            reasons.append(why)
        if reasons:
            notes.append(f"durable_nb: `{cell.node}` runs again: {reasons[0]}")
        return None

    def _bring_node(self, cell: Cell, history: History, version: int, notes: list[str]) -> Arrival | None:
        record = next(r for r in history.records if r.number == version)
        names = [n for n in record.body["state"]["set"] if not is_pseudo(n)]
        try:
            result = self._go(
                history, [history.checkpoints()[version]], only=names, kind="reuse", extra={"node": cell.node}
            )
        except (DurableError, OSError) as error:
            notes.append(f"durable_nb: `{cell.node}` runs again: {error}")
            return None
        if result.failed or result.unsaved:
            notes.append(f"durable_nb: `{cell.node}` runs again: part of its result could not be put back")
            return None
        for name in record.body["state"]["del"]:
            self.space.pop(name, None)
        if cell.node:
            self.seen_nodes[cell.node] = cell.cell_id
        return Arrival(True, self._outputs(record.body.get("cell"), notes), tuple(notes))

    def _check_node(self, cell: Cell) -> None:
        if not cell.node:
            return
        before = self.seen_nodes.get(cell.node)
        if before is not None and cell.cell_id is not None and before != cell.cell_id:
            raise NodeError(
                f"two cells are named `{cell.node}` ({before} and {cell.cell_id}): give one of them another name"
            )
        if cell.after:
            done = self.finished_nodes()
            for name in cell.after:
                if name not in done:
                    raise NodeError(
                        f"`{cell.node}` waits for `{name}`, which is not finished: run `{name}` first"
                    )

    def finished_nodes(self) -> set[str]:
        """Nodes whose last attempt in this execution is completed."""
        if self._saver is not None:
            self._saver.drain()
        if not self.begun:
            return set()
        last: dict[str, str] = {}
        for record in self.repository.history(self.execution).records:
            attempt = record.body.get("attempt")
            if attempt and attempt["node"]:
                last[attempt["node"]] = attempt["status"]
        return {node for node, status in last.items() if status == NodeStatus.COMPLETED}

    # -- checkpoints and recovery --------------------------------------------------------------------

    def checkpoint(self, description: str = "", *, kind: str = "manual") -> Checkpoint:
        """Keep everything now, by hand: safe when it returns, and pinned."""
        ticket = self._snapshot(kind, {"description": description, "pinned": kind == "manual"})
        if ticket.error is not None or ticket.record is None:
            raise ticket.error or NotFoundError("the checkpoint was not made")
        history = self.repository.history(self.execution)
        return history.checkpoints()[ticket.record.number]

    def _snapshot(self, kind: str, body: Mapping[str, Any]) -> Ticket:
        with self._undisturbed() as shot_of:
            shot = shot_of(None, None)
            ticket = self._commit(kind, body, shot)
        self._announce(shot)
        ticket.wait(safe=True)
        return ticket

    def history(self, execution: str | None = None) -> History:
        """The log of this execution, or of the one that it continues, or of any."""
        if self._saver is not None:
            self._saver.drain()
        chosen = execution or (self.execution if self.begun else self.parent)
        if chosen is None:
            raise NotFoundError("nothing was kept of this notebook yet")
        return self.repository.history(chosen)

    def recover(
        self,
        wanted: str | int | None = None,
        *,
        only: Iterable[str] | None = None,
        plan: bool = False,
        execution: str | None = None,
        force: bool = False,
    ) -> RecoveryResult:
        """Make an earlier state live again. Never runs code.

        Args:
            wanted: node, version, id prefix; None for the newest checkpoint.
            only: bring back only these variables and what belongs to them.
            plan: only say what would happen.
            execution: of another run of a notebook in this store.
            force: take an execution over although its owner may be alive.

        Raises:
            NotFoundError: no such checkpoint. UntrustedError: it is somebody else's.
        """
        history = self._past(execution, force=force, plan=plan)
        points = recovery.choose(history, wanted)
        if not points:
            raise NotFoundError("nothing was kept of this notebook yet")
        if plan:
            return self._planned(history, points[0], only)
        if self.begun and self._worth_keeping():
            self._snapshot("safety", {"description": "before %recover"})
        before = self.version
        result = self._go(history, points, only=only, kind="rollback", extra={"from": before})
        self._before_rollback = before
        if self.catch_up is not None:
            self.catch_up.active = False
        return result

    def _past(self, execution: str | None, *, force: bool, plan: bool) -> History:
        if execution is None or (self.begun and execution == self.execution):
            history = self.history()
            if history.records or self.parent is None:
                return history
            return self.repository.history(self.parent)
        matches = [e for e in self.repository.executions() if e.id.startswith(execution)]
        if len(matches) != 1:
            raise NotFoundError(f"no execution `{execution}`; `%durable list` shows them")
        other = matches[0]
        if other.status is ExecutionStatus.RUNNING and not (force or plan):
            raise RefusedError(
                f"execution {other.id} is running in process {other.owner.pid if other.owner else '?'}; "
                "--force takes it over, and that kernel is refused from then on"
            )
        if not plan and other.trusted and not self.begun and other.status is not ExecutionStatus.COMPLETED:
            self.recovered = True
            return self._own(other.id)
        if not plan and force and other.trusted:
            self.new()
            return self._own(other.id)
        return self.repository.history(other.id)

    def _worth_keeping(self) -> bool:
        self._settle_failures()
        return bool(self.capture.live) or any(True for _ in self.capture.visible())

    def undo(self) -> RecoveryResult:
        """Go back to where the last `%recover` started.

        Raises:
            NotFoundError: there was none in this kernel.
        """
        if self._before_rollback is None:
            raise NotFoundError("there is no %recover to undo in this kernel")
        return self.recover(self._before_rollback)

    def _planned(self, history: History, point: Checkpoint, only: Iterable[str] | None) -> RecoveryResult:
        target = recovery.open_target(self.repository, history, point.version)
        todo = restore.plan(target.state, target.manifests, self.capture, only=only)
        return self._result(history, target.version, todo, restore.Outcome(
            restored=sorted(n for n in todo.load if not is_pseudo(n)), deleted=list(todo.delete)
        ), planned=True)  # fmt: skip

    def _go(
        self,
        history: History,
        points: list[Checkpoint],
        *,
        only: Iterable[str] | None = None,
        keep: Iterable[str] = (),
        kind: str,
        lost: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> RecoveryResult:
        """Stage, swap in, and record that the state is another one now."""
        self._settle_failures()
        names = list(only) if only is not None else None
        if names is not None:
            state = history.state(points[0].version)
            if missing := [n for n in names if n not in state and n not in self.capture.live]:
                raise NotFoundError(f"v{points[0].version} has no variable `{missing[0]}`")
        target, todo, staged, passed = recovery.stage(
            self.repository, history, points, self.capture, only=names, keep=keep
        )
        before = dict(self._live_digests())
        outcome = restore.swap(staged, todo, self.capture)
        ours = history.execution == self.execution and self.begun
        if names is None and ours:
            base: Mapping[str, str] = target.state
            self._stand_at(target)
        else:
            base = before
            contents = target.contents()
            for name in staged.loaded:
                self.capture.live[name].content_digest = contents[name]
        now = self._live_digests()
        assign = {n: d for n, d in now.items() if base.get(n) != d}
        self._deleted = {n for n in base if n not in now}
        body: dict[str, Any] = {kind: {"to": target.version, "execution": history.execution, **(extra or {})}}
        if names is None and kind != "reuse":
            body["description"] = f"{kind} to v{target.version}"
        ticket = self._commit(kind, body, Snapshot(), assign=assign)
        ticket.wait()
        self._unseen = "the state was recovered"
        return self._result(history, target.version, todo, outcome, passed=passed, lost=lost)

    def _live_digests(self) -> dict[str, str]:
        return {name: live.digest for name, live in self.capture.live.items() if live.digest}

    def _result(
        self,
        history: History,
        version: int,
        todo: restore.Plan,
        outcome: restore.Outcome,
        *,
        passed: Iterable[str] = (),
        lost: str | None = None,
        planned: bool = False,
    ) -> RecoveryResult:
        point = history.checkpoints()[version]
        count = len(outcome.restored)
        verb = "would bring back" if planned else "brought back"
        message = f"{verb} {count} variable{'' if count == 1 else 's'} of v{version}"
        if outcome.failed:
            message += f", {len(outcome.failed)} could not be loaded"
        return RecoveryResult(
            ok=bool(outcome.restored or outcome.deleted or todo.same or not outcome.failed),
            message=message,
            execution=history.execution,
            version=version,
            restored=tuple(outcome.restored),
            same=tuple(sorted(n for n in todo.same if not is_pseudo(n))),
            deleted=tuple(sorted(outcome.deleted)),
            unsaved=dict(todo.unsaved),
            failed=dict(outcome.failed),
            yours=todo.yours,
            widened=todo.widened,
            lost=lost,
            passed_over=tuple(passed),
            saved_seconds=recovery.seconds_of(history, version),
            age=max(0.0, time.time() - point.time),
            bytes=todo.bytes,
            planned=planned,
        )

    def _record_lost(self, dead: Mapping[str, Any]) -> None:
        """The attempt that the kernel died in is lost: said once, in the log."""
        assert self._writer is not None
        attempt = {
            "n": dead["n"], "node": dead.get("node"), "label": dead["label"], "source": dead.get("source", ""),
            "status": str(lifecycle.move(lifecycle.NODE_MOVES, NodeStatus.STARTED, NodeStatus.LOST)),
            "started": dead.get("started", 0.0),
            "seconds": 0.0, "inputs": {}, "setup": False, "after": [], "unsaved": [], "scan": "", "cell_id": None,
        }  # fmt: skip
        self._writer.commit(Draft(kind="lost", body={"attempt": attempt}, has_state=False))

    def resolve(self, wanted: str) -> int:
        """The version that a person means by vN, a node's name or an id's prefix."""
        return recovery.choose(self.history(), wanted)[0].version

    def last_ticket(self) -> Ticket | None:
        """The newest commit that was handed to the writer."""
        return self._saver.last if self._saver else None

    def settle(self) -> None:
        """Wait until nothing is on its way to the disk."""
        if self._saver is not None:
            self._saver.drain(safe=True)
        self._settle_failures()

    def not_kept(self) -> list[str]:
        """Variables that are live and not kept, by reason or by name."""
        refused = [f"{n} ({live.unsaved})" for n, live in self.capture.live.items() if live.unsaved]
        out = [f"{n} (by its name)" for n in self._all_names() if self.policy.excluded(n, self.ignored)]
        return sorted(refused) + sorted(out)

    def rerun(self, node: str) -> None:
        """Run a finished node again when it comes up next, instead of putting it back.

        Raises:
            NotFoundError: there is no such node.
        """
        known = {r.body["attempt"]["node"] for r in self.history().records if r.body.get("attempt")}
        if node not in known:
            raise NotFoundError(
                f"no node `{node}`; there is {', '.join(sorted(n for n in known if n)) or 'none'}"
            )
        self._must_run.add(node)

    def clear(self) -> int:
        """Remove every execution of this notebook from the store; returns the bytes given back.

        Raises:
            RefusedError: another kernel runs one of them.
        """
        mine = [
            e for e in self.repository.executions()
            if e.id == self.execution or (self.notebook and e.notebook == str(self.notebook))
        ]  # fmt: skip
        for execution in mine:
            if execution.status is ExecutionStatus.RUNNING and execution.id != self.execution:
                raise RefusedError(
                    f"execution {execution.id} is running in another kernel: shut that down first"
                )
        self.new()
        self.parent = None
        return self.repository.remove([e.id for e in mine])

    # -- housekeeping -------------------------------------------------------------------------------

    def new(self) -> None:
        """Begin a new execution whose parent is this one; the variables stay as they are."""
        before = self.execution if self.begun else self.parent
        self.close()
        self.execution, self.parent = uuid4().hex[:12], before
        self._saver = None
        self.version = None
        self.recovered = False
        self.catch_up = None
        self.enabled = self.settings.enabled
        self.seen_nodes.clear()
        self.capture.forget(list(self.capture.live))
        self._failed.clear()
        self._unseen = "it is the first checkpoint"

    def pin(self, version: int, *, pinned: bool) -> None:
        """Pin a checkpoint (it is never removed by itself), or unpin it."""
        self._note({"pin" if pinned else "unpin": [version]})

    def delete(self, version: int, *, force: bool = False) -> None:
        """Remove a checkpoint; its bytes go with the next collection.

        Raises:
            RefusedError: it is the one that the notebook stands on, or pinned and not forced.
        """
        points = {c.version: c for c in self.history().checkpoints().values() if not c.retired}
        if version not in points:
            raise NotFoundError(f"no checkpoint v{version}")
        if version == self.version or len(recovery.newest(self.history())) == 1:
            raise RefusedError(
                f"v{version} is what a crash now would be recovered from: make another checkpoint first"
            )
        if points[version].pinned and not force:
            raise RefusedError(f"v{version} is pinned: unpin it, or say --force")
        self._note({"retire": [version]})

    def forget(self, names: Iterable[str]) -> list[str]:
        """Remove variables from all history, with what shares objects with them and the cells that name them.

        Returns the names of other variables whose history goes with them.
        """
        wanted = set(names)
        self.ignored |= wanted
        self._settle_failures()
        history = self.history()
        manifests: dict[str, Component] = {}
        for point in history.checkpoints().values():
            try:
                state = history.state(point.version)
            except (DurableError, OSError):
                continue
            manifests.update(self.repository.components({d for n, d in state.items() if n in wanted}))
        cells = [
            record.body["cell"]
            for record in history.records
            if record.body.get("cell") and self._mentions(record.body["cell"], wanted)
        ]
        with_them = sorted({n for m in manifests.values() for n in m.names} - wanted)
        self.capture.forget(n for n in (*wanted, *with_them) if n in self.capture.live)
        self._note({"forget": {"names": sorted(wanted), "manifests": sorted(manifests), "cells": cells}})
        self._snapshot("safety", {"description": f"after forgetting {', '.join(sorted(wanted))}"})
        return with_them

    def _mentions(self, digest: str, names: set[str]) -> bool:
        try:
            text = json.loads(self.repository.cell(digest))["source"]
        except (DurableError, OSError):
            return False
        return any(name in text for name in names)

    def _note(self, body: Mapping[str, Any]) -> None:
        """Commit a record that is no checkpoint."""
        writer = self._begin()
        if self._saver is not None:
            self._saver.drain()
        writer.commit(Draft(kind="note", body=dict(body), has_state=False))
        writer.safe()


def _pending(live: Live) -> PendingComponent:
    return PendingComponent(
        names=live.names,
        types=live.types,
        python=live.python,
        inline=live.inline,
        stream=live.stream,
        buffers=live.buffers,
        reaches=live.reaches,
        unsaved=live.unsaved,
    )
