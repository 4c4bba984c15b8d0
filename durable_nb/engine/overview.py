"""All that one screen shows of an execution: where it stands, its history, and what going back changes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from durable_nb.engine import lineage
from durable_nb.engine import target as targets
from durable_nb.engine.progress import Summary
from durable_nb.engine.session import Session
from durable_nb.errors import DurableError, NotFoundError
from durable_nb.model import Checkpoint, Component, Record
from durable_nb.state import restore
from durable_nb.state.live import Live, is_pseudo
from durable_nb.store.log import History

How = Literal["changed", "added", "removed", "unchanged"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the history: a checkpoint, or an attempt that made none."""

    number: int
    """of its record"""
    version: int | None
    """None: there is no state to go to"""
    kind: str
    """as in `Checkpoint.kind`, or what else the record is"""
    node: str | None
    label: str
    """what a person knows it by: node, description, or the number of the cell"""
    status: str
    """a `NodeStatus`; "" where no code ran"""
    time: float
    """seconds since 1970"""
    seconds: float
    """run time"""
    stored: int
    """bytes that it added to the store"""
    lane: int
    """0: the branch that is live; others are branches that were left"""
    pinned: bool
    description: str
    changed: tuple[str, ...]
    cell: str | None
    """digest of the chunk with its source"""

    def matches(self, words: Iterable[str]) -> bool:
        """Whether each of some words, in lower case, is in what is shown of it."""
        version = f"v{self.version}" if self.version else ""
        text = " ".join(
            (version, self.label, self.status, self.kind, self.description, *self.changed)
        ).lower()
        return all(word in text for word in words)


@dataclass(frozen=True, slots=True)
class Overview:
    """Where an execution stands."""

    notebook: str
    execution: str
    summary: Summary
    version: int | None
    """what the live state was last equal to"""
    durability: str
    """as of `Keeper`"""
    live: int
    """bytes of the variables, pickled"""
    stored: int
    """bytes of the store on the disk"""
    entries: tuple[Entry, ...]
    """newest first"""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What going to a checkpoint would do to one variable."""

    name: str
    how: How
    now: str
    """preview of the live value"""
    then: str
    """preview of the value there"""
    kind: str
    """its type there, or live where it is not there"""
    size: int
    """bytes there, pickled"""
    note: str = ""
    """why it cannot be brought back, or what it shares objects with"""


def of(session: Session) -> Overview:
    """Where a session's execution stands."""
    keeper = session.keeper
    summary = session.summary()
    try:
        found = entries(session.history(), session.version)
    except NotFoundError:
        found = ()
    return Overview(
        notebook=keeper.notebook.name if keeper.notebook else "",
        execution=keeper.execution,
        summary=summary,
        version=session.version,
        durability=keeper.durability,
        live=sum(live.size for live in set(dict(keeper.capture.live).values())),
        stored=session.repository.bytes_stored(),
        entries=found,
    )


def entries(history: History, current: int | None) -> tuple[Entry, ...]:
    """The history of an execution, newest first."""
    points = history.checkpoints()
    lanes = _lanes(history, current)
    found: list[Entry] = []
    lane = 0
    for record in history.records:
        attempt = record.body.get("attempt")
        point = points.get(record.number)
        if (point is None and not (attempt and attempt["node"])) or (point is not None and point.retired):
            continue
        lane = lanes[record.number] if point is not None else lane
        found.append(_entry(record, attempt, point, lane))
    return tuple(reversed(found))


def _entry(
    record: Record, attempt: Mapping[str, object] | None, point: Checkpoint | None, lane: int
) -> Entry:
    body, known = record.body, attempt or {}
    state = body.get("state")
    changed = sorted(n for n in (*state["set"], *state["del"]) if not is_pseudo(n)) if state else []
    description = point.description if point is not None else ""
    node = body.get("node")
    return Entry(
        number=record.number,
        version=record.number if state else None,
        kind=record.kind,
        node=node,
        label=str(node or known.get("label") or description or record.kind),
        status=str(known.get("status", "")),
        time=record.time,
        seconds=float(str(known.get("seconds", 0.0))),
        stored=int(body.get("stored", 0)),
        lane=lane,
        pinned=point is not None and point.pinned,
        description=description if node or known.get("label") else "",
        changed=tuple(changed),
        cell=body.get("cell"),
    )


def _lanes(history: History, current: int | None) -> dict[int, int]:
    """The branch of each version: 0 leads to the current one; each other gets the lowest that is free."""
    points = history.checkpoints()
    parents = {version: point.parent for version, point in points.items()}
    lanes = dict.fromkeys(lineage.versions(history, current), 0)
    taken: dict[int, int] = {}
    for version in sorted(parents, reverse=True):
        if version in lanes:
            continue
        chain = [version]
        while (parent := parents[chain[-1]]) is not None and parent in parents and parent not in lanes:
            chain.append(parent)
        if all(points[version].retired for version in chain):
            continue  # nothing of it is shown
        foot = parents[chain[-1]] or 0
        lane = next(n for n in range(1, len(taken) + 2) if taken.get(n, version) >= version)
        taken[lane] = foot
        lanes.update(dict.fromkeys(chain, lane))
    return lanes


def changes(session: Session, version: int) -> list[Forecast]:
    """What going to a checkpoint would do, variable by variable; nothing is loaded to say it.

    Raises:
        DurableError: the checkpoint cannot be read.
    """
    keeper = session.keeper
    keeper.wait()
    target = targets.open_target(session.repository, session.history(), version)
    live = dict(keeper.capture.live)  # a cell may be running in another thread
    todo = restore.plan(target.state, target.manifests, keeper.capture)
    found = []
    for name in sorted({*target.state, *live}):
        if is_pseudo(name):
            continue
        there = target.manifests[target.state[name]] if name in target.state else None
        if name not in live:
            how: How = "added"
        elif there is None:
            how = "removed"
        else:
            how = "changed" if name in todo.load else "unchanged"
        found.append(_forecast(name, how, live.get(name), there))
    order = ("changed", "added", "removed", "unchanged")
    return sorted(found, key=lambda one: (order.index(one.how), one.name))


def _forecast(name: str, how: How, live: Live | None, there: Component | None) -> Forecast:
    shared = [n for n in there.names if n != name and not is_pseudo(n)] if there else []
    note = (there.unsaved if there else None) or (
        f"shares objects with {', '.join(shared[:3])}" if shared else ""
    )
    types: Mapping[str, str] = there.types if there else live.types if live else {}
    return Forecast(
        name=name,
        how=how,
        now=(live.previews.get(name, "") or live.types.get(name, "")) if live else "",
        then=(there.previews.get(name, "") or there.types.get(name, "")) if there else "",
        kind=types.get(name, ""),
        size=there.size if there else 0,
        note=note,
    )


def first_line(session: Session, entry: Entry) -> str:
    """What a person knows a plain cell by: the first line that says something; else its label."""
    return entry.node or source_line(session, entry.cell) or entry.label


def source_line(session: Session, cell: str | None) -> str:
    """The first line of a recorded cell that says something; "" where it cannot be read."""
    if cell is None:
        return ""
    try:
        source = json.loads(session.repository.cell(cell))["source"]
    except (DurableError, OSError):
        return ""
    lines: Sequence[str] = [line.strip() for line in source.splitlines()]
    return next((line[:60] for line in lines if line and not line.startswith("#")), "")
