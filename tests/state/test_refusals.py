"""What is refused is refused in words, before it can do harm."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import csv
import gzip
import io
import itertools
import mmap
import queue
import re
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from durable_nb.state import refusals

if TYPE_CHECKING:
    from conftest import Again

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # files stay open, as in notebooks


class Thing:
    """Something to refer to."""

    def __init__(self, *held: Any) -> None:
        self.held = list(held)

    def method(self) -> list[Any]:
        return self.held


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
def test_refusals_say_what_it_is_and_what_to_do(again: Again) -> None:
    for name, value, words in _refused():
        with pytest.raises((TypeError, RuntimeError)):
            again([value])
        why = refusals.reason(value)
        assert why is not None, name
        assert words in why, name
    assert refusals.reason(Thing()) is None


def test_subclasses_of_what_is_refused_are_refused(again: Again) -> None:
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


def test_a_text_layer_over_a_compressed_file_is_refused_in_words(again: Again) -> None:
    with gzip.open("a.gz", "wt") as file, pytest.raises(TypeError, match="compressed"):
        again(file)
