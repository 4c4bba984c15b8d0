"""The pickler of one namespace.

Data is pickled at C speed, protocol 5, large buffers out of band. What differs from plain pickle:

* a definition of the notebook (a function or class bound to its own name) is a reference by name in
  every stream but its own, so that restoring a list of `P` never makes a second class `P`;
* a definition's own stream holds it by value, its code with the text it was compiled from, and its
  globals are always the live namespace;
* closure cells and NumPy views keep what they share.
"""

from __future__ import annotations

import builtins
import copyreg
import dataclasses
import functools
import importlib
import io
import pickle
import struct
import sys
import threading
import types
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from concurrent.futures import Future
from typing import Any

import cloudpickle.cloudpickle as cp

from durable_nb.model import INLINE
from durable_nb.state import access, classes, framing, functions, instances, special
from durable_nb.state.arrays import array_reduce, record_reduce
from durable_nb.state.classes import in_notebook
from durable_nb.state.functions import interned
from durable_nb.state.reducers import libraries
from durable_nb.state.regions import Region, View, merged

DEFINITIONS = (types.FunctionType, type, functools._lru_cache_wrapper)
"""What can be a definition, where the notebook binds it to its own name."""

Namespace = MutableMapping[str, Any]


@dataclasses.dataclass(slots=True)
class Dump:
    """One component, pickled."""

    stream: bytes
    regions: list[Region]
    views: tuple[View, ...] = ()
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
    return (
        issubclass(type(value), DEFINITIONS)
        and in_notebook(value)
        and getattr(value, "__qualname__", None) == name
    )


# Functions that a stream calls. These mean something to one namespace, or to one stream, only: the
# unpickler puts its own methods in their place.


def _outside(*_args: Any) -> Any:
    raise pickle.UnpicklingError("this belongs to a durable_nb store and is loaded by durable_nb only")


def definition(qualname: str) -> Any:
    """The notebook's function or class of that name."""
    return _outside(qualname)


def namespace() -> Any:
    """The notebook's namespace."""
    return _outside()


def function(
    code: types.CodeType, name: str, cells: tuple[int, ...], module: str, scope: dict[str, Any] | int | None
) -> Any:
    """A function whose globals are the namespace, a module's, a dict, or this stream's of that number."""
    return _outside(code, name, cells, module, scope)


def cell(key: int) -> Any:
    """The closure cell of that number in this stream."""
    return _outside(key)


def block(values: Any, places: Any, dimensions: int, key: int) -> Any:
    """A block of a frame; blocks of one key know that they share memory, and copy before they write."""
    return _outside(values, places, dimensions, key)


def package(name: str, inner: tuple[str, ...]) -> types.ModuleType:
    """A package with those of its modules that the notebook imported by their dotted names."""
    for module in (name, *inner):
        importlib.import_module(module)
    return sys.modules[name]


CONTEXTUAL = frozenset({"definition", "namespace", "function", "cell", "block"})


_Handler = Callable[[Any], Any] | tuple[type] | None
"""How objects of a class are reduced; a tuple of it: as their `__dict__`, None: as pickle does it"""


class Kinds:
    """How the objects of each class are reduced, as of now; for the components of one capture."""

    def __init__(self) -> None:
        # One plain dict: the C pickler looks into it for every object.
        self.table: dict[type, Callable[[Any], Any]] = {
            **copyreg.dispatch_table,
            **cp.Pickler._dispatch_table,
            **special.reducers(),
            types.CodeType: functions.code_reduce,
            type(dataclasses.MISSING): lambda _: "MISSING",  # compared by identity, as the next
            type(dataclasses._HAS_DEFAULT_FACTORY): lambda _: "_HAS_DEFAULT_FACTORY",  # type: ignore[attr-defined]
        }
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            self.table[numpy.ndarray] = array_reduce
            self.table[numpy.void] = record_reduce
        self.plain: dict[type, tuple[type] | None] = {}
        """classes that pickle does right by itself, or by the table, and those of plain instances"""
        self.named: set[types.FunctionType] = set()
        """functions that are found under their names, in libraries"""


