"""How the views look: one palette for light and dark, and a colour and a shape for every state."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)

Tone = Literal["good", "bad", "care", "busy", "calm"]

_TONES: dict[str, Tone] = {
    "COMPLETED": "good", "REUSED": "good", "SKIPPED": "calm", "FAILED": "bad", "LOST": "bad",
    "QUARANTINED": "bad", "INTERRUPTED": "care", "RETRY_WAIT": "care", "PAUSED": "care", "STARTED": "busy",
    "RUNNING": "busy", "RECOVERING": "busy", "changed": "care", "added": "good", "removed": "bad",
}  # fmt: skip

_SHAPES = {
    "COMPLETED": "✓", "REUSED": "↺", "FAILED": "✗", "INTERRUPTED": "‖", "LOST": "?", "STARTED": "…",
    "RUNNING": "…", "RECOVERING": "↺", "PAUSED": "‖", "RETRY_WAIT": "↻", "SKIPPED": "»", "QUARANTINED": "⊘",
    "manual": "◆", "safety": "◇", "recovery": "↥", "rollback": "↶", "recompute": "↻", "changed": "~",
    "added": "+", "removed": "−", "unchanged": "=", "unknown": "?",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mark:
    """A state as a cell of a table: its shape, in its colour."""

    status: str

    def __str__(self) -> str:
        return shape(self.status)


def framed(inner: str, *names: str) -> str:
    """HTML with its own styles, which hold for nothing else (see `sheet`)."""
    return f"{sheet(*names)}<div class='durable-nb'>{inner}</div>"


@cache
def sheet(*names: str) -> str:
    """The palette and other style sheets of this folder, as an element, without what only people need."""
    folder = resources.files(__package__)
    texts = (folder.joinpath(f"{name}.css").read_text("utf-8") for name in ("palette", *names))
    return f"<style>{' '.join(_COMMENT.sub('', ' '.join(texts)).split())}</style>"


def tone(status: str) -> Tone:
    """A state by its colour."""
    return _TONES.get(status, "calm")


def shape(status: str) -> str:
    """A state by its shape, for those who do not see the colour."""
    return _SHAPES.get(status, "·")
