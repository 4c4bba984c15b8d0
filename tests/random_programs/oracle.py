"""What a namespace looks like from outside: values, types, and who shares what with whom.

Written without the product's own walk, so that both would have to err in the same way.
"""

from __future__ import annotations

import collections
import functools
import hashlib
import itertools
import sys
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from IPython.core.interactiveshell import InteractiveShell

Tree = tuple[Any, ...]
"""Nested tuples of strings and numbers: equal in any process where the namespaces are alike."""

_SCALARS = (
    int, float, complex, bool, str, bytes, type(None), type(...), type(NotImplemented), range, slice,
    np.generic, np.dtype, pd.Timestamp,
)  # fmt: skip
_ITERATORS = (type(iter([])), type(iter(())), type(iter({})), type(iter({}.items())), type(reversed([])))
_OF_THE_CLASS_STATEMENT = frozenset({
    "__dict__", "__weakref__", "__module__", "__qualname__", "__slotnames__", "__firstlineno__",
    "__static_attributes__", "__abstractmethods__", "_abc_impl", "__annotations_cache__", "__annotate_func__",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Form:
    """A namespace, canonical."""

    variables: Mapping[str, Tree]
    memory: tuple[Tree, ...]
    """regions that several arrays lie in, with where each begins"""
    lost: frozenset[str]
    """variables that hold what cannot be kept: left out"""
    groups: Mapping[str, frozenset[str]] = field(compare=False)
    """variable -> variables that it shares objects with, over any number of steps"""
    identities: Mapping[str, tuple[int, ...]] = field(compare=False)
    """variable -> ids of the objects first met through it"""

    def without(self, names: Iterable[str]) -> dict[str, Tree]:
        return {n: tree for n, tree in self.variables.items() if n not in set(names)}


def names_of(space: Mapping[str, Any], hidden: Iterable[str]) -> list[str]:
    """The user's names, as a user would count them."""
    ours = {"In", "Out", "exit", "quit", "open", "get_ipython", *hidden}
    # A key that is no string is no variable: no code can name it.
    return sorted(n for n in space if type(n) is str and n not in ours and (n[:1] != "_" or n == "_own"))


def form(space: Mapping[str, Any], names: Iterable[str]) -> Form:
    """The canonical form of a namespace."""
    wanted = sorted(names)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, 20_000))
    try:
        walk = _Walk(space, wanted)
        lost = {n for n in wanted if walk.refused and _Walk(space, [n]).refused}
        if lost:
            walk = _Walk(space, [n for n in wanted if n not in lost])
    finally:
        sys.setrecursionlimit(limit)
    return Form(walk.trees, walk.regions(), frozenset(lost), walk.groups(), walk.identities())


