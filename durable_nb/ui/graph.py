"""The graph of a notebook's nodes, as a picture that needs no running kernel, and as text."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from durable_nb.engine.graph import Edge, Graph, GraphNode
from durable_nb.model import NodeStatus
from durable_nb.ui import layered, render, style
from durable_nb.ui.layered import Point

_EMPTY = (
    "durable_nb: no named nodes yet: begin a cell with `%%node NAME`, and run it (or save the notebook) "
    "to see it here"
)

_WIDE = 940.0
"""More pixels would be scaled down in most notebooks: the graph is then drawn from top to bottom."""

_NAME, _SMALL, _LABEL = 13.0, 11.0, 10.5
"""Sizes of text, in pixels."""

_HEAD = 7.0
"""Length of an arrow's head: less than the straight line before it."""

_NARROW = frozenset("iljtfrI.,:;'|!()[] ·")


@dataclass(frozen=True, slots=True)
class _Box:
    """A node's words, and the room that they take."""

    node: GraphNode
    lines: tuple[tuple[str, str], ...]
    """(class, text)"""
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class _Arrow:
    """What one node needs of another one: a single line, whatever the kinds."""

    source: str
    target: str
    names: tuple[str, ...]
    after: bool

    @property
    def label(self) -> str:
        """The variables' names where they are short, else the first one and how many more there are."""
        text = ", ".join(self.names)
        if len(text) <= 16:
            return text
        more = f" +{len(self.names) - 1}" if len(self.names) > 1 else ""
        return render.cut(self.names[0], 16 - len(more)) + more


def rendered(graph: Graph) -> render.Rendered:
    """The graph as SVG without scripts or anything from elsewhere, and as a line for each node."""
    if not graph.nodes:
        return render.Rendered(_EMPTY, style.framed(f"<div class='dnb-note'>{escape(_EMPTY)}</div>"))
    arrows = _arrows(graph.edges)
    return render.Rendered(_text(graph, arrows), style.framed(_svg(graph, arrows), "style", "graph"))


def _arrows(edges: Iterable[Edge]) -> list[_Arrow]:
    found: dict[tuple[str, str], _Arrow] = {}
    for edge in edges:
        if edge.source == edge.target:
            continue
        pair = edge.source, edge.target
        before = found.get(pair, _Arrow(*pair, (), after=False))
        names = tuple(dict.fromkeys(before.names + edge.names))
        found[pair] = _Arrow(*pair, names, before.after or edge.kind == "after")
    return list(found.values())


def _text(graph: Graph, arrows: Sequence[_Arrow]) -> str:
    lines = []
    for node in graph.nodes:
        needs = [f"{a.source} ({_what(a)})" for a in arrows if a.target == node.name]
        line = f"{style.shape(node.status or '')} {node.name}"
        if needs:
            line += f" <- {', '.join(needs)}"
        if node.status not in (NodeStatus.COMPLETED, NodeStatus.REUSED):
            line += f": {_state(node)}"
        lines.append(line + (f"; stale: {node.stale}" if node.stale else ""))
    return "\n".join(lines)


def _what(arrow: _Arrow) -> str:
    return render.listed((*arrow.names, *(["--after"] if arrow.after else [])), 6)


def _state(node: GraphNode) -> str:
    return "to do" if node.status is None else node.status.lower().replace("_", " ")


def _svg(graph: Graph, arrows: Sequence[_Arrow]) -> str:
    boxes = [_box(node) for node in graph.nodes]
    place = _placed(boxes, arrows)
    named = ", ".join(f"{a.target} needs {a.source} ({_what(a)})" for a in arrows) or "no node needs another"
    width, height = math.ceil(place.width), math.ceil(place.height)
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dnb-graph" role="img" {size}>',
        f"<title>{len(boxes)} node{'' if len(boxes) == 1 else 's'} of this notebook</title>",
        f"<desc>{_said(', '.join(f'{n.name}: {_about(n)}' for n in graph.nodes))}. {_said(named)}.</desc>",
    ]
    parts += [_edge(arrow, place.routes[i]) for i, arrow in enumerate(arrows)]
    parts += [_node(box, place.centres[i]) for i, box in enumerate(boxes)]
    return "".join([*parts, "</svg>"])


def _about(node: GraphNode) -> str:
    return _state(node) + (f", stale, {node.stale}" if node.stale else "")


def _box(node: GraphNode) -> _Box:
    facts = [_state(node)]
    if node.why:
        facts.append(render.cut(node.why, 28))
    elif node.seconds:
        facts.append(render.span(node.seconds))
    if node.version is not None:
        facts.append(f"v{node.version}")
    lines = [("name", render.cut(node.name, 30)), ("small", " · ".join(facts))]
    if node.stale:
        lines.append(("reason dnb-care", render.cut(f"stale: {node.stale}".replace("`", ""), 40)))
    width = max(_length(text, _NAME if kind == "name" else _SMALL) for kind, text in lines) + 52
    # In steps, so that boxes above each other are mostly equal.
    return _Box(
        node, tuple(lines), max(120.0, math.ceil(width / 20) * 20.0), 48.0 if len(lines) == 2 else 64.0
    )


