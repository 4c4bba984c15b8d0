from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import tables

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Any:
    file = tmp_path_factory.mktemp("benchmarks") / "report.json"
    options = ["--scale=0.01", "--repeats=1", "--only=objects", "--tools=floor,ours,cloudpickle"]
    subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *options, f"--json={file}"],
        cwd=ROOT,
        check=True,
        timeout=120,
    )
    return json.loads(file.read_text())


def test_the_benchmarks_run(report: Any) -> None:
    work = report["workloads"]["objects"]
    for tool in ("ours", "cloudpickle"):
        assert work["tools"][tool]["wrong"] == {"back": [], "forth": [], "new": []}
    assert len(work["tools"]["ours"]["block"]["cpu"]) == 10
    assert work["ratios"]["block/floor"] > 0
    assert work["summary"]["ours"]["read_wall"] > 0


def test_the_readme_has_a_place_for_the_figures(report: Any, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text((ROOT / "README.md").read_text())
    for _ in range(2):  # the second time replaces what the first one wrote
        tables.fill(readme, report)
    text = readme.read_text()
    assert text.count(tables.markdown(report)) == text.count(tables.BEGIN) == 1
    assert "| 2,000 objects of a notebook class, one changed | " in text
    assert text.partition(tables.BEGIN)[0] == (ROOT / "README.md").read_text().partition(tables.BEGIN)[0]
