"""A random notebook whose cells write what they do to a file, and the values that it has to end with."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

RAN = "CRASH_RAN"
"""Environment variable: the file that cells write to. What they wrote outlives every signal."""

SETUP = "import os, random, sys, time\nimport numpy as np\nimport durable_nb as durable"

HELPERS = """\
def tell(what, name):
    key = durable.idempotency_key() if name[0] == "n" else "-"
    with open(os.environ["CRASH_RAN"], "a") as ran:
        ran.write(f"{what} {name} {os.getpid()} {key}\\n")
    sys.audit("crash.step", what, name)
def told(what, name):
    with open(os.environ["CRASH_RAN"]) as ran:
        return sum(line.split()[:2] == [what, name] for line in ran)
def may_fail(name, times):
    if told("failed", name) < times:
        tell("failed", name)
        raise ConnectionError(name)
def may_hang(name, times):
    if told("hung", name) < times:
        tell("hung", name)
        time.sleep(30)
def may_die(name, times):
    if told("died", name) < times:
        tell("died", name)
        os.kill(os.getpid(), 9)"""

_MUTATIONS = (
    "a.append(len(a) * {k} + total % 7)",
    "b['{name}'] = sum(a) + {k}",
    "total = (total * 31 + {k} + len(b)) % 1000003",
    "grid[{i}] += total % 11 + 1",
    "row[:] = row[::-1].copy() + {i}",
    "draws.append(random.random())",
    "box.items.append({k})",
    "a[:] = a[-9:] + [{k}]",
    "made_{name} = [alias, {k}]",
    "def made_{name}(x): return x * {k} + total\ntotal = made_{name}(3) % 1000003",
    "made_{name} = np.full(200_000, total + {k}); total = (total + int(made_{name}.sum())) % 1000003",
)
"""None may be done twice, or left out, without a trace in `VALUES`."""

VALUES = """repr((
    a, sorted((k, v if v is not a else "a") for k, v in b.items()), total, grid.tolist(), row.tolist(), draws,
    [alias is a, b["a"] is a, box.items is a, bool(np.shares_memory(grid, row)), type(box) is Box],
    sorted(
        (k, v(5) if callable(v) else [v[0] is a, v[1]] if type(v) is list else int(v.sum()))
        for k, v in list(globals().items()) if k.startswith("made_")
    ),
    random.random(),
))"""
"""Everything that a program has made, as one text; also what variables share."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the notebook, and how it behaves."""

    name: str
    """n… is a node, p… a plain cell"""
    work: tuple[str, ...] = ()
    source: str = ""
    options: str = ""
    after: str | None = None
    effects: bool = False
    fails: int = 0
    """attempts that raise a transient error, before one that does not"""
    hangs: int = 0
    """attempts that only `--timeout` ends"""
    dies: int = 0
    """attempts that kill their process"""

    @property
    def is_node(self) -> bool:
        return self.name.startswith("n")

    @property
    def text(self) -> str:
        if self.source:
            return self.source
        half = (len(self.work) + 1) // 2
        behaviour = [
            f"may_{what}({self.name!r}, {times})"
            for what, times in (("fail", self.fails), ("hang", self.hangs), ("die", self.dies))
            if times
        ]
        after = f" --after {self.after}" if self.after else ""
        lines = [
            *([f"%%node {self.name}{after}{self.options}"] if self.is_node else []),
            f"tell('begun', {self.name!r})",
            *self.work[:half],
            *behaviour,
            f"time.sleep(0.003); sys.audit('crash.step', 'middle', {self.name!r})",
            *self.work[half:],
            f"tell('done', {self.name!r})",
        ]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Program:
    """A notebook, and the settings that it runs under."""

    seed: int
    cells: tuple[Cell, ...]
    max_attempts: int
    leaves: bool
    """a poison node stays in quarantine; else it is released"""

    @property
    def env(self) -> dict[str, str]:
        return {
            "DURABLE_NB_RECOVERY_DELAY": "0",
            "DURABLE_NB_RECOVERY_MAX_ATTEMPTS": str(self.max_attempts),
        }

    @property
    def by_name(self) -> dict[str, Cell]:
        return {cell.name: cell for cell in self.cells}

    def __str__(self) -> str:
        cells = "\n\n".join(f"[{cell.name}]\n{cell.text}" for cell in self.cells)
        return f"seed {self.seed}, {self.env}, leaves={self.leaves}\n{cells}"


def make(seed: int) -> Program:
    """The program of a seed."""
    chance = random.Random(seed)  # noqa: S311 - chooses test programs
    start = chance.randrange(100)
    first = (
        f"random.seed({start})\na = [{start}]; alias = a; b = {{'a': a}}; total = {start}; draws = []\n"
        "grid = np.arange(12); row = grid[3:6]\nclass Box: pass\nbox = Box(); box.items = a"
    )
    cells = [Cell("s0", source=SETUP), Cell("s1", source=HELPERS), Cell("s2", source=first)]
    nodes: list[str] = []
    for index in range(chance.randint(4, 10)):
        is_node = chance.random() < 0.7
        name = f"{'n' if is_node else 'p'}{index}"
        work = tuple(
            chance.choice(_MUTATIONS).format(k=chance.randrange(1, 99), i=chance.randrange(12), name=name)
            for _ in range(chance.randint(2, 4))
        )
        cell = Cell(name, work)
        if is_node:
            after = chance.choice(nodes) if nodes and chance.random() < 0.4 else None
            cell = _node(chance, replace(cell, after=after))
            nodes.append(name)
        cells.append(cell)
    return Program(seed, tuple(cells), chance.choice((1, 2, 3, 3, 3)), chance.random() < 0.5)


def _node(chance: random.Random, cell: Cell) -> Cell:
    flags = "".join(f" --{flag}" for flag in ("cache", "sync") if chance.random() < 0.15)
    match chance.randrange(9):
        case 0 | 1:
            tries = chance.randint(2, 4)
            options = f"{flags} --retries {tries} --backoff {chance.choice((0, 0.05))}"
            return replace(cell, options=options, fails=chance.randint(1, tries))
        case 2:
            # Long enough for a busy machine; a node that is stopped for longer fails, which is right.
            return replace(cell, options=f"{flags} --retries 3 --backoff 0 --timeout 0.4", hangs=1)
        case 3:
            return replace(cell, options=flags, dies=chance.randint(1, 4))
        case 4 | 5:
            return replace(cell, options=f"{flags} --effects", effects=True)
    return replace(cell, options=flags)


def values(program: Program, applied: Collection[str]) -> str:
    """What `VALUES` gives after a run in which nothing went wrong, and only these nodes ran."""
    space: dict[str, Any] = {"__name__": "__main__"}
    state = random.getstate()
    try:
        for cell in program.cells:
            if not cell.is_node or cell.name in applied:
                exec(cell.source or "\n".join(cell.work), space)
        return str(eval(VALUES, space))
    finally:
        random.setstate(state)
