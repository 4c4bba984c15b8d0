"""Five benchmarks, beside `dill.dump_session` and the floor, in one run.

    python -m tests.benchmarks [--scale 1.0] [--repeats 5] [--only frame,array] [--json out.json]

Every run of a workload is a process of its own. All times are seconds, the medians of the repeats.
*block* is what the hooks before and after a cell take from the user; *cpu* is the CPU time of the cell's
own thread, which says more on a machine that is busy. The floor is what nobody can go below (see `floor.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from tests.benchmarks.workloads import WORKLOADS

ROOT = Path(__file__).resolve().parents[2]
LOADS = 2
"""Loading is quick, and varies: so many times as many repeats."""


def run(role: str, workload: str, scale: float, folder: Path, home: Path) -> dict[str, float]:
    """One process; what it measured."""
    environ = {
        **os.environ,
        "JUPYTER_DATA_DIR": str(home / "jupyter"),
        "IPYTHONDIR": str(home / "ipython"),
        "JPY_SESSION_NAME": str(folder / "notebook.ipynb"),
    }
    command = [sys.executable, "-m", "tests.benchmarks.runs", role, workload, str(scale), str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != -signal.SIGKILL:
        raise RuntimeError(f"{role} of {workload} failed:\n{done.stdout}\n{done.stderr}")
    figures: dict[str, float] = json.loads((folder / f"{role}.json").read_text())
    return figures


def once(workload: str, scale: float, home: Path) -> dict[str, float]:
    """One repeat of a workload: ours and dill's, each followed by its recovery."""
    figures: dict[str, float] = {}
    for pair in (("ours", "recovery"), ("dill", "dill_recovery")):
        with tempfile.TemporaryDirectory(prefix="bench-", dir=home) as folder:
            for role in pair:
                found = run(role, workload, scale, Path(folder), home)
                figures |= {k: min(v, figures.get(k, v)) if k.endswith("ok") else v for k, v in found.items()}
    figures["load_average"] = os.getloadavg()[0]
    return figures


def load_times(repeats: int, home: Path) -> dict[str, dict[str, float]]:
    """`%load_ext` in a bare shell, and where all that a kernel imports is there."""
    found = {}
    for role in ("load_shell", "load_kernel"):
        runs = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory(prefix="bench-", dir=home) as folder:
                runs.append(run(role, "cells", 0.0, Path(folder), home))
        found[role] = medians(runs)
    return found


def medians(runs: Iterable[Mapping[str, float]]) -> dict[str, float]:
    runs = list(runs)
    return {key: (min if key.endswith("ok") else median)(r[key] for r in runs) for key in runs[0]}


def ratios(figures: Mapping[str, float]) -> dict[str, float]:
    """Ours over theirs; CPU time where the main thread does it all, the clock where threads help."""
    pairs = {
        "block/floor": ("block_cpu", "floor_cpu"),
        "block/dill": ("block_cpu", "dill_cpu"),
        "back/dill": ("back_wall", "dill_back_wall"),
        "recover/floor": ("recover_wall", "recover_floor_wall"),
        "recover/dill": ("recover_wall", "dill_recover_wall"),
        "store/dill": ("store_bytes", "dill_store_bytes"),
    }
    return {
        name: figures[over] / figures[under]
        for name, (over, under) in pairs.items()
        if over in figures and figures.get(under)
    }


def machine() -> dict[str, Any]:
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_average": os.getloadavg(),
        "versions": {
            name: version(name)
            for name in ("durable-nb", "ipython", "numpy", "pandas", "pyarrow", "scikit-learn", "dill")
        },
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine()
    )


def table(report: Mapping[str, Any]) -> Table:
    """The figures that matter: ours, floor and dill side by side."""
    out = Table(title="durable_nb / floor / dill.dump_session (medians)", title_justify="left")
    for title in (
        "workload",
        "block ms (cpu)",
        "added MB a cell",
        "store MB",
        "one step back ms",
        "recovery ms",
        "right",
    ):
        out.add_column(title, justify="left" if title == "workload" else "right")
    for name, work in report["workloads"].items():
        f = work["figures"]
        out.add_row(
            name,
            _beside(f, 1e3, "block_cpu", "floor_cpu", "dill_cpu"),
            _beside(f, 1e-6, "cell_bytes", None, "dill_cell_bytes"),
            _beside(f, 1e-6, "store_bytes", None, "dill_store_bytes"),
            _beside(f, 1e3, "back_wall", None, "dill_back_wall"),
            _beside(f, 1e3, "recover_wall", "recover_floor_wall", "dill_recover_wall"),
            f"{'yes' if f['ok'] else 'NO'} / - / {'yes' if f['dill_ok'] else 'NO'}",
        )
    return out


def _beside(figures: Mapping[str, float], unit: float, *keys: str | None) -> str:
    return " / ".join(f"{figures[k] * unit:.3g}" if k in figures else "-" for k in (k or "" for k in keys))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--scale", type=float, default=1.0, help="of the data and the number of cells")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", default=",".join(WORKLOADS), help="workloads, with commas between them")
    parser.add_argument("--json", type=Path, help="where the report goes")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 140)
    report: dict[str, Any] = {"machine": machine(), "scale": options.scale, "repeats": options.repeats}
    with tempfile.TemporaryDirectory(prefix="durable-nb-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        for name in ("jupyter", "ipython"):
            (home / name).mkdir()
        report["load"] = load_times(LOADS * options.repeats, home)
        report["workloads"] = {}
        for name in options.only.split(","):
            figures = medians(once(name, options.scale, home) for _ in range(options.repeats))
            title = WORKLOADS[name](options.scale).title
            report["workloads"][name] = {"title": title, "figures": figures, "ratios": ratios(figures)}
            console.print(f"{name}: {title}, done")
    console.print(table(report))
    for role, figures in report["load"].items():
        console.print(
            f"{role}: %load_ext in {figures['load_wall'] * 1e3:.0f} ms ({figures['load_cpu'] * 1e3:.0f} CPU)"
        )
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
