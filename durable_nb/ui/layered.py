"""Boxes with arrows between them, laid out in layers; lines run between the boxes, never through one."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

Point = tuple[float, float]
Size = tuple[float, float]
"""width, height"""

LEAD = 10.0
"""An arrow leaves and reaches its boxes on a straight line that is at least this long."""

_ASIDE = 14.0
"""An arrow that points back is that far beside those that do not."""

_MARGIN = 2.0
"""Around everything: a frame's line is half outside of it."""

_GAP = 26.0
"""Between layers, for the curves."""

_STRAIGHT = 4.0
"""Of a line, at both sides of a label at least."""

_APART = 18.0
"""Between what is next to each other in a layer."""

_ROUNDS = 6
"""How often the order in the layers is improved, up and down."""

_BETWEEN = 28.0
"""Between parts that no arrow connects."""


@dataclass(frozen=True, slots=True)
class Arrow:
    """Between two boxes, which are known by their indices."""

    source: int
    target: int
    label: Size
    """room for its label; 0, 0: it has none"""


@dataclass(frozen=True, slots=True)
class Route:
    """Where an arrow runs.

    A piece has an even number of points: a straight line from the first to the second one, a curve to the
    third one, and so on, with a straight line at the end. There are two pieces where a label is between them.
    """

    pieces: tuple[tuple[Point, ...], ...]
    label: Point
    """its centre"""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is; the top left corner is at 0, 0."""

    width: float
    height: float
    centres: Mapping[int, Point]
    routes: Mapping[int, Route]


def laid_out(boxes: Sequence[Size], arrows: Sequence[Arrow], *, down: bool, wide: float) -> Layout:
    """Boxes in layers, from left to right or from the top down.

    Args:
        boxes: their sizes.
        arrows: between different boxes.
        down: whether arrows point down; else they point to the right.
        wide: parts that no arrow connects are put beside each other up to this width.
    """
    centres: dict[int, Point] = {}
    routes: dict[int, Route] = {}
    x = y = _MARGIN
    row = width = 0.0
    for part in _parts(len(boxes), arrows):
        within = {i: a for i, a in enumerate(arrows) if a.source in part}
        found = _part({n: boxes[n] for n in part}, within, down=down)
        if row and x + found.width > wide:
            x, y, row = _MARGIN, y + row + _BETWEEN, 0.0
        moved = _moved(found, x, y)
        centres |= moved.centres
        routes |= moved.routes
        width, row, x = max(width, x + found.width), max(row, found.height), x + found.width + _BETWEEN
    return Layout(width + _MARGIN, y + row + _MARGIN, centres, routes)


def _parts(count: int, arrows: Sequence[Arrow]) -> list[list[int]]:
    """The boxes by what arrows connect, each part in the given order."""
    part = {n: [n] for n in range(count)}
    for arrow in arrows:
        one, other = part[arrow.source], part[arrow.target]
        if one is not other:
            one += other
            part |= dict.fromkeys(other, one)
    return [sorted(found) for first, found in part.items() if first == min(found)]


def _part(boxes: Mapping[int, Size], arrows: Mapping[int, Arrow], *, down: bool) -> Layout:
    """Boxes that arrows connect. In here, x is along the arrows and y is across them until the very end."""
    layers, chains = _layered(boxes, arrows, down=down)
    centres: dict[Any, Point] = {}
    spans: dict[Any, tuple[float, float]] = {}
    least, most, end = float("inf"), float("-inf"), 0.0
    for i, layer in enumerate(layers):
        lead = _STRAIGHT if i % 2 else LEAD
        start = end + _GAP if i else -lead
        end = start + max(vertex.view.h for vertex in layer) + 2 * lead
        free = float("-inf")
        for vertex in layer:
            # The library does not always keep its distances: about one picture in thirty had boxes too near.
            half = vertex.view.w / 2
            across = max(vertex.view.xy[0], free + half)
            free = across + half + _APART
            least, most = min(least, across - half), max(most, across + half)
            centres[vertex] = (start + end) / 2, across
            spans[vertex] = start, end

    def at(along: float, across: float) -> Point:
        return (across - least, along) if down else (along, across - least)

    routes = {}
    for i, (chain, labelled) in chains.items():
        turned = chain[0].view.data != arrows[i].source
        pieces: list[list[Point]] = [[]]
        for vertex in chain:
            (along, across), (start, stop) = centres[vertex], spans[vertex]
            half = vertex.view.h / 2
            if vertex in (chain[0], chain[-1]):
                across += _ASIDE if turned else 0.0
                start, stop = (along + half, stop) if vertex is chain[0] else (start, along - half)
            pieces[-1].append(at(start, across))
            if vertex is labelled and half:
                pieces[-1].append(at(along - half, across))
                pieces.append([at(along + half, across)])
            pieces[-1].append(at(stop, across))
        order = -1 if turned else 1
        routes[i] = Route(tuple(tuple(piece[::order]) for piece in pieces[::order]), at(*centres[labelled]))
    length, breadth = end - LEAD, most - least
    placed = {v.view.data: at(*centre) for v, centre in centres.items() if v.view.data is not None}
    return Layout(*((breadth, length) if down else (length, breadth)), placed, routes)


def _layered(
    boxes: Mapping[int, Size], arrows: Mapping[int, Arrow], *, down: bool
) -> tuple[Sequence[Sequence[Any]], Mapping[int, tuple[list[Any], Any]]]:
    """Vertices by layer, in order; and of each arrow, the vertices that it passes and the one of its label.

    A label is a vertex between those of two boxes, and gets its room like them.
    """
    from grandalf.graphs import Edge, Vertex, graph_core
    from grandalf.layouts import SugiyamaLayout, VertexViewer

    def vertex(size: Size, data: int | None = None) -> Any:
        found = Vertex()
        found.view = VertexViewer(*(size if down else size[::-1]), data)
        return found

    with _deep(len(boxes)):
        plain = {n: Vertex() for n in boxes}
        needs = {i: Edge(plain[a.source], plain[a.target]) for i, a in arrows.items()}
        graph_core(list(plain.values()), list(needs.values())).get_scs_with_feedback()
    ends = {n: vertex(size, n) for n, size in boxes.items()}
    labels = {i: vertex(arrow.label) for i, arrow in arrows.items()}
    halves = {}
    for i, arrow in arrows.items():
        # An arrow that closes a circle is laid out as if it pointed the other way.
        first, last = (arrow.source, arrow.target)[:: -1 if needs[i].feedback else 1]
        halves[i] = Edge(ends[first], labels[i]), Edge(labels[i], ends[last])
    core = graph_core([*ends.values(), *labels.values()], [e for pair in halves.values() for e in pair])
    layout = SugiyamaLayout(core)
    layout.xspace, layout.dw, layout.dh = _APART, 0.0, 0.0
    layout.init_all(inverted_edges=[], optimize=True)
    with _deep(sum(map(len, layout.layers))):
        layout.draw(_ROUNDS)
    chains = {}
    for i, pair in halves.items():
        (one, other) = (_passed(edge, layout.ctrls.get(edge)) for edge in pair)
        chains[i] = [*one, *other[1:]], labels[i]
    return layout.layers, chains


def _passed(edge: Any, dummies: Mapping[int, Any] | None) -> list[Any]:
    """The vertices of an edge, those in the layers between its ends too."""
    return [dummies[rank] for rank in sorted(dummies)] if dummies else list(edge.v)


@contextmanager
def _deep(count: int) -> Iterator[None]:
    """The library recurses from vertex to vertex: there is room for that."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 2 * count)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def _moved(layout: Layout, x: float, y: float) -> Layout:
    def at(point: Point) -> Point:
        return point[0] + x, point[1] + y

    routes = {
        i: Route(tuple(tuple(map(at, piece)) for piece in route.pieces), at(route.label))
        for i, route in layout.routes.items()
    }
    return Layout(layout.width, layout.height, {n: at(c) for n, c in layout.centres.items()}, routes)
