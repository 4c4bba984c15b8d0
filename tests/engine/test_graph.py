"""Which nodes need which, as a notebook's records tell it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import durable_nb
from durable_nb import testing
from durable_nb.engine import graph
from durable_nb.engine.graph import Graph, GraphNode
from durable_nb.model import NodeStatus


def _graph() -> Graph:
    return graph.of(durable_nb.session())


def _edges(kind: str = "data") -> dict[tuple[str, str], tuple[str, ...]]:
    return {(e.source, e.target): e.names for e in _graph().edges if e.kind == kind}


def _node(name: str) -> GraphNode:
    return next(node for node in _graph().nodes if node.name == name)


def _save(folder: Path, *sources: str) -> None:
    cells = [
        {
            "cell_type": "code",
            "id": f"c{i}",
            "metadata": {},
            "outputs": [],
            "source": s,
            "execution_count": None,
        }
        for i, s in enumerate(sources)
    ]
    saved = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "notebook.ipynb").write_text(json.dumps(saved))


def test_a_node_needs_those_that_made_what_it_reads(notebook: Any) -> None:
    notebook.run(
        "%%node load\ndf, limit, spare = [3, 1, 2], 2, 0",
        "%%node clean\nkept = [v for v in df if v <= limit]",
        "%%node report\ntotal = sum(kept) + limit",
    )
    assert _edges() == {
        ("load", "clean"): ("df", "limit"),
        ("clean", "report"): ("kept",),
        ("load", "report"): ("limit",),
    }
    assert [node.name for node in _graph().nodes] == ["load", "clean", "report"]


def test_after_is_an_edge_of_its_own(notebook: Any) -> None:
    notebook.run("%%node load\ndf = [1]", "%%node send --after load\nsent = True")
    assert _edges() == {}
    assert _edges("after") == {("load", "send"): ()}


def test_the_last_one_to_set_a_variable_is_the_one_that_counts(notebook: Any) -> None:
    notebook.run("%%node load\ndf = [1]", "%%node clean\ndf = [v + 1 for v in df]", "%%node use\nn = len(df)")
    assert _edges() == {("load", "clean"): ("df",), ("clean", "use"): ("df",)}


def test_a_change_in_place_counts_too(notebook: Any) -> None:
    notebook.run("%%node load\ndf = [1]", "%%node grow\ndf.append(2)", "%%node use\nn = len(df)")
    assert _edges() == {("load", "grow"): ("df",), ("grow", "use"): ("df",)}


def test_a_node_that_reads_its_own_result_still_needs_who_made_it_first(notebook: Any) -> None:
    notebook.run("%%node load\ndf = [1]", *["%%node clean\ndf = [v + 1 for v in df]"] * 2)
    assert _edges() == {("load", "clean"): ("df",)}


def test_plain_cells_pass_on_what_they_read(notebook: Any) -> None:
    notebook.run(
        "%%node load\ndf = [1]", "half = df * 2", "import math\nmore = [math.sqrt(v) for v in half]",
        "alone = 1", "%%node use\nn = len(more) + alone",
    )  # fmt: skip
    assert _edges() == {("load", "use"): ("more",)}


def test_what_a_function_reaches_is_read(notebook: Any) -> None:
    notebook.run("%%node load\ndf = [1]", "def count():\n    return len(df)", "%%node use\nn = count()")
    assert _edges() == {("load", "use"): ("count", "df")}


def test_a_deleted_variable_comes_from_nobody(notebook: Any) -> None:
    notebook.run("%%node load\ndf = [1]", "del df", "df = [2]", "%%node use\nn = len(df)")
    assert _edges() == {}


@pytest.mark.parametrize("recover", ["%recover load", "%recover load --only df"])
def test_what_was_brought_back_is_from_the_node_that_made_it(notebook: Any, recover: str) -> None:
    notebook.run("%%node load\ndf = [1]", "df = [2]", recover, "%%node use\nn = len(df)")
    assert _edges() == {("load", "use"): ("df",)}


def test_a_node_that_was_rolled_back_keeps_what_it_needed(notebook: Any) -> None:
    notebook.run(
        "%%node load\ndf = [1]", "%%node use\nn = len(df)", "%recover load", "%%node other\nm = df[0]"
    )
    assert _edges() == {("load", "use"): ("df",), ("load", "other"): ("df",)}


def test_how_each_node_stands(notebook: Any) -> None:
    notebook.run("%%node load\ndf = [1]", "%%node use\nn = len(df)")
    notebook.cell("%%node broken\n1 / len(df[1:])")
    notebook.run("df = [1, 2]")
    load, use, broken = _node("load"), _node("use"), _node("broken")
    assert (load.status, load.stale) == (NodeStatus.COMPLETED, "")
    assert load.version is not None
    assert "input `df` differs" in use.stale
    assert (broken.status, broken.why) == (NodeStatus.FAILED, "ZeroDivisionError")
    assert _edges()["load", "broken"] == ("df",)


def test_nodes_of_the_file_that_have_not_run_are_to_do(notebook: Any) -> None:
    _save(notebook.folder, "%%node load\ndf = [1]", "x = 1", "%%node use\nn = len(df)", "%%node last\nm = n")
    assert [(node.name, node.status) for node in _graph().nodes] == [
        ("load", None), ("use", None), ("last", None),
    ]  # fmt: skip
    notebook.run("%%node load\ndf = [1]", "%%node unsaved\nk = df")
    assert [node.name for node in _graph().nodes] == ["load", "use", "last", "unsaved"]


def test_nothing_yet_is_an_empty_graph(notebook: Any) -> None:
    assert _graph() == Graph()
    notebook.run("x = 1")
    assert _graph() == Graph()


def test_the_next_run_has_the_nodes_of_the_file_and_those_that_they_need(notebook: Any) -> None:
    notebook.run("%%node old\ndf = [1]", "%%node unused\nz = 1", "%%node use --after old\nn = len(df)")
    _save(notebook.folder, "%%node use\nn = len(df)")
    durable_nb.session().seen_nodes.clear()  # as in the next kernel
    assert [node.name for node in _graph().nodes] == ["use", "old"]


def test_a_lost_node_needs_what_its_cell_reads(tmp_path: Path) -> None:
    lost = "%%node train\nopen('begun', 'w').close()\nimport time\ntime.sleep(60 if df else 0)"
    with testing.Kernel(tmp_path / "notebook.ipynb") as kernel:
        kernel.run_all(["%load_ext durable_nb", "%%node load\ndf = [1]"])
        kernel.send(lost)
        testing.until_running(tmp_path / "begun")
        kernel.kill()
        kernel.restart()
        kernel.run("%load_ext durable_nb")
        shown = kernel.run("%durable graph").text
        assert "✓ load" in shown
        assert "? train <- load (df): lost" in shown


def test_the_command_shows_picture_and_text(notebook: Any, said: Any) -> None:
    notebook.run("%durable graph")
    assert "%%node NAME" in said()
    notebook.run("%%node load\ndf = [1]", "%%node use\nn = len(df)", "%durable graph")
    assert "✓ use <- load (df)" in said()
