from __future__ import annotations

import collections
import datetime as dt
import enum
import functools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from durable_nb.engine.difference import LISTED, compare
from durable_nb.engine.differences.change import COUNTED, Change, Difference, Sign, Verdict


def told(difference: Difference) -> list[str]:
    """Every change in a line, as a reader would put it."""
    return [_line(change) for change in difference.changes]


def _line(change: Change) -> str:
    facts = []
    for fact in change.facts:
        sides = [side for side in (fact.before, fact.after) if side]
        note = f"({fact.note})" if fact.note else ""
        facts.append(" ".join(filter(None, (fact.what, " -> ".join(sides), note))))
    return " ".join(filter(None, (change.sign, change.path, "; ".join(facts))))


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Pair(NamedTuple):
    left: int
    right: int


@dataclass
class Config:
    depth: int
    rate: float = 0.1


class Slotted:
    __slots__ = ("_hidden", "x")

    def __init__(self, x: int) -> None:
        self.x = x


class Liar:
    """Equal to everything, says nothing of itself, and fails when it is asked."""

    def __init__(self, x: Any) -> None:
        self.__dict__["x"] = x

    def __eq__(self, _other: object) -> bool:
        raise SystemExit

    def __hash__(self) -> int:
        raise SystemExit

    def __repr__(self) -> str:
        raise SystemExit

    def __getattr__(self, name: str) -> Any:
        raise SystemExit

    def __bool__(self) -> bool:
        raise SystemExit

    def __len__(self) -> int:
        raise SystemExit

    def __iter__(self) -> Iterator[int]:
        while True:
            yield 1

    @property
    def __class__(self) -> Any:
        raise SystemExit


class EndlessDict(dict[str, int]):
    def items(self) -> Any:
        while True:
            time.sleep(0.01)

    keys = values = __iter__ = items
    __getitem__ = __len__ = items  # type: ignore[assignment]


class LyingInt(int):
    def __eq__(self, _other: object) -> bool:
        return True

    def __repr__(self) -> str:
        return "7"

    __hash__ = int.__hash__


def function(offset: int, default: int = 1) -> Callable[[int], int]:
    def inner(x: int, more: int = default) -> int:
        return x + offset + more

    return inner


FRAME = pd.DataFrame({"price": [1.0, 2.0, 3.0, None], "name": ["a", "b", "c", "d"], "n": [1, 2, 3, 4]})
LETTERS = FRAME.set_index("name")
WITH_COLUMNS = FRAME.drop(columns="n").assign(ratio=1.5)
CATEGORIES = pd.Series(["a", "b", "a"], dtype="category")
DRIFT = "mean 1 -> 1.5 (+50 %); std 0 -> 0.707107; range 1 … 1 -> 1 … 2"
OF_PRICES = "mean 2 -> 3 (+50 %); std 1 -> 4.08248 (+308 %); range 1 … 3 -> 0 … 9"
OF_MANY = (
    "mean 499.5 -> 499.496 (-0.000801 %); std 288.819 -> 288.826 (+0.00239 %); range 0 … 999 -> -1 … 999"
)
X = np.arange(12.0).reshape(6, 2) ** 2
Y = np.array([0, 1, 0, 1, 1, 1])


