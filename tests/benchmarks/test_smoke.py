from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_the_benchmarks_run(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = ["-m", "tests.benchmarks", "--scale=0.01", "--repeats=1", "--only=objects", f"--json={report}"]
    subprocess.run([sys.executable, *command], cwd=Path(__file__).parents[2], check=True, timeout=120)
    found = json.loads(report.read_text())
    figures = found["workloads"]["objects"]["figures"]
    assert figures["ok"] == figures["dill_ok"] == 1
    assert found["load"]["load_shell"]["load_wall"] > 0
