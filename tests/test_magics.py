"""What the magics do, as a user sees it."""

from __future__ import annotations

import atexit
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

import durable_nb
from durable_nb import config
from durable_nb.errors import DurableError, NodeError, NotFoundError, RefusedError, UsageError
from durable_nb.model import Checkpoint

if TYPE_CHECKING:
    from conftest import Notebook

Said = Callable[[], str]


def manual() -> Checkpoint:
    """The newest checkpoint made by hand; the cell with the magic in it is recorded after it."""
    return [p for p in durable_nb.history() if p.kind == "manual"][-1]


def error_of(notebook: Notebook, cell: str, cell_id: str | None = None) -> BaseException:
    result = notebook.cell(cell, cell_id)
    error = result.error_in_exec or result.error_before_exec
    assert error is not None
    return error


# -- %%node


@pytest.mark.parametrize(
    "line", ["%%node load", "%node load", "%%durable_node load", "%durable_node load", "\n%%node load --sync"]
)
def test_a_node_is_an_ordinary_cell_with_a_name(notebook: Notebook, line: str) -> None:
    assert notebook.run(f"{line}\nx = [1]\nx + [2]") == [1, 2]
    assert notebook["x"] == [1]
    assert notebook["_"] == [1, 2]
    assert notebook.attempts()[-1]["node"] == "load"
    assert notebook.attempts()[-1]["status"] == "COMPLETED"
    assert durable_nb.history()[-1].node == "load"


def test_tracebacks_of_a_node_have_the_lines_that_the_user_sees(notebook: Notebook, said: Said) -> None:
    error = error_of(notebook, "%%node broken\nx = 1\n\ny = x / 0\nz = 3")
    assert isinstance(error, ZeroDivisionError)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", said())
    assert "----> 4 y = x / 0" in shown
    assert "durable_nb" not in shown
    assert shown.count("ZeroDivisionError") <= 2
    tb = error.__traceback__
    assert tb is not None
    while tb.tb_next:
        tb = tb.tb_next
    assert tb.tb_lineno == 4
    assert notebook.attempts()[-1]["status"] == "FAILED"


def test_a_syntax_error_in_a_node_is_pythons_own(notebook: Notebook, said: Said) -> None:
    error = error_of(notebook, "%%node broken\nx = 1\ny = (")
    assert isinstance(error, SyntaxError)
    assert error.lineno == 3
    assert notebook.run("%%node broken\ny = 2\ny") == 2
    assert "durable_nb" not in said()


def test_await_silence_and_shell_commands_work_in_a_node(notebook: Notebook, said: Said) -> None:
    assert notebook.run("%%node later\nimport asyncio\nawait asyncio.sleep(0)\nx = 5\nx") == 5
    said()
    notebook.run("%%node quiet\n12345;")
    assert "12345" not in said()
    notebook.run("%%node loud\nout = !echo hello\n!echo world")
    assert notebook["out"] == ["hello"]
    assert {a["node"] for a in notebook.attempts() if a["status"] == "COMPLETED"} >= {
        "later",
        "quiet",
        "loud",
    }


@pytest.mark.parametrize(
    "cell", ["%%time\n%%node t\nx = 7", "%%node t\n%%time\nx = 7", "%%node t\n%time x = 7"]
)
def test_time_above_and_below(notebook: Notebook, said: Said, cell: str) -> None:
    notebook.run(cell)
    assert notebook["x"] == 7
    assert "Wall time" in said()
    assert [a["node"] for a in notebook.attempts()] == ["t"]
    assert notebook.attempts()[-1]["status"] == "COMPLETED"


@pytest.mark.parametrize(
    "cell", ["%%node n\n%%capture\n1/0", "%%capture\n%%node n\n1/0", "%%node n\n%%time\n1/0"]
)
def test_a_failure_inside_another_magic_fails_the_node(notebook: Notebook, cell: str) -> None:
    notebook.cell(cell)
    assert notebook.attempts()[-1]["status"] == "FAILED"
    assert isinstance(error_of(notebook, "%%node m --after n\nx = 1"), NodeError)


def test_a_directive_inside_text_is_none(notebook: Notebook) -> None:
    notebook.run('text = """\n%%node not_me\n"""', "# comment\nx = 1")
    assert all(a["node"] is None for a in notebook.attempts())
    notebook.run("%%writefile out.txt\n%%node not_me")
    assert all(a["node"] is None for a in notebook.attempts())


