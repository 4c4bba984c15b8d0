"""Digests of values that are equal wherever the value is: in another process, beside other aliases.

The bytes that a value is kept as are not: a set is pickled in the order of its hashes, compiled code names
its file and line, and a variable that shares objects with another is pickled together with it.
"""

from __future__ import annotations

import pickle
import types
from collections.abc import Iterable, Mapping
from typing import Any

from blake3 import blake3

from durable_nb.state import pickling
from durable_nb.state.atoms import is_atomic

_SETS = (pickle.EMPTY_SET, pickle.FROZENSET)
_CODE = b"durable_nb.state.functions"
_MOST = 32 << 20
"""Bytes of a stream with sets or code up to which they are put in order: Python is slow at it."""

_SMALL = 256 << 10
"""Bytes of any stream up to which it does not matter which of its strings are one object."""


def digest(names: Iterable[str], space: Mapping[str, Any]) -> str:
    """The digest of variables and of the definitions that they reach. Raises what pickling them raises."""
    hashed = blake3()
    known: set[str] = set()
    stack = sorted(names, reverse=True)
    kinds = pickling.Kinds()
    while stack:
        name = stack.pop()
        if name in known or name not in space:
            continue
        known.add(name)
        dump = pickling.dump_values({name: space[name]}, space, kinds)
        if len(dump.stream) <= (_MOST if _is_loose(dump.stream) else _SMALL):
            dump = _dumped(name, space[name], space)
        hashed.update(name.encode() + b"\0" + len(dump.stream).to_bytes(8, "little"))
        hashed.update(dump.stream)
        for region in dump.regions:
            hashed.update(region.memory.cast("B"))
        # Names that only code mentions are inputs of their own.
        stack.extend(sorted(dump.refs - known, reverse=True))
    return hashed.hexdigest()


def _is_loose(stream: bytes) -> bool:
    """Whether a stream may hold a set or code."""
    return _CODE in stream or any(opcode in stream for opcode in _SETS)


def _dumped(name: str, value: Any, space: Mapping[str, Any]) -> pickling.Dump:
    kinds = pickling.Kinds()
    kinds.table[types.CodeType] = _code_reduce
    return pickling.dumped(_Pickler, {name: value}, space, kinds)


class _Pickler(pickling.DeepPickler):
    """Writes sets in an order of their own. What it writes is not for loading."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        by_kind: dict[type, Any] = dict(pickle._Pickler.dispatch)
        own = type(self)
        by_kind |= {set: own._save_set, frozenset: own._save_set, tuple: own._save_tuple}
        vars(self)["dispatch"] = by_kind | dict.fromkeys((str, bytes), own._save_text)
        self._within: set[int] = set()

    def _save_set(self, obj: set[Any] | frozenset[Any]) -> None:
        if id(obj) in self._within:  # it holds itself
            self.save(("the set itself",))  # type: ignore[attr-defined]
            return
        self._within.add(id(obj))
        items = sorted(self._item(item) for item in obj)
        self._within.discard(id(obj))
        self.save((type(obj).__name__, items))  # type: ignore[attr-defined]

    def _save_text(self, obj: str | bytes) -> None:
        """Without a note that it was met: whether equal strings are one object is nobody's business."""
        data = obj.encode("utf-8", "surrogatepass") if isinstance(obj, str) else bytes(obj)
        kind = pickle.BINUNICODE8 if isinstance(obj, str) else pickle.BINBYTES8
        self.write(kind + len(data).to_bytes(8, "little") + data)  # type: ignore[attr-defined]

    def _save_tuple(self, obj: tuple[Any, ...]) -> None:
        if not _is_constant(obj):
            pickle._Pickler.save_tuple(self, obj)  # type: ignore[attr-defined]
            return
        self.write(pickle.MARK)  # type: ignore[attr-defined]
        for item in obj:
            self.save(item)  # type: ignore[attr-defined]
        self.write(pickle.TUPLE)  # type: ignore[attr-defined]

    def _item(self, item: Any) -> bytes:
        if is_atomic(item) and not isinstance(item, types.CodeType | tuple | frozenset):
            return f"{type(item).__qualname__}:{item!r}".encode()
        dump = _dumped("item", item, self._space)
        self.refs |= dump.refs
        hashed = blake3(dump.stream)
        for region in dump.regions:
            hashed.update(region.memory.cast("B"))
        return hashed.digest()


def _is_constant(obj: tuple[Any, ...]) -> bool:
    return all(type(i) in _CONSTANT or (type(i) is tuple and _is_constant(i)) for i in obj)


_CONSTANT = (str, bytes, int, float, complex, bool, type(None), type(...))


def _code_reduce(code: types.CodeType) -> Any:
    """What code does, and not where it stands."""
    flags = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    table = getattr(code, "co_exceptiontable", b"")
    return tuple, ((code.co_code, code.co_consts, code.co_qualname, flags, names, table),)
