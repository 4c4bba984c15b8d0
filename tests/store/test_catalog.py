from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from durable_nb.errors import UsageError
from durable_nb.store.catalog import TABLES, Catalog
from durable_nb.store.owner import current_owner
from durable_nb.store.repository import Repository
from durable_nb.store.signing import Signer
from durable_nb.store.writer import Draft, Writer

from .samples import commit, retire

Reopen = Callable[[], Repository]


def _attempt(n: object, node: str | None, status: str, **more: object) -> dict[str, object]:
    return {
        "attempt": {
            "n": n,
            "node": node,
            "label": f"[{n}]",
            "status": status,
            "started": 10.0 * n if isinstance(n, int) else None,
            "seconds": 2,
            **more,
        }
    }


def _work(writer: Writer) -> None:
    commit(writer, {"a": b"1", "b": b"22"}, body=_attempt(1, None, "COMPLETED"), cell=b"a = 1")
    commit(
        writer, {"a": b"333"}, deleted=["b"], kind="node", body={"node": "x", **_attempt(2, "x", "FAILED")}
    )
    commit(writer, {"a": b"4"}, kind="node", body={"node": "x", **_attempt(3, "x", "COMPLETED")})


def _rows(repository: Repository, query: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in Catalog(repository).sql(query).to_pylist()]


def test_every_table_tells_what_the_log_says(writer: Writer, reopen: Reopen) -> None:
    _work(writer)
    repository = reopen()
    assert _rows(repository, "SELECT execution, notebook, status, head, trusted FROM executions") == [
        ("run", "/here/a.ipynb", "RUNNING", 3, True)
    ]
    assert _rows(repository, "SELECT node, status, attempts, seconds FROM nodes") == [
        ("x", "COMPLETED", 2, 2.0)
    ]
    assert _rows(repository, "SELECT attempt, status, epoch(ended) FROM attempts ORDER BY record") == [
        (1, "COMPLETED", 12.0),
        (2, "FAILED", 22.0),
        (3, "COMPLETED", 32.0),
    ]
    assert _rows(repository, "SELECT version, parent, kind, node FROM checkpoints ORDER BY version") == [
        (1, None, "cell", None),
        (2, 1, "node", "x"),
        (3, 2, "node", "x"),
    ]
    assert _rows(repository, "SELECT version, name, type, bytes FROM variables ORDER BY ALL") == [
        (1, "a", "bytes", 1),
        (1, "b", "bytes", 2),
        (2, "a", "bytes", 3),
        (2, "b", None, None),
        (3, "a", "bytes", 1),
    ]
    assert _rows(repository, "SELECT kind FROM events ORDER BY record") == [("cell",), ("node",), ("node",)]
    assert _rows(repository, "SELECT sum(bytes)::INT FROM packs") == [(repository.usage().packs,)]


def test_what_comes_later_is_added_and_marks_are_seen(writer: Writer, reopen: Reopen) -> None:
    _work(writer)
    repository = reopen()
    assert _rows(repository, "SELECT count(*) FROM events") == [(3,)]
    commit(writer, {"c": b"5"})
    writer.commit(Draft("note", {"pin": [1]}))
    retire(writer, 2)
    other = reopen().create("other", current_owner())
    commit(other, {"z": b"1"})
    assert _rows(repository, "SELECT execution, count(*) FROM events GROUP BY ALL ORDER BY ALL") == [
        ("other", 1),
        ("run", 6),
    ]
    assert _rows(repository, "SELECT version FROM checkpoints WHERE pinned") == [(1,)]
    assert _rows(repository, "SELECT version FROM checkpoints WHERE retired") == [(2,)]
    repository.remove("other")
    assert _rows(repository, "SELECT DISTINCT execution FROM events") == [("run",)]


@pytest.mark.usefixtures("writer")
def test_a_query_sees_the_tables_given_and_no_variable_of_python(reopen: Reopen) -> None:
    numbers = pa.table({"n": [1, 2, 3]})
    assert Catalog(reopen()).sql("SELECT sum(n)::INT AS s FROM t", {"t": numbers}).to_pylist() == [{"s": 6}]
    with pytest.raises(UsageError, match="numbers"):
        Catalog(reopen()).sql("FROM numbers")
    with pytest.raises(UsageError, match="ParserException"):
        Catalog(reopen()).sql("SELEKT")


