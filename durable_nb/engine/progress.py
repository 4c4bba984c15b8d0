"""What happens in an execution as events, who listens to them, and how far the execution is."""

from __future__ import annotations

import itertools
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from threading import Lock
from typing import Any, Literal

from durable_nb.engine.nodes import FINISHED, Node, Nodes
from durable_nb.errors import UsageError
from durable_nb.model import ExecutionStatus, NodeStatus, Record
from durable_nb.state.live import is_pseudo

EventName = Literal[
    "NodeStartEvent",
    "NodeCompletionEvent",
    "NodeErrorEvent",
    "StateChangeEvent",
    "ExecutionFailureEvent",
    "ExecutionEvent",
]

TOPIC = "/topic/progress/"
"""How the topic of every execution begins."""

EVERY = f"{TOPIC}*"
"""The events of all executions."""

_TOPIC = re.compile(rf"{TOPIC}(\*|[A-Za-z0-9][A-Za-z0-9_-]*)")

_ERRORS = frozenset({NodeStatus.FAILED, NodeStatus.INTERRUPTED, NodeStatus.LOST, NodeStatus.QUARANTINED})

_MOVES = frozenset({"recovery", "rollback"})
"""Records of these kinds take the state to another version: what they list is what differs from that one."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that became true in an execution. It was kept before anybody is told."""

    name: EventName
    execution: str
    number: int
    """of the record; 0 for a start, which is an intent"""
    time: float
    """seconds since 1970"""
    node: str | None = None
    """None for plain cells, and for what is about the execution"""
    label: str = ""
    status: str = ""
    """a `NodeStatus`; of an ExecutionEvent an `ExecutionStatus`; "" where no code ran"""
    attempt: int = 0
    """counts from 1 within the node's run; 0 for what is no try of a node"""
    seconds: float = 0.0
    """run time; of a node that was put back, that of the attempt whose result it is"""
    error: str = ""
    """the type's name"""
    next_at: float = 0.0
    """seconds since 1970: no further attempt begins before; 0 for a failure that is not tried again"""
    changed: tuple[str, ...] = ()
    """variables that were set or deleted"""
    details: Any = None
    """what the attempt last said with `heartbeat`; of a recovery or rollback where it went"""

    @property
    def topic(self) -> str:
        """Where it is told."""
        return f"{TOPIC}{self.execution}"

    def to_json(self) -> dict[str, Any]:
        """For clients elsewhere."""
        return {**asdict(self), "changed": list(self.changed)}


def start_of(execution: str, node: Node) -> Event:
    """An attempt has begun: `node` is as that left it."""
    return Event(
        name="NodeStartEvent",
        execution=execution,
        number=0,
        time=node.started,
        node=node.name,
        label=node.name,
        status=str(NodeStatus.STARTED),
        attempt=node.tries,
        details=node.details,
    )


def events_of(record: Record) -> list[Event]:
    """What a record says.

    A record gives one event, so that whoever counts or acts on events does it once: what a node, or a cell
    that failed, changed is in the event of its end; a plain cell that completed is a StateChangeEvent if it
    changed variables, and a NodeCompletionEvent without a node if it changed none. Only a node that failed
    and is not tried again gives an ExecutionFailureEvent besides, which repeats no change. A release from
    quarantine gives none: the node stands as it did before.
    """
    body = record.body
    attempt = body.get("attempt")
    if attempt:
        return _of_attempt(record, attempt)
    if record.kind in ("execution", "end"):
        return [_event(record, "ExecutionEvent", status=str(body["status"]))]
    changed = _changed(record)
    if not changed and record.kind not in _MOVES:
        return []
    label = body.get("description") or record.kind
    return [_event(record, "StateChangeEvent", label=label, changed=changed, details=body.get(record.kind))]


def _of_attempt(record: Record, attempt: Mapping[str, Any]) -> list[Event]:
    node, status, changed = attempt.get("node"), attempt["status"], _changed(record)
    name: EventName
    released = status == NodeStatus.LOST and not attempt.get("n")
    if status in _ERRORS and not released:
        name = "NodeErrorEvent"
    elif status in FINISHED:
        plain = node is None and status == NodeStatus.COMPLETED
        name = "StateChangeEvent" if plain and changed else "NodeCompletionEvent"
    else:
        return []
    event = _event(
        record,
        name,
        node=node,
        label=attempt.get("label") or node or "",
        status=str(status),
        attempt=attempt.get("try") or 0,
        seconds=attempt.get("seconds") or 0.0,
        error=_type_of(attempt.get("error")),
        next_at=attempt.get("next") or 0.0,
        changed=changed,
        details=attempt.get("details"),
    )
    if node is None or status != NodeStatus.FAILED or event.next_at:
        return [event]
    return [event, replace(event, name="ExecutionFailureEvent", changed=())]


def _event(record: Record, name: EventName, **more: Any) -> Event:
    return Event(name, record.execution, record.number, record.time, **more)


def _changed(record: Record) -> tuple[str, ...]:
    state = record.body.get("state")
    return tuple(sorted(n for n in (*state["set"], *state["del"]) if not is_pseudo(n))) if state else ()


def _type_of(error: Any) -> str:
    return str(error.get("type", "") if isinstance(error, Mapping) else error or "")


class Subscription:
    """Ends a subscription when it is called; calling it again does nothing.

    It can be kept in a variable: in a later kernel, where nobody listens any more, it ends nothing.
    """

    __slots__ = ("_number",)

    def __init__(self, number: int = 0) -> None:
        self._number = number

    def __call__(self) -> None:
        """End it."""
        end = _ENDS.pop(self._number, None)
        if end is not None:
            end()

    def __reduce__(self) -> tuple[type[Subscription], tuple[()]]:
        return Subscription, ()


