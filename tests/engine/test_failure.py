"""What of a failure can be looked at in a later kernel, and that looking costs the user nothing."""

from __future__ import annotations

import functools
import gc
import io
import itertools
import json
import linecache
import operator
import os
import pdb  # noqa: T100 - what is tested
import sys
import time
import traceback
import types
import weakref
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pandas as pd
import pytest
from IPython.core import debugger

from durable_nb import testing
from durable_nb.engine import failure

_LONG = "x" * 100_000
Space = dict[str, Any]


def _nothing(_name: str) -> bool:
    return False


def _secret(name: str) -> bool:
    return "password" in name


class _Cells:
    """A notebook's namespace, and cells that run in it as ipykernel runs them."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._count = itertools.count(1)

    def run(self, source: str) -> None:
        source = dedent(source).strip("\n") + "\n"
        name = f"/tmp/ipykernel_1/{next(self._count)}.py"  # noqa: S108 - nothing is written there
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        exec(compile(source, name, "exec", dont_inherit=True), self.space)

    def fail(self, source: str) -> BaseException:
        with pytest.raises(BaseException) as caught:  # noqa: PT011 - whichever it is
            self.run(source)
        error = caught.value
        assert error.__traceback__ is not None
        return error.with_traceback(error.__traceback__.tb_next.tb_next)  # type: ignore[union-attr]

    def describe(self, source: str, hidden: Callable[[str], bool] = _nothing) -> dict[str, Any]:
        return _described(self.fail(source), hidden)


def _described(error: BaseException, hidden: Callable[[str], bool] = _nothing) -> dict[str, Any]:
    """As it comes back from the log."""
    told = failure.describe(error, hidden)
    back: dict[str, Any] = json.loads(json.dumps(told, ensure_ascii=False).encode())
    assert back == told
    return back


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> _Cells:
    main = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    return _Cells(vars(main))


def _local(described: dict[str, Any], name: str) -> str:
    return str(described["frames"][-1]["locals"][name])


def test_a_failure_is_told_with_its_frames(cells: _Cells) -> None:
    told = cells.describe("""
        rows = [1, 2]
        def mean(values, weight=0):
            total = sum(values)
            return total / weight
        mean(rows)
    """)
    assert (told["type"], told["message"], told["omitted"]) == ("ZeroDivisionError", "division by zero", 0)
    cell, mean = told["frames"]
    assert (cell["function"], cell["line"], cell["source"]) == ("<module>", 5, "mean(rows)")
    assert cell["locals"] == {}
    assert (mean["function"], mean["line"], mean["source"]) == ("mean", 4, "return total / weight")
    assert mean["locals"] == {"values": "[1, 2]", "weight": "0", "total": "3"}
    assert mean["own"]
    assert not cell["own"]
    assert "total = sum(values)" in told["sources"][mean["file"]]
    assert told["traceback"].startswith("Traceback (most recent call last):\n")
    assert told["traceback"].endswith("ZeroDivisionError: division by zero\n")


def test_causes_contexts_notes_and_groups_are_in_the_text(cells: _Cells) -> None:
    told = cells.describe("""
        try:
            try:
                {}["lost"]
            except KeyError:
                int("three")
        except ValueError as error:
            found = RuntimeError("no rows")
            found.add_note("while reading a.csv")
            raise ExceptionGroup("both", [found, OSError("gone")]) from error
    """)
    for part in (
        "'lost'",
        "three",
        "no rows",
        "while reading a.csv",
        "gone",
        "direct cause",
        "During handling",
    ):
        assert part in told["traceback"]


def test_a_long_text_is_cut_in_the_middle_and_says_so(cells: _Cells) -> None:
    error = cells.fail(f"raise ValueError('first ' + 'x' * {len(_LONG)} + ' last')")
    told = failure.describe(error, _nothing, limit=5_000)
    assert len(told["traceback"]) <= 5_000
    assert "characters left out" in told["traceback"]
    assert "Traceback" in told["traceback"]
    assert told["traceback"].endswith(" last\n")
    assert len(told["message"]) == 2_000


def test_an_error_that_cannot_say_what_it_is_is_told(cells: _Cells) -> None:
    told = cells.describe("""
        class Mute(Exception):
            def __str__(self): raise SystemExit
        raise Mute
    """)
    assert told["type"] == "Mute"
    assert told["message"] == "<Mute: its str raises SystemExit>"
    assert "raise Mute" in told["traceback"]


def test_an_error_whose_text_hangs_is_told(cells: _Cells) -> None:
    start = time.monotonic()
    told = cells.describe("""
        import time
        class Slow(Exception):
            def __str__(self): time.sleep(60)
        raise Slow
    """)
    assert time.monotonic() - start < 5
    assert told["message"] == "<Slow: its str takes too long>"
    assert "Slow" in told["traceback"]


def test_half_a_character_does_not_keep_it_from_the_log(cells: _Cells) -> None:
    told = cells.describe("""
        def f(name): raise OSError(name)
        f('\\udc80')
    """)
    assert "udc80" in told["message"]
    assert "udc80" in _local(told, "name")


def test_representations_that_raise_hang_or_lie_hurt_nothing(cells: _Cells) -> None:
    cells.run("""
        import threading
        class Raises:
            def __repr__(self): raise SystemExit("no")
        class Hangs:
            def __repr__(self): threading.Event().wait()
        class Lies:
            __class__ = property(lambda self: str)
            shape = ("a", None)
            def __repr__(self): return 5
        class Grows:
            def __repr__(self): return "y" * 1_000_000
        class Refuses:
            def __getattribute__(self, name): raise RuntimeError(name)
    """)
    start = time.monotonic()
    told = cells.describe("""
        def f(raises, hangs, lies, grows, refuses):
            fine = 1
            assert not fine
        f(Raises(), Hangs(), Lies(), Grows(), Refuses())
    """)
    assert time.monotonic() - start < 2
    assert _local(told, "raises") == "<Raises: its repr raises SystemExit>"
    assert _local(told, "hangs") == "<Hangs: its repr takes too long>"
    assert _local(told, "lies") == "<Lies: its repr raises TypeError>"
    assert len(_local(told, "grows")) == 200
    assert "Refuses" in _local(told, "refuses")
    assert _local(told, "fine") == "1"


def test_many_values_that_hang_take_a_second_in_all(cells: _Cells) -> None:
    cells.run("""
        import time
        class Hangs:
            def __repr__(self): time.sleep(60)
    """)
    start = time.monotonic()
    arguments = ", ".join(f"a{i}" for i in range(30))
    told = cells.describe(f"""
        def f({arguments}): assert False
        f(*(Hangs() for _ in range(30)))
    """)
    assert time.monotonic() - start < 2.5
    assert len(told["frames"][-1]["locals"]) == 30


@pytest.mark.parametrize(
    ("make", "shown"),
    [
        (lambda: np.zeros((1000, 1000)), "<numpy.ndarray of shape (1000, 1000)>"),
        (lambda: pd.DataFrame(np.zeros((9000, 3))), "<pandas.DataFrame of shape (9000, 3)>"),
        (lambda: [np.zeros(20_000)], "[<numpy.ndarray of shape (20000,)>]"),
        (lambda: np.arange(3), "array([0, 1, 2])"),
        (lambda: 1 << 100_000, "<int of 100,001 bits>"),
        (dict, "{}"),
        (lambda: (1,), "(1,)"),
        (set, "set()"),
        (lambda: {"a": [1, {2}]}, "{'a': [1, {2}]}"),
        (lambda: [[[[[1]]]]], "[[[[…]]]]"),
    ],
)
def test_values_are_shown_as_far_as_they_can_be(cells: _Cells, make: Callable[[], Any], shown: str) -> None:
    cells.space["value"] = make()
    told = cells.describe("""
        def f(value): assert False
        f(value)
    """)
    assert _local(told, "value") == shown


@pytest.mark.parametrize(
    "make",
    [
        lambda: bytes(200_000_000),
        lambda: "x" * 200_000_000,
        lambda: [0] * 20_000_000,
        lambda: dict.fromkeys(range(2_000_000)),
        lambda: functools.reduce(lambda inner, _: [inner] * 50, range(10), 0),
    ],
    ids=["bytes", "text", "list", "dict", "nested"],
)
def test_huge_values_are_shown_at_once(cells: _Cells, make: Callable[[], Any]) -> None:
    cells.space["value"] = make()
    error = cells.fail("""
        def f(value): assert False
        f(value)
    """)
    told = _described(error)
    assert len(_local(told, "value")) <= 200
    assert "too long" not in _local(told, "value")


def test_secrets_are_left_out(cells: _Cells) -> None:
    source = """
        def f(password, options): assert False
        f("hunter2", {"password": "hunter2", "user": "me"})
    """
    told = cells.describe(source, _secret)
    assert _local(told, "password") == "<left out>"
    assert _local(told, "options") == "{'password': <left out>, 'user': 'me'}"
    data = failure.frames_bytes(cells.fail(source), _secret)
    assert data is not None
    assert failure.values_of(data, cells.space).keys() == {"options"}


def test_of_a_deep_recursion_the_ends_are_kept(cells: _Cells) -> None:
    told = cells.describe("""
        import sys
        def f(n): return f(n + 1)
        f(0)
    """)
    assert told["type"] == "RecursionError"
    assert len(told["frames"]) == 20
    assert told["omitted"] > 900
    assert told["frames"][0]["function"] == "<module>"
    numbers = [int(frame["locals"]["n"]) for frame in told["frames"][1:]]
    assert numbers == list(range(numbers[0], numbers[0] + 19))
    assert "repeated" in told["traceback"]


def test_the_notebooks_own_frame_is_kept_below_any_depth_of_a_library(cells: _Cells, tmp_path: Path) -> None:
    library = tmp_path / "site.py"
    library.write_text("def deep(n):\n    return deep(n - 1) if n else 1 / n\n")
    space: Space = {"__name__": "json.deep"}  # of the standard library, so nobody's own
    exec(compile(library.read_text(), str(library), "exec"), space)
    cells.space["deep"] = space["deep"]
    told = cells.describe("""
        def mine(rows): return deep(50)
        mine([1])
    """)
    assert len(told["frames"]) == 20
    assert [frame["function"] for frame in told["frames"][:3]] == ["<module>", "mine", "deep"]
    assert [frame["own"] for frame in told["frames"]].index(True) == 1
    assert told["frames"][-1]["locals"] == {"n": "0"}


def test_a_syntax_error_has_no_frames_but_its_place(tmp_path: Path) -> None:
    with testing.shell(tmp_path) as shell:
        error = testing.run(shell, "x = = 1").error_before_exec
        assert error is not None
        told = _described(error)
    assert told["type"] == "SyntaxError"
    assert told["frames"] == []
    assert "x = = 1" in told["traceback"]
    assert failure.frames_bytes(error, _nothing) is None
    assert failure.revive(told, None) is None


def test_frames_of_the_shell_are_left_out(tmp_path: Path) -> None:
    with testing.shell(tmp_path) as shell:
        cell = (
            "async def f(secret):\n    await asyncio.sleep(0)\n    raise OSError\nimport asyncio\nawait f(5)"
        )
        result = testing.run(shell, cell)
        assert result.error_in_exec is not None
        told = _described(result.error_in_exec)
    assert [frame["function"] for frame in told["frames"]] == ["<module>", "f"]
    assert told["frames"][0]["locals"] == {}
    assert "interactiveshell" not in told["traceback"]
    assert told["sources"][told["frames"][0]["file"]].strip() == cell


def test_an_error_that_was_never_raised_is_told() -> None:
    told = _described(ValueError("made only"))
    assert (told["message"], told["frames"]) == ("made only", [])
    assert "made only" in told["traceback"]


def test_many_locals_are_counted(cells: _Cells) -> None:
    body = "\n".join(f"            a{i} = {i}" for i in range(60))
    told = cells.describe(f"""
        def f():
{body}
            assert False
        f()
    """)
    assert len(told["frames"][-1]["locals"]) == 50
    assert told["frames"][-1]["omitted"] == 10


def test_of_files_the_functions_are_kept_at_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    lines = [f"# {i}" for i in range(1, 1001)]
    lines[699:702] = ["def f(x):", "    y = x", "    return 1 / y"]
    path.write_text("\n".join(lines))
    space: Space = {"__name__": "mine"}
    exec(compile(path.read_text(), str(path), "exec"), space)
    with pytest.raises(ZeroDivisionError) as caught:
        space["f"](0)
    text = _described(caught.value)["sources"][str(path)].split("\n")
    assert text[698:] == ["", "def f(x):", "    y = x", "    return 1 / y", ""]
    assert set(text[:699]) == {""}


def test_of_an_endless_cell_the_part_that_failed_is_kept(cells: _Cells) -> None:
    told = cells.describe("\n".join([*("x = 'some text or other'" for _ in range(5000)), "1 / 0"]))
    (text,) = told["sources"].values()
    assert len(text) <= 64 << 10
    assert text.split("\n")[5000] == "1 / 0"


def test_what_is_told_keeps_nothing_alive(cells: _Cells) -> None:
    error: BaseException | None = cells.fail("""
        class P: pass
        def f(p, lock): assert False
        f(P(), (i for i in ()))
    """)
    assert error is not None
    assert error.__traceback__ is not None
    assert error.__traceback__.tb_next is not None
    held = weakref.ref(error.__traceback__.tb_next.tb_frame.f_locals["p"])
    told = failure.describe(error, _nothing)
    data = failure.frames_bytes(error, _nothing)
    error = None
    gc.collect()
    assert told
    assert data
    assert held() is None


_MODEL = """
    class P:
        def __init__(self, x): self.x = x
    def fit(model, rows, lock, frame):
        double = lambda: model.x * 2
        for row in rows:
            step(row)
    def step(row):
        inner = row["x"]
        return json_loads(inner)
    from json import loads as json_loads
