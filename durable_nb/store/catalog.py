"""DuckDB over the log: what SQL and the views read. Derived; deleting it loses nothing."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from durable_nb.errors import DurableError, UsageError
from durable_nb.model import Execution

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from durable_nb.store.log import History
    from durable_nb.store.repository import Repository

SCHEMA = 2
"""A catalog of another version is built anew."""

TABLES: dict[str, dict[str, str]] = {
    "executions": {
        "execution": "VARCHAR",
        "notebook": "VARCHAR",
        "parent": "VARCHAR",
        "started": "TIMESTAMPTZ",
        "updated": "TIMESTAMPTZ",
        "status": "VARCHAR",
        "epoch": "INTEGER",
        "owner": "VARCHAR",
        "head": "INTEGER",
        "trusted": "BOOLEAN",
        "digest": "VARCHAR",
    },
    "attempts": {
        "execution": "VARCHAR",
        "record": "INTEGER",
        "epoch": "INTEGER",
        "attempt": "INTEGER",
        "node": "VARCHAR",
        "label": "VARCHAR",
        "status": "VARCHAR",
        "started": "TIMESTAMPTZ",
        "ended": "TIMESTAMPTZ",
        "seconds": "DOUBLE",
        "try": "INTEGER",
        "run": "INTEGER",
        "error": "VARCHAR",
        "next": "TIMESTAMPTZ",
    },
    "checkpoints": {
        "execution": "VARCHAR",
        "version": "INTEGER",
        "parent": "INTEGER",
        "time": "TIMESTAMPTZ",
        "kind": "VARCHAR",
        "node": "VARCHAR",
        "description": "VARCHAR",
        "pinned": "BOOLEAN",
        "retired": "BOOLEAN",
        "digest": "VARCHAR",
    },
    "variables": {
        "execution": "VARCHAR",
        "version": "INTEGER",
        "name": "VARCHAR",
        "type": "VARCHAR",
        "bytes": "BIGINT",
        "digest": "VARCHAR",
    },
    "events": {
        "execution": "VARCHAR",
        "record": "INTEGER",
        "epoch": "INTEGER",
        "time": "TIMESTAMPTZ",
        "kind": "VARCHAR",
        "digest": "VARCHAR",
    },
    "packs": {"pack": "VARCHAR", "bytes": "BIGINT"},
}
"""Table -> column -> type. `variables` holds a row for each variable that a version set or, with a
NULL digest, deleted. Of an attempt, `attempt` is its intent's number in the epoch; a node that is finished
begins a new `run`, within which `try` counts; `next` is when it is tried again."""

_NODES = """
CREATE VIEW nodes AS
SELECT execution, node, status, record, started, ended, seconds,
       count(*) OVER (PARTITION BY execution, node) AS attempts
FROM attempts WHERE node IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY execution, node ORDER BY record DESC) = 1
"""

_PROGRESS = """
CREATE VIEW progress AS
SELECT execution, node, label, status, time, attempt
FROM (
    SELECT execution, node, label, 'STARTED' AS status, started AS time, attempt, record, 0 AS part
    FROM attempts
    WHERE attempt > 0 AND started IS NOT NULL AND status NOT IN ('REUSED', 'SKIPPED', 'QUARANTINED')
    UNION ALL
    SELECT execution, node, label, status,
           CASE WHEN status IN ('COMPLETED', 'FAILED', 'INTERRUPTED') THEN coalesce(ended, events.time)
                ELSE events.time END,
           attempt, record, 1
    FROM attempts JOIN events USING (execution, record)
    WHERE status IS NOT NULL
)
ORDER BY time, execution, record, part
"""
"""What was never begun has no start; a loss, and what is put back or decided, counts from its record on."""

_VIEWS = {"nodes": _NODES, "progress": _PROGRESS}

_LATEST = 1e11
"""Seconds since 1970: DuckDB's timestamps end far later."""

Rows = dict[str, list[dict[str, Any]]]


