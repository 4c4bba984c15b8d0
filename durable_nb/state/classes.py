"""Classes of the notebook by value: made empty, then given what they hold.

Making a class again must not run the notebook's code: no `__new__` or `__init__` of its metaclass, no
`__init_subclass__` of its bases, no `__set_name__`. What they did is in the class, and is put back.
"""

from __future__ import annotations

import abc
import collections
import dataclasses
import enum
import inspect
import sys
import types
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

_EARLY = ("__module__", "__qualname__", "__slots__", "__class__", "__dict__", "__orig_bases__")
"""What a class has to be made with."""

_DERIVED = frozenset({"__dict__", "__weakref__", "__slotnames__", "__annotate_func__", "_abc_impl"})
"""What a class gets by itself, or keeps as a cache."""

_ENUM = frozenset({
    "_generate_next_value_", "_member_names_", "_member_map_", "_member_type_", "_value2member_map_",
    "_hashable_values_", "_unhashable_values_", "_unhashable_values_map_",
})  # fmt: skip
_MEMBER = frozenset({"_value_", "_name_", "__objclass__", "_sort_order_"})


def in_notebook(value: Any) -> bool:
    """Whether a function or class was defined in the notebook rather than in a module."""
    return getattr(value, "__module__", None) == "__main__"


def reduce(obj: type) -> Any:
    """How to make a class of the notebook again, and what it holds."""
    held = vars(obj)
    derived = types.GetSetDescriptorType
    early = {key: held[key] for key in _EARLY if key in held and type(held[key]) is not derived}
    skip = _DERIVED | early.keys() | _slots(obj) | ({"__doc__"} if obj.__doc__ is None else set())
    if issubclass(type(obj), enum.EnumMeta):
        return _enum_reduce(obj, skip)
    state = {
        "attributes": {sys.intern(k): _steady(k, v) for k, v in held.items() if k not in skip},
        "registered": _registered(obj),
    }
    # In their order, which is part of what a class is.
    space = {sys.intern(k): _steady(k, early.get(k)) for k in held if k in early or k not in skip}
    space["__qualname__"] = sys.intern(obj.__qualname__)
    args = (type(obj), sys.intern(obj.__name__), obj.__bases__, space)
    return make, args, state, None, None, fill


def _enum_reduce(obj: Any, skip: Iterable[str]) -> Any:
    members = dict(obj.__members__)
    out = {*skip, *_ENUM, *members}
    state = {
        "attributes": {sys.intern(k): _steady(k, v) for k, v in vars(obj).items() if k not in out},
        "registered": (),
        "members": {
            name: {key: value for key, value in vars(member).items() if key not in _MEMBER}
            for name, member in members.items()
            if vars(member).keys() - _MEMBER
        },
    }
    values = {sys.intern(name): member.value for name, member in members.items()}
    names = (sys.intern(obj.__module__), sys.intern(obj.__qualname__))
    args = (type(obj), sys.intern(obj.__name__), obj.__bases__, names, values)
    return make_enum, args, state, None, None, fill