def test_a_catalog_that_is_deleted_damaged_or_spoilt_is_made_anew(writer: Writer, reopen: Reopen) -> None:
    _work(writer)
    repository = reopen()
    file = repository.path / "catalog.duckdb" if repository.path else Path()
    Catalog(repository).refresh()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    query = "SELECT count(*) FROM events"
    file.unlink()
    assert _rows(repository, query) == [(3,)]
    file.write_bytes(b"not a database" * 1000)
    assert _rows(repository, query) == [(3,)]
    for spoilt in ("DROP TABLE events", "UPDATE catalog SET version = 99"):
        with duckdb.connect(file) as connection:
            connection.execute(spoilt)
        assert _rows(repository, query) == [(3,)]


def test_a_query_changes_nothing(writer: Writer, reopen: Reopen) -> None:
    _work(writer)
    for query in ("DROP TABLE events", "DELETE FROM events", "CREATE TABLE x AS SELECT 1"):
        with pytest.raises(UsageError):
            Catalog(reopen()).sql(query)
    assert _rows(reopen(), "SELECT count(*) FROM events") == [(3,)]


def test_nobody_waits_for_a_catalog_that_is_busy(writer: Writer, reopen: Reopen) -> None:
    _work(writer)
    repository = reopen()
    assert repository.path
    lock = os.open(repository.path / "catalog.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert _rows(repository, "SELECT count(*) FROM events") == [(3,)]
    assert not (repository.path / "catalog.duckdb").exists()
    os.close(lock)
    assert _rows(repository, "SELECT count(*) FROM events") == [(3,)]
    assert (repository.path / "catalog.duckdb").exists()


def test_of_a_stranger_only_what_the_log_says_is_listed(writer: Writer, tmp_path: Path) -> None:
    _work(writer)
    stranger = Repository.open(tmp_path / "store", signer=Signer(tmp_path / "other user"))
    assert _rows(stranger, "SELECT execution, trusted FROM executions") == [("run", False)]
    assert _rows(stranger, "SELECT DISTINCT type, bytes FROM variables") == [(None, None)]


def test_the_columns_are_those_that_are_documented(repository: Repository) -> None:
    for table, columns in TABLES.items():
        assert Catalog(repository).sql(f"FROM {table}").column_names == list(columns)


def test_progress_has_a_row_for_every_start_and_every_end(writer: Writer, reopen: Reopen) -> None:
    def note(kind: str, n: int, status: str) -> float:
        return writer.commit(Draft(kind, _attempt(n, "x", status))).time

    first = {"try": 1, "run": 1, "error": "OSError", "next": 15.0}
    commit(writer, kind="error", body=_attempt(1, "x", "FAILED", **first))
    lost, quarantined = note("lost", 2, "LOST"), note("quarantined", 0, "QUARANTINED")
    commit(writer, kind="error", body=_attempt(3, None, "INTERRUPTED"))
    skipped = note("skipped", 0, "SKIPPED")
    commit(writer, kind="node", body=_attempt(4, "y", "COMPLETED"))
    query = "SELECT node, label, status, epoch(time), attempt FROM progress"
    assert _rows(reopen(), query) == [
        ("x", "[1]", "STARTED", 10.0, 1),
        ("x", "[1]", "FAILED", 12.0, 1),
        ("x", "[2]", "STARTED", 20.0, 2),
        (None, "[3]", "STARTED", 30.0, 3),
        (None, "[3]", "INTERRUPTED", 32.0, 3),
        ("y", "[4]", "STARTED", 40.0, 4),
        ("y", "[4]", "COMPLETED", 42.0, 4),
        ("x", "[2]", "LOST", pytest.approx(lost), 2),
        ("x", "[0]", "QUARANTINED", pytest.approx(quarantined), 0),
        ("x", "[0]", "SKIPPED", pytest.approx(skipped), 0),
    ]
    columns = ["execution", "node", "label", "status", "time", "attempt"]
    assert Catalog(reopen()).sql("FROM progress").column_names == columns
    query = "SELECT try, run, error, epoch(next) FROM attempts WHERE try IS NOT NULL"
    assert _rows(reopen(), query) == [(1, 1, "OSError", 15.0)]


def test_attempts_of_any_shape_are_listed_as_far_as_they_go(writer: Writer, reopen: Reopen) -> None:
    odd = {"try": "two", "run": 1 << 40, "error": ["?"], "next": float("inf"), "seconds": "long"}
    commit(writer, body=_attempt("one", None, "COMPLETED", **odd))
    commit(writer, body={"attempt": {"started": -1e300, "label": 7, "try": True, "error": {"type": "E"}}})
    commit(writer, body={"attempt": {}})
    query = "SELECT attempt, status, started, ended, try, run, error, next FROM attempts ORDER BY record"
    assert _rows(reopen(), query) == [
        (None, "COMPLETED", None, None, None, None, None, None),
        (None, None, None, None, None, None, "E", None),
    ]
    assert _rows(reopen(), "SELECT status FROM progress") == [("COMPLETED",)]
