"""Which reducer is used for which class: those of `reducers`, and those that users register."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from durable_nb.state.reducers import (
    arrays,
    boosting,
    databases,
    figures,
    files,
    libraries,
    networks,
    running,
    tensors,
    views,
    widgets,
)
from durable_nb.state.reducers.reduce import FAMILIES, Reduce, Table, inherits

REDUCERS: dict[type, Reduce] = {
    **files.FILES,
    **views.VIEWS,
    **running.RUNNING,
    **libraries.MODULES,
    **libraries.DATACLASSES,
}
"""class -> reduce function, as in `copyreg.dispatch_table`"""

REGISTERED: dict[type, Reduce] = {}
"""What users registered: it goes before ours."""

_OF_MODULES: Mapping[str, Callable[[Any], Table]] = {
    "IPython.core.interactiveshell": running.shells,
    "asyncio": running.loops,
    "_ctypes": libraries.ctypes,
    "concurrent.futures": running.futures,
    "duckdb": databases.duckdb,
    "ipykernel.iostream": files.streams,
    "ipywidgets": widgets.widgets,
    "logging": libraries.logging,
    "multiprocessing.connection": running.pipes,
    "numpy": lambda module: {**libraries.numpy(module), **arrays.subclasses(module)},
    "sqlite3": databases.sqlite,
    "subprocess": running.processes,
    "tarfile": files.archives,
    "tempfile": files.temporary,
    "threading": running.threads,
    "torch": tensors.torch,
    "PIL.ImageDraw": figures.pillow,
    "astropy.table.table": arrays.tables,
    "astropy.utils.data_info": arrays.infos,
    "astropy.units.quantity": arrays.quantities,
    "bokeh.core.property.wrappers": figures.bokeh,
    "keras.src.saving.keras_saveable": networks.saveables,
    "keras.src.utils.tracking": networks.trackers,
    "lightgbm.basic": boosting.lightgbm,
    "matplotlib.cbook": figures.matplotlib_callbacks,
    "matplotlib.figure": figures.matplotlib_figures,
    "plotly.basedatatypes": figures.plotly,
    "xgboost.core": boosting.xgboost,
    "tensorflow.python.distribute.distribute_lib": networks.distribution,
    "tqdm.std": libraries.progress_bars,
    "zipfile": files.archives,
}


def register(kind: type, reduce: Reduce) -> None:
    """Say how objects of `kind` are kept: `reduce(obj)` returns what `__reduce__` would.

    It holds for objects of exactly that class, not of its subclasses, from the next checkpoint on; before
    what the class or durable_nb itself says. It is kept with the notebook, and so need not be said again
    after a crash: what `reduce` returns has to be made of functions that can be imported, or that the
    notebook defines.

    Raises:
        TypeError: `kind` is no class, or `reduce` cannot be called.
    """
    if not (inspect.isclass(kind) and callable(reduce)):
        raise TypeError("register(type, reduce): the first is a class, the second returns a reduce tuple")
    name = (kind.__module__, kind.__qualname__)
    for older in [k for k in REGISTERED if (k.__module__, k.__qualname__) == name]:
        del REGISTERED[older]  # the notebook's class of that name was defined anew
    REGISTERED[kind] = reduce


def reducers() -> dict[type, Reduce]:
    """Those that hold now, also for the classes of modules that have been imported by now."""
    return {**_with_modules(len(sys.modules)), **REGISTERED}


def inherited(kind: type) -> Reduce | None:
    """The reducer of a class that has none of its own, where a base says how its subclasses are kept."""
    base = next((base for base in kind.__mro__ if base in FAMILIES), None)
    return _with_modules(len(sys.modules))[base] if base is not None and inherits(kind, base) else None


@functools.lru_cache(maxsize=1)
def _with_modules(_count: int) -> dict[type, Reduce]:
    found = dict(REDUCERS)
    for name, table in _OF_MODULES.items():
        if name in sys.modules:
            with suppress(AttributeError):  # it is half imported
                found.update(table(sys.modules[name]))
    return found
