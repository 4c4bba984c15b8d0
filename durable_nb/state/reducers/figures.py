"""Figures and pictures: of Matplotlib, Plotly, Bokeh and Pillow."""

from __future__ import annotations

import copy
import copyreg
import importlib
import types
from typing import Any

from durable_nb.state.reducers.reduce import Table, family


def _callbacks(registry: Any) -> Any:
    """With the notebook's callbacks, and without counting up: `__getstate__` does neither."""
    kept = {}
    for signal, proxies in registry.callbacks.items():
        found = {cid: proxy() for cid, proxy in proxies.items()}
        kept[signal] = {
            cid: held
            for cid, held in found.items()
            if held is not None and (cid in registry._pickled_cids or _is_the_notebooks(held))
        }
    state = {
        **vars(registry),
        "callbacks": kept,
        "_func_cid_map": None,
        "_cid_gen": next(copy.copy(registry._cid_gen)),
    }
    return copyreg.__newobj__, (type(registry),), state  # type: ignore[attr-defined]


def _is_the_notebooks(held: Any) -> bool:
    owner = held.__self__ if isinstance(held, types.MethodType) else held
    module = owner.__module__ if isinstance(owner, types.FunctionType) else type(owner).__module__
    return module == "__main__"


def matplotlib_callbacks(module: Any) -> Table:
    """Of `matplotlib.cbook`."""
    return {module.CallbackRegistry: _callbacks}


def set_figure(target: Any, state: tuple[dict[str, Any], int | None, bool]) -> None:
    """Fill a figure; where pyplot knew it, under its old number, in the place of what had that."""
    inside, number, active = state
    target.__setstate__(inside)
    if number is None:
        return
    known = importlib.import_module("matplotlib._pylab_helpers").Gcf
    backend = importlib.import_module("matplotlib.pyplot")._get_backend_mod()
    was = known.get_active()
    known.figs.pop(number, None)
    manager = backend.new_figure_manager_given_figure(number, target)
    known._set_new_active_manager(manager)
    if was is not None and not active and was.num != number:
        known.set_active(was)


def _figure(value: Any) -> Any:
    known = importlib.import_module("matplotlib._pylab_helpers").Gcf
    state = value.__getstate__()
    registered = state.pop("_restore_to_pylab", False)
    number = value.canvas.manager.num if registered else None
    active = registered and known.get_active() is value.canvas.manager
    return copyreg.__newobj__, (type(value),), (state, number, active), None, None, set_figure  # type: ignore[attr-defined]


def matplotlib_figures(module: Any) -> Table:
    """Of `matplotlib.figure`."""
    return family(module.Figure, _figure)


def plotly_child(parent: Any, name: str, index: int | None) -> Any:
    """A part of a figure."""
    found = getattr(parent, name)
    return found if index is None else found[index]


def _plotly_part(value: Any) -> Any:
    """As a part of what it is in, if it is in something."""
    parent = value.parent
    if parent is not None:
        figure = not hasattr(parent, "_path_str") and hasattr(parent, "data")
        for name in ("data", "layout") if figure else (value.plotly_name,):
            held = getattr(parent, name)
            if held is value:
                return plotly_child, (parent, name, None)
            if isinstance(held, tuple):
                for index, item in enumerate(held):
                    if item is value:
                        return plotly_child, (parent, name, index)
    # Not by `to_plotly_json`, which leaves base64 where arrays were.
    return type(value), (dict(value._props or {}),)


def _plotly_figure(value: Any) -> Any:
    props = {
        "data": value._data,
        "layout": value._layout,
        "frames": [dict(frame._props or {}) for frame in value.frames],
        "_grid_str": value._grid_str,
        "_grid_ref": value._grid_ref,
    }
    return type(value), (props,)


def plotly(module: Any) -> Table:
    """Of `plotly.basedatatypes`."""
    return {
        **family(module.BasePlotlyType, _plotly_part),
        **family(module.BaseFigure, _plotly_figure),
    }


def set_owners(target: Any, owners: list[tuple[Any, str]]) -> None:
    """Tell a list of Bokeh's whose property it is."""
    for owner, name in owners:
        target._register_owner(owner, type(owner).lookup(name))


def bokeh_container(kind: type, items: Any) -> Any:
    """A list, dict or set of Bokeh's, which has to know of owners before it is filled."""
    return kind(items)


def _bokeh_container(value: Any) -> Any:
    plain = next(base for base in (list, dict, set) if isinstance(value, base))
    owners = [(owner, descriptor.name) for owner, descriptor in value._owners]
    return bokeh_container, (type(value), plain(value)), owners, None, None, set_owners


def bokeh(module: Any) -> Table:
    """Of `bokeh.core.property.wrappers`."""
    return family(module.PropertyValueContainer, _bokeh_container)


def pen(image: Any, mode: str) -> Any:
    """What draws on an image."""
    return importlib.import_module("PIL.ImageDraw").Draw(image, mode)


def set_pen(target: Any, state: dict[str, Any]) -> None:
    """Its ink and font."""
    vars(target).update(state)


def _pen(value: Any) -> Any:
    state = {name: held for name, held in vars(value).items() if name in ("ink", "fill", "fontmode", "font")}
    return pen, (value._image, value.mode), state, None, None, set_pen


def pillow(module: Any) -> Table:
    """Of `PIL.ImageDraw`."""
    return {module.ImageDraw: _pen}
