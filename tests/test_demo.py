from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from durable_nb.demo import CELLS, play
from durable_nb.errors import RefusedError
from durable_nb.store.repository import Repository
from durable_nb.testing import Kernel


@pytest.fixture(autouse=True)
def _own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("DURABLE_NB_AUTO_RECOVERY", "0")  # the demo is not about the reader's settings


def test_the_demo_loses_its_kernel_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    command = [
        sys.executable,
        "-c",
        "from durable_nb.cli import main; main()",
        "demo",
        "--folder",
        str(folder),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert (ended.returncode, ended.stderr) == (0, "")
    *_, saved, opening = ended.stdout.strip().splitlines()
    assert saved.startswith("saved you ")
    assert opening.endswith(f"jupyter lab {folder / 'digits.ipynb'}")

    repository = Repository.open(folder / ".durable", create=False)
    assert repository.verify() == []
    (execution,) = repository.executions()
    history = repository.history(execution.id)
    assert execution.status == "COMPLETED"
    attempts = [(r.epoch, r.body["attempt"]) for r in history.records if r.body.get("attempt")]
    nodes = [(epoch, a["node"], a["status"]) for epoch, a in attempts if a["node"]]
    first, second = ([(n, s) for e, n, s in nodes if e == epoch] for epoch in (1, 2))
    assert first == [(node, "COMPLETED") for node in ("load", "clean", "features")]
    assert second == [("train", "LOST"), ("train", "COMPLETED"), ("evaluate", "COMPLETED")]

    notebook = nbformat.read(folder / "digits.ipynb", as_version=4)
    nbformat.validate(notebook)
    cells = {cell.source: cell for cell in notebook.cells}
    assert all(cells[source].execution_count == i for i, source in enumerate(CELLS, 1))
    assert cells[CELLS[2]].outputs[0].data["text/plain"] == "(1797, 64)"
    assert "new digits are read right" in cells[CELLS[-1]].outputs[0].text

    # The reader opens it: everything is there, and train has seen all of its data.
    with Kernel(folder / "digits.ipynb", isolated=False) as kernel:
        kernel.run(CELLS[0])
        assert kernel.run("%recover").status == "ok"
        assert kernel.run("model.score(X_test, y_test) > 0.9, len(scores)").text == "(True, 6)"


def test_a_second_demo_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "digits.ipynb").touch()
    with pytest.raises(RefusedError, match="--folder"):
        play(tmp_path)
