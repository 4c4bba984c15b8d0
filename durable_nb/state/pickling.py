"""The pickler and unpickler of one namespace.

Data is pickled at C speed, protocol 5, large buffers out of band. What differs from plain pickle:

* a definition of the notebook (a function or class bound to its own name) is a reference by name in
  every stream but its own, so that restoring a list of `P` never makes a second class `P`;
* a definition's own stream holds it by value, its code with the text it was compiled from, and its
  globals are always the live namespace;
* closure cells and NumPy views keep what they share.

Nothing here may run on bytes whose signature has not been checked.
"""

from __future__ import annotations

import builtins
import copyreg
import dataclasses
import functools
import io
import marshal
import pickle
import sys
import threading
import types
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from concurrent.futures import Future
from typing import Any

import cloudpickle.cloudpickle as cp

from durable_nb.state import access, classes, framing, source, special
from durable_nb.state.arrays import array_reduce
from durable_nb.state.classes import in_notebook

DEFINITIONS = (types.FunctionType, type, functools._lru_cache_wrapper)
"""What can be a definition, where the notebook binds it to its own name."""

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
"""The Python that compiled code belongs to: bytecode does not outlive a minor version."""

Namespace = MutableMapping[str, Any]
_TYPE_SUBCLASS = 1 << 31


@dataclasses.dataclass(slots=True)
class Dump:
    """One component, pickled."""

    stream: bytes
    buffers: list[pickle.PickleBuffer]
    refs: set[str] = dataclasses.field(default_factory=set)
    """definitions of the notebook that the stream names"""
    mentions: set[str] = dataclasses.field(default_factory=set)
    """global names in the code of functions that the stream holds by value"""
    outside: str | None = None
    """what in it leads where changes are not followed"""


def resolve(namespace: Mapping[str, Any], qualname: str) -> Any:
    """The object that a dotted name denotes; None where it denotes nothing."""
    root, *rest = qualname.split(".")
    found = namespace.get(root)
    for part in rest:
        if found is None or part == "<locals>":
            return None
        try:
            found = vars(found).get(part)
        except TypeError:
            return None
        if isinstance(found, staticmethod | classmethod):
            found = found.__func__
    return found


def is_definition(name: str, value: Any) -> bool:
    """Whether a variable is a function or class bound to its own name at top level."""
    return issubclass(type(value), DEFINITIONS) and in_notebook(value) and value.__qualname__ == name


# The functions that a stream may call. Four of them mean something to one namespace only: the
# unpickler puts its own methods in their place.


def _outside(*_args: Any) -> Any:
    raise pickle.UnpicklingError("this belongs to a durable_nb store and is loaded by durable_nb only")


def definition(qualname: str) -> Any:
    """The notebook's function or class of that name."""
    return _outside(qualname)


def namespace() -> Any:
    """The notebook's namespace."""
    return _outside()


def function(code: types.CodeType, name: str, cells: tuple[int, ...], module: str) -> Any:
    """A function whose globals are the namespace, or a module's."""
    return _outside(code, name, cells, module)


def cell(key: int) -> Any:
    """The closure cell of that number in this stream."""
    return _outside(key)


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


def cached(wrapped: Any, parameters: dict[str, Any], attributes: dict[str, Any], _misses: int) -> Any:
    """A function under `functools.lru_cache`, its cache empty."""
    made = functools.lru_cache(**parameters)(wrapped)
    vars(made).update(attributes)
    return made


def set_cell(target: types.CellType, contents: tuple[Any, ...]) -> None:
    """Fill a closure cell, once it and what refers to it exist."""
    if contents:
        target.cell_contents = contents[0]


