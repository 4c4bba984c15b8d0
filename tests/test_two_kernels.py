"""Several processes on one notebook, or on one store."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from durable_nb.model import ExecutionStatus
from durable_nb.store.repository import Repository
from durable_nb.testing import Kernel

LOAD = "%load_ext durable_nb"
EXECUTION = "__import__('durable_nb').session().keeper.execution"

LOOK = """
import sys, time
from durable_nb.store.repository import Repository
worst = 0.0
deadline = time.monotonic() + float(sys.argv[2])
rounds = 0
while time.monotonic() < deadline:
    repository = Repository.open(sys.argv[1])
    for execution in repository.executions():
        history = repository.history(execution.id)
        assert not history.problems, history.problems
        for version in list(history.checkpoints())[-3:]:
            repository.components(set(history.state(version).values()))
    problems = repository.verify()
    assert not problems, problems
    rounds += 1
print(rounds)
"""


@pytest.fixture(autouse=True)
def same_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process reads the store as the user whose kernels write it."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / ".home" / "jupyter"))


def read(kernel: Kernel, expression: str) -> Any:
    return ast.literal_eval(kernel.value(expression))


def test_the_second_kernel_of_a_notebook_gets_an_execution_of_its_own(tmp_path: Path) -> None:
    with Kernel(tmp_path / "nb.ipynb") as first, Kernel(tmp_path / "nb.ipynb") as second:
        first.run(LOAD)
        first.run("%%node load\nx = ['first']")
        told = second.run(LOAD)
        assert "another kernel" in told.text
        assert str(first.pid) in told.text
        assert read(second, "'x' in globals()") is False
        second.run("%%node load\nx = ['second']")
        first.run("x.append(1)")
        second.run("x.append(2)")
        assert read(first, EXECUTION) != read(second, EXECUTION)
        for kernel, mine in ((first, "first"), (second, "second")):
            kernel.run("%recover load")
            assert read(kernel, "x") == [mine]
        listed = first.run("%durable list").text
        assert listed.count("RUNNING") == 2


@pytest.mark.long
def test_both_executions_survive_when_both_kernels_die(tmp_path: Path) -> None:
    first, second = Kernel(tmp_path / "nb.ipynb"), Kernel(tmp_path / "nb.ipynb")
    for number, kernel in enumerate((first, second)):
        kernel.run(LOAD)
        kernel.run(f"x = [{number}]")
        kernel.run("%checkpoint")
    ids = [read(kernel, EXECUTION) for kernel in (first, second)]
    for kernel in (first, second):
        kernel.kill()
        kernel.__exit__(RuntimeError, None, None)
    with Kernel(tmp_path / "nb.ipynb") as third:
        third.run(LOAD)
        assert read(third, "x") == [1]
        third.run(f"%recover --execution {ids[0]}")
        assert read(third, "x") == [0]


@pytest.mark.parametrize("collect", [pytest.param(False, marks=pytest.mark.long), True], ids=["", "after gc"])
def test_a_kernel_that_was_taken_over_is_refused_when_it_wakes(tmp_path: Path, collect: bool) -> None:
    with Kernel(tmp_path / "nb.ipynb") as new:
        old = Kernel(tmp_path / "nb.ipynb")
        try:
            old.run(LOAD)
            old.run("import os\nx = [1]\nblob = os.urandom(200_000)")
            old.run("%checkpoint")
            execution = read(old, EXECUTION)
            old.stop()
            new.run(LOAD)
            refused = new.run(f"%recover --execution {execution}")
            assert refused.status == "error"
            assert "--force" in refused.error
            taken = new.run(f"%recover --execution {execution} --force")
            assert taken.status == "ok"
            assert read(new, "x") == [1]
            new.run("del blob\nx.append('new')")
            new.run("%checkpoint")
            if collect:
                new.run("%durable gc")
            old.cont()
            late = old.run("x.append('old')\nlen(x)")
            assert late.status == "ok"
            assert "2" in late.text
            warned = late.text + old.run("y = 1").text + old.run("y = 2").text
            assert len(re.findall("another kernel", warned)) == 1
            assert old.run("%checkpoint").status == "error"
            new.run("x.append('again')")
            new.run("%checkpoint")
            assert "every byte" in new.run("%durable verify").text
            assert read(new, EXECUTION) == execution
            # Its work is not thrown away: it can begin an execution of its own.
            assert old.run("%durable new").status == "ok"
            old.run("z = len(x)")
            assert old.run("%checkpoint").status == "ok"
        finally:
            old.__exit__(RuntimeError, None, None)
        new.kill()
    with Kernel(tmp_path / "nb.ipynb") as last:
        last.run(LOAD)
        last.run(f"%recover --execution {execution}")
        assert read(last, "x") == [1, "new", "again"]


def test_a_kernel_stopped_in_the_middle_of_a_cell_is_refused_too(tmp_path: Path) -> None:
    with Kernel(tmp_path / "nb.ipynb") as new:
        old = Kernel(tmp_path / "nb.ipynb")
        try:
            old.run(LOAD)
            old.run("x = [1]")
            old.run("%checkpoint")
            execution = read(old, EXECUTION)
            sent = old.send(
                "%%node slow\nimport time\nfrom pathlib import Path\nPath('in').touch()\n"
                "while not Path('go').exists(): time.sleep(0.01)\nx.append('old')\nx"
            )
            while not (tmp_path / "in").exists():
                time.sleep(0.005)
            old.stop()
            new.run(LOAD)
            new.run(f"%recover --execution {execution} --force")
            (tmp_path / "go").touch()
            old.cont()
            reply = old.reply(sent)
            assert reply.status == "ok"
            assert "[1, 'old']" in reply.text
            assert old.run("%checkpoint").status == "error"
            new.run("y = 1")
            assert read(new, "x") == [1]
            log = new.run("%durable log").text
            assert not any("slow" in line and "COMPLETED" in line for line in log.splitlines())
        finally:
            old.__exit__(RuntimeError, None, None)


def test_the_store_is_read_while_kernels_write_and_nothing_is_lost(tmp_path: Path) -> None:
    """Two notebooks of one folder, a reader that checks every byte, and garbage collections between."""
    kernels = [Kernel(tmp_path / f"{n}.ipynb") for n in "ab"]
    reader = None
    try:
        for kernel in kernels:
            kernel.run(LOAD)
            kernel.run("import os\nseen = []\nshared = bytes(300_000)")
        reader = subprocess.Popen(
            [sys.executable, "-c", LOOK, str(tmp_path / ".durable"), "2"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        with nobody_waits_for_a_lock(*kernels):
            for i in range(8):
                sent = [k.send(f"seen.append({i})\nblob = os.urandom(100_000)\nv{i} = {i}") for k in kernels]
                assert all(k.reply(s).status == "ok" for k, s in zip(kernels, sent, strict=True))
                if i % 4 == 1:
                    assert kernels[i % 2].run("%durable gc").status == "ok"
        for kernel in kernels:
            assert kernel.run("%checkpoint").status == "ok"
        out, err = reader.communicate(timeout=60)
        assert reader.returncode == 0, err
        assert int(out) >= 1
        for kernel in kernels:
            kernel.kill()
        assert Repository.open(tmp_path / ".durable").verify() == []
    finally:
        if reader is not None and reader.poll() is None:
            reader.kill()
        for kernel in kernels:
            kernel.__exit__(RuntimeError, None, None)
    for n in "ab":
        with Kernel(tmp_path / f"{n}.ipynb") as kernel:
            kernel.run(LOAD)
            assert read(kernel, "seen") == list(range(8))
            assert read(kernel, "(v0, v7, len(blob), len(shared))") == (0, 7, 100_000, 300_000)
            assert "every byte" in kernel.run("%durable verify").text


def test_no_lock_of_a_sleeping_kernel_holds_anybody_up(tmp_path: Path) -> None:
    """A kernel that is stopped wherever it stands, even in the middle of a commit, blocks nobody."""
    with Kernel(tmp_path / "awake.ipynb") as awake:
        asleep = Kernel(tmp_path / "asleep.ipynb")
        try:
            for kernel in (asleep, awake):
                kernel.run(LOAD)
                kernel.run("import os, durable_nb\nx = [0]")
            command = "blob = os.urandom(3_000_000); x.append(1)"
            with nobody_waits_for_a_lock(asleep, awake):
                for delay in (0.0, 0.005, 0.01, 0.02, 0.05):
                    sent = asleep.send(command)
                    time.sleep(delay)
                    asleep.stop()
                    # What waited for a stopped process would wait for ever.
                    for line in (
                        command,
                        "%durable list",
                        "durable_nb.sql('SELECT count(*) FROM checkpoints')",
                    ):
                        assert awake.run(line, timeout=30).status == "ok"
                    assert len(Repository.open(tmp_path / ".durable").executions()) == 2
                    asleep.cont()
                    assert asleep.reply(sent).status == "ok"
        finally:
            asleep.__exit__(RuntimeError, None, None)


@contextmanager
def nobody_waits_for_a_lock(*kernels: Kernel) -> Iterator[None]:
    """Watches the system's table of file locks: a process that waits for one is in it."""
    pids = {kernel.pid for kernel in kernels} | {os.getpid()}
    since: dict[tuple[str, ...], float] = {}
    longest = 0.0
    end = threading.Event()

    def watch() -> None:
        nonlocal longest
        while not end.wait(0.01):
            now = time.monotonic()
            lines = (line.split() for line in Path("/proc/locks").read_text().splitlines())
            waiting = {tuple(w) for w in lines if w[1] == "->" and int(w[5]) in pids}
            for gone in since.keys() - waiting:
                del since[gone]
            for key in waiting:
                longest = max(longest, now - since.setdefault(key, now))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        end.set()
        watcher.join()
    assert longest <= 0.1


