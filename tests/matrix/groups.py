"""Runs groups of cases in processes of their own, and says how each phase of each case went."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import case as cases
import pytest

RUNNER = Path(__file__).with_name("runner.py")


def parameters(groups: Iterable[Path], modes: Sequence[str] = cases.MODES) -> list[Any]:
    """For `parametrize(("group", "mode", "case", "phase"), ...)`: every case in every phase."""
    found = []
    for group in groups:
        for name, case in cases.load(group).items():
            marks = [pytest.mark.long] if case.long else []
            missing = [package for package in case.needs if importlib.util.find_spec(package) is None]
            missing += [f"Python {'.'.join(map(str, case.python))}"] if sys.version_info < case.python else []
            if missing:
                marks.append(pytest.mark.skip(reason=f"{', '.join(missing)} is missing"))
            found += [
                pytest.param(group, mode, name, phase, marks=marks, id=f"{name}-{phase}-{mode}")
                for mode in modes
                for phase in case.phases
            ]
    return found


@dataclass
class Outcomes:
    """How a group went in one mode."""

    phases: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    ended: dict[tuple[str, str], str] = field(default_factory=dict)
    """(case, live or killed) -> how the process ended in the middle of it"""

    def check(self, case: str, phase: str) -> None:
        """Fail with what went wrong, if anything did."""
        line = self.phases.get((case, phase))
        if line is None:
            made = self.phases.get((case, "made"), {}).get("why")
            where = "killed" if phase in (*cases.KILLED, "killed quiet") else "live"
            ended = self.ended.get((case, where)) or self.ended.get((case, "live"))
            pytest.fail(f"did not come to it: {ended or made or 'no line of it'}", pytrace=False)
        if line["why"]:
            pytest.fail(line["why"], pytrace=False)


def run(group: Path, mode: str, names: Sequence[str], folder: Path) -> Outcomes:
    """Run cases of a group: live, then, each process killed, in new ones."""
    outcomes = Outcomes()
    left = list(names)
    attempt = 0
    while left:
        place = folder / str(attempt)
        place.mkdir(parents=True)
        points: dict[str, Any] = {}
        at = _process("live", group, place, mode, left, outcomes, points)
        again = dict(points)
        while again:
            stuck = _process("killed", group, place, mode, again, outcomes, {})
            done = list(again) if stuck is None else list(again)[: list(again).index(stuck) + 1]
            again = {name: point for name, point in again.items() if name not in done}
        left = [] if at is None else left[left.index(at) + 1 :]
        attempt += 1
    return outcomes


def _process(
    kind: str, group: Path, folder: Path, mode: str, asked: Any, outcomes: Outcomes, points: dict[str, Any]
) -> str | None:
    """Run one process until it is done, and kill it. Returns the case that it died of, if it did."""
    command = [sys.executable, str(RUNNER), kind, str(group), str(folder), mode]
    with (folder / f"{kind}.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder
        )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        begun = list(asked)[:1]
        for line in _lines(process.stdout):
            if "done" in line:
                process.kill()
                return None
            if "point" in line:
                points[line["case"]] = line["point"]
            elif "next" in line:
                begun = [line["next"]]
            else:
                outcomes.phases[line["case"], line["phase"]] = line
    return _died(process, kind, begun[0], folder, outcomes)


def _died(process: subprocess.Popen[str], kind: str, at: str, folder: Path, outcomes: Outcomes) -> str:
    code = process.returncode
    how = "it took too long" if code == -signal.SIGALRM else f"its process ended with {code}"
    said = (folder / f"{kind}.log").read_text(errors="replace").splitlines()[-8:]
    outcomes.ended[at, kind] = "\n".join([how, *said])
    return at


def _lines(stream: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in stream:
        yield json.loads(line)
