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

from durable_nb.errors import FatalError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from IPython.core.interactiveshell import InteractiveShell

    from durable_nb.engine.progress import Event, Summary
    from durable_nb.engine.session import Session
    from durable_nb.model import Checkpoint, RecoveryResult

__all__ = [
    "FatalError",
    "TransientError",
    "checkpoint",
    "forget",
    "heartbeat",
    "history",
    "idempotency_key",
    "ignore",
    "load_ipython_extension",
    "recover",
    "register",
    "session",
    "sql",
    "subscribe",
    "summary",
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


def subscribe(topic: str, callback: Callable[[Event], object]) -> Callable[[], None]:
    """Be told what happens, once it is kept; returns what ends it.

    Args:
        topic: `/topic/progress/<execution>`, or `/topic/progress/*` for every execution of this kernel.
        callback: gets each event; it may be called on another thread. What it raises is said once, and what
            it puts into variables of the notebook is taken back with a node's failed attempt.

    Raises UsageError for another topic.
    """
    return session().topics.subscribe(topic, callback)


def summary() -> Summary:
    """How far the notebook is: nodes done of all, which one runs, how long it may take."""
    return session().summary()


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


def heartbeat(details: Any = None) -> Any:
    """Say that the running node is alive, for `--idle-timeout`; returns what the attempt before it said last.

    `details` is anything JSON can hold (how far it is, say). It is kept, at most once a second: the next
    attempt gets it, even when the kernel dies. Outside a node it does nothing. Raises TypeError for details
    that JSON cannot hold.
    """
    return session().attempts.heartbeat(details)


def idempotency_key() -> str:
    """A key of the running node's work: the same for all its attempts, over restarts, until it is finished.

    For `Idempotency-Key` headers and their like. Raises NodeError outside a node.
    """
    return session().attempts.key()


def register(kind: type, reduce: Callable[[Any], Any]) -> None:
    """Say how objects of a class are kept: `reduce(obj)` returns what `__reduce__` would."""
    from durable_nb.state.special import register as register_

    register_(kind, reduce)


def sql(query: str) -> Any:
    """Ask the catalog: `SELECT * FROM checkpoints`; returns a `pyarrow.Table`.

    Tables: executions, nodes, attempts, progress, checkpoints, variables, events, packs.
    `FROM var('df', 'clean')` is the value of the variable `df` as of the node or version `clean`.
    """
    from durable_nb.engine.query import run

    return run(session(), query)
