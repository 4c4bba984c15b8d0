"""The demo: a notebook whose kernel is killed in the middle of its work, and that goes on in another one."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import shlex
import tempfile
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from durable_nb.errors import NotFoundError, RefusedError, StoreError
from durable_nb.model import NodeStatus
from durable_nb.testing import Kernel, Reply
from durable_nb.ui import render

if TYPE_CHECKING:
    from rich.table import Table

TEXT = """\
# Reading handwritten digits

Five steps, on the 1,797 digits that come with scikit-learn. `durable-nb demo` ran this notebook, killed its
kernel with SIGKILL in the middle of `train`, and pressed *Run All* in a new one: what was finished was put
back, not run again.

Open it and run it: the state of that run is still there. `%recover features` goes back to the end of a step,
`%durable log` shows every attempt."""

CELLS = (
    "%load_ext durable_nb",
    """\
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import MiniBatchDictionaryLearning
from sklearn.ensemble import ExtraTreesClassifier, IsolationForest
from sklearn.model_selection import cross_val_score, train_test_split""",
    """\
%%node load
digits, kind = load_digits(return_X_y=True, as_frame=True)
digits.shape""",
    """\
%%node clean --after load
usual = IsolationForest(n_estimators=300, random_state=0).fit(digits).score_samples(digits)
usual = usual > np.quantile(usual, 0.02)
digits, kind = digits[usual] / 16, kind[usual]
print(f"{(~usual).sum()} badly drawn digits set aside, {len(digits)} kept")""",
    """\
%%node features --after clean
# The strokes that digits are made of, and how much of each is in a digit.
strokes = MiniBatchDictionaryLearning(40, transform_algorithm="lasso_lars", random_state=0)
X = np.hstack([digits, strokes.fit_transform(digits)])
X.shape""",
    """\
%%node train --after features
X_train, X_test, y_train, y_test = train_test_split(X, kind, random_state=0)
scores = {}
for depth in (4, 6, 8, 10, 12, 16):
    forest = ExtraTreesClassifier(60, max_depth=depth, random_state=0)
    scores[depth] = cross_val_score(forest, X_train, y_train, cv=5).mean()
    print(f"depth {depth}: {scores[depth]:.1%}", flush=True)
best = max(scores, key=scores.get)
model = ExtraTreesClassifier(60, max_depth=best, random_state=0).fit(X_train, y_train)""",
    """\
%%node evaluate --after train
read = model.predict(X_test)
print(f"{(read == y_test).mean():.1%} of {len(y_test)} new digits are read right")
pd.crosstab(y_test, read, rownames=["drawn"], colnames=["read"])""",
)

KILLED = "train"
KILLED_AT = "depth 8:"
"""What the cell has printed when its kernel is killed."""

# The reader's own settings must not turn off what is shown here.
_SETTINGS = {
    "DURABLE_NB_ENABLED": "1",
    "DURABLE_NB_STORE": "",
    "DURABLE_NB_AUTO_RECOVERY": "1",
    "DURABLE_NB_DURABILITY": "async",
}


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one cell."""

    name: str
    first: float | None
    """seconds in the first kernel; None: it never came to it"""
    lost: bool
    second: float
    """seconds in the second kernel"""
    put_back: bool
    """the store has no attempt of the second kernel at it, and its outputs were those of the first"""

    @property
    def saved(self) -> float:
        """Seconds that it took less in the second kernel; below 0 where the state was brought back."""
        return 0.0 if self.first is None or self.lost else self.first - self.second


@dataclass(frozen=True, slots=True)
class Played:
    """The demo's facts."""

    notebook: Path
    steps: tuple[Step, ...]
    report: str
    """what loading the extension said in the second kernel"""

    @property
    def saved(self) -> float:
        """Seconds between the start and the lost cell that the second kernel did not need."""
        return sum(step.saved for step in self.steps)


