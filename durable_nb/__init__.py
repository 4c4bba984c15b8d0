"""Durable execution for Jupyter notebooks: what was finished survives the kernel.

    %load_ext durable_nb

The same from Python, once the extension is loaded:

    import durable_nb as durable
    durable.checkpoint("before cleaning")
    durable.recover("clean")
    durable.history()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from IPython.core.interactiveshell import InteractiveShell

    from durable_nb.engine.session import Session
    from durable_nb.model import Checkpoint, RecoveryResult

__all__ = [
    "checkpoint",
    "forget",
    "history",
    "ignore",
    "load_ipython_extension",
    "recover",
    "register",
    "session",
    "sql",
    "undo",
    "unload_ipython_extension",
]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Record the shell's cells from here on. `%load_ext durable_nb` calls it; a second call does nothing."""
    from durable_nb.shell.extension import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Stop recording and leave no trace in the shell. `%unload_ext durable_nb` calls it."""
    from durable_nb.shell.extension import unload

    unload(shell)


def session() -> Session:
    """The session of the shell that this code runs in.

    Raises:
        NotFoundError: the extension is not loaded.
    """
    from durable_nb.shell.extension import current

    return current()


def checkpoint(description: str = "") -> Checkpoint:
    """Keep every variable now; safe from power loss when it returns, and pinned.

    Works inside a running cell too. Raises StoreError if it could not be written.
    """
    return session().checkpoint(description)


def recover(
    wanted: str | int | None = None, *, only: Iterable[str] | None = None, plan: bool = False
) -> RecoveryResult:
    """Bring an earlier state back: a node's name, a version (12 or "v12"), an id's prefix; None: the newest.

    Only moves state, never runs code. With `only`, just these variables and what belongs to them; with
    `plan`, says what would happen. Raises NotFoundError where there is no such checkpoint.
    """
    return session().recover(wanted, only=only, plan=plan)


def undo() -> RecoveryResult:
    """Go back to where the last `recover` started. Raises NotFoundError where there was none."""
    return session().undo()


def history() -> list[Checkpoint]:
    """Every checkpoint of this execution, oldest first; retired ones are left out."""
    points = session().history().checkpoints().values()
    return sorted((p for p in points if not p.retired), key=lambda p: p.version)


def ignore(*names: str) -> None:
    """Leave these variables out from the next checkpoint on."""
    session().keeper.policy.ignored.update(names)


def forget(*names: str) -> list[str]:
    """Remove variables from all history; returns the variables whose history goes with them."""
    return session().forget(names)[0]


def register(kind: type, reduce: Callable[[Any], Any]) -> None:
    """Say how objects of a class are kept: `reduce(obj)` returns what `__reduce__` would."""
    from durable_nb.state.special import register as register_

    register_(kind, reduce)


def sql(query: str) -> Any:
    """Ask the catalog: `SELECT * FROM checkpoints`; returns a `pyarrow.Table`.

    Tables: executions, nodes, attempts, checkpoints, variables, events, packs. `FROM var('df', 'clean')` is
    the value of the variable `df` as of the node or version `clean`.
    """
    from durable_nb.engine.query import run

    return run(session(), query)
