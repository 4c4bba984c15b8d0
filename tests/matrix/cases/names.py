"""Names: bound, shadowed, deleted, many; and every statement that binds one."""

# ruff: noqa: E501 - a cell is one string

from __future__ import annotations

from typing import Any

from case import Case


def bound(name: str, make: str, cell: str, before: str, after: str, **options: Any) -> Case:
    """`quick` comes first: the cell after it is looked at by what it names."""
    return Case(name, (make,), ("quick = 1", cell), f"assert {before}", f"assert {after}", **options)


def gone(*names: str) -> str:
    """None of the names is bound."""
    return f"not {set(names)!r} & globals().keys()"


CASES = (
    bound("a new name", "n = 1", "m = [2]", gone("m"), "m == [2]"),
    bound("a deleted name", "a, b = [1], [2]", "del a", "a == [1] and b == [2]", gone("a"), keep_id=("b",)),
    bound("deleted and made again", "a = [1]", "del a\na = [2]", "a == [1]", "a == [2]"),
    bound(
        "deleted in a function", "a = [1]\ndef f():\n    global a\n    del a", "f()", "a == [1]", gone("a")
    ),
    bound("deleted from globals()", "a = [1]", "globals().pop('a');", "a == [1]", gone("a")),
    bound(
        "a private name",
        "_a = [1]; __b = [2]; _1a = 3",
        "_a.append(2); __b.append(3)",
        "_a == [1] and __b == [2] and _1a == 3",
        "_a == [1, 2] and __b == [2, 3]",
    ),
    bound(
        "a name with two underscores on both sides",
        "__version__ = '1'",
        "__version__ = '2'",
        "__version__ == '1'",
        "__version__ == '2'",
    ),
    bound(
        "a builtin shadowed",
        "n = 1",
        "list = [1]; print = str",
        "list is type([]) and 'print' not in globals()",
        "list == [1] and print is str",
    ),
    bound("a builtin no longer shadowed", "sum = 5", "del sum", "sum == 5", "sum([1]) == 1"),
    bound("a module shadowed", "import json", "json = 'text'", "json.loads('1') == 1", "json == 'text'"),
    bound(
        "a unicode name",
        "größe = [1]; 名前 = 'x'",
        "größe.append(2)",
        "größe == [1]",
        "größe == [1, 2] and 名前 == 'x'",
    ),
    bound(
        "a name that is no identifier",
        "globals()['a b'] = [1]",
        "globals()['a b'].append(2)",
        "globals()['a b'] == [1]",
        "globals()['a b'] == [1, 2]",
    ),
    bound(
        "5,000 names",
        "globals().update({f'v{i}': [i] for i in range(5000)})",
        "v77.append(1); del v78; v79 = 'x'",
        "all(globals()[f'v{i}'] == [i] for i in range(5000))",
        "v77 == [77, 1] and 'v78' not in globals() and v79 == 'x' and v4999 == [4999]",
    ),
    bound(
        "the name of a magic",
        "time = 5; who = [1]",
        "who.append(2)",
        "who == [1] and time == 5",
        "who == [1, 2]",
    ),
    bound("the same value again", "n = 1; l = [1]", "l = [1]", "l == [1]", "l == [1]"),
    bound("a small number", "n = 1", "n += 1", "n == 1", "n == 2"),
    bound(
        "names exchanged",
        "a, b = [1], [2]; old = (a, b)",
        "a, b = b, a",
        "old[0] is a and old[1] is b",
        "old[0] is b and old[1] is a",
    ),
    bound("another type", "a = [1]", "a = 'text'", "a == [1]", "a == 'text'"),
    bound(
        "unpacking", "n = 1", "a, (b, *c) = 1, (2, 3, 4)", gone("a", "b", "c"), "(a, b, c) == (1, 2, [3, 4])"
    ),
    bound(
        "unpacking into items",
        "l = [0, 0]; d = {}",
        "l[0], d['k'], l[1:] = 1, 2, [3, 4]",
        "l == [0, 0] and d == {}",
        "l == [1, 3, 4] and d == {'k': 2}",
    ),
    bound(
        "unpacking into attributes",
        "class B: pass\nb = B()",
        "b.x, b.y = 1, 2",
        "vars(b) == {}",
        "vars(b) == {'x': 1, 'y': 2}",
    ),
    bound("a chain", "n = 1", "a = b = [1]", gone("a", "b"), "a is b"),
    bound("for", "n = 1", "for i in range(3): pass", gone("i"), "i == 2"),
    bound(
        "for over attributes",
        "class B: pass\nb = B()",
        "for b.i in range(3): pass",
        "vars(b) == {}",
        "b.i == 2",
    ),
    bound("for over items", "l = [0]", "for l[0] in range(3): pass", "l == [0]", "l == [2]"),
    bound("with", "import contextlib", "with contextlib.nullcontext([1]) as w: pass", gone("w"), "w == [1]"),
    bound(
        "with, two targets",
        "import contextlib as c; d = {}",
        "with c.nullcontext(1) as d['a'], c.nullcontext((2, 3)) as (p, q): pass",
        "d == {}",
        "d == {'a': 1} and (p, q) == (2, 3)",
    ),
    bound(
        "except",
        "n = [1]",
        "try: 1 / 0\nexcept ZeroDivisionError as e: kept = e\n",
        gone("kept", "e"),
        "'e' not in globals() and type(kept) is ZeroDivisionError",
    ),
    bound(
        "except deletes its name",
        "e = [1]",
        "try: 1 / 0\nexcept ZeroDivisionError as e: pass",
        "e == [1]",
        gone("e"),
    ),
    bound(
        "except*",
        "n = 1",
        "try: raise ExceptionGroup('g', [ValueError(1)])\nexcept* ValueError as g: kept = g.exceptions",
        gone("kept"),
        "kept[0].args == (1,)",
    ),
    bound("walrus", "n = 1", "if (m := [1]): pass", gone("m"), "m == [1]"),
    bound(
        "walrus in a comprehension",
        "n = 1",
        "l = [last := i for i in range(3)]",
        gone("l", "last", "i"),
        "last == 2 and 'i' not in globals()",
    ),
    bound(
        "match captures",
        "n = 1",
        "match {'a': [1, 2, 3], 'z': 4}:\n    case {'a': [x, *y], **z}: pass",
        gone("x", "y", "z"),
        "(x, y, z) == (1, [2, 3], {'z': 4})",
    ),
    bound(
        "match captures of a class",
        "import dataclasses\n@dataclasses.dataclass\nclass P:\n    x: int",
        "match P(5):\n    case P(x=found) as whole: pass",
        gone("found", "whole"),
        "found == 5 and whole == P(5) and type(whole) is P",
    ),
    bound("an import", "n = 1", "import json", gone("json"), "json.loads('1') == 1"),
    bound(
        "an import under another name",
        "n = 1",
        "import os.path as where",
        gone("where"),
        "where.join('a', 'b') == 'a/b'",
    ),
    bound(
        "a dotted import",
        "n = 1",
        "import xml.dom.minidom",
        gone("xml"),
        "xml.dom.minidom.parseString('<a/>').documentElement.tagName == 'a'",
    ),
    bound(
        "from", "n = 1", "from math import pi, sqrt as root", gone("pi", "root"), "root(4) == 2 and pi > 3"
    ),
    bound(
        "a star import",
        "n = 1",
        "from math import *",
        gone("sqrt", "hypot"),
        "sqrt(4) == 2 and hypot(3, 4) == 5",
    ),
    bound("a star import over a variable", "pi = [3]", "from math import *", "pi == [3]", "3.1 < pi < 3.2"),
    bound(
        "a star import of a module with __all__",
        "import pathlib\npathlib.Path('starred.py').write_text('__all__ = [\"_x\"]\\n_x = [1]\\ny = 2\\n')\nimport sys; sys.path.insert(0, str(pathlib.Path.cwd()))",
        "from starred import *",
        gone("_x", "y"),
        "_x == [1] and 'y' not in globals()",
    ),
    bound(
        "an annotation alone",
        "n = 1",
        "x: int",
        gone("x"),
        "__annotations__.get('x') is int if '__annotations__' in globals() else True",
        redo=False,
    ),
    bound("an annotation with a value", "n = 1", "x: list[int] = [1]", gone("x"), "x == [1]"),
    bound("global at top level", "n = [1]", "global n\nn = [2]", "n == [1]", "n == [2]"),
    bound(
        "a class body's names",
        "n = 1",
        "class A:\n    x = 1\n    for i in range(3): pass",
        gone("A", "x", "i"),
        "A.x == 1 and A.i == 2",
    ),
    bound("a def", "n = 1", "def f(): return 5", gone("f"), "f() == 5"),
    bound("an async def", "n = 1", "async def f(): return 5", gone("f"), "f.__code__.co_flags & 0x80"),
    bound(
        "augmented",
        "n, l, s, t = 1, [1], 'a', (1,)",
        "n += 1; l += [2]; s *= 2; t += (2,)",
        "(n, l, s, t) == (1, [1], 'a', (1,))",
        "(n, l, s, t) == (2, [1, 2], 'aa', (1, 2))",
    ),
    bound(
        "augmented attribute",
        "class B: pass\nb = B(); b.x = [1]; alias = b.x",
        "b.x += [2]",
        "b.x == [1] and alias is b.x",
        "alias == [1, 2]",
    ),
    bound(
        "augmented item",
        "d = {'k': [1]}; alias = d['k']",
        "d['k'] += [2]",
        "alias == [1] and alias is d['k']",
        "alias == [1, 2]",
    ),
    bound(
        "augmented slice",
        "l = [1, 2, 3]; alias = l",
        "l[1:] *= 2",
        "alias == [1, 2, 3]",
        "alias == [1, 2, 3, 2, 3] and alias is l",
    ),
    bound(
        "augmented set and dict",
        "s, d = {1}, {'a': 1}; alias = (s, d)",
        "s |= {2}; d |= {'b': 2}",
        "alias == ({1}, {'a': 1})",
        "alias[0] is s and alias[1] is d and s == {1, 2} and d == {'a': 1, 'b': 2}",
    ),
    bound(
        "slices",
        "l = list(range(6)); alias = l",
        "l[::2] = 'abc'; del l[-1]",
        "alias == [0, 1, 2, 3, 4, 5]",
        "alias == ['a', 1, 'b', 3, 'c'] and alias is l",
    ),
    bound(
        "setattr and delattr",
        "class B: pass\nb = B(); b.x = 1",
        "setattr(b, 'y', 2); delattr(b, 'x')",
        "vars(b) == {'x': 1}",
        "vars(b) == {'y': 2}",
    ),
    bound(
        "sort and reverse",
        "l = [3, 1, 2]; alias = l",
        "l.sort(reverse=True)",
        "alias == [3, 1, 2]",
        "alias == [3, 2, 1] and alias is l",
    ),
    bound(
        "the order of a dict",
        "d = dict(a=1, b=2)",
        "d['a'] = d.pop('a')",
        "list(d) == ['a', 'b']",
        "list(d) == ['b', 'a']",
    ),
    bound(
        "the order of a dict, equal otherwise",
        "from collections import OrderedDict\nd = OrderedDict(a=1, b=2)",
        "d.move_to_end('a')",
        "list(d) == ['a', 'b']",
        "list(d) == ['b', 'a']",
    ),
    bound(
        "True becomes 1",
        "d = {'k': True}",
        "d['k'] = 1",
        "d['k'] is True",
        "d['k'] == 1 and d['k'] is not True",
    ),
    bound(
        "0.0 becomes -0.0",
        "import math; x = [0.0]",
        "x[0] = -0.0",
        "math.copysign(1, x[0]) == 1",
        "math.copysign(1, x[0]) == -1",
    ),
    bound(
        "1 becomes 1.0",
        "x = 1; l = [1]",
        "x = 1.0; l[0] = 1.0",
        "type(x) is int and type(l[0]) is int",
        "type(x) is float and type(l[0]) is float",
    ),
)
