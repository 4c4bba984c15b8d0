"""What keeping a notebook costs: ours, the peers, and the floor, in one run.

    python -m tests.benchmarks [--scale 1.0] [--repeats 5] [--only array,cells] [--tools ours,dill]
                               [--json FILE] [--readme]
    python -m tests.benchmarks --read FILE --readme     fill the README from what was measured before
    python -m tests.benchmarks --profile --only array   where the time goes

Every run of a workload is a process of its own. Times are medians over cells and repeats. *block* is
what a tool takes from the user before and after a cell; its CPU time is that of the cell's own thread,
which says more on a machine that is busy. The floor is what nobody can go below (see `floor.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.benchmarks import report as reports
from tests.benchmarks import tables
from tests.benchmarks.cases import CASES
from tests.benchmarks.tools import PEERS, TOOLS, missing
from tests.benchmarks.workload import Workload
from tests.benchmarks.workloads import WORKLOADS, workload

ROOT = Path(__file__).resolve().parents[2]
OTHERS = ("load", "cases")
"""What can be asked for beside the workloads."""

LOADS = 2
"""Loading is quick, and varies: so many times as many repeats."""

TIMEOUT = 900.0

Figures = dict[str, Any]


def run(role: str, tool: str, name: str, scale: float, folder: Path, home: Path) -> Figures:
    """One process; what it measured."""
    environ = {
        **os.environ,
        "JUPYTER_DATA_DIR": str(home / "jupyter"),
        "IPYTHONDIR": str(home / "ipython"),
        "JPY_SESSION_NAME": str(folder / "notebook.ipynb"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-m", "tests.benchmarks.runs", role, tool, name, str(scale), str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=TIMEOUT
    )
    if done.returncode != -signal.SIGKILL:
        raise RuntimeError(f"{role} of {name} by {tool} failed:\n{done.stdout}\n{done.stderr}")
    figures: Figures = json.loads((folder / f"{role}.json").read_text())
    return figures


def once(tool: str, name: str, scale: float, home: Path, *, recover: bool) -> Figures:
    """A notebook under a tool, and its recovery in a new process. A peer may fail."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=home) as folder:
        try:
            figures = run("notebook", tool, name, scale, Path(folder), home)
            if recover and TOOLS[tool].keeps:
                found = run("recovery", tool, name, scale, Path(folder), home)
                wrong = figures.get("wrong", {}) | found.pop("wrong")
                figures |= {**found, "wrong": wrong}
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            if tool not in PEERS:
                raise
            return {"failed": str(error).strip().rpartition("\n")[2]}
    return figures


def measured(work: Workload, scale: float, options: argparse.Namespace, home: Path) -> Figures:
    """All tools on one workload."""
    repeats = {
        "costs": {"plain": 1, "floor": options.repeats, "ours": options.repeats}
        | dict.fromkeys(PEERS, options.peer_repeats),
        "growths": {"ours": 1, **dict.fromkeys(PEERS, 1)},  # they are the same each time
        "slowdowns": {"plain": options.repeats, "ours": options.repeats, "kishu": options.peer_repeats},
    }[work.what]
    if not work.touched:
        repeats.pop("floor", None)
    tools = [tool for tool in options.tools if tool in repeats]
    runs: dict[str, list[Figures]] = {tool: [] for tool in tools}
    for number in range(options.repeats):
        for tool in tools:
            if number >= repeats[tool]:
                continue
            start = time.perf_counter()
            runs[tool].append(once(tool, work.name, scale, home, recover=work.what == "costs"))
            _say(work.name, tool, f"{number + 1}", runs[tool][-1], time.perf_counter() - start)
    found = {tool: reports.merged(of) for tool, of in runs.items()}
    out = {"title": work.title, "checks": list(work.checks), "labels": list(work.labels), "tools": found}
    if work.what == "growths":
        return out | {"growths": reports.growths(work, found)}
    if work.what == "slowdowns":
        return out | {"slowdowns": reports.slowdowns(work, found) if "plain" in found else {}}
    short = reports.summary(work, found)
    return out | {"summary": short, "ratios": reports.ratios(short)}


def small(options: argparse.Namespace, home: Path) -> dict[str, Figures]:
    """What each tool brings back rightly of the small notebooks, one step back. Nothing is timed."""
    out = {}
    for tool in (t for t in options.tools if TOOLS[t].keeps):
        start = time.perf_counter()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = pool.map(lambda name, tool=tool: once(tool, name, 1.0, home, recover=False), CASES)
        failed = {name: _back(figures) for name, figures in zip(CASES, found, strict=True)}
        wrong = {name: why for name, why in failed.items() if why}
        out[tool] = {"of": len(CASES), "wrong": wrong}
        right = f"right: {len(CASES) - len(wrong)} of {len(CASES)}"
        _say("cases", tool, "1", {}, time.perf_counter() - start, right)
    return out