def play(folder: Path, say: Callable[[str], None] = lambda _: None) -> Played:
    """Run the notebook, kill its kernel, run it again; leaves notebook and store in `folder`.

    Args:
        folder: is made; must not hold the notebook yet.
        say: takes a line whenever something has happened.

    Raises:
        RefusedError: there is a notebook of the demo already.
        NotFoundError: a package that the notebook needs is not installed.
        StoreError: the run did not go as it should.
    """
    _need("ipykernel", "nbformat", "pandas", "sklearn")
    from nbformat import from_dict

    path = folder.absolute() / "digits.ipynb"
    if path.exists():
        raise RefusedError(f"{path} is there already: give another --folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    notebook = _notebook()
    _write(path, notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    with Kernel(path, env=_SETTINGS, isolated=False) as kernel:
        say(f"a kernel (process {kernel.pid}) runs the notebook:")
        before = _until_killed(kernel, cells, say)
        kernel.restart()
        say(f"\nits successor (process {kernel.pid}) runs all of it, from the top:")
        after = _run_all(kernel, cells, say)
    for cell, (reply, _) in zip(cells, after, strict=True):
        cell.outputs, cell.execution_count = [*map(from_dict, reply.outputs)], reply.count
    _write(path, notebook)
    return Played(path, _compare(path, cells, before, after), after[0][0].text)


def run(folder: Path | None = None, *, keep: bool = True) -> None:
    """The command: play it before the user's eyes, and say what happened."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    started = time.monotonic()
    with contextlib.ExitStack() as passing:
        if not keep:
            folder = Path(passing.enter_context(tempfile.TemporaryDirectory(prefix="durable-demo-")))
        played = play(folder or _fresh(), lambda line: console.print(line, markup=False))
    names = render.listed(step.name for step in played.steps if step.put_back)
    console.print()
    console.print(_timeline(played))
    console.print(
        f"The kernel died in the middle of {KILLED}. Its successor put {names} back, and ran {KILLED} "
        f"again. All of this took {render.span(time.monotonic() - started)}.\n"
    )
    console.print(f"saved you {render.span(played.saved)}", style="bold")
    if keep:
        missing = "" if importlib.util.find_spec("jupyterlab") else "pip install jupyterlab && "
        console.print(f"open it: {missing}jupyter lab {shlex.quote(_near(played.notebook))}", markup=False)


def _timeline(played: Played) -> Table:
    from rich import box
    from rich.table import Table

    table = Table("cell", "first kernel", "second kernel", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("saved", justify="right")
    for step in played.steps:
        took = "" if step.first is None else render.span(step.first)
        first = "[dim]never reached[/]" if step.first is None else f"[green]✓[/] ran {took}"
        second = f"[green]✓[/] ran {render.span(step.second)}"
        if step.lost:
            first = f"[red]✗[/] killed after {took}"
        if step.put_back:
            second = f"[cyan]↺[/] put back {render.span(step.second)}"
        sign = "-" if step.saved < 0 else ""
        table.add_row(step.name, first, second, sign + render.span(abs(step.saved)) if step.saved else "")
    return table


def _notebook() -> Any:
    from nbformat import v4

    cells = [v4.new_markdown_cell(TEXT), *map(v4.new_code_cell, CELLS)]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _write(path: Path, notebook: Any) -> None:
    import nbformat

    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def _until_killed(kernel: Kernel, cells: list[Any], say: Callable[[str], None]) -> list[tuple[Reply, float]]:
    ran = []
    for cell in cells:
        started = time.monotonic()
        sent = kernel.send(cell.source, cell_id=cell.id)
        if _name(cell) == KILLED:
            kernel.until_shown(sent, KILLED_AT)
            kernel.kill()
        reply = kernel.reply(sent)
        ran.append((reply, time.monotonic() - started))
        if reply.status == "died":
            say(f"  ✗ {KILLED}: kill -9, after {render.span(ran[-1][1])}")
            return ran
        _checked(cell, reply)
        say(f"  ✓ {_name(cell)}: {render.span(ran[-1][1])}")
    raise StoreError(f"the demo has no cell {KILLED}")


def _run_all(kernel: Kernel, cells: list[Any], say: Callable[[str], None]) -> list[tuple[Reply, float]]:
    ran = []
    for cell in cells:
        started = time.monotonic()
        reply = kernel.run(cell.source, cell_id=cell.id)
        ran.append((reply, time.monotonic() - started))
        _checked(cell, reply)
        say(f"  ✓ {_name(cell)}: {render.span(ran[-1][1])}")
        if cell.source == CELLS[0]:
            say(textwrap.indent(reply.text, "    "))
    return ran


def _checked(cell: Any, reply: Reply) -> None:
    if reply.status != "ok":
        raise StoreError(f"the demo's cell {_name(cell)} failed: {reply.error or reply.status}")


def _compare(
    path: Path, cells: list[Any], before: list[tuple[Reply, float]], after: list[tuple[Reply, float]]
) -> tuple[Step, ...]:
    """Which cells were put back: the store knows what ran, the outputs say what was shown."""
    from durable_nb.store.repository import Repository

    repository = Repository.open(path.parent / ".durable", create=False)
    history = repository.history(repository.executions()[0].id)
    attempts = [
        r.body["attempt"] for r in history.records if r.epoch == history.epoch and "attempt" in r.body
    ]
    ran_again = {a["node"] for a in attempts if a["status"] == NodeStatus.COMPLETED}
    steps = []
    for i, (cell, (reply, second)) in enumerate(zip(cells, after, strict=True)):
        name = _name(cell)
        first = before[i] if i < len(before) else None
        lost = first is not None and first[0].status == "died"
        put_back = first is not None and cell.source.startswith("%%node") and name not in ran_again
        if put_back and first is not None and first[0].text != reply.text:
            raise StoreError(f"{name} was put back with other outputs than it had")
        steps.append(Step(name, first[1] if first else None, lost, second, put_back))
    return tuple(steps)


def _name(cell: Any) -> str:
    words: list[str] = cell.source.split()
    return words[1] if words[0] == "%%node" else words[0].removeprefix("%")


def _need(*packages: str) -> None:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise NotFoundError(f"the demo needs {', '.join(missing)}: pip install 'durable-nb[demo]'")


def _fresh() -> Path:
    """The first of durable-demo, durable-demo-2, … that is not there."""
    names = itertools.chain(["durable-demo"], (f"durable-demo-{n}" for n in itertools.count(2)))
    return next(path for path in map(Path, names) if not path.exists())


def _near(path: Path) -> str:
    """A path as one would type it here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
