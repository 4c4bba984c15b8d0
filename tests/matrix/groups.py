"""Runs groups of cases in processes of their own, and says how each phase of each case went."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGALRM
from subprocess import PIPE
from typing import Any

import case as cases
import pytest
from limits import LIMITS

RUNNER = Path(__file__).with_name("runner.py")


CHUNK = 280
"""The most cases of one process."""


def parameters(groups: Iterable[Path], modes: Sequence[str] = cases.MODES) -> list[Any]:
    """For `parametrize(("group", "mode", "case", "phase"), ...)`: every case in every phase.

    How cells are looked at shows in what was kept, not in how it is brought back: with partial scans, phases
    beyond `BRIEF` are for `-m long`.
    """
    found = []
    for group in groups:
        for name, case in cases.load(group).items():
            marks = [pytest.mark.long] if case.long else []
            missing = [package for package in case.needs if importlib.util.find_spec(package) is None]
            missing += [f"Python {'.'.join(map(str, case.python))}"] if sys.version_info < case.python else []
            if missing:
                marks.append(pytest.mark.skip(reason=f"{', '.join(missing)} is missing"))
            limit = LIMITS.get(name)
            for mode in modes:
                for phase in case.phases:
                    brief = mode == "user" or phase in cases.BRIEF or case.long
                    more = marks if brief else [*marks, pytest.mark.long]
                    if limit is not None and limit.covers(phase, mode):
                        more = [*more, pytest.mark.xfail(strict=True, reason=limit.why)]
                    elif limit is not None and phase in limit.sometimes.split(", "):
                        more = [*more, pytest.mark.xfail(strict=False, reason=limit.why)]
                    found.append(
                        pytest.param(group, mode, name, phase, marks=more, id=f"{name}-{phase}-{mode}")
                    )
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
            where = "killed" if phase.startswith("killed") else "live"
            ended = self.ended.get((case, where)) or self.ended.get((case, "live"))
            pytest.fail(f"did not come to it: {ended or made or 'no line of it'}", pytrace=False)
        if line["why"]:
            pytest.fail(line["why"], pytrace=False)

    def update(self, other: Outcomes) -> None:
        """Add those of other cases."""
        self.phases |= other.phases
        self.ended |= other.ended


def chunks(wanted: Mapping[str, Sequence[str]]) -> list[dict[str, Sequence[str]]]:
    """Parts of about equal size. Neighbours stay together: they import the same libraries."""
    count = -(-len(wanted) // CHUNK)
    items, size = list(wanted.items()), -(-len(wanted) // max(count, 1))
    return [dict(items[i * size : (i + 1) * size]) for i in range(count)]


def run(group: Path, mode: str, wanted: Mapping[str, Sequence[str]], folder: Path) -> Outcomes:
    """Run cases of a group, name -> phases: live, then, each process killed, in new ones."""
    outcomes = Outcomes()
    left: Mapping[str, Any] = wanted
    attempt = 0
    while left:
        process = _Process(group, mode, folder / str(attempt), outcomes)
        left, points = process.run("live", left), process.points
        again: Mapping[str, Any] = {
            name: {**point, "phases": list(wanted[name])}
            for name, point in points.items()
            if any(phase.startswith("killed") for phase in wanted[name])
        }
        while again:
            again = process.run("killed", again)
        attempt += 1
    shutil.rmtree(folder)  # a store for each case
    return outcomes


class _Process:
    """Runs cases in one process after another, in one folder."""

    def __init__(self, group: Path, mode: str, folder: Path, outcomes: Outcomes) -> None:
        self.group, self.mode, self.folder, self.outcomes = group, mode, folder, outcomes
        self.points: dict[str, dict[str, Any]] = {}
        """where the cases stood that can be brought back"""
        folder.mkdir(parents=True)

    def run(self, kind: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Run one process until it is done, and kill it. Returns what it did not come to, if it died."""
        command = [sys.executable, str(RUNNER), kind, str(self.group), str(self.folder), self.mode]
        log = self.folder / f"{kind}.log"
        with log.open("ab") as errors:
            process = subprocess.Popen(
                command, stdin=PIPE, stdout=PIPE, stderr=errors, text=True, cwd=self.folder
            )
        left = dict(asked)
        at: str | None = None
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            for line in map(json.loads, process.stdout):
                if "done" in line:
                    process.kill()
                    return {}
                if "next" in line:
                    at = line["next"]
                    del left[at]
                elif "point" in line:
                    self.points[line["case"]] = line["point"]
                else:
                    self.outcomes.phases[line["case"], line["phase"]] = line
        how = "it took too long" if process.returncode == -SIGALRM else f"it ended with {process.returncode}"
        told = "\n".join([how, *log.read_text(errors="replace").splitlines()[-8:]])
        self.outcomes.ended.update({(name, kind): told for name in ([at] if at else asked)})
        return left if at else {}
