"""Connections: to the same files, with the same settings; or refused, where something would be lost."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

if TYPE_CHECKING:
    from conftest import Again, Keep, Trip

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # files stay open, as in notebooks


def test_a_connection_to_a_file_comes_back_with_its_settings(trip: Trip) -> None:
    made = sqlite3.connect("a.db", isolation_level="IMMEDIATE", timeout=7)
    made.row_factory = sqlite3.Row
    made.execute("CREATE TABLE t (x)")
    made.execute("INSERT INTO t VALUES (1)")
    made.execute("ATTACH 'b.db' AS other")
    made.execute("CREATE TABLE other.u (y)")
    made.commit()
    rows = made.execute("SELECT x, x + 1 AS next FROM t").fetchall()
    back = trip(made=made, rows=rows)
    made.close()
    assert back.made.execute("SELECT x FROM t").fetchone()["x"] == 1
    assert back.made.execute("SELECT count(*) FROM other.u").fetchone()[0] == 0
    assert back.made.isolation_level == "IMMEDIATE"
    assert back.made.execute("PRAGMA busy_timeout").fetchone()[0] == 7000
    assert type(back.rows[0]) is sqlite3.Row
    assert dict(back.rows[0]) == {"x": 1, "next": 2}
    back.made.close()


@pytest.mark.parametrize("flags", [0, sqlite3.PARSE_DECLTYPES, sqlite3.PARSE_COLNAMES, 3])
def test_a_connection_goes_on_converting_what_it_converted(again: Again, flags: int) -> None:
    sqlite3.register_converter("shout", lambda raw: raw.decode().upper())
    sqlite3.register_converter("text", lambda raw: raw.decode() + "!")
    try:
        made = sqlite3.connect(":memory:", detect_types=flags)
        made.execute("CREATE TABLE t (a shout, b text)")
        made.execute("INSERT INTO t VALUES ('x', 'y')")
        made.commit()
        query = 'SELECT a, b, a AS "a [shout]" FROM t'
        back = again(made)
        assert back.execute(query).fetchall() == made.execute(query).fetchall()
    finally:
        del sqlite3.converters["SHOUT"], sqlite3.converters["TEXT"]  # type: ignore[attr-defined]


def test_a_database_in_memory_is_kept_by_its_contents(trip: Trip) -> None:
    made, empty = sqlite3.connect(":memory:"), sqlite3.connect(":memory:")
    made.execute("CREATE TABLE t (x)")
    made.executemany("INSERT INTO t VALUES (?)", [(i,) for i in range(1000)])
    made.commit()
    back = trip(made=made, empty=empty)
    made.execute("DELETE FROM t")
    made.commit()
    assert back.made.execute("SELECT sum(x) FROM t").fetchone() == (499500,)
    assert back.empty.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    for connection in (made, empty, back.made, back.empty):
        connection.close()


def test_what_would_be_lost_with_a_connection_is_refused(keep: Keep, again: Again) -> None:
    made = sqlite3.connect("a.db")
    made.execute("CREATE TABLE t (x)")
    made.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(TypeError, match="open transaction"):
        again(made)
    made.rollback()
    made.execute("CREATE TEMP TABLE u (x)")
    with pytest.raises(TypeError, match="temporary tables"):
        again(made)
    kept = keep(made=sqlite3.connect("b.db"))
    Path("b.db").unlink()
    with pytest.raises(FileNotFoundError, match=r"b\.db is gone"):
        kept.load()
    assert not Path("b.db").exists()
    made.close()


def test_a_duckdb_file_is_opened_once(keep: Keep) -> None:
    made = duckdb.connect("a.duckdb")
    made.execute("CREATE TABLE t AS SELECT 42 AS x")
    made.execute("SELECT x FROM t")
    relation = made.sql("SELECT x + 1 AS y FROM t")
    kept = keep(made=made, relation=relation)
    assert made.fetchall() == [(42,)]  # what waited in it is still there
    back = kept.load()
    assert back.made is made
    assert back.relation.fetchall() == [(43,)]
    made.close()
    back = kept.load()
    assert back.relation.fetchall() == [(43,)]
    assert back.made.execute("SELECT x FROM t").fetchall() == [(42,)]
    back.made.close()


def test_a_relation_is_kept_where_its_query_says_it_all(again: Again) -> None:
    assert again(duckdb.sql("SELECT range AS x FROM range(3)")).fetchall() == [(0,), (1,), (2,)]
    Path("data.csv").write_text("x\n1\n2\n")
    assert again(duckdb.sql("SELECT sum(x) FROM 'data.csv'")).fetchall() == [(3,)]
    frame = __import__("pandas").DataFrame({"x": [1]})
    with pytest.raises(TypeError, match=r"\.df"):
        again(duckdb.from_df(frame))
    duckdb.sql("CREATE TABLE in_memory AS SELECT 1 AS x")
    try:
        with pytest.raises(TypeError, match=r"\.df"):
            again(duckdb.sql("SELECT * FROM in_memory"))
    finally:
        duckdb.sql("DROP TABLE in_memory")
    with pytest.raises(TypeError, match="in a file"):
        again(duckdb.connect())
