"""A random notebook: cells and jumps through its history, run in a real shell and checked after each jump."""

from __future__ import annotations

import contextlib
import io
import itertools
import multiprocessing
import random
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import ExecutionResult

import durable_nb
from durable_nb import testing
from durable_nb.engine import policy
from tests.random_programs import oracle
from tests.random_programs.grammar import IMPORTS, Grammar
from tests.random_programs.oracle import Form

Point = tuple[str, int]
"""An execution and a version of it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a user does."""

    key: int
    kind: str = "cell"
    """cell, back (to the state after another step), undo, redo (go back and run the cell that came next
    again), newest (in a new shell), other (some states, in a new process)"""
    source: str = ""
    target: int = 0
    """the step whose state is meant"""

    def __str__(self) -> str:
        if self.kind == "cell":
            return "\n".join(f"    {line}" for line in self.source.splitlines())
        words = {"back": "%recover: to after", "redo": "%recover, then run the cell again that followed"}
        return f"  # {words.get(self.kind, self.kind)} {self.target if self.kind in words else ''}".rstrip()


@dataclass(frozen=True, slots=True)
class Failure:
    """The first thing that was not as it had been."""

    kind: str
    """values, identity, renewed (the same of what a jump had made), redo, failed, raised, said"""
    step: int
    text: str


class _WrongError(Exception):
    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class _Note:
    point: Point
    form: Form
    shell: int
    follower: tuple[str, Form] | None = None
    """the cell that was run next on this state, and what it led to"""


Chooser = Callable[["Player"], Iterator[Step]]


