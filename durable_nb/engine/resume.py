"""Catch-up after a loss: which arriving cells are put back instead of run, and on which state others run.

While cells arrive in the recorded order with unchanged source, each finished one is put back. The first
that differs, and the one that was lost, runs on the state recorded just before it; catch-up ends there.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from durable_nb.engine import lineage
from durable_nb.model import NodeStatus
from durable_nb.store.log import History

_NAMED = 100
"""Cells of a branch that was left that are named: the newest."""


@dataclass(frozen=True, slots=True)
class RecordedCell:
    """A finished cell of the lost kernel."""

    version: int
    source: str
    """digest of its canonical source"""
    node: str | None
    setup: bool
    """only imports and magics: always run again"""
    cell: str | None
    """digest of the chunk with its source and outputs"""
    seconds: float
    rerun: bool
    """some variable that it bound could not be kept"""


class Verdict(enum.Enum):
    """What becomes of an arriving cell."""

    PUT_BACK = enum.auto()
    RERUN = enum.auto()
    """run on the state before it; then what was saved of its results is put back"""
    RUN = enum.auto()
    """run on the state before it; catch-up ends"""
    SETUP = enum.auto()
    """imports and magics that were not recorded here: run, and go on catching up"""


@dataclass(frozen=True, slots=True)
class Answer:
    """The verdict on one arriving cell."""

    verdict: Verdict
    cell: RecordedCell | None = None
    before: int | None = None
    """version of the state just before it"""


def attempt(
    *, n: int, node: str | None, label: str, source: str, status: NodeStatus, started: float, **more: Any
) -> dict[str, Any]:
    """An attempt as a record holds it.

    Args:
        n: its intent's number in the epoch.
        node: the node's name; None for a plain cell.
        label: what a person knows it by.
        source: digest of its canonical source.
        status: how it ended.
        started: seconds since 1970, UTC.
        more: `seconds`, `setup`, `after`, `scan`, `inputs`, `unsaved`, `cell_id`.
    """
    rest = {
        "seconds": 0.0, "setup": False, "after": [], "scan": "", "inputs": {}, "unsaved": [], "cell_id": None
    }  # fmt: skip
    known = {
        "n": n,
        "node": node,
        "label": label,
        "source": source,
        "status": str(status),
        "started": started,
    }
    return {**known, **rest, **more}


def left_behind(history: History, before: int | None, after: int) -> tuple[str, ...]:
    """Cells and nodes whose visible output belongs to the branch that was left, oldest first.

    Args:
        history: of the execution.
        before: the version that was live.
        after: the version that is live now.
    """
    now = set(lineage.versions(history, after))
    left = [version for version in lineage.versions(history, before) if version not in now][-_NAMED:]
    done = (NodeStatus.COMPLETED, NodeStatus.REUSED)
    names = []
    for version in left:
        entry = history.entry(version)
        attempt = entry.record.body.get("attempt") if entry is not None else None
        if attempt and attempt["status"] in done:
            names.append(str(attempt["label"]))
    return tuple(dict.fromkeys(names))


def recorded_cells(history: History, version: int | None, failed: Collection[str] = ()) -> list[RecordedCell]:
    """The finished cells that led to a version, in the order in which they ran.

    `failed` are variables that could not be loaded: the cells that made them have to run.
    """
    cells = []
    done = (NodeStatus.COMPLETED, NodeStatus.REUSED)
    for record in lineage.records(history, version):
        attempt = record.body.get("attempt")
        if attempt is None or attempt["status"] not in done:
            continue
        cells.append(
            RecordedCell(
                record.number,
                attempt["source"],
                attempt["node"],
                attempt.get("setup", False),
                record.body.get("cell"),
                attempt["seconds"],
                bool(attempt["unsaved"]) or not record.body["state"]["set"].keys().isdisjoint(failed),
            )
        )
    return cells


@dataclass(slots=True)
class CatchUp:
    """The recorded order, and how far the new kernel has come in it."""

    cells: list[RecordedCell]
    version: int
    """the newest version, which is live when catch-up begins"""
    at: int = 0
    active: bool = True
    remade: dict[str, frozenset[str]] = field(default_factory=dict)
    """variables that could not be kept and were made again -> the names in the cell that made them"""

    def arrive(self, source: str, *, setup: bool) -> Answer:
        """Decide on the cell that is about to run."""
        if not self.active:
            return Answer(Verdict.RUN)
        index = self._match(source)
        if index is not None:
            cell, before = self.cells[index], self._before(index)
            self.at = index + 1
            if cell.rerun:
                return Answer(Verdict.RERUN, cell, before)
            return Answer(Verdict.PUT_BACK, cell, before)
        if setup:
            return Answer(Verdict.SETUP)
        self.active = False
        started = any(not cell.setup for cell in self.cells[: self.at])
        done = all(cell.setup for cell in self.cells[self.at :])
        if not started or done:
            return Answer(Verdict.RUN)  # the newest state is live, and is the one to work on
        return Answer(Verdict.RUN, before=self._before(self.at))

    def place(self) -> tuple[float, float]:
        """The versions between which catch-up stands: of the last cell that came, and of the next one."""
        before = self.cells[self.at - 1].version if self.at else 0
        return before, self.cells[self.at].version if self.at < len(self.cells) else float("inf")

    def _match(self, source: str) -> int | None:
        """The next recorded cell, past imports and magics that did not come again."""
        for index in range(self.at, len(self.cells)):
            if self.cells[index].source == source:
                return index
            if not self.cells[index].setup:
                return None
        return None

    def _before(self, index: int) -> int | None:
        return self.cells[index - 1].version if index else None


def why_stale(attempt: Mapping[str, Any], source: str, inputs: Mapping[str, str]) -> str | None:
    """Why a completed node cannot be put back now; None where it can.

    Args:
        attempt: the completed attempt as recorded.
        source: digest of the node's source now.
        inputs: name -> what each of its inputs is now (see `Keeper.input_digests`).
    """
    node = attempt["node"]
    if attempt["source"] != source:
        return f"source of `{node}` changed"
    for name, digest in attempt["inputs"].items():
        if not digest:
            return f"input `{name}` cannot be kept, so it cannot be compared"
        if inputs.get(name) != digest:
            return f"input `{name}` differs" if name in inputs else f"input `{name}` is gone"
    return None