def set_function(target: types.FunctionType, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Give a function its closure's contents, defaults and attributes."""
    attributes, slots = state
    for cell_, contents in slots.pop("closure"):
        set_cell(cell_, contents)
    target.__globals__.update(slots.pop("scope", ()))
    for key, value in slots.items():
        setattr(target, key, value)
    target.__dict__.update(attributes)


_CONTEXTUAL = frozenset({"definition", "namespace", "function", "cell"})


class _Reducing:
    """What both picklers do with functions, classes and the types of the dispatch table."""

    def __init__(
        self,
        file: io.BytesIO,
        buffers: list[pickle.PickleBuffer],
        names: Iterable[str],
        space: Mapping[str, Any],
    ) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffers.append)  # type: ignore[call-arg]
        self._own = frozenset(names)
        self._space = space
        self._cells: dict[int, int] = {}
        self.refs: set[str] = set()
        self.mentions: set[str] = set()
        self.outside: str | None = None
        table: dict[Any, Any] = {
            types.CodeType: _code_reduce,
            type(dataclasses.MISSING): lambda _: "MISSING",  # compared by identity
            types.CellType: self._cell_reduce,
            types.ModuleType: self._module_reduce,
            types.BuiltinFunctionType: self._builtin_reduce,
            functools._lru_cache_wrapper: self._cached_reduce,
        }
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            table[numpy.ndarray] = array_reduce
        # One plain dict: the C pickler looks into it for every object.
        self.dispatch_table: Any = {
            **copyreg.dispatch_table,
            **cp.Pickler._dispatch_table,
            **special.REDUCERS,
            **table,
        }

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is types.FunctionType:
            return self._function_reduce(obj)
        if kind.__flags__ & _TYPE_SUBCLASS:
            return self._class_reduce(obj)
        return NotImplemented

    def _reference(self, obj: Any) -> Any:
        """A reference by name to a definition of the notebook, where `obj` is one."""
        qualname = obj.__qualname__
        root = qualname.partition(".")[0]
        if root in self._own or resolve(self._space, qualname) is not obj:
            return None
        if not is_definition(root, self._space[root]):
            return None
        self.refs.add(root)
        return definition, (qualname,)

    def _class_reduce(self, obj: type) -> Any:
        if in_notebook(obj):
            reference = self._reference(obj)
            if reference is not None:
                return reference
            self.mentions.update(*(access.of_code(c) for c in access.codes(obj)))
            return classes.reduce(obj)
        self.outside = self.outside or access.leads_outside(obj)
        reduced = cp._class_reduce(obj)
        if isinstance(reduced, tuple) and reduced[0] in (cp._make_skeleton_class, cp._make_skeleton_enum):
            return classes.reduce(obj)  # a library made it, and nothing is to be found under its name
        return reduced

    def _function_reduce(self, obj: types.FunctionType) -> Any:
        if in_notebook(obj):
            reference = self._reference(obj)
            if reference is not None:
                return reference
        if obj.__globals__ is self._space or obj.__globals__.get("__name__") == "__main__":
            self.mentions.update(access.of_code(obj.__code__))
            module = "__main__"
        elif cp._should_pickle_by_reference(obj):
            self.outside = self.outside or access.leads_outside(obj)
            return NotImplemented
        else:
            module = _module_of(obj)
        cells = obj.__closure__ or ()
        slots: dict[str, Any] = {
            "closure": tuple((c, _contents(c)) for c in cells),
            "__defaults__": obj.__defaults__,
            "__kwdefaults__": obj.__kwdefaults__,
            "__annotations__": obj.__annotations__,
            "__module__": _interned(obj.__module__),
            "__qualname__": _interned(obj.__qualname__),
            "__doc__": obj.__doc__,
        }
        if not module:
            # Made by a library in a namespace of its own, as `collections.namedtuple` does.
            used = access.of_code(obj.__code__) | {"__name__"}
            slots["scope"] = {k: v for k, v in obj.__globals__.items() if k in used}
        if hasattr(obj, "__type_params__"):
            slots["__type_params__"] = obj.__type_params__
        keys = tuple(self._cell_key(c) for c in cells)
        args = (obj.__code__, _interned(obj.__name__), keys, _interned(module))
        return function, args, (dict(obj.__dict__), slots), None, None, set_function

    def _cached_reduce(self, obj: Any) -> Any:
        if in_notebook(obj):
            # How often it was missed tells whether its cache, which is not kept, is of another time.
            return self._reference(obj) or (
                cached,
                (obj.__wrapped__, obj.cache_parameters(), dict(vars(obj)), obj.cache_info().misses),
            )
        return obj.__reduce__()

    def _module_reduce(self, obj: types.ModuleType) -> Any:
        self.outside = self.outside or access.leads_outside(obj)
        return cp._module_reduce(obj)

    def _builtin_reduce(self, obj: types.BuiltinFunctionType) -> Any:
        self.outside = self.outside or access.leads_outside(obj)
        return obj.__reduce__()

    def _cell_key(self, obj: types.CellType) -> int:
        return self._cells.setdefault(id(obj), len(self._cells))

    def _cell_reduce(self, obj: types.CellType) -> Any:
        return cell, (self._cell_key(obj),), _contents(obj), None, None, set_cell


class _Pickler(_Reducing, pickle.Pickler):
    """At C speed."""


