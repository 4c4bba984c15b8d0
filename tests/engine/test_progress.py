"""What a record says as events, who is told, and how far an execution is said to be."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_nb.engine import resume
from durable_nb.engine.nodes import Node, Nodes
from durable_nb.engine.progress import Event, Summary, Topics, events_of, start_of, summarise
from durable_nb.errors import UsageError
from durable_nb.model import ExecutionStatus, NodeStatus, Record
from durable_nb.ui import render

_KINDS = {NodeStatus.COMPLETED: "node", NodeStatus.REUSED: "reuse", NodeStatus.LOST: "lost"}


def _record(kind: str, body: Mapping[str, Any] | None = None, number: int = 7) -> Record:
    return Record("run", 1, number, "", 100.0, kind, body or {}, "")


def _state(*names: str, deleted: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "parent": 1,
        "set": dict.fromkeys(names, "digest"),
        "del": list(deleted),
        "root": "",
        "full": None,
    }


def _attempt(node: str | None, status: NodeStatus, *names: str, **more: Any) -> dict[str, Any]:
    told = {"n": 3, "started": 90.0, "seconds": 2.0, "try": 1, "run": 1, "source": "s", **more}
    told = resume.attempt(node=node, label=node or "cell [4]", status=status, **told)
    return {"node": node, "attempt": told, **({"state": _state(*names)} if names else {})}


def _ended(node: str | None, status: NodeStatus, *names: str, **more: Any) -> list[Event]:
    return events_of(_record(_KINDS.get(status, "error"), _attempt(node, status, *names, **more)))


def _names(events: list[Event]) -> list[str]:
    return [event.name for event in events]


def test_a_node_that_completed_is_one_event_with_all_about_it() -> None:
    assert _ended("train", NodeStatus.COMPLETED, "model", "a:random", "df", **{"try": 2}, details=[9]) == [
        Event(
            "NodeCompletionEvent", "run", 7, 100.0, node="train", label="train", status="COMPLETED",
            attempt=2, seconds=2.0, changed=("df", "model"), details=[9],
        )
    ]  # fmt: skip


@pytest.mark.parametrize("status", [NodeStatus.REUSED, NodeStatus.SKIPPED])
def test_a_node_of_which_nothing_is_left_to_do_is_completed(status: NodeStatus) -> None:
    (event,) = _ended("train", status, "model", n=0)
    assert (event.name, event.status) == ("NodeCompletionEvent", str(status))


@pytest.mark.parametrize("status", [NodeStatus.INTERRUPTED, NodeStatus.LOST, NodeStatus.QUARANTINED])
def test_a_node_that_did_not_get_to_its_end_is_an_error(status: NodeStatus) -> None:
    (event,) = _ended("train", status, next=200.0)
    assert (event.name, event.status, event.next_at) == ("NodeErrorEvent", str(status), 200.0)


def test_only_a_failure_that_is_not_tried_again_fails_the_execution() -> None:
    (again,) = _ended("load", NodeStatus.FAILED, "df", error="ConnectionError", next=130.0)
    assert (again.name, again.status, again.next_at) == ("NodeErrorEvent", "FAILED", 130.0)
    error, failure = _ended("load", NodeStatus.FAILED, "df", error="ValueError")
    assert _names([error, failure]) == ["NodeErrorEvent", "ExecutionFailureEvent"]
    assert error.error == failure.error == "ValueError"
    assert (error.changed, failure.changed) == (("df",), ())


def test_a_release_is_no_error() -> None:
    assert events_of(_record("lost", _attempt("train", NodeStatus.LOST, n=0, lost=0))) == []


def test_a_plain_cell_changes_the_state_or_is_done_never_both() -> None:
    (changed,) = events_of(_record("cell", _attempt(None, NodeStatus.COMPLETED, "x", **{"try": None})))
    assert (changed.name, changed.node, changed.changed) == ("StateChangeEvent", None, ("x",))
    assert (changed.label, changed.status, changed.attempt) == ("cell [4]", "COMPLETED", 0)
    (done,) = events_of(_record("cell", _attempt(None, NodeStatus.COMPLETED, "a:random")))
    assert (done.name, done.node, done.changed) == ("NodeCompletionEvent", None, ())
    assert _names(_ended(None, NodeStatus.FAILED, "x", error="ValueError")) == ["NodeErrorEvent"]


@pytest.mark.parametrize("kind", ["manual", "safety", "recovery", "rollback"])
def test_what_changes_variables_outside_of_cells_is_a_change_of_state(kind: str) -> None:
    state = _state("b", "a:cwd", deleted=("a",))
    (event,) = events_of(_record(kind, {"state": state, "description": "before cleaning"}))
    assert (event.name, event.changed, event.status) == ("StateChangeEvent", ("a", "b"), "")
    assert event.label == "before cleaning"


def test_going_to_another_version_is_a_change_whatever_differs_from_that_one() -> None:
    there = {"to": 3, "execution": "run"}
    (event,) = events_of(_record("rollback", {"state": _state(), "rollback": there}))
    assert (event.name, event.changed, event.details) == ("StateChangeEvent", (), there)
    assert events_of(_record("manual", {"state": _state("a:random")})) == []


def test_an_execution_that_pauses_goes_on_or_ends_says_so() -> None:
    for kind, status in (("execution", "PAUSED"), ("execution", "RUNNING"), ("end", "FAILED")):
        (event,) = events_of(_record(kind, {"status": status}))
        assert (event.name, event.status, event.node) == ("ExecutionEvent", status, None)
    for kind in ("pin", "retire", "forget"):
        assert events_of(_record(kind, {kind: [1]})) == []


def test_an_event_can_be_sent_elsewhere() -> None:
    node = Nodes().starting("train", "s")
    event = start_of("run", node)
    assert (event.name, event.number, event.status, event.attempt) == ("NodeStartEvent", 0, "STARTED", 1)
    assert event.topic == "/topic/progress/run"
    told = event.to_json()
    assert json.loads(json.dumps(told)) == told
    assert Event(**{**told, "changed": ()}) == event


# -- topics ----------------------------------------------------------------------------------------


def _event(execution: str = "run", number: int = 1) -> Event:
    return Event("ExecutionEvent", execution, number, 100.0, status="RUNNING")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def topics(said: list[str]) -> Topics:
    return Topics(said.append)


def test_who_listens_to_an_execution_hears_of_no_other(topics: Topics) -> None:
    heard: list[tuple[str, str]] = []
    topics.subscribe("/topic/progress/run", lambda e: heard.append(("run", e.execution)))
    end = topics.subscribe("/topic/progress/*", lambda e: heard.append(("all", e.execution)))
    topics.publish(_event())
    topics.publish(_event("other"))
    assert heard == [("run", "run"), ("all", "run"), ("all", "other")]
    end()
    end()
    topics.publish(_event())
    assert heard[3:] == [("run", "run")]


@pytest.mark.parametrize(
    "topic", ["run", "/topic/progress/", "/topic/progress/a/b", "/topic/progress/r*", ""]
)
def test_what_is_no_topic_is_refused_with_what_is_one(topics: Topics, topic: str) -> None:
    with pytest.raises(UsageError, match=r"/topic/progress/<execution>, and /topic/progress/\*"):
        topics.subscribe(topic, print)


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit("boom"), GeneratorExit("boom")])
def test_a_callback_that_raises_is_told_of_once_and_called_again(
    topics: Topics, said: list[str], error: BaseException
) -> None:
    heard: list[int] = []

    def raises(event: Event) -> None:
        heard.append(event.number)
        raise error

    topics.subscribe("/topic/progress/*", raises)
    topics.subscribe("/topic/progress/*", lambda e: heard.append(-e.number))
    topics.publish(_event(number=1))
    topics.publish(_event(number=2))
    assert heard == [1, -1, 2, -2]
    assert len(said) == 1
    assert "raises" in said[0]
    assert f"{type(error).__name__}: boom" in said[0]


def test_an_error_that_cannot_be_shown_is_told_of_too(topics: Topics, said: list[str]) -> None:
    class Mute(Exception):  # noqa: N818 - it says nothing
        def __str__(self) -> str:
            raise RuntimeError

    def raises(_: Event) -> None:
        raise Mute

    topics.subscribe("/topic/progress/*", raises)
    topics.publish(_event())
    assert "Mute" in said[0]


def test_a_click_on_stop_is_not_swallowed(topics: Topics) -> None:
    def stops(_: Event) -> None:
        raise KeyboardInterrupt

    topics.subscribe("/topic/progress/*", stops)
    with pytest.raises(KeyboardInterrupt):
        topics.publish(_event())


def test_subscriptions_may_begin_and_end_inside_a_call(topics: Topics) -> None:
    heard: list[str] = []
    ends: dict[str, Callable[[], None]] = {}

    def first(_: Event) -> None:
        heard.append("first")
        ends["first"]()
        ends["second"]()
        topics.subscribe("/topic/progress/run", lambda _: heard.append("third"))

    ends["first"] = topics.subscribe("/topic/progress/run", first)
    ends["second"] = topics.subscribe("/topic/progress/run", lambda _: heard.append("second"))
    topics.publish(_event())
    assert heard == ["first"]
    topics.publish(_event())
    assert heard == ["first", "third"]


def test_threads_may_publish_and_subscribe_at_once(topics: Topics, said: list[str]) -> None:
    heard: list[int] = []
    topics.subscribe("/topic/progress/run", lambda e: heard.append(e.number))

    def work(start: int) -> None:
        for number in range(start, start + 200):
            end = topics.subscribe("/topic/progress/run", str)
            topics.publish(_event(number=number))
            end()

    threads = [threading.Thread(target=work, args=(1000 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(heard) == [1000 * i + n for i in range(4) for n in range(200)]
    assert said == []


# -- summary ---------------------------------------------------------------------------------------


def _nodes(*ended: tuple[str, NodeStatus], **more: Any) -> Nodes:
    bodies = [_attempt(name, status, "x", **more) for name, status in ended]
    return Nodes([_record(_KINDS.get(s, "error"), b, n) for n, ((_, s), b) in enumerate(zip(ended, bodies))])  # noqa: B905


def _sum(nodes: Nodes, names: list[str] | None, status: str = "RUNNING", **more: Any) -> Summary:
    told = {"past": {}, "saved": 0.0, "now": 100.0, "updated": 95.0, **more}
    return summarise("run", status, nodes, names=names, **told)


_DONE, _FAILED = NodeStatus.COMPLETED, NodeStatus.FAILED


def test_nodes_are_counted_once_however_often_they_ran() -> None:
    nodes = _nodes(("a", _FAILED), ("a", _DONE), ("a", _DONE), ("b", _DONE))
    found = _sum(nodes, ["b", "a", "a"])
    assert (found.total, found.completed, found.percentage) == (2, 2, 100.0)
    assert [node.name for node in found.nodes] == ["b", "a"]
    assert (found.last_update, found.eta, found.running) == (95.0, 0.0, None)


def test_what_is_not_in_the_notebook_any_more_does_not_count() -> None:
    nodes = _nodes(("old", _FAILED), ("a", _DONE))
    found = _sum(nodes, ["a", "new"])
    assert (found.total, found.completed, found.percentage, found.failed) == (2, 1, 50.0, ())
    assert [node.status for node in found.nodes] == [_DONE, None]
    assert _sum(nodes, None).failed == ("old",)
    assert _sum(nodes, None).total == 2


def test_every_node_that_needs_somebody_is_named() -> None:
    nodes = _nodes(("a", _FAILED), ("q", NodeStatus.QUARANTINED), ("l", NodeStatus.LOST))
    nodes.add("error", _attempt("w", _FAILED, next=130.0), 9)
    nodes.started(nodes.starting("unsaved", "s"))
    found = _sum(nodes, ["a", "w", "q", "l"])
    assert (found.failed, found.quarantined, found.waiting) == (("a",), ("q",), {"w": 130.0})
    assert found.running == "unsaved"
    assert found.total == 4


def test_without_nodes_only_an_execution_that_completed_is_at_its_end() -> None:
    for names in ([], None):
        assert _sum(Nodes(), names).percentage == 0.0
        assert _sum(Nodes(), names).eta is None
        assert _sum(Nodes(), names, "FAILED").percentage == 0.0
        assert _sum(Nodes(), names, "COMPLETED").percentage == 100.0


def test_the_time_that_is_left_comes_from_what_nodes_took_last() -> None:
    nodes = _nodes(("a", _DONE), ("b", _DONE), seconds=20.0)
    past = {"a": 1.0, "b": 1.0, "c": 300.0}
    assert _sum(nodes, ["a", "b", "c"], past=past).eta == 300.0
    assert _sum(nodes, ["a", "b", "c", "never"], past=past).eta is None
    nodes.started(Node("b", NodeStatus.STARTED, started=92.0, seconds=20.0, version=2))
    assert _sum(nodes, ["a", "b", "c"], past=past).eta == 312.0
    assert _sum(nodes, ["a", "b", "c"], past=past, now=500.0).eta == 300.0
    assert _sum(nodes, ["a", "b", "c"], past=past, now=50.0).eta == 320.0


def test_the_wait_for_a_retry_counts_and_a_quarantined_node_does_not() -> None:
    nodes = _nodes(("q", NodeStatus.QUARANTINED))
    nodes.add("error", _attempt("w", _FAILED, next=130.0), 9)
    assert _sum(nodes, ["w", "q"], past={"w": 5.0}).eta == 35.0


_NAMES = st.sampled_from("abcd")
_ENDS = st.tuples(_NAMES, st.sampled_from([s for s in NodeStatus if s.name not in ("STARTED", "RETRY_WAIT")]))
_MORE = st.fixed_dictionaries(
    {"try": st.integers(1, 3)},
    optional={"next": st.floats(0, 200), "details": st.none(), "n": st.integers(0, 3)},
)


@settings(deadline=None)  # the first table imports rich
@given(st.lists(st.tuples(_ENDS, _MORE)), st.none() | st.lists(_NAMES), st.booleans())
def test_the_percentage_is_100_exactly_where_every_node_is_finished(
    ended: list[tuple[tuple[str, NodeStatus], dict[str, Any]]], names: list[str] | None, starts: bool
) -> None:
    nodes = Nodes()
    for number, ((name, status), more) in enumerate(ended, 1):
        record = _record(_KINDS.get(status, "error"), _attempt(name, status, "x", **more), number)
        nodes.add(record.kind, record.body, record.number)
        events = _names(events_of(record))
        assert len(events) == len(set(events))
        assert not {"NodeCompletionEvent", "StateChangeEvent"} <= set(events)
    if starts and nodes[name := (names or ["a"])[0]].status not in (NodeStatus.QUARANTINED, None):
        nodes.started(nodes.starting(name, "s"))
    found = _sum(nodes, names)
    listed = set(nodes.by_name if names is None else names)
    assert found.total == len(listed) == len(found.nodes)
    assert 0.0 <= found.percentage <= 100.0
    if listed:
        assert (found.percentage == 100.0) == (listed <= nodes.finished())
    assert found.eta is None or found.eta >= 0.0
    assert render.summary(found).text.startswith(f"{found.completed} of " if listed else "no named nodes")


# -- as it is shown --------------------------------------------------------------------------------


def _summary(**more: Any) -> Summary:
    nodes = tuple(Node(n, _DONE, tries=1, seconds=2.0) for n in "abcdefg")
    nodes += (Node("train", NodeStatus.STARTED, tries=2, seconds=9.0), Node("report"))
    told: dict[str, Any] = {
        "execution": "run", "status": str(ExecutionStatus.RUNNING), "total": 9, "completed": 7,
        "percentage": 700 / 9, "running": "train", "failed": (), "waiting": {}, "quarantined": (),
        "last_update": 95.0, "eta": 170.0, "saved": 2460.0, "nodes": nodes,
    }  # fmt: skip
    return Summary(**{**told, **more})


def test_a_summary_is_a_line_and_a_table() -> None:
    shown = render.summary(_summary())
    line, _, head, _, *rows = [text.strip() for text in shown.text.splitlines()]
    assert line == "7 of 9 nodes done (78 %), `train` runs, about 3 min left, 41 min saved"
    assert head.split() == ["node", "status", "attempt", "took", "next"]
    assert rows[0].split() == ["✓", "a", "COMPLETED", "1", "2.0", "s"]
    assert rows[7].split() == ["…", "train", "STARTED", "2"]
    assert rows[8].split() == ["·", "report", "to", "do"]


def test_a_summary_names_what_needs_somebody() -> None:
    text = render.summary(
        _summary(
            status="PAUSED",
            running=None,
            failed=("b",),
            waiting={"c": 130.0},
            quarantined=("q",),
            eta=None,
            saved=0.0,
        )
    ).text.splitlines()[0]
    when = render.moment(130.0)
    assert text == (
        f"7 of 9 nodes done (78 %), paused, `c` is tried again at {when}, failed: `b`, quarantined: `q`"
    )


def test_what_is_not_finished_is_not_rounded_to_100() -> None:
    assert "(99 %)" in render.summary(_summary(total=500, completed=499, percentage=99.8)).text
    assert "(100 %)" in render.summary(_summary(total=9, completed=9, percentage=100.0)).text


def test_the_bar_needs_no_script_and_no_theme() -> None:
    html = render.summary(_summary(nodes=(Node("<b>"),))).html
    assert "width:77.8%" in html
    assert "<script" not in html
    assert "&lt;b&gt;" in html
    assert "#" not in html
    assert render.summary(_summary(total=0, nodes=())).html.startswith("<div><p>no named nodes")
