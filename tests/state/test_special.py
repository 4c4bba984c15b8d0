"""Reducers in a notebook, and those that users register."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import durable_nb
from durable_nb import testing
from durable_nb.state import special
from durable_nb.testing import Kernel

if TYPE_CHECKING:
    from conftest import Again

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # files stay open, as in notebooks


class Handle:
    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        raise TypeError("no")


class Special(Handle):
    pass


@pytest.fixture
def _registered() -> Iterator[None]:
    before = dict(special.REGISTERED)
    yield
    special.REGISTERED.clear()
    special.REGISTERED.update(before)


@pytest.mark.usefixtures("_registered")
def test_what_is_registered_goes_before_the_class_and_before_ours(again: Again) -> None:
    durable_nb.register(Handle, lambda handle: (Handle, (handle.number + 1,)))
    assert again([Handle(1)])[0].number == 2
    with pytest.raises(TypeError, match="no"):
        again(Special(1))  # subclasses are registered on their own
    durable_nb.register(threading.Event, lambda _event: (str, ("an event",)))
    durable_nb.register(weakref.ref, lambda _ref: (str, ("a reference",)))
    assert again([threading.Event(), weakref.ref(Handle)]) == ["an event", "a reference"]
    durable_nb.register(Handle, lambda handle: (Handle, (handle.number,)))
    assert again(Handle(1)).number == 1


@pytest.mark.parametrize(("kind", "reduce"), [("no class", print), (Handle, "no function")])
def test_what_cannot_be_registered_is_said(kind: Any, reduce: Any) -> None:
    with pytest.raises(TypeError, match="register"):
        durable_nb.register(kind, reduce)


def test_it_comes_back_after_a_kill(tmp_path: Path) -> None:
    with Kernel(tmp_path / "notebook.ipynb") as kernel:
        for cell in (
            "%load_ext durable_nb",
            """
import asyncio, ctypes, logging, sqlite3, sys, tempfile, types, weakref
import duckdb, durable_nb
import numpy as np
log = open("log.txt", "w")
log.write("one\\n")
temporary = tempfile.NamedTemporaryFile("w+")
database = sqlite3.connect("a.db")
database.execute("CREATE TABLE t AS SELECT 1 AS x")
database.commit()
duck = duckdb.connect("a.duckdb")
duck.execute("CREATE TABLE t AS SELECT 42 AS x")
relation = duck.sql("SELECT x FROM t")
mapped = np.memmap("x.bin", dtype="i4", mode="w+", shape=(4,))
mapped[:] = 7
""",
            """
logger = logging.getLogger("mine")
logger.setLevel(logging.INFO)
logger.addHandler(handler := logging.StreamHandler(sys.stdout))
loop, out, shell = asyncio.get_running_loop(), sys.stdout, get_ipython()
""",
            """
class Handle:
    def __init__(self, n): self.n = n
    def __reduce__(self): raise TypeError("no")
def reduce_handle(handle): return Handle, (handle.n,)
durable_nb.register(Handle, reduce_handle)
""",
            "handle = Handle(1)",
            "target = {'a': Handle(2)}; values = target.values(); holder = Handle([target])",
            "ref = weakref.ref(handle)",
            "made = types.ModuleType('made'); made.x = [1]",
            "made.x.append(2)",
            "last = 1",
        ):
            assert kernel.run(cell).status == "ok", cell
        kernel.run("%checkpoint")
        kernel.kill()
        kernel.restart()
        said = kernel.run("%load_ext durable_nb").text
        assert "not loaded" not in said
        assert "not kept" not in said
        for expression, wanted in {
            "log.write('two\\n'), log.flush(), open('log.txt').read()": "(4, None, 'one\\ntwo\\n')",
            "temporary.closed": "False",
            "database.execute('SELECT x FROM t').fetchall()": "[(1,)]",
            "relation.fetchall(), duck.execute('SELECT x FROM t').fetchall()": "([(42,)], [(42,)])",
            "mapped.tolist(), mapped.mode": "([7, 7, 7, 7], 'r+')",
            "logger.level, logger.handlers == [handler], handler.stream is sys.stdout": "(20, True, True)",
            "loop is asyncio.get_running_loop(), out is sys.stdout": "(True, True)",
            "shell is get_ipython()": "True",
            "handle.n, ref() is handle, holder.n[0] is target": "(1, True, True)",
            "target.update(b=1), list(values)[1]": "(None, 1)",
            "made.x": "[1, 2]",
        }.items():
            assert kernel.run(expression).text == wanted, expression
        assert kernel.run("handle = Handle(5)").status == "ok"
        kernel.run("%checkpoint")
        kernel.kill()
        kernel.restart()
        kernel.run("%load_ext durable_nb")
        assert kernel.run("handle.n").text == "5"  # what was registered still held


def test_a_rollback_keeps_connections_that_are_open(tmp_path: Path) -> None:
    with testing.shell(tmp_path) as shell:
        for cell in (
            "import duckdb, tempfile; folder = tempfile.TemporaryDirectory()",
            "duck = duckdb.connect('a.duckdb'); pair = [duck, folder, 1]",
            "open(folder.name + '/kept', 'w').close(); ids = id(duck), id(folder)",
        ):
            testing.run(shell, cell).raise_error()
        version = durable_nb.checkpoint().version
        testing.run(shell, "pair.append(2)").raise_error()
        result = durable_nb.recover(version)
        assert not result.failed
        space = shell.user_ns
        assert space["pair"][2:] == [1]
        assert space["pair"][0] is space["duck"]
        assert (id(space["duck"]), id(space["folder"])) == space["ids"]
        assert Path(space["folder"].name, "kept").exists()
        assert space["duck"].execute("SELECT 1").fetchall() == [(1,)]
        testing.run(shell, "duck.close(); folder.cleanup()")


@pytest.mark.usefixtures("_registered")
def test_a_refusal_is_said_with_the_way_to_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with testing.shell(tmp_path) as shell:
        testing.run(shell, "import csv; job = {'rows': csv.reader(['a,b'])}")
    shown = capsys.readouterr()
    (line,) = [line for line in (shown.out + shown.err).splitlines() if "`job`" in line]
    assert "job['rows']: a csv reader cannot be kept: read it into a list" in line
