"""The ways to keep a notebook that are compared: ours, the peers, nothing at all, and the floor."""

from __future__ import annotations

import builtins
import json
import os
import sqlite3
import threading
import time
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from IPython.core.interactiveshell import InteractiveShell

from tests.benchmarks import floor
from tests.benchmarks.measure import size_of
from tests.benchmarks.workloads import Workload


class Tool:
    """Keeps nothing: what the others are compared with. Works in the current directory.

    Hooks that a tool registers in `attach` run around each cell, and are timed. Libraries are
    imported there too: what they find in `__main__` has to be the notebook.
    """

    most_cells: ClassVar[int] = 10_000
    """of a workload's changes that it is given"""
    keeps: ClassVar[bool] = False
    """whether there is something to go back to"""

    def __init__(self, shell: InteractiveShell, work: Workload) -> None:
        self.shell = shell
        self.work = work

    def attach(self) -> None:
        """Take the notebook under its wings."""

    def settle(self) -> None:
        """Wait until what is done in the background is done."""

    def size(self) -> int:
        """Bytes written so far, but for what was given back."""
        return 0

    def behind(self) -> float:
        """CPU seconds spent in the background so far."""
        return 0.0

    def mark(self) -> Any:
        """What `go` finds the state of now by, in this process and in the next."""

    def go(self, mark: Any) -> None:
        """Make that state live."""

    def more(self) -> dict[str, Any]:
        """Further figures."""
        return {}

    @property
    def names(self) -> list[str]:
        """The user's variables."""
        hidden = {"In", "Out", "exit", "quit", "open", "get_ipython"}
        return [n for n in dict.keys(self.shell.user_ns) if n not in hidden and not n.startswith("_")]


class Ours(Tool):
    keeps = True

    def attach(self) -> None:
        import pyarrow.parquet  # noqa: F401  the peers' libraries are there, too, before anything is timed

        import durable_nb

        self.shell.run_line_magic("load_ext", "durable_nb")
        self._session = durable_nb.session()

    def settle(self) -> None:
        self._session.settle()

    def size(self) -> int:
        return size_of(Path(".durable"))

    def behind(self) -> float:
        threads = [t.ident for t in threading.enumerate() if t.name.startswith("durable_nb")]
        return sum(time.clock_gettime(time.pthread_getcpuclockid(t)) for t in threads if t is not None)

    def mark(self) -> Any:
        return self._session.version

    def go(self, mark: Any) -> None:
        self._session.recover(mark)


class Floor(Tool):
    """What keeping the touched variables cannot cost less than."""

    def attach(self) -> None:
        self._floor = floor.SaveFloor()
        self._events: Any = self.shell.events
        self._events.register("post_run_cell", self._save)

    def _save(self, _: object) -> None:
        space = self.shell.user_ns
        self._floor.save({n: space[n] for n in self.work.touched if n in space})

    def more(self) -> dict[str, Any]:
        return {"stream_bytes": self._floor.stream_bytes, "pickled_bytes": self._floor.pickled_bytes}


class _Dump(Tool):
    """Everything into a new file after each cell; only the last two stay."""

    keeps = True

    def attach(self) -> None:
        self._sizes: list[int] = []
        self._file = ""
        events: Any = self.shell.events
        events.register("post_run_cell", self._keep)

    def _keep(self, _: object) -> None:
        self._file = f"dump-{len(self._sizes) % 2}"
        self._dump(self._file)
        self._sizes.append(Path(self._file).stat().st_size)

    def _dump(self, file: str) -> None:
        raise NotImplementedError

    def size(self) -> int:
        return sum(self._sizes)

    def mark(self) -> Any:
        return self._file


class Dill(_Dump):
    """`dill.dump_session`; where that fails, what it had written is all there is."""

    def attach(self) -> None:
        import dill

        self._dill = dill
        self._error = ""
        super().attach()

    def _dump(self, file: str) -> None:
        try:
            self._dill.dump_session(file)
        except Exception as error:
            self._error = f"{type(error).__name__}: {error}"

    def go(self, mark: Any) -> None:
        self._dill.load_session(mark)

    def more(self) -> dict[str, Any]:
        return {"error": self._error} if self._error else {}


class Cloudpickle(_Dump):
    """All variables in one `cloudpickle.dump`, without those that refuse."""

    def attach(self) -> None:
        import cloudpickle

        self._cloudpickle = cloudpickle
        super().attach()

    def _dump(self, file: str) -> None:
        values = {n: self.shell.user_ns[n] for n in self.names}
        try:
            self._write(values, file)
        except Exception:
            self._write({n: v for n, v in values.items() if self._can(v)}, file)

    def _write(self, values: dict[str, Any], file: str) -> None:
        with Path(file).open("wb") as out:
            self._cloudpickle.dump(values, out)

    def _can(self, value: Any) -> bool:
        try:
            self._cloudpickle.dumps(value)
        except Exception:
            return False
        return True

    def go(self, mark: Any) -> None:
        with Path(mark).open("rb") as source:
            found = self._cloudpickle.load(source)
        for name in self.names:
            del self.shell.user_ns[name]
        self.shell.user_ns.update(found)


class Kishu(Tool):
    """Kishu as it is installed, all settings at their defaults, but for its test mode.

    That mode leaves out saving the notebook through a front end, which costs it 0.2 s and more.
    """

    keeps = True
    most_cells = 300  # what it takes grows with the number of cells

    def attach(self) -> None:
        notebook = Path("kishu.ipynb")
        if not notebook.exists():
            empty = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
            notebook.write_text(json.dumps(empty))
        os.environ |= {
            "KISHU_PATH_ROOT": str(Path.cwd()),
            "ENV_KISHU_TEST_MODE": "true",
            "TEST_NOTEBOOK_PATH": str(notebook.resolve()),
        }
        builtins.get_ipython = lambda: self.shell  # type: ignore[attr-defined]
        from kishu import init_kishu

        init_kishu(str(notebook.resolve()))
        self._kishu: Any = dict.__getitem__(self.shell.user_ns, "_kishu")

    def size(self) -> int:
        return Path("kishu.kishudb").stat().st_size

    def mark(self) -> Any:
        return self._kishu._kishu_branch.get_head().commit_id

    def go(self, mark: Any) -> None:
        self._kishu.checkout(mark)

    def more(self) -> dict[str, Any]:
        """What it never stored, and so gets by running cells again."""
        with closing(sqlite3.connect("kishu.kishudb")) as database:
            found = database.execute("select versioned_name from variable_snapshot").fetchall()
        stored = {name for (version,) in found for name in version.split(",")[1:]}
        return {"unstored": sorted(n for n in self.work.touched if n in self.names and n not in stored)}


TOOLS: dict[str, type[Tool]] = {
    "plain": Tool,
    "floor": Floor,
    "ours": Ours,
    "kishu": Kishu,
    "dill": Dill,
    "cloudpickle": Cloudpickle,
}

PEERS = ("kishu", "dill", "cloudpickle")


def missing() -> list[str]:
    """Peers that are not installed here."""
    return [name for name in PEERS if find_spec(name) is None]