def _placed(boxes: Sequence[_Box], arrows: Sequence[_Arrow]) -> layered.Layout:
    place = _laid_out(boxes, arrows, down=False)
    if place.width <= _WIDE:
        return place
    return min(place, _laid_out(boxes, arrows, down=True), key=lambda p: p.width)


def _laid_out(boxes: Sequence[_Box], arrows: Sequence[_Arrow], *, down: bool) -> layered.Layout:
    number = {box.node.name: i for i, box in enumerate(boxes)}
    lines = []
    for arrow in arrows:
        label = (_label_length(arrow), _LABEL + 5) if arrow.label else (0.0, 0.0)
        lines.append(layered.Arrow(number[arrow.source], number[arrow.target], label))
    return layered.laid_out([(box.width, box.height) for box in boxes], lines, down=down, wide=_WIDE)


def _node(box: _Box, centre: Point) -> str:
    node, (x, y) = box.node, (centre[0] - box.width / 2, centre[1] - box.height / 2)
    tone = f"dnb-{style.tone(node.status or '')}"
    kinds = ["dnb-node", "dnb-todo" if node.status is None else "", "dnb-stale" if node.stale else ""]
    told = f"{node.name}: {_state(node)}" + (f" ({node.why})" if node.why else "")
    if node.seconds:
        told += f", took {render.span(node.seconds)}"
    if node.stale:
        told += f"; stale: {node.stale}"
    frame = "dnb-care" if node.stale else tone
    size = f'width="{box.width:.0f}" height="{box.height:.0f}"'
    # The attributes are for where styles are taken away: nothing is black then.
    parts = [
        f'<g class="{" ".join(filter(None, kinds))}" transform="translate({x:.1f} {y:.1f})">',
        f"<title>{_said(told)}</title>",
        f'<rect class="dnb-box {frame}" {size} rx="9" fill="none" stroke="currentColor"/>',
        f'<circle class="dnb-badge {tone}" cx="21" cy="24" r="10" fill="none"/>',
        f'<text class="dnb-mark {tone}" x="21" y="28.6">{_said(style.shape(node.status or ""))}</text>',
    ]
    for (kind, text), below in zip(box.lines, (20.5, 36.5, 53.0), strict=False):
        parts.append(f'<text class="dnb-{kind}" x="40" y="{below}">{_said(text)}</text>')
    return "".join([*parts, "</g>"])


def _edge(arrow: _Arrow, route: layered.Route) -> str:
    told = f"{arrow.target} needs {arrow.source}"
    if arrow.names:
        told += f": it reads {', '.join(arrow.names)}"
    if arrow.after:
        told += f"{',' if arrow.names else ':'} it says --after {arrow.source}"
    *rest, last = route.pieces
    (x, y), (u, v) = last[-2:]
    far = math.hypot(u - x, v - y)
    ahead = (u - x) / far * _HEAD, (v - y) / far * _HEAD
    foot = u - ahead[0], v - ahead[1]
    side = ahead[1] / 2, -ahead[0] / 2
    head = [(u, v), (foot[0] + side[0], foot[1] + side[1]), (foot[0] - side[0], foot[1] - side[1])]
    line = "".join(_path(piece) for piece in (*rest, (*last[:-1], foot)))
    label = ""
    if arrow.label:
        x, y = route.label
        label = f'<text class="dnb-label" x="{x:.1f}" y="{y + 3.6:.1f}">{_said(arrow.label)}</text>'
    return (
        f'<g class="dnb-edge {"dnb-data" if arrow.names else "dnb-after"}"><title>{_said(told)}</title>'
        f'<path class="dnb-line" d="{line}" fill="none" stroke="currentColor"/>'
        f'<path class="dnb-head" d="M{"L".join(map(_point, head))}Z" fill="currentColor"/>'
        f"{label}</g>"
    )


def _path(piece: Sequence[Point]) -> str:
    """Straight lines, and curves between them that begin and end in their directions."""
    across = piece[0][1] == piece[1][1]
    parts = [f"M{_point(piece[0])}"]
    for i, ((x, y), (u, v)) in enumerate(pairwise(piece)):
        if i % 2 == 0:
            parts.append(f"L{_point((u, v))}")
        else:
            bends = ((x + u) / 2, y), ((x + u) / 2, v)
            if not across:
                bends = (x, (y + v) / 2), (u, (y + v) / 2)
            parts.append(f"C{_point(bends[0])} {_point(bends[1])} {_point((u, v))}")
    return "".join(parts)


def _point(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"


def _label_length(arrow: _Arrow) -> float:
    return _LABEL * sum(1.0 if _is_wide(c) else 0.62 for c in arrow.label) + 8


def _length(text: str, size: float) -> float:
    """About as many pixels as a text takes in a wide sans-serif font; nothing here can measure it."""
    return size * sum(
        1.0 if _is_wide(c) else 0.35 if c in _NARROW else 0.72 if c.isupper() or c in "mw_%" else 0.63
        for c in text
    )


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def _said(text: str) -> str:
    """Text for XML, which has no control characters."""
    return escape("".join(c if c.isprintable() else " " for c in text))
