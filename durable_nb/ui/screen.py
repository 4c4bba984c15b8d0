"""The one screen: where the notebook stands, its history, and what going back would change."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from html import escape

from durable_nb.engine.overview import Entry, Forecast, Overview
from durable_nb.ui import render, style

SHOWN = 20
"""Entries of the history in the static view."""

_UNCHANGED = 12


def _facts(found: Overview) -> list[str]:
    return [
        render.standing(found.version, found.durability),
        render.so_far(found.summary),
        f"{render.amount(found.live)} live, {render.amount(found.stored)} stored",
        f"execution {found.execution}",
    ]


def header(found: Overview) -> str:
    """Where the notebook stands, as HTML."""
    summary = found.summary
    status = summary.status
    done = f"{summary.percentage:.1f}"
    *facts, execution = (escape(fact) for fact in _facts(found))
    spans = [
        f"<span class='dnb-{style.tone(status)}'>{style.shape(status)} {escape(status.lower())}</span>",
        *(f"<span>{fact}</span>" for fact in facts),
        f"<span class='dnb-note'>{execution}</span>",
    ]
    bar = (
        f"<div class='dnb-bar' role='progressbar' aria-label='nodes done' aria-valuenow='{done}' "
        f"aria-valuemin='0' aria-valuemax='100'><div style='width:{done}%'></div></div>"
    )
    title = escape(found.notebook or "this notebook")
    return f"<div class='dnb-title'>{title}</div><div class='dnb-facts'>{''.join(spans)}</div>" + (
        bar if summary.total else ""
    )


def lane(entry: Entry) -> str:
    """The branch of an entry, as a picture of its line."""
    return "│" * min(entry.lane, 3) + "●"


def columns(entry: Entry, label: str, now: float) -> tuple[str, style.Mark, str, str, str, str, str, str]:
    """What is shown of an entry: lane, state, version, label, duration, bytes, age, pin."""
    return (
        lane(entry),
        style.Mark(entry.status or entry.kind),
        f"v{entry.version}" if entry.version else "",
        label + (f" · {entry.description}" if entry.description and entry.description != label else ""),
        render.brief(entry.seconds) if entry.seconds >= 0.05 else "",
        render.amount(entry.stored) if entry.stored else "",
        render.brief(now - entry.time) if now - entry.time >= 2 else "now",
        "⚑" if entry.pinned else "",
    )


def row(entry: Entry, label: str, now: float) -> str:
    """An entry on one line of text, in columns."""
    branch, state, version, name, took, size, age, pin = columns(entry, label, now)
    name = render.cut(name, 24)
    return f"{branch:<3}{state} {version:>4} {name:<24}{took:>7}{size:>8}{age:>8}{pin and ' '}{pin}"


def changes(entry: Entry, label: str, found: Sequence[Forecast]) -> str:
    """What going to an entry would change, as HTML."""
    title = f"<div class='dnb-title'>Going to v{entry.version} {escape(label)}</div>"
    told = [c for c in found if c.how != "unchanged"]
    same = [c.name for c in found if c.how == "unchanged"]
    counts = ", ".join(
        f"{style.shape(how)} {sum(c.how == how for c in told)} {how}"
        for how in ("changed", "added", "removed")
        if any(c.how == how for c in told)
    )
    parts = [title, f"<div>{counts or 'would change nothing: it is what is live'}</div>"]
    if told:
        head = "<tr><th></th><th>variable</th><th>value</th><th>size</th></tr>"
        parts.append(f"<table><thead>{head}</thead><tbody>{''.join(map(_change, told))}</tbody></table>")
    if same:
        parts.append(f"<div class='dnb-note'>= unchanged: {escape(render.listed(same, _UNCHANGED))}</div>")
    return "".join(parts)


def _change(change: Forecast) -> str:
    note = f"<div class='dnb-note'>{escape(change.note)}</div>" if change.note else ""
    kind = escape(change.kind).replace(".", ".<wbr>")
    size = render.amount(change.size) if change.how != "removed" else ""
    return (
        f"<tr><td class='dnb-{style.tone(change.how)}' title='{change.how}'>{style.shape(change.how)}</td>"
        f"<td><code>{escape(change.name)}</code><div class='dnb-note'>{kind}</div>{note}</td>"
        f"<td>{_seen('now', change.now)}{_seen('then', change.then)}</td>"
        f"<td class='dnb-size'>{size}</td></tr>"
    )


def _seen(when: str, preview: str) -> str:
    if not preview:
        return ""
    wrap = "" if "\n" in preview else " class='dnb-wrap'"
    return (
        f"<div class='dnb-pair'><span class='dnb-note'>{when}</span><pre{wrap}>{escape(preview)}</pre></div>"
    )


def static(found: Overview, labels: Iterable[str]) -> render.Rendered:
    """The screen where nothing can be clicked: on GitHub, in print, in a terminal, after the kernel's death.

    Args:
        found: what to show.
        labels: of its newest entries, in order.
    """
    now = time.time()
    rows = [columns(entry, label, now) for entry, label in zip(found.entries[:SHOWN], labels, strict=False)]
    heads = ("", "", "version", "", "took", "stored", "age", "")
    shown = render.table(heads, rows) if rows else render.Rendered("", "")
    more = len(found.entries) - len(rows)
    rest = f"and {more} older: %checkpoint --list shows all" if more > 0 else ""
    hint = "%recover vN brings one of these back" if rows else ""
    facts = "; ".join(_facts(found))
    text = [found.notebook or "this notebook", facts, shown.text, rest, hint]
    notes = "".join(f"<div class='dnb-note'>{escape(note)}</div>" for note in (rest, hint) if note)
    return render.Rendered(
        "\n".join(filter(None, text)), style.framed(header(found) + shown.html + notes, "style")
    )


def when(moment: str) -> render.Rendered:
    """The line beside a dashboard, whose buttons die with the kernel."""
    text = f"durable_nb: the dashboard above is of {moment}; run %durable to steer"
    return render.Rendered(text, style.framed(f"<div class='dnb-note'>{escape(text)}</div>"))