class Catalog:
    """Answers questions about a store. Its file is open only while one is answered."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def sql(self, query: str, tables: Mapping[str, Any] | None = None) -> pa.Table:
        """The answer to a query, over the catalog as it is now and over the tables given by name.

        Raises UsageError where DuckDB does not understand the query.
        """
        import duckdb

        with self._connected() as connection:
            for name, table in (tables or {}).items():
                connection.register(name, table)
            try:
                connection.execute("BEGIN TRANSACTION READ ONLY")
                answer = connection.sql(query)
                if answer is None:
                    raise UsageError("that is no query: it has no answer")
                return answer.to_arrow_table()
            except duckdb.Error as error:
                raise UsageError(f"{type(error).__name__}: {str(error).splitlines()[0]}") from error

    def refresh(self) -> None:
        """Bring the file up to date, where nobody else has it open."""
        with self._connected():
            pass

    @contextlib.contextmanager
    def _connected(self) -> Iterator[duckdb.DuckDBPyConnection]:
        import duckdb

        lock = self._lock()
        try:
            file = None if lock is None else self._file
            try:
                connection = self._open(file)
            except duckdb.Error:
                # Damaged, of another version, or changed by a query: it is derived, so it is made anew.
                if file is not None:
                    for path in (file, file.with_name(f"{file.name}.wal")):
                        path.unlink(missing_ok=True)
                connection = self._open(file)
            try:
                yield connection
            finally:
                connection.close()
        finally:
            if lock is not None:
                os.close(lock)

    @property
    def _file(self) -> Path | None:
        return self._repository.path / "catalog.duckdb" if self._repository.path else None

    def _lock(self) -> int | None:
        """The lock beside the file; None, for a catalog in memory, if somebody else has it."""
        if self._file is None:
            return None
        try:
            lock = os.open(self._file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return None
        return lock

    def _open(self, file: Path | None) -> duckdb.DuckDBPyConnection:
        import duckdb

        connection = duckdb.connect(":memory:" if file is None else file)
        try:
            # A query must not find the Python variables of whoever calls it.
            connection.execute("SET python_enable_replacements = false")
            self._prepare(connection)
            self._update(connection)
        except BaseException:
            connection.close()
            raise
        if file is not None:
            file.chmod(0o600)
        return connection

    def _prepare(self, connection: duckdb.DuckDBPyConnection) -> None:
        import duckdb

        there = {name for (name,) in connection.sql("SHOW TABLES").fetchall()}
        if there:
            version = connection.sql("SELECT version FROM catalog").fetchall()
            if version != [(SCHEMA,)] or not there >= TABLES.keys() | _VIEWS.keys():
                raise duckdb.Error("the catalog is of another version")
            return
        for table, columns in TABLES.items():
            connection.execute(f"CREATE TABLE {table} ({', '.join(f'{c} {t}' for c, t in columns.items())})")
        for view in _VIEWS.values():
            connection.execute(view)
        connection.execute(f"CREATE TABLE catalog AS SELECT {SCHEMA} AS version")

    def _update(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Add what is new since; an execution whose past is another one, or was marked, is read anew."""
        known = dict(connection.sql("SELECT execution, (head, digest) FROM executions").fetchall())
        executions = self._repository.executions()
        rows: Rows = {table: [] for table in TABLES}
        stale = set(known) - {e.id for e in executions}
        for execution in executions:
            history = self._repository.history(execution.id)
            seen = _seen(known.get(execution.id), history)
            if seen is None:
                stale.add(execution.id)
            _add(rows, execution, history, seen or 0, self._components(history, seen or 0))
        objects = self._repository.objects
        rows["packs"] = [{"pack": key, "bytes": objects.size(key)} for key in objects.list("packs/")]
        connection.begin()
        connection.execute("DELETE FROM packs")
        connection.execute("DELETE FROM executions")
        for table in ("attempts", "checkpoints", "variables", "events"):
            for execution_id in stale & known.keys():
                connection.execute(f"DELETE FROM {table} WHERE execution = ?", [execution_id])  # noqa: S608 - a name of ours
        for table, new in rows.items():
            _insert(connection, table, new)
        connection.commit()

    def _components(self, history: History, after: int) -> dict[str, tuple[int, dict[str, str]]]:
        """Manifest digest -> (bytes, types), of what this user trusts."""
        if not history.trusted:
            return {}
        wanted = {
            digest
            for record in history.since(after)
            for digest in (record.body.get("state") or {"set": {}})["set"].values()
        }
        index = self._repository.packs
        if not all(index.find(digest) for digest in wanted):
            index.refresh()
        held = [digest for digest in wanted if index.find(digest)]
        try:
            manifests = self._repository.components(held)
        except (DurableError, OSError):
            manifests = {}
            for digest in held:
                with contextlib.suppress(DurableError, OSError):
                    manifests |= self._repository.components([digest])
        return {digest: (component.size, dict(component.types)) for digest, component in manifests.items()}


