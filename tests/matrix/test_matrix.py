"""(Make, change in place, what must hold) x (undo, back and forth, a new kernel after SIGKILL)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from groups import Outcomes, parameters

CASES = Path(__file__).parent / "cases"


@pytest.mark.timeout(1800)  # the first one of a group waits for all of it
@pytest.mark.parametrize(("group", "mode", "case", "phase"), parameters([CASES]))
def test_it_comes_back(
    matrix: Callable[[Path, str], Outcomes], group: Path, mode: str, case: str, phase: str
) -> None:
    matrix(group, mode).check(case, phase)


@pytest.mark.parametrize(
    ("group", "mode", "case", "phase"), [(CASES, "partial", "changes-append", "made")], ids=["append"]
)
def test_partial_scans_are_partial(
    matrix: Callable[[Path, str], Outcomes], group: Path, mode: str, case: str, phase: str
) -> None:
    assert matrix(group, mode).phases[case, phase]["told"] == "partial scan"
