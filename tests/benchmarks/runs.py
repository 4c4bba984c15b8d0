"""What one process of a benchmark does: `python -m tests.benchmarks.runs ROLE TOOL WORKLOAD SCALE FOLDER`.

Writes its figures to FOLDER/ROLE.json: seconds, bytes, and under `wrong` the checks whose value is not
what it was.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from cProfile import Profile
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from durable_nb import testing
from tests.benchmarks import floor, phases
from tests.benchmarks.measure import Hooks, Lap, Peak, Stopwatch, bare_shell, resident, timed
from tests.benchmarks.tools import TOOLS, Tool
from tests.benchmarks.workloads import Workload, workload

Figures = dict[str, Any]

FLOOR = Path("floor.bin")
KNOWN = Path("known.json")
"""What the process before leaves to the one that recovers: the mark, the checks, the sizes in FLOOR."""

ROUNDS = 3
"""How often a notebook goes one step back and forth."""

PATIENCE = 10.0
"""Seconds after which there is no further round."""


def notebook(tool: str, work: Workload) -> Figures:
    """Run the notebook under a tool, go one step back and forth, and die."""
    shell = bare_shell()
    keeper = TOOLS[tool](shell, work)
    hooks = Hooks(shell, keeper.attach)
    first, peak = Lap(0.0, 0.0), Peak()
    _cell(shell, work.imports or "pass", hooks)
    keeper.settle()
    loaded = resident()
    for source in work.setup:
        with peak.watching():
            first, _ = _cell(shell, source, hooks)
            keeper.settle()
    changes = work.changes[: keeper.most_cells]
    figures, marks, states = _changes(shell, keeper, hooks, work, changes)
    figures |= {"first": _parts([first]), "first_peak_bytes": peak.bytes, "loaded_bytes": loaded}
    figures |= keeper.more()
    if keeper.keeps and len(marks) > 1:
        figures |= _back_and_forth(shell, keeper, work, marks, states)
    sizes = []
    if tool == "ours" and work.touched:
        sizes = floor.write({n: shell.user_ns[n] for n in work.touched}, FLOOR)
    KNOWN.write_text(json.dumps({"mark": marks[-1], "state": states[-1], "sizes": sizes}))
    return figures


def _changes(
    shell: InteractiveShell, keeper: Tool, hooks: Hooks, work: Workload, changes: Sequence[str]
) -> tuple[Figures, list[Any], list[dict[str, str]]]:
    """The cells that are measured; the marks of the last states, and what the checks said there."""
    marks, states = [keeper.mark()], [_state(shell, work)]
    blocks, cells, added = [], [], []
    peak = Peak()
    before = start = keeper.size()
    behind = keeper.behind()
    for number, source in enumerate(changes):
        settled = work.settled or number >= len(changes) - 2
        with peak.watching():
            block, cell = _cell(shell, source, hooks)
            if settled:
                keeper.settle()
        blocks.append(block)
        cells.append(cell)
        if work.settled:
            added.append(keeper.size() - before)
            before += added[-1]
        if settled:
            marks, states = [*marks[-1:], keeper.mark()], [*states[-1:], _state(shell, work)]
    figures = {
        "block": _parts(blocks),
        "cell": _parts(cells),
        "bytes": added,
        "start_bytes": start,
        "store_bytes": keeper.size(),
        "behind_cpu": (keeper.behind() - behind) / len(changes),
        "peak_bytes": peak.bytes,
    }
    return figures, marks, states


def _back_and_forth(
    shell: InteractiveShell, keeper: Tool, work: Workload, marks: list[Any], states: list[dict[str, str]]
) -> Figures:
    laps: dict[str, list[Lap]] = {"back": [], "forth": []}
    wrong: dict[str, list[str]] = {"back": [], "forth": []}
    watch = Stopwatch()
    for _ in range(ROUNDS):
        for way, at in (("back", 0), ("forth", 1)):
            took, found = _go(shell, keeper, work, marks[at], states[at])
            laps[way] += took
            wrong[way] = sorted({*wrong[way], *found})
        if watch.lap().wall > PATIENCE:
            break
    return {**{way: _parts(of) for way, of in laps.items() if of}, "wrong": wrong}


def recovery(tool: str, work: Workload) -> Figures:
    """In a new process, bring the newest state back."""
    os.environ["DURABLE_NB_AUTO_RECOVERY"] = "false"
    shell = bare_shell()
    keeper = TOOLS[tool](shell, work)
    keeper.attach()
    exec(work.imports, {})
    known = json.loads(KNOWN.read_text())
    took, wrong = _go(shell, keeper, work, known["mark"], known["state"])
    figures: Figures = {"wrong": {"new": sorted(wrong)}, **({"new": _parts(took)} if took else {})}
    if known["sizes"]:
        read, unpickle = floor.load(FLOOR, known["sizes"])
        figures |= {"floor_read": _parts([read]), "floor_unpickle": _parts([unpickle])}
    return figures


def load_shell(_: str, __: Workload) -> Figures:
    """Load the extension into a bare shell."""
    return {"load": _parts([timed(bare_shell().run_line_magic, "load_ext", "durable_nb")])}


def load_kernel(tool: str, work: Workload) -> Figures:
    """Load the extension where all that a kernel imports is there."""
    import ipykernel.kernelapp  # noqa: F401

    return load_shell(tool, work)


def profile(tool: str, work: Workload) -> Figures:
    """Where the time around the cells goes."""
    shell, profiler = bare_shell(), Profile()
    keeper = TOOLS[tool](shell, work)
    hooks = Hooks(shell, keeper.attach, profiler)
    for source in (work.imports or "pass", *work.setup):
        _cell(shell, source, hooks)
        keeper.settle()
    profiler.clear()
    for source in work.changes:
        _cell(shell, source, hooks)
        if work.settled:
            keeper.settle()
    return phases.table(profiler, len(work.changes))


def _cell(shell: InteractiveShell, source: str, hooks: Hooks) -> tuple[Lap, Lap]:
    testing.run(shell, source).raise_error()
    return hooks.take()


def _go(
    shell: InteractiveShell, keeper: Tool, work: Workload, mark: Any, known: Mapping[str, str]
) -> tuple[list[Lap], set[str]]:
    """Go to a state; the time, if that worked, and the checks that are not what they were."""
    watch = Stopwatch()
    try:
        keeper.go(mark)
    except Exception as error:
        return [], {f"raised {type(error).__name__}", *work.checks}
    took = watch.lap()
    found = _state(shell, work)
    return [took], {name for name, value in known.items() if found[name] != value}


def _state(shell: InteractiveShell, work: Workload) -> dict[str, str]:
    """What the checks say now. They look at a copy: a tool may watch what is read from the namespace."""
    space: Any = shell.user_ns
    copy = {name: dict.__getitem__(space, name) for name in dict.keys(space)}
    return {name: _said(check, copy | {"SPACE": space}) for name, check in work.checks.items()}


def _said(check: str, space: dict[str, Any]) -> str:
    try:
        return repr(eval(check, space))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _parts(laps: Sequence[Lap]) -> dict[str, list[float]]:
    return {"wall": [x.wall for x in laps], "cpu": [x.cpu for x in laps]}


ROLES: dict[str, Callable[[str, Workload], Figures]] = {
    role.__name__: role for role in (notebook, recovery, load_shell, load_kernel, profile)
}


def main(role: str, tool: str, name: str, scale: str, folder: str) -> None:
    os.chdir(folder)
    figures = ROLES[role](tool, workload(name, float(scale)))
    Path(f"{role}.json").write_text(json.dumps(figures))
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)  # no farewell: what comes next is a recovery


if __name__ == "__main__":
    main(*sys.argv[1:])
