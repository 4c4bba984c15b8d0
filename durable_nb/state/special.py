"""Reducers for objects that pickle refuses or gets wrong, and for those that users register."""

from __future__ import annotations

import _thread
import inspect
import io
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

REDUCERS: dict[type, Callable[[Any], Any]] = {}
"""type -> reduce function, as in `copyreg.dispatch_table`"""


def register(kind: type, reduce: Callable[[Any], Any]) -> None:
    """Say how objects of `kind` are kept: `reduce(obj)` returns what `__reduce__` would.

    Raises:
        TypeError: `kind` is no class, or `reduce` cannot be called.
    """
    if not (inspect.isclass(kind) and callable(reduce)):
        raise TypeError("register(type, reduce): the first is a class, the second returns a reduce tuple")
    REDUCERS[kind] = reduce


def open_file(
    path: str, mode: str, position: int, encoding: str | None, errors: str | None, newline: str | None
) -> Any:
    """Open a file again where it stood. One that was being written is not truncated again."""
    if not Path(path).exists():
        raise FileNotFoundError(f"the file {path} is gone")
    for truncating in "wx":
        mode = mode.replace(truncating, "r+" if "+" not in mode else "r")
    file = Path(path).open(mode, encoding=encoding, errors=errors, newline=newline)  # noqa: SIM115 - the value
    if "a" not in mode:
        file.seek(position)
    return file


def closed_file(mode: str) -> Any:
    """A file object that was closed when it was kept."""
    file = Path(os.devnull).open("rb" if "b" in mode else "r")  # noqa: SIM115 - it is the value
    file.close()
    return file


def _file_reduce(file: Any) -> Any:
    if file.closed:
        return closed_file, (str(getattr(file, "mode", "r")),)
    if file in (sys.stdin, sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        raise TypeError("a standard stream cannot be kept")
    name = getattr(file, "name", None)
    if not isinstance(name, str | os.PathLike) or not file.seekable():
        raise TypeError("only files with a path can be kept")
    if file.writable():
        file.flush()
    mode = file.mode if isinstance(file, io.TextIOWrapper) else _binary_mode(file)
    text = isinstance(file, io.TextIOWrapper)
    position = file.tell()
    return open_file, (
        str(Path(name).absolute()),
        mode,
        position,
        file.encoding if text else None,
        file.errors if text else None,
        None,
    )


def _binary_mode(file: Any) -> str:
    mode = file.mode if isinstance(file.mode, str) else "rb"
    return mode if "b" in mode else mode + "b"


for _kind in (io.TextIOWrapper, io.BufferedReader, io.BufferedWriter, io.BufferedRandom):
    REDUCERS[_kind] = _file_reduce


def lock(held: bool) -> Any:
    """A lock, held or free."""
    made = threading.Lock()
    if held:
        made.acquire()
    return made


def rlock() -> Any:
    """A free reentrant lock: who held it is gone."""
    return threading.RLock()


REDUCERS[_thread.LockType] = lambda value: (lock, (value.locked(),))
REDUCERS[_thread.RLock] = lambda _value: (rlock, ())
