from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # `case` and `groups`, for the tests here and below

import groups


@pytest.fixture(scope="session")
def matrix(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Path, str], groups.Outcomes]]:
    """Outcomes of a group in one mode; its processes run once, for what was selected, two at a time."""
    selected: dict[tuple[Path, str], dict[str, list[str]]] = {}
    for item in request.session.items:
        asked = getattr(getattr(item, "callspec", None), "params", {})
        if "phase" in asked and not item.get_closest_marker("skip"):
            cases = selected.setdefault((asked["group"], asked["mode"]), {})
            cases.setdefault(asked["case"], []).append(asked["phase"])
    with ThreadPoolExecutor(2) as pool:
        begun = {
            (group, mode): [
                pool.submit(groups.run, group, mode, part, tmp_path_factory.mktemp(f"{group.stem}-{mode}"))
                for part in groups.chunks(wanted)
            ]
            for (group, mode), wanted in selected.items()
        }

        @cache
        def outcomes(group: Path, mode: str) -> groups.Outcomes:
            found = groups.Outcomes()
            for part in begun[group, mode]:
                found.update(part.result())
            return found

        yield outcomes
        pool.shutdown(cancel_futures=True)
