"""Random notebooks under random SIGKILL, SIGINT and SIGSTOP; each seed is a program and what happens to it.

`python -m tests.crash --seed S` repeats one, and says in order what happened.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from durable_nb.store.repository import Repository
from durable_nb.store.signing import Signer
from durable_nb.testing import Kernel
from tests.crash import check
from tests.crash.driver import Outcome, play, summary
from tests.crash.person import LOAD, environment
from tests.crash.program import VALUES, make, values

PARTS = 8


def kill(folder: Path, first: int, kills: int) -> None:
    def one(seed: int) -> Outcome:
        place = folder / str(seed)
        place.mkdir()
        return play(seed, place)

    outcomes: list[Outcome] = []
    seeds = itertools.count(first)
    with ThreadPoolExecutor(2) as pool:
        while sum(outcome.kills for outcome in outcomes) < kills:
            outcomes += pool.map(one, itertools.islice(seeds, 2))
    failed = [str(outcome) for outcome in outcomes if outcome.problems]
    assert not failed, f"{summary(outcomes)}\n" + "\n\n".join(failed)


@pytest.mark.parametrize("part", range(PARTS))
def test_random_notebooks_under_two_hundred_kills(part: int, tmp_path: Path) -> None:
    kill(tmp_path, part * 1000, 200 // PARTS)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(20))
def test_random_notebooks_under_two_thousand_kills(part: int, tmp_path: Path) -> None:
    kill(tmp_path, 100_000 + part * 1000, 100)


def test_a_real_kernel_killed_three_times(tmp_path: Path) -> None:
    program = make(2)
    chance = random.Random(2)  # noqa: S311 - chooses when
    ran, memory = tmp_path / "ran.txt", check.Memory({})
    ran.touch()
    environ = environment(tmp_path, program)
    signer = Signer(Path(environ["JUPYTER_DATA_DIR"]) / "durable_nb")
    with Kernel(tmp_path / "nb.ipynb", env=environ) as kernel:
        for life in range(30):
            if life:
                kernel.restart()
            pid, timer = kernel.pid, None
            if life < 3:
                timer = threading.Timer(chance.uniform(0.05, 0.8), _kill, (pid,))
                timer.start()
            ended = _run_all(kernel, [LOAD, *(cell.text for cell in program.cells)], ran)
            if timer is not None:
                timer.join()
            found = kernel.value(VALUES) if ended and timer is None else ""
            if kernel.alive:
                kernel.kill()
            repository = Repository.open(tmp_path / ".durable", signer=signer)
            problems = list(check.everything(program, repository, (), check.read(ran), memory))
            assert not problems, (program, problems)
            if found:
                break
    assert eval(found) == values(program, {cell.name for cell in program.cells if cell.is_node})


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it died of a poison node
        os.kill(pid, signal.SIGKILL)


def _run_all(kernel: Kernel, cells: list[str], ran: Path) -> bool:
    """Whether Run All came to its end; a person lets run again what needs a decision or failed."""
    at = 0
    while at < len(cells):
        reply = kernel.run(cells[at])
        name = cells[at].split()[1] if cells[at].startswith("%%node") else ""
        if reply.status == "died":
            return False
        if reply.status == "ok":
            at += 1
        elif "has effects" in reply.error or "quarantine" in reply.error:
            what = "rerun" if "has effects" in reply.error else "release"
            with ran.open("a") as lines:
                lines.write(f"decided-{what} {name} {kernel.pid} -\n")
            kernel.run(f"%durable {what} {name}")
        else:
            return False  # it failed as it should: a new kernel tries again
    return True