@pytest.mark.parametrize(
    "line", ["%%node", "%%node 2x", "%%node a b", "%%node a --no-such", "%%node a --after"]
)
def test_a_wrong_directive_stops_its_cell_with_one_line(notebook: Notebook, said: Said, line: str) -> None:
    error = error_of(notebook, f"{line}\nx = 1")
    assert isinstance(error, UsageError)
    assert "x" not in notebook.space
    assert len(said().strip().splitlines()) == 1


def test_after_stops_a_cell_whose_past_is_unfinished(notebook: Notebook, said: Said) -> None:
    error = error_of(notebook, "%%node train --after load,clean\nx = 1")
    assert isinstance(error, NodeError)
    assert "load" in str(error)
    assert "x" not in notebook.space
    assert len(said().strip().splitlines()) == 1
    notebook.run("%%node load\na = 1", "%%node clean --after load\nb = 1")
    assert notebook.run("%%node train --after load,clean\nx = 1\nx") == 1
    notebook.cell("%%node load\n1/0")
    assert isinstance(error_of(notebook, "%%node again --after load\ny = 1"), NodeError)


def test_one_name_in_two_live_cells_is_refused(notebook: Notebook) -> None:
    notebook.cell("%%node load\nx = 1", "cell-a").raise_error()
    error = error_of(notebook, "%%node load\nx = 2", "cell-b")
    assert isinstance(error, NodeError)
    assert "cell-a" in str(error)
    assert "cell-b" in str(error)
    assert notebook["x"] == 1
    notebook.cell("%%node load\nx = 3", "cell-a").raise_error()
    assert notebook["x"] == 3


def test_help_says_what_the_options_do(notebook: Notebook) -> None:
    for name, word in (
        ("node", "--after"),
        ("checkpoint", "--unpin"),
        ("recover", "--only"),
        ("durable", "rerun"),
    ):
        told = notebook.shell.object_inspect(f"%{name}")
        assert told["found"], name
        assert word in told["docstring"], name


# -- %checkpoint


def test_checkpoint_keeps_everything_and_is_pinned(notebook: Notebook, said: Said) -> None:
    notebook.run("x = [1]", '%checkpoint "before cleaning"')
    point = manual()
    assert point.pinned
    assert point.description == "before cleaning"
    assert f"v{point.version}" in said()
    notebook.run("x.append(2)", "%checkpoint", f"%recover v{point.version}")
    assert notebook["x"] == [1]
    notebook.run("%checkpoint --list")
    assert "before cleaning" in said()


def test_a_checkpoint_inside_a_cell_sees_what_the_cell_did_so_far(notebook: Notebook) -> None:
    notebook.run("x = 1\n%checkpoint half\nx = 2")
    half = next(p for p in durable_nb.history() if p.kind == "manual")
    durable_nb.recover(half.version)
    assert notebook["x"] == 1


def test_deleting_checkpoints(notebook: Notebook) -> None:
    notebook.run("x = 1", "%checkpoint only")
    newest = durable_nb.history()[-1]
    assert isinstance(error_of(notebook, f"%checkpoint --delete v{newest.version} --force"), RefusedError)
    last = manual()
    notebook.run("x = 2", "%checkpoint other")
    assert isinstance(error_of(notebook, f"%checkpoint --delete v{last.version}"), RefusedError)
    notebook.run(f"%checkpoint --unpin v{last.version}")
    assert not next(p for p in durable_nb.history() if p.version == last.version).pinned
    notebook.run(f"%checkpoint --pin {last.digest[:8]}")
    assert next(p for p in durable_nb.history() if p.version == last.version).pinned
    notebook.run(f"%checkpoint --delete v{last.version} --force")
    assert last.version not in {p.version for p in durable_nb.history()}
    assert isinstance(error_of(notebook, f"%recover v{last.version}"), NotFoundError)
    assert isinstance(error_of(notebook, "%checkpoint --delete v999"), NotFoundError)
    notebook.restart()
    assert notebook["x"] == 2


# -- %recover


def test_recover_by_node_version_and_id(notebook: Notebook) -> None:
    notebook.run("%%node one\nx = 1", "%%node two\nx = 2", "x = 3")
    two = next(p for p in durable_nb.history() if p.node == "two")
    notebook.run("%recover one")
    assert notebook["x"] == 1
    notebook.run(f"%recover v{two.version}")
    assert notebook["x"] == 2
    notebook.run("%recover one", f"%recover {two.digest[:10]}")
    assert notebook["x"] == 2
    for wrong in ("three", "v99", "ffffffff"):
        error = error_of(notebook, f"%recover {wrong}")
        assert isinstance(error, NotFoundError)
        assert wrong in str(error)
    assert notebook["x"] == 2


