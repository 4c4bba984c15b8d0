from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from IPython.core.interactiveshell import ExecutionResult

import durable_nb
from durable_nb import testing
from durable_nb.model import RecoveryResult


class Notebook:
    """One notebook, worked on in one shell of this process after another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open = ExitStack()
        self.open()

    def open(self) -> None:
        self.shell = self._open.enter_context(testing.shell(self.folder))

    def close(self) -> None:
        self._open.close()

    def cell(self, source: str, cell_id: str | None = None) -> ExecutionResult:
        return testing.run(self.shell, dedent(source).strip("\n"), cell_id=cell_id)

    def run(self, *cells: str) -> Any:
        """Run cells that have to succeed; returns the value of the last one."""
        value = None
        for source in cells:
            result = self.cell(source)
            result.raise_error()
            value = result.result
        return value

    def __getitem__(self, name: str) -> Any:
        return self.space[name]

    @property
    def space(self) -> dict[str, Any]:
        return self.shell.user_ns

    def names(self) -> set[str]:
        hidden = self.shell.user_ns_hidden
        return {n for n in self.space if not n.startswith("_") and n not in hidden} - {"In", "Out"}

    @property
    def execution(self) -> str:
        return durable_nb.session().keeper.execution

    def checkpoint(self) -> tuple[str, int]:
        """Returns what `back_to` takes, in later shells too."""
        version = durable_nb.checkpoint().version
        return self.execution, version

    def back_to(self, point: tuple[str, int], only: list[str] | None = None) -> RecoveryResult:
        execution, version = point
        return durable_nb.session().recover(version, only=only, execution=execution)

    def restart(self) -> RecoveryResult:
        """End in order, and bring the newest checkpoint into a new shell."""
        self.close()
        self.open()
        return durable_nb.recover()

    def attempts(self) -> list[Mapping[str, Any]]:
        """Every attempt; a plain cell's label is its source, which the log itself does not hold."""
        session = durable_nb.session()
        found = []
        for record in session.history().records:
            attempt = record.body.get("attempt")
            if attempt and not attempt["node"] and record.body.get("cell"):
                source = json.loads(session.repository.cell(record.body["cell"]))["source"]
                attempt = {**attempt, "label": source.strip()}
            if attempt:
                found.append(attempt)
        return found


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Everything printed since the last call."""

    def text() -> str:
        shown = capsys.readouterr()
        return shown.out + shown.err

    return text


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost attempt is tried again without a pause, in kernels of the tests too."""
    monkeypatch.setenv("DURABLE_NB_RECOVERY_DELAY", "0")


@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[Notebook]:
    opened = Notebook(tmp_path)
    yield opened
    opened.close()
