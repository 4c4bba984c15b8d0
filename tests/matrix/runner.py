"""The process that runs a group's cases in one shell: `runner.py live|killed GROUP FOLDER MODE < names`.

Reads a JSON object, name of a case -> its phases (when `killed`: where it stood), prints a JSON line for each
phase of each case, then waits to be killed. A case that takes too long ends the process by SIGALRM.
"""

from __future__ import annotations

import ast
import json
import linecache
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import case as cases
from case import Case
from IPython.core.interactiveshell import InteractiveShell

import durable_nb
from durable_nb import testing
from durable_nb.engine import policy
from durable_nb.model import RecoveryResult
from durable_nb.shell import extension

_RAISES = "# raises"
_BETWEEN = "# between"
_NEEDS = {"undo": "back", "redo": "again", "killed quiet": "killed forth"}
"""Phases that go on where another one ended."""


class Runner:
    """Works on one notebook after the other in one shell."""

    def __init__(self, shell: InteractiveShell, out: Any, folder: Path) -> None:
        self.shell = shell
        self.out = out
        self.folder = folder
        self.at = ""
        """the case under way"""
        self.wanted: set[str] = set()
        """its phases"""
        self.clean = dict(self.shell.user_ns)
        self.path, self.environ = list(sys.path), dict(os.environ)

    def names(self) -> list[str]:
        """The user's variables."""
        hidden = self.shell.user_ns_hidden
        return [n for n in self.shell.user_ns if n not in hidden and n not in ("In", "Out")]

    def say(self, **line: Any) -> None:
        """One line of the report."""
        print(json.dumps(line), file=self.out, flush=True)

    def phase(self, name: str, work: Callable[[], Any]) -> bool:
        """Do the work of a phase, if it is wanted, and report how it went."""
        if name not in self.wanted:
            return True
        started = time.perf_counter()
        try:
            told = work()
        except BaseException as error:
            told, why = None, _explain(error)
        else:
            why = ""
        seconds = round(time.perf_counter() - started, 4)
        self.say(case=self.at, phase=name, why=why, seconds=seconds, told=told)
        return not why

    def cells(self, sources: tuple[str, ...]) -> tuple[int, str]:
        """Run cells; returns the version after them, and how the last one was looked at."""
        for source in cases.cells(sources):
            if source.startswith(_BETWEEN):
                exec(source, self.shell.user_ns)
                continue
            result = testing.run(self.shell, source)
            failed = result.error_in_exec or result.error_before_exec
            if (failed is None) is source.startswith(_RAISES):
                raise failed or RuntimeError(f"this cell was to raise: {source}")
        session = durable_nb.session()
        session.settle()
        if session.version is None:
            raise RuntimeError("no checkpoint was made")
        attempt = session.history().records[-1].body.get("attempt") or {}
        return session.version, str(attempt.get("scan"))

    def check(self, source: str, result: RecoveryResult | None, *, fresh: bool) -> None:
        """Run assertions on a copy of the namespace."""
        text = dedent(source).strip("\n")
        scratch = {**self.shell.user_ns, "result": result, "fresh": fresh}
        file = f"<check {id(text)}>"
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        try:
            exec(compile(text, file, "exec"), scratch)
        except AssertionError as error:
            found = _failed_line(text, scratch, error)
            raise AssertionError(found) from error

    def recovered(self, case: Case, result: RecoveryResult, source: str, *, fresh: bool) -> None:
        """Check what a recovery did."""
        wrong = {n: why for n, why in {**result.failed, **result.unsaved}.items() if n not in case.reported}
        assert not wrong, f"not restored: {wrong}"
        self.check(source, result, fresh=fresh)

    def begin(self, case: Case, place: str) -> None:
        """Open a notebook with a store of its own, in a namespace that is empty."""
        for name in self.names():
            if name not in self.clean:
                del self.shell.user_ns[name]
        self.shell.user_ns.update(self.clean)  # `%reset` takes more than the user's names
        self.shell.user_ns["Out"].clear()
        self.shell.push(dict.fromkeys(("_", "__", "___"), ""), interactive=False)
        self.shell.compile.reset_compiler_flags()  # `from __future__` holds for the cells that follow
        os.chdir(self.folder)
        sys.path[:] = self.path
        settings = {"STORE": str(self.folder / place), **dict(case.settings)}
        os.environ.clear()
        os.environ.update(self.environ, **{f"DURABLE_NB_{name}": value for name, value in settings.items()})
        durable_nb.session().keeper.abandon()  # its end is not recorded: for the next kernel it was killed
        extension.of(self.shell).reopen(f"{place}.ipynb")

    def live(self, case: Case, place: str) -> None:
        """The phases in the kernel where the case is made."""
        points: dict[str, Any] = {"place": place}
        ids: dict[str, int] = {}
        self.begin(case, place)
        session = durable_nb.session()

        def made() -> str:
            points["before"], _ = self.cells(case.make)
            self.check(case.before, None, fresh=False)
            points["after"], scan = self.cells(case.mutate)
            self.check(case.after, None, fresh=False)
            ids.update({n: id(self.shell.user_ns[n]) for n in case.keep_id})
            return scan

        def moved(move: Callable[[], RecoveryResult], source: str) -> None:
            self.recovered(case, move(), source, fresh=False)
            lost = [n for n, was in ids.items() if id(self.shell.user_ns.get(n)) != was]
            assert not lost, f"another object than before: {lost}"

        def redo() -> None:
            self.cells(case.mutate)
            self.check(case.after, None, fresh=False)

        if not self.phase("made", made):
            return
        self.say(case=self.at, point=points)
        self.phase("back", lambda: moved(lambda: session.recover(points["before"]), case.before))
        self.phase("undo", lambda: moved(session.undo, case.after))
        self.phase("again", lambda: moved(lambda: session.recover(points["before"]), case.before))
        self.phase("redo", redo)
        self.phase("forth", lambda: moved(lambda: session.recover(points["after"]), case.after))
        self.phase("quiet", lambda: self.quiet(case, points["before"], points["after"]))
        session.settle()

    def quiet(self, case: Case, first: int, last: int) -> None:
        """No checkpoint after `first` up to `last` says that what only was looked at has changed."""
        found = durable_nb.session().history().checkpoints()
        for version in range(first + 1, last + 1):
            if version in found:
                loud = set(found[version].changed) & set(case.unchanged)
                assert not loud, f"v{version} says that {sorted(loud)} changed"

    def killed(self, case: Case, point: dict[str, Any]) -> None:
        """The phases in a new kernel."""

        def moved(which: str, source: str) -> RecoveryResult:
            result = durable_nb.session().recover(point[which])
            self.recovered(case, result, source, fresh=True)
            return result

        def loaded() -> None:
            if not case.reported:
                self.check(case.after, None, fresh=True)
            result = moved("after", case.after)
            told = {**result.failed, **result.unsaved}
            silent = [n for n in case.reported if not told.get(n)]
            assert not silent, f"not reported: {silent}"

        def quiet() -> None:
            version, _ = self.cells(("None",))
            durable_nb.checkpoint()
            self.quiet(case, version - 1, durable_nb.session().version or version)

        def redo() -> None:
            moved("before", case.before)
            self.cells(case.mutate)
            self.check(case.after, None, fresh=True)

        self.begin(case, point["place"])
        self.phase("killed", loaded)
        self.phase("killed back", lambda: moved("before", case.before) and None)
        self.phase("killed forth", lambda: moved("after", case.after) and None)
        self.phase("killed quiet", quiet)
        self.phase("killed redo", redo)


