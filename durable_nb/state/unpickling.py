"""One stream -> the values of a component, in a namespace.

Nothing here may run on bytes whose signature has not been checked.
"""

from __future__ import annotations

import builtins
import io
import pickle
import sys
import types
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from durable_nb.state import classes, functions, pickling
from durable_nb.state.classes import in_notebook
from durable_nb.state.pickling import Namespace, resolve

_GENERATING = frozenset({"collections", "dataclasses", "typing"})
"""Libraries that generate methods, and have each Python's classes refer to functions of that Python only."""


class Unpickler(pickle.Unpickler):
    """Loads one stream into a namespace; of a subclass, with other objects for what it names."""

    def __init__(
        self,
        stream: Any,
        buffers: Iterable[Any],
        space: Namespace,
        staged: Mapping[str, Any],
        bind: Callable[[str, Any], None],
    ) -> None:
        super().__init__(io.BytesIO(stream), buffers=buffers)
        self._bind = bind
        self._space = space
        self._staged = ChainMap(dict(staged), space)
        self._cells: dict[int, types.CellType] = {}
        self._shared: dict[int, Any] = {}
        self._scopes: dict[int | None, dict[str, Any]] = {}
        self._stubs: dict[int, tuple[types.FunctionType, str]] = {}
        """what stands for functions whose code is of another Python, and what to say where one stays"""
        self._replaced: set[int] = set()

    def load(self) -> Any:
        """Load the one value."""
        try:
            loaded = super().load()
        finally:
            self.memo = {}  # it leads back here, and would keep what was loaded until the next collection
        for key in self._stubs.keys() - self._replaced:
            raise pickle.UnpicklingError(self._stubs[key][1])
        return loaded

    def find_class(self, module: str, name: str) -> Any:
        """What a stream names."""
        if module == pickling.__name__ and name in pickling.CONTEXTUAL:
            return getattr(self, f"_{name}")
        if module == classes.__name__ and name in ("make", "fill"):
            return self._make if name == "make" else self._fill
        if module == "__main__":
            return self._definition(name)
        try:
            return super().find_class(module, name)
        except AttributeError as error:
            if module not in _GENERATING:
                raise
            return self._stub(name, str(error))  # another Python's library left it in a class

    def _stub(self, name: str, problem: str) -> types.FunctionType:
        stub = types.FunctionType(_nothing.__code__, {}, name)
        self._stubs[id(stub)] = stub, problem
        return stub

    def _definition(self, qualname: str) -> Any:
        found = resolve(self._staged, qualname)
        if found is None:
            raise pickle.UnpicklingError(f"it needs `{qualname}`, which is not defined")
        return found

    def _namespace(self) -> Any:
        return self._space

    def _cell(self, key: int) -> types.CellType:
        return self._cells.setdefault(key, types.CellType())

    def _block(self, values: Any, places: Any, dimensions: int, key: int) -> Any:
        made = sys.modules["pandas._libs.internals"]._unpickle_block(values, places, dimensions)
        refs = self._shared.setdefault(key, made.refs)
        if refs is not made.refs:
            made.refs = refs
            refs.add_reference(made)
        return made

    def _make(self, *args: Any) -> type:
        made = classes.make(*args)
        if in_notebook(made):
            self._bind(made.__qualname__, made)
        return made

    def _fill(self, cls: type, state: dict[str, Any]) -> None:
        classes.fill(cls, state)
        if self._stubs:
            self._replaced |= classes.regenerate(cls, self._stubs)  # its instances come next

    def _function(
        self,
        code: types.CodeType | functions.Foreign,
        name: str,
        cells: tuple[int, ...],
        module: str,
        own: dict[str, Any] | int | None = None,
    ) -> Any:
        if isinstance(code, functions.Foreign):
            return self._stub(
                name,
                f"`{code.qualname}` was compiled by Python {code.python}, and its text is not known: "
                "run its cell",
            )
        scope: Any = self._space
        if isinstance(own, dict):
            scope = own
        elif not module:
            scope = self._scopes.setdefault(own, {"__builtins__": builtins})
        elif module != "__main__":
            __import__(module)
            scope = vars(sys.modules[module])
        made = types.FunctionType(code, scope, name, None, tuple(self._cell(k) for k in cells) or None)
        if code.co_qualname == name and module == "__main__":
            self._bind(name, made)
        return made


def _nothing() -> None:
    """The code of stubs: none of them stays when a component is loaded."""


def load(
    stream: Any,
    buffers: Iterable[Any],
    space: Namespace,
    staged: Mapping[str, Any],
    bind: Callable[[str, Any], None] = lambda _name, _definition: None,
) -> dict[str, Any]:
    """Unpickle one component: only bytes whose chain of digests leads to a trusted signature.

    Functions get `space` as their globals; definitions are looked up in `staged` first. `bind` is told
    of each definition as soon as it exists: what loads after it may call it by name.
    """
    loaded: dict[str, Any] = Unpickler(stream, buffers, space, staged, bind).load()
    return loaded
