"""Where every node of an execution stands: folded from the log, and kept up with what this kernel adds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from blake3 import blake3

from durable_nb.engine import lifecycle
from durable_nb.model import ExecutionStatus, NodeStatus, Record

FINISHED = frozenset({NodeStatus.COMPLETED, NodeStatus.REUSED, NodeStatus.SKIPPED})
"""Of a node with one of these nothing is left to do."""

_GOES_ON = frozenset({NodeStatus.RETRY_WAIT, NodeStatus.LOST})
"""After one of these the next attempt is a further try of the same."""


@dataclass(frozen=True, slots=True)
class Node:
    """Where one node stands.

    A *run* lasts until the node is finished; its attempts are tries at the same thing.
    """

    name: str
    status: NodeStatus | None = None
    """None: it never came up"""
    run: int = 0
    """counts from 1"""
    tries: int = 0
    """attempts since the last one that a person began"""
    lost: int = 0
    """attempts of the same source that the kernel died in, one after the other"""
    next_at: float = 0.0
    """seconds since 1970: no attempt begins before"""
    began: float = 0.0
    """when the first of `tries` began"""
    started: float = 0.0
    """when the newest attempt began"""
    source: str = ""
    """digest of the source of the newest attempt"""
    effects: bool = False
    """declared with `--effects`"""
    cell: str | None = None
    """digest of the chunk with the source of the newest attempt"""
    seconds: float = 0.0
    """run time of the newest completed attempt"""
    version: int | None = None
    """the checkpoint of the newest completed attempt"""
    error: str = ""
    """class of the newest failure"""
    details: Any = None
    """what the newest attempt last said with `heartbeat`"""
    why: str = ""
    """why it stands so, where a person or a rule decided"""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.status in FINISHED

    def key(self, execution: str) -> str:
        """The idempotency key of its run: the same for every attempt, over all restarts."""
        return blake3(f"{execution}\0{self.name}\0{self.run}".encode()).hexdigest()[:32]


class Nodes:
    """All nodes of one execution, in the order in which they first came up."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.by_name: dict[str, Node] = {}
        self.paused = False
        for record in records:
            self.add(record.kind, record.body, record.number)

    def __getitem__(self, name: str) -> Node:
        return self.by_name.get(name) or Node(name)

    def finished(self) -> set[str]:
        """Names of those of which nothing is left to do."""
        return {name for name, node in self.by_name.items() if node.finished}

    def starting(self, name: str, source: str, *, effects: bool = False) -> Node:
        """The node as its next attempt makes it; nothing is noted yet."""
        node = self[name]
        lifecycle.move(lifecycle.NODE_MOVES, node.status, NodeStatus.STARTED)
        further = node.status in _GOES_ON and node.source == source
        new_run = node.run == 0 or node.finished
        return replace(
            node,
            status=NodeStatus.STARTED,
            run=node.run + 1 if new_run else node.run,
            tries=node.tries + 1 if further else 1,
            lost=node.lost if node.source == source and not new_run else 0,
            began=node.began if further else 0.0,
            next_at=node.next_at if further else 0.0,
            source=source,
            effects=effects,
            details=None if new_run else node.details,
            why="",
        )

    def started(self, node: Node) -> None:
        """An attempt has begun: its intent is kept."""
        self.by_name[node.name] = node

    def again(self, name: str | None) -> None:
        """A finished node ran once more, only for what could not be kept: it is finished as it was."""
        if name is not None:
            self.by_name[name] = replace(self[name], status=NodeStatus.COMPLETED)

    def not_kept(self, name: str) -> None:
        """The newest attempt at a node ended, and that could not be recorded."""
        if self[name].status is NodeStatus.STARTED:
            self.by_name[name] = replace(self[name], status=NodeStatus.INTERRUPTED, why="it was not kept")

    def add(self, kind: str, body: Mapping[str, Any], number: int) -> None:
        """Note what a record says."""
        if kind == "execution":
            self.paused = body["status"] == ExecutionStatus.PAUSED
        attempt = body.get("attempt")
        if attempt and attempt.get("node"):
            self.by_name[attempt["node"]] = _after(self[attempt["node"]], attempt, body, number)


def _after(node: Node, attempt: Mapping[str, Any], body: Mapping[str, Any], number: int) -> Node:
    status = NodeStatus(attempt["status"])
    changes: dict[str, Any] = {
        "why": attempt.get("why", ""), "effects": attempt.get("effects", node.effects), "next_at": 0.0,
        "run": attempt.get("run") or node.run or 1, "details": attempt.get("details"),
    }  # fmt: skip
    if body.get("cell"):
        changes["cell"] = body["cell"]
    if attempt.get("source"):
        changes["source"] = attempt["source"]
    if attempt.get("try"):
        changes["tries"] = attempt["try"]
        changes["began"] = attempt.get("began") or attempt["started"]
        changes["started"] = attempt["started"]
    if status in (NodeStatus.COMPLETED, NodeStatus.REUSED) and "state" in body:
        changes |= {"seconds": attempt["seconds"], "version": number}
    if status is NodeStatus.LOST:
        same = node.source == attempt.get("source", "")
        changes |= {"lost": attempt.get("lost", node.lost + 1 if same else 1)}
        changes |= {"next_at": attempt.get("next") or 0.0}
    elif status is not NodeStatus.QUARANTINED:
        changes["lost"] = 0
    if status is NodeStatus.FAILED:
        changes["error"] = attempt.get("error") or ""
        if attempt.get("next"):
            status, changes["next_at"] = NodeStatus.RETRY_WAIT, attempt["next"]
            changes["lost"] = node.lost
    return replace(node, status=status, **changes)