def test_recover_makes_a_safety_checkpoint_and_undo_goes_back(notebook: Notebook) -> None:
    notebook.run("%%node one\nx = [1]\ny = 'a'", "x.append(2)", "del y")
    notebook.space["unseen"] = 5
    notebook.run("%recover one")
    assert notebook["x"] == [1]
    assert notebook["y"] == "a"
    assert "unseen" not in notebook.space
    notebook.run("%recover --undo")
    assert notebook["x"] == [1, 2]
    assert "y" not in notebook.space
    assert notebook["unseen"] == 5


def test_undo_without_a_recover_says_so(notebook: Notebook) -> None:
    notebook.run("x = 1")
    assert isinstance(error_of(notebook, "%recover --undo"), NotFoundError)


def test_a_plan_changes_nothing(notebook: Notebook, said: Said) -> None:
    notebook.run("%%node one\nx = [1]\ngone = 1", "x.append(2)\nnew = 1\ndel gone")
    count = len(durable_nb.history())
    x = notebook["x"]
    said()
    notebook.run("%recover one --plan")
    plan = said()
    for word in ("would", "x", "gone", "new"):
        assert word in plan
    assert notebook["x"] is x
    assert x == [1, 2]
    assert notebook["new"] == 1
    assert len(durable_nb.history()) <= count + 1
    assert all(p.kind not in ("safety", "rollback") for p in durable_nb.history())
    notebook.run("%recover one")
    assert notebook["x"] == [1]


def test_the_report_says_what_came_back_and_what_not(notebook: Notebook, said: Said) -> None:
    notebook.run("a = [1]\ng = (i for i in a)", "b = 2")
    notebook.close()
    notebook.open()
    said()
    notebook.run("%recover")
    report = said()
    for word in ("brought back  a, b", "g: ", "generator"):
        assert word in report


def test_recover_only_in_a_line(notebook: Notebook, said: Said) -> None:
    notebook.run("%%node one\na = [1]\nb = [a]\nc = 1", "a.append(2)\nb.append(3)\nc = 2")
    notebook.run("%recover one --only a")
    assert notebook["a"] == [1]
    assert notebook["b"] == [notebook["a"]]
    assert notebook["c"] == 2
    assert "b" in said()
    assert isinstance(error_of(notebook, "%recover one --only nothing"), NotFoundError)


def test_recover_from_another_execution(notebook: Notebook) -> None:
    notebook.run("x = [1]")
    first = notebook.execution
    notebook.run("%durable new", "x = [2]", "%recover --execution " + first)
    assert notebook["x"] == [1]
    assert isinstance(error_of(notebook, "%recover --execution nope"), NotFoundError)
    notebook.run("y = 5")
    notebook.restart()
    assert notebook["x"] == [1]
    assert notebook["y"] == 5


def test_recover_never_runs_code(notebook: Notebook) -> None:
    notebook.run(
        "ran = []",
        "%%node one\nran.append(1)\nwith open('ran.txt', 'a') as f: f.write('x')",
        "ran.append(2)",
        "%recover one",
    )
    assert notebook["ran"] == [1]
    assert Path("ran.txt").read_text() == "x"


# -- %durable


def test_every_command_answers(notebook: Notebook, said: Said) -> None:
    notebook.run("x = [1]", "%%node load\ny = 2", "%checkpoint mine")
    version = manual().version
    expected = {
        "": ["notebook.ipynb", "safe", "load", "x = [1]", "mine"],
        "status": ["notebook.ipynb", ".durable", "checkpoint", "load"],
        "log": ["load", "x = [1]", "COMPLETED"],
        "list": [notebook.execution],
        f"show v{version}": ["x", "y", "list"],
        "show load": ["y", "y = 2"],
        "du": ["x", "B"],
        "verify": ["every byte"],
        "config": [*config.definitions()],
        "gc": ["given back"],
    }
    for command, words in expected.items():
        said()
        notebook.run(f"%durable {command}")
        shown = said()
        for word in words:
            assert word in shown, (command, word)


def test_off_and_on(notebook: Notebook) -> None:
    notebook.run("x = [1]", "%durable off", "x.append(2)", "y = 1")
    count = len(durable_nb.history())
    notebook.run("z = 1")
    assert len(durable_nb.history()) == count
    notebook.run("%durable on", "w = 1")
    notebook.restart()
    assert (notebook["x"], notebook["y"], notebook["z"], notebook["w"]) == ([1, 2], 1, 1, 1)


def test_rerun_lets_a_finished_node_run_again(notebook: Notebook) -> None:
    notebook.run("%%node load\nx = 1")
    assert isinstance(error_of(notebook, "%durable rerun lod"), NotFoundError)
    notebook.run("%durable rerun load", "%%node load\nx = 1")
    assert [a["node"] for a in notebook.attempts() if a["node"]] == ["load", "load"]


