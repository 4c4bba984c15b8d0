"""Files: by path, mode and position. What is in them is no part of the state."""

from __future__ import annotations

import io
import os
import sys
import weakref
from importlib import import_module
from pathlib import Path
from typing import Any

from durable_nb.state import refusals
from durable_nb.state.reducers.reduce import Table, refuse

_STANDARD = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")


def open_file(path: str, mode: str, position: int, options: dict[str, Any]) -> Any:
    """Open a file again where it stood. One that was being written is not truncated again."""
    if not Path(path).exists():
        raise FileNotFoundError(f"the file {path} is gone")
    file = open(path, mode, opener=_as_it_is, **options)  # noqa: SIM115 - it is the value
    if "a" not in mode:
        file.seek(position)
    return file


def _as_it_is(path: str, flags: int) -> int:
    return os.open(path, flags & ~(os.O_TRUNC | os.O_CREAT | os.O_EXCL))


def closed_file(mode: str) -> Any:
    """A file object that was closed when it was kept."""
    file = Path(os.devnull).open("rb" if "b" in mode else "r")  # noqa: SIM115 - it is the value
    file.close()
    return file


def standard_stream(name: str) -> Any:
    """The process's own stream."""
    return getattr(sys, name)


def _file(file: Any) -> Any:
    for name in _STANDARD:
        if getattr(sys, name) is file:
            return standard_stream, (name,)
    if file.closed:
        return closed_file, (str(getattr(file, "mode", "r")),)
    text = isinstance(file, io.TextIOWrapper)
    raw = file.buffer if text else file
    raw = getattr(raw, "raw", raw)
    if (
        type(raw) is not io.FileIO
        or not isinstance(raw.name, str | bytes | os.PathLike)
        or not file.seekable()
    ):
        raise TypeError(refusals.reason(raw) or "only a file with a path can be kept")
    if file.writable():
        file.flush()
    try:
        position = file.tell()
    except OSError:
        raise TypeError("a file in the middle of `for line in file` cannot be kept") from None
    path = str(Path(os.fsdecode(raw.name)).absolute())
    if text:
        options = {"encoding": file.encoding, "errors": file.errors}
        if file.line_buffering:
            options["buffering"] = 1
        return open_file, (path, file.mode, position, options)
    mode = raw.mode if "b" in raw.mode else raw.mode + "b"
    return open_file, (path, mode, position, {"buffering": 0} if file is raw else {})


FILES: Table = dict.fromkeys(
    (io.TextIOWrapper, io.BufferedReader, io.BufferedWriter, io.BufferedRandom, io.FileIO), _file
)


def streams(module: Any) -> Table:
    """ipykernel's streams: the process's own."""
    return {module.OutStream: _file}


_live: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
"""Temporary files and folders that were kept, by path: a second object would lose them to the first."""


def temporary_folder(path: str, ignore_errors: bool) -> Any:
    """A temporary folder that still exists. What was brought back is deleted by `cleanup()` only."""
    if not Path(path).is_dir():
        raise FileNotFoundError(f"the temporary folder {path} is gone")
    found: Any = _live.get(path)
    if found is None:
        found = object.__new__(import_module("tempfile").TemporaryDirectory)
        found.name, found._ignore_cleanup_errors, found._delete = path, ignore_errors, True
        found._finalizer = weakref.finalize(found, int)
        found._finalizer.detach()
    return found


def temporary_file(path: str, mode: str, position: int, options: dict[str, Any]) -> Any:
    """A named temporary file that still exists. What was brought back is not deleted when it is closed."""
    found = _live.get(path)
    if found is None or found.closed:
        file = open_file(path, mode, position, options)
        return import_module("tempfile")._TemporaryFileWrapper(file, path, delete=False)
    found.seek(position)
    return found


def _temporary_folder(folder: Any) -> Any:
    _live[folder.name] = folder
    return temporary_folder, (folder.name, folder._ignore_cleanup_errors)


def _temporary_file(wrapper: Any) -> Any:
    make, args = _file(wrapper.file)
    if make is not open_file:
        return make, args
    _live[args[0]] = wrapper
    return temporary_file, args


def temporary(module: Any) -> Table:
    """Temporary files and folders that have a name."""
    return {
        module.TemporaryDirectory: _temporary_folder,
        module._TemporaryFileWrapper: _temporary_file,
    }


def _archive(archive: Any) -> Any:
    closed = archive.fp is None if hasattr(archive, "fp") else archive.closed
    return archive.__reduce_ex__(5) if closed or archive.mode == "r" else refuse(archive)


def archives(module: Any) -> Table:
    """Of `zipfile` and `tarfile`: one that is written would be finished by whoever drops it first."""
    return {getattr(module, "ZipFile", None) or module.TarFile: _archive}
