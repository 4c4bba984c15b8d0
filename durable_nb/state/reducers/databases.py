"""Connections to databases: a file by its path, an SQLite database in memory by its bytes."""

from __future__ import annotations

import functools
import sys
import weakref
from importlib import import_module
from pathlib import Path
from typing import Any

from durable_nb.state.reducers.reduce import Table, refuse

_SETTINGS = ("isolation_level", "row_factory", "text_factory")


def sqlite_connection(kind: type[Any], databases: dict[str, Any], options: dict[str, Any]) -> Any:
    """A connection to files and to databases in memory, by their names in the connection.

    Raises:
        FileNotFoundError: a file is gone: connecting would make an empty one.
    """
    for held in databases.values():
        if isinstance(held, str) and not Path(held).exists():
            raise FileNotFoundError(f"the database {held} is gone")
    main = databases["main"]
    made = import_module("sqlite3").connect(
        main if isinstance(main, str) else ":memory:", factory=kind, **options
    )
    for name in databases.keys() - {"main"}:
        held = databases[name]
        made.execute(f"ATTACH ? AS {_quoted(name)}", (held if isinstance(held, str) else ":memory:",))
    for name, held in databases.items():
        if isinstance(held, bytes) and held:
            made.deserialize(held, name=name)
    return made


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _sqlite(connection: Any) -> Any:
    if connection.in_transaction:
        raise TypeError("a connection with an open transaction cannot be kept: commit it")
    rows = connection.cursor()
    rows.row_factory = None
    databases: dict[str, Any] = {}
    for _, name, path in rows.execute("PRAGMA database_list").fetchall():
        if name == "temp":
            if rows.execute("SELECT count(*) FROM sqlite_temp_master").fetchone()[0]:
                raise TypeError("a connection with temporary tables cannot be kept: drop them")
        else:
            pages = rows.execute(f"PRAGMA {_quoted(name)}.page_count").fetchone()[0]
            databases[name] = path or (connection.serialize(name=name) if pages else b"")
    timeout = rows.execute("PRAGMA busy_timeout").fetchone()[0] / 1000
    options = {"timeout": timeout, "detect_types": _detect_types(rows)}
    state = {name: getattr(connection, name) for name in _SETTINGS}
    return sqlite_connection, (type(connection), databases, options), (None, state)


_PROBES = (
    ("PARSE_DECLTYPES", "TEXT", "SELECT name FROM sqlite_master LIMIT 1"),
    ("PARSE_COLNAMES", "DURABLE_NB", "SELECT x'00' AS \"x [durable_nb]\""),
)


def _detect_types(rows: Any) -> int:
    """What the connection was told to convert: it does not say, but it does it."""
    module = import_module("sqlite3")
    found = 0
    for flag, kind, query in _PROBES:
        before, seen = module.converters.get(kind), object()
        module.converters[kind] = lambda _raw, seen=seen: seen
        row = rows.execute(query).fetchone()
        del module.converters[kind]
        if before is not None:
            module.converters[kind] = before
        if row is not None and row[0] is seen:
            found |= getattr(module, flag)
    return found


@functools.lru_cache(maxsize=64)
def _columns(names: tuple[str, ...]) -> Any:
    connection = import_module("sqlite3").connect(":memory:", check_same_thread=False)
    return connection.execute("SELECT " + ", ".join(f"NULL AS {_quoted(name)}" for name in names))


def sqlite_row(names: tuple[str, ...], values: tuple[Any, ...]) -> Any:
    """A row that was fetched."""
    return import_module("sqlite3").Row(_columns(names), values)


def sqlite(module: Any) -> Table:
    """Of `sqlite3`."""
    return {
        module.Connection: _sqlite,
        module.Row: lambda row: (sqlite_row, (tuple(row.keys()), tuple(row))),
    }


_live: weakref.WeakValueDictionary[tuple[str, int], Any] = weakref.WeakValueDictionary()
"""DuckDB connections that were kept, by path and number: one that is open is not opened a second time."""


def duckdb_connection(path: str, number: int, read_only: bool) -> Any:
    """A connection to a file; the one that is open in this process already, where it is."""
    found = _live.get((path, number))
    if found is not None and _is_open(found):
        return found
    if not Path(path).exists():
        raise FileNotFoundError(f"the database {path} is gone")
    made = _live[path, number] = import_module("duckdb").connect(path, read_only=read_only)
    return made


def _number(path: str, connection: Any) -> int:
    number = 0
    while _live.setdefault((path, number), connection) is not connection:
        number += 1
    return number


def _is_open(connection: Any) -> bool:
    try:
        connection.cursor().close()
    except Exception:
        return False
    return True


def _duckdb(connection: Any) -> Any:
    with connection.cursor() as cursor:  # a result that waits in the connection itself stays
        databases = cursor.execute(
            "SELECT path, readonly FROM duckdb_databases() WHERE NOT internal"
        ).fetchall()
    if len(databases) != 1 or databases[0][0] is None:
        return refuse(connection)
    path, read_only = str(Path(databases[0][0]).absolute()), databases[0][1]
    return duckdb_connection, (path, _number(path, connection), read_only)


def duckdb_relation(query: str, *connection: Any) -> Any:
    """A query, of a connection or, where it needs no database, of the default one."""
    return (connection or (import_module("duckdb"),))[0].sql(query)


def _relation(relation: Any) -> Any:
    query = relation.sql_query()
    connection = relation._con
    if "__duckdb_source_" in query:  # a Python object
        return refuse(relation)
    if connection is sys.modules["duckdb"].default_connection():
        with connection.cursor() as cursor:
            held = cursor.execute(
                "SELECT table_name FROM duckdb_tables() UNION SELECT view_name FROM duckdb_views()"
            ).fetchall()
        if not connection.get_table_names(query).isdisjoint(name for (name,) in held):
            return refuse(relation)
        return duckdb_relation, (query,)
    return duckdb_relation, (query, connection)


def duckdb(module: Any) -> Table:
    """Of `duckdb`."""
    table: dict[type, Any] = {module.DuckDBPyConnection: _duckdb}
    if hasattr(module.DuckDBPyRelation, "_con"):
        table[module.DuckDBPyRelation] = _relation
    return table
