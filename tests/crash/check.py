"""What has to hold after each kill, as functions: of the log, and of what the cells wrote themselves.

Each gives a line for everything that is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from durable_nb.engine import lifecycle
from durable_nb.engine.nodes import Node, Nodes
from durable_nb.errors import NodeError
from durable_nb.model import NodeStatus
from durable_nb.store.log import History
from durable_nb.store.repository import Repository

from .program import Program

_RESET = ("failed", "hung", "interrupted", "decided-release", "decided-rerun")
"""After one of these, attempts that are lost are counted anew."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A line that a cell wrote while it ran."""

    what: str
    name: str
    pid: int
    key: str


@dataclass(slots=True)
class Memory:
    """What was seen after the kills before."""

    acknowledged: dict[str, int]
    """node whose completion a fresh reader has seen -> lines that cells had written by then"""


def read(file: Path) -> list[Ran]:
    """What cells have written, oldest first."""
    lines = (line.split() for line in file.read_text().splitlines())
    return [Ran(what, name, int(pid), key) for what, name, pid, key in lines]


def everything(
    program: Program, repository: Repository, others: Collection[str], ran: Sequence[Ran], memory: Memory
) -> Iterator[str]:
    """After a kill, and in the end."""
    yield from (f"damaged: {line}" for line in repository.verify())
    yield from not_run_again(ran, memory)
    yield from not_too_often(program, ran)
    yield from decided(program, ran)
    names = [e for e in repository.execution_ids() if e not in others]
    if len(names) > 1:
        yield f"illegal: a lost run was not continued: there are {names}"
    for name in names:
        history = repository.history(name)
        if not history.trusted:
            yield "illegal: the execution is not signed"
        yield from whole(history)
        yield from legal_attempts(history)
        yield from legal_nodes(history)
        yield from quarantined(history, program.max_attempts)
        if len(names) == 1:
            yield from begun(history, ran)
        for node in acknowledged(history):
            memory.acknowledged.setdefault(node, len(ran))


def whole(history: History) -> Iterator[str]:
    """Numbers without gaps, each record on top of the one before."""
    numbers = [record.number for record in history.records]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"illegal: numbers with gaps: {numbers}"
    for before, after in zip(history.records, history.records[1:], strict=False):
        if after.parent != before.digest or after.epoch < before.epoch:
            yield f"illegal: record {after.number} does not follow {before.number}"


def acknowledged(history: History) -> set[str]:
    """Nodes whose completion is kept."""
    return {
        record.body["attempt"]["node"]
        for record in history.records
        if record.kind == "node" and record.body["attempt"]["status"] == NodeStatus.COMPLETED
    }


def not_run_again(ran: Sequence[Ran], memory: Memory) -> Iterator[str]:
    """No acknowledged node runs again."""
    for node, at in memory.acknowledged.items():
        again = [line for line in ran[at:] if line.what == "begun" and line.name == node]
        yield from (f"again: `{node}` was acknowledged and ran again in {line.pid}" for line in again)


def not_too_often(program: Program, ran: Sequence[Ran]) -> Iterator[str]:
    """No node begins more often than it may, after being lost each time."""
    for cell in program.cells:
        lost = 0
        for line in ran:
            if line.name != cell.name or not cell.is_node:
                continue
            if line.what in _RESET:
                lost = 0
            lost += line.what == "begun"
            if line.what == "begun" and lost > program.max_attempts:
                yield f"often: `{cell.name}` began {lost} times, and was lost each time before"


def decided(program: Program, ran: Sequence[Ran]) -> Iterator[str]:
    """No node with effects that was lost begins without a decision."""
    for cell in program.cells:
        last: Ran | None = None
        for line in ran:
            if not cell.effects or line.name != cell.name:
                continue
            if line.what == "begun" and last is not None and last.what in ("begun", "done", "died"):
                yield f"often: `{cell.name}` has effects, was lost, and ran again undecided in {line.pid}"
            last = line


def begun(history: History, ran: Sequence[Ran]) -> Iterator[str]:
    """Each attempt's intent is kept before it runs, and all attempts of a run have one key."""
    intents = [i for epoch in history.epochs for i in history.intents(epoch) if i.get("node")]
    keys = Counter(Node(i["node"], run=i["run"]).key(history.execution) for i in intents)
    seen = Counter(line.key for line in ran if line.what == "begun" and line.key != "-")
    for key, times in seen.items():
        if times > keys[key]:
            yield f"illegal: {times} attempts ran with key {key}, {keys[key]} intents are kept"
    used: dict[str, set[str]] = {}
    for line in ran:
        if line.what == "begun" and line.key != "-":
            used.setdefault(line.name, set()).add(line.key)
    for name, found in used.items():
        if len(found) > 1:
            yield f"illegal: the attempts of `{name}` had {len(found)} keys"


