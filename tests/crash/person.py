"""One process that stands for a kernel, with a person who presses Run All in it; and the signals it dies of.

It is an IPython shell. It takes steps: whatever the cells do, and whatever the interpreter's audit events and
the store tell of. A signal comes at the n-th step of a phase, so that a seed repeats it.
"""

from __future__ import annotations

import atexit
import os
import random
import signal
import sys
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

from durable_nb.model import NodeStatus
from durable_nb.shell import extension
from durable_nb.store.objects import LocalFolder
from durable_nb.testing import run

from . import check
from .program import RAN, VALUES, Program

LOAD = "%load_ext durable_nb"

PRESSES = 40
"""Cells that fail in one process at most."""

_EVENTS = frozenset(
    {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.listdir", "os.scandir", "time.sleep"}
    | {"pickle.find_class", "fcntl.flock", "crash.step", "import", "exec", "compile"}
)
"""Audit events that are steps."""


@dataclass(frozen=True, slots=True)
class Wound:
    """One signal, and when it comes."""

    signal: int
    phase: int = 0
    """-1: while the extension is loaded; else the number of a cell"""
    step: int = 0
    """of the phase; where it has fewer, when the next begins (SIGINT: at this step of a later one)"""
    delay: float | None = None
    """instead: seconds after the process began"""
    guest: str = ""
    """what another process does while this one is stopped: opens (the notebook), runs (all of it)"""

    def __str__(self) -> str:
        when = f"step {self.step} of phase {self.phase}" if self.delay is None else f"{self.delay:.3f} s"
        return f"{signal.Signals(self.signal).name} at {when}{self.guest and f', another {self.guest}'}"


@dataclass(frozen=True, slots=True)
class Life:
    """What one process is to do."""

    folder: Path
    program: Program
    number: int
    wounds: tuple[Wound, ...] = ()
    guest: str = ""


class _Steps:
    """Counts steps, and sends this process a signal at one of them."""

    def __init__(self, wounds: tuple[Wound, ...], pipe: Connection) -> None:
        self._wounds = [w for w in wounds if w.delay is None]
        self._pipe = pipe
        self._phase = -2
        self._taken = 0

    def enter(self, phase: int) -> None:
        self._phase, self._taken = phase, 0
        self._look(-1)

    def __call__(self, event: str, _arguments: object) -> None:
        if event in _EVENTS and self._wounds:
            self._taken += 1
            self._look(self._taken)

    def _look(self, taken: int) -> None:
        if not self._wounds:
            return
        wound = self._wounds[0]
        # Jupyter has nothing to interrupt between two cells.
        late = self._phase > wound.phase and wound.signal != signal.SIGINT
        if self._phase < wound.phase or (taken < wound.step and not late):
            return
        self._wounds.pop(0)
        stack = traceback.walk_stack(None)
        frames = traceback.StackSummary.extract(stack, limit=14, lookup_lines=False)[2:][::-1]
        where = " > ".join(f"{Path(f.filename).stem}.{f.name}:{f.lineno}" for f in frames)
        self._pipe.send(("wounded", f"{wound} (phase {self._phase}, step {taken}) in {where}"))
        if wound.signal == signal.SIGSTOP:
            self._pipe.send(("stops", wound.guest))
        os.kill(os.getpid(), wound.signal)


class _Person:
    """Presses Run All, and decides what a person has to."""

    def __init__(self, life: Life, pipe: Connection) -> None:
        self.life = life
        self.pipe = pipe
        self.steps = _Steps(life.wounds, pipe)
        self.chance = random.Random(life.program.seed * 1000 + life.number)  # noqa: S311
        self.ran = Path(os.environ[RAN])
        self.shell: Any = None
        self.left: set[str] = set()
        """nodes that stay in quarantine, and those after them"""

    def live(self) -> None:
        from IPython.core.interactiveshell import InteractiveShell
        from traitlets.config import Config

        sys.addaudithook(self.steps)
        cast("Any", LocalFolder)._step = lambda _folder, name, _path: sys.audit("crash.step", name)
        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.xmode = "Minimal"
        self.shell = InteractiveShell.instance(config=config)
        if not self.press(-1, LOAD) and not self.press(-1, LOAD):
            self.die("the extension cannot be loaded")  # IPython's own magic is gone
        if self.life.guest != "opens":
            self.run_all()
            self.pipe.send(("ended", (eval(VALUES, self.shell.user_ns), self._applied())))
        if self.life.guest == "runs":
            self.leave()
        os.kill(os.getpid(), signal.SIGKILL)

    def leave(self) -> None:
        """A guest does not die: its run would be the newest that can be continued."""
        self.pipe.send(("guest", extension.current().keeper.execution))
        atexit._run_exitfuncs()
        os._exit(0)

    def press(self, phase: int, source: str) -> bool:
        """Run a cell; False where it was interrupted so early that nobody knows what it did."""
        self.error: BaseException | None = None
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self.steps.enter(phase)
            result = run(self.shell, source, cell_id=f"cell-{phase}")
        except KeyboardInterrupt:
            if phase >= 0:
                self.die("interrupted outside of a cell")
            return False
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a kernel does between requests
        self.error = result.error_before_exec or result.error_in_exec
        return self.error is None

    def run_all(self) -> None:
        cells, at, presses = self.life.program.cells, 0, 0
        while at < len(cells):
            cell = cells[at]
            if cell.after in self.left:
                self.left.add(cell.name)
            moves = extension.current().recovery.moves
            ran = cell.name not in self.left and self.press(at, cell.text)
            lost = ran and self._was_not_kept(cell.name)
            if not lost and (ran or cell.name in self.left or self._was_put_back()):
                at += 1
                continue
            presses += 1
            if presses > PRESSES:
                raise RuntimeError(f"{cell.name} cannot be got past: {self.error}")
            if lost:
                self.tell("interrupted", cell.name)
                self._start_over(moved=False)
                continue
            self._decide(cell.name, moved=extension.current().recovery.moves != moves)

    def _applied(self) -> set[str]:
        keeper = extension.current().keeper
        keeper.drain()
        return check.applied(keeper.nodes)

    def _was_put_back(self) -> bool:
        return isinstance(self.error, KeyboardInterrupt) and extension.of(self.shell).arrival.put_back

    def _was_not_kept(self, name: str) -> bool:
        """Whether a node ran to its end, and the save of that was interrupted."""
        node = extension.current().keeper.nodes.by_name.get(name)
        return node is not None and node.status is NodeStatus.INTERRUPTED

    def _decide(self, name: str, *, moved: bool) -> None:
        error, why = self.error, str(self.error)
        program = self.life.program
        self.pipe.send(("said", f"{name}: {type(error).__name__}: {why[:150]}"))
        if isinstance(error, KeyboardInterrupt):
            self.tell("interrupted", name)
            self._start_over(moved=moved)
        elif "run it again" in why:
            pass  # before it ran: the same cell once more
        elif "has effects" in why:
            self.command(self.chance.choice(("rerun", "rerun", "done", "skip")), name)
        elif "quarantine" in why:
            if program.by_name[name].dies >= program.max_attempts and program.leaves:
                self.left.add(name)
            else:
                self.command("release", name)
        elif type(error).__name__ in ("ConnectionError", "NodeTimeoutError"):
            self._start_over(moved=moved)
        else:
            raise RuntimeError(f"{name} failed: {error!r}") from error

    def _start_over(self, *, moved: bool) -> None:
        """A cell was left half-way: go back to before it, here or in a new process."""
        if moved or self.chance.random() < 0.5:
            self.die("the person restarts")
        assert self.press(len(self.life.program.cells), "%recover"), self.error

    def command(self, what: str, name: str) -> None:
        self.tell(f"decided-{what}", name)
        self.press(len(self.life.program.cells), f"%durable {what} {name}")

    def tell(self, what: str, name: str) -> None:
        with self.ran.open("a") as ran:
            ran.write(f"{what} {name} {os.getpid()} -\n")

    def die(self, why: str) -> None:
        self.pipe.send(("said", why))
        if self.life.guest == "runs":
            self.leave()
        os.kill(os.getpid(), signal.SIGKILL)


def live(life: Life, pipe: Connection) -> None:
    """The life of one process."""
    folder = life.folder
    os.chdir(folder)
    os.environ.update(environment(folder, life.program, life.guest))
    said = (folder / f"said-{life.number}{life.guest}.txt").open("w", buffering=1)
    sys.stdout = sys.stderr = said
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # until there is a shell
    try:
        _Person(life, pipe).live()
    except BaseException:
        pipe.send(("wrong", traceback.format_exc()))
        os._exit(1)
    os._exit(0)


def environment(folder: Path, program: Program, guest: str = "") -> dict[str, str]:
    """Variables that keep a program's files in its folder."""
    home = folder / ".home"
    home.mkdir(exist_ok=True)
    (home / "ipython").mkdir(exist_ok=True)
    return {
        **program.env,
        RAN: str(folder / f"ran{guest}.txt"),
        "JPY_SESSION_NAME": str(folder / "nb.ipynb"),
        "JUPYTER_DATA_DIR": str(home / "jupyter"),
        "IPYTHONDIR": str(home / "ipython"),
    }
