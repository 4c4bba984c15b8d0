"""Which finished nodes no longer hold, and why: their source, what they reach, what they were made from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from durable_nb.engine import resume
from durable_nb.model import NodeStatus, Record

_KINDS = ("node", "reuse")


def stale(
    records: Iterable[Record],
    inputs_now: Callable[[Iterable[str]], Mapping[str, str]],
    sources: Mapping[str, str],
) -> dict[str, str]:
    """Name -> why, of every finished node that does not hold any more; in the order they were finished.

    That a node, or one after it, changes in place what it was given is how notebooks go on, and no reason.

    Args:
        records: of the execution, oldest first.
        inputs_now: gives what variables are now (see `Keeper.input_digests`).
        sources: node -> digest of its source in the notebook's file; those that are not known are left out.
    """
    known = list(records)
    last = _completed(known)
    order = list(dict.fromkeys(node for record in known if (node := _node(record))))
    line = _lineage(known)
    found: dict[str, str] = {}
    for name, record in sorted(last.items(), key=lambda item: item[1].number):
        attempt = record.body["attempt"]
        later = set(order[order.index(name) :])
        inputs = {n: d for n, d in attempt["inputs"].items() if not _went_on(line, record, n, later)}
        source = sources.get(name, attempt["source"])
        reason = resume.why_stale({**attempt, "inputs": inputs}, source, inputs_now(inputs))
        if reason is not None:
            changed = [n for n in inputs if f"`{n}`" in reason]
            reason += _since(known, record.number, changed[0]) if changed else ""
        else:
            reason = _above(known, record, last, found)
        if reason is not None:
            found[name] = reason
    return found


def _completed(records: Sequence[Record]) -> dict[str, Record]:
    """The newest completed attempt of each node."""
    last: dict[str, Record] = {}
    for record in records:
        attempt = record.body.get("attempt")
        done = (NodeStatus.COMPLETED, NodeStatus.REUSED)
        if attempt and attempt.get("node") and record.kind in _KINDS and attempt["status"] in done:
            last[attempt["node"]] = record
    return last


def _lineage(records: Sequence[Record]) -> list[Record]:
    """The records that led to the newest state, oldest first."""
    by_number = {record.number: record for record in records if record.body.get("state")}
    at: int | None = max(by_number, default=None)
    found: list[Record] = []
    while at is not None and at in by_number:
        found.append(by_number[at])
        at = by_number[at].body["state"]["parent"]
    return found[::-1]


def _node(record: Record) -> str | None:
    attempt = record.body.get("attempt")
    return attempt.get("node") if attempt else None


def _went_on(line: Sequence[Record], record: Record, name: str, later: Collection[str]) -> bool:
    """Whether since a node began, only itself and nodes after it have given a variable other values."""
    setters = [
        r for r in line
        if r.number >= record.number and (name in r.body["state"]["set"] or name in r.body["state"]["del"])
    ]  # fmt: skip
    return record in line and bool(setters) and all(_node(r) in later for r in setters)


def _since(records: Sequence[Record], number: int, name: str) -> str:
    """Who gave a variable another value after a record."""
    for record in reversed(records):
        state, attempt = record.body.get("state"), record.body.get("attempt")
        if record.number <= number:
            break
        if state is not None and (name in state["set"] or name in state["del"]):
            return f": {_label(record, attempt)} changed it"
    return ""


def _label(record: Record, attempt: Mapping[str, Any] | None) -> str:
    if not attempt:
        return f"v{record.number} ({record.kind})"
    return f"`{attempt['node']}`" if attempt["node"] else str(attempt["label"])


def _above(
    records: Sequence[Record], record: Record, last: Mapping[str, Record], stale_nodes: Mapping[str, str]
) -> str | None:
    """Which stale node made an input, or has to be finished before."""
    attempt = record.body["attempt"]
    for name in attempt["inputs"]:
        for earlier in reversed(records):
            if earlier.number >= record.number or name not in (earlier.body.get("state") or {}).get(
                "set", ()
            ):
                continue
            maker = (earlier.body.get("attempt") or {}).get("node")
            if maker is not None and maker in stale_nodes and last[maker].number < record.number:
                return f"its input `{name}` was made by `{maker}`, which is stale"
            break
    before = next((node for node in attempt.get("after", ()) if node in stale_nodes), None)
    return None if before is None else f"it comes after `{before}`, which is stale"