def make(metaclass: type, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> type:
    """A class with the attributes that it has to be made with, and room for the others."""
    maker = _library(metaclass)
    with _quiet(bases):
        if maker in (type, abc.ABCMeta):
            return maker.__new__(metaclass, name, bases, dict(space))  # type: ignore[no-any-return]
        given = space.get("__orig_bases__", bases)
        early = {key: space[key] for key in _EARLY[:-1] if key in space}
        return types.new_class(name, given, {"metaclass": metaclass}, lambda empty: empty.update(early))


def make_enum(
    metaclass: Any, name: str, bases: tuple[type, ...], names: tuple[str, str], values: dict[str, Any]
) -> type:
    """An enumeration with its members; `names` are its module and qualified name."""
    maker = _library(metaclass)
    space = maker.__prepare__(name, bases)
    space["__module__"], space["__qualname__"] = names
    for member, value in values.items():
        space[member] = value
    with _quiet(bases):
        return maker.__new__(metaclass, name, bases, space)  # type: ignore[no-any-return]


def _library(metaclass: type) -> Any:
    """The nearest metaclass that is not the notebook's own."""
    return next(k for k in type.__dict__["__mro__"].__get__(metaclass) if not in_notebook(k))


def fill(cls: type, state: dict[str, Any]) -> None:
    """Give a class what it held."""
    for key, value in state["attributes"].items():
        type.__setattr__(cls, key, value)
    for registered in state["registered"]:
        abc.ABCMeta.register(cls, registered)  # type: ignore[arg-type]
    for name, held in state.get("members", {}).items():
        vars(cls.__members__[name]).update(held)  # type: ignore[attr-defined]


@contextmanager
def _quiet(bases: Iterable[type]) -> Iterator[None]:
    """Keep the notebook's own `__init_subclass__` of these bases from running."""
    loud = {k for base in bases for k in base.__mro__ if in_notebook(k) and "__init_subclass__" in vars(k)}
    before = {k: vars(k)["__init_subclass__"] for k in loud}
    try:
        for k in loud:
            type.__setattr__(k, "__init_subclass__", classmethod(_passing_on(k)))
        yield
    finally:
        for k, method in before.items():
            type.__setattr__(k, "__init_subclass__", method)


def _passing_on(owner: type) -> Callable[..., None]:
    def init_subclass(cls: type, **_: Any) -> None:
        super(owner, cls).__init_subclass__()  # type: ignore[arg-type]

    return init_subclass


def _slots(obj: type) -> set[str]:
    """The descriptors that a class has for its slots."""
    member = types.MemberDescriptorType
    return {key for key, value in vars(obj).items() if type(value) is member and value.__objclass__ is obj}


def _registered(obj: type) -> tuple[type, ...]:
    """Virtual subclasses of an abstract class."""
    if not issubclass(type(obj), abc.ABCMeta):
        return ()
    found = (reference() for reference in abc._get_dump(obj)[0])  # type: ignore[attr-defined]
    return tuple(sorted((k for k in found if k is not None), key=lambda k: k.__qualname__))


def _steady(key: str, value: Any) -> Any:
    if key == "__static_attributes__" and value:
        return tuple(sorted(value))  # the compiler's order is that of a set
    if key == "__firstlineno__":
        return 1  # where it stands in its cell is no part of what it is
    return sys.intern(value) if type(value) is str else value


def regenerate(cls: type, stubs: Collection[int]) -> set[int]:
    """Have methods that a library generated made again, where their code is of another Python.

    `stubs` are the identities of what stands for functions without code; returns those that were replaced.
    """
    held = vars(cls)
    stands_for = {key: {id(f), id(getattr(f, "__wrapped__", None))} for key, f in held.items()}
    lost = {key: held[key] for key, ids in stands_for.items() if not ids.isdisjoint(stubs)}
    if lost and "__dataclass_params__" in held:
        for key in lost:
            type.__delattr__(cls, key)
        _decorate(cls)
    elif lost and "_field_defaults" in held:
        factory = cast("Any", collections.namedtuple)  # noqa: PYI024 - the types of its fields are in the class
        made = factory(cls.__name__, held["_fields"], defaults=held["_field_defaults"].values())
        for key in lost:
            if key in vars(made):
                type.__setattr__(cls, key, vars(made)[key])
            else:
                type.__delattr__(cls, key)
    return {i for key, f in lost.items() if vars(cls).get(key) is not f for i in stands_for[key]}


def _decorate(cls: type) -> None:
    """Make a class a dataclass once more, from what the first time left in it."""
    held = vars(cls)
    fields, params = held["__dataclass_fields__"], held["__dataclass_params__"]
    own = [name for name in held.get("__annotations__", {}) if name in fields]
    slots = {name: held[name] for name in own if type(held.get(name)) is types.MemberDescriptorType}
    for name in own:
        type.__setattr__(cls, name, fields[name])
    known = inspect.signature(dataclasses.dataclass).parameters.keys() - {"slots", "weakref_slot"}
    dataclasses.dataclass(**{k: getattr(params, k) for k in params.__slots__ if k in known})(cls)
    for name, descriptor in slots.items():
        type.__setattr__(cls, name, descriptor)
