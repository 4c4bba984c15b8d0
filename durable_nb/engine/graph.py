"""The nodes of a notebook, and which of them needs which."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from durable_nb.engine.nodes import Node
from durable_nb.engine.session import Session
from durable_nb.errors import DurableError
from durable_nb.model import NodeStatus, Record
from durable_nb.state import access


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A node as it is drawn."""

    name: str
    status: NodeStatus | None = None
    """None: it is to do"""
    seconds: float = 0.0
    """run time of the newest completed attempt"""
    version: int | None = None
    """the checkpoint of that attempt"""
    stale: str = ""
    """why its result no longer holds; "" where it does"""
    why: str = ""
    """the error's class, or why it stands so by a rule or a person's decision"""


@dataclass(frozen=True, slots=True)
class Edge:
    """`target` needs `source`."""

    source: str
    target: str
    kind: Literal["data", "after"]
    """it reads what the other one made; or it says `--after`"""
    names: tuple[str, ...] = ()
    """the variables that it reads"""


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in the order of the notebook, and edges in the order of their targets."""

    nodes: tuple[GraphNode, ...] = ()
    edges: tuple[Edge, ...] = ()


def of(session: Session) -> Graph:
    """The graph of a notebook.

    It has the nodes of the notebook's file (all that ever came up where that cannot be read), those that
    came up in this kernel, and those whose results one of these has read. Data edges come from what was
    recorded: a node's inputs, and who had set them when it ran. A plain cell between two nodes passes on
    what it had read itself.
    """
    keeper = session.keeper
    keeper.drain()
    known = dict(keeper.nodes.by_name)
    named = session.sources()
    listed = list(dict.fromkeys([*(known if named is None else named), *session.seen_nodes]))
    records = session.repository.history(keeper.execution).records if keeper.begun else ()
    past = _Past(session, records)
    edges: dict[str, list[Edge]] = {}
    while missing := [name for name in listed if name not in edges]:
        edges |= {name: past.edges(name) for name in missing}
        listed = list(dict.fromkeys([*listed, *(e.source for name in missing for e in edges[name])]))
    stale = session.stale()
    nodes = tuple(_drawn(known.get(name) or Node(name), stale.get(name, "")) for name in listed)
    return Graph(nodes, tuple(edge for name in listed for edge in edges[name]))


def _drawn(node: Node, stale: str) -> GraphNode:
    failed = node.status in (NodeStatus.FAILED, NodeStatus.RETRY_WAIT)
    why = node.error if failed else node.why
    return GraphNode(node.name, node.status, node.seconds, node.version, stale, why)


class _Past:
    """The records of one execution, asked for who made what."""

    def __init__(self, session: Session, records: Sequence[Record]) -> None:
        self._session = session
        self._records = {record.number: record for record in records}
        self._set = {name for record in records for name in _state(record).get("set", ())}
        self._setters: dict[tuple[int | None, str], Record | None] = {}
        self._texts: dict[str, frozenset[str]] = {}
        self._newest: dict[str, Record] = {}
        for record in records:
            attempt = record.body.get("attempt")
            if attempt and attempt["node"] and "state" in record.body:
                self._newest[attempt["node"]] = record

    def edges(self, node: str) -> list[Edge]:
        """What a node needed when it ended last; of one that has not ended yet, what its cell reads now."""
        record = self._newest.get(node)
        if record is not None:
            attempt = record.body["attempt"]
            version, inputs, after = _parent(record), attempt["inputs"], attempt.get("after", ())
        else:
            version, after = self._session.version, ()
            inputs = self._read_by(self._session.keeper.nodes[node].cell)
        names: dict[str, list[str]] = {}
        for name in sorted(inputs):
            for maker in self._makers(node, version, name):
                names.setdefault(maker, []).append(name)
        data = [Edge(maker, node, "data", tuple(read)) for maker, read in names.items()]
        return data + [Edge(name, node, "after") for name in dict.fromkeys(after)]

    def _makers(self, node: str, version: int | None, name: str) -> list[str]:
        """The other nodes that a variable's value at a version comes from."""
        found: dict[str, None] = {}
        todo = [(version, name)]
        seen = set()
        while todo:
            step = todo.pop()
            if step in seen:
                continue
            seen.add(step)
            setter = self._setter(*step)
            attempt = None if setter is None else setter.body.get("attempt")
            if setter is None or not attempt:
                continue
            if attempt["node"] not in (None, node):
                found[attempt["node"]] = None
                continue
            if attempt["node"]:
                read: Iterable[str] = attempt["inputs"]
            else:
                read = () if attempt.get("setup") else self._read_by(setter.body.get("cell"))
            todo += [(_parent(setter), other) for other in read]
        return list(found)

    def _setter(self, version: int | None, name: str) -> Record | None:
        """The record that gave a variable the value that it has at a version."""
        if name not in self._set:
            return None
        if (version, name) not in self._setters:
            found = None
            for record in self._upwards(version, name):
                state = _state(record)
                if name in state.get("set", ()) or name in state.get("del", ()):
                    found = record if name in state["set"] else None
                    break
            self._setters[version, name] = found
        return self._setters[version, name]

    def _upwards(self, version: int | None, name: str) -> Iterator[Record]:
        """A version and those that it came from, newest first; past what only brought the variable back."""
        while version and (record := self._records.get(version)) is not None:
            there: Any = None if record.body.get("attempt") else record.body.get(record.kind)
            brought = isinstance(there, Mapping) and "to" in there and name in _state(record).get("set", ())
            if brought:
                version = there["to"] if there["execution"] == record.execution else None
                continue
            yield record
            version = _parent(record)

    def _read_by(self, cell: str | None) -> frozenset[str]:
        """The names that a recorded cell reads; nothing where its text is gone, or there is no shell."""
        recomputing = self._session.recomputing
        if cell is None or recomputing is None:
            return frozenset()
        if cell not in self._texts:
            tree = None
            with contextlib.suppress(DurableError, OSError):
                tree = recomputing.parse(json.loads(self._session.repository.cell(cell))["source"])
            self._texts[cell] = frozenset(() if tree is None else access.inputs(tree))
        return self._texts[cell]


def _state(record: Record) -> Mapping[str, Any]:
    state: Mapping[str, Any] = record.body.get("state") or {}
    return state


def _parent(record: Record) -> int | None:
    parent: int | None = _state(record).get("parent")
    return parent
