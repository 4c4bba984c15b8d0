"""SQL over the catalog and over the values themselves."""

from __future__ import annotations

import re
from typing import Any

from durable_nb.engine import target as targets
from durable_nb.engine.session import Session
from durable_nb.errors import NotFoundError
from durable_nb.state import restore
from durable_nb.store.catalog import Catalog, as_table

_VAR = re.compile(r"\bvar\(\s*'([^']+)'\s*(?:,\s*'([^']+)'\s*)?\)", re.IGNORECASE)


def run(session: Session, query: str) -> Any:
    """Answer a query; `var('name', 'node or version')` in it stands for a variable's value then.

    Returns a `pyarrow.Table`. Raises NotFoundError for a variable that was not kept, UsageError for one that
    is no table.
    """
    session.settle()
    tables: dict[str, Any] = {}

    def place(match: re.Match[str]) -> str:
        table = f"var_{len(tables)}"
        tables[table] = as_table(match[1], value(session, match[1], match[2]))
        return table

    return Catalog(session.repository).sql(_VAR.sub(place, query), tables)


def value(session: Session, name: str, wanted: str | None = None) -> Any:
    """A variable as of a checkpoint, without touching the live one.

    Raises:
        NotFoundError: it was not kept there, or cannot be loaded.
    """
    history = session.history()
    points = targets.choose(history, wanted)
    if not points:
        raise NotFoundError("nothing was kept of this notebook yet")
    target = targets.open_target(session.repository, history, points[0].version)
    if name not in target.state:
        raise NotFoundError(f"v{target.version} has no variable `{name}`")
    wanted_only = {n: d for n, d in target.state.items() if n == name}
    todo = restore.Plan(wanted_only, (), (), {}, (), (), 0)
    capture = session.keeper.capture
    staged = restore.stage(todo, target.manifests, session.repository.chunks, capture, in_place=False)
    restore.discard(staged, capture)
    if name not in staged.values:
        why = staged.failed.get(name) or target.manifests[target.state[name]].unsaved or "it was not kept"
        raise NotFoundError(f"`{name}` of v{target.version} cannot be loaded: {why}")
    return staged.values[name]