def changed_price(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(price=[1.0, 2.0, 9.0, 0.0])


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # numbers
        (3, 5, ["~ 3 -> 5 (+66.7 %)"]),
        (0, 5, ["~ 0 -> 5"]),
        (0.1 + 0.2, 0.3, ["~ 0.30000000000000004 -> 0.3 (-1.85e-14 %)"]),
        (1e-3, 1e6, ["~ 0.001 -> 1000000.0 (1e+09 times)"]),
        (3, 3.0, ["~ 3 -> 3.0 (int -> float)"]),
        (1, True, ["~ 1 -> True (int -> bool)"]),
        (LyingInt(3), LyingInt(4), ["~ 3 -> 4 (+33.3 %)"]),
        (np.float32(1), np.float32(2), ["~ 1.0 -> 2.0 (+100 %)"]),
        ([1 << 9999], [1 << 10000], ["~ [0] <int of 10,000 bits> -> <int of 10,001 bits>"]),
        (1 + 2j, 1 + 3j, ["~ (1+2j) -> (1+3j)"]),
        (Decimal("1.0"), Decimal("1.5"), ["~ Decimal('1.0') -> Decimal('1.5') (+50 %)"]),
        # what has no parts
        (None, 3, ["~ None -> 3 (NoneType -> int)"]),
        (dt.time(1), dt.time(2), ["~ datetime.time(1, 0) -> datetime.time(2, 0)"]),
        (Path("a"), Path("b"), ["~ PosixPath('a') -> PosixPath('b')"]),
        (Colour.RED, Colour.BLUE, ["~ Colour.RED -> Colour.BLUE"]),
        (range(3), range(4), ["~ range(0, 3) -> range(0, 4)"]),
        (pd.Timestamp("2024"), pd.Timestamp("2025"), ["~ 2024-01-01 00:00:00 -> 2025-01-01 00:00:00"]),
        # text and bytes
        ("adam", "sgd", ["~ 'adam' -> 'sgd'"]),
        ("x" * 200 + "a", "x" * 200 + "b", [f"~ …{'x' * 20}a -> …{'x' * 20}b (from character 201)"]),
        (b"abc", b"abd!", ["~ bytes 3 -> 4 (+33.3 %); b'c' -> b'd!' (from byte 3)"]),
        # containers
        (
            {"model": {"depth": 3, "old": 1}},
            {"model": {"depth": 5, "new": [1]}},
            ["~ ['model']['depth'] 3 -> 5 (+66.7 %)", "+ ['model']['new'] [1]", "- ['model']['old'] 1"],
        ),
        ({1: "a"}, {True: "a"}, ["+ [True] 'a'", "- [1] 'a'"]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, ["~ (the keys are in another order)"]),
        ({(1, "a"): 1}, {(1, "a"): 2}, ["~ [(1, 'a')] 1 -> 2 (+100 %)"]),
        ([1, 2, 3], [0, 1, 2, 3], ["+ [0] 0"]),
        ([1, 2, 3, 4], [1, 4], ["- [1] 2", "- [2] 3"]),
        ([1, 2, 3, 4, 7], [1, 9, 3, 5, 7, 8], ["~ [1] 2 -> 9 (+350 %)", "~ [3] 4 -> 5 (+25 %)", "+ [5] 8"]),
        ([{"a": 1}, {"a": 2}], [{"b": 0}, {"a": 1}, {"a": 2}], ["+ [0] {'b': 0}"]),
        ([1], (1,), ["~ type list -> tuple"]),
        ([1], {1}, ["~ [1] -> {1} (list -> set)"]),
        (Pair(1, 2), Pair(1, 3), ["~ .right 2 -> 3 (+50 %)"]),
        ({1, 2, 3}, {2, 3, 4}, ["+ 4", "- 1"]),
        (frozenset({"a"}), frozenset(), ["- 'a'"]),
        (collections.deque([1, 2]), collections.deque([1, 3]), ["~ [1] 2 -> 3 (+50 %)"]),
        (
            collections.defaultdict(int, a=1),
            collections.defaultdict(list, a=1),
            ["~ .default_factory <class int> -> <class list>"],
        ),
        # objects
        (Config(3), Config(5), ["~ .depth 3 -> 5 (+66.7 %)"]),
        (Slotted(1), Slotted(2), ["~ .x 1 -> 2 (+100 %)"]),
        (Config(3), Slotted(3), ["~ type Config -> Slotted", "+ .x 3", "- .depth 3", "- .rate 0.1"]),
        (ValueError("a"), ValueError("b"), ["~ .args[0] 'a' -> 'b'"]),
        (function(1), function(2), ["~ .closure offset 1 -> 2 (+100 %)"]),
        (function(1), function(1, 3), ["~ .__defaults__[0] 1 -> 3 (+200 %)"]),
        (functools.partial(max, 1), functools.partial(max, 2), ["~ .args[0] 1 -> 2 (+100 %)"]),
        (functools, collections, ["~ <module functools> -> <module collections>"]),
        (np.random.default_rng(1), np.random.default_rng(2), ["~ (<Generator> differs)"]),
        # arrays
        (np.array([1, 2]), np.array([1, 3]), ["~ [1, 2] -> [1, 3]"]),
        (np.array(1), np.array(2), ["~ 1 -> 2 (+100 %)"]),
        (
            np.arange(1000.0),
            np.where(np.arange(1000) == 3, -1.0, np.arange(1000.0)),
            [
                f"~ (1 of 1,000 elements changed (0.1 %)); {OF_MANY}"
            ],
        ),
        (np.zeros((2, 3)), np.zeros((3, 3)), ["~ shape (2, 3) -> (3, 3)"]),
        (np.zeros(3), np.zeros(3, "f4"), ["~ dtype float64 -> float32"]),
        (np.array([[1.0, np.nan]]), np.array([[1.0, 2.0]]), [
            f"~ (1 of 2 elements changed); NaN 1 -> 0; {DRIFT}"
        ]),
        (np.array(["a", "b"]), np.array(["a", "c"]), ["~ (1 of 2 elements changed)"]),
        (np.array([1, "a"], object), np.array([1, "b"], object), [
            "~ (1 of 2 elements changed)", "~ [1] 'a' -> 'b'"
        ]),
        (np.zeros(2, [("a", "i4")]), np.ones(2, [("a", "i4")]), ["~ (2 of 2 elements changed)"]),
        (np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 5], mask=[0, 0]), [
            "~ [1, 0] -> [1, 5]", "~ .mask [False, True] -> [False, False]"
        ]),
        # frames
        (FRAME, changed_price(FRAME), [
            f"~ ['price'] (2 of 4 values changed); nulls 1 -> 0; {OF_PRICES}"
        ]),
        (FRAME, WITH_COLUMNS, ["+ ['ratio'] float64", "- ['n'] int64"]),
        (FRAME, FRAME.assign(n=FRAME["n"].astype("float64")), ["~ ['n'] int64 -> float64"]),
        (FRAME[["name"]], FRAME[["name"]].iloc[1:], [
            "~ rows 4 -> 3 (1 removed, by the index)", "~ ['name'] distinct 4 -> 3"
        ]),
        (LETTERS, LETTERS.iloc[::-1], ["~ (the rows are in another order)"]),
        (FRAME, FRAME[["n", "name", "price"]], ["~ (the columns are in another order)"]),
        (CATEGORIES, pd.Series(["a", "c", "a"], dtype="category"), [
            "~ categories 2 -> 2 (1 added, 1 removed); (1 of 3 values changed)"
        ]),
        (pd.Series([[1], [2]], name="x"), pd.Series([[1], [3]], name="y"), [
            "~ (1 of 2 values changed)", "~ .name 'x' -> 'y'"
        ]),
        (pd.Series([1, None], dtype="Int64"), pd.Series([1, 2], dtype="Int64"), [
            f"~ (1 of 2 values changed); nulls 1 -> 0; {DRIFT}"
        ]),
        (pd.Index([1, 2]), pd.Index([2, 3, 4]), ["~ length 2 -> 3 (2 added, 1 removed, by the index)"]),
    ],
)  # fmt: skip
def test_what_differs_is_told(before: Any, after: Any, expected: list[str]) -> None:
    difference = compare(before, after)
    assert told(difference) == expected
    assert difference.verdict is Verdict.DIFFERENT


