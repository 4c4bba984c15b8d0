"""The three pictures of the README: drawn for a light and for a dark page alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

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
    return _lines(report, names, "a cell waits, ms of CPU", lambda f: [x * 1e3 for x in f["block"]["cpu"]])


def _store(report: Report) -> Any:
    """What there is after each cell, the first copy included."""
    names = [name for name in BIG if name in report["workloads"]]
    return _lines(
        report,
        names,
        "the store, MB",
        lambda f: [x / 1e6 for x in accumulate(f["bytes"], initial=f["start_bytes"])],
        tools=("ours", "kishu", "dill", "cloudpickle"),
    )


def _lines(
    report: Report, names: Sequence[str], unit: str, values: Any, tools: Sequence[str] = tuple(COLUMNS)
) -> Any:
    figure, panels = plt.subplots(1, len(names), figsize=(2.3 * len(names) + 1, 3.1), squeeze=False)
    for name, panel in zip(names, panels[0], strict=True):
        work = report["workloads"][name]
        ends = []
        for tool in tools:
            figures = work["tools"].get(tool, {})
            if "block" not in figures:
                continue
            points = _smoothed(values(figures))
            at = [(i + 1) * len(figures["block"]["cpu"]) / len(points) for i in range(len(points))]
            panel.plot(at, points, color=COLOURS[tool], linewidth=2 if tool == "ours" else 1.4)
            ends.append((points[-1], at[-1], tool))
        panel.set_yscale("log")
        panel.set_title(name)
        panel.set_xlabel("cell")
        _bare(panel)
        _named(panel, ends)
    panels[0][0].set_ylabel(unit)
    figure.tight_layout(w_pad=3.2)
    return figure


_MOST = 40


def _smoothed(values: Sequence[float]) -> list[float]:
    """A point for each value; where there are hundreds, the median of each stretch."""
    if len(values) <= _MOST:
        return list(values)
    width = len(values) / _MOST
    stretches = (sorted(values[int(i * width) : int((i + 1) * width)]) for i in range(_MOST))
    return [stretch[len(stretch) // 2] for stretch in stretches]


def _named(panel: Axes, ends: Sequence[tuple[float, float, str]]) -> None:
    """A name at the end of each line, moved up where two would cover each other."""
    low, high = panel.get_ylim()
    step = (high / low) ** 0.085
    free = 0.0
    right = panel.get_xlim()[1]
    for value, _, tool in sorted(ends):
        at = max(value, free)
        panel.annotate(
            COLUMNS[tool],
            (right, at),
            xytext=(3, 0),
            textcoords="offset points",
            color=COLOURS[tool],
            va="center",
            fontsize=9,
            fontweight="bold" if tool == "ours" else "normal",
            annotation_clip=False,
        )
        free = at * step


def _back(report: Report) -> Any:
    """A row for each workload, a dot for each tool: one step back, and in a new process."""
    ways = {"back_wall": "one step back, in the same kernel", "new_wall": "the newest state, in a new kernel"}
    names = [name for name in BIG if name in report["workloads"]][::-1]
    figure, panels = plt.subplots(1, 2, figsize=(10, 0.62 * len(names) + 1.3), sharey=True)
    for (key, title), panel in zip(ways.items(), panels, strict=True):
        for row, name in enumerate(names):
            found = list(_times(report["workloads"][name]["summary"], key))
            panel.plot([x for x, _ in found], [row] * len(found), color=INK, linewidth=0.6, zorder=1)
            for seconds, tool in found:
                panel.scatter(seconds * 1e3, row, s=42, color=COLOURS[tool], zorder=2)
        panel.set_xscale("log")
        panel.set_xlabel("ms")
        panel.set_title(title, pad=22)
        panel.set_yticks(range(len(names)), names)
        panel.set_ylim(-0.6, len(names) - 0.4)
        _bare(panel)
    shown = [tool for tool in COLUMNS if any(tool in report["workloads"][n]["summary"] for n in names)]
    for at, tool in enumerate(shown):
        label = "read + hash + copy" if tool == "floor" else COLUMNS[tool]
        figure.text(0.09 + 0.18 * at, 0.985, f"● {label}", color=COLOURS[tool], va="top", fontsize=10)
    figure.tight_layout(rect=(0, 0, 1, 0.93))
    return figure


def _times(summary: Mapping[str, Any], key: str) -> Iterator[tuple[float, str]]:
    for tool in COLUMNS:
        if tool == "floor" and key == "new_wall":
            yield summary["ours"]["read_wall"], tool
        elif tool != "floor" and key in summary.get(tool, {}):
            yield summary[tool][key], tool


def _bare(panel: Axes) -> None:
    panel.tick_params(which="minor", length=0)
    panel.grid(visible=True, which="major", color=INK, alpha=0.2, linewidth=0.6)
    panel.set_axisbelow(True)