class Player:
    """Takes steps in one notebook.

    Args:
        folder: of the notebook and its store.
        partial: look only at what the access analysis names, as in a notebook that is big.
        renewed: whether an object that a jump made has to stay the same one in the next jump.
    """

    def __init__(self, folder: Path, *, partial: bool = False, renewed: bool = True) -> None:
        self.folder = folder
        self.partial = partial
        self.renewed = renewed
        self.notes: dict[int, _Note] = {}
        self.points: dict[Point, Form] = {}
        self.steps: list[Step] = []
        self.errors: list[str] = []
        """of cells that failed, which they may"""
        self._here: int | None = None
        self._undoes: int | None = None
        self._shells = 0
        self._restored: set[int] = set()
        """ids of objects that a jump made"""
        self._open = ExitStack()

    def play(self, steps: Iterator[Step] | Sequence[Step]) -> Failure | None:
        """Take steps until one shows something wrong."""
        shown = io.StringIO()
        with warnings.catch_warnings(), contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
            warnings.simplefilter("ignore")
            thresholds = policy.SCAN_SECONDS, policy.SCAN_SHARE
            policy.SCAN_SECONDS = policy.SCAN_SHARE = 0.0 if self.partial else 60.0
            try:
                self._start()
                for step in steps:
                    self.steps.append(step)
                    shown.seek(0)
                    shown.truncate()
                    self._take(step)
                    _check_said(shown.getvalue())
            except _WrongError as error:
                return Failure(error.kind, self.steps[-1].key, str(error))
            except Exception as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                at = f"{Path(place.filename).name}:{place.lineno}"
                return Failure("raised", self.steps[-1].key, f"{type(error).__name__}: {error} ({at})")
            finally:
                policy.SCAN_SECONDS, policy.SCAN_SHARE = thresholds
                self._open.close()
        return None

    @property
    def space(self) -> dict[str, Any]:
        return self.shell.user_ns

    def names(self) -> list[str]:
        return oracle.names_of(self.space, self.shell.user_ns_hidden)

    def _start(self) -> None:
        self._shells += 1
        self.shell = self._open.enter_context(testing.shell(self.folder))
        self.shell.InteractiveTB.set_mode("Minimal")

    def _take(self, step: Step) -> None:
        if step.kind == "cell":
            self._run(step.key, step.source)
        elif step.kind == "undo":
            if self._undoes is not None:
                wanted, self._undoes = self._undoes, self._here
                self._jump(step.key, self.notes[wanted], durable_nb.undo)
        elif step.kind == "newest":
            self._newest(step.key)
        elif step.kind == "other":
            self._other(step)
        elif step.target in self.notes:
            note = self.notes[step.target]
            self._back(step.key, step.target)
            if step.kind == "redo" and note.follower is not None:
                source, expected = note.follower
                self._run(step.key, source)
                if expected.lost or note.form.lost:
                    return
                if (wrong := oracle.difference(expected, self.notes[step.key].form)) is not None:
                    raise _WrongError("redo", f"the same cell on the same state gave another one: {wrong}")

    def _run(self, key: int, source: str) -> None:
        before = durable_nb.session().version
        result = testing.run(self.shell, source)
        if not result.success:
            self.errors.append(repr(result.error_before_exec or result.error_in_exec))
            self._forget_failure(result)
        session = durable_nb.session()
        session.keeper.drain()
        version = session.version
        if version is None or version == before:
            raise _WrongError("said", "the cell made no checkpoint")
        form = oracle.form(self.space, self.names())
        if self._here is not None and (was := self.notes[self._here]).follower is None:
            self.notes[self._here] = _Note(was.point, was.form, was.shell, (source, form))
        self._note(key, form)

    def _forget_failure(self, result: ExecutionResult) -> None:
        """What Python and IPython keep of the last exception holds objects of the cell."""
        for name in ("last_exc", "last_value", "last_traceback"):
            vars(sys).pop(name, None)
        self.shell.InteractiveTB.tb = None
        result.error_before_exec = result.error_in_exec = None

    def _note(self, key: int, form: Form) -> None:
        session = durable_nb.session()
        assert session.version is not None
        point = (session.keeper.execution, session.version)
        self.notes[key] = _Note(point, form, self._shells)
        self.points[point] = form
        self._here = key

    def _back(self, key: int, target: int) -> None:
        note = self.notes[target]
        execution, version = note.point
        self._undoes = self._here
        self._jump(key, note, lambda: durable_nb.session().recover(version, execution=execution))

    def _jump(self, key: int, note: _Note, go: Callable[[], Any]) -> None:
        live = oracle.form(self.space, self.names())
        result = go()
        expected = note.form
        if wrong := {n: why for n, why in result.failed.items() if n not in expected.lost and ":" not in n}:
            raise _WrongError("failed", f"not loaded: {wrong}")
        self._compare(expected)
        names = [n for n in self.names() if n in expected.variables]
        now = oracle.form(self.space, names)
        if note.shell == self._shells:
            self._check_identity(expected, live, now)
        self._restored |= _ids(now) - _ids(live)
        self._note(key, oracle.form(self.space, self.names()))

    def _check_identity(self, expected: Form, live: Form, now: Form) -> None:
        """What was the same objects with the same contents before the jump has to be them still."""
        for group in set(expected.groups.values()):
            if live.groups.get(min(group)) != group or now.groups.get(min(group)) != group:
                continue
            before = [live.identities[n] for n in sorted(group)]
            same = all(_bare(expected.variables[n]) == _bare(live.variables[n]) for n in group)
            if not same or before != [expected.identities[n] for n in sorted(group)]:
                continue
            made = not self._restored.isdisjoint(itertools.chain.from_iterable(before))
            if before != [now.identities[n] for n in sorted(group)] and (self.renewed or not made):
                kind = "renewed" if made else "identity"
                raise _WrongError(kind, f"{sorted(group)} did not differ, and are other objects now")

    def _compare(self, expected: Form) -> None:
        names = [n for n in self.names() if n not in expected.lost]
        wrong = oracle.difference(expected, oracle.form(self.space, names))
        if wrong is not None:
            raise _WrongError("values", wrong)

    def _renew(self) -> None:
        self._open.close()
        self._start()
        self._here = self._undoes = None

    def _arrived(self, key: int) -> None:
        form = oracle.form(self.space, self.names())
        self._restored |= _ids(form)
        self._note(key, form)

    def _newest(self, key: int) -> None:
        self._renew()
        result = durable_nb.recover()
        found = self.points.get((result.execution, result.version))
        if found is not None:
            self._compare(found)
        self._arrived(key)

    def _other(self, step: Step) -> None:
        """Recover some states in a new process, the newest among them, and compare what it says they are."""
        chance = random.Random(step.key)  # noqa: S311 - chooses what to look at
        chosen = chance.sample(sorted(self.notes), min(4, len(self.notes)))
        notes = [self.notes[k] for k in sorted({*chosen, *([self._here] if self._here is not None else [])})]
        self._open.close()
        asked = [(n.point, n.form.lost) for n in notes]
        forms = elsewhere(self.folder, asked)
        for note, found in zip(notes, forms, strict=True):
            if isinstance(found, str):
                raise _WrongError("failed", f"in a new process: {found}")
            wrong = oracle.difference(note.form, found)
            if wrong is not None:
                raise _WrongError("values", f"in a new process: {wrong}")
        self._start()
        self._here = self._undoes = None
        execution, version = notes[-1].point
        durable_nb.session().recover(version, execution=execution)
        self._arrived(step.key)