@pytest.mark.parametrize(
    "make",
    [
        lambda: float("nan"),
        lambda: {"a": [1, 2.5, "x", None, float("nan")], 3: {1, 2}},
        lambda: [Liar(1), Liar([2])],
        lambda: {Colour.RED: Config(1)},
        lambda: {Config, Slotted},
        lambda: pd.DataFrame({"o": [[1], {2}]}),
        lambda: LETTERS + 0,
        lambda: pd.DataFrame({"x": [1], "y": [2]}).set_axis(["x", "x"], axis=1),
        lambda: np.array([1.0, np.nan]),
        lambda: np.array(["2024", "NaT"], "M8[s]"),
        lambda: np.zeros((0, 3)),
        lambda: np.random.default_rng(1),
        threading.Lock,
        lambda: pd.NaT,
        lambda: function(1),
        lambda: {frozenset({Config}): 1},
        lambda: LogisticRegression().fit(X, Y),
    ],
    ids=lambda make: f"line {make.__code__.co_firstlineno}" if hasattr(make, "__code__") else make.__name__,
)
def test_what_was_loaded_twice_is_equal(make: Callable[[], Any]) -> None:
    assert compare(make(), make()) == Difference(Verdict.EQUAL, type(make()).__name__, type(make()).__name__)


def test_values_that_lie_or_fail_are_not_asked() -> None:
    difference = compare({"a": Liar(1), "b": Liar(Liar(2))}, {"a": Liar(1), "b": Liar(Liar(3))})
    assert told(difference) == ["~ ['b'].x.x 2 -> 3 (+50 %)"]
    gone = compare([Liar(1), Liar(2)], [Liar(2)])
    assert told(gone) == ["- [0] <Liar>"]
    assert told(compare(EndlessDict(a=1), EndlessDict(a=2))) == ["~ ['a'] 1 -> 2 (+100 %)"]


