"""Notebooks that run without a person: papermill, nbclient, nbconvert."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

SOURCES = [
    "%load_ext durable_nb",
    """\
import pathlib, time
def note(what):
    with open("ran.txt", "a") as log:
        log.write(what + "\\n")""",
    "%%node load\nnote('load')\ndata = [1, 2, 3]\nprint('loaded')\nlen(data)",
    "note('plain')\ndata.append(4)\nstarted = time.time()\nprint('started', started)",
    """\
%%node train --after load
note("train")
data.append("half")
pathlib.Path("running").touch()
while pathlib.Path("wait").exists():
    time.sleep(0.01)
if not pathlib.Path("fixed").exists():
    raise ValueError("not yet")
score = len(data)
score""",
    "note('report')\nprint('score', score, data)",
]
ALL = ["load", "plain", "train", "report"]


class Job:
    """A folder with a notebook, and the ways to run it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write(SOURCES)

    def write(self, sources: list[str]) -> None:
        notebook = nbformat.v4.new_notebook()
        notebook.cells = [nbformat.v4.new_code_cell(s) for s in sources]
        nbformat.write(notebook, self.folder / "job.ipynb")

    def start(self, tool: str, **env: str) -> subprocess.Popen[str]:
        command = {
            "papermill": ["-m", "papermill", "job.ipynb", "out.ipynb", "--no-progress-bar", "-k", "python3"],
            "nbclient": ["-m", "jupyter", "execute", "job.ipynb", "--output", "out.ipynb"],
            "nbconvert": [
                "-m",
                "jupyter",
                "nbconvert",
                "--to",
                "notebook",
                "--execute",
                "job.ipynb",
                "--output",
                "out",
            ],
        }[tool]
        (self.folder / "ran.txt").unlink(missing_ok=True)
        (self.folder / "out.ipynb").unlink(missing_ok=True)
        home = str(self.folder / ".home")
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("DURABLE_NB", "JPY_"))}
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**environ, "JUPYTER_DATA_DIR": home, "IPYTHONDIR": home, **env},
        )

    def run(self, tool: str, **env: str) -> tuple[int, str]:
        process = self.start(tool, **env)
        out, _ = process.communicate(timeout=100)
        return process.returncode, out

    @property
    def ran(self) -> list[str]:
        return (self.folder / "ran.txt").read_text().split()

    def out(self) -> Any:
        return nbformat.read(self.folder / "out.ipynb", as_version=4)

    def text(self, number: int) -> str:
        return "".join(
            o.get("text", "") or o.get("data", {}).get("text/plain", "")
            for o in self.out().cells[number].outputs
        )

    def everything(self) -> str:
        return "\n".join(self.text(n) for n in range(len(SOURCES)))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def test_every_runner_runs_the_notebook_unchanged_and_reuses_nothing_that_was_complete(job: Job) -> None:
    (job.folder / "fixed").touch()
    for tool, resume in (("papermill", "0"), ("nbclient", "0"), ("nbconvert", "1")):
        code, said = job.run(tool, DURABLE_NB_RESUME=resume)
        assert code == 0, said
        assert job.ran == ALL, tool
        out = job.out()
        assert [
            c.cell_type for c in out.cells if "injected-parameters" not in c.metadata.get("tags", [])
        ] == ["code"] * 6
        assert "loaded" in job.text(2)
        assert "5" in job.text(4)
        assert "score 5 [1, 2, 3, 4, 'half']" in job.text(5)
        nbformat.validate(out)
    (job.folder / ".durable" / "log").stat()
    assert len([p for p in (job.folder / ".durable" / "log").iterdir() if p.is_dir()]) == 3


def test_papermill_stops_at_a_failing_node_and_resumes_only_when_asked(job: Job) -> None:
    for _ in range(2):
        # Without being asked, a new run starts from the beginning.
        code, said = job.run("papermill")
        assert code != 0
        assert "not yet" in said
        assert job.ran == ALL[:3]
        out = job.out()
        cells = [
            c
            for c in out.cells
            if c.cell_type == "code" and "papermill-error-cell-tag" not in c.metadata.get("tags", [])
        ]
        status = [c.metadata["papermill"]["status"] for c in cells if "papermill" in c.metadata]
        assert status == ["completed"] * 4 + ["failed", "pending"]
    failed_at = time.time()
    (job.folder / "fixed").touch()
    code, said = job.run("papermill", DURABLE_NB_RESUME="1")
    assert code == 0, said
    assert job.ran == ["train", "report"]
    assert "loaded" in job.text(2)
    assert "3" in job.text(2)
    assert float(job.text(3).split()[-1]) < failed_at
    # The failed attempt's half-done change is not in the state that the node ran on.
    assert "score 5 [1, 2, 3, 4, 'half']" in job.text(5)
    shown = job.everything()
    assert "continues the run" in shown
    assert " s ago" in shown or " min" in shown


@pytest.mark.parametrize(("first", "then"), [("nbclient", "nbconvert")])
def test_a_run_whose_kernel_died_is_resumed(job: Job, first: str, then: str) -> None:
    (job.folder / "wait").touch()
    (job.folder / "fixed").touch()
    process = job.start(first)
    try:
        while not (job.folder / "running").exists():
            assert process.poll() is None
            time.sleep(0.01)
        for child in psutil.Process(process.pid).children(recursive=True):
            child.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert process.returncode != 0
    finally:
        process.kill()
    assert job.ran == ALL[:3]
    (job.folder / "wait").unlink()
    code, said = job.run(then, DURABLE_NB_RESUME="1")
    assert code == 0, said
    assert job.ran == ["train", "report"]
    assert "loaded" in job.text(2)
    assert "score 5 [1, 2, 3, 4, 'half']" in job.text(5)
    assert "continues the run" in job.everything()


@pytest.mark.long
def test_a_run_that_failed_before_a_completed_one_is_not_resumed(job: Job) -> None:
    for _ in range(2):
        job.run("papermill")
    (job.folder / "fixed").touch()
    for expected in (["train", "report"], ALL):
        code, said = job.run("papermill", DURABLE_NB_RESUME="1")
        assert code == 0, said
        assert job.ran == expected
    assert "continues the run" not in job.everything()


@pytest.mark.long
def test_what_begins_otherwise_or_is_too_old_is_not_resumed(job: Job) -> None:
    job.run("papermill")
    (job.folder / "fixed").touch()
    code, _ = job.run("papermill", DURABLE_NB_RESUME="1", DURABLE_NB_RESUME_WINDOW="0.001")
    assert code == 0
    assert job.ran == ALL
    (job.folder / "fixed").unlink()
    job.run("papermill")
    (job.folder / "fixed").touch()
    job.write([SOURCES[0], "note = print", *SOURCES[1:]])
    code, _ = job.run("papermill", DURABLE_NB_RESUME="1")
    assert code == 0
    assert job.ran == ALL


@pytest.mark.long
def test_an_edited_cell_in_a_resumed_run_runs_and_so_does_what_follows_plainly(job: Job) -> None:
    job.run("papermill")
    (job.folder / "fixed").touch()
    sources = list(SOURCES)
    sources[3] = sources[3].replace("data.append(4)", "data.append(44)")
    job.write(sources)
    code, said = job.run("nbclient", DURABLE_NB_RESUME="1")
    assert code == 0, said
    assert job.ran == ["plain", "train", "report"]
    assert "score 5 [1, 2, 3, 44, 'half']" in job.text(5)