class _Walk:
    """Numbers what can change, in the order in which it is met from the sorted names."""

    def __init__(
        self, space: Mapping[str, Any], names: list[str], within: frozenset[int] = frozenset()
    ) -> None:
        self.refused = False
        self._within = within
        self.trees: dict[str, Tree] = {}
        self._space = space
        self._names = names
        self._numbers: dict[int, int] = {}
        self._owner: dict[int, str] = {}
        self._bases: dict[int, str] = {}
        self._held: list[Any] = []  # no id may be used again while it stands for an object
        self._arrays: list[tuple[int, int, int, str, bool]] = []
        self._tied: dict[str, str] = {n: n for n in names}
        self._at = ""
        self._weak: list[tuple[str, list[Any], Any]] = []
        for name in names:
            self._at = name
            self.trees[name] = self.tree(space[name])
        for name, place, target in self._weak:
            self._at = name
            if id(target) in self._owner:
                self._tie(self._owner[id(target)])  # it is brought back with its target
            place[:] = [_frozen(self._numbers.get(id(target), "elsewhere")) if target is not None else "dead"]
        self._tie_what_lives_elsewhere()
        if self._weak:
            self.trees = {n: _frozen(t) for n, t in self.trees.items()}

    def _tie_what_lives_elsewhere(self) -> None:
        """What a weak reference means shares objects too, as long as something outside holds it."""
        arrays = len(self._arrays)
        for name, _, target in list(self._weak):
            if target is not None:
                self._at = name
                self.tree(target)
        del self._arrays[arrays:]

    def tree(self, value: Any) -> Tree:
        kind = type(value)
        if issubclass(kind, _SCALARS) and kind.__module__ != "__main__":
            return (kind.__name__, repr(value))
        if kind is types.ModuleType:
            return ("module", value.__name__)
        if value is self._space:
            return ("the namespace",)
        if issubclass(kind, InteractiveShell):
            return ("the shell",)  # of the process: a copy of the namespace leads to it
        if kind in (types.GeneratorType, types.CoroutineType, types.FrameType, types.TracebackType):
            self.refused = True
            return ("refused",)
        if kind is types.MethodType:
            return ("method", self.tree(value.__self__), self.tree(value.__func__))
        if kind in (types.BuiltinFunctionType, types.MethodWrapperType):
            return ("builtin", value.__name__, self.tree(value.__self__))
        if issubclass(kind, tuple | frozenset) and kind.__module__ != "__main__" and _plain(value):
            return (kind.__name__, *_sorted(self._each(value), kind))
        if issubclass(kind, type) and value.__module__ != "__main__":
            return ("type", f"{value.__module__}.{value.__qualname__}")
        key = id(value)
        if key in self._numbers:
            self._tie(self._owner[key])
            return ("again", self._numbers[key])
        self._numbers[key] = len(self._numbers)
        self._owner[key] = self._at
        self._held.append(value)
        return (self._numbers[key], *self._parts(value, kind))

    def _tie(self, other: str) -> None:
        a, b = self._root(self._at), self._root(other)
        self._tied[max(a, b)] = min(a, b)

    def _root(self, name: str) -> str:
        while self._tied[name] != name:
            name = self._tied[name]
        return name

    def _each(self, values: Iterable[Any]) -> Tree:
        return tuple(self.tree(v) for v in values)

    def _items(self, mapping: Mapping[Any, Any]) -> Tree:
        items = list(mapping.items())
        if "get_ipython" in mapping:  # a copy of the namespace, in which most is IPython's
            items = [(name, mapping[name]) for name in names_of(mapping, ())]
        return tuple((self.tree(k), self.tree(v)) for k, v in items)

    def _parts(self, value: Any, kind: type) -> Iterator[Any]:
        if kind is types.FunctionType:
            yield from self._function(value)
        elif issubclass(kind, type):
            yield from self._class(value)
        elif kind is types.CellType:
            yield from ("cell", *self._each(_contents(value)))
        elif kind is functools._lru_cache_wrapper:
            yield from ("lru_cache", self.tree(value.__wrapped__))
        elif kind in (staticmethod, classmethod):
            yield from (kind.__name__, self.tree(value.__func__))
        elif kind is property:
            yield from ("property", *self._each((value.fget, value.fset, value.fdel)))
        elif kind in (types.MemberDescriptorType, types.GetSetDescriptorType):
            yield from ("slot", value.__name__)
        elif issubclass(kind, functools.partial):
            # Not `vars`: asking for it makes a dict, and what is pickled another.
            yield from ("partial", self.tree(kind))
            yield self._each(value.__reduce__()[2])
        elif issubclass(kind, weakref.ref):
            place: list[Any] = []
            self._weak.append((self._at, place, value()))
            yield from ("weak reference", place)
        elif kind in _ITERATORS:
            try:
                left, *position = value.__reduce__()[1:]
            except RuntimeError:  # what it goes over has changed since
                self.refused = True
            else:
                yield from ("iterator", self._each(left), repr(position or [0]))
        elif kind is types.GenericAlias:  # which has the attributes of its class
            yield from ("alias", self._each((value.__origin__, value.__args__)))
        elif issubclass(kind, np.ndarray):
            yield from self._array(value)
        elif issubclass(kind, np.random.Generator):
            yield from ("random", repr(value.bit_generator.state))
        elif issubclass(kind, pd.DataFrame | pd.Series | pd.Index):
            yield from self._table(value)
        else:
            yield from self._instance(value, kind)

    def _function(self, value: types.FunctionType) -> Iterator[Any]:
        yield from ("function", value.__qualname__, value.__name__, repr(value.__doc__))
        yield _code(value.__code__)
        yield value.__globals__ is self._space
        yield self._each((value.__defaults__, value.__kwdefaults__, value.__annotations__))
        yield self._each(value.__closure__ or ())
        yield self._items(vars(value))

    def _class(self, value: type) -> Iterator[Any]:
        yield from ("class", value.__qualname__, self.tree(type(value)), self._each(value.__bases__))
        held = sorted(vars(value).items())
        yield tuple((k, self.tree(v)) for k, v in held if k not in _OF_THE_CLASS_STATEMENT)

    def _instance(self, value: Any, kind: type) -> Iterator[Any]:
        yield self.tree(kind)
        if issubclass(kind, dict):
            yield self._items(dict.copy(value) if kind is not collections.defaultdict else value)
            yield self.tree(getattr(value, "default_factory", None))
        elif issubclass(kind, list | tuple | collections.deque):
            yield self._each(list(value))
            yield getattr(value, "maxlen", None)
        elif issubclass(kind, set | frozenset):
            known = id(value) in self._within
            yield len(value) if known else self._each(sorted(value, key=self._order(id(value))))
        elif issubclass(kind, bytearray):
            yield bytes(value).hex()
            self._remember(np.frombuffer(value, "u1"))
        elif issubclass(kind, BaseException):
            # Not `__dict__`: asking for it makes one.
            yield self._each(value.__reduce__()[1:])
            return
        yield self._items(getattr(value, "__dict__", {}))
        slots = [s for c in kind.__mro__ for s in _slots(c) if hasattr(value, s)]
        yield tuple((s, self.tree(getattr(value, s))) for s in slots)

    def _array(self, value: np.ndarray) -> Iterator[Any]:
        strides = tuple(s for s, n in zip(value.strides, value.shape, strict=True) if n > 1)
        yield from (
            "array",
            str(value.dtype),
            value.shape,
            strides if value.size else (),
            value.flags.writeable,
        )
        if value.dtype.hasobject:
            yield self._each(value.ravel().tolist())
        else:
            yield hashlib.sha256(value.tobytes()).hexdigest() if value.nbytes > 512 else value.tobytes().hex()
        self._remember(value)
        base = value.base
        while base is not None:
            self._held.append(base)
            self._at_base(id(base))
            base = getattr(base, "base", None)
        if type(value) is not np.ndarray:
            yield self.tree(type(value))
            yield self._items(vars(value))

    def _at_base(self, key: int) -> None:
        """Two views of one array belong together even where they share no byte."""
        first = self._bases.setdefault(key, self._at)
        self._tie(first)

    def _remember(self, value: np.ndarray, *, number: bool = True) -> None:
        if value.size:
            low, high = np.lib.array_utils.byte_bounds(value)
            start = value.__array_interface__["data"][0]
            self._arrays.append((low, high, start, self._at, number))

    def _table(self, value: Any) -> Iterator[Any]:
        yield type(value).__name__
        if isinstance(value, pd.DataFrame):
            yield repr(list(value.columns))
            yield repr(list(value.index))
            # Not `iloc`: each column would get a deep copy of `attrs`.
            columns = [value._mgr.iget_values(i) for i in range(value.shape[1])]
        else:
            yield repr(value.name)
            columns = [value.array]
            if isinstance(value, pd.Series):
                yield repr(list(value.index))
        for block in getattr(getattr(value, "_mgr", None), "blocks", ()):
            # Copied on write, so sharing it shows only in what has to be restored together.
            if isinstance(block.values, np.ndarray):
                self._remember(block.values, number=False)
            for kept in ("_ndarray", "_pa_array"):
                if (memory := getattr(block.values, kept, None)) is not None:
                    self._held.append(memory)
                    self._at_base(id(memory))
        for column in columns:
            yield str(column.dtype)
            yield self._each(list(column))
        if not isinstance(value, pd.Index):
            yield self._items(value.attrs)

    def _order(self, key: int) -> Callable[[Any], str]:
        """Sorts what a set holds by what it looks like where it is met first; the set itself is left out."""
        within = self._within | {key}

        def order(value: Any) -> str:
            walk = _Walk(self._space, [], within)
            walk._tied[""] = ""
            return repr(walk.tree(value))

        return order

    # -- what the walk found

    def regions(self) -> tuple[Tree, ...]:
        """Memory that several arrays lie in: which (by the order in which they were met), and where."""
        found: list[list[tuple[int, int, int, bool, str]]] = []
        end = -1
        for number, (low, high, start, at, told) in sorted(enumerate(self._arrays), key=lambda item: item[1]):
            if low >= end:
                found.append([])
            found[-1].append((number, start, low, told, at))
            end = max(end, high)
        for group in found:
            for one, other in itertools.pairwise(group):
                self._at = one[-1]
                self._tie(other[-1])
        told = [(group[0][2], [part for part in group if part[3]]) for group in found]
        return tuple(
            sorted(tuple(sorted((part[0], part[1] - low) for part in g)) for low, g in told if len(g) > 1)
        )

    def groups(self) -> dict[str, frozenset[str]]:
        by_root: dict[str, set[str]] = {}
        for name in self._names:
            by_root.setdefault(self._root(name), set()).add(name)
        return {name: frozenset(group) for group in by_root.values() for name in group}

    def identities(self) -> dict[str, tuple[int, ...]]:
        found: dict[str, list[int]] = {n: [] for n in self._names}
        for key, owner in self._owner.items():
            found[owner].append(key)
        return {n: tuple(keys) for n, keys in found.items()}


