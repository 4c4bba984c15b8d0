"""What only was looked at is not called changed, by the next checkpoint or after a round trip."""

# ruff: noqa: E501 - a cell is one string

from __future__ import annotations

from typing import Any

from case import Case
from kinds import QUICK


def quiet(name: str, make: str | tuple[str, ...], cell: str, names: str, holds: str, **options: Any) -> Case:
    """`cell` changes nothing of `names`."""
    cells = (make,) if isinstance(make, str) else make
    return Case(
        name,
        cells,
        (QUICK, cell),
        f"assert {holds}",
        f"assert {holds} and quick",
        unchanged=tuple(names.split()),
        **options,
    )


CASES = (
    quiet("an identical function", "def f(x): return x + 1", "def f(x): return x + 1", "f", "f(1) == 2"),
    quiet(
        "an identical function, other white space",
        "def f(x): return x + 1",
        "\n\ndef f(x): return x + 1",
        "f",
        "f(1) == 2",
    ),
    quiet(
        "an identical class",
        "class A:\n    def f(self): return 1",
        "class A:\n    def f(self): return 1",
        "A",
        "A().f() == 1",
    ),
    quiet(
        "an identical dataclass",
        "import dataclasses\n@dataclasses.dataclass\nclass A: x: int = 1",
        "@dataclasses.dataclass\nclass A: x: int = 1",
        "A",
        "A() == A()",
    ),
    quiet("an identical lambda", "f = lambda x: x + 1", "f = lambda x: x + 1", "f", "f(1) == 2"),
    quiet("an identical import", "import json, math as m", "import json, math as m", "json m", "m.pi > 3"),
    quiet(
        "an identical function that others use",
        ("def f(): return 1", "def g(): return f()\njobs = {'g': g, 'f': g}"),
        "def f(): return 1",
        "f g jobs",
        "jobs['g']() == 1",
    ),
    quiet(
        "an equal value",
        "x = 5; s = 'text'; t = (1, 'a')",
        "x = 5; s = 'te' + 'xt'; t = (1, 'a')",
        "x s t",
        "x == 5 and t == (1, 'a')",
    ),
    quiet("an equal list", "l = [1, 'a', (2, 3)]", "l = [1, 'a', (2, 3)]", "l", "l == [1, 'a', (2, 3)]"),
    quiet(
        "an equal array", "import numpy as np\nx = np.arange(1000.)", "x = np.arange(1000.)", "x", "x[5] == 5"
    ),
    quiet(
        "an equal frame",
        "import pandas as pd\ndf = pd.DataFrame({'a': [1, 2], 'b': ['x', 'y']})",
        "df = pd.DataFrame({'a': [1, 2], 'b': ['x', 'y']})",
        "df",
        "df.a.sum() == 3",
    ),
    quiet("reading a list", "l = [[1], [2]]", "n = sum(map(len, l))", "l", "l == [[1], [2]]"),
    quiet("calling a function", "def f(x): return x * 2", "n = f(2)", "f", "f(2) == 4"),
    quiet("a class's instance", "class A:\n    def f(self): return 1", "n = A().f()", "A", "A().f() == 1"),
    quiet(
        "a generic function",
        "import functools\n@functools.lru_cache\ndef f(x): return x",
        "n = f.cache_info().maxsize",
        "f",
        "f.__wrapped__(2) == 2",
    ),
    quiet("a set of strings", "s = {f'word{i}' for i in range(50)}", "n = 'word5' in s", "s", "len(s) == 50"),
    quiet("a set of numbers", "s = {10**i for i in range(30)}", "n = 10 in s", "s", "len(s) == 30"),
    quiet("a frozen set", "s = frozenset(['a', 'b', 'c']); d = {s: 1}", "n = d[s]", "s d", "d[s] == 1"),
    quiet("a set of mixed things", "s = {1, 'a', None, (2, 'b'), 2.5}", "n = len(s)", "s", "(2, 'b') in s"),
    quiet(
        "sets inside others",
        "d = {'a': {'x', 'y', 'z'}, 'b': [{'p', 'q'}]}",
        "n = len(d['a'])",
        "d",
        "d['b'][0] == {'p', 'q'}",
    ),
    quiet(
        "a set in a class",
        "class A: known = {'x', 'y', 'z', 'w'}",
        "n = 'x' in A.known",
        "A",
        "len(A.known) == 4",
    ),
    quiet(
        "a set in a function's default",
        "def f(s={'x', 'y', 'z', 'w'}): return len(s)",
        "n = f()",
        "f",
        "f() == 4",
    ),
    quiet(
        "a set in an instance",
        "class A: pass\na = A(); a.s = {'x', 'y', 'z', 'w'}",
        "n = len(a.s)",
        "a A",
        "len(a.s) == 4",
    ),
    quiet(
        "a set that shrank",
        "s = set(map(str, range(100)))\nfor i in range(90): s.discard(str(i))\ndel i",
        "n = len(s)",
        "s",
        "len(s) == 10",
    ),
    quiet(
        "strings that are interned or not",
        "l = ['key', 'k' + 'ey', ''.join(['k', 'ey'])]; d = {l[2]: l[0]}",
        "n = len(l)",
        "l d",
        "d == {'key': 'key'}",
    ),
    quiet(
        "equal strings and numbers in a tuple",
        "t = ('a' * 50, 'a' * 50, 1000, 1000)",
        "n = len(t)",
        "t",
        "t[0] == t[1]",
    ),
    quiet(
        "a dict's keys shared by instances",
        "class P:\n    def __init__(self, x): self.x, self.y = x, [x]\nps = [P(i) for i in range(20)]",
        "n = ps[3].x",
        "ps P",
        "ps[3].y == [3]",
    ),
    quiet(
        "a frame that is read",
        "import pandas as pd\ndf = pd.DataFrame({'a': range(100), 's': ['x'] * 100})",
        "n = df.a.mean(), df.describe(), df.groupby('s').a.sum(), df.index.is_unique, df['a'].values[0], len(df.columns)",
        "df",
        "df.a.sum() == 4950",
    ),
    quiet(
        "an index whose engine was made",
        "import pandas as pd\ns = pd.Series(range(10), index=list('abcdefghij'))",
        "n = s['c'], s.index.get_loc('d')",
        "s",
        "s['c'] == 2",
    ),
    quiet(
        "an array that is read",
        "import numpy as np\nx = np.arange(100.).reshape(10, 10)",
        "n = x.T.sum(), x[::2].mean(), x.flat[5]",
        "x",
        "x[0, 5] == 5",
    ),
    quiet(
        "a regular expression and a template",
        "import re, string\nr = re.compile('a+'); t = string.Template('$x')",
        "n = r.match('aa'), t.substitute(x=1); del n",
        "r t",
        "r.match('a')",
    ),
    quiet(
        "a default dict that is looked into",
        "from collections import defaultdict, Counter\nd = defaultdict(list, a=[1]); c = Counter('aab')",
        "n = d.get('zz'), c['zz'], c.most_common(1)",
        "d c",
        "c['a'] == 2",
    ),
    quiet(
        "an estimator that is used",
        "from sklearn.linear_model import LinearRegression\nimport numpy as np\nX = np.arange(10.).reshape(-1, 1); m = LinearRegression().fit(X, X[:, 0])",
        "n = m.predict(X)[0]",
        "m X",
        "abs(m.coef_[0] - 1) < 1e-9",
        needs=("sklearn",),
        long=True,
    ),
    quiet(
        "an unrelated definition",
        ("def f(): return g()", "def g(): return 1", "x = [f]"),
        "def h(): return 2",
        "f g x",
        "x[0]() == 1",
    ),
    quiet(
        "another instance of a class",
        ("class A: pass", "a = A(); a.x = 1"),
        "b = A(); b.x = 2",
        "a A",
        "a.x == 1",
    ),
    quiet(
        "a variable beside",
        "big = list(range(1000)); other = [1]",
        "other.append(2)",
        "big",
        "len(big) == 1000",
    ),
    quiet(
        "slots that copyreg noted",
        "class P:\n    __slots__ = ('x',)\np = P(); p.x = 1",
        "import copy; n = copy.copy(p).x",
        "p P",
        "p.x == 1",
    ),
    quiet(
        "an ABC whose cache was filled",
        "import abc\nclass A(abc.ABC): pass\nclass B(A): pass",
        "n = isinstance(B(), A), isinstance(3, A), issubclass(int, A)",
        "A B",
        "issubclass(B, A)",
    ),
    quiet(
        "an enum that is looked up",
        "import enum\nclass C(enum.Enum): A = 1; B = 2",
        "n = C(1), C['B'], list(C), C.A.name; del n",
        "C",
        "C(1) is C.A",
    ),
    quiet(
        "flags that were combined",
        "import enum\nclass F(enum.Flag): A = 1; B = 2",
        "n = F.A | F.B; del n",
        "F",
        "F.A & F.A",
    ),
    quiet(
        "a pydantic model that is used",
        "from pydantic import BaseModel\nclass M(BaseModel): x: int = 1\nm = M()",
        "n = M(x=5).model_dump(), m.model_dump_json(), M.model_json_schema()",
        "m M",
        "m.x == 1",
        needs=("pydantic",),
    ),
    quiet(
        "a cached_property that was there",
        "import functools\nclass A:\n    @functools.cached_property\n    def x(self): return [1]\na = A(); a.x",
        "n = a.x[0]",
        "a A",
        "a.x == [1]",
    ),
    quiet(
        "a function whose doc is read",
        "import inspect\ndef f(x: int) -> str:\n    'Doc.'",
        "n = inspect.signature(f), inspect.getsource(f), f.__doc__, f.__annotations__; del n",
        "f",
        "f.__doc__ == 'Doc.'",
    ),
)
