from __future__ import annotations

import asyncio
from pathlib import Path

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient

from durable_nb.shell.whereami import Place, interactive, kernel_kind, locate

from .kernels import kernel


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    return tmp_path


def test_whoever_is_most_specific_names_the_notebook(
    shell: InteractiveShell, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert locate(shell) == Place(None, "unknown", here)
    monkeypatch.setenv("JPY_SESSION_NAME", "/srv/work/a.ipynb")
    assert locate(shell) == Place(Path("/srv/work/a.ipynb"), "jupyter", Path("/srv/work"))
    shell.user_ns["PAPERMILL_INPUT_PATH"] = "in/b.ipynb"
    assert locate(shell) == Place(here / "in/b.ipynb", "papermill", here / "in")
    shell.user_ns["PAPERMILL_OUTPUT_PATH"] = "out/c.ipynb"
    assert locate(shell).notebook == here / "out/c.ipynb"
    shell.user_ns["__vsc_ipynb_file__"] = "/home/x/d.ipynb"
    assert locate(shell) == Place(Path("/home/x/d.ipynb"), "vscode", Path("/home/x"))
    assert locate(shell, "mine") == Place(here / "mine", "explicit", here)
    assert locate(shell, "/data/e.ipynb") == Place(Path("/data/e.ipynb"), "explicit", Path("/data"))


@pytest.mark.parametrize("claim", ["0f3c-id", "s3://bucket/a.ipynb", "-", "", 7, None])
def test_what_is_no_path_names_no_notebook(shell: InteractiveShell, here: Path, claim: object) -> None:
    shell.user_ns["PAPERMILL_OUTPUT_PATH"] = claim
    assert locate(shell) == Place(None, "unknown", here)


def test_a_deleted_working_directory_does_not_matter(
    shell: InteractiveShell, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = here / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert locate(shell).source == "unknown"


def test_a_bare_shell_has_no_person(shell: InteractiveShell) -> None:
    assert kernel_kind(shell) == "bare"
    assert interactive(shell) is False


ASK = """
from durable_nb.shell.whereami import interactive, kernel_kind
asked = kernel_kind(get_ipython()), interactive(get_ipython())
print(*asked)
"""


def test_a_headless_run_is_told_from_a_person(here: Path) -> None:
    with kernel(here) as running:
        (shown,) = running.run(ASK)
        assert shown["text"] == "kernel False\n"
        (shown,) = running.run(ASK, person=True)
        assert shown["text"] == "kernel True\n"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(ASK)])
    asyncio.run(NotebookClient(notebook, timeout=60).async_execute(cwd=str(here)))
    assert notebook.cells[0].outputs[0]["text"] == "kernel False\n"