def _plain(value: Iterable[Any]) -> bool:
    """Whether nobody can tell two equal ones apart but by `is`."""
    return all(
        (issubclass(type(v), tuple | frozenset) and type(v).__module__ != "__main__" and _plain(v))
        or (issubclass(type(v), _SCALARS) and type(v).__module__ != "__main__")
        for v in value
    )


def _sorted(trees: Tree, kind: type) -> Iterable[Any]:
    return sorted(trees) if issubclass(kind, frozenset) else trees


def _slots(kind: type) -> tuple[str, ...]:
    found = vars(kind).get("__slots__", ())
    return (found,) if isinstance(found, str) else tuple(found)


def _contents(cell: types.CellType) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:  # empty
        return ()


def _code(code: types.CodeType) -> Tree:
    consts = tuple(_code(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return (code.co_qualname, code.co_code.hex(), code.co_flags, names, consts)


def _frozen(tree: Any) -> Any:
    return tuple(_frozen(t) for t in tree) if isinstance(tree, tuple | list) else tree


def difference(was: Form, now: Form) -> str | None:
    """The first way in which two forms differ; None: they are alike."""
    for name in sorted(was.variables.keys() | now.variables.keys() | was.lost):
        if name in was.lost:
            continue
        if name not in now.variables:
            return f"`{name}` is {'lost' if name in now.lost else 'missing'}"
        if name not in was.variables:
            return f"`{name}` should not be there"
        found = _outlived(was.variables[name], now.variables[name])
        if was.variables[name] != found:
            path, old, new = _where(was.variables[name], found)
            return f"`{name}`{path}: was {_short(old)}, is {_short(new)}"
    if was.memory != now.memory:
        return f"memory is shared in another way: was {was.memory}, is {now.memory}"
    return None


def _outlived(was: Any, now: Any) -> Any:
    """What is now, where weak references have not died whose objects no variable leads to.

    Such an object lives by what is outside the namespace, as the traceback of the last error is.
    """
    if not isinstance(was, tuple) or not isinstance(now, tuple) or len(was) != len(now):
        return now
    if was[1:] == ("weak reference", ("elsewhere",)) and now[1:] == ("weak reference", ("dead",)):
        return (*now[:-1], was[-1])
    return tuple(map(_outlived, was, now))


def _where(was: Any, now: Any, path: str = "") -> tuple[str, Any, Any]:
    if isinstance(was, tuple) and isinstance(now, tuple):
        for i, (a, b) in enumerate(zip(was, now, strict=False)):
            if a != b:
                return _where(a, b, f"{path}.{i}")
        size = min(len(was), len(now))
        return f"{path}.{size}", was[size:], now[size:]
    return path, was, now


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 160 else f"{text[:157]}..."
