"""Values of the model -> text and HTML, for notebooks, terminals, GitHub and print alike."""

from __future__ import annotations

import datetime as dt
import html as html_
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from durable_nb.engine.nodes import Node
from durable_nb.engine.progress import Summary
from durable_nb.model import Checkpoint, Execution, ExecutionStatus, NodeStatus, RecoveryResult
from durable_nb.ui.style import Mark, shape, tone

if TYPE_CHECKING:
    from durable_nb.engine.recompute import Plan

_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Rendered:
    """Something to look at: plain text everywhere, HTML where it can be shown."""

    text: str
    html: str

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": self.text, "text/html": self.html}


def span(seconds: float) -> str:
    """A duration as people say it: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} days"


def brief(seconds: float) -> str:
    """A duration in one unit: 0.4 s, 12 s, 3 min, 2 h, 5 days."""
    return " ".join(span(seconds).split()[:2])


def about(seconds: float) -> str:
    """A duration that is not known to the second: 12 s, 3 min, 2 h 5 min."""
    minutes = round(seconds / 60)
    return f"{minutes} min" if seconds >= 60 and minutes < 60 else span(seconds)


def amount(size: float) -> str:
    """Bytes as people say them: 0 B, 812 kB, 14 MB, 2.1 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def standing(version: int | None, durability: str) -> str:
    """What the live state was last equal to, and how safe the newest commit is."""
    return ", ".join(filter(None, (f"v{version}", durability))) if version else "nothing kept yet"


def moment(seconds: float) -> str:
    """A time of day in the reader's own zone."""
    return dt.datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def listed(names: Iterable[str], most: int = 12) -> str:
    """Names in one line; the end of a long list is counted."""
    shown = list(names)
    more = len(shown) - most
    return ", ".join(shown[:most]) + (f" and {more} more" if more > 0 else "")


