"""Run All after a kill, where putting every finished cell back would give wrong values."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from durable_nb.testing import Kernel

LOAD = "%load_ext durable_nb"
GENERATOR = "numbers = (i for i in range(10))"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "mine.py").write_text("def answer():\n    return 42\n")
    return tmp_path


def killed(folder: Path, cells: list[str], env: dict[str, str] | None = None) -> None:
    with Kernel(folder / "nb.ipynb", env=env) as kernel:
        kernel.run_all([*cells, "%durable verify"])
        kernel.kill()


@pytest.mark.parametrize(
    ("before", "after", "expression", "expected"),
    [
        pytest.param(
            ["import sys\nsys.path.append('src')\nn = 1", "from mine import answer", "v = answer()"],
            [
                "import sys\nsys.path.append('src')\nn = 1",
                "from mine import answer",
                "v = answer()",
                "w = answer()",
            ],
            "(v, w)",
            (42, 42),
            id="modules of the user's own are found again",
        ),
        pytest.param(
            [GENERATOR, "a = next(numbers)", "b = next(numbers)"],
            [GENERATOR, "a = next(numbers)", "b = next(numbers)", "c = next(numbers)"],
            "(a, b, c)",
            (0, 1, 2),
            id="an iterator is as far as it was",
        ),
        pytest.param(
            [GENERATOR, "k = 1", "numbers = (i for i in range(100, 110))"],
            [GENERATOR, "k = 1", "numbers = (i for i in range(100, 110))", "c = next(numbers)"],
            "c",
            100,
            id="a name bound twice is bound to the second",
        ),
        pytest.param(
            ["a = 1", "z = 5", "%%node n\nx = a + 1", "%%node n\nx = a + 1"],
            ["a = 1", "z = 6", "%%node n\nx = a + 1"],
            "(x, z)",
            (2, 6),
            id="a node that ran twice has its result",
        ),
        pytest.param(
            [GENERATOR, "z = 1", "%%node s\nfound = list(numbers)"],
            ["numbers = (i for i in range(3))", "z = 1", "%%node s\nfound = list(numbers)"],
            "found",
            [0, 1, 2],
            id="an input that cannot be compared makes a node run",
        ),
        pytest.param(
            ["w = 0", "if w == 1:\n    1 / 0\nrows = iter([w])\ngen = (i for i in rows)", "u = 7"],
            ["w = 0", "1 / 0", "u = 7"],
            "u",
            7,
            id="what follows a cell that fails has its values",
        ),
    ],
)
def test_values_are_those_of_an_undisturbed_run(
    folder: Path, before: list[str], after: list[str], expression: str, expected: object
) -> None:
    killed(folder, [LOAD, *before])
    with Kernel(folder / "nb.ipynb") as kernel:
        for cell in [LOAD, *after]:
            kernel.run(cell)
        assert ast.literal_eval(kernel.value(expression)) == expected


def test_nothing_is_put_back_while_a_recovery_is_only_offered(folder: Path) -> None:
    killed(folder, [LOAD, "x = 1", "y = 2"])
    with Kernel(folder / "nb.ipynb", env={"DURABLE_NB_AUTO_RECOVERY": "0"}) as kernel:
        assert "%recover" in kernel.run(LOAD).text
        assert [kernel.run(cell).status for cell in ("x = 10", "y = 2", "z = x + y")] == ["ok"] * 3
        assert kernel.value("z") == "12"


def test_names_bound_before_the_load_take_part_in_catch_up(folder: Path) -> None:
    with Kernel(folder / "nb.ipynb") as kernel:
        kernel.run("x = 1")
        kernel.run_all([LOAD, "x += 98", "y = x * 10", "%durable verify"])
        kernel.kill()
    with Kernel(folder / "nb.ipynb") as kernel:
        kernel.run("x = 1")
        kernel.run_all([LOAD, "x += 98", "y = x * 10", "z = x + y"])
        assert kernel.value("(x, y, z)") == "(99, 990, 1089)"


def test_a_cell_whose_state_is_gone_is_refused_once(folder: Path) -> None:
    killed(folder, [LOAD, "a = 1", "a = 2", "b = a * 10", "%checkpoint --delete v3"])
    with Kernel(folder / "nb.ipynb") as kernel:
        kernel.run_all([LOAD, "a = 1", "a = 2"])
        refused = kernel.run("b = a * 100")
        assert refused.status == "error"
        assert "cannot be brought back" in str(refused.outputs)
        assert kernel.run("b = a * 100").status == "ok"
        assert kernel.value("b") == "200"


def test_a_store_without_its_values_does_not_stop_the_notebook(folder: Path) -> None:
    killed(folder, [LOAD, "a = 1", "b = list(range(5000))"])
    for pack in (folder / ".durable" / "packs").iterdir():
        pack.unlink()
    with Kernel(folder / "nb.ipynb") as kernel:
        loaded = kernel.run(LOAD)
        assert loaded.status == "ok"
        assert "cannot be recovered" in loaded.text
        assert kernel.run("a = 1").status == "ok"
    with Kernel(folder / "nb.ipynb") as kernel:
        assert "lost too" in kernel.run(LOAD).text


def test_a_forgotten_secret_is_in_no_file_of_the_store(folder: Path) -> None:
    for word in ("hunter2-first", "hunter2-second"):
        with Kernel(folder / "nb.ipynb", env={"DURABLE_NB_COMPRESSION": "none"}) as kernel:
            kernel.run_all([LOAD, f"sk = '{word}'", "other = 1", "%checkpoint"])
            if word.endswith("second"):
                kernel.run("%durable forget sk")
    files = [f for f in (folder / ".durable").rglob("*") if f.is_file()]
    assert files
    assert [f.name for f in files if b"hunter2" in f.read_bytes()] == []
