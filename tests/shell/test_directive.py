from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell

from durable_nb.shell.directive import Directive, find, only_setup, reduced, source_of, transform

cells = st.lists(
    st.sampled_from(
        [
            "%%node a",
            "%node b --sync",
            "%%time",
            "%%bash",
            "x = 1",
            "",
            "   ",
            "%%node?",
            "# c",
            ">>> %%node p",
            "'''",
        ]
    )
    | st.text(max_size=12),
    max_size=6,
).flatmap(lambda lines: st.sampled_from(["\n", "\r\n"]).map(lambda end: end.join(lines)))


@pytest.fixture
def begun(shell: InteractiveShell) -> list[str]:
    """What `%_durable_node` was called with, in a shell that knows the directive."""
    seen: list[str] = []
    shell.register_magic_function(seen.append, "line", "_durable_node")
    shell.input_transformers_cleanup.append(transform)
    return seen


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("%%node load", Directive("load", "")),
        ("%%node load --after a,b  # why\nx = 1", Directive("load", "--after a,b  # why")),
        ("\n  \n%node load\n", Directive("load", "")),
        ("%durable_node load", Directive("load", "")),
        ("%%durable_node\tload\t--sync", Directive("load", "--sync")),
        ("    %%node load\n    x = 1", Directive("load", "")),
        ("In [3]: %%node load\n   ...: x", Directive("load", "")),
        ("%%time\n%%capture out\n\n%%node load --sync", Directive("load", "--sync")),
        ("%%node\nx = 1", Directive("", "")),
        ("%%node --after a", Directive("", "--after a")),
        ("# a comment\n%%node load", None),
        ("%%bash\n%%node load", None),
        ("%%nodes load", None),
        ("%%node?", None),
        ("%_durable_node load", None),
        ("x = 1\n%%node load", None),
        ("node = 1", None),
        ("", None),
    ],
)
def test_a_directive_is_the_first_line_or_stands_below_other_cell_magics(
    cell: str, expected: Directive | None
) -> None:
    assert find(cell) == expected


@given(cells)
def test_no_text_makes_it_raise_and_transforming_twice_changes_nothing_more(cell: str) -> None:
    find(cell)
    source_of(cell)
    lines = cell.splitlines(keepends=True)
    once = transform(lines)
    assert transform(once) == once
    if once != lines:
        assert find(cell) is not None


def test_options_and_blank_lines_are_no_part_of_the_source() -> None:
    assert source_of("%%node a --sync\n\nx = 1  \ny = 2\n\n") == "x = 1\ny = 2"
    assert source_of("%node other\nx = 1\ny = 2") == "x = 1\ny = 2"
    assert source_of("%%time\n%%node a\nx = 1") == "%%time\nx = 1"
    assert source_of("x = 1\n") == source_of("\nx = 1") != source_of("x = 2")


@pytest.mark.parametrize("line", ["%%node load --sync", "%node load --sync"])
def test_the_body_stays_an_ordinary_cell(shell: InteractiveShell, begun: list[str], line: str) -> None:
    result = shell.run_cell(f"\n{line}\nimport asyncio\nawait asyncio.sleep(0)\nfiles = !echo hi\nfiles[0]")
    result.raise_error()
    assert begun == ["load --sync"]
    assert result.result == "hi"


def test_a_traceback_names_the_line_that_the_user_sees(shell: InteractiveShell, begun: list[str]) -> None:
    result = shell.run_cell("%%node load\nx = 1\n1 / 0")
    assert begun == ["load"]
    assert isinstance(result.error_in_exec, ZeroDivisionError)
    frame = result.error_in_exec.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    assert frame is not None
    assert frame.tb_lineno == 3


@pytest.mark.parametrize("cell", ["%%time\n%%node load\nx = 6 * 7", "%%node load\n\n%%time\nx = 6 * 7"])
def test_time_works_above_and_below(shell: InteractiveShell, begun: list[str], cell: str) -> None:
    shell.run_cell(cell).raise_error()
    assert begun == ["load"]
    assert shell.user_ns["x"] == 42


def test_a_node_in_a_terminal_ends_at_a_blank_line_like_any_cell_magic(
    shell: InteractiveShell, begun: list[str]
) -> None:
    assert shell.check_complete("%%node load")[0] == "incomplete"
    assert shell.check_complete("%%node load\nx = 1")[0] == "incomplete"
    assert shell.check_complete("%%node load\nx = 1\n\n")[0] == "complete"
    assert begun == []


def _reduced(shell: InteractiveShell, cell: str) -> ast.Module:
    return reduced(ast.parse(shell.transform_cell(cell)))


def test_a_cell_put_back_imports_without_binding_and_runs_nothing_else(
    shell: InteractiveShell, begun: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    shell.register_magic_function(lambda _: "outputs", "line", "_durable_put_back")
    cell = """%%node load
import xml.dom as json, wave
from xml.sax.saxutils import escape as wave
from . import nothing
%precision 3
%time effects.append(1)
json = 1 / 0
"""
    tree = _reduced(shell, cell)
    names = set(shell.user_ns)
    capsys.readouterr()
    shell.user_ns["effects"] = effects = []
    exec(compile(ast.Module(tree.body[:-1], []), "cell", "exec"), shell.user_ns)
    last = tree.body[-1]
    assert isinstance(last, ast.Expr)
    assert eval(compile(ast.Expression(last.value), "cell", "eval"), shell.user_ns) == "outputs"
    assert effects == begun == []
    assert set(shell.user_ns) - names <= {"effects", "__builtins__"}
    assert capsys.readouterr().out == ""


def test_a_future_import_holds_for_later_cells_without_binding_its_name(shell: InteractiveShell) -> None:
    shell.register_magic_function(lambda _: None, "line", "_durable_put_back")
    shell.user_ns["annotations"] = "the user's"
    tree = _reduced(shell, "from __future__ import annotations")
    exec(compile(tree, "cell", "exec"), shell.user_ns)
    shell.run_cell("def f(x: not_defined): pass").raise_error()
    assert shell.user_ns["annotations"] == "the user's"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("import os, sys\nfrom a import b", True),
        ("%load_ext durable_nb\n%matplotlib inline", True),
        ("%%node setup\nimport os", True),
        ("%%node setup", False),
        ("import os\nx = 1", False),
        ("%time train()", False),
        ("!pip install x", False),
        ("", False),
    ],
)
def test_cells_of_imports_and_setup_are_told_from_work(
    shell: InteractiveShell, begun: list[str], cell: str, expected: bool
) -> None:
    assert only_setup(ast.parse(shell.transform_cell(cell))) is expected
    assert begun == []


def test_reduced_code_has_locations_for_the_compiler() -> None:
    for cell in ("", "import a", "x = 1"):
        compile(reduced(ast.parse(cell)), "cell", "exec")
