"""One notebook's execution in this process: cells arrive, run or are put back, and are kept."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from durable_nb.config import Settings
from durable_nb.engine import housekeeping, progress, resume, staleness
from durable_nb.engine import target as targets
from durable_nb.engine.attempts import Attempt, Attempts
from durable_nb.engine.cell import Cell
from durable_nb.engine.following import Following
from durable_nb.engine.guard import Guard
from durable_nb.engine.keeper import Keeper
from durable_nb.engine.manual import Manual
from durable_nb.engine.nodes import Nodes
from durable_nb.engine.opening import Opening, Past
from durable_nb.engine.recompute import Plan, Recompute
from durable_nb.engine.recovery import Recovery
from durable_nb.engine.reuse import Reuse
from durable_nb.engine.saver import Ticket
from durable_nb.errors import (
    DurableError,
    FencedError,
    NodeError,
    NotFoundError,
    RefusedError,
    StoreError,
)
from durable_nb.model import Checkpoint, ExecutionStatus, NodeStatus, Record, RecoveryResult, canonical
from durable_nb.state import access
from durable_nb.state.pickling import Namespace
from durable_nb.store.log import History
from durable_nb.store.repository import Repository


@dataclass(frozen=True, slots=True)
class Arrival:
    """What becomes of a cell that is about to run."""

    put_back: bool = False
    outputs: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    error: DurableError | None = None
    guard: Guard | None = None
    """to run the body in: it begins the attempts"""


class Session:
    """The execution of one notebook.

    The arguments are those of `Keeper`; `sources` gives the nodes of the notebook's file, in order, with the
    digests of their sources, where it can be read.
    """

    def __init__(
        self,
        repository: Repository,
        space: Namespace,
        visible: Callable[[], list[str]],
        settings: Settings,
        notebook: Path | None,
        say: Callable[[str], None],
        sources: Callable[[], Mapping[str, str] | None] = lambda: None,
    ) -> None:
        self.keeper = Keeper(repository, space, visible, settings, notebook, say)
        self.recovery = Recovery(self.keeper)
        self.attempts = Attempts(self.keeper, self.recovery)
        self.past = Past(self.keeper, self.recovery, self.attempts)
        self.manual = Manual(self.keeper, self.recovery, self.attempts, sources)
        self.recomputing: Recompute | None = None
        """makes again what could not be kept, where there is a shell that runs cells"""
        self.reuse = Reuse(self.keeper, self.recovery)
        self.topics = progress.Topics(say)
        self.keeper.listeners.append(self._publish)
        self.attempts.on_begin = self._publish_start
        self.saved = 0.0
        """seconds of run time that this kernel need not spend again"""
        self._sources = sources
        self._past_seconds: tuple[str | None, Mapping[str, float]] = (None, {})
        self.following = Following(self.keeper, self.recovery)
        self.catch_up: resume.CatchUp | None = None
        self.recovered = False
        """whether this kernel continues an execution that was lost"""
        self.seen_nodes: dict[str, str | None] = {}
        """nodes that came up in this kernel, with the cell's id"""
        self._preface: Cell | None = None
        self._offered: resume.CatchUp | None = None
        self._last_status = NodeStatus.COMPLETED
        self._resumed = False

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
        running = self.attempts.running
        return running is not None and running.node is not None

    def open(self, bound: Iterable[str] = (), load_cell: str | None = None) -> Opening:
        """Find this notebook's past, and take up an execution that was lost (see `Past.open`)."""
        return self._opened(self.past.open(bound, load_cell))

    def _opened(self, opening: Opening) -> Opening:
        self.recovered = self.recovered or opening.recovered
        if opening.recovered and opening.result is not None:
            self.saved += opening.result.saved_seconds
        if opening.offered:
            self._offered = opening.catch_up
        else:
            self.catch_up = opening.catch_up or self.catch_up
        self.following.yours = opening.result.yours if opening.result is not None else ()
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

    def arrive(self, cell: Cell, *, resumed: bool = False) -> Arrival:
        """A cell is about to run: put it back, refuse it, or note that it starts.

        `resumed`: it does not come from the notebook; `%durable resume` runs it from the log.
        """
        self.attempts.running = self.attempts.guard = None
        self.keeper.forget_inputs()
        self._resumed = resumed
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
            decided = self.manual.decided(cell)
            if decided is not None:
                return self._put_back(cell, None, [*notes, decided])
            return self._at_once(cell, notes)
        except NodeError as error:
            self._last_status = NodeStatus.FAILED
            return Arrival(notes=tuple(notes), error=error)

    def _at_once(self, cell: Cell, notes: list[str]) -> Arrival:
        """Interrupted, it has not arrived: catch-up stands where it stood."""
        known = self.catch_up
        stood = None if known is None else (known.at, known.active)
        try:
            return self._arrived(cell, notes)
        except KeyboardInterrupt:
            if known is not None and stood is not None:
                known.at, known.active = stood
            raise

    def _arrived(self, cell: Cell, notes: list[str]) -> Arrival:
        forced = self.manual.is_forced(cell)
        answer = self._answer(cell, forced=forced)
        rerun: resume.RecordedCell | None = None
        try:
            if answer.cell is not None and answer.verdict is not resume.Verdict.RERUN:
                if self.following.follow(self.catch_up, cell, answer.cell, notes):
                    return self._put_back(cell, answer.cell.cell, notes)
                answer = resume.Answer(resume.Verdict.RUN)
            elif answer.cell is not None:
                rerun = answer.cell
                self.manual.may_repeat(cell, "what it made cannot be kept, so it would have to run again")
            if answer.before is not None:
                self.following.step_back(self.catch_up, answer.before, notes, told=rerun is None)
        except NodeError:
            raise
        except (DurableError, OSError) as error:
            return self._stuck(error, notes)
        if cell.node:
            first = self.recovered and cell.node not in self.seen_nodes
            reused = None if rerun or forced else self.reuse.of(cell, notes, first=first)
            if reused is not None:
                return self._put_back(cell, reused.cell, notes)
            self.manual.may_start(cell, first=first)
            self.seen_nodes[cell.node] = cell.cell_id
            self.manual.starts(cell.node)
        self._offered = None if not cell.setup else self._offered
        return self._start(cell, rerun, notes)

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
        if self.catch_up is None or self._resumed:
            return resume.Answer(resume.Verdict.RUN)
        return self.catch_up.arrive("" if forced else cell.digest, setup=cell.setup)

    def _start(self, cell: Cell, rerun: resume.RecordedCell | None, notes: list[str]) -> Arrival:
        """Keep the intent before any of the user's code runs."""
        self._keep_preface()

        def begin() -> None:
            try:
                self.attempts.begin(cell, rerun)
            except FencedError as error:
                self.keeper.refused(error)
            except (DurableError, OSError) as error:
                # In a guard this is the user's cell: it runs all the same.
                self.keeper.say(f"durable_nb: this cell is not recorded: {targets.explain(error)}")
                self.note_unseen("a cell was not recorded")

        waits = cell.node is not None and self.keeper.nodes[cell.node].next_at > time.time()
        if cell.guardable and cell.options is not None and (cell.options.guarded or waits):
            self.attempts.guard = Guard(self.attempts, cell.options, begin)
        else:
            begin()
        return Arrival(notes=tuple(notes), guard=self.attempts.guard)

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

    def finish(
        self,
        status: NodeStatus,
        outputs: Iterable[Mapping[str, Any]] = (),
        error: BaseException | None = None,
    ) -> Ticket | None:
        """The cell has run: keep what it changed, its outputs and its status in one commit."""
        attempts, keeper = self.attempts, self.keeper
        attempt, guard = attempts.running, attempts.guard
        attempts.running = attempts.guard = None
        if not keeper.enabled:
            return None
        self._last_status = status
        if attempt is None or attempt.ended:
            if guard is not None:
                guard.given_up()
            return None
        done = status is NodeStatus.COMPLETED
        if attempt.fenced:
            status, done = NodeStatus.INTERRUPTED, False
            keeper.say(
                f"durable_nb: the state was moved while `{attempt.cell.label}` ran: "
                "it does not count as finished"
            )
        if attempt.rerun is not None and done:
            self.following.forward(self.catch_up, attempt.rerun, attempt.access)
            keeper.nodes.again(attempt.cell.node)
            keeper.begin().intent({"over": attempt.number, "status": str(NodeStatus.COMPLETED)})
            return None
        if self.catch_up is not None and self.catch_up.active:
            if attempt.rerun is not None:
                self.catch_up.active = False  # what comes after was recorded on what is missing now
            elif attempt.cell.setup:
                self.note_unseen("imports ran during catch-up")
                keeper.begin().intent({"over": attempt.number, "status": str(NodeStatus.COMPLETED)})
                return None
        try:
            ticket = attempts.commit(attempt, status, outputs, error)
        except BaseException:  # an interrupt too: it goes on from here
            attempts.not_kept(attempt)
            raise
        if self._resumed and self.catch_up is not None and self.catch_up.active:
            self.following.went_on(self.catch_up, ticket, done=done)
        return ticket

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

    def _check_node(self, cell: Cell) -> None:
        if not cell.node:
            return
        before = self.seen_nodes.get(cell.node)
        if before is not None and cell.cell_id is not None and before != cell.cell_id:
            raise NodeError(
                f"two cells are named `{cell.node}` ({before} and {cell.cell_id}): "
                "give one of them another name, or `%durable rerun` it if the other one is gone"
            )
        after = cell.options.after if cell.options else ()
        done = self.finished_nodes() if after else set()
        for name in after:
            if name not in done:
                raise NodeError(
                    f"`{cell.node}` waits for `{name}`, which is not finished: run `{name}` first"
                )

    def finished_nodes(self) -> set[str]:
        """Nodes of this execution of which nothing is left to do."""
        self.keeper.drain()
        return self.keeper.nodes.finished()

    def sources(self) -> Mapping[str, str] | None:
        """The nodes of the notebook's file, in order, with the digests of their sources; None: not known."""
        return self._sources()

    def summary(self) -> progress.Summary:
        """How far the notebook is; from any thread."""
        keeper = self.keeper
        keeper.wait()
        sources = self._sources()
        status = ExecutionStatus.PAUSED if keeper.nodes.paused else ExecutionStatus.RUNNING
        updated = keeper.repository.history(keeper.execution).updated if keeper.begun else time.time()
        return progress.summarise(
            keeper.execution, str(status), keeper.nodes, past=self._seconds_before(),
            names=None if sources is None else tuple(sources),
            saved=self.saved, now=time.time(), updated=updated,
        )  # fmt: skip

    def stale(self) -> dict[str, str]:
        """Name -> why, of every finished node that would not be put back now."""
        if not self.keeper.begun:
            return {}
        self.keeper.drain()
        self.keeper.forget_inputs()
        history = self.repository.history(self.keeper.execution)
        return staleness.stale(history, self.keeper.input_digests, self._sources() or {})

    def _seconds_before(self) -> Mapping[str, float]:
        """Run time of each node in the execution before this one."""
        parent = self.keeper.parent
        if parent != self._past_seconds[0]:
            seconds: dict[str, float] = {}
            if parent is not None:
                with contextlib.suppress(DurableError, OSError):
                    before = Nodes(self.repository.history(parent).records)
                    seconds = {n.name: n.seconds for n in before.by_name.values() if n.version is not None}
            self._past_seconds = parent, seconds
        return self._past_seconds[1]

    def _publish(self, record: Record) -> None:
        if self.settings.progress_tracking:
            for event in progress.events_of(record):
                self.topics.publish(event)

    def _publish_start(self, attempt: Attempt) -> None:
        if attempt.node is not None and self.settings.progress_tracking:
            node = self.keeper.nodes[attempt.node.name]
            self.topics.publish(progress.start_of(self.keeper.execution, node))

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
        if not plan:
            self.attempts.fence()
        result = self.recovery.recover(wanted, only=only, plan=plan, execution=execution, force=force)
        if not plan:
            accepted = wanted is None and only is None and execution is None
            self.catch_up = self._offered if accepted else None
            self._offered = None
        return result

    def lost_values(self, result: RecoveryResult) -> Plan:
        """What it takes to make again the variables that a recovery could not bring back.

        Raises:
            RefusedError: there is no shell that could run cells.
        """
        if self.recomputing is None or result.version is None:
            raise RefusedError("cells cannot be run from here: load the extension in a notebook")
        history = self.repository.history(result.execution)
        return self.recomputing.plan(history, result.version, {**result.unsaved, **result.failed})

    def recompute(self, result: RecoveryResult, plan: Plan) -> dict[str, str]:
        """Run a plan of `lost_values`; returns name -> the cell that made it. Saved values stay."""
        assert self.recomputing is not None
        made = self.recomputing.run(self.repository.history(result.execution), plan)
        self.note_unseen("variables were made again")
        if made:
            names = ", ".join(sorted(made))
            self.keeper.checkpoint("recompute", {"description": f"made again: {names}"})
        return made

    def undo(self) -> RecoveryResult:
        """Go back to where the last `recover` started."""
        self.attempts.fence()
        return self.recovery.undo()

    def resolve(self, wanted: str) -> int:
        """The version that a person means by vN, a node's name or an id's prefix."""
        return targets.choose(self.history(), wanted)[0].version

    def failures(self, wanted: str) -> list[tuple[Record, Mapping[str, Any]]]:
        """The failed attempts of a node's newest run, or the one that a version or id is of, oldest first.

        Each with what is kept of it: `source`, `outputs`, `error` and perhaps `values` (see `failure`).

        Raises:
            NotFoundError: there is none.
        """
        history = self.history()
        try:
            return self._failures(history, wanted)
        except NotFoundError:
            if self.keeper.parent is None:
                raise
            return self._failures(self.repository.history(self.keeper.parent), wanted)

    def _failures(self, history: History, wanted: str) -> list[tuple[Record, Mapping[str, Any]]]:
        failed = [r for r in history.records if r.kind == targets.ERROR and r.body.get("cell")]
        mine = [r for r in failed if r.body.get("node") == wanted]
        if mine:
            run = mine[-1].body["attempt"].get("run")
            mine = [r for r in mine if r.body["attempt"].get("run") == run]
        else:
            version = targets.choose(history, wanted)[0].version
            mine = [r for r in failed if r.number == version]
        kept = [(r, json.loads(self.repository.cell(r.body["cell"]))) for r in mine]
        found = [(r, what) for r, what in kept if "error" in what]
        if not found:
            raise NotFoundError(f"`{wanted}` has no failed attempt that was kept")
        return found

    def settle(self) -> None:
        """Wait until nothing is on its way to the disk."""
        self.keeper.drain(safe=True)

    def pin(self, version: int, *, pinned: bool) -> None:
        """Pin a checkpoint, or unpin it."""
        housekeeping.pin(self.keeper, version, pinned=pinned)

    def describe(self, version: int, text: str) -> None:
        """Give a checkpoint another description (see `housekeeping.describe`)."""
        housekeeping.describe(self.keeper, version, text)

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
        """Run a node again when it comes up next, instead of putting it back (see `Manual.rerun`)."""
        self.manual.rerun(node)
        self.seen_nodes.pop(node, None)
