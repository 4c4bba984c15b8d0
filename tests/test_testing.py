from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from IPython.core.getipython import get_ipython

from durable_nb import testing
from durable_nb.testing import Kernel, until_running


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(tmp_path / "analysis.ipynb") as kernel:
        yield kernel


def test_a_cell_comes_back_with_what_it_showed(kernel: Kernel) -> None:
    reply = kernel.run("print('one')\nprint('two')\n3")
    assert (reply.status, reply.text, reply.error, reply.count) == ("ok", "one\ntwo\n3", "", 1)
    assert [o["output_type"] for o in reply.outputs] == ["stream", "execute_result"]


def test_displays_are_updated_and_cleared_as_in_a_front_end(kernel: Kernel) -> None:
    reply = kernel.run(
        "from IPython.display import clear_output\nprint('gone')\nclear_output(wait=True)\n"
        "shown = display(1, display_id=True)\nshown.update(2)"
    )
    assert reply.text == "2"


def test_run_all_stops_at_the_cell_that_fails(kernel: Kernel) -> None:
    cells = [nbformat.v4.new_markdown_cell("# text"), nbformat.v4.new_code_cell("x = 1"), "x / 0", "x = 2"]
    replies = kernel.run_all(cells)
    assert [r.status for r in replies] == ["ok", "error"]
    assert replies[-1].error == "ZeroDivisionError: division by zero"
    assert kernel.value("x") == "1"


def test_the_kernel_knows_its_notebook_and_keeps_away_from_the_users_key(kernel: Kernel) -> None:
    home = str(kernel.notebook.parent / ".home")
    assert kernel.value("__import__('os').environ['JPY_SESSION_NAME']") == repr(str(kernel.notebook))
    assert kernel.value("__import__('jupyter_core.paths').paths.jupyter_data_dir()").startswith(f"'{home}")


def test_a_kernel_killed_in_the_middle_of_a_cell_is_started_again(kernel: Kernel, tmp_path: Path) -> None:
    marker = tmp_path / "running"
    kernel.run("x = 1")
    sent = kernel.send(f"print('begun', flush=True)\nopen({str(marker)!r}, 'x').close()\nwhile True: pass")
    until_running(marker)
    kernel.kill()
    assert not kernel.alive
    assert kernel.reply(sent).status == "died"
    kernel.restart()
    assert kernel.run("x").error == "NameError: name 'x' is not defined"


def test_a_cell_is_interrupted(kernel: Kernel, tmp_path: Path) -> None:
    marker = tmp_path / "running"
    sent = kernel.send(f"open({str(marker)!r}, 'x').close()\nwhile True: pass")
    until_running(marker)
    kernel.interrupt()
    assert kernel.reply(sent).error.startswith("KeyboardInterrupt")


def test_a_stopped_kernel_does_not_answer_until_it_goes_on(kernel: Kernel) -> None:
    kernel.stop()
    sent = kernel.send("1 + 1")
    with pytest.raises(TimeoutError):
        kernel.reply(sent, timeout=0.3)
    kernel.cont()
    assert kernel.run("2 + 2").text == "4"


def test_a_clean_end_lets_the_kernel_finish(kernel: Kernel, tmp_path: Path) -> None:
    said = tmp_path / "said"
    kernel.run(f"import atexit, pathlib\n_ = atexit.register(pathlib.Path({str(said)!r}).touch)")
    kernel.restart()
    assert said.exists()
    assert kernel.run("1").text == "1"


def test_a_marker_that_never_comes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="was not made"):
        until_running(tmp_path / "never", timeout=0.02)


def test_the_shell_records_cells_and_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    before, here, main = dict(os.environ), Path.cwd(), sys.modules["__main__"]
    with testing.shell(tmp_path) as shell:
        assert testing.run(shell, "x = [1]").success
        assert testing.run(shell, "%checkpoint").success
        assert (tmp_path / ".durable").is_dir()
        assert get_ipython() is shell
    assert (dict(os.environ), Path.cwd(), sys.modules["__main__"]) == (before, here, main)
    assert get_ipython() is None
    with testing.shell(tmp_path) as shell:
        assert testing.run(shell, "%recover").success
        assert shell.user_ns["x"] == [1]
