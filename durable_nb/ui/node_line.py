"""The line under a node: how it is going while it runs, and how it ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from typing import Any

from durable_nb.ui import render, style

_DETAILS = 120

_WORTH = 100_000
"""Bytes from which on they are worth telling."""


@dataclass(frozen=True, slots=True)
class Going:
    """A node that is under way."""

    name: str
    elapsed: float
    """seconds of this attempt"""
    attempt: int
    attempts: int
    """at most"""
    wait: float = 0.0
    """seconds until the next attempt begins; 0 while one runs"""
    details: Any = None
    """what it last said with `heartbeat`"""


@dataclass(frozen=True, slots=True)
class Ended:
    """A node that came to an end."""

    name: str
    status: str
    seconds: float
    """run time; of one that was put back, what that saved"""
    attempt: int = 1
    error: str = ""
    """the type's name"""
    size: int = 0
    """bytes of what it changed, pickled"""
    stored: int = 0
    """bytes that this took in the store"""
    durability: str = ""
    """as of `Ticket`"""


def going(found: Going) -> render.Rendered:
    """While it runs: elapsed time, attempt, countdown to the next one, and what it says of itself."""
    tried = f"attempt {found.attempt} of {found.attempts}" if found.attempts > 1 else ""
    if found.wait > 0:
        parts = [found.name, tried, f"again in {render.span(found.wait)}"]
        return _line("RETRY_WAIT", parts)
    details = "" if found.details is None else _said(found.details)
    return _line("STARTED", [found.name, render.span(found.elapsed), tried, details])


def ended(found: Ended) -> render.Rendered:
    """One quiet line: what it took, what it kept, and how safe that is."""
    if found.status == "REUSED":
        saved = f"{render.span(found.seconds)} saved" if found.seconds >= 0.05 else ""
        return _line("REUSED", [found.name, "put back", saved])
    tried = f"attempt {found.attempt}" if found.attempt > 1 else ""
    if found.status != "COMPLETED":
        parts = [found.name, found.status.lower(), found.error, tried, render.span(found.seconds)]
        return _line(found.status, parts)
    worth = found.stored and found.size >= _WORTH
    sizes = f"{render.amount(found.size)} → {render.amount(found.stored)}" if worth else ""
    return _line("COMPLETED", [found.name, render.span(found.seconds), tried, sizes, found.durability])


def _said(details: Any) -> str:
    text = details if isinstance(details, str) else json.dumps(details, ensure_ascii=False, default=str)
    return render.cut(text, _DETAILS)


def _line(status: str, parts: list[str]) -> render.Rendered:
    text = " · ".join(part for part in parts if part)
    mark = f"<span class='dnb-{style.tone(status)}'>{style.shape(status)}</span>"
    shown = f"<div role='status' class='dnb-note'>{mark} {escape(text)}</div>"
    return render.Rendered(f"{style.shape(status)} {text}", style.framed(shown))
