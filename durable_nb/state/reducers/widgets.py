"""Widgets of ipywidgets: by the values of their traits. The half that is in the page follows them."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

from durable_nb.state.reducers.reduce import Table, family, refuse

_live: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
"""Widgets that were kept, by model: what the page shows has to stay the one that the variable is."""

_OWN = frozenset({"comm", "keys", "log", "config", "parent"})


def widget(kind: type[Any], model: str) -> Any:
    """The widget, where it is there; else one that can be shown again."""
    found = _live.get(model)
    return kind() if found is None or found.comm is None else found


def set_widget(target: Any, state: tuple[dict[str, Any], Any, Any]) -> None:
    """Give a widget its values, without calling anybody, and its callbacks."""
    traits, observers, callbacks = state
    target._trait_values.update(traits)
    for held in _handlers(target):
        held[:] = [handler for handler in held if not _is_notebooks(handler)]
    for name, kind, handler in observers:
        target.observe(handler, name, kind)
    for name, handler in callbacks:
        getattr(target, name).register_callback(handler)
    target.send_state()


def _is_notebooks(handler: Any) -> bool:
    return getattr(handler, "__module__", None) == "__main__"


def _handlers(value: Any) -> Iterable[list[Any]]:
    for kinds in value._trait_notifiers.values():
        yield from kinds.values()
    yield from (held.callbacks for _, held in _dispatchers(value))


def _dispatchers(value: Any) -> Iterable[tuple[str, Any]]:
    return ((name, held) for name, held in vars(value).items() if hasattr(held, "register_callback"))


def _widget(value: Any) -> Any:
    kind = type(value)
    if value.comm is None or not kind.__module__.startswith("ipywidgets.widgets.widget_"):
        return refuse(value)  # closed; or made by code of its own
    _live[value.model_id] = value
    traits = {
        name: held
        for name, held in sorted(value._trait_values.items())
        if not name.startswith("_") and name not in _OWN
    }
    observers = [
        (name, event, handler)
        for name, kinds in value._trait_notifiers.items()
        for event, handlers in kinds.items()
        for handler in handlers
        if _is_notebooks(handler)
    ]
    callbacks = [
        (n, handler)
        for n, held in _dispatchers(value)
        for handler in held.callbacks
        if _is_notebooks(handler)
    ]
    return widget, (kind, value.model_id), (traits, observers, callbacks), None, None, set_widget


def widgets(module: Any) -> Table:
    """Of ipywidgets."""
    return family(module.Widget, _widget)