def test_clear_asks_or_is_told(notebook: Notebook) -> None:
    notebook.run("x = [1]", "%checkpoint")
    assert isinstance(error_of(notebook, "%durable clear"), RefusedError)
    assert durable_nb.history()
    notebook.run("%durable clear --yes")
    assert notebook["x"] == [1]
    notebook.run("x.append(2)")
    notebook.restart()
    assert notebook["x"] == [1, 2]


def test_open_names_the_notebook(notebook: Notebook, said: Said) -> None:
    notebook.run("x = 1", "%durable open other", "y = 1", "%durable status")
    assert "other.ipynb" in said()
    notebook.run("%durable open notebook.ipynb", "%recover")
    assert notebook["x"] == 1


def test_new_begins_an_execution_with_a_parent(notebook: Notebook) -> None:
    notebook.run("x = 1")
    first = notebook.execution
    notebook.run("%durable new", "y = 2")
    second = notebook.execution
    assert second != first
    found = {e.id: e for e in durable_nb.session().repository.executions()}
    assert found[second].parent == first
    notebook.restart()
    assert (notebook["x"], notebook["y"]) == (1, 2)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("%durable satus", "status"), ("%durable show", "show"), ("%durable show v99", "v99"),
        ("%recover --nope", "nope"), ("%checkpoint --pin", "pin"), ("%checkpoint --pin v99", "v99"),
        ("%durable ignore", "which"), ("%durable rerun", "rerun"),
        ("%durable trust nobody", "nobody"), ("%recover nothing", "nothing"), ("%durable show 'x", "quot"),
    ],
)  # fmt: skip
def test_errors_are_one_tidy_line(notebook: Notebook, said: Said, line: str, word: str) -> None:
    notebook.run("x = 1")
    said()
    error = error_of(notebook, line)
    assert isinstance(error, DurableError)
    shown = said().strip()
    assert len(shown.splitlines()) == 1, shown
    assert word in shown
    assert "Traceback" not in shown
    assert notebook.run("x") == 1


def test_settings_can_be_read_and_set(
    notebook: Notebook, said: Said, caplog: pytest.LogCaptureFixture
) -> None:
    notebook.run("%config Durable.max_block = '5s'", "%durable config")
    assert "5.0 s" in said()
    notebook.cell("%config Durable.max_block = 'never'")
    assert "max_block" in caplog.text
    assert durable_nb.session().settings.max_block == 5.0
    notebook.run("%config Durable")
    shown = said()
    for name in config.definitions():
        assert name in shown


def test_completion_offers_nodes_and_versions(notebook: Notebook) -> None:
    notebook.run("%%node load\nx = 1", "%%node learn\ny = 1")

    def offers(text: str) -> set[str]:
        with provisionalcompleter():
            return {c.text for c in notebook.shell.Completer.completions(text, len(text))}

    assert {"load", "learn"} <= offers("%recover l")
    assert "v1" in offers("%recover v")
    assert "load" in offers("%%node next --after lo")
    assert "load" in offers("%durable rerun ")
    assert "load" in offers("x = 1\n%recover lo")
    assert "load" not in offers("y = lo")


# -- loading and unloading


def trace(shell: InteractiveShell) -> dict[str, Any]:
    """Whatever an extension could leave behind in a shell."""
    return {
        "names": {n for n in shell.user_ns if not re.fullmatch(r"_+|_i*\d*|_dh", n)},
        "hidden": {n for n in shell.user_ns_hidden if not re.fullmatch(r"_+|_i*\d*|_dh", n)},
        "events": {e: list(c) for e, c in shell.events.callbacks.items()},
        "cleanup": list(shell.input_transformers_cleanup),
        "post": list(shell.input_transformers_post),
        "ast": list(shell.ast_transformers),
        "lines": dict(shell.magics_manager.magics["line"]),
        "cells": dict(shell.magics_manager.magics["cell"]),
        "configurables": list(shell.configurables),
        "matchers": list(shell.Completer.custom_matchers),
        "publisher": set(vars(shell.display_pub)),
        "hook": set(vars(shell.displayhook)),
        "own": {n for n in vars(shell) if not n.startswith("_trait")},
        "streams": (sys.stdout.write, sys.stderr.write),
        "excepthook": (sys.excepthook, sys.displayhook),
        "threads": {t.name for t in threading.enumerate()},
    }


