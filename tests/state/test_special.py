"""What pickle refuses or brings back as something else comes back as it was; the rest is refused in words."""

from __future__ import annotations

import array
import asyncio
import collections
import concurrent.futures
import contextvars
import csv
import ctypes
import functools
import gc
import gzip
import io
import itertools
import logging
import mmap
import os
import queue
import random
import re
import socket
import sqlite3
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import types
import warnings
import weakref
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

import durable_nb
from durable_nb import testing
from durable_nb.state import pickling, refusals, special
from durable_nb.testing import Kernel

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # files stay open, as in notebooks


@pytest.fixture(autouse=True)
def _in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    gc.collect()


def trip(**values: Any) -> Any:
    """Through bytes and back, as one component."""
    dumped = pickling.dump_values(values, values)
    buffers = [bytearray(buffer.raw()) for buffer in dumped.buffers]
    return types.SimpleNamespace(**pickling.load(dumped.stream, buffers, dict(values), {}))


def again(value: Any) -> Any:
    return trip(value=value).value


class Thing:
    """Something to refer to."""

    def __init__(self, *held: Any) -> None:
        self.held = list(held)

    def method(self) -> list[Any]:
        return self.held


# -- files


def test_a_file_comes_back_where_it_stood() -> None:
    Path("text").write_text("äone\ntwo\n", encoding="utf-16")
    file = open("text", encoding="utf-16")  # noqa: PTH123, SIM115
    assert file.readline() == "äone\n"
    back = again(file)
    assert (back.readline(), back.encoding, back.name) == ("two\n", "utf-16", str(Path("text").absolute()))
    assert file.readline() == "two\n"


@pytest.mark.parametrize("mode", ["wb", "w+b", "xb", "r+b"])
@pytest.mark.parametrize("buffering", [-1, 0])
def test_a_file_that_was_being_written_is_not_truncated(mode: str, buffering: int) -> None:
    if mode == "r+b":
        Path("data").write_bytes(b"........")
    file = open("data", mode, buffering=buffering)  # noqa: PTH123, SIM115
    file.write(b"first")
    back = again(file)
    assert (type(back), back.mode) == (type(file), file.mode)
    back.write(b"-second")
    back.close()
    file.close()
    assert Path("data").read_bytes().startswith(b"first-second")


def test_a_file_that_appends_goes_on_at_the_end() -> None:
    file = open("log", "a", buffering=1)  # noqa: PTH123, SIM115
    file.write("one\n")
    back = again(file)
    assert back.line_buffering
    back.write("two\n")
    assert Path("log").read_text() == "one\ntwo\n"


def test_a_closed_file_is_closed_and_a_standard_stream_the_process_s_own() -> None:
    file = Path("x").open("w")  # noqa: SIM115
    file.close()
    assert again(file).closed
    assert again({"err": sys.__stderr__})["err"] is sys.__stderr__


def test_a_file_that_is_gone_is_not_made_again() -> None:
    file = Path("gone").open("w")  # noqa: SIM115
    dumped = pickling.dump_values({"file": file}, {})
    Path("gone").unlink()
    with pytest.raises(FileNotFoundError, match="gone"):
        pickling.load(dumped.stream, [], {}, {})
    assert not Path("gone").exists()


def test_a_temporary_folder_is_the_live_one_and_is_not_deleted_by_a_copy() -> None:
    folder = tempfile.TemporaryDirectory()
    Path(folder.name, "kept").touch()
    assert again(folder) is folder
    dumped = pickling.dump_values({"folder": folder}, {})
    name, finalizer = folder.name, folder._finalizer  # type: ignore[attr-defined]
    finalizer.detach()
    del folder, finalizer  # as after a crash: the folder is there, and nobody who would delete it
    back = pickling.load(dumped.stream, [], {}, {})["folder"]
    assert type(back) is tempfile.TemporaryDirectory
    assert back.name == name
    assert again(back) is back
    del back
    assert Path(name, "kept").exists()
    back = pickling.load(dumped.stream, [], {}, {})["folder"]
    back.cleanup()
    assert not Path(name).exists()
    with pytest.raises(FileNotFoundError, match="gone"):
        pickling.load(dumped.stream, [], {}, {})


