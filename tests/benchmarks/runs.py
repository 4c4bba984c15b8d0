"""What one process of a benchmark does: `python -m tests.benchmarks.runs ROLE WORKLOAD SCALE FOLDER`.

Writes its figures to FOLDER/ROLE.json: seconds, bytes, and `ok`, which is 0 where a value came back wrong.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

import durable_nb
from durable_nb import testing
from tests.benchmarks import floor
from tests.benchmarks.measure import Hooks, Lap, bare_shell, size_of, timed
from tests.benchmarks.workloads import WORKLOADS, Workload

Figures = dict[str, float]

STORE = Path(".durable")
FLOOR = Path("floor.bin")
KNOWN = Path("known.json")
"""What the process before leaves to the one that recovers: the last probe, the sizes in FLOOR."""


def ours(work: Workload) -> Figures:
    """Run the notebook with every cell kept, go one step back and forth, and die."""
    shell = bare_shell()
    hooks, floors = Hooks(shell), floor.SaveFloor()
    session = durable_nb.session()
    _cell(shell, work.imports or "pass", hooks)
    for source in work.setup:
        first = _cell(shell, source, hooks)
        session.settle()
    _floor(floors, shell, work)
    before = start = size_of(STORE)
    probe, versions, laps, least, added = None, [], [], [], []
    for source in work.changes:
        laps.append(_cell(shell, source, hooks))
        if work.settled:
            session.settle()
            added.append(size_of(STORE) - before)
            before += added[-1]
            least.append(_floor(floors, shell, work))
            versions.append(session.version)
            last, probe = probe, _probe(shell, work)
    session.settle()
    total = size_of(STORE)
    figures = {
        "first_wall": first.wall,
        "first_cpu": first.cpu,
        "store_bytes": total,
        "cell_bytes": median(added) if added else (total - start) / len(work.changes),
        "rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        **_summary("block", laps),
    }
    if work.settled:
        figures |= _summary("floor", least)
        back = timed(session.recover, versions[-2])
        right = _probe(shell, work) == last
        forth = timed(session.recover, versions[-1])
        right &= _probe(shell, work) == probe
        figures |= {**_both("back", back), **_both("forth", forth), "ok": float(right)}
    sizes = floor.write({n: shell.user_ns[n] for n in work.touched}, FLOOR)
    KNOWN.write_text(json.dumps({"probe": repr(_probe(shell, work)), "sizes": sizes}))
    return figures


def recovery(work: Workload) -> Figures:
    """In a new process, bring the newest state back."""
    os.environ["DURABLE_NB_AUTO_RECOVERY"] = "false"
    shell = bare_shell()
    shell.run_line_magic("load_ext", "durable_nb")
    exec(work.imports, {})
    known = json.loads(KNOWN.read_text())
    took = timed(durable_nb.recover)
    read, unpickle = floor.load(FLOOR, known["sizes"])
    return {
        **_both("recover", took),
        **_both("recover_floor", read + unpickle),
        "recover_read_wall": read.wall,
        "ok": float(repr(_probe(shell, work)) == known["probe"]),
    }


def dill(work: Workload) -> Figures:
    """Run the notebook, and dump everything after each cell."""
    shell = bare_shell()
    import dill as library  # takes what is `__main__` then for the notebook

    files = Path("dill-0.pkl"), Path("dill-1.pkl")
    laps, sizes, probe, last = [], [], None, None
    testing.run(shell, work.imports or "pass").raise_error()
    for number, source in enumerate((*work.setup, *work.changes)):
        testing.run(shell, source).raise_error()
        laps.append(timed(library.dump_session, files[number % 2]))
        sizes.append(files[number % 2].stat().st_size)
        if number >= len(work.setup):
            last, probe = probe, _probe(shell, work)
    figures = {
        "dill_store_bytes": float(sum(sizes)),
        "dill_cell_bytes": median(sizes[len(work.setup) :]),
        "dill_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        **_summary("dill", laps[len(work.setup) :]),
    }
    newest = files[number % 2]
    back = timed(library.load_session, files[1 - number % 2])
    figures |= {**_both("dill_back", back), "dill_ok": float(_probe(shell, work) == last)}
    newest.rename("dill.pkl")
    KNOWN.write_text(json.dumps({"probe": repr(probe)}))
    return figures


def dill_recovery(work: Workload) -> Figures:
    """In a new process, load the newest dump."""
    shell = bare_shell()
    import dill as library

    exec(work.imports, {})
    took = timed(library.load_session, "dill.pkl")
    known = json.loads(KNOWN.read_text())
    return {**_both("dill_recover", took), "dill_ok": float(repr(_probe(shell, work)) == known["probe"])}


def load_shell(_: Workload) -> Figures:
    """Load the extension into a bare shell."""
    shell = bare_shell()
    return _both("load", timed(shell.run_line_magic, "load_ext", "durable_nb"))


def load_kernel(_: Workload) -> Figures:
    """Load the extension where all that a kernel imports is there."""
    import ipykernel.kernelapp  # noqa: F401

    shell = bare_shell()
    return _both("load", timed(shell.run_line_magic, "load_ext", "durable_nb"))


ROLES: dict[str, Callable[[Workload], Figures]] = {
    role.__name__: role for role in (ours, recovery, dill, dill_recovery, load_shell, load_kernel)
}


def _cell(shell: InteractiveShell, source: str, hooks: Hooks) -> Lap:
    testing.run(shell, source).raise_error()
    return hooks.take()


def _probe(shell: InteractiveShell, work: Workload) -> Any:
    return eval(work.probe, shell.user_ns)


def _floor(floors: floor.SaveFloor, shell: InteractiveShell, work: Workload) -> Lap:
    return floors.save({n: shell.user_ns[n] for n in work.touched if n in shell.user_ns})


def _both(name: str, lap: Lap) -> Figures:
    return {f"{name}_wall": lap.wall, f"{name}_cpu": lap.cpu}


def _summary(name: str, laps: Sequence[Lap]) -> Figures:
    """Medians over the cells; where there are many, over those at the start and at the end too."""
    parts = {name: laps}
    if len(laps) >= 40:
        parts |= {f"{name}_early": laps[: len(laps) // 10], f"{name}_late": laps[-len(laps) // 10 :]}
    return {
        key: value
        for part, of in parts.items()
        for key, value in _both(part, Lap(median(x.wall for x in of), median(x.cpu for x in of))).items()
    }


def main(role: str, workload: str, scale: str, folder: str) -> None:
    place = Path(folder)
    os.chdir(place)
    figures = ROLES[role](WORKLOADS[workload](float(scale)))
    Path(f"{role}.json").write_text(json.dumps(figures))
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)  # no farewell: what comes next is a recovery


if __name__ == "__main__":
    main(*sys.argv[1:])