_ENDS: dict[int, Callable[[], None]] = {}
_NUMBERS = itertools.count(1)


@dataclass(slots=True, eq=False)
class _Subscription:
    topic: str
    callback: Callable[[Event], object]
    told: bool = False
    """whether it was said that it raises"""


class Topics:
    """Who listens to the events of which execution.

    Args:
        say: shows one line to the user, from any thread.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._lock = Lock()
        self._subscriptions: dict[_Subscription, None] = {}

    def subscribe(self, topic: str, callback: Callable[[Event], object]) -> Subscription:
        """Call `callback` with every event of a topic, on whichever thread it happens.

        Returns:
            what ends the subscription; calling it again does nothing.

        Raises:
            UsageError: there is no such topic.
        """
        if not _TOPIC.fullmatch(topic):
            raise UsageError(
                f"no topic `{topic}`: there is {TOPIC}<execution>, and {EVERY} for all executions"
            )
        subscription = _Subscription(topic, callback)
        with self._lock:
            self._subscriptions[subscription] = None

        def unsubscribe() -> None:
            with self._lock:
                self._subscriptions.pop(subscription, None)

        number = next(_NUMBERS)
        _ENDS[number] = unsubscribe
        return Subscription(number)

    def publish(self, event: Event) -> None:
        """Tell the subscribers, in the order in which they came. None of them can make this fail."""
        with self._lock:
            told = [s for s in self._subscriptions if s.topic in (event.topic, EVERY)]
        # Without the lock: a callback may subscribe, or end a subscription that is still to be called.
        for subscription in told:
            if subscription not in self._subscriptions:
                continue
            try:
                subscription.callback(event)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self._complain(subscription, error)

    def _complain(self, subscription: _Subscription, error: BaseException) -> None:
        with self._lock:
            before, subscription.told = subscription.told, True
        if before:
            return
        what = traceback.format_exception_only(error)[0].strip().partition("\n")[0]
        name = getattr(subscription.callback, "__qualname__", type(subscription.callback).__qualname__)
        self._say(
            f"durable_nb: `{name}`, which listens to {subscription.topic}, raised {what}; it is called with "
            "the next events all the same, and this is said once"
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """How far an execution is: the specification's ExecutionSummary, over distinct nodes."""

    execution: str
    status: str
    total: int
    """distinct nodes"""
    completed: int
    """of which nothing is left to do: completed, reused or skipped"""
    percentage: float
    """0 to 100, and 100 exactly where all are completed; without any node, once the execution is COMPLETED"""
    running: str | None
    """also where the notebook's file does not have it yet"""
    failed: tuple[str, ...]
    waiting: Mapping[str, float]
    """name -> when it is tried again, in seconds since 1970"""
    quarantined: tuple[str, ...]
    last_update: float
    """seconds since 1970"""
    eta: float | None
    """seconds until all but the quarantined are completed, if each takes what it took last; None where one
    never completed"""
    saved: float
    """seconds of run time that need not be spent again"""
    nodes: tuple[Node, ...]
    """in the order of the notebook; those that never came up have no status"""


def summarise(
    execution: str,
    status: str,
    nodes: Nodes,
    *,
    names: Sequence[str] | None,
    past: Mapping[str, float],
    saved: float,
    now: float,
    updated: float,
) -> Summary:
    """Sum up where the nodes stand.

    Args:
        execution: its id.
        status: of the execution.
        nodes: where they stand in this execution.
        names: those of the notebook, in order; others do not count. None: not known, so those seen count.
        past: name -> run time of its newest completed attempt in earlier executions.
        saved: seconds of run time that need not be spent again.
        now: seconds since 1970.
        updated: when something was last kept, in seconds since 1970.
    """
    # A copy: the writer's thread adds to it.
    known = dict(nodes.by_name)
    listed = tuple(known.get(n) or Node(n) for n in dict.fromkeys(known if names is None else names))
    completed = sum(node.finished for node in listed)
    if listed:
        percentage = 100.0 * completed / len(listed)
    else:
        percentage = 100.0 if status == ExecutionStatus.COMPLETED else 0.0
    return Summary(
        execution=execution,
        status=status,
        total=len(listed),
        completed=completed,
        percentage=percentage,
        running=next((node.name for node in known.values() if node.status is NodeStatus.STARTED), None),
        failed=tuple(node.name for node in listed if node.status is NodeStatus.FAILED),
        waiting={node.name: node.next_at for node in listed if node.status is NodeStatus.RETRY_WAIT},
        quarantined=tuple(node.name for node in listed if node.status is NodeStatus.QUARANTINED),
        last_update=updated,
        eta=_eta(listed, past, now) if listed or percentage else None,
        saved=saved,
        nodes=listed,
    )


def _eta(nodes: Sequence[Node], past: Mapping[str, float], now: float) -> float | None:
    total = 0.0
    for node in nodes:
        if node.finished or node.status is NodeStatus.QUARANTINED:
            continue
        took = node.seconds if node.version is not None else past.get(node.name)
        if took is None:
            return None
        if node.status is NodeStatus.STARTED:
            took = max(0.0, took - max(0.0, now - node.started))
        elif node.status is NodeStatus.RETRY_WAIT:
            took += max(0.0, node.next_at - now)
        total += took
    return total