def cut(text: str, most: int) -> str:
    """The beginning of a text."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def table(head: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> Rendered:
    """A table, as text and as HTML."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [list(row) for row in rows]
    drawn = Table(
        *head, title=Text(title) if title else None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for row in cells:
        drawn.add_row(*(Text(str(value)) for value in row))
    console = Console(
        file=io.StringIO(), width=140, force_terminal=False, force_jupyter=False, color_system=None
    )
    console.print(drawn)
    text = "\n".join(line.rstrip() for line in console.file.getvalue().strip("\n").splitlines())  # type: ignore[attr-defined]
    parts = ["<table>"]
    if title:
        parts.append(f"<caption style='text-align:left'>{html_.escape(title)}</caption>")
    parts.append("<thead><tr>" + "".join(_th(h) for h in head) + "</tr></thead><tbody>")
    parts.extend("<tr>" + "".join(_td(v) for v in row) + "</tr>" for row in cells)
    parts.append("</tbody></table>")
    return Rendered(text, "".join(parts))


def _th(value: str) -> str:
    return f"<th style='text-align:left'>{html_.escape(value)}</th>"


def _td(value: object) -> str:
    mark = f" class='dnb-{tone(value.status)}'" if isinstance(value, Mark) else ""
    return f"<td{mark} style='text-align:left'>{html_.escape(str(value))}</td>"


def lines(head: str, body: Iterable[tuple[str, str]]) -> Rendered:
    """A headline and labelled lines below it."""
    pairs = [(label, value) for label, value in body if value]
    width = max((len(label) for label, _ in pairs), default=0)
    text = "\n".join([head, *(f"  {label:<{width}}  {value}" for label, value in pairs)])
    return Rendered(text, f"<div><p>{marked(head)}</p>{labelled(pairs)}</div>")


def labelled(pairs: Iterable[tuple[str, str]]) -> str:
    """Labels and what they are of, as an HTML table."""
    rows = "".join(
        f"<tr><td style='text-align:left'><b>{html_.escape(label)}</b></td>"
        f"<td style='text-align:left'>{marked(value)}</td></tr>"
        for label, value in pairs
    )
    return f"<table>{rows}</table>"


def marked(text: str) -> str:
    """Text for HTML, with what stands between backticks as code."""
    return _CODE.sub(r"<code>\1</code>", html_.escape(text))


def recovery(result: RecoveryResult) -> Rendered:
    """The report after (or the plan before) going to a checkpoint."""
    if result.version is None:
        return lines(f"durable_nb: {result.message}", ())
    ago = f", made {span(result.age)} before" if not result.planned else ""
    body: list[tuple[str, str]] = [
        ("brought back" if not result.planned else "to load", listed(result.restored)),
        ("unchanged", listed(result.same)),
        ("removed" if not result.planned else "to remove", listed(result.deleted)),
        ("brought along", listed(result.widened)),
        ("yours, not overwritten", listed(result.yours)),
    ]
    body += [("was not kept", f"{name}: {why}") for name, why in result.unsaved.items()]
    body += [("not loaded", f"{name}: {why}") for name, why in result.failed.items()]
    body += [("passed over", why) for why in result.passed_over]
    if result.left:
        body.append(
            ("shown, but left", f"the output of {listed(result.left)} is of the branch that was left")
        )
    if result.lost:
        body.append(("lost", f"`{result.lost}` was running when the kernel died"))
    if result.saved_seconds >= 0.05 and not result.planned:
        body.append(("saved you", f"{span(result.saved_seconds)} of running cells again"))
    return lines(f"durable_nb: {result.message}{ago}", body)


def recomputing(plan: Plan) -> list[str]:
    """What running cells again would do, a line for each cell and each variable that it does not bring."""
    steps = ((s.label, ", ".join(f"`{name}`" for name in s.makes)) for s in plan.steps)
    said = [f"{label} runs again, on copies of what it read, for {names}" for label, names in steps]
    return said + not_made(plan.refused)


def not_made(refused: Mapping[str, str]) -> list[str]:
    """Which variables are not made again, and why."""
    return [f"`{name}` is not made again: {why}" for name, why in sorted(refused.items())]


def checkpoints(points: Iterable[Checkpoint], current: int | None = None) -> Rendered:
    """The list of checkpoints, newest first."""
    rows = [
        (
            ("→ " if c.version == current else "  ") + f"v{c.version}",
            c.digest[:8],
            c.kind + (" ⚑" if c.pinned else ""),
            c.node or "",
            moment(c.time),
            f"v{c.parent}" if c.parent else "",
            listed((n for n in c.changed if ":" not in n), 5),
            c.description,
        )
        for c in sorted(points, key=lambda c: -c.version)
        if not c.retired
    ]
    return table(("version", "id", "kind", "node", "time", "from", "changed", "description"), rows)


def attempts(rows: Iterable[Mapping[str, Any]]) -> Rendered:
    """The attempts at nodes and cells, in order."""
    return table(
        ("", "cell", "status", "took", "version"),
        [
            (
                shape(r["status"]),
                r["label"],
                r["status"],
                span(r["seconds"]) if r["seconds"] else "",
                f"v{r['version']}" if r.get("version") else "",
            )
            for r in rows
        ],
    )


def tracebacks(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> Rendered:
    """Errors as they were recorded, with the variables of the innermost function."""
    text = "\n\n".join(f"{title}\n{error['traceback'].rstrip()}{_locals(error)}" for title, error in rows)
    return Rendered(text, f"<pre>{escaped(text)}</pre>")


def _locals(error: Mapping[str, Any]) -> str:
    frame = next((frame for frame in error["frames"] if frame["own"] and frame["locals"]), None)
    if frame is None:
        return ""
    lines = [f"    {name} = {value}" for name, value in frame["locals"].items()]
    return "\n".join([f"\n  in {frame['function']}:", *lines])


def summary(found: Summary, stale: Mapping[str, str] | None = None) -> Rendered:
    """How far an execution is, in a line, with its nodes below."""
    line = so_far(found)
    why = stale or {}
    heads = ["", "node", "status", "attempt", "took", "next"]
    rows = [_row(node) for node in found.nodes]
    if why:
        heads.append("stale")
        rows = [(*row, why.get(node.name, "")) for row, node in zip(rows, found.nodes, strict=True)]
    nodes = table(heads, rows)
    done = f"{found.percentage:.1f}"
    bar = (
        f"<div role='progressbar' aria-valuenow='{done}' aria-valuemin='0' aria-valuemax='100' style='"
        "max-width:30em;height:0.6em;border:1px solid currentColor;border-radius:0.3em;overflow:hidden'>"
        f"<div style='width:{done}%;height:100%;background:currentColor;opacity:0.6'></div></div>"
    )
    head = f"<p>{html_.escape(line)}</p>"
    if not found.nodes:
        return Rendered(line, f"<div>{head}</div>")
    return Rendered(f"{line}\n{nodes.text}", f"<div>{head}{bar}{nodes.html}</div>")


def so_far(found: Summary) -> str:
    """How far an execution is, in a line."""
    count = f"{found.completed} of {found.total} node{'' if found.total == 1 else 's'} done"
    # As long as something is to do, it is not rounded to 100.
    percent = min(round(found.percentage), 99 if found.percentage < 100 else 100)
    parts = [f"{count} ({percent} %)" if found.total else "no named nodes"]
    if found.status not in (ExecutionStatus.RUNNING, ExecutionStatus.COMPLETED):
        parts.append(found.status.lower())
    if found.running:
        parts.append(f"`{found.running}` runs")
    parts += [f"`{name}` is tried again at {moment(when)}" for name, when in found.waiting.items()]
    if found.failed:
        parts.append(f"failed: {listed((f'`{name}`' for name in found.failed), 3)}")
    if found.quarantined:
        parts.append(f"quarantined: {listed((f'`{name}`' for name in found.quarantined), 3)}")
    if found.eta is not None and found.eta >= 1:
        parts.append(f"about {about(found.eta)} left")
    if found.saved >= 0.05:
        parts.append(f"{about(found.saved)} saved")
    return ", ".join(parts)


def _row(node: Node) -> tuple[str, ...]:
    return (
        shape(node.status or ""),
        node.name,
        str(node.status or "to do"),
        str(node.tries or ""),
        span(node.seconds) if node.seconds and node.finished else "",
        moment(node.next_at) if node.status is NodeStatus.RETRY_WAIT else "",
    )


def executions(found: Iterable[Execution]) -> Rendered:
    """The executions of a store, newest first."""
    return table(
        ("execution", "notebook", "status", "owner", "last", "checkpoints to", "trusted"),
        [
            (
                e.id,
                (e.notebook or "(unknown)").rpartition("/")[2],
                f"{shape(e.status)} {e.status}",
                f"{e.owner.user}, process {e.owner.pid}, {e.liveness}" if e.owner else "",
                moment(e.updated),
                f"v{e.head}" if e.head else "",
                "yes" if e.trusted else "no",
            )
            for e in found
        ],
    )


def escaped(text: str) -> str:
    """Text for HTML."""
    return html_.escape(text)


def setting(value: object, kind: str) -> str:
    """A setting's value as a person would write it."""
    if kind == "bytes" and isinstance(value, int):
        return amount(value) if value else "0"
    if kind == "seconds" and isinstance(value, float):
        return span(value)
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value)
