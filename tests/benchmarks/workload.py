"""What a benchmark runs: a notebook, what is changed in it, and how to tell whether it came back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Workload:
    """A notebook: cells that make a state, then cells that change a little of it."""

    name: str
    title: str
    imports: str
    """the first cell; in a recovery it is no part of what is timed"""
    setup: tuple[str, ...]
    changes: tuple[str, ...]
    checks: Mapping[str, str]
    """expressions by name: what each says has to come back with the state. `SPACE` is the namespace"""
    touched: tuple[str, ...] = ()
    """variables that a change has to look at: what the floor is measured on; none where it cannot be"""
    settled: bool = True
    """whether each save is on disk before the next cell starts, as between cells that a person runs"""
    what: Literal["costs", "growths", "slowdowns"] = "costs"
    """the question: times and sizes; bytes added beside bytes changed; how slow the user's own code gets"""
    labels: tuple[str, ...] = ()
    """of the changes, where each is a figure of its own"""
    changed: tuple[int, ...] = ()
    """bytes that each change changes, where that is known"""