def _failed_line(text: str, scratch: dict[str, Any], error: AssertionError) -> str:
    """The assertion that failed, with what it compared."""
    line = traceback.extract_tb(error.__traceback__)[1].lineno or 1
    for node in ast.parse(text).body:
        if node.lineno <= line <= (node.end_lineno or 0) and isinstance(node, ast.Assert):
            found = ast.unparse(node.test)
            for part in node.test.values if isinstance(node.test, ast.BoolOp) else [node.test]:
                if isinstance(part, ast.Compare):
                    found += f"; {ast.unparse(part.left)} is {_shown(part.left, scratch)}"
            return f"{found} {error}"
    return f"line {line}: {text.splitlines()[line - 1]} {error}"


def _shown(expression: ast.expr, scratch: dict[str, Any]) -> str:
    try:
        return repr(eval(ast.unparse(expression), scratch))[:300]
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _explain(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-3:]
    places = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(last))
    text = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
    return f"{text[:1500]} [{places}]"


def main(kind: str, group: str, folder: str, mode: str) -> None:
    """Run what stdin asks for."""
    asked = json.loads(sys.stdin.readline())
    known = cases.load(Path(group))
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what cells print is no report
    os.fsync = lambda _fd: None  # a killed process loses nothing that was written; the power stays on
    if mode == "partial":
        os.environ["DURABLE_NB_SCAN_EVERY"] = "1000000"
    for name in ("SCAN_SECONDS", "SCAN_SHARE"):
        getattr(policy, name)  # a renamed constant must not go unnoticed
        setattr(policy, name, 60.0 if mode == "user" else -1.0)
    with testing.shell(folder) as shell:
        runner = Runner(shell, out, Path(folder))
        for number, item in enumerate(asked):
            runner.at = item
            runner.wanted = {"made", *(asked[item] if kind == "live" else asked[item]["phases"])}
            runner.wanted |= {first for then, first in _NEEDS.items() if then in runner.wanted}
            if kind == "live":
                runner.wanted.add("forth")  # where the next kernel is to find it
            runner.say(next=item)
            signal.alarm(known[item].seconds)
            if kind == "live":
                runner.live(known[item], f"case{number}")
            else:
                runner.killed(known[item], asked[item])
        signal.alarm(0)
        runner.say(done=True)
        sys.stdin.read()  # until it is killed


if __name__ == "__main__":
    main(*sys.argv[1:])