def test_garbage_collection_of_one_kernel_spares_what_another_writes(tmp_path: Path) -> None:
    with Kernel(tmp_path / "a.ipynb") as writer, Kernel(tmp_path / "b.ipynb") as collector:
        for kernel in (writer, collector):
            kernel.run(LOAD)
        # The same bytes come, go and come again while the other kernel collects.
        writer.run("blob = bytes(range(256)) * 2000")
        collector.run("blob = bytes(range(256)) * 2000")
        for i in range(6):
            collector.run("blob = None" if i % 2 else "blob = bytes(range(256)) * 2000")
            sent = collector.send("%durable gc")
            assert writer.run(f"n = {i}\nblob = (bytes(range(256)) * 2000)[{i}:] + bytes({i})").status == "ok"
            assert collector.reply(sent).status == "ok"
        writer.run("%checkpoint")
        assert "every byte" in writer.run("%durable verify").text
        value = read(writer, "hash(blob) and (n, len(blob), blob[:5], blob[-5:])")
        writer.kill()
        writer.restart()
        writer.run(LOAD)
        assert read(writer, "(n, len(blob), blob[:5], blob[-5:])") == value


@pytest.mark.long
def test_stops_at_random_moments_never_cost_an_acknowledged_checkpoint(tmp_path: Path) -> None:
    with Kernel(tmp_path / "new.ipynb") as new:
        new.run(LOAD)
        for round_ in range(20):
            old = Kernel(tmp_path / "old.ipynb", env={"DURABLE_NB_AUTO_RECOVERY": "false"})
            old.run(LOAD)
            old.run("%durable new")
            old.run("import os\nx = []")
            old.run("%checkpoint")
            execution = read(old, EXECUTION)
            stop = threading.Timer(0.02 + 0.01 * round_, lambda pid=old.pid: os.kill(pid, signal.SIGSTOP))
            sent = [old.send(f"x.append({i}); blob = os.urandom(500_000)") for i in range(20)]
            stop.start()
            stop.join()
            taken = new.run(f"%recover --execution {execution} --force")
            assert taken.status == "ok", taken.error
            brought = read(new, "x")
            assert brought == list(range(len(brought)))
            os.kill(old.pid, signal.SIGCONT)
            for request in sent:
                old.reply(request)
            assert old.run("%checkpoint").status == "error"
            new.run("y = 1")
            new.run("%checkpoint")
            assert "every byte" in new.run("%durable verify").text
            old.__exit__(RuntimeError, None, None)
    statuses = {e.id: e.status for e in Repository.open(tmp_path / ".durable").executions()}
    assert ExecutionStatus.RUNNING not in statuses.values()