class _Reducing:
    """What both picklers do with functions, classes and the types of the dispatch table."""

    def __init__(
        self,
        file: io.BytesIO,
        buffers: list[pickle.PickleBuffer],
        names: Iterable[str],
        space: Mapping[str, Any],
        kinds: Kinds,
    ) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffers.append)  # type: ignore[call-arg]
        self._own = frozenset(names)
        self._space = space
        self._cells: dict[int, int] = {}
        self._shared: dict[int, int] = {}
        self._plain, self._named = kinds.plain, kinds.named
        self._handlers: dict[type, _Handler] = {
            **kinds.plain,
            types.FunctionType: self._function_reduce,
            types.CellType: self._cell_reduce,
            types.ModuleType: self._module_reduce,
            types.BuiltinFunctionType: self._builtin_reduce,
            functools._lru_cache_wrapper: self._cached_reduce,
            type: self._class_reduce,
        }
        self.dispatch_table: Any = kinds.table
        self.refs: set[str] = set()
        self.mentions: set[str] = set()
        self.outside: str | None = None
        self.reducer_override = self._override()

    def release(self) -> None:
        """Let go of the user's objects, which would else live until the next garbage collection."""
        self._handlers.clear()
        self.clear_memo()  # type: ignore[attr-defined]
        del self.reducer_override

    def _override(self) -> Callable[[Any], Any]:
        """What the pickler asks first for nearly every object: a closure, since a method takes longer."""
        handlers, handler, plain = self._handlers, self._handler, self._plain
        newobj, getrefcount, alone = copyreg.__newobj__, sys.getrefcount, instances.ALONE  # type: ignore[attr-defined]

        def reducer_override(obj: Any) -> Any:
            kind = type(obj)
            try:
                reduce = handlers[kind]
            except KeyError:
                reduce = handlers[kind] = handler(kind)
                if reduce is None or type(reduce) is tuple:
                    plain[kind] = reduce
            if reduce is None:
                return NotImplemented
            if type(reduce) is not tuple:
                return reduce(obj)  # type: ignore[operator]
            held = obj.__dict__
            if getrefcount(held) > alone:
                return instances.with_dict(obj)
            return newobj, reduce, held  # as `object` does it, in less time

        return reducer_override

    def _handler(self, kind: type) -> _Handler:
        """How objects of a class are reduced, where it is not by plain pickle or the dispatch table."""
        if kind in self.dispatch_table:
            return None
        if issubclass(kind, type):
            return self._class_reduce
        internals = sys.modules.get("pandas._libs.internals")
        if internals is not None and issubclass(kind, internals.Block):
            return self._block_reduce
        if f"{kind.__module__}.{kind.__name__}" == "pandas.core.internals.managers.SingleBlockManager":
            return _manager_reduce
        handler = instances.handler(kind) or special.inherited(kind)
        return (kind,) if handler is None and instances.is_its_dict(kind) else handler

    def _reference(self, obj: Any) -> Any:
        """A reference by name to a definition of the notebook, where `obj` is one."""
        qualname = getattr(obj, "__qualname__", "")
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
        if isinstance(reduced, tuple) and _importable(obj):
            return NotImplemented
        if isinstance(reduced, tuple) and reduced[0] in (cp._make_skeleton_class, cp._make_skeleton_enum):
            return classes.reduce(obj)  # a library made it, and nothing is to be found under its name
        return reduced

    def _function_reduce(self, obj: types.FunctionType) -> Any:
        if obj in self._named:
            return NotImplemented
        if in_notebook(obj):
            reference = self._reference(obj)
            if reference is not None:
                return reference
        used, module, scope = access.of_code(obj.__code__), "", functions.own_scope(obj, self._space)
        if obj.__globals__ is self._space:
            self.mentions.update(used)
            module = "__main__"
        elif scope is not None:
            pass
        elif cp._should_pickle_by_reference(obj):
            outside = access.leads_outside(obj)
            if outside is None:
                self._named.add(obj)
            self.outside = self.outside or outside
            return NotImplemented
        else:
            module = functions.module_of(obj)
        slots = functions.slots(obj)
        keys = tuple(self._cell_key(c) for c in obj.__closure__ or ())
        args: tuple[Any, ...] = (obj.__code__, interned(obj.__name__), keys, interned(module))
        if scope is not None and not functions.is_script(scope):
            args = (*args, scope)
        elif not module:
            # Of a script, or made by a library in a namespace of its own, as `collections.namedtuple` does.
            args = (*args, self._shared.setdefault(id(obj.__globals__), len(self._shared)))
            used = used | {"__name__"}
            slots["scope"] = {k: v for k, v in obj.__globals__.items() if k in used}
        return function, args, (dict(obj.__dict__), slots), None, None, functions.set_function

    def _cached_reduce(self, obj: Any) -> Any:
        if in_notebook(obj):
            return self._reference(obj) or functions.cached_reduce(obj)
        return obj.__reduce__() if hasattr(obj, "__qualname__") else functions.cached_reduce(obj)

    def _block_reduce(self, obj: Any) -> Any:
        _, (values, places, dimensions) = obj.__reduce__()
        return block, (values, places, dimensions, self._shared.setdefault(id(obj.refs), len(self._shared)))

    def _module_reduce(self, obj: types.ModuleType) -> Any:
        self.outside = self.outside or access.leads_outside(obj)
        inner = tuple(sorted(name for name in access.DOTTED if name.startswith(f"{obj.__name__}.")))
        if inner and sys.modules.get(obj.__name__) is obj:
            return package, (obj.__name__, inner)
        return libraries.module(obj)

    def _builtin_reduce(self, obj: types.BuiltinFunctionType) -> Any:
        self.outside = self.outside or access.leads_outside(obj)
        return obj.__reduce__()

    def _cell_key(self, obj: types.CellType) -> int:
        return self._cells.setdefault(id(obj), len(self._cells))

    def _cell_reduce(self, obj: types.CellType) -> Any:
        return cell, (self._cell_key(obj),), functions.contents(obj), None, None, functions.set_cell


