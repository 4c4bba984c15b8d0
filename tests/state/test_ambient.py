"""What surrounds the variables comes back with them; nothing is imported to look at it."""

from __future__ import annotations

import decimal
import os
import pickle
import random
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import durable_nb
from durable_nb import config
from durable_nb.state import ambient

if TYPE_CHECKING:
    from conftest import Notebook


@pytest.fixture(autouse=True)
def _undone() -> Iterator[None]:
    """Whatever a test does to this process is taken back."""
    folder, path = Path.cwd(), list(sys.path)
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with decimal.localcontext(), warnings.catch_warnings(), pd.option_context("display.width", 80):
        yield
    os.chdir(folder)
    sys.path[:] = path
    random.setstate(python)
    np.random.set_state(numpy)  # noqa: NPY002
    for key in ("display.max_rows", "display.precision", "display.float_format"):
        pd.reset_option(key)


def _watch(*kinds: str) -> tuple[ambient.Watch, dict[str, object]]:
    """A watch that has seen the present, and what it takes for kept."""
    watch, live = ambient.Watch(kinds or ambient.KINDS), {}
    live = {name: object() for name in watch.changed({})}
    watch.changed(live)
    return watch, live


def _kept(kind: str) -> Any:
    """One kind as it would come out of a store."""
    (value,) = ambient.Watch([kind]).changed({}).values()
    return pickle.loads(pickle.dumps(value))


def _write(kind: str, value: Any) -> None:
    ambient.write(ambient.PREFIX + kind, value)


