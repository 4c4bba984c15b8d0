"""What differs between two checkpoints -> text and HTML: first what changed, then what came and went."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from durable_nb.engine.difference import Comparison, Kept
from durable_nb.engine.differences.change import COUNTED, Change, Difference, Fact, Sign, Verdict
from durable_nb.ui import style
from durable_nb.ui.render import Rendered, amount, escaped, listed

_FEW = 3
"""Variables up to which all that was found of each is shown."""

_LINES = 120
"""Lines for the changes of all variables together, where there are more."""

_LEAST = 5
"""Lines that a variable has in any case."""

_VARIABLES = 60
"""Variables that are shown with their changes."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A line below a variable."""

    sign: Sign
    label: str
    value: str
    patch: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    """A variable."""

    sign: Sign
    name: str
    kind: str
    value: str = ""
    rows: tuple[_Row, ...] = ()
    rest: str = ""
    """how much is not shown"""


def rendered(found: Comparison) -> Rendered:
    """A comparison, as text and as HTML."""
    differ = {n: d for n, d in found.changed.items() if d.verdict is Verdict.DIFFERENT}
    unknown = {n: d for n, d in found.changed.items() if d.verdict is Verdict.UNKNOWN}
    equal = {n: d for n, d in found.changed.items() if d.verdict is Verdict.EQUAL}
    most = None if len(differ) <= _FEW else max(_LEAST, _LINES // len(differ))
    shown = list(differ.items())
    entries = [_entry(name, difference, most) for name, difference in shown[:_VARIABLES]]
    entries += [_Entry(Sign.CHANGED, name, _kind(d)) for name, d in shown[_VARIABLES:]]
    entries += [_alone(Sign.ADDED, name, kept) for name, kept in found.added.items()]
    entries += [_alone(Sign.REMOVED, name, kept) for name, kept in found.removed.items()]
    entries += [_entry(name, difference, most) for name, difference in unknown.items()]
    counts = [
        (len(differ), "changed"),
        (len(found.added), "added"),
        (len(found.removed), "removed"),
        (len(unknown), "not comparable"),
        (len(found.unchanged) + len(equal), "unchanged"),
    ]
    told = ", ".join(f"{count:,} {what}" for count, what in counts if count) or "no variables"
    head = f"durable_nb: v{found.before} -> v{found.after}: {told}"
    foot = list(_anew(equal))
    if any(entry.rest for entry in entries):
        foot.append(f"`%durable diff v{found.before} v{found.after} NAME` shows more of a variable")
    text = "\n".join([head, *_text(entries), *foot])
    return Rendered(text, _html(head, entries, foot))


def _anew(equal: dict[str, Difference]) -> Iterator[str]:
    """Why equal values were kept anew, reason by reason."""
    why: dict[str, list[str]] = {}
    for name, difference in equal.items():
        why.setdefault(difference.reason, []).append(name)
    for reason, names in why.items():
        yield f"kept anew, but equal: {listed(names)}" + (f" ({reason})" if reason else "")


def _entry(name: str, difference: Difference, most: int | None) -> _Entry:
    sign = Sign.CHANGED if difference.verdict is Verdict.DIFFERENT else Sign.UNKNOWN
    changes = difference.changes
    only = changes[0] if len(changes) == 1 and not difference.more else None
    if only is not None and not only.path and not only.patch and len(only.facts) == 1:
        value = "; ".join(filter(None, (_said(only.facts[0]), difference.reason)))
        return _Entry(sign, name, _kind(difference), value)
    rows = [row for change in changes for row in _rows(name, change)]
    kept = rows if most is None else rows[:most]
    hidden = len(rows) - len(kept) + difference.more
    at_least = "at least " if difference.more >= COUNTED else ""
    rest = f"… {at_least}{hidden:,} more" if hidden else ""
    return _Entry(sign, name, _kind(difference), difference.reason, tuple(kept), rest)


def _alone(sign: Sign, name: str, kept: Kept) -> _Entry:
    return _Entry(sign, name, kept.kind, amount(kept.size))


def _kind(difference: Difference) -> str:
    same = difference.before == difference.after
    return difference.after if same else f"{difference.before} -> {difference.after}"


def _rows(name: str, change: Change) -> Iterator[_Row]:
    if change.path or not change.facts:
        label = f"{name}{change.path}" if change.path else ""
        yield _Row(change.sign, label, "; ".join(map(_said, change.facts)), change.patch)
        return
    for fact in change.facts:
        yield _Row(change.sign, fact.what, _said(Fact("", fact.before, fact.after, fact.note)))
    if change.patch:
        yield _Row(change.sign, "", "", change.patch)


def _said(fact: Fact) -> str:
    both = f"{fact.before} -> {fact.after}" if fact.before and fact.after else fact.before or fact.after
    note = f"({fact.note})" if both and fact.note else fact.note
    return " ".join(filter(None, (fact.what, both, note)))


def _width(texts: Iterable[str], most: int) -> int:
    return max((len(text) for text in texts if len(text) <= most), default=0)


def _text(entries: list[_Entry]) -> Iterator[str]:
    names, kinds = _width((e.name for e in entries), 30), _width((e.kind for e in entries), 40)
    for entry in entries:
        yield f"{entry.sign} {entry.name:<{names}}  {entry.kind:<{kinds}}  {entry.value}".rstrip()
        labels = _width((row.label for row in entry.rows), 50)
        for row in entry.rows:
            if row.label or row.value:
                label = f"{row.label:<{labels}}  " if row.label else ""
                yield f"    {row.sign} {label}{row.value}".rstrip()
            yield from (f"        {line}".rstrip() for line in row.patch)
        if entry.rest:
            yield f"      {entry.rest}"


def _html(head: str, entries: list[_Entry], foot: list[str]) -> str:
    parts = [f"<p>{escaped(head)}</p>"]
    if entries:
        parts.append("<table class='dnb-diff'><tbody>")
        for entry in entries:
            parts.append(_line(entry.sign, f"<b>{escaped(entry.name)}</b>", escaped(entry.kind), entry.value))
            parts.extend(
                _line(row.sign, escaped(row.label), _patch(row.patch), row.value, inner=True)
                for row in entry.rows
            )
            if entry.rest:
                parts.append(f"<tr class='dnb-inner'><td colspan='2'>{escaped(entry.rest)}</td></tr>")
        parts.append("</tbody></table>")
    parts.extend(f"<p>{escaped(line)}</p>" for line in foot)
    return style.framed("".join(parts), "style")


def _line(sign: Sign, label: str, more: str, value: str, *, inner: bool = False) -> str:
    """A row: sign and label; then `more`, which is HTML, beside the value."""
    row = "<tr class='dnb-inner'>" if inner else "<tr>"
    shown = f"<code>{escaped(value)}</code>" if value else ""
    if not label:
        said = f"<div>{_sign(sign)} {shown}</div>" if shown else ""
        return f"{row}<td colspan='2'>{said}{more}</td></tr>"
    beside = " ".join(filter(None, (more, shown)))
    return f"{row}<td>{_sign(sign)} <code>{label}</code></td><td>{beside}</td></tr>"


def _sign(sign: Sign) -> str:
    state = sign.name.lower()
    return f"<code class='dnb-{style.tone(state)}'><b>{style.shape(state)}</b></code>"


def _patch(lines: tuple[str, ...]) -> str:
    if not lines:
        return ""
    tones = {"+": style.tone("added"), "-": style.tone("removed")}
    shown = (
        f"<span class='dnb-{tones[line[0]]}'>{escaped(line)}</span>" if line[:1] in tones else escaped(line)
        for line in lines
    )
    return "<pre>" + "\n".join(shown) + "</pre>"
