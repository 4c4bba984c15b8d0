from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from durable_nb.errors import DamagedError, NotFoundError
from durable_nb.model import canonical
from durable_nb.store.log import root_hex, root_of, weight
from durable_nb.store.owner import current_owner
from durable_nb.store.repository import Repository
from durable_nb.store.signing import Signer
from durable_nb.store.writer import FULL_EVERY, Draft, Writer

from .samples import commit, retire, values

Reopen = Callable[[], Repository]


def _record(repository: Repository, number: int, epoch: int = 1) -> Path:
    assert repository.path
    return repository.path / "log" / "run" / f"{number:08d}.{epoch:04d}.json"


def test_a_history_is_what_was_committed(writer: Writer, reopen: Reopen) -> None:
    first = commit(writer, {"a": b"1", "b": b"2"}, body={"node": "load", "description": "x", "pinned": True})
    second = commit(writer, {"a": b"3"}, deleted=["b", "never"], kind="node")
    writer.commit(Draft("note", {"anything": [1]}))
    history = reopen().history("run")
    assert [r.number for r in history.records] == [1, 2, 3]
    assert history.records[:2] == [first, second]
    assert history.records[2].body["anything"] == [1]
    assert history.trusted
    assert history.problems == []
    assert history.epoch == 1
    assert history.notebook == "/here/a.ipynb"
    assert history.owner == current_owner()
    points = history.checkpoints()
    assert list(points) == [1, 2]
    assert (points[1].node, points[1].description, points[1].pinned) == ("load", "x", True)
    assert (points[2].parent, points[2].changed, points[2].deleted) == (1, ("a",), ("b",))
    assert points[2].digest == second.digest
    assert values(reopen(), "run", 1) == {"a": b"1", "b": b"2"}
    assert values(reopen(), "run", 2) == {"a": b"3"}


def test_roots_follow_changes_and_do_not_depend_on_order() -> None:
    state = {"a": "1", "b": "2"}
    assert root_of(state) == root_of({"b": "2", "a": "1"})
    grown = root_of(state) + weight("c", "3") - weight("a", "1")
    assert root_hex(grown) == root_hex(root_of({"b": "2", "c": "3"}))
    assert root_of({"a": "12"}) != root_of({"a1": "2"})


def test_marks_count_from_then_on(writer: Writer, reopen: Reopen) -> None:
    for i in range(3):
        commit(writer, {"a": b"%d" % i}, body={"pinned": True} if i == 0 else {})
    writer.commit(Draft("note", {"pin": [2], "unpin": [1]}))
    retire(writer, 3)
    points = reopen().history("run").checkpoints()
    assert [points[v].pinned for v in (1, 2, 3)] == [False, True, False]
    assert [points[v].retired for v in (1, 2, 3)] == [False, False, True]
    with pytest.raises(NotFoundError, match="retired"):
        reopen().history("run").state(3)
    with pytest.raises(NotFoundError, match="no checkpoint v9"):
        reopen().history("run").state(9)


def test_what_is_forgotten_is_in_no_version(writer: Writer, reopen: Reopen) -> None:
    commit(writer, {"a": b"secret", "b": b"2"}, cell=b"a = secret")
    first = reopen().history("run")
    gone = first.state(1)["a"]
    forget = {"names": ["a"], "manifests": [gone], "cells": [first.records[0].body["cell"]]}
    writer.commit(Draft("note", {"forget": forget}))
    assert values(reopen(), "run", 1) == {"b": b"2"}
    assert reopen().verify() == []


def test_long_histories_stay_cheap(writer: Writer, reopen: Reopen) -> None:
    for i in range(2000):
        writer.commit(Draft("note", {"attempt": {"n": i, "label": "a cell", "seconds": 0.1}}))
    for i in range(FULL_EVERY + 10):
        commit(writer, {f"v{i % 7}": b"%d" % i})
    fresh = reopen()
    start = time.process_time()
    history = fresh.history("run")
    assert len(history.records) == 2000 + FULL_EVERY + 10
    assert history.problems == []
    assert time.process_time() - start < 0.6, "0.1 s when nothing else runs"
    fulls = [r for r in history.records if r.body.get("state", {}).get("full")]
    assert len(fulls) == 1
    assert values(fresh, "run") == {f"v{i % 7}": b"%d" % i for i in range(FULL_EVERY + 10)}


def test_the_newest_record_that_holds_is_the_head(writer: Writer, reopen: Reopen) -> None:
    for i in range(4):
        commit(writer, {"a": b"%d" % i})
    path = _record(reopen(), 4)
    path.write_bytes(path.read_bytes()[:-10])
    history = reopen().history("run")
    assert history.head
    assert history.head.number == 3
    assert history.trusted
    assert any("00000004" in p and "passed over" in p for p in history.problems)
    assert values(reopen(), "run") == {"a": b"2"}


def test_a_gap_costs_only_what_stands_on_it(writer: Writer, reopen: Reopen) -> None:
    for i in range(FULL_EVERY + 6):
        commit(writer, {f"v{i}": b"%d" % i})
    _record(reopen(), 3).unlink()
    history = reopen().history("run")
    assert history.trusted
    assert history.problems == ["record 3 is missing"]
    assert len(values(reopen(), "run", 2)) == 2
    with pytest.raises(DamagedError, match="record 3 is missing"):
        history.state(4)
    assert len(values(reopen(), "run")) == FULL_EVERY + 6, "it was written whole since"