def _seen(known: Any, history: History) -> int | None:
    """The number up to which the catalog has the execution; None where it must be read anew."""
    if known is None:
        return 0
    number, digest = (known["head"], known["digest"]) if isinstance(known, dict) else known
    entry = history.entry(number) if number else None
    if number and (entry is None or entry.record.digest != digest):
        return None
    marks = ("pin", "unpin", "retire", "forget", "describe")
    return None if any(mark in r.body for r in history.since(number) for mark in marks) else int(number)


def _add(
    rows: Rows,
    execution: Execution,
    history: History,
    after: int,
    manifests: dict[str, tuple[int, dict[str, str]]],
) -> None:
    digest = history.head.digest if history.head else ""
    owner = f"{execution.owner.user}@{execution.owner.host}" if execution.owner else None
    rows["executions"].append(
        {
            "execution": execution.id,
            "notebook": execution.notebook,
            "parent": execution.parent,
            "started": execution.started,
            "updated": execution.updated,
            "status": str(execution.status),
            "epoch": execution.epoch,
            "owner": owner,
            "head": execution.head,
            "trusted": execution.trusted,
            "digest": digest,
        }
    )
    points = history.checkpoints()
    for record in history.since(after):
        place = {"execution": execution.id, "record": record.number, "epoch": record.epoch}
        rows["events"].append({**place, "time": record.time, "kind": record.kind, "digest": record.digest})
        attempt = record.body.get("attempt")
        if isinstance(attempt, Mapping) and attempt and history.trusted:
            rows["attempts"].append({**place, **_attempt(attempt)})
        point = points.get(record.number)
        if point is None:
            continue
        columns = TABLES["checkpoints"].keys() - {"execution"}
        rows["checkpoints"].append({"execution": execution.id, **{c: getattr(point, c) for c in columns}})
        version = {"execution": execution.id, "version": point.version}
        for name, manifest in record.body["state"]["set"].items():
            if manifest not in history.forgotten:
                size, types = manifests.get(manifest, (None, {}))
                value = {"name": name, "type": types.get(name), "bytes": size, "digest": manifest}
                rows["variables"].append({**version, **value})
        deleted = {"type": None, "bytes": None, "digest": None}
        rows["variables"].extend({**version, "name": name, **deleted} for name in point.deleted)


def _attempt(attempt: Mapping[str, Any]) -> dict[str, Any]:
    """An attempt as a row: what a stranger wrote may have any shape, and what does not fit is left out."""
    error = attempt.get("error")
    told = {
        **attempt,
        "attempt": attempt.get("attempt", attempt.get("n")),
        "node": attempt.get("node", attempt.get("name")),
        "error": error.get("type") if isinstance(error, Mapping) else error,
    }
    columns = TABLES["attempts"].keys() - {"execution", "record", "epoch"}
    row = {column: _fitting(told.get(column), TABLES["attempts"][column]) for column in columns}
    if row["ended"] is None and row["started"] and row["seconds"] is not None:
        row["ended"] = row["started"] + row["seconds"]
    return row


def _fitting(value: Any, kind: str) -> Any:
    """The value, if a column of this type can hold it."""
    if kind == "VARCHAR":
        fits = isinstance(value, str)
    elif kind == "INTEGER":
        fits = type(value) is int and 0 <= value < 1 << 31
    else:
        fits = isinstance(value, int | float) and 0 <= value < _LATEST
    return value if fits else None


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    import pyarrow as pa

    types = {"VARCHAR": pa.string(), "INTEGER": pa.int32(), "BIGINT": pa.int64(), "BOOLEAN": pa.bool_()}
    columns = TABLES[table]
    schema = pa.schema([(name, types.get(kind, pa.float64())) for name, kind in columns.items()])
    connection.register("new_rows", pa.Table.from_pylist(rows, schema))
    chosen = ", ".join(f"to_timestamp({c})" if t == "TIMESTAMPTZ" else c for c, t in columns.items())
    connection.execute(f"INSERT INTO {table} SELECT {chosen} FROM new_rows")  # noqa: S608 - names of ours
    connection.unregister("new_rows")


def as_table(name: str, found: Any) -> Any:
    """A value as something that DuckDB can read.

    Raises:
        UsageError: it is no table.
    """
    if hasattr(found, "__arrow_c_stream__") or hasattr(found, "__dataframe__"):
        return found
    kind = type(found)
    if kind.__module__.startswith("numpy") and hasattr(found, "dtype") and found.ndim in (1, 2):
        import pyarrow as pa

        columns = [found] if found.ndim == 1 else list(found.T)
        return pa.table({f"column{i}": column for i, column in enumerate(columns)})
    raise UsageError(
        f"`{name}` is a {kind.__qualname__}, which is no table: SQL can read frames, Arrow tables and arrays"
    )
