"""The figures as tables: in the terminal, and in the README between its two markers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

COLUMNS = {
    "ours": "durable_nb",
    "floor": "the floor",
    "kishu": "Kishu",
    "dill": "dill",
    "cloudpickle": "cloudpickle",
}

BEGIN, END = "<!-- figures -->", "<!-- end of the figures -->"

PLOTS = {
    "block": "How long each cell waits for what keeps it",
    "store": "What the store holds after each cell",
    "back": "How long it takes to get back",
}
"""Files in `plots/`, with what they show."""

_WAYS = {"back": "one step back", "forth": "forth again", "new": "in a new process"}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `values` by tool."""

    group: str
    label: str
    values: Mapping[str, str]


def rows(report: Mapping[str, Any]) -> Iterator[Row]:
    """Everything that was measured."""
    works = report["workloads"]
    timed = {name: work for name, work in works.items() if "ratios" in work}
    yield from _numbers(timed, "a cell waits, CPU ms", "block_cpu", 1e3)
    if "cells" in timed:
        yield from _numbers({"cells": timed["cells"]}, "at its last tenth", "block_cpu_late", 1e3)
    yield from _numbers(timed, "a cell waits, ms on the clock", "block_wall", 1e3)
    yield from _numbers(timed, "a cell adds, MB", "cell_bytes", 1e-6)
    yield from _numbers(timed, "the store in the end, MB", "store_bytes", 1e-6)
    yield from _numbers(timed, "one step back, ms", "back_wall", 1e3)
    yield from _numbers(timed, _NEW, "new_wall", 1e3, "read_unpickle_wall")
    yield from _numbers(timed, _LOADING, "loading_bytes", 1e-6)
    for group, key in ((_FIRST, "first_"), (_CHANGES, "")):
        yield from _numbers(timed, group, f"{key}over_bytes", 1e-6, f"{key}may_over_bytes")
    for work in works.values():
        for label, by in work.get("growths", {}).items():
            values = {tool: _plain(by[tool] / 1e6) for tool in COLUMNS if tool in by}
            yield Row("added, MB (floor: changed)", label, values | {"floor": _plain(by["changed"] / 1e6)})
        for label, by in work.get("slowdowns", {}).items():
            yield Row("the user's own code, times as slow", label, {t: f"{x:.2f}" for t, x in by.items()})
    for way, title in _WAYS.items():
        for name, work in works.items():
            values = {tool: _right(work, figures, way) for tool, figures in work["tools"].items()}
            kept = {tool: text for tool, text in values.items() if text}
            if kept and "slowdowns" not in work:
                yield Row(f"what came back right, {title}", name, kept)
        if "cases" in report and way == "back":
            right = {t: f"{x['of'] - len(x['wrong'])} of {x['of']}" for t, x in report["cases"].items()}
            yield Row(f"what came back right, {title}", "small notebooks", right)


def _numbers(works: Mapping[str, Any], group: str, key: str, unit: float, floor: str = "") -> Iterator[Row]:
    for name, work in works.items():
        found = {tool: short[key] for tool, short in work["summary"].items() if key in short}
        if floor:
            found["floor"] = work["summary"].get("ours", {}).get(floor)
        found = {tool: value for tool, value in found.items() if tool in COLUMNS and value is not None}
        if "ours" in found:
            yield Row(group, name, {tool: _plain(value * unit) for tool, value in found.items()})


def _plain(value: float) -> str:
    """Three digits, and never an exponent."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 1e-3 else f"{value:.4f}"


def _right(work: Mapping[str, Any], figures: Mapping[str, Any], way: str) -> str:
    if "failed" in figures:
        return "failed"
    if way not in figures.get("wrong", {}):
        return ""
    wrong = sum(name in work["checks"] for name in figures["wrong"][way])
    return f"{len(work['checks']) - wrong} of {len(work['checks'])}"


def terminal(report: Mapping[str, Any]) -> Table:
    """For the eye, at once."""
    out = Table(title="medians", title_justify="left")
    for title in ("", *COLUMNS.values()):
        out.add_column(title, justify="left" if not title else "right")
    group = ""
    for row in rows(report):
        if row.group != group:
            group = row.group
            out.add_section()
            out.add_row(f"[bold]{group}")
        out.add_row(f"  {row.label}", *(row.values.get(tool, "-") for tool in COLUMNS))
    return out


_LOADING = "memory that loading takes, MB"
_NEW = "in a new process, ms (floor: read, check, copy, unpickle)"
_FIRST = "memory beyond that at its peak, MB, as variables are made (floor: what may be)"
_CHANGES = "and as they change"

_PUBLISHED = (
    "a cell waits, CPU ms",
    "the store in the end, MB",
    "one step back, ms",
    _NEW,
    _LOADING,
    _FIRST,
    _CHANGES,
    "added, MB (floor: changed)",
    "the user's own code, times as slow",
    "what came back right, one step back",
    "what came back right, in a new process",
)


def markdown(report: Mapping[str, Any]) -> str:
    """What the README shows."""
    versions = report["machine"]["versions"]
    titles = [f"{title} {versions.get(tool, '')}".strip() for tool, title in COLUMNS.items()]
    lines = ["| | " + " | ".join(titles) + " |", "|---|" + "--:|" * len(titles)]
    found = list(rows(report))
    for group in _PUBLISHED:
        members = [row for row in found if row.group == group and not _all_right(row)]
        if members:
            lines.append(f"| **{group}** |" + " |" * len(titles))
        for row in members:
            title = report["workloads"].get(row.label, {}).get("title", row.label)
            lines.append(f"| {title} | " + " | ".join(row.values.get(t, "") for t in COLUMNS) + " |")
    machine = report["machine"]
    made = (
        f"Medians over the cells of up to {report['repeats']} runs (the peers: {report['peer_repeats']}). "
        f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_bytes'] / 2**30:.0f} GiB, "
        f"Python {machine['python']}, pandas {versions['pandas']}, NumPy {versions['numpy']}."
    )
    notes = [f"{COLUMNS[name]} was not installed, and is not in it." for name in report["missing"]]
    if max(machine["load_average"][0], machine["load_average_after"][0] - 1) > machine["cores"] / 2:
        notes.append("The machine had other things to do: what is on the clock took longer than it has to.")
    for name, work in report["workloads"].items():
        again = work["tools"].get("kishu", {}).get("unstored")
        if again:
            names = ", ".join(f"`{n}`" for n in again)
            notes.append(f"Of *{name}*, Kishu stores no {names}: it runs their cells again.")
    images = [f"![{title}](tests/benchmarks/plots/{name}.svg)" for name, title in PLOTS.items()]
    notes.append("What is not listed under *what came back right* came back right everywhere.")
    return "\n\n".join([*images, "\n".join(lines), made, "\n".join(notes)])


def _all_right(row: Row) -> bool:
    """Whether a row says only that nothing was wrong: the README leaves those out."""
    parts = [text.split(" of ") for text in row.values.values() if " of " in text]
    return len(parts) == len(row.values) and all(right == of for right, of in parts)


def fill(readme: Path, report: Mapping[str, Any]) -> None:
    """Put the figures where the README has the markers."""
    before, begin, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{readme} has no place for the figures: {BEGIN} … {END}")
    readme.write_text(f"{before}{BEGIN}\n\n{markdown(report)}\n\n{END}{after}")