class _DeepPickler(_Reducing, pickle._Pickler):
    """In Python, whose calls use no C stack: for structures that are nested too deeply for C."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        plain = pickle._Pickler.save_reduce  # type: ignore[attr-defined]

        # `pickle` calls it with `*args`, which only for plain functions stays off the C stack.
        def save_reduce(*args: Any, **kwargs: Any) -> None:
            plain(self, *args, **kwargs)

        self.save_reduce = save_reduce


_DEEP = 1_500_000
"""Python frames that pickling a deep structure may use; about ten for each level."""

_STACK = 1 << 30
"""Bytes of address space for their C stack: some calls in `pickle` still use it."""


def _module_of(obj: types.FunctionType) -> str:
    """The module whose namespace a function's globals are; "" where they are no module's."""
    name = obj.__globals__.get("__name__", "")
    module = sys.modules.get(name)
    return name if module is not None and vars(module) is obj.__globals__ else ""


def _contents(obj: types.CellType) -> tuple[Any, ...]:
    try:
        return (obj.cell_contents,)
    except ValueError:  # empty
        return ()


def _code_reduce(obj: types.CodeType) -> Any:
    found = source.statement(obj)
    if found is None:
        return code, (
            PYTHON,
            _marshalled(source.relocated(obj, "<durable_nb>", 0)),
            None,
            _interned(obj.co_qualname),
            1,
        )
    text, first = found
    moved = source.relocated(obj, source.file_name(text), first - 1)
    return code, (PYTHON, _marshalled(moved), text, _interned(moved.co_qualname), moved.co_firstlineno)


def _interned(value: Any) -> Any:
    """One object for equal names: the memo goes by identity, and equal code must give equal bytes."""
    if type(value) is dict:
        return {_interned(k): sys.intern(v) if type(v) is str else v for k, v in value.items()}
    return sys.intern(value) if type(value) is str else value


def _marshalled(obj: types.CodeType) -> bytes:
    try:
        return marshal.dumps(obj, 2)  # no back references: equal code gives equal bytes
    except ValueError:  # a constant that only newer versions know
        return marshal.dumps(obj)


class _Whole:
    """Stands for the namespace itself, where a variable holds `globals()`."""

    def __reduce__(self) -> Any:
        return namespace, ()


def dump_values(values: Mapping[str, Any], space: Mapping[str, Any]) -> Dump:
    """Pickle values together, as one stream that keeps what they share.

    Raises whatever a value's own reduction raises.
    """
    try:
        return _dumped(_Pickler, values, space)
    except RecursionError:
        return _deeply(lambda: _dumped(_DeepPickler, values, space))


def _deeply(work: Callable[[], Dump]) -> Dump:
    """Run `work` with room for deep recursion, while this thread waits."""
    done: Future[Dump] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    limit, stack = sys.getrecursionlimit(), threading.stack_size(_STACK)
    sys.setrecursionlimit(max(limit, _DEEP))
    try:
        threading.Thread(target=run, name="durable_nb deep", daemon=True).start()
        return done.result()
    finally:
        threading.stack_size(stack)
        sys.setrecursionlimit(limit)


def _dumped(kind: type[_Pickler | _DeepPickler], values: Mapping[str, Any], space: Mapping[str, Any]) -> Dump:
    file = io.BytesIO()
    buffers: list[pickle.PickleBuffer] = []
    pickler = kind(file, buffers, values, space)
    pickler.dump({sys.intern(name): _Whole() if value is space else value for name, value in values.items()})
    framing.strip(file)
    return Dump(file.getvalue(), buffers, pickler.refs, pickler.mentions, pickler.outside)


class _Unpickler(pickle.Unpickler):
    def __init__(
        self,
        stream: Any,
        buffers: Iterable[Any],
        space: Namespace,
        staged: Mapping[str, Any],
    ) -> None:
        super().__init__(io.BytesIO(stream), buffers=buffers)
        self._space = space
        self._staged = ChainMap(dict(staged), space)
        self._cells: dict[int, types.CellType] = {}
        self._classes: list[type] = []
        self._stubs: dict[int, str] = {}
        """functions whose code is of another Python, with what to say"""

    def load(self) -> Any:
        """Load the one value; what a library had generated under another Python is made again."""
        loaded = super().load()
        if self._stubs:
            for cls in self._classes:
                classes.regenerate(cls, self._stubs)
        for problem in self._stubs.values():
            raise pickle.UnpicklingError(problem)
        return loaded

    def find_class(self, module: str, name: str) -> Any:
        if module == __name__ and name in _CONTEXTUAL:
            return getattr(self, f"_{name}")
        if module == classes.__name__ and name == "make":
            return self._make
        if module == "__main__":
            return self._definition(name)
        return super().find_class(module, name)

    def _definition(self, qualname: str) -> Any:
        found = resolve(self._staged, qualname)
        if found is None:
            raise pickle.UnpicklingError(f"it needs `{qualname}`, which is not defined")
        return found

    def _namespace(self) -> Any:
        return self._space

    def _cell(self, key: int) -> types.CellType:
        return self._cells.setdefault(key, types.CellType())

    def _make(self, *args: Any) -> type:
        self._classes.append(classes.make(*args))
        return self._classes[-1]

    def _function(
        self, code_: types.CodeType | Foreign, name: str, cells: tuple[int, ...], module: str
    ) -> Any:
        if isinstance(code_, Foreign):
            stub = types.FunctionType(_nothing.__code__, {}, name)
            self._stubs[id(stub)] = (
                f"`{code_.qualname}` was compiled by Python {code_.python}, and its text is not known: "
                "run its cell"
            )
            return stub
        scope: Any = self._space
        if not module:
            scope = {"__builtins__": builtins}
        elif module != "__main__":
            __import__(module)
            scope = vars(sys.modules[module])
        return types.FunctionType(code_, scope, name, None, tuple(self._cell(k) for k in cells) or None)


def _nothing() -> None:
    """The code of stubs: none of them stays when a component is loaded."""


def load(stream: Any, buffers: Iterable[Any], space: Namespace, staged: Mapping[str, Any]) -> dict[str, Any]:
    """Unpickle one component: only bytes whose chain of digests leads to a trusted signature.

    Functions get `space` as their globals; definitions are looked up in `staged` first.
    """
    loaded: dict[str, Any] = _Unpickler(stream, buffers, space, staged).load()
    return loaded