def test_what_cannot_be_compared_says_why_and_costs_nothing_else() -> None:
    endless = [(i for i in iter(int, 1)) for _ in range(4)]
    difference = compare({"a": endless[0], "b": 1}, {"a": endless[1], "b": 2})
    why = "(cannot be compared: TypeError: cannot pickle 'generator' object)"
    assert told(difference) == [f"? ['a'] {why}", "~ ['b'] 1 -> 2 (+100 %)"]
    assert difference.verdict is Verdict.DIFFERENT
    alone = compare(endless[2], endless[3])
    assert (told(alone), alone.verdict) == ([f"? {why}"], Verdict.UNKNOWN)


def test_reasons_and_values_cannot_write_to_the_terminal() -> None:
    class Broken:
        def __reduce__(self) -> Any:
            raise RuntimeError("no\x1b[31m\nway")

    (line,) = told(compare(Broken(), Broken()))
    assert line == r"? (cannot be compared: RuntimeError: no\x1b[31m way)"
    difference = compare("a\n\x1b[31mb", "a\n\x1b[32mb")
    assert difference.changes[0].patch[1:] == (" a", r"-\x1b[31mb", r"+\x1b[32mb")


def test_cycles_and_shared_objects_end() -> None:
    def knot(x: int) -> list[Any]:
        inner: list[Any] = [x]
        inner.append(inner)
        return [inner, inner, {"again": inner}]

    assert told(compare(knot(1), knot(2))) == ["~ [0][0] 1 -> 2 (+100 %)"]
    assert compare(knot(1), knot(1)).verdict is Verdict.EQUAL


def test_sharing_does_not_multiply_the_work() -> None:
    def tower(x: int) -> list[Any]:
        held: list[Any] = [x]
        for _ in range(40):
            held = [held, held]
        return held

    assert compare(tower(1), tower(1), seconds=5).verdict is Verdict.EQUAL
    assert compare(tower(1), tower(2), seconds=5).verdict is Verdict.DIFFERENT


def test_what_lies_deep_is_equal_or_not() -> None:
    def deep(x: int) -> Any:
        held: Any = x
        for _ in range(5_000):
            held = {"in": held}
        return held

    assert compare(deep(1), deep(1)).verdict is Verdict.EQUAL
    difference = compare(deep(1), deep(2))
    assert difference.verdict is Verdict.DIFFERENT
    assert len(difference.changes[0].path) < 200


