"""Whatever goes wrong with keeping, the user's cell stands, one line says so, and nothing else is lost."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from IPython.core.getipython import get_ipython

import durable_nb
from durable_nb import testing
from durable_nb.errors import StoreError
from durable_nb.state import pickling
from durable_nb.store.objects import LocalFolder

if TYPE_CHECKING:
    from conftest import Notebook

Said = Callable[[], list[str]]

NOT_ROOT = os.geteuid() != 0
MOUNT, UNMOUNT = shutil.which("mount") or "mount", shutil.which("umount") or "umount"


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """The lines of durable_nb since the last call."""

    def lines() -> list[str]:
        shown = capsys.readouterr()
        return [line for line in (shown.out + shown.err).splitlines() if "durable_nb" in line]

    return lines


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    place.mkdir()
    made = subprocess.run([MOUNT, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=False)
    if made.returncode:
        pytest.skip("mounting a small disk is not allowed here")
    try:
        yield place
    finally:
        subprocess.run([UNMOUNT, "-l", str(place)], check=True)


# -- the disk


@pytest.mark.skipif(NOT_ROOT, reason="only root can mount a small disk")
def test_a_full_disk_costs_that_save_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    monkeypatch.setenv("DURABLE_NB_MIN_FREE", "0")
    monkeypatch.setenv("DURABLE_NB_COMPRESSION", "none")
    with small_disk(tmp_path / "disk", "8m") as disk:
        monkeypatch.setenv("DURABLE_NB_STORE", str(disk / "store"))
        with testing.shell(tmp_path) as shell:
            testing.run(shell, "import os\nkept = [1]").raise_error()
            durable_nb.session().settle()
            said()
            result = testing.run(shell, "big = os.urandom(20_000_000)\nlen(big)")
            assert result.success
            assert result.result == 20_000_000
            testing.run(shell, "small = 2").raise_error()
            durable_nb.session().settle()
            warned = said()
            assert warned
            assert any("space" in line or "full" in line for line in warned)
            with pytest.raises(StoreError):
                durable_nb.checkpoint()
            said()
            testing.run(shell, "big = None").raise_error()
            testing.run(shell, "kept.append(2)").raise_error()
            durable_nb.checkpoint()
            assert said() == []
            assert durable_nb.session().repository.verify() == []
            assert [f for f in (disk / "store" / "tmp").rglob("*") if f.is_file()] == []
        with testing.shell(tmp_path) as shell:
            durable_nb.recover()
            assert shell.user_ns["kept"] == [1, 2]
            assert shell.user_ns["small"] == 2


def test_saving_leaves_min_free_of_the_disk(
    notebook: Notebook, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook.run("import os\nkept = [1]")
    durable_nb.session().settle()
    version = durable_nb.history()[-1].version
    notebook.close()
    monkeypatch.setenv("DURABLE_NB_MIN_FREE", "900TB")
    notebook.open()
    durable_nb.recover(version)
    assert notebook["kept"] == [1]
    said()
    assert notebook.run("big = os.urandom(3_000_000)\nlen(big)") == 3_000_000
    notebook.run("other = 1")
    durable_nb.session().settle()
    assert any("min_free" in line for line in said())
    notebook.close()
    monkeypatch.delenv("DURABLE_NB_MIN_FREE")
    notebook.open()
    durable_nb.recover()
    assert notebook["kept"] == [1]


def test_a_limit_on_file_sizes_is_like_a_full_disk(tmp_path: Path) -> None:
    """As quotas behave: a write in the middle of a pack fails."""
    cells = [
        "import os, resource, signal\nimport durable_nb as durable\nimport durable_nb.errors\nkept = [1]",
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);",
        "%checkpoint",
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, {resource.RLIM_INFINITY}))",
        "big = os.urandom(500_000)\nlen(big)",
        "small = 5",
        "try: durable.checkpoint()\nexcept durable.errors.StoreError as error: print('refused:', error)",
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({resource.RLIM_INFINITY}, {resource.RLIM_INFINITY}))",
        "kept.append(2)",
        "%checkpoint",
        "%durable verify",
    ]
    with testing.Kernel(tmp_path / "nb.ipynb") as kernel:
        kernel.run("%load_ext durable_nb")
        replies = kernel.run_all(cells)
        assert [r.status for r in replies] == ["ok"] * len(cells)
        assert "500000" in replies[4].text
        assert "refused:" in replies[6].text
        assert "every byte" in replies[-1].text
        kernel.kill()
    with testing.Kernel(tmp_path / "nb.ipynb") as kernel:
        kernel.run("%load_ext durable_nb")
        assert kernel.value("(kept, small, len(big))") == "([1, 2], 5, 500000)"


@pytest.mark.parametrize(
    "error", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS], ids=errno.errorcode.get
)
def test_an_error_of_the_disk_costs_that_save_only(
    notebook: Notebook, said: Said, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    notebook.run("kept = [1]")
    durable_nb.session().settle()
    said()
    put, append = LocalFolder.put, LocalFolder.append

    def fails(_self: LocalFolder, key: str, _data: object) -> None:
        raise OSError(error, os.strerror(error), key)

    monkeypatch.setattr(LocalFolder, "put", fails)
    monkeypatch.setattr(LocalFolder, "append", fails)
    assert notebook.run("kept.append(2)\nkept") == [1, 2]
    notebook.run("%%node n\nother = [3]")
    durable_nb.session().settle()
    warned = said()
    assert 1 <= len(warned) <= 2
    assert all("not kept" in line or "not recorded" in line for line in warned)
    monkeypatch.setattr(LocalFolder, "put", put)
    monkeypatch.setattr(LocalFolder, "append", append)
    notebook.run("last = 4")
    durable_nb.session().settle()
    assert said() == []
    notebook.restart()
    assert (notebook["kept"], notebook["other"], notebook["last"]) == ([1, 2], [3], 4)


def test_a_folder_that_cannot_be_written_gets_its_store_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    with read_only(tmp_path / "course") as folder:
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
        monkeypatch.setenv("JPY_SESSION_NAME", str(folder / "nb.ipynb"))
        for round_ in range(2):
            with testing.shell(tmp_path):
                os.environ["JPY_SESSION_NAME"] = str(folder / "nb.ipynb")
                shell = get_ipython()
                assert shell is not None
                shell.run_line_magic("reload_ext", "durable_nb")
                told = said()
                assert any(str(tmp_path / "data") in line and str(folder) in line for line in told)
                if round_:
                    durable_nb.recover()
                    assert shell.user_ns["x"] == [1]
                else:
                    testing.run(shell, "x = [1]").raise_error()
                    durable_nb.checkpoint()
        assert list(folder.iterdir()) == []


@contextmanager
def read_only(place: Path) -> Iterator[Path]:
    """A folder into which not even root can write."""
    place.mkdir()
    if NOT_ROOT:
        place.chmod(0o500)
        yield place
        place.chmod(0o700)
        return
    made = subprocess.run(
        [MOUNT, "-t", "tmpfs", "-o", "ro", "tmpfs", str(place)], check=False, capture_output=True
    )
    if made.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield place
    finally:
        subprocess.run([UNMOUNT, "-l", str(place)], check=True)


# -- the variables


def test_a_variable_that_cannot_be_saved_is_announced_once(notebook: Notebook, said: Said) -> None:
    notebook.run("import threading, sys")
    said()
    notebook.run("worker = {'frame': sys._getframe()}\nfine = [1]")
    assert len([line for line in said() if "`worker`" in line]) == 1
    notebook.run("fine.append(2)", "worker['more'] = 1", "%%node n\nx = 1", "%checkpoint")
    assert [line for line in said() if "worker" in line] == []
    notebook.run("%durable status")
    assert any("worker" in line for line in [*said(), _status(notebook)])
    notebook.restart()
    assert notebook["fine"] == [1, 2]
    assert notebook["x"] == 1


def _status(notebook: Notebook) -> str:
    from IPython.utils.capture import capture_output

    with capture_output() as shown:
        notebook.run("%durable status")
    return shown.stdout


def test_a_variable_that_becomes_savable_is_saved(notebook: Notebook, said: Said) -> None:
    notebook.run("box = {'n': 1, 'g': (i for i in 'ab')}", "del box['g']", "box['n'] = 2")
    assert len([line for line in said() if "`box`" in line]) == 1
    notebook.restart()
    assert notebook["box"] == {"n": 2}


@pytest.mark.parametrize(
    "reduce",
    [
        "raise ValueError('no, never')", "raise KeyboardInterrupt", "raise SystemExit(1)",
        "raise RecursionError",
        "raise MemoryError", "return 5", "return 'no such name'", "1/0",
        "import sys; sys.stdout.write(''); raise OSError(28, 'No space left on device')",
    ],
)  # fmt: skip
def test_an_exception_in_reduce_costs_that_variable_only(notebook: Notebook, said: Said, reduce: str) -> None:
    notebook.run(f"class Bad:\n    def __reduce__(self):\n        {reduce}")
    said()
    result = notebook.cell("bad = Bad()\nshared = [1]\nholder = [shared]\n'stands'")
    assert result.success
    assert result.result == "stands"
    notebook.run("after = 2")
    durable_nb.session().settle()
    warned = said()
    assert 1 <= len(warned) <= 2
    notebook.run("again = 3", "del bad", "%checkpoint")
    notebook.restart()
    assert (notebook["shared"], notebook["after"], notebook["again"]) == ([1], 2, 3)
    assert notebook["holder"][0] is notebook["shared"]


def test_objects_that_lie_about_themselves(notebook: Notebook) -> None:
    notebook.run(
        """
        class Liar:
            def __getattr__(self, name): raise RuntimeError(name)
            def __eq__(self, other): raise RuntimeError('eq')
            __hash__ = None
            def __bool__(self): raise RuntimeError('bool')
            def __repr__(self): raise RuntimeError('repr')
            def __len__(self): raise RuntimeError('len')
            @property
            def __class__(self): raise RuntimeError('class')
        """,
        "liar = Liar()",
        "fine = [1]",
        "fine.append(2)",
    )
    notebook.restart()
    assert notebook["fine"] == [1, 2]


def test_two_thousand_variables_are_one_pack(notebook: Notebook) -> None:
    notebook.run("import os")
    durable_nb.session().settle()
    packs = notebook.folder / ".durable" / "packs"
    before = set(packs.glob("*")) if packs.exists() else set()
    start = time.perf_counter()
    notebook.run("for i in range(2000): globals()[f'v{i}'] = [i, os.urandom(1500)]")
    durable_nb.session().settle()
    took = time.perf_counter() - start
    new = set(packs.glob("*")) - before
    assert len(new) == 1
    assert took < 10
    first = notebook["v1999"]
    notebook.restart()
    assert all(notebook[f"v{i}"][0] == i for i in range(2000))
    assert notebook["v1999"] == first


def test_a_save_that_would_block_too_long_is_put_off(notebook: Notebook, said: Said) -> None:
    notebook.run("%config Durable.max_block = 0.001", "import os")
    said()
    start = time.perf_counter()
    notebook.run("big = os.urandom(30_000_000)\nsmall = 1")
    assert time.perf_counter() - start < 2
    warned = [line for line in said() if "`big`" in line]
    assert len(warned) == 1
    assert "MB" in warned[0]
    big = notebook["big"]
    notebook.run("%checkpoint")
    notebook.restart()
    assert notebook["big"] == big
    assert notebook["small"] == 1


# -- interrupts


@pytest.mark.parametrize("delay", [0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1])
def test_an_interrupt_during_a_save_abandons_that_save_only(
    notebook: Notebook, said: Said, delay: float
) -> None:
    notebook.run("import numpy as np", "kept = [1]")
    started = threading.Event()
    take = pickling.dump_values

    def slow(*args: Any, **more: Any) -> Any:
        started.set()
        made = take(*args, **more)
        time.sleep(0.003)
        return made

    def interrupt() -> None:
        started.wait(20)
        time.sleep(delay)
        os.kill(os.getpid(), signal.SIGINT)

    clock = threading.Thread(target=interrupt)
    pickling.dump_values = slow
    try:
        clock.start()
        # Long enough that the interrupt comes before the cell's events are over.
        source = "for i in range(60): globals()[f'v{i}'] = [i]\nkept.append(2)\n'stands'"
        result = notebook.cell(source)
        clock.join()
    except KeyboardInterrupt:
        pytest.fail("the interrupt came through to the shell")
    finally:
        pickling.dump_values = take
        started.set()
    assert result.success
    assert result.result == "stands"
    assert len(said()) == 1
    notebook.run("after = 3")
    durable_nb.session().settle()
    # Run All after a kill would repeat what is not recorded.
    assert [a["label"] for a in notebook.attempts()][-2:] == [source, "after = 3"]
    notebook.restart()
    assert (notebook["kept"], notebook["after"], notebook["v59"]) == ([1, 2], 3, [59])


def test_an_interrupted_cell_is_recorded_as_such(tmp_path: Path) -> None:
    with testing.Kernel(tmp_path / "nb.ipynb") as kernel:
        kernel.run("%load_ext durable_nb")
        kernel.run("import time, pathlib\nx = []")
        sent = kernel.send(
            "%%node long\nx.append(1)\npathlib.Path('in').touch()\ntime.sleep(60)\nx.append(2)"
        )
        testing.until_running(tmp_path / "in")
        kernel.interrupt()
        reply = kernel.reply(sent)
        assert reply.status == "error"
        assert "KeyboardInterrupt" in reply.error
        log = kernel.run("%durable log").text
        assert any("long" in line and "INTERRUPTED" in line for line in log.splitlines())
        # The notebook goes on from what the cell had done so far.
        assert kernel.run("x").text == "[1]"
        kernel.run("%checkpoint")
        kernel.kill()
    with testing.Kernel(tmp_path / "nb.ipynb") as kernel:
        kernel.run("%load_ext durable_nb")
        assert kernel.value("x") == "[1]"


def test_a_real_interrupt_in_the_middle_of_a_big_save(tmp_path: Path) -> None:
    with testing.Kernel(tmp_path / "nb.ipynb") as kernel:
        kernel.run("%load_ext durable_nb")
        kernel.run("import pathlib\nkept = [1]")
        sent = kernel.send(
            "many = [[i] for i in range(600_000)]\nkept.append(2)\n"
            "pathlib.Path('in').touch()\nprint('stands')"
        )
        testing.until_running(tmp_path / "in")
        time.sleep(0.05)
        kernel.interrupt()
        reply = kernel.reply(sent)
        assert "stands" in reply.text
        assert reply.status == "ok"
        assert kernel.run("len(many), kept").text == "(600000, [1, 2])"
        assert kernel.run("%checkpoint").status == "ok"
        kernel.kill()
    with testing.Kernel(tmp_path / "nb.ipynb") as kernel:
        kernel.run("%load_ext durable_nb")
        assert kernel.value("(len(many), many[-1], kept)") == "(600000, [599999], [1, 2])"
