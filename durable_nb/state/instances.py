"""Instances that plain pickle would bring back wrong.

Exceptions, objects whose class interferes with how they are made and read, and what `typing` makes.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from durable_nb.state.classes import in_notebook

Reduce = Callable[[Any], Any]


def handler(kind: type) -> Reduce | None:
    """How instances of a class are reduced; None where plain pickle is right."""
    if issubclass(kind, BaseException):
        return _exception_reduce if _is_plain(kind, BaseException) else None
    if kind.__module__ == "typing":
        return _TYPING.get(kind.__name__)
    return _odd_reduce if _is_odd(kind) else None


_HOOKS = ("__reduce_ex__", "__reduce__", "__getstate__", "__setstate__")


def _is_plain(kind: type, base: type) -> bool:
    """Whether a class says nothing of its own about pickling."""
    return all(getattr(kind, hook, None) is getattr(base, hook, None) for hook in _HOOKS)


def _exception_reduce(error: BaseException) -> Any:
    reduced: Any = error.__reduce_ex__(5)
    make, args, attributes = (*reduced, None)[:3]
    if in_notebook(type(error)):
        make, args = exception, (type(error), *args)
    held = (attributes, error.__cause__, error.__context__, error.__suppress_context__)
    return make, args, held, None, None, set_exception


def exception(kind: type[BaseException], *args: Any) -> BaseException:
    """An exception without running its `__init__`, whose parameters may be others than `args`."""
    base: Any = next(k for k in kind.__mro__ if not in_notebook(k))
    return base.__new__(kind, *args)  # type: ignore[no-any-return]


def set_exception(error: BaseException, held: tuple[Any, ...]) -> None:
    """Give an exception its attributes, and what it was raised from."""
    attributes, error.__cause__, error.__context__, error.__suppress_context__ = held
    if attributes:
        vars(error).update(attributes)


_OWN = frozenset({"__getattr__", "__getattribute__", "__new__", "__class__", "__dict__"})


def _is_odd(kind: type) -> bool:
    """Whether loading an instance in the plain way would run the notebook's own code.

    It would ask the empty instance for hooks, call `__new__` without arguments, believe its `__dict__`.
    """
    own = [vars(k) for k in kind.__mro__ if k is not object]
    if not any(_OWN & held.keys() and _overrides(held) for held in own):
        return False
    hooks = {"__getnewargs__", "__getnewargs_ex__"}
    return (
        _is_plain(kind, object)
        and not any(hooks & held.keys() for held in own)
        and all(in_notebook(k) for k in kind.__mro__ if k is not object)
    )


def _overrides(held: Mapping[str, Any]) -> bool:
    own = {key for key in _OWN & held.keys() if type(held[key]) is not types.GetSetDescriptorType}
    return bool(own)


def _odd_reduce(obj: Any) -> Any:
    state = object.__getstate__(obj)
    attributes = _attributes(obj)
    if type(state) is not tuple and attributes is not None:
        state = dict(attributes) or None
    return bare, (type(obj),), state, None, None, set_attributes


def bare(kind: type) -> Any:
    """An instance that no code of the notebook has seen."""
    return object.__new__(kind)


def dict_getter(kind: type) -> Callable[[Any], dict[str, Any]] | None:
    """What gives the true `__dict__` of a class's instances; None where they have slots only."""
    for base in kind.__mro__:
        descriptor = vars(base).get("__dict__")
        if type(descriptor) is types.GetSetDescriptorType:
            return descriptor.__get__
    return None


def _attributes(obj: Any) -> dict[str, Any] | None:
    """The true `__dict__` of an instance; None where it has slots only."""
    get = dict_getter(type(obj))
    return None if get is None else get(obj)


def is_its_dict(kind: type) -> bool:
    """Whether instances of a class of the notebook are their `__dict__`, and nothing else."""
    own = [vars(k) for k in kind.__mro__ if k is not object]
    return (
        in_notebook(kind)
        and _is_plain(kind, object)
        and kind.__dictoffset__ != 0
        and all(k is object or in_notebook(k) for k in kind.__mro__)
        and not any({"__slots__", "__getnewargs__", "__getnewargs_ex__"} & held.keys() for held in own)
    )


def with_dict(obj: Any) -> Any:
    """How an instance is reduced whose `__dict__` somebody else holds, and has to get back."""
    return bare, (type(obj),), obj.__dict__, None, None, set_dict


class _Probe:
    """An instance whose `__dict__` nobody else holds."""


def _holders(obj: Any) -> int:
    held = obj.__dict__
    return sys.getrefcount(held)


ALONE = _holders(_Probe())
"""Count of references to a `__dict__` that a local variable holds, and nobody but the instance."""


def set_dict(obj: Any, attributes: dict[str, Any]) -> None:
    """Make a dict the `__dict__` of an instance: whoever else holds it holds the instance's."""
    object.__setattr__(obj, "__dict__", attributes)


def set_attributes(obj: Any, state: Any) -> None:
    """Give an instance its attributes without asking it anything."""
    attributes, slots = state if type(state) is tuple else (state, None)
    held = _attributes(obj)
    if attributes and held is not None:
        held.update({sys.intern(k): v for k, v in attributes.items()})
        attributes = None
    for key, value in {**(attributes or {}), **(slots or {})}.items():
        object.__setattr__(obj, key, value)


def _variable_reduce(variable: Any) -> Any:
    if not in_notebook(variable):
        return variable.__reduce_ex__(5)
    options = {key: getattr(variable, f"__{key}__") for key in _OPTIONS if hasattr(variable, f"__{key}__")}
    if getattr(typing, "NoDefault", None) is options.get("default", ...):
        del options["default"]
    if options.get("infer_variance") is False:
        del options["infer_variance"]
    return type_variable, (type(variable).__name__, variable.__name__, _constraints(variable), options)


_OPTIONS = ("bound", "covariant", "contravariant", "infer_variance", "default")


def _constraints(variable: Any) -> tuple[Any, ...]:
    return getattr(variable, "__constraints__", ())


def type_variable(kind: str, name: str, constraints: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """A type variable of the notebook."""
    made = getattr(typing, kind)(name, *constraints, **options)
    made.__module__ = "__main__"
    return made


def _new_type_reduce(made: Any) -> Any:
    if not in_notebook(made):
        return made.__reduce__()
    return new_type, (made.__qualname__, made.__supertype__)


def new_type(name: str, supertype: Any) -> Any:
    """A `typing.NewType` of the notebook."""
    made = typing.NewType(name, supertype)  # type: ignore[misc]
    made.__module__ = "__main__"
    return made


def _alias_reduce(alias: Any) -> Any:
    if not in_notebook(alias):
        return alias.__reduce__()
    return type_alias, (alias.__name__, alias.__value__, alias.__type_params__)


def type_alias(name: str, value: Any, parameters: tuple[Any, ...]) -> Any:
    """What a `type` statement of the notebook made."""
    return typing.TypeAliasType(name, value, type_params=parameters)  # type: ignore[attr-defined]


_TYPING: dict[str, Reduce] = {
    "TypeVar": _variable_reduce,
    "ParamSpec": _variable_reduce,
    "TypeVarTuple": _variable_reduce,
    "NewType": _new_type_reduce,
    "TypeAliasType": _alias_reduce,
}