def test_changes_are_counted_where_they_are_too_many_to_list() -> None:
    difference = compare(dict.fromkeys(range(100), 1), dict.fromkeys(range(100), 2))
    assert len(difference.changes) == LISTED
    assert difference.more == 100 - LISTED
    assert compare(list(range(100_000)), [*range(1, 100_001)][::-1]).more == COUNTED


def test_values_are_cut() -> None:
    difference = compare({"x" * 10_000: ["y" * 10_000] * 1_000}, {})
    assert len(told(difference)[0]) < 200
    long = "\n".join(f"line {i}" for i in range(1_000))
    patch = compare(long, long.replace("line", "LINE")).changes[0].patch
    assert len(patch) < 50
    assert patch[-1].endswith("more lines")


def test_what_takes_too_long_is_given_up() -> None:
    class Slow:
        def __reduce__(self) -> Any:
            time.sleep(60)

    difference = compare(Slow(), Slow(), seconds=0.2)
    assert difference.verdict is Verdict.UNKNOWN
    assert difference.reason == "cannot be compared: given up after 0.2 s"


def test_it_works_off_the_main_thread_too() -> None:
    found: list[Difference] = []
    worker = threading.Thread(target=lambda: found.append(compare([Config(1)], [Config(2)])))
    worker.start()
    worker.join()
    assert told(found[0]) == ["~ [0].depth 1 -> 2 (+100 %)"]


def test_secrets_are_not_shown() -> None:
    before = {"api_key": "one", "inner": Config(1), "n": 1}
    after = {"api_key": "two", "inner": Config(2), "n": 1, "depth": "three"}
    difference = compare(before, after, hidden=lambda name: name in ("api_key", "depth"))
    assert told(difference) == [
        "~ ['api_key'] <left out> -> <left out>",
        "~ ['inner'].depth <left out> -> <left out>",
        "+ ['depth'] <left out>",
    ]
    gone = compare([before], [], hidden=lambda name: name in ("api_key", "depth"))
    assert told(gone) == ["- [0] {'api_key': <left out>, 'inner': <Config>, 'n': 1}"]


def test_text_is_told_line_by_line() -> None:
    before = "".join(f"{i}\n" for i in range(10_000))
    (change,) = compare(before, before.replace("\n5000\n", "\nfive\n")).changes
    assert change.patch == ("@@ -4999,5 +4999,5 @@", " 4998", " 4999", "-5000", "+five", " 5001", " 5002")
    assert change.sign is Sign.CHANGED


def test_estimators_are_told_by_parameters_then_by_what_was_fitted() -> None:
    assert told(compare(LogisticRegression(C=1.0), LogisticRegression(C=10.0))) == [
        "~ .C 1.0 -> 10.0 (+900 %)"
    ]
    models = [make_pipeline(StandardScaler(), LogisticRegression(C=c)).fit(X * c, Y) for c in (1.0, 2.0)]
    lines = told(compare(*models))
    assert lines[0] == "~ .logisticregression__C 1.0 -> 2.0 (+100 %)"
    assert any(line.startswith("~ .standardscaler.mean_ [36.6667, ") for line in lines)
    assert any(line.startswith("~ .logisticregression.coef_ ") for line in lines)
    other = make_pipeline(StandardScaler(with_mean=False))
    assert "- .logisticregression" in "\n".join(told(compare(models[0], other)))
    assert told(compare(StandardScaler(), LogisticRegression())) == [
        "~ <StandardScaler> -> <LogisticRegression>"
    ]


def test_large_arrays_are_summarised_block_by_block() -> None:
    before = np.arange(3_000_000, dtype="f8")
    after = before.copy()
    after[::3] *= 2
    (fact, mean, spread, _) = compare(before, after).changes[0].facts
    assert fact.note == "999,999 of 3,000,000 elements changed (33 %)"
    assert (mean.before, mean.after) == (f"{before.mean():.6g}", f"{after.mean():.6g}")
    assert (spread.before, spread.after) == (f"{before.std(ddof=1):.6g}", f"{after.std(ddof=1):.6g}")
