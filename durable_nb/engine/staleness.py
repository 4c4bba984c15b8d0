"""Which finished nodes no longer hold, and why: their source, what they reach, what they were made from."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from durable_nb.engine import lineage, resume
from durable_nb.model import NodeStatus, Record
from durable_nb.store.log import History

_KINDS = ("node", "reuse")


def stale(
    history: History,
    inputs_now: Callable[[Iterable[str]], Mapping[str, str]],
    sources: Mapping[str, str],
) -> dict[str, str]:
    """Name -> why, of every finished node that does not hold any more; in the order they were finished.

    That a node, or one after it, changes in place what it was given is how notebooks go on, and no reason.

    Args:
        history: of the execution.
        inputs_now: gives what variables are now (see `Keeper.input_digests`).
        sources: node -> digest of its source in the notebook's file; those that are not known are left out.
    """
    past = _Past(history)
    found: dict[str, str] = {}
    for name, record in sorted(past.completed.items(), key=lambda item: item[1].number):
        attempt = record.body["attempt"]
        inputs = {n: d for n, d in attempt["inputs"].items() if not past.went_on(record, n)}
        source = sources.get(name, attempt["source"])
        reason = resume.why_stale({**attempt, "inputs": inputs}, source, inputs_now(inputs))
        if reason is not None:
            changed = [n for n in inputs if f"`{n}`" in reason]
            reason += past.since(record, changed[0]) if changed else ""
        else:
            reason = past.above(record, found)
        if reason is not None:
            found[name] = reason
    return found


class _Past:
    """The records of one execution, asked for who changed what."""

    def __init__(self, history: History) -> None:
        self.completed: dict[str, Record] = {}
        """the newest completed attempt of each node"""
        self._changed: dict[str, list[Record]] = {}
        """variable -> who set or deleted it, oldest first"""
        self._rank: dict[str | None, int] = {}
        """nodes in the order in which they first came up"""
        self._line = set(lineage.versions(history, max(history.checkpoints(), default=None)))
        """the versions that led to the newest state"""
        for record in history.records:
            state, attempt = record.body.get("state"), record.body.get("attempt")
            for name in (*state["set"], *state["del"]) if state else ():
                self._changed.setdefault(name, []).append(record)
            if not attempt or not attempt.get("node"):
                continue
            self._rank.setdefault(attempt["node"], len(self._rank))
            if record.kind in _KINDS and attempt["status"] in (NodeStatus.COMPLETED, NodeStatus.REUSED):
                self.completed[attempt["node"]] = record

    def went_on(self, record: Record, name: str) -> bool:
        """Whether since a node began, only itself and nodes after it have given a variable other values."""
        since = [r for r in self._changers(name, record.number) if r.number in self._line]
        own = self._rank[_node(record)]
        return record.number in self._line and bool(since) and all(self._at(r) >= own for r in since)

    def since(self, record: Record, name: str) -> str:
        """Who gave a variable another value after a record."""
        later = self._changers(name, record.number + 1)
        return f": {_label(later[-1])} changed it" if later else ""

    def above(self, record: Record, stale_nodes: Mapping[str, str]) -> str | None:
        """Which stale node made an input, or has to be finished before."""
        attempt = record.body["attempt"]
        for name in attempt["inputs"]:
            before = reversed(self._changers(name, 0, record.number))
            maker = next((_node(r) for r in before if name in r.body["state"]["set"]), None)
            if maker is not None and maker in stale_nodes and self.completed[maker].number < record.number:
                return f"its input `{name}` was made by `{maker}`, which is stale"
        first = next((node for node in attempt.get("after", ()) if node in stale_nodes), None)
        return None if first is None else f"it comes after `{first}`, which is stale"

    def _changers(self, name: str, first: int, end: int | None = None) -> Sequence[Record]:
        """Who changed a variable, from a record's number on, and before another one's."""
        found = self._changed.get(name, [])
        at = bisect_left(found, first, key=_number)
        return found[at : None if end is None else bisect_left(found, end, key=_number)]

    def _at(self, record: Record) -> int:
        return self._rank.get(_node(record), -1)


def _number(record: Record) -> int:
    return record.number


def _node(record: Record) -> str | None:
    attempt = record.body.get("attempt")
    return attempt.get("node") if attempt else None


def _label(record: Record) -> str:
    attempt: Mapping[str, Any] | None = record.body.get("attempt")
    if not attempt:
        return f"v{record.number} ({record.kind})"
    return f"`{attempt['node']}`" if attempt["node"] else str(attempt["label"])