def _back(figures: Figures) -> list[str]:
    return [figures["failed"]] if "failed" in figures else figures["wrong"]["back"]


def load_times(repeats: int, home: Path) -> dict[str, Figures]:
    """`%load_ext` in a bare shell, and where all that a kernel imports is there."""
    found = {}
    for role in ("load_shell", "load_kernel"):
        runs = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory(prefix="bench-", dir=home) as folder:
                runs.append(run(role, "ours", "cells", 0.0, Path(folder), home))
        found[role] = reports.merged(runs)
    return found


def _say(name: str, tool: str, number: str, figures: Figures, seconds: float, more: str = "") -> None:
    if "block" in figures:
        cpu = sorted(figures["block"]["cpu"])
        more = f"block {cpu[len(cpu) // 2] * 1e3:.4g} ms (CPU), store {figures['store_bytes'] / 1e6:.4g} MB"
    if "failed" in figures:
        more = f"failed: {figures['failed']}"
    if any(figures.get("wrong", {}).values()):
        more += f", wrong: {figures['wrong']}"
    print(f"{name:13} {tool:12} run {number}  {seconds:6.1f} s  {more}", flush=True)


def profiled(options: argparse.Namespace, home: Path, console: Console) -> None:
    """Print where our time goes."""
    if sys.version_info >= (3, 12):
        console.print("From Python 3.12 on, a profile shows the thread that writes as well: 3.11 says more.")
    for name in (n for n in options.only if n in WORKLOADS):
        with tempfile.TemporaryDirectory(prefix="bench-", dir=home) as folder:
            found = run("profile", "ours", name, options.scale, Path(folder), home)
        total = sum(found["phases"].values())
        console.print(f"[bold]{name}[/]: {total:.2f} ms a cell, under the profiler")
        for part in ("phases", "functions"):
            for what, spent in found[part].items():
                console.print(f"  {spent:9.3f} ms {spent / total:6.1%}  {what}")
            console.print()


def everything(options: argparse.Namespace, home: Path) -> Figures:
    found: Figures = {
        "machine": reports.machine(),
        "scale": options.scale,
        "repeats": options.repeats,
        "peer_repeats": options.peer_repeats,
        "missing": missing(),
        "workloads": {},
    }
    for name in found["missing"]:
        print(f"{name} is not installed here, and is left out: pip install -e '.[bench]'", flush=True)
    options.tools = [tool for tool in options.tools if tool not in found["missing"]]
    if "load" in options.only:
        found["load"] = load_times(LOADS * options.repeats, home)
    for name in options.only:
        if name in WORKLOADS:
            found["workloads"][name] = measured(workload(name, options.scale), options.scale, options, home)
    if "cases" in options.only:
        found["cases"] = small(options, home)
    found["machine"]["load_average_after"] = os.getloadavg()
    return found


def show(found: Mapping[str, Any], console: Console) -> None:
    console.print(tables.terminal(found))
    for name, work in found["workloads"].items():
        for what, ratio in work.get("ratios", {}).items():
            console.print(f"{name}: {what} = {ratio:.3g}")
    for role, figures in found.get("load", {}).items():
        wall, cpu = (figures["load"][clock][0] * 1e3 for clock in ("wall", "cpu"))
        console.print(f"{role}: %load_ext in {wall:.0f} ms ({cpu:.0f} CPU)")


def _list(text: str) -> list[str]:
    return text.split(",")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--scale", type=float, default=1.0, help="of the data and the number of cells")
    parser.add_argument("--repeats", type=int, default=5, help="of ours and of the floor")
    parser.add_argument("--peer-repeats", type=int, default=1, help="each has ten cells and more")
    every = [*WORKLOADS, *OTHERS]
    parser.add_argument("--only", type=_list, default=every, help=f"of {', '.join(every)}")
    parser.add_argument("--tools", type=_list, default=list(TOOLS), help=f"of {', '.join(TOOLS)}")
    parser.add_argument("--json", type=Path, help="where the report goes")
    parser.add_argument("--read", type=Path, help="a report, instead of measuring")
    parser.add_argument("--readme", action="store_true", help="draw the plots and fill the README")
    parser.add_argument("--profile", action="store_true", help="show where our time goes instead")
    options = parser.parse_args()
    for name in (*options.only, *options.tools):
        if name not in every and name not in TOOLS:
            parser.error(f"there is no `{name}`")
    console = Console(width=None if sys.stdout.isatty() else 140)
    with tempfile.TemporaryDirectory(prefix="durable-nb-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        for name in ("jupyter", "ipython"):
            (home / name).mkdir()
        if options.profile:
            profiled(options, home, console)
            return
        found = json.loads(options.read.read_text()) if options.read else everything(options, home)
    show(found, console)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    if options.readme:
        from tests.benchmarks import plots

        plots.draw(found, Path(__file__).parent / "plots")
        tables.fill(ROOT / "README.md", found)


if __name__ == "__main__":
    main()
