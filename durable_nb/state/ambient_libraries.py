"""Ambient state of libraries: how it is read where one is imported, and put back."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from itertools import chain
from typing import Any

_MT19937 = 2500
"""Bytes of that generator's state: 624 words and the position."""


def numpy_stamp(before: Any) -> Any:
    """Which generator, the bytes of its state, and the normal deviate that waits in it."""
    numpy = sys.modules.get("numpy.random")
    if numpy is None:
        return None
    generator = numpy.get_bit_generator()
    if type(generator) is not numpy.MT19937:
        return generator, repr(numpy.get_state(legacy=False)), 0, 0.0
    from ctypes import string_at

    words = string_at(generator.ctypes.state_address, _MT19937)
    # The whole state takes thirty times as long. Drawing takes from the words, unless a deviate waited.
    if before is not None and before[0] is generator and before[1] == words and not before[2]:
        return before
    state = numpy.get_state(legacy=False)
    return generator, words, state["has_gauss"], state["gauss"]


def numpy_value(_stamp: Any) -> Any:
    """The state, as `numpy.random.set_state` takes it."""
    return sys.modules["numpy.random"].get_state(legacy=False)


def numpy_write(state: Any) -> None:
    """Put back NumPy's global generator, with its kind."""
    import numpy as np

    generators: Any = np.random  # these two are in no stub
    if type(generators.get_bit_generator()).__name__ != state["bit_generator"]:
        generators.set_bit_generator(getattr(np.random, state["bit_generator"])())
    np.random.set_state(state)  # noqa: NPY002 - the global generator is what is put back


def torch_stamp(_before: Any) -> Any:
    """The states of the default generators: the CPU's, and each CUDA device's where CUDA is in use."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    generators = [torch.default_generator]
    if torch.cuda.is_initialized():
        generators += torch.cuda.default_generators
    return tuple(generator.get_state().numpy().tobytes() for generator in generators)


def torch_write(states: tuple[bytes, ...]) -> None:
    """Put back the default generators of what is there."""
    torch = import_module("torch")

    def tensor(state: bytes) -> Any:
        return torch.frombuffer(bytearray(state), dtype=torch.uint8)

    cpu, *devices = states
    torch.set_rng_state(tensor(cpu))
    if devices and torch.cuda.is_available():
        for device in range(min(len(devices), torch.cuda.device_count())):
            torch.cuda.set_rng_state(tensor(devices[device]), device)


_SURROUNDINGS = frozenset({"backend", "backend_fallback", "interactive", "toolbar"})
"""rcParams that say where figures are shown: the new process knows better."""


def matplotlib_stamp(_before: Any) -> Any:
    """The values, and what the lists among them hold."""
    matplotlib = sys.modules.get("matplotlib")
    if matplotlib is None:
        return None
    values = tuple(dict.values(matplotlib.rcParams))  # as they are: a look-up may choose a backend
    return values, [tuple(value) for value in values if type(value) is list]


def _rc_values(params: Any) -> dict[str, Any]:
    return {key: value for key, value in dict.items(params) if key not in _SURROUNDINGS}


def matplotlib_value(_stamp: Any) -> dict[str, Any]:
    """The rcParams that differ from those that the user's matplotlibrc gives, and all lists.

    Lists are the same objects in the defaults, where a change in place shows too.
    """
    mpl = sys.modules["matplotlib"]
    params = _rc_values(mpl.rcParams)
    lists = {key: list(value) for key, value in params.items() if type(value) is list}
    return _differing(params, _rc_values(mpl.rcParamsOrig)) | lists


def matplotlib_write(changes: Mapping[str, Any]) -> None:
    """Put back the rcParams: the user's defaults, and what differed."""
    mpl = import_module("matplotlib")
    wanted = _rc_values(mpl.rcParamsOrig) | dict(changes)
    _set(_differing(wanted, _rc_values(mpl.rcParams)), mpl.rcParams.__setitem__)


def pandas_stamp(_before: Any) -> Any:
    """The values of all options."""
    config = sys.modules.get("pandas._config.config")
    if config is None:
        return None
    return tuple(chain.from_iterable(map(dict.values, _levels(config._global_config))))


def _levels(tree: dict[str, Any]) -> list[dict[str, Any]]:
    """The dicts of a tree of options, itself first. A new one is seen as a new value of another one."""
    if not _LEVELS or _LEVELS[0] is not tree:
        _LEVELS[:] = [tree]
        for level in _LEVELS:
            _LEVELS.extend(value for value in level.values() if type(value) is dict)
    return _LEVELS


_LEVELS: list[dict[str, Any]] = []
"""Those of pandas' options, until they change."""


def _options(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A tree of options, flat: dotted name -> value."""
    found: dict[str, Any] = {}
    levels = [("", tree)]
    for prefix, level in levels:
        for key, value in level.items():
            if type(value) is dict:
                levels.append((f"{prefix}{key}.", value))
            else:
                found[prefix + key] = value
    return found


def pandas_value(_stamp: Any) -> dict[str, Any]:
    """The options that differ from pandas' defaults."""
    _LEVELS.clear()
    config = sys.modules["pandas._config.config"]
    defaults = {key: option.defval for key, option in config._registered_options.items()}
    return _differing(_options(config._global_config), defaults)


def pandas_write(changes: Mapping[str, Any]) -> None:
    """Put back the options: the defaults, and what differed."""
    if not changes and "pandas" not in sys.modules:
        return
    import pandas as pd
    from pandas._config import config

    options: Any = config
    wanted = {key: option.defval for key, option in options._registered_options.items()} | dict(changes)
    _set(_differing(wanted, _options(options._global_config)), pd.set_option)


_MISSING = object()


def _differing(values: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if v is not (o := others.get(k, _MISSING)) and v != o}


def _set(values: Mapping[str, Any], set_one: Callable[[str, Any], Any]) -> None:
    """Set all that can be set; then say which could not, and why."""
    failed: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a deprecated option the user has been told
        for key, value in values.items():
            try:
                set_one(key, value)
            except Exception as error:
                failed.append(f"{key}: {error}")
    if failed:
        raise ValueError("; ".join(failed))
