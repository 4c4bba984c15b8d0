from __future__ import annotations

import copy
import weakref
from pathlib import Path

import pytest

from tests.random_programs import oracle
from tests.random_programs.grammar import IMPORTS
from tests.random_programs.program import Player, Step, notebook, random_steps

LENGTH = 50
SEEDS = 40
BLOCK = 50


def run(seed: int, folder: Path) -> None:
    player = Player(folder, partial=seed % 2 == 1)
    failure = player.play(random_steps(player, seed, LENGTH, weak=seed % 3 == 0))
    weak = " --weak" if seed % 3 == 0 else ""
    again = f"python -m tests.random_programs --seed {seed}{weak}"
    assert failure is None, f"{failure}\n`{again}` makes it small"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_program_is_what_it_was_wherever_it_goes(seed: int, tmp_path: Path) -> None:
    run(seed, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("first", range(SEEDS, SEEDS + 2000, BLOCK))
def test_a_hundred_thousand_steps(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + BLOCK):
        folder = tmp_path / str(seed)
        folder.mkdir()
        run(seed, folder)


# Programs that went wrong once, as small as they could be made. A number goes back to after that step.
FOUND: dict[str, list[str | int]] = {
    "a dataclass whose __repr__ is a function of reprlib": [
        "@dataclasses.dataclass\nclass P:\n    x: int = 1\np = P()", "newest", "shown = repr(p)",
    ],
    "the qualified name of a nested class": ["class K:\n    class In: pass", "i = K.In()", "newest"],
    "the slots of a class": ["class J:\n    __slots__ = ('y',)\nj = J(); j.y = [1]", "newest"],
    "an attribute of an enum's member": ["class E(enum.Enum):\n    A = 1\nE.A.x = 'note'", "newest"],
    "a view of an array of objects": ["v = np.array([None, 1], dtype=object)\nu = v[1:]", "newest"],
    "an array of objects that holds itself through a view": [
        "v = np.array([None, 1, 'x'], dtype=object); v[0] = v[1:]", "newest", "v[1] = v[2:]", 1, "newest",
    ],
    "an iterator over a dict that has changed since": [
        "d = {'a': 1}; u = iter(d); d['b'] = 2", "newest", "d['c'] = 3", "newest",
    ],
    "a bytearray under an array cannot be resized": [
        "b = bytearray(b'x8')\nv = np.frombuffer(b, 'u1')", "newest",
        "n = 0\ntry: b.extend(b'6' * 999)\nexcept BufferError: n = 1\nassert n", "newest",
    ],
    "an array that had a view for a while": [
        "v = np.zeros(9000) + 4", "newest", "b = v[::2]", "del b", 2,
    ],
    "what refers to a class that holds another definition by value": [
        "def f(): return c\nclass K: pass\ne = frozenset([K]); c = [1]", "K.late = f", "c.append(K())",
        "def f(n): c.append(n)", "n = 1", 5, "newest",
    ],
    "an array over a bytearray": ["u = bytearray(b'x1')\nv = np.frombuffer(u, 'u1')", "newest"],
    "a view that may be written, of a base that may not": [
        "u = np.zeros(9)\nv = u.view('u1')\nu.flags.writeable = False", "newest",
    ],
    "a view that may be written, of a large base that may not": [
        "u = np.zeros(9000)\nv = u[1:]\nu.flags.writeable = False", "newest", "v[0] = 1", 1, "newest",
    ],
    "a copy of the namespace": [
        "a = [1]; c = {'k': globals()}", "c = dict(c['k'])", "b = [2]", "a.append(3)", 2, "newest",
    ],
    "a variable that holds the namespace": ["a = []; v = {'k': globals()}", "a.append(1)", 1, "newest"],
    "a frozenset of numbers ties nothing": ["b = frozenset([1])\nclass K: held = b", "e = [b]", 1],
    "what a class that lost its name shares with a variable": [
        "class K:\n    held = None\na = K(); b = []", "class K: pass", "type(a).held = b",
        "b.append(1)", 3, 4, "newest",
    ],
    "what an instance of a class that lost its name shares": [
        "class K: pass\na = K(); b = []; a.x = b", "class K: pass", "b.append(1)", 2, 3, "newest",
    ],
    "what shared objects with a variable that only code mentions": [
        "c = []", "v = [c]", "class J: pass\nclass K:\n    def size(self, x=J): return v", "del J", 1, 4,
    ],
    "an error ties nothing to what ran when it was raised": [
        "def g(n): raise KeyError\nb = []", "try: g(b)\nexcept KeyError as e: u = [e]", "u.append(1)", 2,
    ],
    "dataclasses share nothing": [
        "@dataclasses.dataclass\nclass P:\n    x: int = 1\nb = P\ndel P",
        "@dataclasses.dataclass\nclass P:\n    x: int = 1", "P.late = 2", 2,
    ],
    "functions with caches share nothing": [
        "@functools.lru_cache\ndef h(): return 1", "def f(x=h, *, k=[4]): return x",
        "@functools.lru_cache\ndef h(): return 2", "e = 1", "h = None", 4,
    ],
    "dataclasses with factories share nothing": [
        "@dataclasses.dataclass\nclass P:\n x: list=dataclasses.field(default_factory=list)\nb = P\ndel P",
        "@dataclasses.dataclass\nclass P:\n x: list=dataclasses.field(default_factory=list)", "P.late = 2",
        2, "newest",
    ],
    "frames share nothing by the type of their columns": [
        "v = pd.DataFrame({'q': ['s']})\nu = v.copy(deep=False)", "newest", "v.attrs['k'] = 1", "d = 1",
        "v.attrs['k'] = 2", 4,
    ],
    "what stays live, of a class that is brought back": [
        "class K: pass\nb = [n for n in ()], (n for n in ())", "K.late = 1", "b = [K()]", 1, "newest",
    ],
}  # fmt: skip


@pytest.mark.parametrize("partial", [False, True], ids=["scans", "partial scans"])
@pytest.mark.parametrize("name", FOUND)
def test_what_went_wrong_once(name: str, tmp_path: Path, *, partial: bool) -> None:
    steps = [Step(0, source=IMPORTS)]
    for key, what in enumerate(FOUND[name], 1):
        if isinstance(what, int):
            steps.append(Step(key, "back", target=what))
        else:
            steps.append(Step(key, what) if what == "newest" else Step(key, source=what))
    player = Player(tmp_path, partial=partial)
    failure = player.play(steps)
    assert failure is None, f"{failure}\n{notebook(steps)}"
    assert not player.errors


# The oracle: what it would not see, no program could show.


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a = []; b = a", "a = []; b = []"),
        ("a = (1, []); b = a", "a = (1, []); b = (1, a[1])"),
        ("a = {1: 2, 3: 4}", "a = {3: 4, 1: 2}"),
        ("a = 1", "a = True"),
        ("a = [1.0]", "a = [1]"),
        ("a = []; a.append(a)", "a = [[]]; a[0].append(a)"),
        ("x = np.zeros(4); y = x[1:]", "x = np.zeros(4); y = x[1:].copy()"),
        ("x = np.zeros(4); y = x[1:3]", "x = np.zeros(4); y = x[2:4]"),
        ("x = np.zeros((2, 2))", "x = np.zeros((2, 2), order='F')"),
        ("x = np.zeros(2)", "x = np.zeros(2); x.flags.writeable = False"),
        ("x = bytearray(2); y = np.frombuffer(x, 'u1')", "x = bytearray(2); y = np.frombuffer(x[:], 'u1')"),
        ("f, g = (lambda n: (lambda: n, lambda: n))(1)", "f, g = ((lambda n: (lambda: n))(1) for _ in 'ab')"),
        ("def f(x=[]): pass\na = f.__defaults__[0]", "def f(x=[]): pass\na = []"),
        ("def f(): return 1", "def f(): return 2"),
        ("def f(): pass\nf.n = 1", "def f(): pass\nf.n = 2"),
        ("class K: n = []\na = K.n", "class K: n = []\na = []"),
        ("class K: pass\na = K()", "class K: pass\na = K()\nclass K: pass"),
        ("class K: __slots__ = 'x',", "class K: x = None"),
        ("class K: __slots__ = 'x',\nk = K(); k.x = 1", "class K: __slots__ = 'x',\nk = K(); k.x = 2"),
        ("a = []; b = a.append", "a = []; b = [].append"),
        ("a = []; b = functools.partial(f, a)", "a = []; b = functools.partial(f, [])"),
        ("class K: pass\nk = K(); r = weakref.ref(k)", "class K: pass\nk = K(); r = weakref.ref(K)"),
        ("a = iter([1, 2])", "a = iter([1, 2]); next(a)"),
        ("a = pd.DataFrame({'p': [1]})", "a = pd.DataFrame({'p': [1.0]})"),
        ("s = pd.Series([[]], dtype=object); a = s[0]", "s = pd.Series([[]], dtype=object); a = []"),
        ("a = {1, 2}", "a = {1, 3}"),
        ("a = np.random.default_rng(1)", "a = np.random.default_rng(1); a.random()"),
        ("a = b = 1", "a = 1"),
    ],
)
def test_the_oracle_sees(one: str, other: str) -> None:
    forms = []
    for source in (one, other, one):
        space = {"__name__": "__main__", "f": print}
        exec(f"{IMPORTS}\n{source}", space)
        if "b" not in source:
            del space["b"]
        forms.append(oracle.form(space, [n for n in space if n[0] != "_"]))
    assert oracle.difference(forms[0], forms[1]) is not None
    assert oracle.difference(forms[0], forms[2]) is None


def test_the_oracle_leaves_out_what_holds_a_generator() -> None:
    held: list[int] = []
    space = {"a": [held, (n for n in ())], "b": held, "c": [copy]}
    found = oracle.form(space, space)
    assert found.lost == {"a"}
    assert set(found.variables) == {"b", "c"}


def test_the_oracle_lets_what_no_variable_held_die_and_nothing_else() -> None:
    class Held:
        pass

    target = Held()
    space: dict[str, object] = {"r": weakref.ref(target)}
    alone = oracle.form(space, space)
    both = oracle.form(space | {"t": target}, ["r", "t"])
    del target
    dead = oracle.form(space, space)
    assert oracle.difference(alone, dead) is None
    assert oracle.difference(dead, alone) is not None
    assert "`r`" in (oracle.difference(both, dead) or "")


def test_the_oracle_counts_names_only() -> None:
    assert oracle.names_of({"a": 1, ...: 2, 3: 4}, ()) == ["a"]  # type: ignore[dict-item]
