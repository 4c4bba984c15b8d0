"""Makes a failing program small: fewer steps, then fewer statements in each cell."""

from __future__ import annotations

import ast
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tests.random_programs.program import Failure, Player, Step


def again(steps: Sequence[Step], *, partial: bool, renewed: bool = True) -> Failure | None:
    """Take the same steps in a new notebook."""
    with tempfile.TemporaryDirectory() as folder:
        return Player(Path(folder), partial=partial, renewed=renewed).play(steps)


def shrunk(player: Player, failure: Failure) -> tuple[list[Step], Failure]:
    """The smallest program found that fails in the same kind of way as what a player has played."""
    steps = player.steps
    best, wanted = failure, _signature(failure)

    def fails(candidate: Sequence[Step]) -> bool:
        nonlocal best
        found = again(candidate, partial=player.partial, renewed=player.renewed)
        if found is None or _signature(found) != wanted:
            return False
        best = found
        return True

    if not fails(steps):
        return steps, failure  # it depends on more than its steps
    size = -1
    while size != _size(steps):
        size = _size(steps)
        steps = _fewer(steps, fails)
        steps = _shorter(steps, fails)
    fails(steps)
    return steps, best


def _signature(failure: Failure) -> str:
    """What two failures of one cause have in common: not names, places and numbers."""
    difference = failure.text.partition(": was ")[2] or failure.text
    return failure.kind + re.sub(r"'[^']*'|`[^`]*`|\d+", "", difference)[:80]


def _size(steps: Sequence[Step]) -> int:
    return sum(1 + len(s.source) for s in steps)


def _fewer(steps: list[Step], fails: Callable[[Sequence[Step]], bool]) -> list[Step]:
    width = max(1, len(steps) // 2)
    while width:
        at = len(steps)
        while at > 0:
            at -= width
            rest = [*steps[: max(at, 0)], *steps[at + width :]]
            if rest and fails(rest):
                steps = rest
        width //= 2
    return steps


def _shorter(steps: list[Step], fails: Callable[[Sequence[Step]], bool]) -> list[Step]:
    for at, step in enumerate(steps):
        for source in _parts(step.source):
            changed = [*steps[:at], replace(step, source=source), *steps[at + 1 :]]
            if fails(changed):
                return _shorter(changed, fails)
    return steps


def _parts(source: str) -> list[str]:
    """The cell without one of its statements, or without one of the statements in those."""
    found: list[str] = []
    try:
        count = sum(1 for _ in ast.walk(ast.parse(source)))
    except SyntaxError:
        return []
    for n in range(count):
        tree = ast.parse(source)
        node = list(ast.walk(tree))[n]
        for field in ("body", "names", "targets", "elts"):
            held = getattr(node, field, None)
            for i in range(len(held) if isinstance(held, list) and len(held) > 1 else 0):
                tree = ast.parse(source)
                del getattr(list(ast.walk(tree))[n], field)[i]
                found.append(ast.unparse(ast.fix_missing_locations(tree)))
    return found
