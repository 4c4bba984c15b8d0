"""Functions, closure cells and code objects by value."""

from __future__ import annotations

import dataclasses
import functools
import marshal
import sys
import types
from collections.abc import Mapping
from typing import Any

from durable_nb.state import source

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
"""The Python that compiled code belongs to: bytecode does not outlive a minor version."""


@dataclasses.dataclass(frozen=True, slots=True)
class Foreign:
    """Stands for compiled code of another Python, whose text is not known."""

    python: str
    qualname: str


def code(python: str, data: bytes, text: str | None, qualname: str, line: int) -> types.CodeType | Foreign:
    """Rebuild a code object; under another Python minor version, from its text."""
    if text is not None:
        source.remember(text)
    if python == PYTHON:
        return marshal.loads(data)  # type: ignore[no-any-return]
    if text is not None:
        found = source.compiled(text, qualname, line)
        if found is not None:
            return found
    return Foreign(python, qualname)


def code_reduce(obj: types.CodeType) -> Any:
    """How to make a code object again, here or under another Python."""
    found = source.statement(obj)
    if found is None:
        moved = source.relocated(obj, "<durable_nb>", 0)
        return code, (PYTHON, _marshalled(moved), None, interned(obj.co_qualname), 1)
    text, first = found
    moved = source.relocated(obj, source.file_name(text), first - 1)
    return code, (PYTHON, _marshalled(moved), text, interned(moved.co_qualname), moved.co_firstlineno)


def _marshalled(obj: types.CodeType) -> bytes:
    try:
        return marshal.dumps(obj, 2)  # no back references: equal code gives equal bytes
    except ValueError:  # a constant that only newer versions know
        return marshal.dumps(obj)


def slots(obj: types.FunctionType) -> dict[str, Any]:
    """What a function holds beside its code and its attributes."""
    held: dict[str, Any] = {
        "closure": tuple((c, contents(c)) for c in obj.__closure__ or ()),
        "__defaults__": obj.__defaults__,
        "__kwdefaults__": obj.__kwdefaults__,
        "__annotations__": obj.__annotations__,
        "__module__": interned(obj.__module__),
        "__qualname__": interned(obj.__qualname__),
        "__doc__": obj.__doc__,
    }
    if hasattr(obj, "__type_params__"):
        held["__type_params__"] = obj.__type_params__
    return held


def set_function(target: types.FunctionType, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Give a function its closure's contents, defaults and attributes."""
    attributes, held = state
    for cell, inside in held.pop("closure"):
        set_cell(cell, inside)
    target.__globals__.update(held.pop("scope", ()))
    for key, value in held.items():
        setattr(target, key, value)
    target.__dict__.update(attributes)


def set_cell(target: types.CellType, inside: tuple[Any, ...]) -> None:
    """Fill a closure cell, once it and what refers to it exist."""
    if inside:
        target.cell_contents = inside[0]


def contents(cell: types.CellType) -> tuple[Any, ...]:
    """What a closure cell holds; nothing where it is empty."""
    try:
        return (cell.cell_contents,)
    except ValueError:
        return ()


def cached(wrapped: Any, parameters: dict[str, Any], attributes: dict[str, Any], _misses: int) -> Any:
    """A function under `functools.lru_cache`, its cache empty."""
    made = functools.lru_cache(**parameters)(wrapped)
    vars(made).update(attributes)
    return made


def cached_reduce(obj: Any) -> Any:
    """How to make one. How often it missed tells whether its cache, which is not kept, is of another time."""
    return cached, (obj.__wrapped__, obj.cache_parameters(), dict(vars(obj)), obj.cache_info().misses)


def module_of(obj: types.FunctionType) -> str:
    """The module whose namespace a function's globals are; "" where they are no module's."""
    name = obj.__globals__.get("__name__", "")
    module = sys.modules.get(name)
    return name if module is not None and vars(module) is obj.__globals__ else ""


def own_scope(obj: types.FunctionType, space: Mapping[str, Any]) -> dict[str, Any] | None:
    """A function's globals, where they are a dict of the user's: of a script that was run, or of `exec`."""
    scope = obj.__globals__
    generated = obj.__code__.co_filename.startswith("<") and obj.__code__.co_filename != "<string>"
    if scope is space or generated or scope.get("__name__", "__main__") != "__main__":
        return None
    return scope


def is_script(scope: Mapping[str, Any]) -> bool:
    """Whether globals were a script's: it holds much that a function of it does not need."""
    return "__loader__" in scope or "__file__" in scope


def interned(value: Any) -> Any:
    """One object for equal names: the memo goes by identity, and equal code must give equal bytes."""
    return sys.intern(value) if type(value) is str else value