CHANGES = {
    "random": random.random,
    "numpy": np.random.random,
    "cwd": lambda: os.chdir("/"),
    "path": lambda: sys.path.append("/somewhere/else"),
    "pandas": lambda: pd.set_option("display.max_rows", 7),
    "decimal": lambda: setattr(decimal.getcontext(), "prec", 50),
    "warnings": lambda: warnings.simplefilter("ignore", ResourceWarning),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_only_what_changed_is_kept_anew(kind: str) -> None:
    watch, live = _watch()
    assert watch.changed(live) == {}
    CHANGES[kind]()
    assert list(watch.changed(live)) == [ambient.PREFIX + kind]
    live[ambient.PREFIX + kind] = object()
    watch.changed(live)
    assert watch.changed(live) == {}


def test_what_was_forgotten_or_replaced_is_kept_anew() -> None:
    watch, live = _watch("random", "cwd")
    del live["ambient:random"]
    live["ambient:cwd"] = object()
    assert list(watch.changed(live)) == ["ambient:random", "ambient:cwd"]


def test_a_deviate_that_waits_in_numpys_generator_is_state() -> None:
    watch, live = _watch("numpy")
    np.random.seed(1)  # noqa: NPY002
    states, drawn = [], []
    for _ in range(4):  # deviates are made in pairs: every second draw takes nothing from the generator
        (state,) = watch.changed(live).values()
        states.append(state)
        live["ambient:numpy"] = object()
        drawn.append(np.random.standard_normal())  # noqa: NPY002
    for state, wanted in zip(states, drawn, strict=True):
        _write("numpy", state)
        assert np.random.standard_normal() == wanted  # noqa: NPY002


def test_another_kind_of_numpys_generator_comes_back() -> None:
    before = np.random.get_bit_generator()
    try:
        np.random.set_bit_generator(np.random.PCG64(3))
        watch, live = _watch("numpy")
        state = _kept("numpy")
        wanted = np.random.random()  # noqa: NPY002
        assert list(watch.changed(live)) == ["ambient:numpy"]
        np.random.set_bit_generator(before)
        _write("numpy", state)
        assert np.random.random() == wanted  # noqa: NPY002
        assert type(np.random.get_bit_generator()) is np.random.PCG64
    finally:
        np.random.set_bit_generator(before)


def test_additions_to_the_path_come_back_on_their_side_and_the_installation_stays() -> None:
    here = list(sys.path)
    sys.path.insert(0, "/first")
    sys.path.append("/last")
    kept = _kept("path")
    assert not any("site-packages" in entry for side in kept for entry in side)
    sys.path[:] = [*here, "/mine"]
    _write("path", kept)
    assert sys.path == ["/first", *here, "/mine", "/last"]
    _write("path", kept)
    assert sys.path == ["/first", *here, "/mine", "/last"]


def test_the_decimal_context_is_changed_in_place() -> None:
    context = decimal.getcontext()
    context.prec, context.rounding = 7, decimal.ROUND_UP
    context.traps[decimal.Inexact] = True
    context.flags[decimal.Rounded] = True
    kept = _kept("decimal")
    context.prec, context.rounding = 30, decimal.ROUND_DOWN
    context.traps[decimal.Inexact] = context.flags[decimal.Rounded] = False
    _write("decimal", kept)
    assert decimal.getcontext() is context
    assert (context.prec, context.rounding) == (7, decimal.ROUND_UP)
    assert context.traps[decimal.Inexact]
    assert context.flags[decimal.Rounded]
    assert not context.traps[decimal.Rounded]


def test_warning_filters_come_back_in_their_order_and_hold() -> None:
    warnings.resetwarnings()
    warnings.filterwarnings("error", message="no.*way", category=pd.errors.PerformanceWarning, module="x.y")
    warnings.filterwarnings("ignore", category=UserWarning, lineno=3)
    warnings.simplefilter("error", UserWarning, append=True)
    filters = list(warnings.filters)
    kept = _kept("warnings")
    warnings.resetwarnings()
    warnings.simplefilter("ignore")
    warnings.warn("unheard", UserWarning, stacklevel=1)
    _write("warnings", kept)
    assert list(warnings.filters) == filters
    with pytest.raises(UserWarning):
        warnings.warn("heard", UserWarning, stacklevel=1)


def test_a_filter_whose_category_cannot_be_imported_is_named_and_the_others_come_back() -> None:
    warnings.resetwarnings()
    warnings.simplefilter("ignore", UserWarning)
    kept = [*_kept("warnings"), ("error", ("no_such_library", "LibraryWarning"), None, None, 0)]
    warnings.resetwarnings()
    with pytest.raises(ImportError, match=r"no_such_library\.LibraryWarning"):
        _write("warnings", kept)
    assert list(warnings.filters) == [("ignore", None, UserWarning, None, 0)]


def test_pandas_options_that_differ_are_kept_and_the_others_are_defaults() -> None:
    pd.set_option("display.max_rows", 7)
    kept = _kept("pandas")
    assert kept == {"display.max_rows": 7}
    pd.set_option("display.max_rows", 8)
    pd.set_option("display.precision", 2)
    _write("pandas", kept)
    assert pd.get_option("display.max_rows") == 7
    assert pd.get_option("display.precision") == 6


def test_an_option_that_is_gone_is_named_and_the_others_come_back() -> None:
    with pytest.raises(ValueError, match="no_such_option"):
        _write("pandas", {"display.no_such_option": 1, "display.max_rows": 9})
    assert pd.get_option("display.max_rows") == 9


def test_rc_params_come_back_but_never_the_backend() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    with matplotlib.rc_context():
        matplotlib.rcParams["lines.linewidth"] = 7
        matplotlib.rcParams["font.sans-serif"].insert(0, "Mine")
        matplotlib.rcParams["axes.prop_cycle"] = matplotlib.cycler(color=["r", "g"])
        watch, live = _watch("matplotlib")
        kept = _kept("matplotlib")
        assert "backend" not in kept
        matplotlib.rcParams["font.sans-serif"].remove("Mine")
        assert list(watch.changed(live)) == ["ambient:matplotlib"]
        matplotlib.rcParams["lines.linewidth"] = 3
        matplotlib.rcParams["lines.markersize"] = 30
        matplotlib.rcParams["axes.prop_cycle"] = matplotlib.cycler(color=["b"])
        dict.__setitem__(matplotlib.rcParams, "backend", "svg")
        _write("matplotlib", kept)
        assert matplotlib.rcParams["lines.linewidth"] == 7
        assert matplotlib.rcParams["lines.markersize"] == matplotlib.rcParamsOrig["lines.markersize"]
        assert matplotlib.rcParams["font.sans-serif"][0] == "Mine"
        assert matplotlib.rcParams["axes.prop_cycle"].by_key() == {"color": ["r", "g"]}
        assert dict.__getitem__(matplotlib.rcParams, "backend") == "svg"
        matplotlib.rcParams["font.sans-serif"].remove("Mine")


def test_torchs_generator_comes_back() -> None:
    torch = pytest.importorskip("torch")
    watch, live = _watch("torch")
    kept = _kept("torch")
    drawn = torch.rand(3)
    assert list(watch.changed(live)) == ["ambient:torch"]
    _write("torch", kept)
    assert torch.equal(torch.rand(3), drawn)


def test_looking_imports_nothing_and_writing_only_what_was_kept() -> None:
    code = """if True:
        import sys
        from durable_nb.state import ambient
        kept = ambient.Watch(ambient.KINDS).changed({})
        for name, value in kept.items():
            ambient.write(name, value)
        ambient.write("ambient:pandas", {})
        heavy = {"numpy", "pandas", "matplotlib", "torch"}
        print(sorted(heavy & set(sys.modules)), "ambient:random" in kept)
    """
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == "[] True\n"


def test_every_kind_is_on_and_can_be_turned_off() -> None:
    assert config.Settings().ambient == tuple(ambient.KINDS)
    assert config.parse("ambient", "random,cwd") == ("random", "cwd")
    watch, live = _watch("cwd")
    random.seed(1)
    assert live.keys() == {"ambient:cwd"}
    assert watch.changed(live) == {}


# -- in a notebook


def test_it_comes_back_with_a_rollback_and_in_a_new_shell(notebook: Notebook) -> None:
    notebook.run(
        """
        import random, warnings, decimal
        import numpy as np, pandas as pd
        random.seed(1); np.random.seed(2)
        pd.set_option("display.float_format", "{:.1f}!".format)
        pd.set_option("display.max_rows", 7)
        decimal.getcontext().prec = 9
        warnings.simplefilter("ignore", FutureWarning)
        """
    )
    point = notebook.checkpoint()
    look = (
        "[random.random(), np.random.random(), pd.get_option('display.max_rows'), decimal.getcontext().prec,"
        " [f[2] for f in warnings.filters].count(FutureWarning), repr(pd.Series([1.25]))]"
    )
    wanted = notebook.run(look)
    undo = """
        pd.reset_option("display.max_rows"); pd.reset_option("display.float_format")
        decimal.getcontext().prec = 3; warnings.resetwarnings()
        """
    notebook.run(undo)
    assert notebook.run(look) != wanted
    notebook.back_to(point)
    assert notebook.run(look) == wanted
    notebook.back_to(point)
    notebook.checkpoint()
    notebook.run(undo)
    notebook.close()
    random.seed()
    notebook.open()
    notebook.back_to(point)
    assert notebook.run(look) == wanted


def test_a_kind_that_is_off_is_neither_kept_nor_put_back(notebook: Notebook) -> None:
    notebook.close()
    (notebook.folder / "pyproject.toml").write_text("[tool.durable_nb]\nambient = ['cwd', 'path']")
    notebook.open()
    notebook.run("import random", "random.seed(1)")
    point = notebook.checkpoint()
    wanted = notebook.run("random.random()")
    notebook.back_to(point)
    assert notebook.run("random.random()") != wanted


def test_a_notebooks_own_function_and_warning_class_are_the_live_ones(notebook: Notebook) -> None:
    notebook.run(
        """
        import pandas as pd, warnings
        class MyWarning(UserWarning): pass
        def shown(x): return f"<{x + offset}>"
        offset = 1
        warnings.simplefilter("error", MyWarning)
        pd.set_option("display.float_format", shown)
        """
    )
    notebook.close()
    pd.reset_option("display.float_format")
    warnings.resetwarnings()
    notebook.open()
    durable_nb.recover()
    assert pd.get_option("display.float_format") is notebook["shown"]
    assert [f[:3] for f in warnings.filters if f[2] is notebook["MyWarning"]] == [
        ("error", None, notebook["MyWarning"])
    ]
    notebook.run("offset = 5")
    assert "<6.0>" in repr(pd.Series([1.0]))
