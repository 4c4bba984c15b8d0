"""A node was running when the kernel died: what becomes of it in the kernels after."""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_nb.testing import Kernel

LOAD = "%load_ext durable_nb"
SETUP = "import os, pathlib, time\nimport durable_nb as durable"
NOTE = """\
def note(what):
    with open("ran.txt", "a") as log: log.write(what + "\\n")
def die():
    os.kill(os.getpid(), 9)"""
FIRST = "%%node first\nnote('first')\ndata = [1]"
POISON = "%%node poison\nnote('poison')\ndata.append(2)\nif not os.path.exists('cured'): die()"
LAST = "%%node last\nnote('last')\nlen(data)"
CELLS = [LOAD, SETUP, NOTE, FIRST]


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(tmp_path / "nb.ipynb") as started:
        yield started


def ran(kernel: Kernel) -> list[str]:
    return (kernel.notebook.parent / "ran.txt").read_text().split()


def all_of(kernel: Kernel, *cells: str) -> list[str]:
    return [reply.status for reply in kernel.run_all(cells)]


def again(kernel: Kernel, *cells: str) -> str:
    """A new kernel that loads the extension, and runs cells that have to succeed; what it said."""
    kernel.restart()
    said = ""
    for cell in (LOAD, *cells):
        reply = kernel.run(cell)
        assert reply.status == "ok", reply.error
        said += reply.text + "\n"
    return said


def lost(kernel: Kernel, *cells: str) -> None:
    """Run the notebook up to a node that kills its kernel."""
    assert all_of(kernel, *cells)[-1] == "died"


def test_a_node_that_kills_its_kernel_each_time_is_quarantined_after_three(kernel: Kernel) -> None:
    lost(kernel, *CELLS, POISON)
    for _ in range(2):
        kernel.restart()
        lost(kernel, *CELLS, POISON)
    kernel.restart()
    *replies, refused = kernel.run_all([*CELLS, POISON])
    assert all(reply.status == "ok" for reply in replies)
    assert "quarantine" in replies[0].text
    assert "poison" in refused.error
    assert "3 times" in refused.error
    assert ran(kernel) == ["first", "poison", "poison", "poison"]
    assert kernel.run(LAST).text == "1"  # the others go on, on the state before it
    (kernel.notebook.parent / "cured").touch()
    kernel.run("%durable release poison")
    assert kernel.run(POISON).status == "ok"
    assert kernel.run("data").text == "[1, 2]"


def test_a_node_in_quarantine_runs_when_its_source_has_changed(tmp_path: Path) -> None:
    env = {"DURABLE_NB_RECOVERY_MAX_ATTEMPTS": "1"}
    with Kernel(tmp_path / "nb.ipynb", env=env) as kernel:
        _changed(kernel)


def _changed(kernel: Kernel) -> None:
    lost(kernel, *CELLS, POISON)
    kernel.restart()
    assert "quarantine" in kernel.run_all([*CELLS, POISON])[-1].error
    assert kernel.run(POISON.replace("if not", "if 0 and not")).status == "ok"


def test_resume_runs_the_lost_node_from_its_recorded_source(kernel: Kernel) -> None:
    lost(kernel, *CELLS, POISON)
    (kernel.notebook.parent / "cured").touch()
    said = again(kernel, "%durable resume")
    assert "`poison` runs again" in said
    assert kernel.value("data") == "[1, 2]"
    kernel.kill()
    again(kernel)
    assert kernel.value("data") == "[1, 2]"
    replies = kernel.run_all([*CELLS[1:], POISON, LAST])
    assert [r.status for r in replies] == ["ok"] * 5
    assert ran(kernel) == ["first", "poison", "poison", "last"]


def test_run_all_after_resume_puts_everything_back(kernel: Kernel) -> None:
    lost(kernel, *CELLS, POISON)
    (kernel.notebook.parent / "cured").touch()
    again(kernel, "%durable resume")
    assert all_of(kernel, *CELLS[1:], POISON, LAST) == ["ok"] * 5
    assert ran(kernel) == ["first", "poison", "poison", "last"]


