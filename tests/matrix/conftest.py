from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # `case` and `groups`, for the tests here and below

import groups


@pytest.fixture(scope="session")
def matrix(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Path, str], groups.Outcomes]]:
    """Outcomes of a group in one mode; its processes run once, for the cases that were selected."""
    selected: dict[tuple[Path, str], dict[str, None]] = {}
    for item in request.session.items:
        asked = getattr(getattr(item, "callspec", None), "params", {})
        if "phase" in asked:
            selected.setdefault((asked["group"], asked["mode"]), {})[asked["case"]] = None
    with ThreadPoolExecutor(2) as pool:
        begun = {
            (group, mode): pool.submit(
                groups.run, group, mode, list(names), tmp_path_factory.mktemp(f"{group.stem}-{mode}")
            )
            for (group, mode), names in selected.items()
        }
        yield lambda group, mode: begun[group, mode].result()
        pool.shutdown(cancel_futures=True)
