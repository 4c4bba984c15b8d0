"""The picture of a graph: whole, well-formed, self-contained, and nothing on top of anything else."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations, pairwise, product
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_nb.engine.graph import Edge, Graph, GraphNode
from durable_nb.model import NodeStatus
from durable_nb.ui.graph import rendered

SVG = "{http://www.w3.org/2000/svg}"
DONE = NodeStatus.COMPLETED

PIPELINE = Graph(
    (
        GraphNode("load", DONE, 1.2, 2),
        GraphNode("features", DONE, 75.0, 4, stale="input `df` differs: `load` changed it"),
        GraphNode("train", NodeStatus.FAILED, why="ValueError"),
        GraphNode("report"),
    ),
    (
        Edge("load", "features", "data", ("df", "limit")),
        Edge("load", "features", "after"),
        Edge("features", "train", "data", ("a_name_that_is_too_long_for_a_label",)),
        Edge("train", "report", "after"),
    ),
)


def _drawn(graph: Graph) -> ET.Element:
    page = ET.fromstring(f"<body>{rendered(graph).html}</body>")  # noqa: S314 - our own
    return next(page.iter(f"{SVG}svg"))


def _groups(root: ET.Element, kind: str) -> list[ET.Element]:
    return [g for g in root.iter(f"{SVG}g") if f"dnb-{kind}" in g.attrib["class"].split()]


def _title(element: ET.Element) -> str:
    return element.findtext(f"{SVG}title") or ""


def _words(element: ET.Element) -> list[str]:
    return [text.text or "" for text in element.iter(f"{SVG}text")]


def _between(graph: Graph) -> list[Edge]:
    """What is drawn: a node that needs itself says nothing."""
    return [edge for edge in graph.edges if edge.source != edge.target]


def _boxes(root: ET.Element) -> list[tuple[float, float, float, float]]:
    found = []
    for group in _groups(root, "node"):
        x, y = map(float, re.findall(r"-?[\d.]+", group.attrib["transform"]))
        box = next(group.iter(f"{SVG}rect")).attrib
        found.append((x, y, x + float(box["width"]), y + float(box["height"])))
    return found


def test_every_node_says_its_name_state_and_time() -> None:
    load, features, train, report = _groups(_drawn(PIPELINE), "node")
    assert _words(load) == ["✓", "load", "completed · 1.2 s · v2"]
    assert _words(train) == ["✗", "train", "failed · ValueError"]
    assert _words(report) == ["·", "report", "to do"]
    assert "dnb-stale" in features.attrib["class"]
    assert _words(features)[-1].startswith("stale: input df differs")
    assert "input `df` differs: `load` changed it" in _title(features)


def test_every_edge_is_one_line_that_says_why() -> None:
    first, second, third = _groups(_drawn(PIPELINE), "edge")
    assert _title(first) == "features needs load: it reads df, limit, it says --after load"
    assert _words(first) == ["df, limit"]
    assert "a_name_that_is_too_long_for_a_label" in _title(second)
    assert _words(second) == ["a_name_that_is_…"]
    assert (third.attrib["class"], _title(third)) == (
        "dnb-edge dnb-after",
        "report needs train: it says --after train",
    )


def test_the_edges_can_be_read_out() -> None:
    root = _drawn(PIPELINE)
    assert root.attrib["role"] == "img"
    assert _title(root) == "4 nodes of this notebook"
    described = root.findtext(f"{SVG}desc") or ""
    assert "features needs load (df, limit, --after)" in described
    assert "features: completed, stale, input `df` differs" in described


def test_the_text_has_a_line_for_each_node() -> None:
    assert rendered(PIPELINE).text.splitlines() == [
        "✓ load",
        "✓ features <- load (df, limit, --after); stale: input `df` differs: `load` changed it",
        "✗ train <- features (a_name_that_is_too_long_for_a_label): failed",
        "· report <- train (--after): to do",
    ]


def test_it_is_self_contained_and_has_no_background() -> None:
    shown = rendered(PIPELINE).html
    assert shown.replace("http://www.w3.org/2000/svg", "").count("://") == 0
    assert not re.search(r"<script|<image|<foreignObject|href|url\(|@import|\son\w+=| id=", shown)
    root = _drawn(PIPELINE)
    boxes = [r for r in root.iter(f"{SVG}rect") if "dnb-box" not in r.attrib["class"].split()]
    assert boxes == []
    assert "max-width: 100%" in shown
    assert root.attrib["viewBox"] == f"0 0 {root.attrib['width']} {root.attrib['height']}"


def test_an_empty_graph_says_what_to_do() -> None:
    shown = rendered(Graph())
    assert "%%node NAME" in shown.text
    assert "%%node NAME" in shown.html
    assert "<svg" not in shown.html


@pytest.mark.parametrize(
    "name", ["<b>&\"'</b>", "]]>", "ein\tname", "特征工程", "x" * 300, "\x00\x1b[31m", "a`b"]
)
def test_any_name_is_shown_as_text(name: str) -> None:
    graph = Graph(
        (GraphNode(name, DONE, stale=name, why=name), GraphNode("b")), (Edge(name, "b", "data", (name,)),)
    )
    root = _drawn(graph)
    plain = "".join(c if c.isprintable() else " " for c in name)
    assert _title(_groups(root, "node")[0]).startswith(f"{plain}: completed")
    assert {e.tag for e in root.iter()} == {
        SVG + t for t in ("svg", "title", "desc", "g", "path", "rect", "circle", "text")
    }


def test_a_circle_of_reruns_can_be_drawn() -> None:
    nodes = (GraphNode("a", DONE), GraphNode("b", DONE), GraphNode("c", DONE))
    edges = tuple(Edge(s, t, "data", ("x",)) for s, t in ("ab", "bc", "ca", "ba"))
    assert len(_groups(_drawn(Graph(nodes, edges)), "edge")) == 4


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    names = draw(st.lists(st.text("abmW_é特", min_size=1, max_size=40), min_size=1, max_size=14, unique=True))
    stale = st.sampled_from(["", "source of `a` changed", "w" * 80])
    nodes = tuple(
        GraphNode(n, draw(st.sampled_from([None, *NodeStatus])), draw(st.floats(0, 1e6)), 3, draw(stale))
        for n in names
    )
    circles = draw(st.booleans())
    pairs = list(product(names, repeat=2) if circles else combinations(names, 2))
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=25, unique=True)) if pairs else []
    used = st.lists(
        st.sampled_from(["df", "model", "X_train", "a_long_name_of_one"]), max_size=3, unique=True
    )
    edges = tuple(Edge(s, t, "data" if (n := tuple(draw(used))) else "after", n) for s, t in chosen)
    return Graph(nodes, edges)


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_boxes_never_overlap_and_nothing_is_left_out(graph: Graph) -> None:
    root = _drawn(graph)
    boxes = _boxes(root)
    assert len(boxes) == len(graph.nodes)
    assert len(_groups(root, "edge")) == len(_between(graph))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for left, top, right, bottom in boxes:
        assert left >= 0
        assert top >= 0
        assert right <= width
        assert bottom <= height
    for (l1, t1, r1, b1), (l2, t2, r2, b2) in combinations(boxes, 2):
        assert r1 <= l2 or r2 <= l1 or b1 <= t2 or b2 <= t1


def _points(line: str) -> Iterator[tuple[float, float]]:
    """Along a path of lines and cubic curves."""
    here = 0.0, 0.0
    for kind, numbers in re.findall(r"([MLC])([^MLC]*)", line):
        values = [float(number) for number in numbers.split()]
        ends = list(zip(values[::2], values[1::2], strict=True))
        if kind != "M":
            # A line is a curve whose handles are its ends.
            a, b, c, d = (here, *ends) if kind == "C" else (here, here, *ends, *ends)
            for t in (i / 24 for i in range(25)):
                weights = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
                x, y = (sum(w * p[i] for w, p in zip(weights, (a, b, c, d), strict=True)) for i in (0, 1))
                yield x, y
        here = ends[-1]


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_no_line_and_no_label_is_on_a_box(graph: Graph) -> None:
    root = _drawn(graph)
    boxes = _boxes(root)
    labels = []
    for group in _groups(root, "edge"):
        points = [p for path in group.iter(f"{SVG}path") if "dnb-line" in path.attrib["class"]
                  for p in _points(path.attrib["d"])]  # fmt: skip
        for text in group.iter(f"{SVG}text"):
            x, y, half = float(text.attrib["x"]), float(text.attrib["y"]), len(text.text or "") * 3.2
            labels.append((x - half, y - 8, x + half, y + 2))
            points += [(x - half, y), (x + half, y)]
        for (x, y), (left, top, right, bottom) in product(points, boxes):
            assert not (left + 0.2 < x < right - 0.2 and top + 0.2 < y < bottom - 0.2)
    for (l1, t1, r1, b1), (l2, t2, r2, b2) in combinations(labels, 2):
        assert r1 <= l2 or r2 <= l1 or b1 <= t2 or b2 <= t1


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_arrows_begin_and_end_at_their_boxes(graph: Graph) -> None:
    root = _drawn(graph)
    place = dict(zip((node.name for node in graph.nodes), _boxes(root), strict=True))
    for edge, group in zip(_between(graph), _groups(root, "edge"), strict=True):
        line, head = (path.attrib["d"] for path in group.iter(f"{SVG}path"))
        for where, drawn in ((edge.source, line), (edge.target, head)):
            x, y = map(float, re.findall(r"-?[\d.]+", drawn)[:2])
            left, top, right, bottom = place[where]
            assert left - 1 <= x <= right + 1
            assert top - 1 <= y <= bottom + 1


def test_three_hundred_nodes_are_drawn_with_every_edge() -> None:
    nodes = tuple(GraphNode(f"step {i}", DONE, 1.0, i) for i in range(300))
    edges = tuple(
        Edge(f"step {i - back}", f"step {i}", "data", ("df",))
        for i in range(300) for back in (1 + i % 7, 9) if back <= i
    )  # fmt: skip
    drawn = rendered(Graph(nodes, edges))
    assert drawn.html.count('class="dnb-edge') == len(edges)


def test_many_nodes_beside_or_behind_each_other_are_drawn_too() -> None:
    nodes = tuple(GraphNode(f"n{i}", DONE) for i in range(600))
    for edges in (
        tuple(Edge("n0", node.name, "data", ("df",)) for node in nodes[1:]),
        tuple(Edge(one.name, other.name, "after") for one, other in pairwise(nodes)),
        (),
    ):
        limit = sys.getrecursionlimit()
        assert rendered(Graph(nodes, edges)).html.count('class="dnb-edge') == len(edges)
        assert sys.getrecursionlimit() == limit


def test_the_layout_is_loaded_only_when_something_is_drawn() -> None:
    code = "import sys, durable_nb.ui.graph; print('grandalf' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == "False\n"
