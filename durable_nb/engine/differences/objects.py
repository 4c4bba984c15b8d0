"""Objects by their attributes; classes and functions by their source, else by what they hold."""

from __future__ import annotations

import copyreg
import functools
import types
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from durable_nb.engine.differences import sources
from durable_nb.engine.differences.change import Change, Fact, Sign, only_one_has
from durable_nb.engine.differences.texts import renamed
from durable_nb.engine.differences.tokens import token
from durable_nb.state import functions as state_functions
from durable_nb.state import instances
from durable_nb.state.texts import attributes, mro, named, qualified

if TYPE_CHECKING:
    from durable_nb.engine.differences.walk import Walk

_OF_CLASSES = frozenset({
    "__dict__", "__weakref__", "__module__", "__qualname__", "__static_attributes__", "__firstlineno__",
    "__slotnames__", "__annotate_func__", "__annotations_cache__", "_abc_impl",
})  # fmt: skip
"""What a class has because of where it stands, or as a cache."""


def has_attributes(kind: type) -> bool:
    """Whether instances have a `__dict__` or slots."""
    return instances.dict_getter(kind) is not None or any(
        "__slots__" in vars(base) for base in mro(kind) if base is not object
    )


def plain(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """Two objects by their attributes; by their bytes as well, where their class keeps more than those."""
    found = False
    for change in _plain(walk, before, after, path, depth):
        found = True
        yield change
    if not found and not (_is_its_attributes(type(before)) and _is_its_attributes(type(after))):
        yield from walk.opaque(before, after, path)


def _plain(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    if renamed(type(before), type(after)):
        yield Change(Sign.CHANGED, path, (Fact("type", named(type(before)), named(type(after))),))
    yield from attributed(walk, before, after, path, depth)


def _is_its_attributes(kind: type) -> bool:
    """Whether pickle keeps of an instance what its attributes are, and nothing else."""
    hooks = {"__reduce_ex__", "__reduce__", "__getstate__", "__getnewargs__", "__getnewargs_ex__"}
    own = (hooks & vars(base).keys() for base in mro(kind) if base is not object)
    return kind not in copyreg.dispatch_table and not any(own)


def attributed(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """What differs between the attributes of two objects."""
    yield from named_parts(walk, attributes(before), attributes(after), path, depth)


def named_parts(
    walk: Walk, before: Mapping[str, Any], after: Mapping[str, Any], path: str, depth: int
) -> Iterator[Change]:
    """What differs between parts that have names."""
    for name, held in before.items():
        if name in after:
            yield from walk.under(name, held, after[name], f"{path}.{name}", depth)
    for sign, name, held in only_one_has(before, after):
        yield walk.one(sign, name, held, f"{path}.{name}")


def members(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """Two members of enumerations."""
    a, b = attributes(before), attributes(after)
    if renamed(type(before), type(after)) or a.get("_name_") != b.get("_name_"):
        yield walk.replaced(before, after, path)
    else:
        yield from walk.values(a.get("_value_"), b.get("_value_"), f"{path}.value", depth + 1)


def modules(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """Two modules: those that are imported have come back by name."""
    a, b = vars(before), vars(after)
    if a.get("__name__") != b.get("__name__"):
        yield walk.replaced(before, after, path)
    elif a.get("__spec__") is None and b.get("__spec__") is None:  # made by hand
        own = [{k: v for k, v in held.items() if k != "__builtins__"} for held in (a, b)]
        yield from named_parts(walk, own[0], own[1], path, depth)


def classes(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """Two classes: by their source where it is known, else by what they hold."""
    if renamed(before, after):
        yield walk.replaced(before, after, path)
        return
    if not all(qualified(kind).startswith("__main__.") for kind in (before, after)):
        return
    texts = sources.of_class(before), sources.of_class(after)
    if texts[0] is not None and texts[1] is not None and texts[0] != texts[1]:
        yield Change(Sign.CHANGED, path, patch=sources.patch(texts[0], texts[1]))
        return
    bases = [[qualified(base) for base in mro(kind)[1:]] for kind in (before, after)]
    if bases[0] != bases[1]:
        yield Change(Sign.CHANGED, path, (Fact("bases", *(", ".join(names) for names in bases)),))
    yield from named_parts(walk, _held(before), _held(after), path, depth)


def _held(kind: type) -> dict[str, Any]:
    held = type.__dict__["__dict__"].__get__(kind)
    descriptors = (types.GetSetDescriptorType, types.MemberDescriptorType)
    enumeration = "_member_map_" in held
    return {
        name: value
        for name, value in held.items()
        if name not in _OF_CLASSES
        and type(value) not in descriptors
        and not (enumeration and name.startswith("_") and name.endswith("_") and name[1] != "_")
    }


def functions(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """Two functions: source, defaults, what they closed over, attributes."""
    texts = sources.of_function(before), sources.of_function(after)
    if texts[0] is not None and texts[1] is not None:
        if texts[0] != texts[1]:
            yield Change(Sign.CHANGED, path, patch=sources.patch(texts[0], texts[1]))
    elif _code(before.__code__) != _code(after.__code__):
        yield Change(Sign.CHANGED, path, (Fact(note="the code differs; its source is not known"),))
    if before.__qualname__ != after.__qualname__:
        yield Change(Sign.CHANGED, path, (Fact("name", before.__qualname__, after.__qualname__),))
    parts = [
        {
            "__defaults__": f.__defaults__,
            "__kwdefaults__": f.__kwdefaults__,
            **{f"closure {name}": value for name, value in _closure(f).items()},
            **f.__dict__,
        }
        for f in (before, after)
    ]
    yield from named_parts(walk, parts[0], parts[1], path, depth)


def _code(code: types.CodeType) -> tuple[Any, ...]:
    """What code does, and not where it stands."""
    consts = tuple(_code(c) if type(c) is types.CodeType else token(c) for c in code.co_consts)
    return code.co_code, consts, code.co_names, code.co_varnames, code.co_freevars, code.co_flags


def _closure(function: types.FunctionType) -> dict[str, Any]:
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {name: inside[0] for name, cell in cells if (inside := state_functions.contents(cell))}


def wrappers(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """What wraps a function, such as bound methods and properties."""
    if type(before) is not type(after):
        yield walk.replaced(before, after, path)
        return
    if type(before) is property:
        names = ("fget", "fset", "fdel")
        parts = [{n: getattr(p, n) for n in names} for p in (before, after)]
        yield from named_parts(walk, parts[0], parts[1], path, depth)
        return
    yield from walk.values(_inner(before), _inner(after), path, depth + 1)
    if type(before) is types.MethodType:
        yield from walk.values(before.__self__, after.__self__, f"{path}.__self__", depth + 1)
    if type(before) is sources.CACHED:
        limits = before.cache_parameters(), after.cache_parameters()
        yield from walk.values(*limits, f"{path}.cache_parameters()", depth + 1)


def _inner(wrapper: Any) -> Any:
    return wrapper.__wrapped__ if type(wrapper) is sources.CACHED else wrapper.__func__


def partials(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """Two functions with arguments given."""
    names = ("func", "args", "keywords")
    parts = [{n: getattr(functools.partial, n).__get__(p) for n in names} for p in (before, after)]
    yield from named_parts(walk, parts[0], parts[1], path, depth)


def exceptions(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """Two exceptions."""
    if renamed(type(before), type(after)):
        yield walk.replaced(before, after, path)
        return
    names = ("args", "__cause__", "__context__")
    parts = [
        {**{n: vars(BaseException)[n].__get__(e) for n in names}, **attributes(e)} for e in (before, after)
    ]
    yield from named_parts(walk, parts[0], parts[1], path, depth)
