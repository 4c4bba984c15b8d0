"""Whether a finished node still holds: its source, the definitions that it reaches, its inputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import durable_nb
from durable_nb.testing import Kernel

if TYPE_CHECKING:
    from conftest import Notebook

LOAD = "%load_ext durable_nb"
NOTE = "def note(what):\n    with open('ran.txt', 'a') as log: log.write(what + '\\n')"
INPUTS = """\
tags = {'alpha', 'beta', 'gamma', 'delta', 'epsilon'}
frozen = frozenset(['one', 'two', 'three', 'four'])
table = {'tags': {'x', 'y', 'z'}, frozen: {1.5, 'w'}}
def helper(x, seen=frozenset({'p', 'q', 'r'})):
    return [x, x in {'alpha', 'beta', 'zeta'}, seen]
class Model:
    kinds = {'m', 'n', 'o'}
    def fit(self, tags): return sorted(helper(t)[0] for t in tags)
model = Model()"""
TRAIN = "%%node train --cache\nnote('train')\nresult = (model.fit(tags), table, sorted(frozen), helper('a'))"


def ran(folder: Path) -> list[str]:
    file = folder / "ran.txt"
    return file.read_text().split() if file.exists() else []


def test_a_memo_holds_in_a_new_process_whose_sets_are_in_another_order(tmp_path: Path) -> None:
    for seed in ("1", "2", "3"):
        with Kernel(tmp_path / "nb.ipynb", env={"PYTHONHASHSEED": seed}) as kernel:
            replies = kernel.run_all([LOAD, NOTE, "\n" * int(seed) + INPUTS, TRAIN])
            assert [r.status for r in replies] == ["ok"] * 4, replies[-1].error
            assert kernel.value("result[0][0]") == "'alpha'"
    assert ran(tmp_path) == ["train"]


@pytest.mark.parametrize(
    ("before", "change"),
    [
        ("data = [1]", "data.append(2)"),
        ("def f(): return 1", "def f(): return 2"),
        ("def g(): return 1\ndef f(): return g()", "def g(): return 2"),
        ("class A:\n    def go(self): return 1\ndef f(): return A().go()", "class A: go = lambda self: 2"),
        ("limit = 1\ndef f(): return limit", "limit = 2"),
        ("import random\nrandom.seed(1)\ndata = {3, 1}", "data.add(2)"),
    ],
)
def test_a_memo_runs_again_when_something_that_it_reaches_differs(
    notebook: Notebook, before: str, change: str
) -> None:
    name = "f()" if "def f" in before else "data"
    node = f"%%node memo --cache\nran.append(1)\nfound = {name}"
    notebook.run("import builtins\nbuiltins.ran = []", before, node, node)
    import builtins

    count: list[int] = builtins.ran  # type: ignore[attr-defined]
    assert len(count) == 1
    notebook.run(change, node)
    assert len(count) == 2
    notebook.run("data = 0" if name == "found" else "other = 0", node)
    assert len(count) == 2


def test_a_memo_is_put_back_after_the_input_is_what_it_was_again(notebook: Notebook) -> None:
    node = "%%node memo --cache\nran.append(1)\nfound = list(data)"
    notebook.run("import builtins\nbuiltins.ran = []", "data = [1]", node, "data = [2]", node)
    notebook.run("data = [1]", node)
    import builtins

    assert len(builtins.ran) == 2  # type: ignore[attr-defined]
    assert notebook["found"] == [1]


def test_a_stale_node_and_its_descendants_are_named_with_the_reason(notebook: Notebook) -> None:
    notebook.run(
        "rate = 2",
        "%%node load\ndata = [1, 2]",
        "%%node clean --after load\nrows = [x * rate for x in data]",
        "%%node train\nmodel = sum(rows)",
        "%%node other\nx = 1",
    )
    assert durable_nb.session().stale() == {}
    notebook.run("rate = 3")
    stale = durable_nb.session().stale()
    assert list(stale) == ["clean", "train"]
    assert "`rate`" in stale["clean"]
    assert "`clean`" in stale["train"]


def test_a_change_in_place_of_what_a_node_made_is_noticed(notebook: Notebook) -> None:
    notebook.run("%%node load\ndata = [1, 2]", "%%node train\nmodel = sum(data)", "data.append(3)")
    reason = durable_nb.session().stale()["train"]
    assert "`data`" in reason
    assert "cell [" in reason  # the cell that changed it
    notebook.run("%%node train\nmodel = sum(data)")
    assert durable_nb.session().stale() == {}


def test_stale_nodes_are_shown_with_the_nodes(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    notebook.run("rate = 2", "%%node clean\nrows = [rate]", "rate = 3")
    capsys.readouterr()
    notebook.run("%durable nodes")
    assert "input `rate` differs" in capsys.readouterr().out


@pytest.mark.parametrize(("policy", "runs"), [("rerun", 2), ("use", 1)])
def test_what_becomes_of_a_finished_node_whose_source_changed_is_a_setting(
    tmp_path: Path, policy: str, runs: int
) -> None:
    node = "%%node train\nnote('train')\nresult = 1"
    with Kernel(tmp_path / "nb.ipynb", env={"DURABLE_NB_ON_CODE_CHANGE": policy}) as kernel:
        kernel.run_all([LOAD, NOTE, node, "x = 1"])
        kernel.kill()
        kernel.restart()
        assert kernel.run_all([LOAD, NOTE, node + " + 1"])[-1].status == "ok"
        assert kernel.value("result") == str(runs)
    assert len(ran(tmp_path)) == runs


def test_a_changed_source_can_be_asked_about(tmp_path: Path) -> None:
    node = "%%node train\nnote('train')\nresult = 1"
    with Kernel(tmp_path / "nb.ipynb", env={"DURABLE_NB_ON_CODE_CHANGE": "ask"}) as kernel:
        kernel.run_all([LOAD, NOTE, node, "x = 1"])
        kernel.kill()
        kernel.restart()
        refused = kernel.run_all([LOAD, NOTE, node + " + 1"])[-1]
        assert "%durable use train" in refused.error
        kernel.run("%durable use train")
        assert kernel.run(node + " + 1").status == "ok"
        assert kernel.value("result") == "1"
    assert len(ran(tmp_path)) == 1


def test_what_a_node_changes_in_place_makes_neither_it_nor_those_before_it_stale(notebook: Notebook) -> None:
    notebook.run("import random\nrng = random.Random(1)\nrows = []")
    notebook.run("%%node load\nrows.extend([rng.random(), 2])", "%%node clean\nrows.pop()")
    notebook.run("%%node end\nrows.append('end')\nn = len(rows)")
    assert durable_nb.session().stale() == {}
    notebook.run("%recover clean")
    assert durable_nb.session().stale().keys() <= {"end"}
    notebook.run("%recover --undo", "rows.append('by hand')")
    assert durable_nb.session().stale()["load"].startswith("input `rows` differs")