def legal_attempts(history: History) -> Iterator[str]:
    """Each record answers an intent, by a legal move, and is the only one that does."""
    started = {
        (epoch, i["n"]): i["label"]
        for epoch in history.epochs
        for i in history.intents(epoch)
        if "label" in i
    }
    answered: dict[tuple[int, int], NodeStatus] = {}
    for record in history.records:
        attempt = record.body.get("attempt")
        if not attempt or not attempt["n"]:
            continue
        status, epoch = NodeStatus(attempt["status"]), record.epoch
        if status is NodeStatus.LOST:
            mine = [e for e, n in started if n == attempt["n"] and e < epoch and (e, n) not in answered]
            epoch = max((e for e in mine if started[e, attempt["n"]] == attempt["label"]), default=0)
        place = (epoch, attempt["n"])
        if started.get(place) != attempt["label"]:
            yield f"illegal: record {record.number} ({attempt['label']}, {status}) answers no intent"
            continue
        try:
            lifecycle.move(lifecycle.ATTEMPT_MOVES, answered.get(place, NodeStatus.STARTED), status)
        except NodeError as error:
            yield f"illegal: attempt of {attempt['label']} in record {record.number}: {error}"
        answered[place] = status


def legal_nodes(history: History) -> Iterator[str]:
    """Every node goes from one state to the next as `NODE_MOVES` has it."""
    status: dict[str, NodeStatus] = {}
    for node, now, where in _moves(history):
        before = status.get(node)
        try:
            lifecycle.move(lifecycle.NODE_MOVES, before, now)
        except NodeError as error:
            yield f"illegal: `{node}` at {where}: {error}"
        status[node] = now


def quarantined(history: History, most: int) -> Iterator[str]:
    """A node goes to quarantine when it was lost so often in a row, and not before."""
    lost: Counter[str] = Counter()
    for node, now, where in _moves(history):
        if now is NodeStatus.STARTED:
            if lost[node] >= most:
                yield f"often: `{node}` starts at {where}, and was lost {lost[node]} times"
        elif now is NodeStatus.QUARANTINED:
            if lost[node] != most:
                yield f"illegal: `{node}` in quarantine after {lost[node]} losses of {most}"
            lost[node] = 0
        elif now is NodeStatus.LOST and "released" not in where:
            lost[node] += 1
        elif now in (NodeStatus.LOST, NodeStatus.RETRY_WAIT):
            pass
        elif now is not NodeStatus.INTERRUPTED or where.startswith("record"):
            # What was interrupted before it ran, or while it was saved, says nothing about the cell.
            lost[node] = 0


def _moves(history: History) -> list[tuple[str, NodeStatus, str]]:
    """(node, its new state, where the log says so), oldest first."""
    found = [
        (i["time"], i["node"], NodeStatus.STARTED, f"intent {i['n']} of epoch {epoch}")
        for epoch in history.epochs for i in history.intents(epoch) if i.get("node")
    ]  # fmt: skip
    for epoch in history.epochs:
        intents = history.intents(epoch)
        of = {i["n"]: i["node"] for i in intents if i.get("node")}
        found += [
            (i["time"], of[i["over"]], NodeStatus(i["status"]), f"intent {i['n']} of epoch {epoch}")
            for i in intents if i.get("over") in of
        ]  # fmt: skip
    for record in history.records:
        attempt: dict[str, Any] | None = record.body.get("attempt")
        if attempt and attempt["node"]:
            status = NodeStatus(attempt["status"])
            if status is NodeStatus.FAILED and attempt.get("next"):
                status = NodeStatus.RETRY_WAIT
            where = f"record {record.number} {attempt.get('why', '')}"
            found.append((record.time, attempt["node"], status, where))
    return [(node, status, where) for _, node, status, where in sorted(found, key=lambda f: f[0])]


def told(history: History) -> Iterator[str]:
    """The log as lines, in order, for a person."""
    found = [
        (r.time, r.epoch, f"{r.number} {r.kind}", r.body.get("attempt") or r.body) for r in history.records
    ]
    for epoch in history.epochs:
        found += [(i["time"], epoch, f"intent {i['n']}", i) for i in history.intents(epoch)]
    words = ("label", "status", "why", "run", "try", "lost", "next", "to", "description", "restoring")
    for _, epoch, what, of in sorted(found, key=lambda f: f[0]):
        yield f"epoch {epoch}, {what} " + ", ".join(f"{word}={of[word]}" for word in words if of.get(word))


def applied(nodes: Nodes) -> set[str]:
    """Nodes whose work is part of the final values: they ran to their end, and not only by decree."""
    done = (NodeStatus.COMPLETED, NodeStatus.REUSED)
    return {n.name for n in nodes.by_name.values() if n.status in done and n.why != "by hand"}
