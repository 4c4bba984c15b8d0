"""Clicks on widgets while a cell runs: some ipykernels handle them then, on another thread, some after it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from durable_nb.testing import Kernel, until_running

from .clicker import Clicker

ROOT = Path(__file__).parents[2]

BUTTON = """\
%load_ext durable_nb
import pathlib, threading, time
import ipywidgets
pressed = []
button = ipywidgets.Button(description="Press")
button.on_click(lambda _: pressed.append((threading.current_thread().name, time.monotonic())))
"""

BUSY = """\
begun = time.monotonic()
pathlib.Path("running").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.01)
ended = time.monotonic()
"""


@dataclass(frozen=True, slots=True)
class Press:
    """What came of a click."""

    on_main: bool
    """whether the main thread handled it"""
    during: bool
    """whether it was handled while the cell ran"""


def presses(folder: Path, *, wait: float) -> list[Press]:
    """One click while a cell runs, which it does for up to `wait` seconds more; one when it is over."""
    with Kernel(folder / "analysis.ipynb") as kernel, Clicker(kernel) as clicker:
        assert kernel.run(BUTTON).error == ""
        comm = clicker.comm_of("button")
        cell = kernel.send(BUSY)
        until_running(folder / "running")
        first = clicker.click(comm)
        clicker.handled(first, timeout=wait)
        (folder / "go").touch()
        assert kernel.reply(cell).status == "ok"
        assert clicker.handled(first)
        assert clicker.handled(clicker.click(comm))
        found, begun, ended = ast.literal_eval(kernel.value("(pressed, begun, ended)"))
    return [Press(thread == "MainThread", begun < when < ended) for thread, when in found]


def test_a_click_is_handled_once_whether_a_cell_runs_or_not(tmp_path: Path) -> None:
    first, second = presses(tmp_path, wait=1)
    assert first.on_main != first.during  # never in the middle of a cell on the cell's own thread
    assert not second.during


AT_ONCE = [Press(on_main=False, during=True), Press(on_main=False, during=False)]
AFTERWARDS = [Press(on_main=True, during=False), Press(on_main=True, during=False)]


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """For JUPYTER_PATH: a folder in which python3 is an ipykernel of that version, with the extension."""

    @cache
    def made(version: str) -> Path:
        folder = tmp_path_factory.mktemp("kernels")
        python = folder / "venv" / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        packages = ["-e", str(ROOT), f"ipykernel=={version}", "ipywidgets"]
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
        spec = folder / "kernels" / "python3" / "kernel.json"
        spec.parent.mkdir(parents=True)
        command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec.write_text(json.dumps({"argv": command, "display_name": version, "language": "python"}))
        return folder

    return made


@pytest.mark.long
@pytest.mark.parametrize(("version", "expected", "wait"), [("6.31.0", AFTERWARDS, 1), ("7.3.0", AT_ONCE, 30)])
def test_clicks_in_other_ipykernels(
    version: str,
    expected: list[Press],
    wait: float,
    kernels: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(kernels(version)))
    assert presses(tmp_path, wait=wait) == expected


DASHBOARD = "__import__('durable_nb.shell.extension', fromlist=['of']).of(get_ipython()).steering.dashboard"
"""Not a variable: that would go with the rollback."""

NODES = [
    "%load_ext durable_nb",
    "import pathlib, time\na = [1]",
    "%%node one\na.append(2)",
    "%%node two\na.append(3)",
    "%durable",
]

WAITS = """\
pathlib.Path("running").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.01)
a.append("end")
list(a)
"""


def rolls_back(folder: Path) -> None:
    """A click on the dashboard while a cell runs touches nothing under it; a click afterwards rolls back."""
    with Kernel(folder / "analysis.ipynb") as kernel, Clicker(kernel) as clicker:
        for source in NODES:
            assert kernel.run(source).error == ""
        kernel.value(f"{DASHBOARD}.choose(1)")
        button = clicker.comm_of(f"{DASHBOARD}.back")
        cell = kernel.send(WAITS)
        until_running(folder / "running")
        first = clicker.click(button)
        clicker.handled(first, timeout=1)
        (folder / "go").touch()
        reply = kernel.reply(cell)
        assert reply.status == "ok"
        assert reply.text == "[1, 2, 3, 'end']"
        assert clicker.handled(first)
        told = kernel.value(f"{DASHBOARD}.told")
        assert "a cell is running" in told or "brought back" in told
        assert clicker.handled(clicker.click(button))
        assert kernel.value("a") == "[1, 2]"


def test_the_dashboard_never_moves_the_state_under_a_running_cell(tmp_path: Path) -> None:
    rolls_back(tmp_path)


def test_looking_again_and_again_makes_no_more_widgets(tmp_path: Path) -> None:
    count = "len(__import__('ipywidgets').widgets.widget._instances)"
    with Kernel(tmp_path / "analysis.ipynb") as kernel:
        for source in NODES:
            assert kernel.run(source).error == ""
        before = kernel.value(count)
        for _ in range(5):
            kernel.run("%durable")
        assert kernel.value(count) == before


def test_what_a_user_captures_has_no_line_of_ours(tmp_path: Path) -> None:
    captures = "%%node slow\nwith capture_output() as shown:\n    time.sleep(2.2)"
    with Kernel(tmp_path / "analysis.ipynb", person=True) as kernel:
        kernel.run(NODES[0])
        kernel.run("import time\nfrom IPython.utils.capture import capture_output")
        line = kernel.run(captures).text
        assert line.startswith("✓ slow")
        assert kernel.value("shown.outputs") == "[]"


@pytest.mark.long
@pytest.mark.parametrize("version", ["6.31.0", "7.3.0"])
def test_nor_in_other_ipykernels(
    version: str, kernels: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(kernels(version)))
    rolls_back(tmp_path)