def test_a_skipped_node_counts_as_finished_and_does_not_run(kernel: Kernel) -> None:
    lost(kernel, *CELLS, POISON)
    said = again(
        kernel, *CELLS[1:], "%durable skip poison", POISON, LAST.replace("last", "last --after poison", 1)
    )
    assert "skipped" in said
    assert ran(kernel) == ["first", "poison", "last"]
    kernel.kill()
    again(kernel, *CELLS[1:], POISON)  # it is remembered
    assert ran(kernel) == ["first", "poison", "last"]


@pytest.mark.parametrize(("command", "runs"), [("done", 1), ("skip", 1), ("rerun", 2)])
def test_a_lost_node_with_effects_waits_for_a_decision(kernel: Kernel, command: str, runs: int) -> None:
    pay = POISON.replace("node poison", "node poison --effects")
    lost(kernel, *CELLS, pay)
    (kernel.notebook.parent / "cured").touch()
    kernel.restart()
    refused = kernel.run_all([*CELLS, pay])[-1]
    for choice in ("rerun", "done", "skip"):
        assert f"%durable {choice} poison" in refused.error
    assert ran(kernel) == ["first", "poison"]
    kernel.run(f"%durable {command} poison")
    assert kernel.run(pay).status == "ok"
    assert ran(kernel).count("poison") == runs


def test_attempts_and_the_next_time_survive_the_kernel(kernel: Kernel) -> None:
    fetch = "%%node fetch --retries 3 --backoff 0\nnote(durable.idempotency_key())\nraise Busy"
    busy = "class Busy(ConnectionError):\n    headers = {'Retry-After': '3'}\n    response = None"
    assert all_of(kernel, *CELLS, busy) == ["ok"] * 5
    kernel.send(fetch)
    deadline = time.monotonic() + 20
    while len(ran(kernel)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)  # it waits for its next attempt now
    kernel.kill()
    kernel.restart()
    began = time.monotonic()
    *replies, last = kernel.run_all([*CELLS, busy, fetch])
    assert all(reply.status == "ok" for reply in replies)
    assert "Busy" in last.error
    assert time.monotonic() - began > 3
    _, *keys = ran(kernel)
    assert len(keys) == 3  # one in the first kernel, two in this one
    assert len(set(keys)) == 1


def test_what_a_lost_attempt_last_said_is_told_the_next(kernel: Kernel) -> None:
    node = "%%node long\nbefore = durable.heartbeat({'row': 7})\nif before is None: die()\nbefore"
    lost(kernel, *CELLS, node)
    kernel.restart()
    assert ast.literal_eval(kernel.run_all([*CELLS, node])[-1].text) == {"row": 7}


def test_a_paused_execution_runs_no_node_until_it_is_resumed(kernel: Kernel) -> None:
    assert all_of(kernel, *CELLS, "%durable pause") == ["ok"] * 5
    assert "paused" in kernel.run(LAST).error
    assert kernel.run("data").text == "[1]"
    kernel.kill()
    again(kernel, *CELLS[1:])
    assert "paused" in kernel.run(LAST).error
    kernel.run("%durable resume")
    assert kernel.run(LAST).text == "1"
    assert ran(kernel) == ["first", "last"]


def test_a_value_set_by_hand_is_recorded(kernel: Kernel) -> None:
    assert all_of(kernel, *CELLS, "%durable set data = [5] * 2") == ["ok"] * 5
    kernel.kill()
    again(kernel)
    assert kernel.value("data") == "[5, 5]"


def test_a_lost_attempt_is_not_repeated_at_once(tmp_path: Path) -> None:
    with Kernel(tmp_path / "nb.ipynb", env={"DURABLE_NB_RECOVERY_DELAY": "6s"}) as kernel:
        lost(kernel, *CELLS, POISON)
        began = time.monotonic()
        (tmp_path / "cured").touch()
        kernel.restart()
        last = kernel.run_all([*CELLS, POISON])[-1]
        assert "waits" in last.text
        assert time.monotonic() - began > 4
