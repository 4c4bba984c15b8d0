"""Keras: layers, models and optimizers as the objects that they are.

Keras' own reducer writes each as a file of its own, which parts layers from their variables and models from
their optimizers, and loses the state of an optimizer that has no model.
"""

from __future__ import annotations

from typing import Any

from durable_nb.state.reducers.reduce import Table, family

_COMPILED = frozenset({"train_function", "test_function", "predict_function"})
"""Attributes that Keras makes again when they are needed"""
_NAMES, _LINKS = "_self_unconditional_dependency_names", "_self_unconditional_checkpoint_dependencies"
"""Where TensorFlow notes what an object holds"""


def bare(kind: type) -> Any:
    """An object without contents."""
    return object.__new__(kind)


def set_attributes(target: Any, attributes: dict[str, Any]) -> None:
    """Fill it. Optimizers know their variables by a key that the process gave."""
    vars(target).update(attributes)
    if "_trainable_variables_indices" in attributes:
        variables = enumerate(target._trainable_variables)
        vars(target)["_trainable_variables_indices"] = {target._var_key(v): i for i, v in variables}


def _saveable(value: Any) -> Any:
    attributes: dict[str, Any] = {
        name: None if name in _COMPILED else held for name, held in vars(value).items()
    }
    if _LINKS in attributes:
        named = attributes[_NAMES].items()
        attributes[_NAMES] = {name: held for name, held in named if name not in _COMPILED}
        attributes[_LINKS] = [link for link in attributes[_LINKS] if link.name not in _COMPILED]
    return bare, (type(value),), attributes, None, None, set_attributes


def saveables(module: Any) -> Table:
    """Of `keras.src.saving.keras_saveable`."""
    return family(module.KerasSaveable, _saveable)


def distribution(module: Any) -> Table:
    """Of `tensorflow.python.distribute.distribute_lib`: the one strategy of who chose none."""
    return {module._DefaultDistributionStrategy: lambda _value: (module._get_default_strategy, ())}


def tracked(kind: Any) -> Any:
    """A list, dict or set that tells a tracker of what comes into it."""
    return kind.__new__(kind)


def set_tracked(target: Any, state: tuple[dict[str, Any], Any]) -> None:
    """Fill it without telling: the tracker is kept itself."""
    attributes, items = state
    vars(target).update(attributes)
    if isinstance(target, list):
        list.extend(target, items)
    else:
        (dict if isinstance(target, dict) else set).update(target, items)


def _tracked(value: Any) -> Any:
    plain = next(base for base in (list, dict, set) if isinstance(value, base))
    return tracked, (type(value),), (dict(vars(value)), plain(value)), None, None, set_tracked


def trackers(module: Any) -> Table:
    """Of `keras.src.utils.tracking`."""
    return dict.fromkeys((module.TrackedList, module.TrackedDict, module.TrackedSet), _tracked)
