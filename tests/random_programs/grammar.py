"""Random cells, chosen by what the namespace holds, and weighted to trouble."""

from __future__ import annotations

import collections
import enum
import functools
import random
import re
import types
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

IMPORTS = """\
import collections, copy, dataclasses, enum, functools, weakref
import numpy as np, pandas as pd
a = b = c = d = None"""

NAMES = ("a", "b", "c", "d", "e", "u", "v", "max", "_own")
"""Few, so that cells meet: one is a builtin's, one private."""

LITERALS = (
    "None", "2**90", "-1.5", "float('nan')", "'ü\\ud800'", "'text' * 3", "b'\\0bytes'", "(1, (2, 'x'))", "1j",
    "frozenset([1, 2])", "range(3)", "...", "'k'", "True", "slice(1, 2)", "10**18",
)  # fmt: skip

# {new} is a name; {old} a bound name; {i} a number that is never the same; the others are expressions for
# something of that kind; a number tells two of a kind apart. Weights are in the first column.
TEMPLATES = r"""
6 {new} = {any}
3 {new} = [{i}]
2 {new} = {lit}
2 {new} = [{any}, {any2}]
1 {new} = [[{i}]] * 3
2 {new} = {{'k': {any}, {i}: [{i}]}}
1 {new} = {{{hash}: {any}, 'z': {any2}}}
2 {new} = ({any}, {i})
1 {new} = ({list}, {list2})
1 {new} = {{{hash}, {i}}}
1 {new} = frozenset([{hash}, {i}])
1 {new} = bytearray(b'x{i}')
1 {new} = collections.deque([{any}], maxlen=3)
1 {new} = collections.defaultdict(list, k={any})
1 {new} = collections.OrderedDict(p={any}, q=[])
1 {new} = functools.reduce(lambda t, n: [t, n], range(20), {any})
1 {new} = copy.copy({any})
1 {new} = copy.deepcopy({list})
4 {list}.append({any})
2 {list}.append({i})
1 {list}.append({list})
1 {list}.clear()
1 {list}.insert(0, {any})
1 {list}.reverse()
1 {list}[:] = [{any}, {i}]
1 {full}[0] = {any}
1 {full}[0], {full}[-1] = {full}[-1], {full}[0]
1 {full}.pop()
1 del {full}[0]
1 {old} += [{i}]
3 {dict}['k'] = {any}
1 {dict}[{hash}] = {any}
1 {dict}[{i}] = {dict}
1 {dict}.pop('k', None)
1 {dict}['k'] = {dict}.pop('k', [{i}])
1 {dict}.update({dict2})
1 {dict}.setdefault('s', []).append({i})
1 {dict}.clear()
1 {dd}[{i}].append({any})
2 {set}.add({hash})
1 {set}.discard({hash})
1 {ba}[:] = b'{i}y'
1 {ba}.extend(b'{i}')
1 {deque}.append({any})
1 {deque}.rotate()
3 {old}, {old2} = {old2}, {old}
1 {new}, {old} = {old}, {any}
3 del {old}
1 for {new} in ({any}, [{i}]): pass
1 *{new}, {new2} = {any}, [{i}], {i}
1 ({new} := [{any}]).append({i})
1 match {any}:\n    case {new}: pass
1 try:\n    {list}.append({i})\n    1 / 0\nexcept ZeroDivisionError as {new}:\n    {new2} = [{any}]
1 globals()['{new}'] = {any}
1 globals().update({new}={any}, dyn{k}=[{i}])
1 exec('{new} = [{i}]')
1 exec('{list}.append({i})')
1 vars()['{new}'] = [{any}]
1 globals().pop('{old}', None)
1 {new} = globals()
1 import collections as {new}
1 {new} = iter({list})
1 next({iter}, None)
2 class K:\n    tag = {i}\n    held = {any}\n    def size(self): return [self.tag, len(vars(self))]
2 class K:\n    log = []\n    def __init__(self, x={any}): self.x = x\n    def add(self, n={i}): self.log.append(n); {list}.append(n)
1 class K:\n    tag = {i}\n    class In:\n        held = {any}
1 class J({cls}):\n    own = {any}\n    def size(self): return super().__init__()
1 class J:\n    __slots__ = ('x', 'y')\n    made = [{i}]
1 class J(list):\n    tag = {i}
1 class J(dict):\n    held = {any}
1 class M(type):\n    n = {i}\nclass K(metaclass=M):\n    held = {any}
1 class K:\n    @property\n    def x2(self): {list}.append({i})\n    @classmethod\n    def of(cls): return cls()\n    @staticmethod\n    def st(n=[{i}]): n.append({i})
1 @dataclasses.dataclass\nclass P:\n    x: object = {i}\n    y: list = dataclasses.field(default_factory=list)
1 class E(enum.Enum):\n    A = {i}\n    B = [{i}]
1 {new} = {enum}.B
6 {new} = {cls}()
2 {list}.append({cls}())
5 {inst}.x = {any}
1 {inst}.x = [{i}]
1 {inst}.__dict__.clear()
1 del {inst}.x
1 {inst}.__class__ = {cls}
2 {inst}.add()
1 {inst}.x2
1 {inst}.st()
4 {cls}.held = {any}
1 {cls}.n{k} = {i}
1 {cls}.late = lambda self: {i}
1 {cls}.late = {fn}
1 del {cls}.held
2 {new} = {cls}; del {cls}
3 def f(x={any}, *, k=[{i}]):\n    k.append({i})\n    return x
2 def f(n={i}):\n    {list}.append(n)
2 def g():\n    global {new}\n    {new} = [{i}, {any}]
1 def g():\n    global {new}\n    {new2} = 0\n    {new} = [{fn}]
1 def h():\n    return {fn}()
1 def deco(fn):\n    @functools.wraps(fn)\n    def inner(*args):\n        inner.calls += 1\n        return fn(*args)\n    inner.calls = 0\n    return inner\n@deco\ndef g(n={any}):\n    {list}.append({i})
1 @functools.lru_cache\ndef h(n={i}):\n    {list}.append(n)\n    return {i}
2 def make(n):\n    hits = []\n    def up(d={i}):\n        nonlocal n\n        n = [n, d]\n        hits.append(d)\n    def now(): return n\n    return up, now\n{new}, {new2} = make({any})
2 {new}, {new2} = (lambda q: ((lambda: q), (lambda n={i}: q.append(n))))({list})
1 {list}.append(lambda n=[{i}]: n.append({i}))
1 {new} = {{'call': lambda: {list}.append({i})}}
1 {fn}.hits = {any}
1 {fn}.__name__ = 'z{i}'
1 {fn}.__kwdefaults__ = {{'k': [{any}]}}
1 {fn}.__defaults__ = ([{i}],)
6 {fn}()
1 {new} = functools.partial({fn})
1 {new} = functools.partial({list}.append, {any})
1 {partial}()
1 {partial}.note = {any}
1 {new} = {list}.append
1 {new} = {inst}.size
1 {new} = {inst}.add
1 {bound}({i})
2 {new} = np.arange({i} % 7 + 3.0)
1 {new} = np.arange(12).reshape(3, 4)
1 {new} = np.zeros(9000) + {i}
1 {new} = np.array([None, None, {i}], dtype=object)
1 {new} = np.zeros(2, dtype=[('p', 'i4'), ('q', 'f8')])
1 {new} = np.asfortranarray(np.arange(6).reshape(2, 3))
1 {new}, {new2} = (lambda z: (z[:6], z[4:]))(np.arange(10) + {i})
1 {new} = np.random.default_rng({i})
1 {rng}.random()
2 {new} = {arr}[1:]
1 {new} = {arr}[::-1]
1 {new} = {arr}.T
1 {new} = {arr}.reshape(-1)
1 {new} = {arr}[..., ::2]
1 {new} = {arr}.view()
1 {new} = {narr}.view('u1')
1 {new} = np.broadcast_to({arr}, (2, *{arr}.shape))
1 {new} = {sarr}['p']
1 {new} = np.frombuffer({ba}, 'u1')
1 {new} = {arr}.copy()
1 {narr}.flags.writeable = False
4 {warr}.flat[0] = {i} % 250
1 {warr}[...] = {i} % 250
1 {warr}[{warr} > 2] = 1
1 np.add({warr}, 1, out={warr}, casting='unsafe')
3 {oarr}.flat[0] = {any}
2 {new} = pd.DataFrame({{'p': [1, 2, {i}], 'q': ['s', None, 'w']}})
1 {new} = pd.Series([{any}, None, [{i}]], dtype=object)
1 {new} = {frame}['p']
1 {new} = {frame}.copy(deep=False)
1 {new} = {frame}[['p']]
1 {new} = {frame}['p'].to_numpy()
2 {frame}['c{k}'] = {i}
1 {frame}['o'] = pd.Series([{list}, None, [{i}]], dtype=object)
3 {frame}.loc[0, 'p'] = {i}
1 {frame}.attrs['k'] = {list}
1 {frame}.pop('q')
1 {frame}.insert(0, 'n{k}', {i})
1 {frame}.index = [{i}, 1, 0]
1 {series}.iloc[0] = {i}
1 {frame}.iloc[0, 0] = {i}
1 {new} = (n for n in [{any}])
1 {list}.append(n for n in [1])
"""
WEAK = """
3 {new} = weakref.ref({inst})
1 {new} = [weakref.ref({inst}), {inst}]
1 {new} = weakref.WeakValueDictionary(k={inst})
1 {new} = weakref.WeakSet([{inst}])
"""