"""


def _values(cells: _Cells, source: str) -> dict[str, Any]:
    data = failure.frames_bytes(cells.fail(source), _nothing)
    return {} if data is None else failure.values_of(data, cells.space)


def test_locals_come_back_as_values_each_alone(cells: _Cells) -> None:
    values = _values(
        cells,
        """
        import threading, numpy
        class P: pass
        def fit(model, array, frozen, lock, rows):
            double = lambda: rows * 2
            return 1 / 0
        frozen = numpy.arange(3)
        frozen.flags.writeable = False
        fit(P(), numpy.arange(5), frozen, (i for i in ()), [1, 2])
        """,
    )
    assert values.keys() == {"model", "array", "frozen", "rows", "double"}
    assert type(values["model"]) is cells.space["P"]
    assert values["double"]() == [1, 2, 1, 2]
    values["array"][0] = 7
    assert list(values["array"]) == [7, 1, 2, 3, 4]
    assert list(values["frozen"]) == [0, 1, 2]


def test_the_frame_that_is_kept_is_the_notebooks_innermost(cells: _Cells) -> None:
    cells.run(_MODEL)
    assert _values(cells, 'fit(P(1), [{"x": "{"}], None, 3)') == {"row": {"x": "{"}, "inner": "{"}
    assert _values(cells, 'json_loads("{")') == {}


def test_of_own_modules_the_innermost_function_is_kept(cells: _Cells) -> None:
    cells.space["mine"] = _fails_outside_libraries
    assert _values(cells, "mine(3)") == {"x": 3, "y": 4}


def _fails_outside_libraries(x: int) -> object:
    y = x + 1
    return operator.getitem([], y)


def test_large_locals_do_not_crowd_out_the_others(cells: _Cells) -> None:
    cells.space["np"] = np
    values = _values(
        cells,
        """
        def f(huge, text, numbers, large, small): assert False
        f(np.zeros(1 << 24), "x" * (1 << 25), [0] * (1 << 25), np.zeros(1 << 18), 5)
        """,
    )
    assert values.keys() == {"large", "small"}


def test_pickling_that_hangs_ends(cells: _Cells) -> None:
    start = time.monotonic()
    values = _values(
        cells,
        """
        import time
        class Hangs:
            def __reduce__(self): time.sleep(60)
        def f(a, b, c, d, e, good): assert False
        f(*(Hangs() for _ in range(5)), 1)
        """,
    )
    assert time.monotonic() - start < 4
    assert values in ({}, {"good": 1})


def test_values_that_do_not_load_leave_the_others(cells: _Cells) -> None:
    error = cells.fail("""
        class P: pass
        def f(p, n): assert False
        f(P(), 5)
    """)
    data = failure.frames_bytes(error, _nothing)
    assert data is not None
    assert failure.values_of(data, {}) == {"n": 5}


def _debugged(tb: types.TracebackType | None, *commands: str, kind: type[pdb.Pdb] = pdb.Pdb) -> str:
    shown = io.StringIO()
    debugging = kind(stdin=io.StringIO("\n".join([*commands, "q", ""])), stdout=shown)
    debugging.use_rawinput = False
    debugging.reset()
    debugging.interaction(None, tb)  # type: ignore[arg-type]
    return shown.getvalue()


@pytest.fixture
def revived(cells: _Cells) -> types.TracebackType:
    """As in a later kernel: the text of the cells is not known there."""
    cells.run(_MODEL)
    error = cells.fail("""
        threshold = 3
        fit(P(8), [{"x": "{"}], (i for i in ()), None)
    """)
    data = failure.frames_bytes(error, _nothing)
    assert data is not None
    told = _described(error)
    for frame in told["frames"]:
        linecache.cache.pop(frame["file"], None)
    found = failure.revive(told, failure.values_of(data, cells.space))
    assert found is not None
    return found


def test_a_debugger_shows_values_and_lists_the_source(revived: types.TracebackType) -> None:
    shown = _debugged(revived, "up", "up", "up", "p row['x'] + '!'", "list", "longlist")
    assert "-> return json_loads(inner)" in shown
    assert "'{!'" in shown
    listed, longlisted = shown.split("(Pdb) ")[-3:-1]
    assert "  2  \t    def __init__" not in longlisted
    for text in (listed, longlisted):
        assert '  7  \tdef step(row):\n  8  \t    inner = row["x"]\n  9  ->' in text


def test_a_debugger_goes_up_and_down(revived: types.TracebackType) -> None:
    shown = _debugged(
        revived,
        "where",
        *["up"] * 4,
        "p model, rows, row",
        "p threshold",
        "up",
        "p model",
        "p threshold",
        "down",
        "args",
    )
    where, _, rest = shown.partition("(Pdb) ")
    assert "raw_decode" in where
    for name in ("<module>()", "fit()", "step()", "loads()", "decode()", "raw_decode()"):
        assert name in rest
    assert "-> step(row)" in rest
    assert "P object at" in rest
    assert "[{'x': '{'}]" in rest
    assert "3\n" in rest
    assert "NameError: name 'model' is not defined" in rest


def test_a_debugger_in_the_cell_sees_the_live_namespace(cells: _Cells, revived: types.TracebackType) -> None:
    cells.space["threshold"] = 99
    assert "99" in _debugged(revived, *["up"] * 5, "p threshold")


def test_ipythons_debugger_walks_it(revived: types.TracebackType) -> None:
    shown = _debugged(revived, "up", "up", "up", "p inner", "list", "up", "p model", kind=debugger.Pdb)
    assert "'{'" in shown
    assert "P object at" in shown


def test_a_revived_traceback_is_formatted_as_any(revived: types.TracebackType) -> None:
    text = "".join(traceback.format_tb(revived))
    assert "line 9, in step\n    return json_loads(inner)\n" in text
    assert "line 6, in fit\n    step(row)\n" in text
    assert "^" not in text


def test_reviving_needs_no_values_and_no_modules(cells: _Cells) -> None:
    told = cells.describe("""
        def f(x):
            return 1 / x
        f(0)
    """)
    told["frames"][-1] |= {"module": "gone.since", "file": f"/gone/{os.getpid()}.py", "own": False}
    shown = _debugged(failure.revive(told, None), "p x", "p type(x)")
    assert "f()" in shown
    assert "(Pdb) 0\n" in shown


def test_text_that_is_there_is_not_replaced(cells: _Cells) -> None:
    told = cells.describe("1 / 0")
    (file,) = told["sources"]
    told["sources"][file] = "something else\n"
    failure.revive(told, None)
    assert linecache.getline(file, 1) == "1 / 0\n"
