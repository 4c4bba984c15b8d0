"""Objects of libraries: loggers, memory-mapped arrays, modules made by hand, and what lives in the page."""

from __future__ import annotations

import dataclasses
import importlib
import operator
import pickle
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from durable_nb.state.atoms import NO_METADATA
from durable_nb.state.reducers.reduce import Table, family, refuse

_PLAIN_HANDLERS = frozenset({"NullHandler", "StreamHandler", "FileHandler", "RotatingFileHandler"})


def logger(name: str | None) -> Any:
    """The logger of that name."""
    return importlib.import_module("logging").getLogger(name)


def set_logger(target: Any, state: Mapping[str, Any]) -> None:
    """Its level and switches; its handlers where it has none, as in a new kernel."""
    target.setLevel(state["level"])
    target.propagate, target.disabled = state["propagate"], state["disabled"]
    if not target.handlers:
        for handler in state["handlers"]:
            target.addHandler(handler)


def _logger(value: Any) -> Any:
    handlers = [handler for handler in value.handlers if type(handler).__name__ in _PLAIN_HANDLERS]
    state = {
        "level": value.level,
        "propagate": value.propagate,
        "disabled": value.disabled,
        "handlers": handlers,
    }
    name = None if value is value.root else value.name
    return logger, (name,), state, None, None, set_logger


def logging(module: Any) -> Table:
    """Of `logging`."""
    return {module.Logger: _logger, module.RootLogger: _logger}


def memmap(
    path: str, dtype: Any, mode: str, offset: int, shape: tuple[int, ...], order: str, content: Any
) -> Any:
    """An array in a file. One that is written to gets back what it held, and its file where that is gone."""
    numpy = importlib.import_module("numpy")
    if content is not None and not Path(path).exists():
        mode = "w+"
    made = numpy.memmap(path, dtype=dtype, mode=mode, offset=offset, shape=shape, order=order)
    if content is not None:
        bytes_of = made.reshape(-1, order="A").view(numpy.ndarray).view("u1")
        held = numpy.frombuffer(content, "u1")
        if not numpy.array_equal(bytes_of, held):
            bytes_of[:] = held
            made.flush()
    return made


def memmap_view(base: Any, dtype: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Any:
    """A view of an array in a file."""
    kind = type(base)
    array: Any = kind.__bases__[0]  # `memmap` itself would open the file again
    made = array.__new__(kind, shape, dtype, base, offset, strides)
    for name in ("_mmap", "filename", "offset", "mode"):
        setattr(made, name, getattr(base, name))
    return made


_MOST = 1 << 30
"""Bytes of a file-backed array up to which what it holds is kept; beyond, only where it is."""


def _memmap(array: Any) -> Any:
    root = array
    while isinstance(root.base, type(array)):
        root = root.base
    # A private copy (mode "c") differs from its file; what was computed from one has none.
    if root._mmap is None or root.filename is None or root.mode == "c":
        return array.__reduce_ex__(5)
    if root is array:
        order = "C" if array.flags.c_contiguous else "F"
        mode = "r+" if array.mode == "w+" else array.mode
        path = str(Path(array.filename).absolute())
        content = None
        if mode != "r":
            array.flush()
            if 0 < array.nbytes <= _MOST:
                plain = sys.modules["numpy"].asarray(array).reshape(-1, order="A")
                content = pickle.PickleBuffer(plain)
        return memmap, (path, array.dtype, mode, array.offset, array.shape, order, content)
    first = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    return memmap_view, (root, array.dtype, array.shape, array.strides, first)


def numpy(module: Any) -> Table:
    """Of NumPy."""
    return {module.memmap: _memmap}


def set_module(target: types.ModuleType, contents: dict[str, Any]) -> None:
    """Fill a module."""
    vars(target).update(contents)


def module(value: types.ModuleType) -> Any:
    """The reducer of modules: by name; one that the notebook made, by its contents."""
    name = value.__name__
    if sys.modules.get(name) is value:
        return importlib.import_module, (name,)
    short = name.rpartition(".")[2]
    for owner, loaded in list(sys.modules.items()):  # modules of extensions may be attributes only
        held = getattr(loaded, "__dict__", {})
        if held.get(short) is value and "__main__" not in (owner, held.get("__name__")):
            return getattr, (loaded, short)
    contents = {key: held for key, held in vars(value).items() if key != "__builtins__"}
    return types.ModuleType, (name,), contents, None, None, set_module


MODULES: Table = {types.ModuleType: module}

_DEFAULTS = {
    "match_args": True, "kw_only": False, "slots": False, "weakref_slot": False, "doc": None,
    "metadata": NO_METADATA,
}  # fmt: skip
"""Of what some Pythons note of a dataclass, and others do not; and what all share."""


def noted(kind: type) -> Any:
    """What is noted of a dataclass or of its field, empty."""
    return object.__new__(kind)


def set_noted(target: Any, held: Mapping[str, Any]) -> None:
    """Fill it as this Python does."""
    for name in type(target).__slots__:
        setattr(target, name, held[name] if name in held else _DEFAULTS[name])


def _noted(value: Any) -> Any:
    named = ((name, getattr(value, name)) for name in type(value).__slots__)
    held = {name: what for name, what in named if what is not NO_METADATA}
    return noted, (type(value),), held, None, None, set_noted


DATACLASSES: Table = {dataclasses.Field: _noted, dataclasses._DataclassParams: _noted}  # type: ignore[attr-defined]


def progress_bars(module: Any) -> Table:
    """Of tqdm."""
    return family(module.tqdm, refuse)


def ctypes(module: Any) -> Table:
    """Of ctypes: an array's class, which is made when it is asked for."""

    def array(kind: Any) -> Any:
        element, length = getattr(kind, "_type_", None), getattr(kind, "_length_", 0)
        if element is None or element * length is not kind:
            return kind.__qualname__  # a class that was written down
        return operator.mul, (element, length)

    return {type(module.Array): array}
