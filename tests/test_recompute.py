"""`%recover --recompute`: what could not be kept is made again, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import durable_nb

if TYPE_CHECKING:
    from conftest import Notebook

Said = Callable[[], str]


COUNT = "def count(what):\n    with open('ran.txt', 'a') as log: log.write(what + '\\n')"


def ran(notebook: Notebook) -> list[str]:
    return (notebook.folder / "ran.txt").read_text().split()


def lost(notebook: Notebook, *cells: str) -> None:
    """Run cells, and go on in a new shell, where nothing is live yet."""
    notebook.run(COUNT, *cells)
    notebook.checkpoint()
    notebook.close()
    notebook.open()


def test_only_the_cells_that_are_needed_run_again(notebook: Notebook, said: Said) -> None:
    lost(
        notebook,
        "count('data'); data = [1, 2, 3]",
        "count('rows'); rows = (x * 10 for x in data)",
        "count('other'); other = 5",
        "data.append(4); other = 6",
    )
    notebook.run("%recover --recompute")
    assert "runs again, on copies of what it read, for `rows`" in said()
    assert ran(notebook) == ["data", "rows", "other", "rows"]
    assert list(notebook["rows"]) == [10, 20, 30]  # of what `data` was then
    assert notebook["data"] == [1, 2, 3, 4]
    assert notebook["other"] == 6


def test_what_it_is_made_from_is_made_again_too(notebook: Notebook) -> None:
    lost(
        notebook,
        "data = [1, 2]",
        "count('one'); one = (x for x in data)",
        "count('two'); two = (x + 1 for x in one)",
    )
    notebook.run("%recover --recompute")
    assert ran(notebook) == ["one", "two", "one", "two"]
    assert list(notebook["two"]) == [2, 3]


def test_the_plan_is_told_first_and_runs_nothing(notebook: Notebook, said: Said) -> None:
    lost(notebook, "count('rows'); rows = (x for x in [1])")
    said()
    notebook.run("%recover --recompute --plan")
    assert "for `rows`" in said()
    assert ran(notebook) == ["rows"]
    assert "rows" not in notebook.space


def test_a_saved_value_is_never_overwritten(notebook: Notebook) -> None:
    lost(notebook, "total = 0", "count('rows'); total = 1; rows = (x for x in [1])", "total = 99")
    notebook.run("%recover --recompute")
    assert notebook["total"] == 99
    assert list(notebook["rows"]) == [1]


def test_a_value_that_the_user_has_made_meanwhile_stays(notebook: Notebook) -> None:
    lost(notebook, "count('rows'); rows = (x for x in [1])")
    notebook.run("rows = 'mine'", "%recover v2 --recompute")
    assert notebook["rows"] == "mine"
    assert ran(notebook) == ["rows"]


def test_a_node_with_effects_is_never_repeated(notebook: Notebook, said: Said) -> None:
    lost(notebook, "%%node pay --effects\ncount('pay'); receipt = (x for x in [1])")
    notebook.run("%recover --recompute")
    assert ran(notebook) == ["pay"]
    assert "effects" in said()


def test_a_cell_that_fails_this_time_is_told_and_the_others_are_made(notebook: Notebook, said: Said) -> None:
    lost(
        notebook,
        "import os",
        "count('bad'); bad = (x for x in [1])\nif os.path.exists('broken'): raise OSError('gone')",
        "count('good'); good = (x for x in [2])",
    )
    (notebook.folder / "broken").touch()
    notebook.run("%recover --recompute")
    assert "gone" in said()
    assert list(notebook["good"]) == [2]
    assert "bad" not in notebook.space


def test_functions_that_are_made_again_see_the_live_namespace(notebook: Notebook) -> None:
    lost(
        notebook,
        "rate = 2",
        "class Holder:\n    def __init__(self): self.rows = (x for x in [1])\n"
        "    def scaled(self): return rate\nholder = Holder()",
        "rate = 3",
    )
    notebook.run("%recover --recompute", "rate = 5")
    assert notebook["holder"].scaled() == 5
    assert type(notebook["holder"]) is notebook["Holder"]


def test_it_is_recorded(notebook: Notebook) -> None:
    lost(notebook, "rows = (x for x in [1])")
    notebook.run("%recover --recompute")
    assert durable_nb.history()[-1].kind == "recompute"
