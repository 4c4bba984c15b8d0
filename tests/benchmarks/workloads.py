from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Workload:
    """A notebook: cells that make a state, then cells that change a little of it."""

    name: str
    title: str
    imports: str
    """the first cell; in a recovery it is no part of what is timed"""
    setup: tuple[str, ...]
    changes: tuple[str, ...]
    touched: tuple[str, ...]
    """variables that a change has to look at: what the floor is measured on"""
    probe: str
    """an expression that is different after each change"""
    settled: bool = True
    """whether each save is on disk before the next cell starts, as between cells that a person runs"""


def frame(scale: float) -> Workload:
    rows = max(2_000, int(2_500_000 * scale))
    return Workload(
        "frame",
        f"{rows * 80 / 1e6:,.0f} MB frame, 500 rows of a column changed",
        "import numpy as np\nimport pandas as pd",
        (
            "rng = np.random.default_rng(0)",
            f"df = pd.DataFrame(rng.random(({rows}, 9)), columns=list('abcdefghi'))",
            f"df['key'] = rng.integers(0, 50, {rows})",
        ),
        tuple(f"df.iloc[{k * 100}:{k * 100 + 500}, {k % 9}] = {k}.5" for k in range(10)),
        ("df",),
        "int(df.to_numpy().view('int64').sum())",
    )


def array(scale: float) -> Workload:
    size = max(1_000, int(62_500_000 * scale))
    part = size // 100
    return Workload(
        "array",
        f"{size * 8 / 1e6:,.0f} MB array, 1 % changed",
        "import numpy as np",
        (f"a = np.random.default_rng(0).random({size})",),
        tuple(f"a[{7 * k * part}:{(7 * k + 1) * part}] += {k}" for k in range(1, 11)),
        ("a",),
        "int(a.view('int64').sum())",
    )


LEAF = """\
class Leaf:
    def __init__(self, number):
        self.number = number
        self.weight = number / 7
        self.label = f"leaf {number % 50}"
"""


def objects(scale: float) -> Workload:
    branches = max(2, int(200 * scale))
    return Workload(
        "objects",
        f"{branches * 1000:,} objects of a notebook class, one changed",
        "",
        (
            LEAF,
            f"tree = [[Leaf(1000 * b + i) for i in range(1000)] for b in range({branches})]",
        ),
        tuple(f"tree[{k * 17 % branches}][{k * 91}].weight = {k}.25" for k in range(1, 11)),
        ("Leaf", "tree"),
        "sum(leaf.weight for branch in tree for leaf in branch)",
    )


def training(scale: float) -> Workload:
    epochs = max(1, int(3 * scale))
    many = "\n".join(f"w{i} = rng.normal(size={50 + i})\nname{i} = 'layer {i}'" for i in range(60))
    return Workload(
        "training",
        "a model in training, 130 small variables",
        "import numpy as np\nfrom sklearn.datasets import load_digits\n"
        "from sklearn.linear_model import SGDClassifier",
        (
            "rng = np.random.default_rng(0)\nX, y = load_digits(return_X_y=True)\n"
            "model = SGDClassifier(random_state=0)\nlosses, best = [], 0.0\n" + many,
        ),
        tuple(
            f"for epoch in range({k * epochs}, {(k + 1) * epochs}):\n"
            f"    model.partial_fit(X, y, classes=np.arange(10))\n"
            f"    losses.append(1 - model.score(X, y))\n"
            f"best = max(1 - min(losses), best)\nw{k} = w{k} * 0.9"
            for k in range(10)
        ),
        ("X", "best", "epoch", "losses", "model", "y", *(f"w{k}" for k in range(10))),
        "(len(losses), losses[-1:], float(model.coef_.sum()) if losses else None)",
    )


def cells(scale: float) -> Workload:
    count = max(40, int(1_000 * scale))
    return Workload(
        "cells",
        f"`v = i` over {count:,} cells, back to back",
        "",
        ("v = -1",),
        tuple(f"v = {i}" for i in range(count)),
        ("v",),
        "v",
        settled=False,
    )


WORKLOADS = {make.__name__: make for make in (frame, array, objects, training, cells)}
