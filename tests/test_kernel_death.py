"""A kernel dies in the middle of a cell; the notebook goes on in the next one."""

from __future__ import annotations

import ast
import json
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from durable_nb.testing import Kernel, Reply, until_running

LOAD = "%load_ext durable_nb"

CELLS = [
    LOAD,
    "import pathlib, random, time\nimport numpy as np\nimport pandas as pd",
    """\
def note(what):
    with open("ran.txt", "a") as log:
        log.write(what + "\\n")
""",
    """\
%%node load
note("load")
frame = pd.DataFrame({"a": [1, 2, 3], "b": [1.5, 2.5, None], "drop": list("xyz")})
array = np.arange(12.0).reshape(3, 4)
row = array[1]
frame""",
    """\
note("class")
class Point:
    made = 0
    def __init__(self, x):
        self.x = x
        Point.made += 1
    def scaled(self):
        return self.x * rate
points = [Point(i) for i in range(3)]
first = points[0]
print("three points")""",
    """\
note("closure")
rate = 2
def counter():
    n = 0
    def up():
        nonlocal n
        n += 1
        return n
    return up, lambda: n
up, now = counter()
up(), up()""",
    """\
note("shared")
items = [1]
book = {"items": items, "points": points, 3: {"row": row}}
both = (items, book)""",
    """\
note("random")
random.seed(5)
np.random.seed(6)
generator = np.random.default_rng(7)
draws = [random.random(), np.random.random(), generator.random()]""",
    """\
note("mutate")
frame["b"] *= 10
array[1] = -1
first.x = 100
items.append(2)
up()""",
    'note("column")\ndel frame["drop"]\nframe.shape',
    'note("clock")\nstarted = time.time()\nstarted',
    """\
note("file")
lines = pathlib.Path("input.txt").read_text().splitlines()
handle = open("input.txt")
header = handle.readline()
lines""",
    """\
%%node train --after load
note("train")
frame["half"] = 0
items.append("half")
draws.append(random.random())
up()
pathlib.Path("running").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.01)
items.append("whole")
frame["half"] = 1
model = {"weights": array.sum(axis=0), "rows": len(frame)}
print("trained")
model["rows"]""",
    """\
note("end")
chance = generator.random() + random.random() + np.random.random()
total = sum(p.scaled() for p in points) + now() + len(items) + chance
rest = handle.read()
round(total, 6)""",
]
NOTES = ["load", "class", "closure", "shared", "random", "mutate", "column", "clock", "file", "train", "end"]
TRAIN = len(CELLS) - 2

VALUES = """(
    frame.to_dict("list"), [str(t) for t in frame.dtypes], array.tolist(), row.tolist(), Point.made,
    vars(first), [p.x for p in points], rate, now(), items, sorted(book, key=str), draws,
    generator.bit_generator.state, lines, header)"""