def test_a_named_temporary_file_is_the_live_one_at_its_position() -> None:
    file = tempfile.NamedTemporaryFile("w+")  # noqa: SIM115
    file.write("abc")
    dumped = pickling.dump_values({"file": file}, {})
    file.write("def")
    back = pickling.load(dumped.stream, [], {}, {})["file"]
    assert back is file
    assert file.tell() == 3
    file.close()
    with pytest.raises(FileNotFoundError):
        pickling.load(dumped.stream, [], {}, {})


def test_an_archive_that_is_read_comes_back_and_one_that_is_written_is_left_alone() -> None:
    with zipfile.ZipFile("a.zip", "w") as written:
        written.writestr("name", "text")
        with pytest.raises(TypeError, match="being written"):
            again(written)
    read = again(zipfile.ZipFile("a.zip"))
    assert read.read("name") == b"text"
    with tarfile.open("a.tar", "w") as tar:
        tar.add("a.zip")
        with pytest.raises(TypeError, match="being written"):
            again(tar)
    with tarfile.open("a.tar") as tar:
        assert again(tar).getnames() == ["a.zip"]


# -- what shows others


def test_a_weak_reference_refers_to_what_came_back() -> None:
    thing = Thing(1)
    back = trip(
        thing=thing,
        ref=weakref.ref(thing),
        dead=weakref.ref(Thing()),
        method=weakref.WeakMethod(thing.method),
        proxy=weakref.proxy(thing),
        values=weakref.WeakValueDictionary({"a": thing}),
        keys=weakref.WeakKeyDictionary({thing: "a"}),
        things=weakref.WeakSet([thing]),
    )
    assert type(back.thing) is Thing
    assert back.thing is not thing
    assert back.ref() is back.thing
    assert back.dead() is None
    assert back.method()() is back.thing.held
    assert type(back.proxy) is weakref.ProxyType
    assert back.proxy.held is back.thing.held
    assert dict(back.values) == {"a": back.thing}
    assert dict(back.keys) == {back.thing: "a"}
    assert set(back.things) == {back.thing}
    back.thing = None
    assert back.ref() is None
    assert back.method() is None
    assert not back.values
    assert not back.keys
    assert not back.things


def test_a_weak_reference_in_what_it_refers_to_and_its_callback() -> None:
    called: list[Any] = []
    parent = Thing()
    child = Thing()
    parent.held, child.held = [child], [weakref.ref(parent)]
    for first in ("parent", "child"):
        values = {"parent": parent, "child": child}
        back = trip(**{first: values[first], **values})
        assert back.child.held[0]() is back.parent
        assert back.parent.held[0] is back.child
    thing = Thing()
    back = trip(called=called, thing=thing, ref=weakref.ref(thing, called.append))
    ref, back.thing = back.ref, None
    assert back.called == [ref]
    assert called == []


def test_functions_with_single_dispatch_come_back() -> None:
    @functools.singledispatch
    def shape(value: Any) -> str:
        return f"{value}"

    shape.register(int)(lambda value: f"int {value}")
    assert (shape(1), shape("a")) == ("int 1", "a")  # this fills its weak cache
    back = again(shape)
    assert (back(1), back("a")) == ("int 1", "a")


def test_views_of_dictionaries_show_what_came_back() -> None:
    table: dict[str, Any] = {"a": 1}
    ordered = collections.OrderedDict(b=2)
    table["own"] = table.values()
    back = trip(
        keys=table.keys(), table=table, values=table.values(), items=ordered.items(), ordered=ordered,
        shown=types.MappingProxyType(table),
    )  # fmt: skip
    back.table["new"] = 3
    back.ordered["c"] = 4
    assert list(back.keys) == ["a", "own", "new"]
    assert type(back.keys) is type(table.keys())
    assert list(back.values)[-1] == 3
    assert back.table["own"] is not table["own"]
    assert list(back.table["own"])[-1] == 3
    assert list(back.items) == [("b", 2), ("c", 4)]
    assert back.shown["new"] == 3
    assert type(back.shown) is types.MappingProxyType
    assert again(vars(Thing)) == vars(Thing)


