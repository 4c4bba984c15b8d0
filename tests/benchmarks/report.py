"""From what the processes measured to figures, ratios and tables."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from tests.benchmarks.workload import Workload

Figures = dict[str, Any]

MIB = 1 << 20
SPARE = 64 * MIB
"""Bytes of memory that a tool may hold whatever a notebook does."""

MANY = 40
"""From so many cells on, those at the start and those at the end are figures of their own."""

LIBRARIES = (
    "durable-nb",
    "ipython",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "kishu",
    "dill",
    "cloudpickle",
)


def merged(runs: Sequence[Any]) -> Any:
    """Medians of what several runs measured, part by part; everything that was ever wrong."""
    first = runs[0]
    if isinstance(first, Mapping):
        keys = dict.fromkeys(key for run in runs for key in run)
        return {key: merged([run[key] for run in runs if key in run]) for key in keys}
    if isinstance(first, list):
        if any(isinstance(item, str) for run in runs for item in run):
            return sorted({item for run in runs for item in run})
        return [median(values) for values in zip(*runs, strict=False)]
    return median(runs) if isinstance(first, int | float) else first


def summary(work: Workload, tools: Mapping[str, Figures]) -> dict[str, Figures]:
    """One number each, for each tool: medians over the cells, and what follows from them."""
    out: dict[str, Figures] = {}
    for name, figures in tools.items():
        if "block" not in figures:
            continue
        short = {"block_wall": median(figures["block"]["wall"]), "block_cpu": median(figures["block"]["cpu"])}
        if len(figures["block"]["cpu"]) >= MANY:
            short |= _ends(figures["block"])
        if name not in ("plain", "floor"):
            cells = len(figures["block"]["cpu"])
            grown = (figures["store_bytes"] - figures["start_bytes"]) / cells
            short["cell_bytes"] = median(figures["bytes"]) if figures["bytes"] else grown
            short["store_bytes"] = figures["store_bytes"]
        if name == "ours":
            short["behind_cpu"] = figures["behind_cpu"]
        short |= {
            f"{way}_wall": median(figures[way]["wall"]) for way in ("back", "forth", "new") if way in figures
        }
        loading = 0
        if "plain" in tools:
            loading = max(0, figures["loaded_bytes"] - tools["plain"]["loaded_bytes"])
            if name != "floor":
                short["loading_bytes"] = loading
        for peak, over in (("peak_bytes", "over_bytes"), ("first_peak_bytes", "first_over_bytes")):
            short[peak] = figures[peak]
            if "plain" in tools:
                short[over] = max(0, figures[peak] - tools["plain"][peak] - loading)
        out[name] = short
    ours = out.get("ours")
    if ours is not None and "floor_read" in tools["ours"]:
        read, unpickle = (median(tools["ours"][f"floor_{part}"]["wall"]) for part in ("read", "unpickle"))
        ours |= {"read_wall": read, "read_unpickle_wall": read + unpickle}
    if ours is not None and work.changed and "floor" in tools:
        spare = tools["floor"]["pickled_bytes"] + SPARE
        ours |= {"may_over_bytes": max(work.changed) + spare, "first_may_over_bytes": spare}
    return out


def _ends(block: Mapping[str, Sequence[float]]) -> Figures:
    tenth = len(block["cpu"]) // 10
    return {
        "block_cpu_early": median(block["cpu"][:tenth]),
        "block_cpu_late": median(block["cpu"][-tenth:]),
        "block_wall_early": median(block["wall"][:tenth]),
        "block_wall_late": median(block["wall"][-tenth:]),
    }


def ratios(short: Mapping[str, Figures]) -> dict[str, float]:
    """Ours over theirs; CPU time where the main thread does it all, the clock where threads help."""
    ours = short.get("ours", {})
    found = {
        "block/floor": (ours.get("block_cpu"), short.get("floor", {}).get("block_cpu")),
        "recover/(read + hash + copy)": (ours.get("new_wall"), ours.get("read_wall")),
        "recover/(read + hash + copy + unpickle)": (ours.get("new_wall"), ours.get("read_unpickle_wall")),
        "late/early": (ours.get("block_cpu_late"), ours.get("block_cpu_early")),
    }
    for peer in ("kishu", "dill", "cloudpickle"):
        for what, key in (("block", "block_cpu"), ("store", "store_bytes"), ("back", "back_wall")):
            found[f"{what}/{peer}"] = (ours.get(key), short.get(peer, {}).get(key))
    return {name: over / under for name, (over, under) in found.items() if over is not None and under}


def slowdowns(work: Workload, tools: Mapping[str, Figures]) -> dict[str, dict[str, float]]:
    """How many times as long the user's own code takes under a tool, by label."""
    return {
        label: {
            name: _of(work, figures, label) / _of(work, tools["plain"], label)
            for name, figures in tools.items()
            if name != "plain" and "cell" in figures
        }
        for label in dict.fromkeys(work.labels)
    }


def _of(work: Workload, figures: Figures, label: str) -> float:
    return median(s for s, of in zip(figures["cell"]["cpu"], work.labels, strict=True) if of == label)


def growths(work: Workload, tools: Mapping[str, Figures]) -> dict[str, dict[str, float]]:
    """Bytes that each change added, beside the bytes that it changed."""
    return {
        label: {
            "changed": work.changed[at],
            **{name: figures["bytes"][at] for name, figures in tools.items() if figures.get("bytes")},
        }
        for at, label in enumerate(work.labels)
    }


def machine() -> dict[str, Any]:
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_average": os.getloadavg(),
        "versions": {name: found for name in LIBRARIES if (found := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine()
    )
