"""Recovery and rollback: make an earlier state live, and record it. Never runs code."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from durable_nb.engine import lineage, memory, resume
from durable_nb.engine import target as targets
from durable_nb.engine.keeper import Keeper
from durable_nb.errors import DurableError, NotFoundError, RefusedError
from durable_nb.model import Checkpoint, ExecutionStatus, RecoveryResult
from durable_nb.state import restore
from durable_nb.state.live import Live, Snapshot, is_pseudo
from durable_nb.store.log import History

_SHARE = 0.8
"""Of the memory that is left: what a recovery may load at once."""


class Recovery:
    """Moves the state that a keeper keeps."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self._before: int | None = None
        self._moved = False
        self.moves = 0
        """how often the state was moved"""
        self._avoid: dict[str, str] = {}
        self._told = False
        self.offered: int | None = None
        """the version that was found after a loss and not brought back unasked"""

    def reset(self) -> None:
        """Another execution begins: there is nothing to undo in it."""
        self._before, self._moved, self.offered = None, False, None

    def history(self) -> History:
        """The log of this execution; before it has begun, of the one that it follows. From any thread.

        Raises:
            NotFoundError: there is neither.
        """
        self.keeper.wait()
        chosen = self.keeper.execution if self.keeper.begun else self.keeper.parent
        if chosen is None:
            raise NotFoundError("nothing was kept of this notebook yet")
        return self.keeper.repository.history(chosen)

    def recover(
        self,
        wanted: str | int | None = None,
        *,
        only: Iterable[str] | None = None,
        plan: bool = False,
        execution: str | None = None,
        force: bool = False,
    ) -> RecoveryResult:
        """Make an earlier state live again.

        Args:
            wanted: node, version, id prefix; None for the newest checkpoint.
            only: bring back only these variables and what belongs to them.
            plan: only say what would happen.
            execution: of another run in this store.
            force: take that execution over although its owner may be alive.

        Raises:
            NotFoundError: no such checkpoint.
            UntrustedError: it is somebody else's.
            RefusedError: the execution's owner is alive.
        """
        if wanted is None and execution is None:
            wanted, self.offered = self.offered, self.offered if plan else None
        history = self._past(wanted, execution, force=force, plan=plan)
        try:
            points = targets.choose(history, wanted)
        except NotFoundError:
            if execution is not None or self.keeper.parent is None:
                raise
            history = self.keeper.repository.history(self.keeper.parent)
            points = targets.choose(history, wanted)
        if not points:
            raise NotFoundError("nothing was kept of this notebook yet")
        names = list(only) if only is not None else None
        if plan:
            return self._planned(history, points[0], names)
        keeper = self.keeper
        if keeper.version is not None or any(True for _ in keeper.capture.visible()):
            error = keeper.secure("before %recover")
            if error is not None:
                raise RefusedError(
                    f"what is live could not be kept first ({error}), so nothing was overwritten"
                )
            history = keeper.repository.history(history.execution)
        before = keeper.version
        result = self.go(history, points, only=names, kind="rollback", body={"from": before}, in_place=True)
        self._before, self._moved = before, True
        if only is None and result.version is not None and history.execution == keeper.execution:
            result = replace(result, left=resume.left_behind(history, before, result.version))
        return result

    def undo(self) -> RecoveryResult:
        """Go back to where the last `recover` started.

        Raises:
            NotFoundError: there was none in this kernel.
        """
        if self._before is None:
            raise NotFoundError("there is no %recover to undo in this kernel")
        return self.recover(self._before)

    def _past(self, wanted: str | int | None, execution: str | None, *, force: bool, plan: bool) -> History:
        keeper = self.keeper
        if execution is None or (keeper.begun and execution == keeper.execution):
            only_imports = all(t == "module" for x in keeper.capture.live.values() for t in _kinds(x))
            if keeper.parent is not None and wanted is None and not self._moved and only_imports:
                # This run has only begun: what a person wants back is the one before.
                return keeper.repository.history(keeper.parent)
            return self.history()
        matches = [e for e in keeper.repository.executions() if e.id.startswith(execution)]
        if len(matches) != 1:
            raise NotFoundError(f"no execution `{execution}`; `%durable list` shows them")
        other = matches[0]
        if other.id == keeper.execution:
            return self.history()
        if other.running and not (force or plan):
            process = other.owner.pid if other.owner else "?"
            raise RefusedError(
                f"execution {other.id} is running in process {process}; --force takes it over, "
                "and that kernel is refused from then on"
            )
        unfinished = other.status not in (ExecutionStatus.COMPLETED, ExecutionStatus.FAILED)
        if unfinished and other.trusted and not plan:
            if keeper.begun:
                keeper.close(str(ExecutionStatus.COMPLETED), 2.0)
                keeper.new()
            history = keeper.own(other.id)
            self.bring(history)
            return history
        return keeper.repository.history(other.id)

    def go(
        self,
        history: History,
        points: list[Checkpoint],
        *,
        only: list[str] | None = None,
        keep: Iterable[str] = (),
        kind: str,
        lost: str | None = None,
        body: Mapping[str, Any] | None = None,
        opened: targets.Target | None = None,
        in_place: bool = False,
    ) -> RecoveryResult:
        """Stage the first of `points` that holds, swap it in, and record that the state is another one.

        `opened`: one of them whose manifests were read before. Where memory is too short for both states,
        one component after the other is staged and swapped.
        """
        keeper = self.keeper
        keeper.drain()
        if only is not None:
            state = history.state(points[0].version)
            if missing := [n for n in only if n not in state and n not in keeper.capture.live]:
                raise NotFoundError(f"v{points[0].version} has no variable `{missing[0]}`")
        base: Mapping[str, str] = keeper.live_digests()
        opened = opened or targets.first_readable(keeper.repository, history, points[:1])
        short = self._too_large(opened, only, keep)
        if opened is not None and short is not None:
            target, todo = opened, short
            passed: list[str] = []
            outcome = self._one_by_one(target, todo)
        else:
            target, todo, staged, passed = targets.stage(
                keeper.repository, history, points, keeper.capture, only=only, keep=keep, opened=opened,
                in_place=in_place, caution=self._caution(),
            )  # fmt: skip
            outcome = restore.swap(staged, todo, keeper.capture)
        if only is None and keeper.begun and history.execution == keeper.execution:
            base = target.state
            keeper.stand_at(target)
        else:
            contents = target.contents()
            for name in todo.load.keys() & keeper.capture.live.keys():
                if keeper.capture.live[name].digest == todo.load[name]:
                    keeper.capture.live[name].content_digest = contents[name]
        shot = self._parted(todo)
        now = keeper.live_digests()
        told = {
            kind: {"to": target.version, "execution": history.execution},
            "description": f"{kind} to v{target.version}",
        }
        keeper.commit(
            kind,
            {**told, **(body or {})},
            shot,
            assign={n: d for n, d in now.items() if base.get(n) != d},
            deleted=[n for n in base if n not in now],
        ).wait()
        keeper.unseen = "the state was recovered"
        self.moves += 1
        return self._result(history, target.version, todo, outcome, passed=passed, lost=lost)

    def _parted(self, todo: restore.Plan) -> Snapshot:
        """What stayed live, looked at anew where it shared objects with what did not, or refers to it.

        It may share them still, or no longer; the definition that it refers to may have lost its name.
        """
        capture = self.keeper.capture
        moved = {*todo.load, *todo.delete}
        stayed = {live for name, live in capture.live.items() if live.digest != todo.load.get(name)}
        parted = {live for live in stayed if not moved.isdisjoint((*live.names, *live.refs))}
        if not parted:
            return Snapshot()
        capture.forget([name for name, live in capture.live.items() if live in parted])
        return capture.take({name for live in parted for name in live.names})

    def _too_large(
        self, target: targets.Target | None, only: list[str] | None, keep: Iterable[str]
    ) -> restore.Plan | None:
        """The plan of a target, where what it loads would not fit beside what is live."""
        left = memory.available()
        if target is None or left is None or target.size <= _SHARE * left:
            return None
        todo = restore.plan(target.state, target.manifests, self.keeper.capture, only=only, keep=keep)
        return todo if todo.bytes > _SHARE * left else None

    def _one_by_one(self, target: targets.Target, todo: restore.Plan) -> restore.Outcome:
        keeper = self.keeper
        outcome = restore.Outcome()
        for part in restore.parts(todo, target.manifests):
            chunks, care = keeper.repository.chunks, self._caution()
            staged = restore.stage(part, target.manifests, chunks, keeper.capture, caution=care)
            done = restore.swap(staged, part, keeper.capture)
            outcome.restored += done.restored
            outcome.deleted += done.deleted
            outcome.failed.update(done.failed)
        return outcome

    def _caution(self) -> restore.Caution:
        return restore.Caution(self.keeper.settings.recovery_timeout, self._avoid, self._before_loading)

    def _before_loading(self, digest: str, names: tuple[str, ...]) -> None:
        if self._told:
            self.keeper.begin().intent({"loading": digest, "names": list(names)})

    @contextmanager
    def counted(self, history: History) -> Iterator[None]:
        """Bring a lost state back so that what kills the kernel on the way is known the next time.

        The first death says that it happened; from then on each variable is noted before it is loaded, so
        the second says which one it was, and the third time that one is left out.
        """
        deaths = _deaths(history)
        self._told = bool(deaths)
        for digest in filter(None, deaths):
            self._avoid[digest] = "loading it killed the kernel, so it is left out"
        self.keeper.begin().intent({"restoring": True})
        try:
            yield
        finally:
            self._told = False
            self.keeper.begin().intent({"restored": True})

    def move(self, execution: str, version: int, *, keep: Iterable[str] = ()) -> list[str]:
        """Make a recorded state live without a report, as catch-up does; returns what was replaced."""
        keeper = self.keeper
        keeper.drain()
        history = keeper.repository.history(execution)
        points = [c for c in history.checkpoints().values() if c.version == version]
        target, todo, staged, _ = targets.stage(
            keeper.repository, history, points, keeper.capture, only=None, keep=keep,
            caution=self._caution(),
        )  # fmt: skip
        outcome = restore.swap(staged, todo, keeper.capture)
        keeper.stand_at(target)
        keeper.unseen = "the state was recovered"
        self.moves += 1
        return outcome.restored

    def differing(self, execution: str, version: int) -> set[str]:
        """Variables whose live value is not that of a checkpoint."""
        found = targets.open_target(
            self.keeper.repository, self.keeper.repository.history(execution), version
        )
        todo = restore.plan(found.state, found.manifests, self.keeper.capture)
        return {name for name in (*todo.load, *todo.delete) if not is_pseudo(name)}

    def unsaved_at(self, execution: str, version: int) -> set[str]:
        """Variables that could not be kept with a checkpoint."""
        found = targets.open_target(
            self.keeper.repository, self.keeper.repository.history(execution), version
        )
        return {n for n, digest in found.state.items() if found.manifests[digest].unsaved is not None}

    def bring(self, history: History) -> None:
        """Continue an execution without loading its state: the writer stands at its newest checkpoint."""
        for point in targets.newest(history):
            try:
                target = targets.open_target(self.keeper.repository, history, point.version)
                self.keeper.stand_at(target)
                self.keeper.missing(target.state)
            except (DurableError, OSError):
                continue
            return

    def _planned(self, history: History, point: Checkpoint, only: list[str] | None) -> RecoveryResult:
        target = targets.open_target(self.keeper.repository, history, point.version)
        todo = restore.plan(target.state, target.manifests, self.keeper.capture, only=only)
        outcome = restore.Outcome(
            restored=sorted(n for n in todo.load if not is_pseudo(n)), deleted=list(todo.delete)
        )
        return self._result(history, target.version, todo, outcome, planned=True)

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
        count = len(outcome.restored)
        verb = "would bring back" if planned else "brought back"
        message = f"{verb} {count} variable{'' if count == 1 else 's'} of v{version}"
        if outcome.failed:
            message += f", {len(outcome.failed)} could not be loaded"
            outcome.failed = {n: why + _maker(history, version, n) for n, why in outcome.failed.items()}
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
            saved_seconds=targets.seconds_of(history, version),
            age=max(0.0, time.time() - history.checkpoints()[version].time),
            bytes=todo.bytes,
            planned=planned,
        )


def _deaths(history: History) -> list[str | None]:
    """What was being loaded when each of the last kernels died while it restored; None: not known."""
    found: list[str | None] = []
    for epoch in range(history.epoch - 1, 0, -1):
        steps = [i for i in history.intents(epoch) if not {"restoring", "loading", "restored"}.isdisjoint(i)]
        if not steps or "restored" in steps[-1]:
            break
        found.append(steps[-1].get("loading"))
    return found


def _maker(history: History, version: int, name: str) -> str:
    """Which cell to run for a variable that could not be loaded."""
    points = history.checkpoints()
    for record in reversed(lineage.records(history, version)):
        attempt = record.body.get("attempt")
        point = points.get(record.number)
        if attempt and point is not None and name in point.changed:
            return f"; {attempt['label']} made it"
    return ""


def _kinds(live: Live) -> list[str]:
    return [kind for name, kind in live.types.items() if not is_pseudo(name)]