_SLOT = re.compile(r"\{([a-z]+)(\d?)\}")


def _read(text: str) -> list[tuple[str, int]]:
    rows = [line.split(" ", 1) for line in text.strip().splitlines()]
    return [(template.replace("\\n", "\n"), int(weight)) for weight, template in rows]


class Grammar:
    """Writes cells; the same seed and the same namespaces give the same ones.

    Args:
        chance: what is drawn from.
        weak: with weak references.
        without: statements that match this expression are not written.
    """

    def __init__(self, chance: random.Random, *, weak: bool = False, without: str = "") -> None:
        self._chance = chance
        self._count = 0
        rows = _read(TEMPLATES) + (_read(WEAK) if weak else [])
        rows = [(t, w) for t, w in rows if not (without and re.search(without, t))]
        self._templates = [template for template, _ in rows]
        self._weights = [weight for _, weight in rows]

    def cell(self, space: Mapping[str, Any], names: list[str]) -> str:
        """One to three statements; now and then one that fails after the others have run."""
        found = list(_expressions(space, names))
        parts = [self._statement(found, names) for _ in range(self._chance.choice((1, 1, 1, 2, 3)))]
        if self._chance.random() < 0.04:
            parts.append(self._chance.choice(("1 / 0", "undefined_name", "raise ValueError('no')")))
        return "\n".join(parts)

    def _statement(self, found: list[tuple[str, Any]], names: list[str]) -> str:
        while True:
            (template,) = self._chance.choices(self._templates, self._weights)
            if "for n in" in template and self._chance.random() < 0.9:
                continue  # a variable that cannot be kept is one less to compare
            text = self._filled(template, found, names)
            if text is not None:
                return text

    def _filled(self, template: str, found: list[tuple[str, Any]], names: list[str]) -> str | None:
        chosen: dict[str, str] = {}
        self._count += 1
        for kind, label in _SLOT.findall(template):
            slot = kind + label
            if slot in chosen:
                continue
            text = self._slot(kind, found, names)
            if text is None:
                return None
            chosen[slot] = text
        return template.format(**chosen)

    def _slot(self, kind: str, found: list[tuple[str, Any]], names: list[str]) -> str | None:
        chance = self._chance
        if kind == "i":
            return str(self._count)
        if kind == "k":
            return str(self._count % 3)
        if kind == "lit":
            return chance.choice(LITERALS)
        if kind == "new":
            return chance.choice(NAMES)
        if kind == "old":
            own = [n for n in names if n in NAMES]
            return chance.choice(own) if own else None
        if kind == "any" and chance.random() < 0.15:
            return chance.choice((f"[{self._count}]", *LITERALS[:3]))
        fits = [text for text, value in found if KINDS[kind](value)]
        if not fits:
            return "'h'" if kind == "hash" else None
        short = [text for text in fits if text.isidentifier()]
        return chance.choice(short if short and chance.random() < 0.6 else fits)


