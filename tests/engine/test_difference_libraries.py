"""What has libraries of its own: `pip install -e ".[libraries-data,libraries-deep]"`."""

from __future__ import annotations

from typing import Any

import pytest

from durable_nb.engine.difference import compare
from durable_nb.engine.differences.change import Verdict

pytestmark = pytest.mark.long


def told(before: Any, after: Any) -> list[tuple[str, str, list[str]]]:
    return [
        (str(change.sign), change.path, [fact.what or fact.note or fact.after for fact in change.facts])
        for change in compare(before, after).changes
    ]


def test_frames_of_polars() -> None:
    import polars as pl

    before = pl.DataFrame({"x": [1, 2, None], "s": ["a", "b", "c"], "gone": [1, 2, 3]})
    after = pl.DataFrame({"x": [1.0, 5.0, None], "s": ["a", "b", "a"], "new": [1, 2, 3]})
    assert told(before, after) == [
        ("~", "['x']", ["Float64", "1 of 3 values changed", "mean", "std", "range"]),
        ("~", "['s']", ["1 of 3 values changed", "distinct"]),
        ("+", "['new']", ["Int64"]),
        ("-", "['gone']", [""]),
    ]
    assert told(before["x"], after["s"].head(2))[0] == ("~", "", ["rows"])
    assert told(before, before.head(2))[0] == ("~", "", ["rows"])
    assert compare(before, before.clone()).verdict is Verdict.EQUAL


def test_networks_of_torch() -> None:
    import torch

    def network(seed: int, rate: float) -> Any:
        torch.manual_seed(seed)
        return torch.nn.Sequential(torch.nn.Linear(3, 20), torch.nn.Dropout(rate))

    assert compare(network(1, 0.1), network(1, 0.1)).verdict is Verdict.EQUAL
    paths = [path for _, path, _ in told(network(1, 0.1), network(2, 0.2))]
    assert paths == [".0.weight", ".0.bias", ".1.p"]
    assert told(torch.zeros(2, 2, dtype=torch.bfloat16), torch.ones(2, 2, requires_grad=True)) == [
        ("~", "", ["dtype", "requires_grad"]),
        ("~", "", ["4 of 4 elements changed", "mean", "range"]),
    ]
    parameters = list(network(1, 0.1).parameters())
    rates = (torch.optim.Adam(parameters, lr=rate) for rate in (0.1, 0.2))
    assert [path for _, path, _ in told(*rates)] == [".state_dict()['param_groups'][0]['lr']"]
