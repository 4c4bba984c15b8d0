"""A case of the matrix: make something, change it in place, and say what must hold before and after.

    CASES = (
        Case(
            "a list inside a dict",
            make=("inner = [1]", "outer = {'k': inner}"),
            mutate=("inner.append(2)",),
            before="assert outer['k'] is inner and inner == [1]",
            after="assert outer['k'] is inner and inner == [1, 2]",
        ),
    )

A file with a tuple `CASES`, or a folder of such files, is a group. Its cases run one after the other in one
real IPython shell, each as a notebook of its own; then the process is killed, and a new one brings every case
back (`runner.py`). A test file asks for the outcomes; -k selects cases here and in the processes alike:

    from groups import parameters

    @pytest.mark.parametrize(("group", "mode", "case", "phase"), parameters([FOLDER / "frames.py"]))
    def test_it_comes_back(matrix, group, mode, case, phase):
        matrix(group, mode).check(case, phase)

Cells: dedented source, each recorded as a cell of the notebook. One that has to fail begins with `# raises`;
one that begins with `# between` is no cell, but runs between cells, as a timer's or a widget's code does.
The working directory is a folder of the group's own: files that a cell writes stay for the new kernel.

Checks: statements run on a copy of the namespace, so that they leave no trace in it; they must not change
what they look at. Beside the variables they have `fresh` (True in the new kernel) and `result` (what
`recover` returned; None where nothing was recovered). What does not compare by value needs its own words:
functions are called on the same arguments, arrays compared with `.tolist()`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from runpy import run_path
from textwrap import dedent

MODES = ("user", "partial")
"""How cells are looked at: everything, as in notebooks where that is quick; or, where the policy has no other
reason to look at everything, what they name, as in notebooks where it is not."""

LIVE = ("made", "back", "undo", "again", "forth", "redo")
"""Phases in the kernel where it was made: cells and checks themselves; recover before, undo, recover before
again, recover after; the `mutate` cells once more, run on what came back."""

BRIEF = ("made", "back", "forth")
"""What shows whether a change was seen."""

KILLED = ("killed", "killed back", "killed forth", "killed redo")
"""Phases in a new kernel, after SIGKILL: the extension is loaded, which brings after back; recover before;
recover after; recover before and run the `mutate` cells once more."""

QUIET = ("quiet", "killed quiet")
"""Phases of cases with `unchanged`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    keep_id: tuple[str, ...] = ()
    """variables that are the same object after every recovery in the same kernel"""
    unchanged: tuple[str, ...] = ()
    """variables that no checkpoint of the `mutate` cells lists as changed, nor one after a recovery"""
    reported: tuple[str, ...] = ()
    """variables that cannot come back in a new kernel, and are reported with a reason"""
    needs: tuple[str, ...] = ()
    """packages; where one is missing, the case is skipped with its name"""
    settings: tuple[tuple[str, str], ...] = ()
    """as in the environment, ("MAX_CAPTURE", "1")"""
    python: tuple[int, int] = (3, 11)
    """the oldest Python whose syntax it needs"""
    redo: bool = True
    """whether `mutate` on what was restored leads to `after` again"""
    long: bool = False
    """only with `-m long`"""
    seconds: int = 120
    """the case has failed when it takes longer, in either kernel"""


@dataclass(frozen=True, slots=True)
class Case(_Options):
    """One little notebook."""

    name: str
    make: tuple[str, ...]
    mutate: tuple[str, ...]
    before: str
    """holds once `make` has run, and after going back there"""
    after: str
    """holds once `mutate` has run, and after going forth"""

    def __post_init__(self) -> None:
        for cells in (self.make, self.mutate):
            if isinstance(cells, str) or not cells:
                raise TypeError(f"{self.name}: make and mutate are tuples of cells")

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases that it has."""
        live = LIVE if self.redo else LIVE[:-1]
        killed = KILLED if self.redo else KILLED[:-1]
        return (*live, *killed, *(QUIET if self.unchanged else ()))


def load(group: Path) -> dict[str, Case]:
    """The cases of a group, a file or a folder of files, by "file-name".

    Raises:
        ValueError: two have the same name.
    """
    found: dict[str, Case] = {}
    for file in sorted(group.glob("*.py")) if group.is_dir() else [group]:
        for case in run_path(str(file))["CASES"]:
            if found.setdefault(f"{file.stem}-{case.name}", case) is not case:
                raise ValueError(f"{file.name}: two cases are called {case.name}")
    return found


def cells(sources: tuple[str, ...]) -> list[str]:
    """Cells as they are typed."""
    return [dedent(source).strip("\n") for source in sources]