def test_unloading_leaves_no_trace(notebook: Notebook) -> None:
    notebook.run("%unload_ext durable_nb")
    before = trace(notebook.shell)
    exits = atexit._ncallbacks()  # type: ignore[attr-defined]
    notebook.shell.run_cell("%load_ext durable_nb")
    notebook.shell.run_cell("%%node load\nprint('x')\n1 + 1")
    notebook.shell.run_cell("%checkpoint", store_history=True)
    notebook.shell.run_cell("%unload_ext durable_nb")
    after = trace(notebook.shell)
    for what, was in before.items():
        assert after[what] == was, what
    assert atexit._ncallbacks() <= exits  # type: ignore[attr-defined]
    assert "node" not in notebook.shell.magics_manager.magics["cell"]


def test_loading_twice_is_loading_once(notebook: Notebook) -> None:
    notebook.run("x = 1", "%load_ext durable_nb", "y = 1", "%reload_ext durable_nb", "z = 1")
    assert [a["label"] for a in notebook.attempts()].count("z = 1") == 1
    notebook.restart()
    assert notebook.names() >= {"x", "y", "z"}


def test_the_extension_adds_no_name_to_the_notebook(notebook: Notebook) -> None:
    notebook.run("%unload_ext durable_nb")
    before = set(notebook.space)
    notebook.shell.run_cell("%load_ext durable_nb")
    notebook.run("%%node load\nx = 1")
    new = {n for n in set(notebook.space) - before if not n.startswith("_i")}
    assert new == {"x"}


def test_the_first_load_says_where_the_store_is_and_what_is_left_out(tmp_path: Path, said: Said) -> None:
    with durable_nb.testing.shell(tmp_path):
        first = said()
    with durable_nb.testing.shell(tmp_path):
        second = said()
    assert ".durable" in first
    assert "password" in first
    assert "password" not in second
    store = tmp_path / ".durable"
    assert store.stat().st_mode & 0o777 == 0o700
    assert (store / ".gitignore").read_text().strip() == "*"


def test_cells_that_are_not_recorded_are_seen_by_the_next(notebook: Notebook) -> None:
    notebook.run("x = [1]", "ballast = [[i] for i in range(150_000)]")
    count = len(durable_nb.history())
    notebook.shell.run_cell("x.append(2)", silent=True)
    notebook.shell.run_cell("x.append(3)", store_history=False)
    assert len(durable_nb.history()) == count
    notebook.run("y = 1")
    notebook.restart()
    assert notebook["x"] == [1, 2, 3]


def test_python_api_is_the_same(notebook: Notebook) -> None:
    notebook.run(
        "import durable_nb as durable",
        "x = [1]",
        "point = durable.checkpoint('here')",
        "x.append(2)",
        "plan = durable.recover(point.version, plan=True)",
        "done = bool(durable.recover(point.version, only=['x']))",
    )
    assert notebook["x"] == [1]
    assert [p.description for p in durable_nb.history() if p.kind == "manual"] == ["here"]
    durable_nb.undo()
    assert notebook["x"] == [1, 2]


def test_outside_a_notebook_the_api_says_what_to_do() -> None:
    with pytest.raises(NotFoundError, match="load_ext"):
        durable_nb.session()


def test_sql_answers_questions(notebook: Notebook) -> None:
    notebook.run(
        "import pandas as pd", "%%node load\ndf = pd.DataFrame({'n': [1, 2, 3]})", "df = df * 10", "df"
    )
    assert durable_nb.sql("SELECT sum(n) AS s FROM var('df')").to_pylist() == [{"s": 60}]
    assert durable_nb.sql("SELECT sum(n) AS s FROM var('df', 'load')").to_pylist() == [{"s": 6}]
    for table in ("executions", "nodes", "attempts", "checkpoints", "variables", "events", "packs"):
        assert durable_nb.sql(f"FROM {table} SELECT count(*)").num_rows == 1
    assert durable_nb.sql("SELECT count(*) AS n FROM nodes").to_pylist()[0]["n"] >= 1


def test_loading_imports_nothing_heavy() -> None:
    """How long it takes is a matter for the benchmark."""
    code = (
        "import sys, tempfile, os\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "from traitlets.config import Config; c = Config(); c.HistoryManager.enabled = False\n"
        "d = tempfile.mkdtemp(); os.environ['JUPYTER_DATA_DIR'] = d; os.chdir(d)\n"
        "s = InteractiveShell.instance(config=c)\n"
        "s.run_line_magic('load_ext', 'durable_nb')\n"
        "heavy = ('numpy', 'pandas', 'duckdb', 'pyarrow', 'ipywidgets', 'rich', 'typer')\n"
        "print('heavy', [m for m in heavy if m in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "heavy []"