def test_a_record_in_the_place_of_another_is_noticed(writer: Writer, reopen: Reopen) -> None:
    for i in range(4):
        commit(writer, {"a": b"%d" % i})
    repository = reopen()
    shutil.copy(_record(repository, 2), _record(repository, 3))
    history = reopen().history("run")
    assert [r.number for r in history.records] == [1, 2, 4]
    assert any("00000003" in p and "belongs elsewhere" in p for p in history.problems)


def test_a_rolled_back_store_is_noticed(writer: Writer, reopen: Reopen, tmp_path: Path) -> None:
    commit(writer, {"a": b"1"})
    writer.safe()
    shutil.copytree(tmp_path / "store", tmp_path / "backup")
    commit(writer, {"a": b"2"})
    writer.safe()
    shutil.rmtree(tmp_path / "store")
    shutil.move(tmp_path / "backup", tmp_path / "store")
    history = reopen().history("run")
    assert [p for p in history.problems if p.startswith("rolled back: this user last saw number 2")]
    assert history.state(1)
    assert reopen().executions()[0].problems


def test_an_execution_that_vanished_is_noticed(writer: Writer, reopen: Reopen) -> None:
    commit(writer)
    writer.safe()
    repository = reopen()
    assert repository.vanished() == []
    assert repository.path
    shutil.rmtree(repository.path / "log" / "run")
    assert len(repository.vanished("/here/a.ipynb")) == 1
    assert repository.vanished("/here/b.ipynb") == []
    assert any("is gone" in p for p in repository.verify())


def test_a_missing_epoch_is_noticed(writer: Writer, reopen: Reopen) -> None:
    commit(writer)
    reopen().take_over("run", current_owner()).safe()
    repository = reopen()
    assert repository.path
    (repository.path / "log" / "run" / "epoch-0002.json").unlink()
    assert any("epoch 2" in p for p in reopen().history("run").problems)


def test_a_stranger_is_not_trusted_until_the_user_says_so(
    writer: Writer, reopen: Reopen, tmp_path: Path
) -> None:
    commit(writer, {"a": b"1"})
    commit(writer, {"a": b"2"})
    mine = Signer(tmp_path / "other user")
    theirs = Repository.open(tmp_path / "store", signer=mine)
    history = theirs.history("run")
    assert not history.trusted
    assert len(history.records) == 2
    assert not theirs.executions()[0].trusted
    assert history.head
    mine.trust("run", history.head.digest)
    trusted = Repository.open(tmp_path / "store", signer=mine)
    assert trusted.history("run").trusted
    assert values(trusted, "run") == {"a": b"2"}
    taken = trusted.take_over("run", current_owner())
    taken.set_state(2, trusted.history("run").state(2), {})
    commit(taken, {"b": b"3"})
    assert values(trusted, "run") == {"a": b"2", "b": b"3"}
    assert not [p for p in trusted.verify() if "signature" in p]
    assert [r.number for r in reopen().history("run").records] == [1, 2], "for the first user, theirs is not"


def test_a_record_that_a_stranger_added_on_top_is_passed_over(
    writer: Writer, reopen: Reopen, tmp_path: Path
) -> None:
    commit(writer, {"a": b"1"})
    path = _record(reopen(), 1)
    raw = json.loads(path.read_bytes().split(b"\n")[0])
    line = canonical({**raw, "number": 2})
    stranger = Signer(tmp_path / "other user")
    path.with_name("00000002.0001.json").write_bytes(line + f"\n{stranger.sign(line)}\n".encode())
    history = reopen().history("run")
    assert history.trusted
    assert [r.number for r in history.records] == [1]
    assert any("not signed by this user" in p for p in history.problems)


def test_a_newer_format_is_named_and_not_read(writer: Writer, reopen: Reopen, signer: Signer) -> None:
    commit(writer, {"a": b"1"})
    path = _record(reopen(), 1)
    raw = json.loads(path.read_bytes().split(b"\n")[0])
    line = canonical({**raw, "format": 99, "number": 2})
    path.with_name("00000002.0001.json").write_bytes(line + f"\n{signer.sign(line)}\n".encode())
    history = reopen().history("run")
    assert history.head
    assert history.head.number == 1
    assert any("format 99" in p and "upgrade" in p for p in history.problems)


def test_intents_are_kept_and_a_torn_one_is_not_one(writer: Writer, reopen: Reopen) -> None:
    assert [writer.intent({"label": f"cell {i}"}) for i in range(3)] == [1, 2, 3]
    assert [(i["n"], i["label"]) for i in reopen().history("run").intents(1)] == [
        (1, "cell 0"),
        (2, "cell 1"),
        (3, "cell 2"),
    ]
    repository = reopen()
    assert repository.path
    path = repository.path / "log" / "run" / "epoch-0001.intents"
    path.write_bytes(path.read_bytes()[:-20])
    assert len(reopen().history("run").intents(1)) == 2
    assert reopen().verify() == [], "a kernel that died in the middle of writing is no damage"
    assert reopen().history("run").intents(7) == []
