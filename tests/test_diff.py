"""`%durable diff`, as a user sees it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

import durable_nb
from durable_nb.engine import difference
from durable_nb.engine.differences.change import Verdict
from durable_nb.errors import NotFoundError, UsageError
from durable_nb.ui import differences

if TYPE_CHECKING:
    from conftest import Notebook

Said = Callable[[], str]

LOAD = """
%%node load
import pandas as pd
df = pd.DataFrame({"price": [1.0, 2.0, 3.0, 4.0], "tmp": [1, 2, 3, 4]})
config = {"model": {"depth": 3}, "api_key": "one"}
score = 0.81
old = "gone soon"
inner = [1]
outer = [inner]
same = "as it was"
def f(x):
    return x + 1
class P:
    def __init__(self, x):
        self.x = x
    def __eq__(self, other):
        raise RuntimeError
    def __repr__(self):
        raise RuntimeError
p, q = P(1), P(1)
"""

TRAIN = """
%%node train
df = df.assign(ratio=1.5).drop(columns="tmp").iloc[:3]
df.loc[0, "price"] = 9
config["model"]["depth"] = 5
config["api_key"] = "two"
score = 0.85
del old
outer.append("<b>")
fresh = {"a": 1}
def f(x):
    return x + 2
class P:
    def __init__(self, x):
        self.x, self.y = x, 0
    def __eq__(self, other):
        raise RuntimeError
    def __repr__(self):
        raise RuntimeError