SHARING = """[
    np.shares_memory(array, row), first is points[0], type(first) is Point, book["items"] is items,
    book["points"] is points, book[3]["row"] is row, both[0] is items, both[1] is book,
    up.__closure__[0] is now.__closure__[0], note.__globals__ is globals(),
    Point.scaled.__globals__ is globals(),
    generator is not None]"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "input.txt").write_text("header\none\ntwo\n")
    return tmp_path


@dataclass(frozen=True, slots=True)
class Lost:
    """A notebook whose kernel was killed in the middle of the node `train`."""

    folder: Path
    before: list[Reply]


@pytest.fixture(scope="module")
def kill(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[Reply]]:
    """One kill for all tests: each of them gets the folder as it was left, at the same path."""
    place = tmp_path_factory.mktemp("lost")
    (place / "work").mkdir()
    (place / "work" / "input.txt").write_text("header\none\ntwo\n")
    replies = until_lost(place / "work")
    shutil.copytree(place / "work", place / "kept")
    return place / "work", place / "kept", replies


@pytest.fixture
def lost(kill: tuple[Path, Path, list[Reply]]) -> Lost:
    work, kept, replies = kill
    shutil.rmtree(work)
    shutil.copytree(kept, work)
    return Lost(work, replies)


def ran(folder: Path) -> list[str]:
    log = folder / "ran.txt"
    return log.read_text().split() if log.exists() else []


def read(kernel: Kernel, expression: str) -> Any:
    return ast.literal_eval(kernel.value(expression).replace("nan", "None"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[Reply]]:
    """The values and replies of a run that nothing happens to, without the extension."""
    calm = tmp_path_factory.mktemp("calm")
    (calm / "input.txt").write_text("header\none\ntwo\n")
    (calm / "go").touch()
    with Kernel(calm / "nb.ipynb") as kernel:
        replies = kernel.run_all(["0", *(re.sub("^%%node .*", "", cell) for cell in CELLS[1:])])
        assert [r.status for r in replies] == ["ok"] * len(CELLS)
        return read(kernel, f"({VALUES}, model['weights'].tolist(), total, rest)"), replies


def until_lost(folder: Path, cells: list[str] = CELLS) -> list[Reply]:
    """Run up to the node `train`, and kill the kernel in the middle of it."""
    with Kernel(folder / "nb.ipynb") as kernel:
        replies = kernel.run_all(cells[:TRAIN])
        assert [r.status for r in replies] == ["ok"] * TRAIN, replies[-1]
        sent = kernel.send(cells[TRAIN])
        until_running(folder / "running")
        kernel.kill()
        assert kernel.reply(sent).status == "died"
    (folder / "go").touch()
    assert ran(folder) == NOTES[:-1]
    (folder / "ran.txt").unlink()
    return replies


def shown(reply: Reply) -> list[Any]:
    """Outputs as a front end would keep them, without the numbers of the cells."""
    outputs = []
    for output in reply.outputs:
        kept = {k: v for k, v in output.items() if k not in ("execution_count", "metadata")}
        outputs.append(json.loads(json.dumps(kept)))
    return outputs


def test_a_kernel_killed_in_a_node_loses_nothing_that_was_finished(lost: Lost) -> None:
    folder = lost.folder
    with Kernel(folder / "nb.ipynb") as kernel:
        report = kernel.run(LOAD).text
        assert "brought back" in report
        assert "frame" in report
        assert "`train` was running when the kernel died" in report

        # The variables are back before any code runs, as they were before the lost node.
        assert all(read(kernel, SHARING))
        state = read(kernel, VALUES)
        assert state[0] == {"a": [1, 2, 3], "b": [15.0, 25.0, None]}
        assert state[2] == [[0.0, 1.0, 2.0, 3.0], [-1.0] * 4, [8.0, 9.0, 10.0, 11.0]]
        assert state[4:10] == (3, {"x": 100}, [100, 1, 2], 2, 3, [1, 2])
        assert read(kernel, "(rate := 5) and first.scaled()") == 500
        kernel.value("(rate := 2)")
        log = kernel.run("%durable log").text
        assert any("train" in line and "LOST" in line for line in log.splitlines())
        assert ran(folder) == []


def test_run_all_after_a_kill_goes_on_at_the_lost_node(
    lost: Lost, undisturbed: tuple[Any, list[Reply]]
) -> None:
    expected, calm = undisturbed
    folder, before = lost.folder, lost.before
    with Kernel(folder / "nb.ipynb") as kernel:
        after = kernel.run_all(CELLS)
        assert [r.status for r in after] == ["ok"] * len(CELLS), after[-1]
        assert ran(folder) == ["train", "end"]
        for number in range(1, TRAIN):
            assert shown(after[number]) == shown(before[number]), CELLS[number]
        assert shown(after[TRAIN]) == shown(calm[TRAIN])
        assert shown(after[-1]) == shown(calm[-1])
        assert float(after[10].text) == read(kernel, "started")
        assert all(read(kernel, SHARING))
        assert read(kernel, f"({VALUES}, model['weights'].tolist(), total, rest)") == expected
        log = kernel.run("%durable log").text
        assert [line.split()[2] for line in log.splitlines() if " train " in line] == ["LOST", "COMPLETED"]


def test_run_all_after_an_early_cell_was_edited_runs_from_there(lost: Lost) -> None:
    folder = lost.folder
    cells = list(CELLS)
    cells[6] = cells[6].replace("items = [1]", "items = [1, 1.5]")
    with Kernel(folder / "nb.ipynb") as kernel:
        replies = kernel.run_all(cells)
        assert [r.status for r in replies] == ["ok"] * len(cells), replies[-1]
        assert ran(folder) == NOTES[3:]
        assert read(kernel, "items") == [1, 1.5, 2, "half", "whole"]
        # What is before the edited cell is put back as it was then: nothing is mutated twice.
        assert read(kernel, "frame['b'].tolist()") == [15.0, 25.0, None]
        assert read(kernel, "(now(), first.x)") == (4, 100)
        assert all(read(kernel, SHARING))
        assert "state before" in replies[6].text


def test_a_cell_pressed_again_runs_again(lost: Lost) -> None:
    folder = lost.folder
    with Kernel(folder / "nb.ipynb") as kernel:
        assert all(r.status == "ok" for r in kernel.run_all(CELLS[:9]))
        assert ran(folder) == []
        assert read(kernel, "items") == [1, 2]
        assert kernel.run(CELLS[8]).status == "ok"
        assert ran(folder) == ["mutate"]
        assert read(kernel, "(items, frame['b'].tolist(), now())") == ([1, 2, 2], [150.0, 250.0, None], 4)


def test_a_cell_that_was_pressed_twice_before_the_kill_is_put_back_twice(folder: Path) -> None:
    cells = [*CELLS[:9], CELLS[8], *CELLS[9:]]
    with Kernel(folder / "nb.ipynb") as with_twice:
        assert all(r.status == "ok" for r in with_twice.run_all(cells[: TRAIN + 1]))
        sent = with_twice.send(cells[TRAIN + 1])
        until_running(folder / "running")
        with_twice.kill()
        assert with_twice.reply(sent).status == "died"
    (folder / "go").touch()
    (folder / "ran.txt").unlink()
    with Kernel(folder / "nb.ipynb") as kernel:
        kernel.run(LOAD)
        assert read(kernel, "(items, frame['b'].tolist())") == ([1, 2, 2], [150.0, 250.0, None])
        # The notebook has the cell once: Run All ends where an undisturbed Run All would.
        replies = kernel.run_all(CELLS[1:])
        assert [r.status for r in replies] == ["ok"] * (len(CELLS) - 1)
        assert read(kernel, "(items, frame['b'].tolist())") == ([1, 2, "half", "whole"], [15.0, 25.0, None])
        assert ran(folder)[-2:] == ["train", "end"]
        assert not {"load", "class", "closure", "shared", "random", "mutate"} & set(ran(folder))


def test_work_that_goes_on_without_run_all_stands_on_the_recovered_state(lost: Lost) -> None:
    folder = lost.folder
    with Kernel(folder / "nb.ipynb") as kernel:
        kernel.run(LOAD)
        assert kernel.run("items.append('mine')\nlen(items)").text == "3"
        assert kernel.run("frame['new'] = frame['a'] * rate\nlist(frame)").text == "['a', 'b', 'new']"
        assert kernel.run(CELLS[TRAIN]).text.endswith("3")
        assert ran(folder) == ["train"]
        assert read(kernel, "items") == [1, 2, "mine", "half", "whole"]
        kernel.run("%checkpoint")
        kernel.kill()
    with Kernel(folder / "nb.ipynb") as kernel:
        kernel.run(LOAD)
        assert read(kernel, "(items, list(frame))") == (
            [1, 2, "mine", "half", "whole"],
            ["a", "b", "new", "half"],
        )
        assert ran(folder) == ["train"]


def test_after_a_clean_end_nothing_is_brought_back_unasked(folder: Path) -> None:
    (folder / "go").touch()
    with Kernel(folder / "nb.ipynb") as kernel:
        assert all(r.status == "ok" for r in kernel.run_all(CELLS))
        values = read(kernel, VALUES)

        kernel.restart()
        assert "%recover" in kernel.run(LOAD).text
        assert read(kernel, "[n for n in ('frame', 'items', 'up') if n in globals()]") == []
        kernel.run("%recover")
        assert read(kernel, VALUES) == values
        assert all(read(kernel, SHARING))
        assert ran(folder) == NOTES

        # Restart & Run All is a fresh run.
        kernel.restart()
        (folder / "ran.txt").unlink()
        replies = kernel.run_all(CELLS)
        assert [r.status for r in replies] == ["ok"] * len(CELLS)
        assert ran(folder) == NOTES
        assert kernel.run("%durable list").text.count("nb.ipynb") == 3


def test_a_second_kill_during_catch_up_loses_nothing_either(
    lost: Lost, undisturbed: tuple[Any, list[Reply]]
) -> None:
    expected, _ = undisturbed
    folder = lost.folder
    (folder / "go").unlink()
    (folder / "running").unlink()
    with Kernel(folder / "nb.ipynb") as kernel:
        assert all(r.status == "ok" for r in kernel.run_all(CELLS[:7]))
        kernel.kill()
    assert ran(folder) == []
    with Kernel(folder / "nb.ipynb") as kernel:
        assert all(r.status == "ok" for r in kernel.run_all(CELLS[:TRAIN]))
        kernel.send(CELLS[TRAIN])
        until_running(folder / "running")
        kernel.kill()
    (folder / "go").touch()
    with Kernel(folder / "nb.ipynb") as kernel:
        replies = kernel.run_all(CELLS)
        assert [r.status for r in replies] == ["ok"] * len(CELLS), replies[-1]
        assert ran(folder) == ["train", "train", "end"]
        assert read(kernel, f"({VALUES}, model['weights'].tolist(), total, rest)") == expected
        log = kernel.run("%durable log").text
        statuses = [line.split()[2] for line in log.splitlines() if " train " in line]
        assert Counter(statuses) == {"LOST": 2, "COMPLETED": 1}


def test_a_kill_right_after_a_node_that_is_safe_keeps_it(folder: Path) -> None:
    with Kernel(folder / "nb.ipynb") as kernel:
        kernel.run(LOAD)
        kernel.run("%%node one --sync\nx = [1]")
        kernel.kill()
    with Kernel(folder / "nb.ipynb") as kernel:
        kernel.run(LOAD)
        assert read(kernel, "x") == [1]


def test_names_bound_before_the_load_are_not_overwritten(lost: Lost) -> None:
    folder = lost.folder
    with Kernel(folder / "nb.ipynb") as kernel:
        kernel.run("items = 'mine'")
        report = kernel.run(LOAD).text
        assert "not overwritten" in report
        assert kernel.run("items").text == "'mine'"
        assert read(kernel, "book['items']") == [1, 2]


def test_auto_recovery_can_be_turned_off(lost: Lost) -> None:
    folder = lost.folder
    with Kernel(folder / "nb.ipynb", env={"DURABLE_NB_AUTO_RECOVERY": "false"}) as kernel:
        assert "%recover" in kernel.run(LOAD).text
        assert kernel.value("'items' in globals()") == "False"
        kernel.run("%recover")
        assert read(kernel, "items") == [1, 2]


def test_a_finished_node_is_put_back_after_catch_up_unless_stale(folder: Path) -> None:
    cells = [
        LOAD,
        "n = 1",
        "%%node a\nopen('ran.txt', 'a').write('a\\n')\na = n + 1\nprint('made a')",
        "%%node b\nopen('ran.txt', 'a').write('b\\n')\nb = 10\nprint('made b')",
        "%%node c\nopen('ran.txt', 'a').write('c\\n')\nc = a * 100",
        "x = 1",
    ]
    with Kernel(folder / "nb.ipynb") as kernel:
        assert all(r.status == "ok" for r in kernel.run_all([*cells, "%checkpoint"]))
        kernel.kill()
    (folder / "ran.txt").unlink()
    with Kernel(folder / "nb.ipynb") as kernel:
        cells[1] = "n = 2"
        replies = kernel.run_all(cells)
        assert [r.status for r in replies] == ["ok"] * len(cells)
        assert ran(folder) == ["a", "c"]
        assert read(kernel, "(n, a, b, c)") == (2, 3, 10, 300)
        assert "`n`" in replies[2].text
        assert "made b" in replies[3].text
        assert "`a`" in replies[4].text


def test_unpicklable_results_are_made_again_in_catch_up(folder: Path) -> None:
    cells = [
        LOAD,
        "data = [3, 1, 2]",
        "open('ran.txt', 'a').write('a\\n')\nrows = (i for i in data)\ncount = len(data)",
        "open('ran.txt', 'a').write('b\\n')\nother = [1]",
        "open('ran.txt', 'a').write('c\\n')\ndata.sort()",
        "open('ran.txt', 'a').write('d\\n')\ntop = next(rows)",
    ]
    with Kernel(folder / "nb.ipynb") as kernel:
        assert all(r.status == "ok" for r in kernel.run_all([*cells[:5], "%checkpoint"]))
        kernel.kill()
    (folder / "ran.txt").unlink()
    with Kernel(folder / "nb.ipynb") as kernel:
        report = kernel.run(LOAD).text
        assert "rows" in report
        assert "generator" in report
        replies = kernel.run_all(cells[1:])
        assert [r.status for r in replies] == ["ok"] * 5, replies[-1]
        # `a` makes the generator again, so `c`, which sorts what it iterates over, has to run too.
        assert ran(folder) == ["a", "c", "d"]
        assert read(kernel, "(data, other, top, count)") == ([1, 2, 3], [1], 1, 3)


def test_a_failing_cell_and_an_interrupted_one_are_not_put_back(folder: Path) -> None:
    cells = [LOAD, "x = [1]", "x.append(2)\n1/0", "y = 5", "x.append(3)"]
    with Kernel(folder / "nb.ipynb") as kernel:
        assert [kernel.run(c).status for c in cells] == ["ok", "ok", "error", "ok", "ok"]
        kernel.run("%checkpoint")
        kernel.kill()
    with Kernel(folder / "nb.ipynb") as kernel:
        kernel.run(LOAD)
        # What the failed cell did before it failed is part of the state that the next cells saw.
        assert read(kernel, "(x, y)") == ([1, 2, 3], 5)
        assert kernel.run("x = [1]").status == "ok"
        assert kernel.run("x.append(2)\n1/0").status == "error"
        assert read(kernel, "x") == [1, 2]


@pytest.mark.long
@pytest.mark.parametrize("at", range(3, TRAIN + 1))
def test_a_kill_before_any_cell_ends_as_an_undisturbed_run(
    folder: Path, undisturbed: tuple[Any, list[Reply]], at: int
) -> None:
    expected, _ = undisturbed
    (folder / "go").touch()
    with Kernel(folder / "nb.ipynb") as kernel:
        assert all(r.status == "ok" for r in kernel.run_all(CELLS[:at]))
        kernel.kill()
    with Kernel(folder / "nb.ipynb") as kernel:
        replies = kernel.run_all(CELLS)
        assert [r.status for r in replies] == ["ok"] * len(CELLS), replies[-1]
        assert all(read(kernel, SHARING))
        assert read(kernel, f"({VALUES}, model['weights'].tolist(), total, rest)") == expected
        # The last cell may not have been kept yet when the kernel died: then it ran again.
        assert all(count <= 2 for count in Counter(ran(folder)).values())
        assert sum(count == 2 for count in Counter(ran(folder)).values()) <= 1