def _check_said(text: str) -> None:
    for line in text.splitlines():
        if "durable_nb:" in line and not any(usual in line for usual in ("is not kept", "ended in order")):
            raise _WrongError("said", line)


def _ids(form: Form) -> set[int]:
    return {key for keys in form.identities.values() for key in keys}


def _bare(tree: Any) -> Any:
    """A tree without the numbers of its objects, which depend on what comes before."""
    if isinstance(tree, tuple):
        kept = tree[1:] if tree and type(tree[0]) is int else tree
        return tuple(_bare(t) for t in kept)
    return tree


def random_steps(
    player: Player, seed: int, length: int, *, weak: bool = False, without: str = ""
) -> Iterator[Step]:
    """Steps that depend on the seed, and on what the namespace holds when they are taken."""
    chance = random.Random(seed)  # noqa: S311 - chooses test programs
    grammar = Grammar(chance, weak=weak, without=without)
    yield Step(0, source=IMPORTS)
    for key in range(1, length - 1):
        drawn = chance.random()
        far = sorted(player.notes)
        near = far[-6:]
        target = chance.choice(near if chance.random() < 0.6 else far)
        if drawn < 0.80:
            yield Step(key, source=grammar.cell(player.space, player.names()))
        elif drawn < 0.92:
            yield Step(key, "back", target=target)
        elif drawn < 0.96:
            yield Step(key, "redo", target=target)
        elif drawn < 0.985:
            yield Step(key, "undo")
        else:
            yield Step(key, "newest")
    if seed % 8 == 0:
        yield Step(length - 1, "other")
    else:
        yield Step(length - 1, "newest")


def elsewhere(folder: Path, asked: list[tuple[Point, frozenset[str]]]) -> list[Form | str]:
    """What a new process makes of some states; it is forked from one that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "IPython.core.interactiveshell"])
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(recovered, folder, asked).result(60)


def recovered(folder: Path, asked: list[tuple[Point, frozenset[str]]]) -> list[Form | str]:
    """What a new shell makes of some states."""
    found: list[Form | str] = []
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown), testing.shell(folder) as shell:
        for (execution, version), lost in asked:
            result = durable_nb.session().recover(version, execution=execution)
            wrong = {n: why for n, why in result.failed.items() if n not in lost and ":" not in n}
            names = [n for n in oracle.names_of(shell.user_ns, shell.user_ns_hidden) if n not in lost]
            found.append(f"not loaded: {wrong}" if wrong else oracle.form(shell.user_ns, names))
    return found


def notebook(steps: Sequence[Step]) -> str:
    """Steps as a person reads them."""
    wanted = {s.target for s in steps if s.kind in ("back", "redo")}
    lines = []
    for step in steps:
        mark = f"[{step.key}]" if step.key in wanted or step.kind == "cell" else ""
        lines.append(f"{mark:>5}\n{step}" if mark else str(step))
    return "\n".join(lines)