def _importable(obj: type) -> bool:
    """Whether a class is to be found under its name, once its module is imported."""
    if obj.__module__ in sys.modules or type(obj.__module__) is not str:
        return False
    try:
        return resolve(vars(importlib.import_module(obj.__module__)), obj.__qualname__) is obj
    except ImportError:
        return False


def _manager_reduce(manager: Any) -> Any:
    """A series' one block, as a block: pandas' own way takes it apart."""
    return type(manager), (manager.blocks[0], manager.axes[0])


class Pickler(_Reducing, pickle.Pickler):
    """At C speed."""


class DeepPickler(_Reducing, pickle._Pickler):
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


def dump_values(
    values: Mapping[str, Any],
    space: Mapping[str, Any],
    kinds: Kinds | None = None,
    recurring: Sequence[str] = (),
) -> Dump:
    """Pickle values together, as one stream that keeps what they share.

    `recurring` strings come first in it: it refers to them by numbers that stay, whatever is added.

    Raises whatever a value's own reduction raises.
    """
    if len(values) == 1:
        ((name, value),) = values.items()
        if type(value) in _SCALARS and (type(value) is not int or value.bit_length() < _LONG):
            # `pickle` itself takes a tenth of the time, and does the same.
            return Dump(framing.bare(pickle.dumps({sys.intern(name): value}, 5)), [])
    kinds = kinds or Kinds()
    try:
        return dumped(Pickler, values, space, kinds, recurring)
    except RecursionError:
        pass
    try:
        return _deeply(lambda: dumped(Pickler, values, space, kinds, recurring))
    except RecursionError:  # from Python 3.12 on, recursion in C has a limit of its own
        return _deeply(lambda: dumped(DeepPickler, values, space, kinds, recurring))


_SCALARS = frozenset({bool, int, float, complex, type(None)})

_LONG = 10_000
"""Bits of an integer that is pickled as other objects are."""


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


def dumped(
    kind: type[Pickler | DeepPickler],
    values: Mapping[str, Any],
    space: Mapping[str, Any],
    kinds: Kinds,
    recurring: Sequence[str] = (),
) -> Dump:
    """What a kind of pickler makes of values."""
    file = io.BytesIO()
    file.write(_NOTHING)
    file.writelines(map(_noted, recurring))
    start = file.tell()
    buffers: list[pickle.PickleBuffer] = []
    pickler: Any = kind(file, buffers, values, space, kinds)
    # As if these had been pickled first: wherever they are met, they are references to numbers 0, 1, ...
    pickler.memo = memo(space, recurring)
    try:
        pickler.dump({sys.intern(name): value for name, value in values.items()})
    finally:
        pickler.release()
    framing.strip(file, start)
    framing.join(file)
    if any(file.getvalue().find(reference) > 0 for reference in (b"h\x00", b"h\x01")):
        framing.begin(file, _PREFIX, len(_NOTHING))
        if pickler.outside is None and _leads_to_namespace(file.getvalue()):
            pickler.outside = "a way to any variable"
    return Dump(file.getvalue(), *merged(buffers), pickler.refs, pickler.mentions, pickler.outside)


def _leads_to_namespace(stream: bytes) -> bool:
    """Whether a short stream refers to the namespace; to read a long one would take too long."""
    import pickletools

    if len(stream) > INLINE:
        return False
    return any(opcode.name == "BINGET" and number == 0 for opcode, number, _ in pickletools.genops(stream))


def memo(space: Mapping[str, Any], recurring: Sequence[str] = ()) -> dict[int, tuple[int, Any]]:
    """What a pickler has met before it begins."""
    first = (space, vars(builtins), *recurring)
    return {id(held): (number, held) for number, held in enumerate(first)}


_NOTHING = framing.PROTO + b"N\x940" * 2


def _named(module: str, name: str) -> bytes:
    return b"".join(b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, name)) + b"\x93"


_PREFIX = (
    framing.PROTO + _named(__name__, "namespace") + b")R\x940" + _named("builtins", "__dict__") + b"\x940"
)
"""What puts numbers 0 and 1 into an unpickler's memo, and nothing on its stack."""


def _noted(text: str) -> bytes:
    """What puts a string into an unpickler's memo, and nothing on its stack."""
    encoded = text.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(encoded)) + encoded + b"\x940"
