"""What the screen shows of an execution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import durable_nb
from durable_nb.engine import overview

if TYPE_CHECKING:
    from conftest import Notebook


def test_entries_tell_the_branches_apart(notebook: Notebook) -> None:
    notebook.run("a = 1", "%%node one\nb = 1", "c = 1", "%recover one", "d = 1", "%recover one", "e = 1")
    durable_nb.session().settle()
    found = overview.of(durable_nb.session())
    lanes = {e.changed: e.lane for e in found.entries if e.kind in ("cell", "node") and e.changed}
    assert lanes == {("a",): 0, ("b",): 0, ("c",): 2, ("d",): 1, ("e",): 0}
    assert found.version == found.entries[0].version
    assert found.durability == "safe"


def test_a_branch_stays_one_when_checkpoints_of_it_are_gone(notebook: Notebook) -> None:
    notebook.run("a = 1", "b = 1", "c = 1", "%checkpoint good", "d = 1")
    session = durable_nb.session()
    session.settle()
    session.delete(2)
    found = [(e.version, e.lane) for e in overview.of(session).entries if e.version is not None]
    assert 2 not in dict(found)
    assert {lane for _, lane in found} == {0}


def test_what_going_back_would_change(notebook: Notebook) -> None:
    notebook.run("same = 'kept'", "a, gone = [1], 2")
    durable_nb.session().settle()
    version = durable_nb.session().version
    notebook.run("a.append(5)", "new = {'x': 1}", "del gone", "same = same")
    durable_nb.session().settle()
    assert version is not None
    found = {c.name: (c.how, c.now, c.then) for c in overview.changes(durable_nb.session(), version)}
    assert found == {
        "a": ("changed", "[1, 5]", "[1]"),
        "gone": ("added", "", "2"),
        "new": ("removed", "{'x': 1}", ""),
        "same": ("unchanged", "'kept'", "'kept'"),
    }


def test_failed_and_lost_attempts_are_entries_too(notebook: Notebook) -> None:
    notebook.run("a = 1")
    notebook.cell("%%node bad\n1 / 0")
    durable_nb.session().settle()
    entry = overview.of(durable_nb.session()).entries[0]
    assert (entry.label, entry.status, entry.kind) == ("bad", "FAILED", "error")


def test_a_rollback_names_the_cells_whose_output_is_left_behind(notebook: Notebook) -> None:
    notebook.run("a = 1", "%%node one\nb = 1", "%%node two\nc = 1", "d = 2")
    result = durable_nb.session().recover("one")
    assert [name if name == "two" else "a cell" for name in result.left] == ["two", "a cell"]
    assert durable_nb.session().undo().left == ()
