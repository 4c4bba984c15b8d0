"""Small notebooks, one trap each: a state, a cell that changes it, and what has to hold one step back."""

from __future__ import annotations

from tests.benchmarks.workload import Workload

_HELD = """\
import sys, types
x = [1]
held = sys.modules['held'] = types.ModuleType('held')
held.x = x
del held
"""

_READS = "a = 1\ndef f():\n    return a"

_METHODS = """\
class P:
    def __init__(self):
        self.v = 1
    def get(self):
        return self.v
p = P()
"""

_REFUSES = """\
class Bad:
    def __reduce__(self):
        return int, ('no',)
bad, x = Bad(), [1]
"""

_FILE = """\
with open('f', 'w') as f:
    f.write('abcdef')
r = open('f')
c = r.read(2)
"""

_EFFECT = """\
import os
n = [1]
g = (i for i in n)
fd = os.open('log', os.O_CREAT | os.O_APPEND | os.O_WRONLY)
written = os.write(fd, b'x')
"""

_SLOTS = """\
class S:
    __slots__ = ('a',)
s = S()
s.a = [1]
t = s.a
"""

_TRAPS: tuple[tuple[str, str, str, str], ...] = (
    ("global in a function", "x = 1\ndef up():\n    global x\n    x += 1", "up()", "x"),
    ("globals().update", "x = 1", "globals().update(x=2)", "x"),
    ("exec", "x = [1]", "exec('x.append(2)')", "x"),
    ("change through Out", "x = [1]\nx", "_.append(2)", "x"),
    ("change through a module", _HELD, "import sys\nsys.modules['held'].x.append(2)", "x"),
    ("function sees a new global", _READS, "a = 2", "f(), f.__globals__ is SPACE"),
    ("function that was deleted", _READS, "del f", "f(), f.__globals__ is SPACE"),
    ("deleted variable", "d, keep = [1], 1", "del d", "d, keep"),
    ("new variable", "keep = 1", "d = [1]", "'d' in SPACE, keep"),
    ("name with an underscore", "_x = [1]", "_x.append(2)", "_x"),
    ("instances of a class", _METHODS, "p.v = 2", "p.get(), type(p) is P"),
    ("class made again", "class P:\n    v = 1\np = P()", "class P:\n    v = 2", "p.v, P.v, type(p) is P"),
    (
        "view of an array",
        "import numpy as np\nb = np.zeros(9)\nv = b[2:5]",
        "v += 1",
        "np.shares_memory(b, v), float(b.sum())",
    ),
    (
        "deep list",
        "deep = []\nfor _ in range(50_000):\n    deep = [deep]\nx = [1]",
        "x.append(2)",
        "x, type(deep)",
    ),
    ("value that does not load", _REFUSES, "x.append(2)", "x"),
    (
        "generator beside a value",
        "import random\ng, t = (i for i in range(9)), random.random()",
        "t = 0",
        "t",
    ),
    ("open file", _FILE, "c = r.read(2)", "c, r.tell()"),
    (
        "state of random",
        "import random\nx = random.random()",
        "x = random.random()",
        "sum(random.getstate()[1])",
    ),
    ("side effect", _EFFECT, "n.append(2)", "n, os.stat('log').st_size"),
    ("object with slots", _SLOTS, "t.append(2)", "s.a, s.a is t"),
)

CASES = {
    name: Workload(name, name, "", (setup,), (change,), {name: check})
    for name, setup, change, check in _TRAPS
}
