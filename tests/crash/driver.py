"""Runs a random notebook in one process after another, each under some signal, until its Run All has ended.

A process is forked from one that has imported everything. After each death all is checked; what processes
and cells said, and the log, tell in order what happened.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from durable_nb.store.repository import Repository
from durable_nb.store.signing import Signer

from . import check, person
from .person import Life, Wound, environment
from .program import Program, make
from .program import values as expected

LIVES = 40
"""Processes of one program at most; then it counts as stuck."""

PATIENCE = 60.0
"""Seconds that a process may take."""

_IMPORTED = ("IPython.core.interactiveshell", "durable_nb.shell.magics", "durable_nb.ui.render", "numpy")
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([person.__name__, *_IMPORTED])
_IN_TURN = threading.Lock()


@dataclass(slots=True)
class Outcome:
    """What became of one program."""

    program: Program
    kills: int = 0
    problems: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    """in order"""

    def __str__(self) -> str:
        return "\n".join([str(self.program), "", *self.events, "", *self.problems])


class Play:
    """One program from its first process to the end of its Run All."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.folder = folder
        self.program = make(seed)
        self.outcome = Outcome(self.program)
        self.chance = random.Random(seed + 10**9)  # noqa: S311 - chooses signals
        self.memory = check.Memory({})
        self.others: set[str] = set()
        """executions of guests"""
        self.ended = False
        self.seen = 0
        """lines that cells had written when they were last looked at"""
        self.env = environment(folder, self.program)
        (folder / "ran.txt").touch()

    def go(self) -> Outcome:
        left = self.chance.randint(3, 7)
        for number in range(LIVES):
            wounds = self._wounds() if left > 0 else ()
            left -= len(wounds)
            self._live(Life(self.folder, self.program, number, wounds))
            self._check()
            if self.ended or self.outcome.problems:
                break
        else:
            self.outcome.problems.append(f"stuck: no end after {LIVES} processes")
        return self.outcome

    def _wounds(self) -> tuple[Wound, ...]:
        chance, cells = self.chance, len(self.program.cells)
        drawn = chance.random()
        if drawn < 0.25:
            return (Wound(signal.SIGKILL, delay=chance.uniform(0, 0.4)),)
        first = Wound(
            signal.SIGKILL,
            chance.randrange(-1, cells) if drawn < 0.85 else -1,
            int(chance.expovariate(1 / chance.choice((5, 30, 120)))),
        )
        if drawn < 0.6:
            return (first,)
        if drawn < 0.85:
            then = Wound(signal.SIGKILL, chance.randrange(first.phase, cells), chance.randrange(40))
            step = chance.randrange(100) if first.phase < 0 else chance.randrange(8, 60)
            return (Wound(signal.SIGINT, first.phase, step), then)
        if drawn > 0.97 and not any(c.dies or c.effects for c in self.program.cells):
            # Its run is the newest of the notebook from then on, so this one has to come to its end.
            return (Wound(signal.SIGSTOP, chance.randrange(3, cells), first.step, guest="runs"),)
        # While it loads, either of two could become the one that goes on.
        at = chance.randrange(-1, cells)
        guest = "opens" if at >= 0 and drawn > 0.9 else ""
        then = Wound(signal.SIGKILL, chance.randrange(at, cells) if at >= 0 else 0, chance.randrange(40))
        return (Wound(signal.SIGSTOP, at, first.step, guest=guest), then)

    def _live(self, life: Life) -> None:
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=person.live, args=(life, theirs))
        began = time.monotonic()
        process.start()
        theirs.close()
        assert process.pid is not None
        who = f"{life.number}{life.guest and f' ({life.guest})'}"
        self._event(f"process {who} ({process.pid}): {', '.join(map(str, life.wounds)) or 'no wound'}")
        due = [w for w in life.wounds if w.delay is not None]
        while True:
            wait = due[0].delay - (time.monotonic() - began) if due else PATIENCE
            try:
                if not ours.poll(max(wait, 0.0)):
                    os.kill(process.pid, due[0].signal if due else signal.SIGKILL)
                    if not due:
                        self._problem(f"stuck: process {who} did not end")
                    due = due[1:]
                    continue
                what, text = ours.recv()
            except (EOFError, ConnectionResetError):
                break
            except ProcessLookupError:
                due = []
                continue
            if what != "ended":
                self._event(f"  {what} {text[:600]}")
            if what == "stops":
                self._stopped(process.pid, life, text)
            elif what == "ended":
                self._ended(*text, life.guest)
            elif what == "wrong":
                self._problem(f"wrong: {text}")
            elif what == "guest":
                self.others.add(text)
        process.join()
        self.outcome.kills += process.exitcode == -signal.SIGKILL
        ours.close()

    def _stopped(self, pid: int, life: Life, guest: str) -> None:
        """A process stands still; perhaps another one opens its notebook meanwhile."""
        while _state(pid) not in "TZX":
            time.sleep(0.001)
        if guest:
            (self.folder / f"ran{guest}.txt").touch()
            self._live(Life(self.folder, self.program, life.number, (), guest))
        else:
            time.sleep(self.chance.uniform(0, 0.1))
        with contextlib.suppress(ProcessLookupError):  # it was killed while it stood
            os.kill(pid, signal.SIGCONT)

    def _ended(self, found: str, applied: set[str], guest: str) -> None:
        self.ended |= not guest
        self._event(f"  Run All has come to its end; {', '.join(sorted(applied))} ran")
        with _IN_TURN:
            wanted = expected(self.program, applied)
        if found != wanted:
            self._problem(f"values: {guest} values are\n  {found}\nand should be\n  {wanted}")

    def _check(self) -> None:
        repository = self._repository()
        ran = check.read(self.folder / "ran.txt")
        written = [f"{line.what} {line.name}" for line in ran[self.seen :]]
        self.seen = len(ran)
        if written:
            self._event(f"  cells wrote: {', '.join(written)}")
        for line in check.everything(self.program, repository, self.others, ran, self.memory):
            self._problem(line)
        if self.outcome.problems:
            for file in sorted(self.folder.glob("said-*.txt")):
                said = [line[:300] for line in file.read_text().splitlines() if "durable_nb" in line]
                self.outcome.events += [
                    f"{file.stem}:",
                    *(f"  {line}" for line in said if "File" not in line),
                ]
            for name in repository.execution_ids():
                self._event(f"the log of {name}:")
                self.outcome.events += [f"  {line}" for line in check.told(repository.history(name))]

    def _repository(self) -> Repository:
        signer = Signer(Path(self.env["JUPYTER_DATA_DIR"]) / "durable_nb")
        return Repository.open(self.folder / ".durable", signer=signer)

    def _problem(self, text: str) -> None:
        if text not in self.outcome.problems:
            self.outcome.problems.append(text)

    def _event(self, text: str) -> None:
        self.outcome.events.append(text)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def play(seed: int, folder: Path) -> Outcome:
    """Run the program of a seed under its signals, and check it after each."""
    return Play(seed, folder).go()


def summary(outcomes: list[Outcome]) -> str:
    """One line of what was found."""
    kinds = Counter(problem.partition(":")[0] for outcome in outcomes for problem in outcome.problems)
    kills = sum(o.kills for o in outcomes)
    return (
        f"{kills:,} kills, {len(outcomes):,} programs: {kinds.get('again', 0)} acknowledged nodes run again, "
        f"{kinds.get('often', 0)} run too often, {kinds.get('illegal', 0)} illegal moves, "
        f"{kinds.get('values', 0)} wrong values"
        + "".join(f", {n} {kind}" for kind, n in kinds.items() if kind in ("damaged", "stuck", "wrong"))
    )
