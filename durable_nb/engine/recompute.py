"""Making again what could not be kept: only the cells needed, on copies of what they had read."""

from __future__ import annotations

import ast
import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from durable_nb.engine import lineage
from durable_nb.engine import target as targets
from durable_nb.engine.keeper import Keeper
from durable_nb.errors import DurableError, RefusedError
from durable_nb.model import Record
from durable_nb.state import access, pickling, restore
from durable_nb.state.classes import in_notebook
from durable_nb.state.live import is_pseudo
from durable_nb.store.log import History


@dataclass(frozen=True, slots=True)
class Step:
    """A recorded cell that has to run again."""

    record: Record
    label: str
    source: str
    """as it was typed"""
    makes: tuple[str, ...]
    """what it is run for"""
    reads: tuple[str, ...]
    """what is taken from the checkpoint before it"""


@dataclass(slots=True)
class Plan:
    """What would run, in order, and what cannot be made again."""

    steps: list[Step] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    """name -> why"""


class Recompute:
    """Makes variables again in a namespace of their own, and gives them to the live one.

    Args:
        keeper: of the live state.
        run: runs a recorded cell in the live namespace object; raises what the cell raises.
        parse: the tree of a cell as it was typed; None where it does not parse.
    """

    def __init__(
        self, keeper: Keeper, run: Callable[[str], None], parse: Callable[[str], ast.Module | None]
    ) -> None:
        self.keeper = keeper
        self._run = run
        self.parse = parse

    def plan(self, history: History, version: int, names: Iterable[str]) -> Plan:
        """What it takes to make variables of a version again that are not live."""
        plan = Plan()
        makers = {r.number: r for r in lineage.records(history, version)}
        wanted: dict[int, set[str]] = {}
        todo = [(name, version) for name in names if name not in self.keeper.capture.space]
        seen: set[tuple[str, int]] = set()
        steps: dict[int, Step] = {}
        while todo:
            name, before = todo.pop()
            maker = _maker(makers.values(), name, before)
            if maker is None or (name, maker.number) in seen:
                if maker is None:
                    plan.refused[name] = "no recorded cell made it"
                continue
            seen.add((name, maker.number))
            try:
                step, missing = self._step(history, maker, wanted.setdefault(maker.number, set()) | {name})
            except (DurableError, OSError, ValueError) as error:
                plan.refused[name] = targets.explain(error)
                continue
            wanted[maker.number].add(name)
            steps[maker.number] = step
            todo += [(other, maker.number - 1) for other in missing]
        plan.steps = [steps[number] for number in sorted(steps)]
        return plan

    def _step(self, history: History, maker: Record, makes: set[str]) -> tuple[Step, list[str]]:
        """The cell, and which of its inputs have to be made again first."""
        attempt = maker.body["attempt"]
        if attempt.get("effects"):
            raise RefusedError(f"`{attempt['node']}` made it, which has effects outside the notebook")
        source = json.loads(self.keeper.repository.cell(maker.body["cell"]))["source"]
        tree = self.parse(source)
        if tree is None:
            raise RefusedError(f"{attempt['label']} made it, which awaits or does not parse: run it by hand")
        parent = maker.body["state"]["parent"]
        if parent is None:
            return Step(maker, attempt["label"], source, tuple(sorted(makes)), ()), []
        target = targets.open_target(self.keeper.repository, history, parent)
        read = access.of_tree(tree)
        names = set(target.state) if read.scan else {n for n in read.names if n in target.state}
        names = _closed(names, target)
        lost = [n for n in names if target.manifests[target.state[n]].unsaved is not None]
        needed = [n for n in lost if n in read.names]
        reads = tuple(sorted(names - set(lost)))
        return Step(maker, attempt["label"], source, tuple(sorted(makes)), reads), needed

    def run(self, history: History, plan: Plan) -> dict[str, str]:
        """Run the steps; returns name -> the cell that made it. What fails is added to `plan.refused`."""
        made: dict[str, Any] = {}
        by: dict[str, str] = {}
        with self._apart() as space:
            kept = dict(space)
            for step in plan.steps:
                space.clear()
                space.update(kept)
                try:
                    self._load(history, step)
                    space.update(made)
                    self._run(step.source)
                except Exception as error:
                    plan.refused.update((n, f"{step.label} failed: {error}") for n in step.makes)
                    continue
                for name in step.makes:
                    if name in space:
                        made[name], by[name] = space[name], step.label
                    else:
                        plan.refused[name] = f"{step.label} did not make it this time"
        live = self.keeper.capture.space
        new = {name: label for name, label in by.items() if name not in live}
        for name in new:
            _adopt(made[name], live)
            live[name] = made[name]
        return new

    def _load(self, history: History, step: Step) -> None:
        parent = step.record.body["state"]["parent"]
        if parent is None or not step.reads:
            return
        target = targets.open_target(self.keeper.repository, history, parent)
        load = {name: target.state[name] for name in step.reads if not is_pseudo(name)}
        todo = restore.Plan(load, (), (), {}, (), (), 0)
        capture = self.keeper.capture
        chunks = self.keeper.repository.chunks
        staged = restore.stage(todo, target.manifests, chunks, capture, in_place=False)
        capture.space.update(staged.values)

    @contextmanager
    def _apart(self) -> Iterator[dict[str, Any]]:
        """The live namespace object, with only what is not the user's in it; all is put back afterwards."""
        space: Any = self.keeper.capture.space
        before = dict(space)
        mine = set(self.keeper.visible())
        try:
            for name in mine:
                space.pop(name, None)
            yield space
        finally:
            space.clear()
            space.update(before)


def _adopt(value: Any, live: Mapping[str, Any]) -> None:
    """Make an instance one of the live class, where the cell that made it defined that class once more."""
    kind = type(value)
    known = pickling.resolve(live, kind.__qualname__) if in_notebook(kind) else None
    if isinstance(known, type) and known is not kind:
        with contextlib.suppress(TypeError, AttributeError):
            value.__class__ = known


def _maker(records: Iterable[Record], name: str, before: int) -> Record | None:
    """The newest cell, up to a number, that changed a variable."""
    found = None
    for record in records:
        state = record.body.get("state") or {}
        made = name in state.get("set", ()) and record.body.get("attempt") and record.body.get("cell")
        if made and record.number <= before:
            found = record
    return found


def _closed(names: set[str], target: targets.Target) -> set[str]:
    """With what belongs to them: whole components, and the definitions that they name."""
    found: set[str] = set()
    stack = list(names)
    while stack:
        name = stack.pop()
        if name in found or name not in target.state:
            continue
        found.add(name)
        manifest: Any = target.manifests[target.state[name]]
        stack += [*manifest.names, *manifest.refs]
    return found