BASES: dict[str, Callable[[], Any]] = {
    "bytearray": lambda: bytearray(b"abcdefgh"),
    "array": lambda: array.array("h", range(4)),
    "ndarray": lambda: np.arange(8, dtype="i2").reshape(2, 4),
    "bytes": lambda: bytes(range(8)),
}
LOOKS: dict[str, Callable[[memoryview], memoryview]] = {
    "whole": lambda view: view,
    "as bytes": lambda view: view.cast("B"),
    "part": lambda view: view.cast("B")[2:6],
    "read-only": lambda view: view.cast("B").toreadonly()[1:],
    "items": lambda view: view.cast("B")[4:8].cast("i"),
    "nothing": lambda view: view.cast("B")[3:3],
}
STEPS: dict[str, Callable[[memoryview], memoryview]] = {
    "steps": lambda view: view[1:7:3],
    "backwards": lambda view: view[::-1],
    "steps backwards": lambda view: view[6:1:-2],
    "steps to the start": lambda view: view[2::-1],
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("made", BASES)
def test_memory_is_shared_with_what_came_back(made: str, look: str) -> None:
    base = BASES[made]()
    view = LOOKS[look](memoryview(base))
    back = trip(base=base, view=view)
    assert type(back.view) is memoryview
    assert back.view.obj is back.base
    assert (back.view.tolist(), back.view.format) == (view.tolist(), view.format)
    assert back.view.readonly == view.readonly
    if view.nbytes and not view.readonly:
        back.view.cast("B")[0] = 200
        assert 200 in bytes(back.base)
        assert 200 not in view.cast("B")


@pytest.mark.parametrize("look", STEPS)
@pytest.mark.parametrize("made", ["bytearray", "array"])
def test_memory_in_steps_is_shared_with_what_came_back(made: str, look: str) -> None:
    base = BASES[made]()
    view = STEPS[look](memoryview(base))
    back = trip(base=base, view=view)
    assert back.view.tolist() == view.tolist()
    back.view[0] = 99
    assert 99 in list(back.base)


def test_memory_that_skips_parts_of_its_object_is_refused() -> None:
    with pytest.raises(TypeError, match="skips parts"):
        again(memoryview(np.zeros((4, 4)))[::2])


def test_iterators_half_way_go_on_and_warn_of_nothing() -> None:
    items = [1, 2, 3, 4]
    made = {
        "list": iter(items), "reversed": reversed(items), "zip": zip(items, "abcd", strict=True),
        "map": map(str, items), "filter": filter(None, items), "enumerate": enumerate(items),
        "keys": iter({1: 2, 3: 4}), "count": itertools.count(5), "cycle": itertools.cycle(items),
        "chain": itertools.chain(items, items), "slice": itertools.islice(items, 1, 3),
        "product": itertools.product(items, repeat=2), "accumulate": itertools.accumulate(items),
    }  # fmt: skip
    for iterator in made.values():
        next(iterator)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = trip(**made)
    for name, iterator in made.items():
        assert list(itertools.islice(getattr(back, name), 9)) == list(itertools.islice(iterator, 9)), name


def test_super_goes_on_at_the_same_place() -> None:
    class Sub(Thing):
        def method(self) -> list[Any]:
            return ["sub"]

    Sub.__module__, Sub.__qualname__ = __name__, "Thing.Sub"
    Thing.Sub = Sub  # type: ignore[attr-defined]
    thing = Sub(1)
    back = trip(thing=thing, above=super(Sub, thing))
    assert back.above.method() is back.thing.held


def test_the_environment_is_never_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONLY_HERE", "ribbon-candle-7431")
    dumped = pickling.dump_values({"env": os.environ, "raw": os.environb}, {})
    assert b"ribbon-candle" not in dumped.stream
    back = pickling.load(dumped.stream, [], {}, {})
    assert back["env"] is os.environ
    assert back["raw"] is os.environb


# -- what belongs to a running process


def test_locks_and_queues_keep_their_state() -> None:
    lock, rlock = threading.Lock(), threading.RLock()
    event, semaphore = threading.Event(), threading.Semaphore(3)
    condition = threading.Condition(lock)
    full: queue.Queue[int] = queue.Queue(2)
    lock.acquire()
    rlock.acquire()
    rlock.acquire()
    event.set()
    semaphore.acquire()
    full.put(1)
    full.put(2)
    back = trip(lock=lock, rlock=rlock, event=event, semaphore=semaphore, condition=condition, full=full,
                empty=queue.SimpleQueue())  # fmt: skip
    assert back.lock.locked()
    back.condition.release()
    assert not back.lock.locked()
    back.rlock.release()
    back.rlock.release()
    with pytest.raises(RuntimeError):
        back.rlock.release()
    assert back.event.is_set()
    assert [back.semaphore.acquire(blocking=False) for _ in range(3)] == [True, True, False]
    with pytest.raises(queue.Full):
        back.full.put(3, block=False)
    assert [back.full.get(), back.full.get()] == [1, 2]
    assert back.empty.empty()


def test_a_reentrant_lock_of_another_thread_comes_back_free() -> None:
    lock = threading.RLock()
    thread = threading.Thread(target=lock.acquire)
    thread.start()
    thread.join()
    assert again(lock).acquire(blocking=False)


def test_context_variables_keep_value_and_default() -> None:
    plain: contextvars.ContextVar[Any] = contextvars.ContextVar("plain")
    held: contextvars.ContextVar[Any] = contextvars.ContextVar("held", default=(1,))
    back = trip(plain=plain, held=held, same=held)
    assert back.held is back.same
    assert (back.held.name, back.held.get()) == ("held", (1,))
    with pytest.raises(LookupError):
        back.plain.get()


def test_a_context_variable_keeps_the_value_that_was_set() -> None:
    held: contextvars.ContextVar[Any] = contextvars.ContextVar("held", default=1)

    def inside() -> Any:
        held.set([2])
        return trip(held=held).held.get()

    assert contextvars.copy_context().run(inside) == [2]


def test_small_things_of_the_standard_library() -> None:
    local = threading.local()
    local.x = [1]
    assert again(local).x == [1]
    assert again(struct.Struct("<hi")).unpack(b"\1\0\2\0\0\0") == (1, 2)
    assert 0 <= again(random.SystemRandom()).random() < 1
    done: concurrent.futures.Future[int] = concurrent.futures.Future()
    done.set_result(3)
    assert again(done).result() == 3
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    assert again(ended).returncode == 0


def test_the_kernels_event_loop_is_the_loop_there_is() -> None:
    async def cell() -> bool:
        loop = asyncio.get_running_loop()
        return again(loop) is loop

    assert asyncio.run(cell())


# -- libraries


def test_a_logger_keeps_its_level_and_in_a_new_process_its_handlers() -> None:
    logger = logging.getLogger("tests.special")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    handler = logging.FileHandler("x.log")
    handler.setFormatter(logging.Formatter("<%(message)s>"))
    logger.addHandler(handler)
    dumped = pickling.dump_values({"logger": logger, "handler": handler}, {})
    logger.setLevel(logging.ERROR)
    assert pickling.load(dumped.stream, [], {}, {})["logger"] is logger
    assert logger.level == logging.DEBUG
    assert logger.handlers == [handler]
    logger.handlers.clear()  # as in a new process
    back = pickling.load(dumped.stream, [], {}, {})
    assert logger.handlers == [back["handler"]]
    logger.debug("heard")
    assert Path("x.log").read_text() == "<heard>\n"
    logger.handlers.clear()


def test_arrays_of_ctypes_come_back() -> None:
    numbers = (ctypes.c_int * 3)(1, 2, 3)
    back = again({"numbers": numbers, "text": (ctypes.c_char * 4)(*b"abc")})
    assert type(back["numbers"]) is type(numbers)
    assert list(back["numbers"]) == [1, 2, 3]
    assert back["text"].value == b"abc"


def test_modules_come_back_by_name_or_with_their_contents() -> None:
    made = types.ModuleType("made_here")
    shared = [1]
    made.shared = shared  # type: ignore[attr-defined]
    attribute = types.ModuleType("attribute")
    os.attribute = attribute  # type: ignore[attr-defined]
    back = trip(made=made, shared=shared, path=os.path, main=sys.modules["__main__"], attribute=attribute)
    del os.attribute  # type: ignore[attr-defined]
    assert back.path is os.path
    assert back.attribute is attribute
    assert back.main is sys.modules["__main__"]
    assert back.made is not made
    assert back.made.shared is back.shared
    assert "made_here" not in sys.modules


def test_an_array_in_a_file_is_kept_by_its_file() -> None:
    made = np.memmap("big.bin", dtype="f4", mode="w+", shape=(1000, 100), order="F")
    made[3] = 7
    view = made[2:5, ::-1]
    dumped = pickling.dump_values({"made": made, "view": view}, {})
    assert len(dumped.stream) + sum(b.raw().nbytes for b in dumped.buffers) < 2000
    back = types.SimpleNamespace(**pickling.load(dumped.stream, [], {}, {}))
    assert type(back.made) is type(back.view) is np.memmap
    assert (back.made.shape, back.made.strides, back.made.mode) == (made.shape, made.strides, "r+")
    np.testing.assert_array_equal(back.view, view)
    back.view[0, 0] = 42
    assert back.made[2, 99] == 42
    back.made.flush()
    assert np.memmap("big.bin", dtype="f4", mode="r", shape=(1000, 100), order="F")[2, 99] == 42


def test_an_array_that_only_looks_like_one_in_a_file_is_kept_whole() -> None:
    np.arange(6, dtype="i8").tofile("x.bin")
    private = np.memmap("x.bin", dtype="i8", mode="c")
    private[0] = 9
    assert again(private).tolist() == [9, 1, 2, 3, 4, 5]
    assert again(private + 1).tolist() == [10, 2, 3, 4, 5, 6]
    assert np.fromfile("x.bin", dtype="i8")[0] == 0


# -- databases


def test_a_connection_to_a_file_comes_back_with_its_settings() -> None:
    made = sqlite3.connect("a.db", isolation_level="IMMEDIATE", timeout=7)
    made.row_factory = sqlite3.Row
    made.execute("CREATE TABLE t (x)")
    made.execute("INSERT INTO t VALUES (1)")
    made.execute("ATTACH 'b.db' AS other")
    made.execute("CREATE TABLE other.u (y)")
    made.commit()
    rows = made.execute("SELECT x, x + 1 AS next FROM t").fetchall()
    back = trip(made=made, rows=rows)
    made.close()
    assert back.made.execute("SELECT x FROM t").fetchone()["x"] == 1
    assert back.made.execute("SELECT count(*) FROM other.u").fetchone()[0] == 0
    assert back.made.isolation_level == "IMMEDIATE"
    assert back.made.execute("PRAGMA busy_timeout").fetchone()[0] == 7000
    assert type(back.rows[0]) is sqlite3.Row
    assert dict(back.rows[0]) == {"x": 1, "next": 2}
    back.made.close()


@pytest.mark.parametrize("flags", [0, sqlite3.PARSE_DECLTYPES, sqlite3.PARSE_COLNAMES, 3])
def test_a_connection_goes_on_converting_what_it_converted(flags: int) -> None:
    sqlite3.register_converter("shout", lambda raw: raw.decode().upper())
    sqlite3.register_converter("text", lambda raw: raw.decode() + "!")
    try:
        made = sqlite3.connect(":memory:", detect_types=flags)
        made.execute("CREATE TABLE t (a shout, b text)")
        made.execute("INSERT INTO t VALUES ('x', 'y')")
        made.commit()
        query = 'SELECT a, b, a AS "a [shout]" FROM t'
        back = again(made)
        assert back.execute(query).fetchall() == made.execute(query).fetchall()
    finally:
        del sqlite3.converters["SHOUT"], sqlite3.converters["TEXT"]  # type: ignore[attr-defined]


def test_a_database_in_memory_is_kept_by_its_contents() -> None:
    made, empty = sqlite3.connect(":memory:"), sqlite3.connect(":memory:")
    made.execute("CREATE TABLE t (x)")
    made.executemany("INSERT INTO t VALUES (?)", [(i,) for i in range(1000)])
    made.commit()
    back = trip(made=made, empty=empty)
    made.execute("DELETE FROM t")
    made.commit()
    assert back.made.execute("SELECT sum(x) FROM t").fetchone() == (499500,)
    assert back.empty.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    for connection in (made, empty, back.made, back.empty):
        connection.close()


def test_what_would_be_lost_with_a_connection_is_refused() -> None:
    made = sqlite3.connect("a.db")
    made.execute("CREATE TABLE t (x)")
    made.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(TypeError, match="open transaction"):
        again(made)
    made.rollback()
    made.execute("CREATE TEMP TABLE u (x)")
    with pytest.raises(TypeError, match="temporary tables"):
        again(made)
    dumped = pickling.dump_values({"made": sqlite3.connect("b.db")}, {})
    Path("b.db").unlink()
    with pytest.raises(FileNotFoundError, match=r"b\.db is gone"):
        pickling.load(dumped.stream, [], {}, {})
    assert not Path("b.db").exists()
    made.close()


def test_a_duckdb_file_is_opened_once() -> None:
    made = duckdb.connect("a.duckdb")
    made.execute("CREATE TABLE t AS SELECT 42 AS x")
    made.execute("SELECT x FROM t")
    relation = made.sql("SELECT x + 1 AS y FROM t")
    dumped = pickling.dump_values({"made": made, "relation": relation}, {})
    assert made.fetchall() == [(42,)]  # what waited in it is still there
    back = types.SimpleNamespace(**pickling.load(dumped.stream, [], {}, {}))
    assert back.made is made
    assert back.relation.fetchall() == [(43,)]
    made.close()
    back = types.SimpleNamespace(**pickling.load(dumped.stream, [], {}, {}))
    assert back.relation.fetchall() == [(43,)]
    assert back.made.execute("SELECT x FROM t").fetchall() == [(42,)]
    back.made.close()


def test_a_relation_is_kept_where_its_query_says_it_all() -> None:
    assert again(duckdb.sql("SELECT range AS x FROM range(3)")).fetchall() == [(0,), (1,), (2,)]
    Path("data.csv").write_text("x\n1\n2\n")
    assert again(duckdb.sql("SELECT sum(x) FROM 'data.csv'")).fetchall() == [(3,)]
    frame = __import__("pandas").DataFrame({"x": [1]})
    with pytest.raises(TypeError, match=r"\.df"):
        again(duckdb.from_df(frame))
    duckdb.sql("CREATE TABLE in_memory AS SELECT 1 AS x")
    try:
        with pytest.raises(TypeError, match=r"\.df"):
            again(duckdb.sql("SELECT * FROM in_memory"))
    finally:
        duckdb.sql("DROP TABLE in_memory")
    with pytest.raises(TypeError, match="in a file"):
        again(duckdb.connect())


# -- what is refused


async def _nothing() -> None: ...


def _refused() -> Iterator[tuple[str, Any, str]]:
    coroutine = _nothing()
    yield "coroutine", coroutine, "coroutine"
    coroutine.close()
    yield "generator", (i for i in range(3)), "half way"
    yield "pairwise", itertools.pairwise([1, 2]), "half way"
    yield "csv reader", csv.reader([]), "read it into a list"
    yield "csv dict reader", csv.DictReader([]), "read it into a list"
    yield "csv writer", csv.writer(io.StringIO()), "where it is used"
    yield "match", re.match("a", "a"), "groups"
    yield "thread", threading.Thread(target=print), "ends with the kernel"
    yield "executor", concurrent.futures.ThreadPoolExecutor(), "ends with the kernel"
    yield "pending future", concurrent.futures.Future(), "ends with the kernel"
    yield "context", contextvars.copy_context(), "the variables can"
    yield "cursor", sqlite3.connect(":memory:").cursor(), "the connection can"
    yield "frame", sys._getframe(), "frame"
    with gzip.GzipFile(fileobj=io.BytesIO(), mode="wb") as file:
        yield "gzip", file, "open"
    with socket.socket() as sock:
        yield "socket", sock, "ends with the kernel"
    with mmap.mmap(-1, 10) as mapped:
        yield "mmap", mapped, "numpy.memmap"
    items: queue.SimpleQueue[int] = queue.SimpleQueue()
    items.put(1)
    yield "simple queue", items, "queue.Queue"
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    ) as process:
        yield "process", process, "ends with the kernel"
    loop = asyncio.new_event_loop()
    yield "loop", loop, "event loop"
    yield "future", loop.create_future(), "event loop"
    loop.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_refusals_say_what_it_is_and_what_to_do() -> None:
    for name, value, words in _refused():
        with pytest.raises((TypeError, RuntimeError)):
            again([value])
        why = refusals.reason(value)
        assert why is not None, name
        assert words in why, name
    assert refusals.reason(Thing()) is None


def test_subclasses_of_what_is_refused_are_refused() -> None:
    class Worker(threading.Thread):
        pass

    class Tool(subprocess.Popen[bytes]):
        pass

    for kind in (Worker, Tool):
        kind.__module__ = "__main__"
    again({"n": 1})  # what is known of classes was looked up before they were made
    with Tool([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        for value in (Worker(), process):
            with pytest.raises(TypeError, match="ends with the kernel"):
                again([value])


def test_a_text_layer_over_a_compressed_file_is_refused_in_words() -> None:
    with gzip.open("a.gz", "wt") as file, pytest.raises(TypeError, match="compressed"):
        again(file)


# -- what users register


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
def test_what_is_registered_goes_before_the_class_and_before_ours() -> None:
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


# -- in a notebook


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
