"""What records say about checkpoints: enough for most questions, and quick to read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from durable_nb.model import Checkpoint, Record

_MARKS = ("pin", "unpin", "retire", "forget", "describe")
_COLUMNS = ("version", "parent", "time", "kind", "node", "description", "pinned", "retired")


@dataclass(frozen=True, slots=True)
class Outline:
    """The checkpoints that some records made, and the marks that they put on checkpoints, oldest first."""

    points: Sequence[Checkpoint]
    """as they were made"""
    marks: Sequence[Mapping[str, Any]]
    """from the body of each record that has some"""

    @classmethod
    def of(cls, records: Iterable[Record]) -> Outline:
        """What these records say, oldest first."""
        points, marks = [], []
        for record in records:
            body = record.body
            if found := {mark: body[mark] for mark in _MARKS if mark in body}:
                marks.append(found)
            state = body.get("state")
            if state is not None:
                points.append(
                    Checkpoint(
                        version=record.number,
                        parent=state["parent"],
                        time=record.time,
                        kind=record.kind,
                        node=body.get("node"),
                        description=body.get("description") or "",
                        pinned=bool(body.get("pinned", False)),
                        retired=False,
                        changed=tuple(state["set"]),
                        deleted=tuple(state["del"]),
                        digest=record.digest,
                    )
                )
        return cls(points, marks)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Outline:
        """The opposite of `to_json`. Raises KeyError, TypeError or ValueError for anything else."""
        columns = raw["points"]
        points = map(
            Checkpoint,
            *(columns[name] for name in _COLUMNS),
            map(tuple, columns["changed"]),
            map(tuple, columns["deleted"]),
            columns["digest"],
        )
        return cls(list(points), raw["marks"])

    def to_json(self) -> dict[str, Any]:
        """As it is written into a summary: a list for each field, which is read in half the time."""
        names = (*_COLUMNS, "changed", "deleted", "digest")
        return {
            "points": {name: [getattr(point, name) for point in self.points] for name in names},
            "marks": list(self.marks),
        }


def checkpoints(outlines: Iterable[Outline]) -> dict[int, Checkpoint]:
    """Every version with the marks of all records, oldest first."""
    points: dict[int, Checkpoint] = {}
    pinned: dict[int, bool] = {}
    retired: set[int] = set()
    described: dict[int, str] = {}
    for outline in outlines:
        points.update((point.version, point) for point in outline.points)
        for mark in outline.marks:
            pinned |= dict.fromkeys(mark.get("pin", ()), True) | dict.fromkeys(mark.get("unpin", ()), False)
            retired.update(mark.get("retire", ()))
            described |= {int(version): text for version, text in mark.get("describe", {}).items()}
    for version in (pinned.keys() | retired | described.keys()) & points.keys():
        point = points[version]
        if version in described:
            point = replace(point, description=described[version])
        points[version] = replace(point, pinned=pinned.get(version, point.pinned), retired=version in retired)
    return points


def forgotten(outlines: Iterable[Outline]) -> frozenset[str]:
    """Digests of the manifests and cells that the user removed from all history."""
    marks = [mark.get("forget") or {} for outline in outlines for mark in outline.marks]
    return frozenset(d for mark in marks for kind in ("manifests", "cells") for d in mark.get(kind, ()))
