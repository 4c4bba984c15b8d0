"""What is known of how a kernel died: facts from the log and the system, and what they suggest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from durable_nb.model import Owner
from durable_nb.store.log import History
from durable_nb.store.owner import current_owner, oom_kills

OOM_KILLS = "oom_kills"
"""In an epoch's meta: processes that the system had killed for lack of memory when it began."""


@dataclass(frozen=True, slots=True)
class Death:
    """The death of the kernel that owned an execution."""

    label: str
    """what was running: a node's name, or the label of a cell; "" where nothing was"""
    node: str | None
    began: float
    """when that began, in seconds since 1970; 0 where nothing was running"""
    effects: bool
    """whether it is a node with `--effects`"""
    cause: str
    """in words"""


def of(history: History, owner: Owner | None, attempt: Mapping[str, Any] | None) -> Death:
    """Sum up what is known.

    Args:
        history: of the execution, which has just been taken over.
        owner: the former owner.
        attempt: what was begun last and never ended (see `target.lost_attempt`).
    """
    known = attempt or {}
    return Death(
        label=str(known.get("label", "")),
        node=known.get("node"),
        began=float(known.get("started", 0.0)),
        effects=bool(known.get("effects")),
        cause=_cause(history, owner),
    )


def _cause(history: History, owner: Owner | None) -> str:
    if owner is None:
        return ""
    here = current_owner()
    if owner.host != here.host and owner.boot_id != here.boot_id:
        return f"it ran on another machine, {owner.host}"
    if owner.boot_id != here.boot_id:
        return "the machine was restarted since"
    if owner.pid_namespace != here.pid_namespace:
        return "it ran in another container"
    epoch = history.epochs.get(history.epoch - 1)
    before, now = epoch.meta.get(OOM_KILLS) if epoch else None, oom_kills()
    if isinstance(before, int) and now is not None and now > before:
        return (
            "the system has killed a process for lack of memory since then, "
            f"and that was probably this one (process {owner.pid})"
        )
    return f"process {owner.pid} ended without a word: it was killed, or it crashed"
