"""What happens when a notebook is opened: its past is found, and taken up where it was lost."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from durable_nb.engine import death, lifecycle, resume
from durable_nb.engine import target as targets
from durable_nb.engine.attempts import Attempts
from durable_nb.engine.death import Death
from durable_nb.engine.keeper import Keeper
from durable_nb.engine.nodes import Node
from durable_nb.engine.recovery import Recovery
from durable_nb.errors import DurableError, FencedError
from durable_nb.model import Execution, ExecutionStatus, Liveness, NodeStatus, RecoveryResult
from durable_nb.store.log import History
from durable_nb.store.owner import current_owner

READ_RATE = 500e6
"""Bytes per second that a recovery is expected to load, for deciding whether to do it unasked."""

UNASKED_SECONDS = 5.0
"""A recovery expected to take longer is offered, not done."""


@dataclass(slots=True)
class Opening:
    """What was found when the session began."""

    notes: list[str] = field(default_factory=list)
    result: RecoveryResult | None = None
    catch_up: resume.CatchUp | None = None
    offered: bool = False
    """the variables were not brought back unasked: `catch_up` begins when the user does that"""
    death: Death | None = None
    """of the kernel that lost it"""
    recovered: bool = False
    """whether this kernel continues an execution that was lost"""


class Past:
    """The executions that a notebook may continue."""

    def __init__(self, keeper: Keeper, recovery: Recovery, attempts: Attempts) -> None:
        self.keeper = keeper
        self.recovery = recovery
        self.attempts = attempts
        self.candidates: list[Execution] = []
        """runs that began with the same cell, newest first, for a notebook that does not know its path"""
        self._load_cell: str | None = None
        self._bound: set[str] = set()

    def open(self, bound: Iterable[str], load_cell: str | None) -> Opening:
        """Find this notebook's past, and take up an execution that was lost.

        Args:
            bound: names that the user bound before; they are not overwritten.
            load_cell: digest of the source of the cell that loads the extension.
        """
        self._load_cell = load_cell
        self._bound = set(bound)
        opening = Opening()
        keeper = self.keeper
        if keeper.notebook is None:
            if keeper.settings.resume:
                self.candidates = self._adoptable()
            return opening
        opening.notes.extend(keeper.repository.vanished(str(keeper.notebook)))
        keeper.repository.forget_vanished(str(keeper.notebook))
        past = [e for e in keeper.repository.executions() if e.notebook == str(keeper.notebook)]
        mine = [e for e in past if e.trusted]
        if past and not past[0].trusted:
            self._look_at(past[0], opening, set(bound))
        if mine:
            self._look_at(mine[0], opening, set(bound))
        for older in mine[1:]:
            lost = older.status is ExecutionStatus.INTERRUPTED and older.liveness is Liveness.DEAD
            if lost and older.head and not opening.recovered:
                opening.notes.append(
                    f"execution {older.id} of this notebook was lost too: `%recover --execution {older.id}`"
                )
                break
        return opening

    def _look_at(self, last: Execution, opening: Opening, bound: set[str]) -> None:
        opening.notes.extend(p for p in last.problems if p.startswith("rolled back"))
        if not last.trusted:
            key = self.keeper.repository.signer.key_path
            opening.notes.append(
                f"execution {last.id} of this notebook was not signed with your key ({key}): "
                f"nothing of it is loaded; `%durable trust {last.id}` shows who wrote it"
            )
        elif last.running and last.owner == current_owner():
            self._take_up(last, opening, bound)  # loading was interrupted in this very process
        elif last.running:
            process = last.owner.pid if last.owner else "?"
            opening.notes.append(
                f"another kernel (process {process}) runs this notebook: "
                "this one begins an execution of its own"
            )
        elif last.status is ExecutionStatus.INTERRUPTED and last.liveness is Liveness.UNKNOWN:
            opening.notes.append(
                f"execution {last.id} was begun on another machine or in another container, "
                f"and may be running: `%recover --execution {last.id}` takes it over"
            )
        elif last.status is ExecutionStatus.INTERRUPTED and self.keeper.settings.auto_recovery == "off":
            self.keeper.parent = last.id
            opening.notes.append("the last run of this notebook was lost; %recover brings its state back")
        elif last.status is ExecutionStatus.INTERRUPTED:
            self._take_up(last, opening, bound)
        else:
            self.keeper.parent = last.id
            if last.head:
                opening.notes.append(
                    "the last run of this notebook ended in order; %recover brings its state back"
                )

    def _take_up(self, lost: Execution, opening: Opening, bound: set[str]) -> None:
        lifecycle.move(lifecycle.EXECUTION_MOVES, ExecutionStatus.INTERRUPTED, ExecutionStatus.RECOVERING)
        try:
            history = self.keeper.own(lost.id)
            dead = targets.lost_attempt(history, history.epoch - 1)
            opening.death = death.of(history, lost.owner, dead)
            opening.recovered = True
            self._bring_back(history, opening, bound)
        except FencedError:
            opening.notes.append("another kernel has just taken this notebook's execution over")
            self.keeper.abandon()
        except (DurableError, OSError) as error:
            opening.recovered = False
            opening.notes.append(
                f"execution {lost.id} was lost and cannot be recovered: {targets.explain(error)}; "
                "this kernel begins an execution of its own (`%durable verify` tells more)"
            )
            self.keeper.abandon()

    def _bring_back(self, history: History, opening: Opening, bound: set[str]) -> None:
        dead = self._record_lost(history, opening)
        points = targets.newest(history)
        if not points:
            return
        newest = targets.first_readable(self.keeper.repository, history, points)
        offer = self._why_offered(points[0].version, newest)
        if offer is None:
            with self.recovery.counted(history):
                opening.result = self.recovery.go(
                    history, points, keep=bound, kind="recovery", lost=dead, opened=newest
                )
            opening.catch_up = self._catch_up(history, opening.result.version, opening.result.failed)
        else:
            opening.offered = True
            opening.notes.append(offer)
            self.recovery.offered = points[0].version
            opening.catch_up = self._catch_up(history, points[0].version, ())

    def _why_offered(self, version: int, newest: targets.Target | None) -> str | None:
        """Why the variables are not brought back unasked; None where they are."""
        if self.keeper.settings.auto_recovery == "ask":
            return f"v{version} was kept before the kernel died: %recover brings it back"
        import psutil

        size = newest.size if newest is not None else 0
        if size > psutil.virtual_memory().available / 2 or size / READ_RATE > UNASKED_SECONDS:
            return f"{size / 1e9:.1f} GB of variables can be brought back (v{version}): run %recover"
        return None

    def _catch_up(
        self, history: History, version: int | None, failed: Collection[str]
    ) -> resume.CatchUp | None:
        if version is None:
            return None
        cells = resume.recorded_cells(history, version, failed)
        first = int(bool(cells) and self._load_cell is not None and cells[0].source == self._load_cell)
        return resume.CatchUp(cells, version, at=first)

    def _record_lost(self, history: History, opening: Opening) -> str | None:
        """The attempts that a kernel died in are lost: said once, in the log. Returns what the last one was.

        A node that was lost too often is quarantined.
        """
        dead = targets.lost_attempts(history)
        for attempt in dead:
            self._record_one(attempt, opening)
        # The kernel before may have died between the two records.
        for node in list(self.keeper.nodes.by_name.values()):
            self._quarantine(node, opening)
        return str(dead[-1]["label"]) if dead else None

    def _record_one(self, dead: Mapping[str, Any], opening: Opening) -> None:
        keeper = self.keeper
        status = lifecycle.move(lifecycle.ATTEMPT_MOVES, NodeStatus.STARTED, NodeStatus.LOST)
        name, started = dead.get("node"), dead.get("started", 0.0)
        attempt = resume.attempt(
            n=dead["n"], node=name, label=dead["label"], source=dead.get("source", ""), status=status,
            started=started,
        )  # fmt: skip
        copied = ("run", "try", "began", "effects", "details", "epoch")
        attempt |= {key: dead[key] for key in copied if key in dead}
        attempt["lost"] = dead.get("lost", 0) + 1
        attempt["next"] = started + keeper.settings.recovery_delay
        keeper.note("lost", {"attempt": attempt, "node": name, "cell": dead.get("cell")})
        if name:
            self._quarantine(keeper.nodes[name], opening)

    def _quarantine(self, node: Node, opening: Opening) -> None:
        if node.status is not NodeStatus.LOST or node.lost < self.keeper.settings.recovery_max_attempts:
            return
        times = f"{node.lost} times" if node.lost > 1 else "once"
        why = f"the kernel died {times} while it ran"
        self.attempts.mark(node.name, NodeStatus.QUARANTINED, why)
        opening.notes.append(
            f"`{node.name}` is in quarantine: {why}; the others go on, "
            f"`%durable release {node.name}` lets it run"
        )

    def _adoptable(self) -> list[Execution]:
        """Ended runs of the last `resume_window` seconds that began with the same cell, newest first."""
        oldest = time.time() - self.keeper.settings.resume_window
        return [
            execution
            for execution in self.keeper.repository.executions()
            if execution.trusted
            and execution.updated >= oldest
            and not execution.running
            and execution.liveness is not Liveness.UNKNOWN
            and self._begins(execution, [self._load_cell])
        ]

    def _begins(self, execution: Execution, sources: list[str | None]) -> bool:
        history = self.keeper.repository.history(execution.id)
        points = targets.newest(history)
        cells = resume.recorded_cells(history, points[0].version) if points else []
        wanted = [s for s in sources if s is not None]
        return bool(cells) and [c.source for c in cells[: len(wanted)]] == wanted[: len(cells)]

    def adopt(self, source: str) -> Opening:
        """At the first cell after the load: continue the newest unfinished run that has this cell next."""
        opening = Opening()
        candidates, self.candidates = self.candidates, []
        for execution in candidates:
            if not self._begins(execution, [self._load_cell, source]):
                continue
            if execution.status is ExecutionStatus.COMPLETED:
                break  # what is older was made good by it
            self._take_up_again(execution, opening)
            if opening.recovered:
                break
        return opening

    def _differing(self, execution: Execution) -> list[str]:
        """Names bound before the load (parameters, say) that had another value when that run began."""
        if not self._bound:
            return []
        keeper = self.keeper
        history = keeper.repository.history(execution.id)
        first = min(history.checkpoints())
        began = targets.open_target(keeper.repository, history, first)
        keeper.capture.settle_for(keeper.capture.take(), began.state, began.manifests)
        known = [n for n in self._bound if n in began.state]
        differs = [n for n in known if n not in keeper.capture.live or not keeper.capture.live[n].digest]
        keeper.capture.reset()
        return sorted(differs)

    def _take_up_again(self, execution: Execution, opening: Opening) -> None:
        lifecycle.move(lifecycle.EXECUTION_MOVES, execution.status, ExecutionStatus.RECOVERING)
        differs = self._differing(execution)
        if differs:
            opening.notes.append(
                f"the run {execution.id} is not continued: `{differs[0]}` had another value when it began"
            )
            return
        try:
            history = self.keeper.own(execution.id)
            dead = self._record_lost(history, opening)
            points = targets.newest(history)
            with self.recovery.counted(history):
                opening.result = self.recovery.go(history, points, kind="recovery", lost=dead)
        except (DurableError, OSError) as error:
            opening.notes.append(f"the run {execution.id} cannot be continued: {targets.explain(error)}")
            self.keeper.abandon()
            return
        opening.recovered = True
        opening.catch_up = self._catch_up(history, opening.result.version, opening.result.failed)
        done = len(opening.catch_up.cells) if opening.catch_up else 0
        age = time.time() - execution.updated
        opening.notes.append(
            f"continues the run {execution.id}, which ended {age:,.0f} s ago after {done} finished cells"
        )