def _hashable(value: Any) -> bool:
    return isinstance(value, int | str | bytes | types.FunctionType) or (
        type(value).__module__ == "__main__" and type(value).__hash__ is object.__hash__
    )


def _callable(value: Any) -> bool:
    if not isinstance(value, types.FunctionType):
        return False
    code, given = value.__code__, len(value.__defaults__ or ())
    return code.co_argcount <= given and code.co_kwonlyargcount <= len(value.__kwdefaults__ or ())


def _numeric(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "iuf" and value.size > 0


KINDS = {
    "any": lambda v: not isinstance(v, types.ModuleType),
    "list": lambda v: isinstance(v, list),
    "full": lambda v: isinstance(v, list) and len(v) > 0,
    "dict": lambda v: isinstance(v, dict) and "__name__" not in v,
    "dd": lambda v: isinstance(v, collections.defaultdict),
    "set": lambda v: isinstance(v, set),
    "ba": lambda v: isinstance(v, bytearray),
    "deque": lambda v: isinstance(v, collections.deque),
    "hash": _hashable,
    "iter": lambda v: isinstance(v, type(iter([]))),
    "cls": lambda v: isinstance(v, type) and v.__module__ == "__main__" and not issubclass(v, (enum.Enum, type)),
    "enum": lambda v: isinstance(v, type) and "_member_map_" in vars(v),
    "inst": lambda v: type(v).__module__ == "__main__" and not isinstance(v, type),
    "fn": _callable,
    "partial": lambda v: isinstance(v, functools.partial),
    "bound": lambda v: isinstance(v, types.BuiltinMethodType) and isinstance(v.__self__, list),
    "arr": lambda v: isinstance(v, np.ndarray),
    "narr": _numeric,
    "warr": lambda v: _numeric(v) and v.flags.writeable,
    "oarr": lambda v: isinstance(v, np.ndarray) and v.dtype == object and v.size > 0 and v.flags.writeable,
    "sarr": lambda v: isinstance(v, np.ndarray) and v.dtype.names is not None,
    "rng": lambda v: isinstance(v, np.random.Generator),
    "frame": lambda v: isinstance(v, pd.DataFrame) and "p" in v.columns,
    "series": lambda v: isinstance(v, pd.Series),
}


def _expressions(space: Mapping[str, Any], names: list[str], depth: int = 2) -> Iterator[tuple[str, Any]]:
    """Ways to write what is reachable, with what it is now."""
    level = [(n, space[n]) for n in names if not isinstance(space[n], types.ModuleType)]
    for _ in range(depth):
        yield from level
        level = [child for text, value in level for child in _children(text, value)]
    yield from level


def _children(text: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list | tuple | collections.deque) and value:
        yield f"{text}[0]", value[0]
        yield f"{text}[-1]", value[-1]
    elif isinstance(value, dict):
        if "__name__" in value:
            return
        for key in list(value)[:4]:
            if type(key) in (int, str):
                yield f"{text}[{key!r}]", value[key]
    elif isinstance(value, types.FunctionType):
        if value.__defaults__:
            yield f"{text}.__defaults__[0]", value.__defaults__[0]
        for i, cell in enumerate(value.__closure__ or ()):
            if cell != types.CellType():
                yield f"{text}.__closure__[{i}].cell_contents", cell.cell_contents
        if "hits" in vars(value):
            yield f"{text}.hits", vars(value)["hits"]
    elif isinstance(value, types.MethodType):
        yield f"{text}.__self__", value.__self__
    elif isinstance(value, functools.partial):
        yield from ((f"{text}.args[0]", v) for v in value.args[:1])
    elif isinstance(value, np.ndarray):
        if value.dtype == object and value.size:
            yield f"{text}.flat[0]", value.flat[0]
    elif isinstance(value, pd.DataFrame):
        yield from ((f"{text}.attrs['k']", v) for k, v in value.attrs.items() if k == "k")
    elif isinstance(value, weakref.ref):
        if value() is not None:
            yield f"{text}()", value()
    elif type(value).__module__ == "__main__" or (isinstance(value, type) and value.__module__ == "__main__"):
        held = getattr(value, "__dict__", {})
        yield from ((f"{text}.{k}", v) for k, v in held.items() if k.isidentifier() and k[0] != "_")
        if not isinstance(value, type):
            yield f"type({text})", type(value)
