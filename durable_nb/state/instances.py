"""Instances that plain pickle would bring back wrong.

Exceptions, objects that answer for attributes that they lack, and what `typing` makes.
"""

from __future__ import annotations

import copyreg
import sys
import typing
from collections.abc import Callable
from typing import Any

from durable_nb.state.classes import in_notebook

Reduce = Callable[[Any], Any]


def handler(kind: type) -> Reduce | None:
    """How instances of a class are reduced; None where plain pickle is right."""
    if issubclass(kind, BaseException):
        return _exception_reduce if _is_plain(kind, BaseException) else None
    if kind.__module__ == "typing":
        return _TYPING.get(kind.__name__)
    return _delegate_reduce if _delegates(kind) else None


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


def _delegates(kind: type) -> bool:
    """Whether instances answer for attributes that they lack, by the notebook's own code.

    Loading one would ask the empty instance whether it has a `__setstate__`, and never come back.
    """
    own = [k for k in kind.__mro__ if k is not object]
    if not any("__getattr__" in vars(k) or "__getattribute__" in vars(k) for k in own):
        return False
    plain = _is_plain(kind, object) and not {"__getnewargs__", "__getnewargs_ex__"} & {
        key for k in own for key in vars(k)
    }
    return plain and all(in_notebook(k) for k in own)


def _delegate_reduce(obj: Any) -> Any:
    state = object.__getstate__(obj)
    return copyreg.__newobj__, (type(obj),), state, None, None, set_attributes  # type: ignore[attr-defined]


def set_attributes(obj: Any, state: Any) -> None:
    """Give an instance its attributes without asking it anything."""
    attributes, slots = state if type(state) is tuple else (state, None)
    if attributes:
        object.__getattribute__(obj, "__dict__").update({sys.intern(k): v for k, v in attributes.items()})
    for key, value in (slots or {}).items():
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
