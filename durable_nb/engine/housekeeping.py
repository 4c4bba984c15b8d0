"""Pins, deletion, forgetting, clearing: what a person does to the history itself."""

from __future__ import annotations

import json
from collections.abc import Iterable

from durable_nb.engine import target as targets
from durable_nb.engine.keeper import Keeper
from durable_nb.engine.recovery import Recovery
from durable_nb.errors import DurableError, NotFoundError, RefusedError
from durable_nb.model import Component, ExecutionStatus
from durable_nb.store.log import History
from durable_nb.store.repository import Repository


def pin(keeper: Keeper, version: int, *, pinned: bool) -> None:
    """Pin a checkpoint (it is never removed by itself), or unpin it.

    Raises:
        NotFoundError: this execution has no such checkpoint.
    """
    _must_be_here(keeper, version)
    keeper.note("pin", {"pin" if pinned else "unpin": [version]})


def describe(keeper: Keeper, version: int, text: str) -> None:
    """Give a checkpoint another description.

    Raises:
        NotFoundError: this execution has no such checkpoint.
    """
    _must_be_here(keeper, version)
    keeper.note("describe", {"describe": {str(version): text}})


def _must_be_here(keeper: Keeper, version: int) -> None:
    """Before this kernel's execution has begun, what there is to see belongs to the one before."""
    keeper.drain()
    if not keeper.begun or version not in keeper.repository.history(keeper.execution).checkpoints():
        raise NotFoundError(f"this execution has no checkpoint v{version}")


def delete(keeper: Keeper, recovery: Recovery, version: int, *, force: bool) -> None:
    """Remove a checkpoint; its bytes go with the next collection.

    Raises:
        NotFoundError: there is none.
        RefusedError: it is the one that the notebook stands on, or pinned and not forced.
    """
    history = recovery.history()
    points = {c.version: c for c in history.checkpoints().values() if not c.retired}
    if version not in points:
        raise NotFoundError(f"no checkpoint v{version}")
    newest = targets.newest(history)
    if version == keeper.version or [c.version for c in newest] == [version]:
        raise RefusedError(
            f"v{version} is what a crash now would be recovered from: make another checkpoint first"
        )
    if points[version].pinned and not force:
        raise RefusedError(f"v{version} is pinned: unpin it, or say --force")
    keeper.note("retire", {"retire": [version]})


def forget(keeper: Keeper, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Remove variables from all history, with what shares objects with them and the cells that name them.

    Goes through every execution of this user in the store. Returns the names of other variables whose
    history goes with them, and the executions that could not be reached, with the reason.
    """
    wanted = set(names)
    keeper.policy.ignored |= wanted
    keeper.drain()
    others: set[str] = set()
    unreached: list[str] = []
    for execution in keeper.repository.executions():
        if not execution.trusted:
            continue
        try:
            manifests, cells = _traces(keeper, keeper.repository.history(execution.id), wanted)
            if not manifests and not cells:
                continue
            body = {"forget": {"names": sorted(wanted), "manifests": sorted(manifests), "cells": cells}}
            if keeper.begun and execution.id == keeper.execution:
                others = {n for m in manifests.values() for n in m.names} - wanted
                keeper.note("forget", body)
            else:
                keeper.repository.annotate(execution.id, body)
        except (DurableError, OSError) as error:
            unreached.append(f"{execution.id} ({targets.explain(error)})")
    keeper.capture.forget(n for n in (*wanted, *others) if n in keeper.capture.live)
    if keeper.begun:
        keeper.checkpoint("safety", {"description": f"after forgetting {', '.join(sorted(wanted))}"})
    return sorted(others), unreached


def _traces(keeper: Keeper, history: History, wanted: set[str]) -> tuple[dict[str, Component], list[str]]:
    """Manifests of components that hold one of the variables, and cells that name one."""
    manifests: dict[str, Component] = {}
    for point in history.checkpoints().values():
        try:
            state = history.rebuild(point.version)
            held = {d for n, d in state.items() if n in wanted} - history.forgotten
            manifests.update(keeper.repository.components(held))
        except (DurableError, OSError):
            continue  # it cannot be read, and so holds nothing that could be
    known = [record.body["cell"] for record in history.records if record.body.get("cell")]
    cells = [cell for cell in [*known, *sorted(history.begun())] if _mentions(keeper, cell, wanted)]
    return manifests, cells


def _mentions(keeper: Keeper, digest: str, names: set[str]) -> bool:
    try:
        text = keeper.repository.cell(digest).decode()
    except (DurableError, OSError):
        return False
    return any(name in json.loads(text)["source"] for name in names)


def collect(repository: Repository) -> int:
    """Delete what nothing needs any more; returns the bytes given back.

    Without a grace period: that is for readers elsewhere, and writers look again after they have published.
    """
    from durable_nb.store import garbage

    return garbage.collect(repository, grace=0.0).freed


def clear(keeper: Keeper) -> int:
    """Remove every execution of this notebook from the store; returns the bytes given back.

    Raises:
        RefusedError: another kernel runs one of them.
    """
    mine = [
        e for e in keeper.repository.executions()
        if e.id == keeper.execution or (keeper.notebook and e.notebook == str(keeper.notebook))
    ]  # fmt: skip
    for execution in mine:
        if execution.running and execution.id != keeper.execution:
            raise RefusedError(f"execution {execution.id} is running in another kernel: shut that down first")
    keeper.close(str(ExecutionStatus.COMPLETED), 2.0)
    keeper.new()
    keeper.parent = None
    for execution in mine:
        keeper.repository.remove(execution.id)
    return collect(keeper.repository)
