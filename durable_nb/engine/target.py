"""Going to a checkpoint: choose it, stage it, swap it in, say what happened."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from blake3 import blake3

from durable_nb.engine import lineage
from durable_nb.errors import DamagedError, DurableError, NotFoundError, UntrustedError
from durable_nb.model import Checkpoint, Component, NodeStatus, canonical
from durable_nb.state import restore
from durable_nb.state.capture import Capture
from durable_nb.store.log import History
from durable_nb.store.repository import Repository

ERROR = "error"
"""Kind of a checkpoint made when a cell failed: never the newest unless it is asked for by number."""

_VERSION = re.compile(r"v?(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """A checkpoint whose manifests have been read and verified."""

    version: int
    state: Mapping[str, str]
    manifests: Mapping[str, Component]

    @property
    def size(self) -> int:
        """Bytes of all its variables, pickled."""
        return sum(m.size for m in self.manifests.values())

    def contents(self) -> dict[str, str]:
        """name -> content digest, which manifests of dependents refer to."""
        digests = {d: blake3(canonical(m.content())).hexdigest() for d, m in self.manifests.items()}
        return {name: digests[digest] for name, digest in self.state.items()}


def newest(history: History) -> list[Checkpoint]:
    """Checkpoints that a recovery may choose by itself, newest first."""
    return sorted(
        (c for c in history.checkpoints().values() if not c.retired and c.kind != ERROR),
        key=lambda c: -c.version,
    )


def choose(history: History, wanted: str | int | None) -> list[Checkpoint]:
    """The checkpoint that `wanted` means; for None, every candidate, newest first.

    Args:
        wanted: None (the newest), a version (12, "v12"), a node's name, or a unique prefix of an id.

    Raises:
        NotFoundError: nothing matches; the message names what is near.
    """
    _must_be_trusted(history)
    points = history.checkpoints()
    if wanted is None:
        return newest(history)
    text = str(wanted)
    named = [c for c in newest(history) if c.node == text and c.kind == "node"]
    if named:
        return named[:1]
    match = _VERSION.fullmatch(text)
    if match and (found := points.get(int(match[1]))):
        if found.retired:
            raise NotFoundError(f"v{found.version} was deleted")
        return [found]
    by_id = [c for c in points.values() if len(text) >= 4 and c.digest.startswith(text.lower())]
    if len(by_id) == 1:
        return by_id
    if any(c.node == text for c in points.values()):
        raise NotFoundError(f"`{text}` was never finished; `%durable show {text} --traceback` says why")
    names = sorted({c.node for c in points.values() if c.node} | {f"v{v}" for v in points})
    near = difflib.get_close_matches(text, names, 3, 0.4) or names[-5:]
    hint = f"; there is {', '.join(near)}" if near else "; nothing was kept yet"
    raise NotFoundError(f"no checkpoint found for `{text}`{hint}")


def _must_be_trusted(history: History) -> None:
    if not history.trusted:
        raise UntrustedError(
            f"execution {history.execution} was not written by you: nothing of it is loaded. "
            f"`%durable trust {history.execution}` shows who wrote it and lets you decide"
        )


def open_target(repository: Repository, history: History, version: int) -> Target:
    """Read a checkpoint's state and manifests.

    Raises:
        UntrustedError: it is somebody else's.
        DamagedError: some of it is not what was written.
        NotFoundError: some of it is gone.
    """
    _must_be_trusted(history)
    state = history.state(version)
    return Target(version, state, repository.components(set(state.values())))


def first_readable(repository: Repository, history: History, points: Iterable[Checkpoint]) -> Target | None:
    """The first of these checkpoints whose manifests are all there."""
    for point in points:
        with suppress(DurableError, OSError):
            return open_target(repository, history, point.version)
    return None


def stage(
    repository: Repository,
    history: History,
    candidates: Iterable[Checkpoint],
    capture: Capture,
    *,
    only: Iterable[str] | None,
    keep: Iterable[str],
    opened: Target | None = None,
    in_place: bool = False,
    caution: restore.Caution | None = None,
) -> tuple[Target, restore.Plan, restore.Staged, list[str]]:
    """Load the first candidate that holds; with the reasons why newer ones were passed over.

    Where none holds whole, the newest one whose manifests can be read is taken with its gaps. `opened`: one
    of them that was read before. `in_place`: what was captured last is what is live, and may be patched.
    """
    passed: list[str] = []
    gaps: Checkpoint | None = None
    care = caution or restore.Caution()
    hung: dict[str, tuple[str, ...]] = {}

    def load(point: Checkpoint) -> tuple[Target, restore.Plan, restore.Staged]:
        at = point.version
        target = opened if opened and opened.version == at else open_target(repository, history, at)
        todo = restore.plan(target.state, target.manifests, capture, only=only, keep=keep)
        if not hung.keys().isdisjoint(todo.load.values()):
            raise NotFoundError("it holds the same value")
        if any(name not in target.state for names in hung.values() for name in names):
            raise NotFoundError("it is from before there was such a variable")
        chunks = repository.chunks
        staged = restore.stage(todo, target.manifests, chunks, capture, in_place=in_place, caution=care)
        return target, todo, staged

    for point in candidates:
        try:
            target, todo, staged = load(point)
        except (DamagedError, NotFoundError) as error:
            passed.append(f"v{point.version}: {error}")
            continue
        if not staged.damaged and staged.hung is None:
            return target, todo, staged, passed
        if staged.hung is not None:
            hung[staged.hung] = names = target.manifests[staged.hung].names
            passed.append(f"v{point.version}: `{', '.join(names)}`: {care.avoid[staged.hung]}")
        else:
            passed.append(f"v{point.version}: {staged.damaged}")
        restore.discard(staged, capture)
        gaps = gaps or point
    if gaps is None:
        why = f": {passed[0]}" if passed else ""
        raise NotFoundError(f"no checkpoint can be recovered{why}")
    hung.clear()
    target, todo, staged = load(gaps)
    return target, todo, staged, passed


def seconds_of(history: History, version: int) -> float:
    """Run time of the cells that led to a version."""
    attempts = (record.body.get("attempt") for record in lineage.records(history, version))
    done = (a for a in attempts if a and a["status"] == NodeStatus.COMPLETED)
    return sum(float(a["seconds"]) for a in done if not a["setup"])


def lost_attempts(history: History) -> list[dict[str, Any]]:
    """What was begun in the epochs before and never ended, oldest first, with the `epoch` of each.

    Of nodes all, since the save of one may have been under way when the kernel died in the next cell, and a
    kernel may have died before it could say what the one before it lost; of plain cells the very last one.
    """
    answered = _answered(history)
    found: dict[str | None, dict[str, Any]] = {}
    for epoch in range(1, history.epoch):
        intents = history.intents(epoch)
        begun = [i for i in intents if "label" in i]
        for intent in begun:
            name = intent.get("node")
            found.pop(name, None)
            last = epoch == history.epoch - 1 and intent is begun[-1]
            if (name or last) and (epoch, intent["n"]) not in answered:
                lost = _unended(intent, intents)
                if lost is not None:
                    found[name] = {**lost, "epoch": epoch}
    return list(found.values())


def lost_attempt(history: History, epoch: int) -> dict[str, Any] | None:
    """What was begun last in an epoch, if it has not ended."""
    intents = history.intents(epoch)
    begun = [i for i in intents if "label" in i]
    if not begun or (epoch, begun[-1]["n"]) in _answered(history):
        return None
    return _unended(begun[-1], intents)


def _answered(history: History) -> set[tuple[int, int]]:
    """(epoch, number) of every intent that a record answers."""
    found: set[tuple[int, int]] = set()
    for record in history.records:
        attempt = record.body.get("attempt")
        if attempt and attempt.get("n"):
            of_before = attempt.get("epoch", record.epoch - 1)
            found.add((of_before if record.kind == "lost" else record.epoch, attempt["n"]))
    return found


def _unended(intent: Mapping[str, Any], intents: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """An intent with the `details` that it said last with `heartbeat`; None where it is over."""
    said = [i for i in intents if intent["n"] in (i.get("over"), i.get("of"))]
    if any("over" in i for i in said):
        return None
    return {**intent, "details": said[-1]["details"]} if said else dict(intent)


def explain(error: Exception) -> str:
    """One line of an error, ours or anybody's."""
    return str(error) if isinstance(error, DurableError) else f"{type(error).__name__}: {error}"
