"""The three pictures of the README: drawn for a light and for a dark page alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import AutoLocator, FixedFormatter, FuncFormatter, LogLocator, MaxNLocator

from tests.benchmarks.tables import COLUMNS

INK = "#7d8590"
"""Grey that can be read on white and on near-black."""

COLOURS = {
    "ours": "#e8590c",
    "floor": INK,
    "kishu": "#7950f2",
    "dill": "#1098ad",
    "cloudpickle": "#37b24d",
}

BIG = ("frame", "array", "objects", "training")
"""Workloads that have a panel each."""

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "durable_nb",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial"],
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "savefig.transparent": True,
}

Report = Mapping[str, Any]


def draw(report: Report, folder: Path) -> None:
    """Write `block.svg`, `store.svg` and `back.svg`."""
    folder.mkdir(exist_ok=True)
    with plt.rc_context(STYLE):
        for name, make in {"block": _block, "store": _store, "back": _back}.items():
            figure = make(report)
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
            plt.close(figure)


def _block(report: Report) -> Any:
    """A line for each tool, a point for each cell."""
    names = [name for name in (*BIG, "cells") if name in report["workloads"]]
    title = "a cell waits, ms of CPU"
    return _lines(report, names, title, lambda f: [x * 1e3 for x in f["block"]["cpu"]], tuple(COLUMNS), "log")


def _store(report: Report) -> Any:
    """What there is after each cell, the first copy included."""
    names = [name for name in BIG if name in report["workloads"]]
    tools = tuple(tool for tool in COLUMNS if tool != "floor")
    return _lines(report, names, "the store, MB", _grown, tools, "linear")


def _grown(figures: Mapping[str, Any]) -> list[float]:
    return [x / 1e6 for x in accumulate(figures["bytes"], initial=figures["start_bytes"])]


def _lines(
    report: Report,
    names: Sequence[str],
    unit: str,
    values: Callable[[Mapping[str, Any]], list[float]],
    tools: Sequence[str],
    scale: str,
) -> Any:
    columns = 3 if len(names) > 4 else 2
    rows = -(-len(names) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(9, 2.35 * rows), squeeze=False)
    panels = list(grid.flat)
    for panel in panels[len(names) :]:
        panel.set_axis_off()
    for name, panel in zip(names, panels, strict=False):
        found = report["workloads"][name]["tools"]
        ends = []
        for tool in tools:
            if "block" in found.get(tool, {}):
                count = len(found[tool]["block"]["cpu"])
                points = _smoothed(values(found[tool]))
                at = [count * (i + 1) / len(points) for i in range(len(points))]
                panel.plot(at, points, color=COLOURS[tool], linewidth=2 if tool == "ours" else 1.4)
                ends.append((points[-1], tool))
        panel.set_title(f"{name}: {unit}", loc="left")
        panel.set_yscale(scale)
        if scale == "linear":
            panel.set_ylim(bottom=0)
        _bare(panel)
        _named(panel, ends)
    for panel in panels[max(0, len(names) - columns) : len(names)]:
        panel.set_xlabel("cell")
    figure.tight_layout(w_pad=2.5)
    return figure


_MOST = 40
"""Points of a line."""

_LINE = 0.115
"""Height of a name, in panels."""


def _smoothed(values: Sequence[float]) -> list[float]:
    """A point for each value; where there are hundreds, the median of each stretch."""
    if len(values) <= _MOST:
        return list(values)
    width = len(values) / _MOST
    stretches = (sorted(values[int(i * width) : int((i + 1) * width)]) for i in range(_MOST))
    return [stretch[len(stretch) // 2] for stretch in stretches]


def _named(panel: Axes, ends: Sequence[tuple[float, str]]) -> None:
    """A name at the end of each line, moved where two would cover each other."""
    low, high = panel.transData.inverted().transform([(0, y) for y in panel.bbox.intervaly])[:, 1]
    to = panel.get_yaxis().get_transform()
    bottom, top = to.transform([low, high])
    ordered = sorted(ends)
    at = [(to.transform([value])[0] - bottom) / (top - bottom) for value, _ in ordered]
    for i in range(1, len(at)):
        at[i] = max(at[i], at[i - 1] + _LINE)
    for i in reversed(range(len(at))):
        at[i] = min(at[i], 1.0 - _LINE * (len(at) - 1 - i))
    for height, (_, tool) in zip(at, ordered, strict=True):
        weight = "bold" if tool == "ours" else "normal"
        panel.text(
            1.03,
            height,
            COLUMNS[tool],
            transform=panel.transAxes,
            color=COLOURS[tool],
            va="center",
            fontsize=9,
            fontweight=weight,
        )


def _back(report: Report) -> Any:
    """A row for each workload, a dot for each tool: one step back, and in a new process."""
    ways = {"back_wall": "one step back, in the same kernel", "new_wall": "the newest state, in a new kernel"}
    names = [name for name in BIG if name in report["workloads"]][::-1]
    figure, panels = plt.subplots(1, 2, figsize=(10, 0.62 * len(names) + 1.3), sharey=True)
    for (key, title), panel in zip(ways.items(), panels, strict=True):
        for row, name in enumerate(names):
            found = list(_times(report["workloads"][name]["summary"], key))
            panel.plot([x * 1e3 for x, _ in found], [row] * len(found), color=INK, linewidth=0.6, zorder=1)
            for seconds, tool in found:
                panel.scatter(seconds * 1e3, row, s=42, color=COLOURS[tool], zorder=2)
        panel.set_xscale("log")
        panel.set_title(f"{title}, ms", loc="left")
        panel.set_yticks(range(len(names)), names)
        panel.set_ylim(-0.6, len(names) - 0.4)
        _bare(panel)
    shown = [tool for tool in COLUMNS if any(tool in report["workloads"][n]["summary"] for n in names)]
    for at, tool in enumerate(shown):
        label = "the floor" if tool == "floor" else COLUMNS[tool]
        figure.text(0.09 + 0.18 * at, 0.985, f"● {label}", color=COLOURS[tool], va="top", fontsize=10)
    figure.tight_layout(rect=(0, 0, 1, 0.93))
    return figure


def _times(summary: Mapping[str, Any], key: str) -> Iterator[tuple[float, str]]:
    for tool in COLUMNS:
        if tool == "floor" and key == "new_wall":
            yield summary["ours"]["read_unpickle_wall"], tool
        elif tool != "floor" and key in summary.get(tool, {}):
            yield summary[tool][key], tool


def _bare(panel: Axes) -> None:
    """Thin lines, and numbers as people write them."""
    for axis in (panel.xaxis, panel.yaxis):
        if axis.get_scale() == "log":
            low, high = axis.get_view_interval()
            axis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 300 else (1.0, 2.0, 5.0)))
        if not isinstance(axis.get_major_formatter(), FixedFormatter | FuncFormatter):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        elif axis.get_scale() == "linear" and isinstance(axis.get_major_locator(), AutoLocator):
            axis.set_major_locator(MaxNLocator(4))
    panel.minorticks_off()
    panel.grid(visible=True, color=INK, alpha=0.2, linewidth=0.6)
    panel.set_axisbelow(True)