p = P(3)
"""


DRIFT = "mean 2.5 -> 4.66667 (+86.7 %); std 1.29099 -> 3.78594 (+193 %); range 1 … 4 -> 2 … 9"


@pytest.fixture
def two(notebook: Notebook) -> Notebook:
    notebook.run("import pandas as pd", LOAD, TRAIN)
    return notebook


def diff(notebook: Notebook, said: Said, line: str) -> list[str]:
    said()
    notebook.run(f"%durable diff {line}")
    return said().splitlines()


def test_what_people_want_to_know_first_comes_first(two: Notebook, said: Said) -> None:
    shown = diff(two, said, "load train")
    assert shown == [
        "durable_nb: v2 -> v3: 7 changed, 1 added, 1 removed, 4 unchanged",
        "~ P       type",
        "        @@ -1,5 +1,5 @@",
        "         class P:",
        "             def __init__(self, x):",
        "        -        self.x = x",
        "        +        self.x, self.y = x, 0",
        "             def __eq__(self, other):",
        "                 raise RuntimeError",
        "~ config  dict",
        "    ~ config['model']['depth']  3 -> 5 (+66.7 %)",
        "    ~ config['api_key']         <left out> -> <left out>",
        "~ df      DataFrame",
        "    ~ rows         4 -> 3 (1 removed, by the index)",
        f"    ~ df['price']  1 of 3 values changed; {DRIFT}",
        "    + df['ratio']  float64",
        "    - df['tmp']    int64",
        "~ f       function",
        "        @@ -1,2 +1,2 @@",
        "         def f(x):",
        "        -    return x + 1",
        "        +    return x + 2",
        "~ outer   list",
        "    + outer[1]  '<b>'",
        "~ p       P",
        "    ~ p.x  1 -> 3 (+200 %)",
        "    + p.y  0",
        "~ score   float      0.81 -> 0.85 (+4.94 %)",
        f"+ fresh   dict       {_size('fresh', 3)}",
        f"- old     str        {_size('old', 2)}",
        "kept anew, but equal: inner (it shares objects with outer)",
        "kept anew, but equal: q (it uses P, which changed)",
    ]


def _size(name: str, version: int) -> str:
    session = durable_nb.session()
    kept = difference.between(session, 2, 3, [name])
    return f"{(kept.added if version == 3 else kept.removed)[name].size} B"


def test_versions_are_named_as_everywhere_and_one_means_until_now(two: Notebook, said: Said) -> None:
    assert diff(two, said, "v2 v3 score") == [
        "durable_nb: v2 -> v3: 1 changed",
        "~ score  float  0.81 -> 0.85 (+4.94 %)",
    ]
    two.run("score = 1.0")
    assert diff(two, said, "train")[1:] == ["~ score  float  0.85 -> 1.0 (+17.6 %)"]
    assert diff(two, said, "train load score")[1:] == ["~ score  float  0.85 -> 0.81 (-4.71 %)"]
    digest = durable_nb.history()[1].digest[:10]
    assert diff(two, said, f"{digest} v3 same") == ["durable_nb: v2 -> v3: 1 unchanged"]


def test_what_there_is_not_is_named(two: Notebook) -> None:
    for line, kind, text in (
        ("", UsageError, "from which checkpoint"),
        ("nowhere", NotFoundError, "no checkpoint found for `nowhere`"),
        ("load train scores", NotFoundError, "there is score"),
    ):
        error = two.cell(f"%durable diff {line}").error_in_exec
        assert isinstance(error, kind)
        assert text in str(error)


@pytest.mark.usefixtures("two")
def test_the_page_is_escaped_and_does_not_rest_on_colour() -> None:
    html = differences.rendered(difference.between(durable_nb.session(), 2, 3)).html
    assert "&#x27;&lt;b&gt;&#x27;" in html
    assert "'<b>'" not in html
    assert len(re.findall("<tr[ >]", html)) == html.count("</tr>")
    for sign in ("+", "\N{MINUS SIGN}", "~"):
        assert f"<b>{sign}</b>" in html
    assert "+    return x + 2" in html
    assert "http" not in html


def test_nothing_live_is_touched(notebook: Notebook, said: Said) -> None:
    notebook.run(
        """
        import logging, numpy as np
        log = logging.getLogger("durable_nb.tests.diff")
        log.setLevel(10)
        mapped = np.memmap("numbers.bin", dtype="f8", mode="w+", shape=(4,))
        class P:
            version = 1
        p = P()
        p.x = 1
        """,
        """
        log.setLevel(20)
        mapped[1] = 7
        mapped.flush()
        class P:
            version = 2
        p.x = 2
        """,
        """
        log.setLevel(30)
        mapped[1] = 9
        mapped.flush()
        class P:
            version = 3
        p = None
        """,
    )
    before = {name: id(value) for name, value in notebook.space.items()}
    found = difference.between(durable_nb.session(), 1, 2)
    assert {name: id(value) for name, value in notebook.space.items()} == before
    assert notebook["P"].version == 3
    assert logging.getLogger("durable_nb.tests.diff").level == 30
    assert np.fromfile(notebook.folder / "numbers.bin")[1] == 9
    shown = differences.rendered(found).text.splitlines()
    assert "    ~ log.level  10 -> 20 (+100 %)" in shown
    assert "    ~ P.version  1 -> 2 (+100 %)" in shown
    assert found.changed["mapped"].changes[0].facts[0].after == "[0, 7, 0, 0]"
    assert found.changed["p"].verdict is Verdict.DIFFERENT
    said()


def test_values_have_the_definitions_of_their_own_version(two: Notebook, said: Said) -> None:
    two.run("del P, p, q, df")
    shown = diff(two, said, "v2 v3 p df")
    assert shown[0] == "durable_nb: v2 -> v3: 2 changed"
    assert "    ~ p.x  1 -> 3 (+200 %)" in shown
    assert "P" not in two.space


def test_what_cannot_be_loaded_says_why_and_costs_nothing_else(notebook: Notebook, said: Said) -> None:
    notebook.run(
        "import sys\nfrom pathlib import Path\nsys.path.insert(0, '.')",
        "Path('gone.py').write_text('class Gone: pass')\nimport gone\nlost = gone.Gone()\nn = 1",
        "lost.x = 1\nn = 2\nsteps = (i for i in range(3))",
        "next(steps)\nn = 3",
    )
    notebook.run("import os\nos.remove('gone.py')\ndel gone, lost\ndel sys.modules['gone']")
    said()
    shown = diff(notebook, said, "v2 v3")
    assert "~ n int 1 -> 2 (+100 %)" in [" ".join(line.split()) for line in shown]
    (line,) = [line for line in shown if line.startswith("? lost")]
    assert (
        "cannot be compared: it cannot be loaded from v2: ModuleNotFoundError: No module named 'gone'" in line
    )
    steps = diff(notebook, said, "v3 v4 steps")
    assert steps[0] == "durable_nb: v3 -> v4: 1 not comparable"
    assert "cannot be compared: it was not kept in v3: " in steps[1]


def test_many_variables_leave_room_for_each_other(notebook: Notebook, said: Said) -> None:
    notebook.run(
        "for i in range(70):\n    globals()[f'd{i:02}'] = dict.fromkeys(range(30), 1)",
        "for i in range(70):\n    globals()[f'd{i:02}'] = dict.fromkeys(range(30), 2)",
    )
    shown = diff(notebook, said, "v1 v2")
    assert shown[0] == "durable_nb: v1 -> v2: 70 changed, 1 unchanged"
    assert len(shown) < 500
    assert "      … 25 more" in shown
    assert shown[-1] == "`%durable diff v1 v2 NAME` shows more of a variable"
    assert len(diff(notebook, said, "v1 v2 d00")) == 32
