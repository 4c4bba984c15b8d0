"""What was kept under one Python comes back under another one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VERSIONS = ("3.11", "3.12", "3.13", "3.14")

CELLS = [
    """
import abc, collections, dataclasses, enum, functools, typing
import numpy as np, pandas as pd
@dataclasses.dataclass(order=True)
class Point:
    x: int = 1
    tags: list = dataclasses.field(default_factory=list)
    def double(self): return self.x * 2
@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    a: int
class Color(enum.Enum):
    RED = 1
    def shout(self): return self.name + "!"
class Base(abc.ABC):
    @abc.abstractmethod
    def area(self): ...
class Square(Base):
    def __init__(self, side): self.side = side
    def area(self): return self.side ** 2
    @property
    def twice(self): return super().__class__.__name__ and 2 * self.area()
class Row(typing.NamedTuple):
    a: int
    b: str = "b"
Pair = collections.namedtuple("Pair", "one two", defaults=(2,))
""",
    """
rate = 3
def pay(hours, *, bonus=[1]): return hours * rate + len(bonus)
def counter():
    n = 0
    def up():
        nonlocal n
        n += 1
        return n
    return up
up = counter(); up()
later = functools.partial(pay, 2)
anonymous = lambda x: x + rate
@functools.lru_cache
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
async def slow(x): return x
def numbers(n): yield from range(n)
""",
    """
points = [Point(3, ["a"]), Point(1)]
held = {"slotted": Slotted(4), "color": Color.RED, "square": Square(3), "row": Row(1), "pair": Pair(1)}
frame = pd.DataFrame({"n": [1.5, None], "s": ["a", "b"]})
array = np.arange(100_000.0); view = array[10:]
problem = ValueError("no", 3)
""",
]

CHECKS = """
assert sorted(points)[0].x == 1 and points[0].double() == 6 and type(points[0]) is Point
assert repr(Point(2)) == "Point(x=2, tags=[])" and Point(2) == Point(2)
assert held["slotted"] == Slotted(4) and held["color"] is Color.RED and Color.RED.shout() == "RED!"
assert held["square"].area() == 9 and held["square"].twice == 18 and type(held["row"]) is Row
assert held["row"]._replace(b="c") == (1, "c") and held["pair"].two == 2 and Pair(5) == (5, 2)
rate = 5
assert pay(2) == 11 and later() == 11 and anonymous(1) == 6
assert up() == 2 and up() == 3 and fib(20) == 6765 and list(numbers(3)) == [0, 1, 2]
assert frame.n.isna().tolist() == [False, True] and frame.s.tolist() == ["a", "b"]
assert array.sum() == 4999950000.0 and np.shares_memory(array, view) and problem.args == ("no", 3)
try:
    Base()
except TypeError:
    pass
else:
    raise AssertionError("an abstract class was instantiated")
"""

SCRIPT = """
import json, os, sys
from pathlib import Path
import durable_nb
from durable_nb import testing

work, cells, checks = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
with testing.shell(Path.cwd()) as shell:
    session = durable_nb.session()
    if work == "keep":
        for cell in cells:
            testing.run(shell, cell).raise_error()
        session.settle()
        os._exit(9)
    result = session.recover()
    print(json.dumps({"failed": dict(result.failed), "unsaved": dict(result.unsaved)}), flush=True)
    exec(checks, shell.user_ns)
"""


def _interpreters(version: str) -> Iterator[str]:
    found = shutil.which(f"python{version}")
    if found is not None and "shims" not in found:
        yield found
    for manager in ("~/.pyenv/versions", "~/.local/share/uv/python"):
        yield from map(str, Path(manager).expanduser().glob(f"*{version}*/bin/python{version}"))


def _python(version: str, folder: Path) -> str:
    """An interpreter of that version with durable_nb: this one, or one in a virtual environment."""
    if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        return sys.executable
    found = next(
        (
            p
            for p in _interpreters(version)
            if not subprocess.run([p, "-c", "import venv, ensurepip"], check=False).returncode
        ),
        None,
    )
    if found is None:
        pytest.skip(f"there is no Python {version}")
    python = folder / version / "bin" / "python"
    subprocess.run([found, "-m", "venv", folder / version], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "-e", f"{ROOT}[test]"], check=True)
    return str(python)


@pytest.fixture(scope="module")
def pythons() -> dict[str, str]:
    """Interpreters, by version, as they are made."""
    return {}


@pytest.mark.long
@pytest.mark.parametrize("theirs", VERSIONS)
@pytest.mark.parametrize("ours_first", [True, False], ids=["from here", "to here"])
def test_a_notebook_goes_on_under_another_python(
    theirs: str,
    ours_first: bool,
    pythons: dict[str, str],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    if theirs not in pythons:
        pythons[theirs] = _python(theirs, tmp_path_factory.mktemp("pythons"))
    first, second = (sys.executable, pythons[theirs]) if ours_first else (pythons[theirs], sys.executable)
    environment = {**os.environ, "HOME": str(tmp_path)}

    def run(python: str, work: str) -> subprocess.CompletedProcess[str]:
        command = [python, "-c", SCRIPT, work, json.dumps(CELLS), json.dumps(CHECKS)]
        return subprocess.run(
            command,
            check=False,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    kept = run(first, "keep")
    assert kept.returncode == 9, kept.stderr
    back = run(second, "recover")
    assert back.returncode == 0, back.stderr
    assert '{"failed": {}, "unsaved": {}}' in back.stdout
