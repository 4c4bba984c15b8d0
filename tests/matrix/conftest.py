from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # `case` and `groups`, for the tests here and below

import groups


@pytest.fixture(scope="session")
def matrix(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path, str], groups.Outcomes]:
    """Outcomes of a group in one mode; its processes run once, for the cases that were selected."""
    known: dict[tuple[Path, str], groups.Outcomes] = {}

    def outcomes(group: Path, mode: str) -> groups.Outcomes:
        if (group, mode) not in known:
            chosen = [getattr(item, "callspec", None) for item in request.session.items]
            wanted = [c.params for c in chosen if c is not None and "phase" in c.params]
            names = dict.fromkeys(p["case"] for p in wanted if (p["group"], p["mode"]) == (group, mode))
            folder = tmp_path_factory.mktemp(f"{group.stem}-{mode}")
            known[group, mode] = groups.run(group, mode, list(names), folder)
        return known[group, mode]

    return outcomes
