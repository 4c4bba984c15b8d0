"""Kinds of cases that many groups have."""

from __future__ import annotations

from typing import Any

from case import Case

QUICK = "quick = 1"
"""A cell of its own before the one that matters: the first cell after a recovery has everything looked at."""


def step(name: str, make: str | tuple[str, ...], cell: str, before: str, after: str, **options: Any) -> Case:
    """One cell that changes something; `before` and `after` are expressions."""
    cells = (make,) if isinstance(make, str) else make
    return Case(name, cells, (QUICK, cell), f"assert {before}", f"assert {after}", **options)


def appends(name: str, make: str | tuple[str, ...], *mutate: str, **options: Any) -> Case:
    """Cells that append 1 to the list `data`."""
    cells = (make,) if isinstance(make, str) else make
    return Case(
        name, ("data = []", *cells), (QUICK, *mutate), "assert data == []", "assert data == [1]", **options
    )
