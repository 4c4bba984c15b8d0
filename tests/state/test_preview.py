"""What a person sees of a value without loading it."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd
import pytest

import durable_nb
from durable_nb.engine import target as targets
from durable_nb.state import preview


class Plain:
    def __init__(self) -> None:
        self.depth, self.names = 3, ["a", "b"]


class Hostile(dict[str, int]):
    __hash__ = None  # type: ignore[assignment]

    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(f"{name} was asked for")

    def __repr__(self) -> str:
        raise SystemExit("repr")

    def __len__(self) -> int:
        raise SystemExit("len")

    def __iter__(self) -> Any:
        raise SystemExit("iter")


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (3, "3"),
        (2.5, "2.5"),
        (None, "None"),
        ("text", "'text'"),
        ([1, "two", [3]], "[1, 'two', [3]]"),
        ((1,), "(1,)"),
        ({"a": {"b": {"c": 1}}}, "{'a': {'b': {…}}}"),
        ({"y", "x"}, "{'x', 'y'}"),
        (list(range(1000)), "[0, 1, 2, 3, 4, …] (1,000)"),
        (np.arange(6.0).reshape(2, 3), "2 × 3, float64: 0, 1, 2, 3, 4, …"),
        (pd.Series([1, 2]), "2, int64: 1, 2"),
        (Plain(), "Plain(depth=3, names=['a', 'b'])"),
        (Plain, "class Plain"),
        (np, "module numpy"),
    ],
)
def test_a_value_in_a_few_words(value: Any, seen: str) -> None:
    assert preview.of(value) == seen


def test_nothing_of_the_users_is_called() -> None:
    assert preview.of(Hostile()) == ""
    assert preview.of([Hostile(), 1]) == "[…, 1]"
    assert preview.of(10**5000) == f"an integer of {(10**5000).bit_length()} bits"


class Key:
    asked = 0

    def __hash__(self) -> int:
        Key.asked += 1
        return 1

    def __str__(self) -> str:
        Key.asked += 1
        return "key"

    __repr__ = __str__


def test_keys_and_labels_are_not_asked_either() -> None:
    values: list[Any] = [{Key(): 1}, pd.DataFrame([[1]], columns=pd.Index([Key()], dtype=object))]
    values.append(pd.DataFrame({"a": [np.array([Key()], dtype=object)]}))
    Key.asked = 0
    assert all(preview.of(value) for value in values)
    assert Key.asked == 0


def test_nothing_is_changed_by_being_looked_at() -> None:
    partial = functools.partial(len)
    before = partial.__reduce__()
    assert preview.of([partial]) == "[…]"
    assert partial.__reduce__() == before


def test_a_frame_shows_its_size_its_types_and_its_head() -> None:
    frame = pd.DataFrame({"price": [1.5, 2.5, 3.5, 4.5], "qty": [1, 2, 3, 4]})
    assert preview.of(frame).splitlines() == [
        "4 rows × 2 columns", "  price    qty", "float64  int64", "    1.5      1", "    2.5      2",
        "    3.5      3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "value", ["x" * 10**6, [["x" * 1000] * 10] * 10, pd.DataFrame([["y" * 500] * 40] * 9)]
)
def test_it_is_short_whatever_the_value_is(value: Any) -> None:
    assert 0 < len(preview.of(value)) <= preview.LONGEST


def test_it_is_kept_with_the_checkpoint_and_survives_a_recovery(notebook: Any) -> None:
    notebook.run("data = [1, 2]\nshared = {'of': data}", "data.append(3)")

    def seen() -> dict[str, str]:
        session = durable_nb.session()
        session.settle()
        history = session.history()
        found = targets.open_target(session.repository, history, session.version)
        return {n: found.manifests[d].previews.get(n, "") for n, d in found.state.items()}

    assert seen()["data"] == "[1, 2, 3]"
    notebook.restart()
    notebook.run("data.append(4)", "other = 1")
    assert seen()["data"] == "[1, 2, 3, 4]"
    assert seen()["shared"] == "{'of': [1, 2, 3, 4]}"
