from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from durable_nb.errors import DamagedError, FencedError, NotFoundError
from durable_nb.store import segment
from durable_nb.store.catalog import Catalog
from durable_nb.store.garbage import collect
from durable_nb.store.log import History
from durable_nb.store.objects import LocalFolder
from durable_nb.store.owner import current_owner
from durable_nb.store.records import segment_key
from durable_nb.store.repository import Repository
from durable_nb.store.signing import Signer
from durable_nb.store.writer import FULL_EVERY, Draft, Writer

from . import long_log
from .samples import commit, retire, values

Reopen = Callable[[], Repository]
DEAD = replace(current_owner(), start_time=0.0)
SPAN = 4


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "long_ones" not in request.fixturenames:
        monkeypatch.setattr(segment, "SPAN", SPAN)


@pytest.fixture
def long_ones() -> None:
    """Segments as long as they are."""


def _compact(repository: Repository, execution: str = "run") -> int:
    count = 0
    while repository.compact(execution):
        count += 1
    return count


def _log(repository: Repository, suffix: str) -> list[str]:
    return [k for k in repository.objects.list("log/run/") if k.endswith(suffix) and "epoch" not in k]


def _told(history: History) -> dict[str, Any]:
    """Everything that a history says."""
    points = history.checkpoints()
    return {
        "records": list(history.records),
        "entries": list(history.entries),
        "checkpoints": points,
        "forgotten": history.forgotten,
        "states": {v: history.rebuild(v) for v in points},
        "bases": history.bases,
        "head": history.head,
        "trusted": history.trusted,
        "problems": history.problems,
        "times": (history.started, history.updated),
    }


def _life(repository: Repository) -> Writer:
    """Three epochs, marks of all kinds, a rollback, a stale record."""
    writer = repository.create("run", current_owner(), notebook="/here/a.ipynb")
    for i in range(6):
        writer.intent({"label": f"cell {i}"})
        commit(writer, {"a": b"%d" % i, f"v{i}": b"x" * 1500 + b"%d" % i}, cell=b"cell %d" % i)
    stale = writer
    writer = repository.take_over("run", current_owner())
    history = repository.history("run")
    writer.set_state(4, history.state(4), {})
    with pytest.raises(FencedError):
        commit(stale, {"a": b"stale"})
    commit(writer, {"b": b"2"}, deleted=["v0"], kind="node", body={"node": "load", "pinned": True})
    retire(writer, 2)
    gone = history.state(3)["v1"]
    forget = {"names": ["v1"], "manifests": [gone], "cells": [history.records[1].body["cell"]]}
    writer.commit(Draft("note", {"unpin": [8], "pin": [5], "forget": forget}))
    writer = repository.take_over("run", current_owner())
    version = max(repository.history("run").checkpoints())
    writer.set_state(version, repository.history("run").state(version), {})
    for i in range(5):
        commit(writer, {"c": b"%d" % i})
    writer.safe()
    return writer


def test_a_compacted_log_says_what_it_said(repository: Repository, reopen: Reopen) -> None:
    _life(repository)
    before = _told(reopen().history("run"))
    kept = {v: values(reopen(), "run", v) for v, p in before["checkpoints"].items() if not p.retired}
    assert _compact(repository) == len(_log(repository, ".parquet")) == 3
    assert len(_log(repository, ".json")) <= SPAN + 1, "a stale record stays where it is"
    for found in (repository.history("run"), reopen().history("run")):
        assert _told(found) == before
    assert {v: values(reopen(), "run", v) for v in kept} == kept
    assert reopen().verify() == []
    assert reopen().executions()[0].problems == ()
    assert not repository.compact("run"), "there is nothing left to do"


def test_a_paused_execution_is_listed_as_such_once_its_log_is_compacted(
    repository: Repository, reopen: Reopen
) -> None:
    writer = repository.create("run", current_owner())
    for status in ("PAUSED", "RUNNING"):
        for turn in ("RUNNING", status):
            writer.commit(Draft(kind="execution", body={"status": turn}))
        for i in range(2 * SPAN):
            commit(writer, {"a": status.encode() + b"%d" % i})
        writer.safe()
        assert _compact(repository) >= 2
        assert [str(found.status) for found in reopen().executions()] == [status]


def test_a_compacted_log_is_worked_on(repository: Repository, reopen: Reopen) -> None:
    writer = _life(repository)
    _compact(repository)
    retire(writer, 8)
    commit(writer, {"d": b"new"})
    taken = reopen().take_over("run", current_owner())
    version = max(reopen().history("run").checkpoints())
    taken.set_state(version, reopen().history("run").state(version), {})
    commit(taken, {"e": b"newer"})
    taken.safe()
    _compact(repository)
    history = reopen().history("run")
    assert [r.number for r in history.records] == list(range(1, len(history.records) + 1))
    assert history.checkpoints()[8].retired
    found = values(reopen(), "run")
    assert (found["d"], found["e"]) == (b"new", b"newer")
    collect(repository, grace=0)
    assert values(reopen(), "run") == found
    assert reopen().verify() == []


def test_what_one_may_ask_for_by_number_is_found(repository: Repository, reopen: Reopen) -> None:
    _life(repository)
    whole = list(reopen().history("run").records)
    _compact(repository)
    history = reopen().history("run")
    for number in (1, SPAN, SPAN + 1, len(whole)):
        entry = history.entry(number)
        assert entry
        assert entry.record == whole[number - 1] == history.records[number - 1]
        assert list(history.since(number)) == whole[number:]
    assert history.entry(0) is None
    assert history.entry(len(whole) + 1) is None
    assert history.records[-3:] == whole[-3:]
    assert list(reversed(history.records)) == whole[::-1]


def test_the_catalog_reads_what_is_compacted(repository: Repository, reopen: Reopen) -> None:
    writer = _life(repository)
    query = "SELECT * FROM events JOIN checkpoints ON record = version ORDER BY record"
    before = Catalog(reopen()).sql(query).to_pylist()
    _compact(repository)
    assert Catalog(reopen()).sql(query).to_pylist() == before
    commit(writer, {"z": b"1"})
    assert Catalog(reopen()).sql(query).to_pylist()[:-1] == before
    assert reopen().path
    (reopen().path / "catalog.duckdb").unlink()
    assert Catalog(reopen()).sql(query).to_pylist()[:-1] == before


def test_who_listed_the_records_before_finds_them(repository: Repository, reopen: Reopen) -> None:
    _life(repository)
    before = _told(reopen().history("run"))
    listed = reopen().history("run")
    _compact(repository)
    assert _told(listed) == before


def test_a_listing_that_has_neither_the_records_nor_the_segment_is_made_good(
    repository: Repository, signer: Signer
) -> None:
    _life(repository)
    before = _told(repository.history("run"))
    _compact(repository)

    class Behind(LocalFolder):
        def list(self, prefix: str) -> list[str]:
            return [key for key in super().list(prefix) if not key.startswith("log/run/00000001-")]

    assert repository.path
    assert _told(Repository(Behind(repository.path), signer).history("run")) == before


def test_what_a_power_loss_might_take_back_stays_as_it_is(writer: Writer, reopen: Reopen) -> None:
    for i in range(3 * SPAN):
        commit(writer, {"a": b"%d" % i})
        if i == SPAN:
            writer.safe()
    assert _compact(reopen()) == 1
    writer.safe()
    assert _compact(reopen()) == 1, "the newest record is never compacted"
    writer.commit(Draft("note"))
    writer.safe()
    assert _compact(reopen()) == 1
    assert reopen().verify() == []


def test_a_segment_is_on_the_disk_before_its_records_go(tmp_path: Path, reopen: Reopen) -> None:
    steps: list[tuple[str, str]] = []

    class Watched(LocalFolder):
        def _step(self, name: str, path: Path) -> None:
            steps.append((name, path.name))

    _life(reopen())
    assert Repository(Watched(tmp_path / "store"), Signer(tmp_path / "keys")).compact("run")
    gone = [i for i, (name, _) in enumerate(steps) if name == "delete"]
    assert len(gone) == SPAN
    for flushed in (segment.segment_name(0), "run"):
        assert steps.index(("fsynced", flushed)) < gone[0]


def test_a_log_that_is_not_whole_is_left_alone(repository: Repository, reopen: Reopen) -> None:
    _life(repository)
    assert repository.path
    lost = repository.path / "log" / "run" / "00000006.0001.json"
    hidden = lost.rename(repository.path / "hidden")
    assert _compact(reopen()) == 0
    hidden.rename(lost)
    other = Repository.open(repository.path, signer=Signer(repository.path.parent / "other user"))
    assert _compact(other) == 0
    assert _log(repository, ".parquet") == []


class _Stopped(LocalFolder):
    """Somebody who is stopped just before one of the steps, for as long as something else happens."""

    at = ("", "")
    meanwhile: Callable[[], object] | None = None

    def _step(self, name: str, path: Path) -> None:
        if self.meanwhile is not None and name == self.at[0] and self.at[1] in path.as_posix():
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()


def test_a_stale_owner_under_a_compaction_is_not_acknowledged(tmp_path: Path, reopen: Reopen) -> None:
    objects = _Stopped(tmp_path / "store")
    stopped = Repository(objects, Signer(tmp_path / "keys")).create("run", DEAD)
    for i in range(SPAN - 1):
        commit(stopped, {"a": b"%d" % i})

    def others() -> None:
        repository = reopen()
        for version in (1, 2):
            repository.retire("run", [version])
        assert _compact(repository) == 1
        assert not repository.objects.exists("log/run/00000004.0001.json")

    objects.at, objects.meanwhile = ("link", "log/"), others
    with pytest.raises(FencedError, match="compacted"):
        commit(stopped, {"a": b"stale"})
    assert stopped.fenced
    assert reopen().objects.exists("log/run/00000004.0001.json"), "it was published"
    history = reopen().history("run")
    assert history.problems == []
    assert [r.kind for r in history.records] == ["cell"] * 3 + ["note"] * 2
    assert values(reopen(), "run") == {"a": b"2"}
    assert reopen().verify() == []
    with pytest.raises(FencedError):
        stopped.end("COMPLETED")


def test_who_annotates_under_a_compaction_is_told(tmp_path: Path, reopen: Reopen) -> None:
    old = reopen().create("run", DEAD)
    for i in range(SPAN - 1):
        commit(old, {"a": b"%d" % i})
    objects = _Stopped(tmp_path / "store")

    def others() -> None:
        for version in (1, 2):
            reopen().retire("run", [version])
        assert _compact(reopen()) == 1

    objects.at, objects.meanwhile = ("link", "log/"), others
    with pytest.raises(FencedError):
        Repository(objects, Signer(tmp_path / "keys")).retire("run", [3])
    assert not reopen().history("run").checkpoints()[3].retired


STEPS = ["open", "link", "linked", "unlinked temporary", "fsync", "fsynced", "delete", "deleted"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("goes_on", ["another", "owner", "new owner"])
def test_whoever_comes_between_the_steps_of_a_compaction(
    tmp_path: Path, reopen: Reopen, step: str, goes_on: str
) -> None:
    writer = _life(reopen())
    before = _told(reopen().history("run"))
    objects = _Stopped(tmp_path / "store")
    new: dict[str, bytes] = {}

    def others() -> None:
        if goes_on == "another":
            assert _compact(reopen()) >= 1
        elif goes_on == "owner":
            new["z"] = b"1"
            commit(writer, new)
        else:
            taken = reopen().take_over("run", current_owner())
            version = max(before["checkpoints"])
            taken.set_state(version, reopen().history("run").state(version), {})
            new["z"] = b"2"
            commit(taken, new)
            taken.safe()
            _compact(reopen())
        found = reopen().history("run")
        assert found.problems == []
        assert list(found.records)[: len(before["records"])] == before["records"]

    objects.at, objects.meanwhile = (step, ""), others
    _compact(Repository(objects, Signer(tmp_path / "keys")))
    assert objects.meanwhile is None
    found = reopen().history("run")
    assert list(found.records)[: len(before["records"])] == before["records"]
    assert values(reopen(), "run").items() >= new.items()
    assert reopen().verify() == []
    if goes_on == "new owner":
        with pytest.raises(FencedError):
            commit(writer, {"a": b"stale"})


def test_a_writer_a_compactor_and_readers_at_once(writer: Writer, reopen: Reopen) -> None:
    done = threading.Event()
    wrong: list[str] = []

    def compact() -> None:
        repository = reopen()
        while not done.is_set():
            repository.compact("run")

    def read() -> None:
        while not done.is_set():
            history = reopen().history("run")
            numbers = [record.number for record in history.records]
            if history.problems or numbers != list(range(1, len(numbers) + 1)):
                wrong.append(f"{history.problems} {numbers}")

    threads = [threading.Thread(target=target) for target in (compact, read)]
    for thread in threads:
        thread.start()
    for i in range(60):
        commit(writer, {"a": b"%d" % i})
        writer.safe()
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    _compact(reopen())
    assert values(reopen(), "run") == {"a": b"59"}
    assert len(_log(reopen(), ".json")) <= SPAN
    assert reopen().verify() == []


def test_the_owner_compacts_in_the_background(writer: Writer, repository: Repository, reopen: Reopen) -> None:
    for i in range(5 * SPAN + 1):
        commit(writer, {"a": b"%d" % i})
    for _ in range(7):
        writer.safe()
        repository.keep_within(writer, 1 << 40)
        repository.tidying.finish(60)
    assert len(_log(repository, ".parquet")) == 5
    thread = repository.tidying._thread
    repository.keep_within(writer, 1 << 40)
    assert repository.tidying._thread is thread, "nothing is looked at until there is more"
    for i in range(SPAN):
        commit(writer, {"a": b"%d" % i})
    writer.safe()
    repository.keep_within(writer, 1 << 40)
    repository.tidying.finish(60)
    assert len(_log(repository, ".parquet")) == 6
    assert reopen().verify() == []


def test_a_collection_compacts_what_nobody_runs(writer: Writer, reopen: Reopen) -> None:
    for execution in ("ended", "dead"):
        old = reopen().create(execution, DEAD)
        for i in range(SPAN + 2):
            commit(old, {"a": b"%d" % i})
        old.safe()
        if execution == "ended":
            old.end("COMPLETED")
    for i in range(SPAN + 2):
        commit(writer, {"a": b"%d" % i})
    writer.safe()
    collect(reopen(), grace=0)
    objects = reopen().objects
    assert [objects.exists(segment_key(e, 0)) for e in ("ended", "dead", "run")] == [True, True, False]
    assert values(reopen(), "ended") == values(reopen(), "dead") == {"a": b"5"}
    assert reopen().verify() == []


def test_what_was_left_over_of_a_compaction_is_cleared_away(repository: Repository, reopen: Reopen) -> None:
    _life(repository)
    folder = repository.path
    assert folder
    shutil.copytree(folder / "log", folder.parent / "before")
    _compact(repository)
    for path in (folder.parent / "before" / "run").glob("0*.json"):
        shutil.copy(path, folder / "log" / "run")
    assert reopen().verify() == []
    assert _compact(reopen()) >= 1
    assert len(_log(repository, ".json")) <= SPAN
    assert reopen().verify() == []


def test_of_a_damaged_segment_the_records_that_are_still_there_are_used(
    repository: Repository, reopen: Reopen
) -> None:
    _life(repository)
    before = _told(reopen().history("run"))
    folder = repository.path
    assert folder
    shutil.copytree(folder / "log", folder.parent / "before")
    _compact(repository)
    broken = folder / segment_key("run", 1)
    os.truncate(broken, 100)
    for path in (folder.parent / "before" / "run").glob("0000000[5-8].*.json"):
        shutil.copy(path, folder / "log" / "run")
    history = reopen().history("run")
    assert [p for p in history.problems if broken.name in p] == history.problems != []
    assert {**_told(history), "problems": []} == before
    assert any(broken.name in p for p in reopen().verify())
    assert _compact(reopen()) == 0, "nothing is deleted while something is wrong"


def test_the_newest_segment_is_the_head_where_all_else_is_lost(
    repository: Repository, reopen: Reopen
) -> None:
    _life(repository)
    before = reopen().history("run")
    _compact(repository)
    assert repository.path
    for path in repository.path.glob("log/run/0*.json"):
        path.unlink()
    history = reopen().history("run")
    assert history.trusted
    assert list(history.records) == list(before.records[: 3 * SPAN])
    assert [p for p in history.problems if "rolled back" in p] == history.problems != []
    newest = max(history.checkpoints())
    assert history.state(newest) == before.state(newest)


def test_a_lost_segment_costs_only_what_stands_on_it(writer: Writer, reopen: Reopen) -> None:
    for i in range(FULL_EVERY + 6):
        commit(writer, {f"v{i}": b"%d" % i})
    writer.safe()
    _compact(reopen())
    expected = values(reopen(), "run")
    folder = reopen().path
    assert folder
    (folder / segment_key("run", 1)).unlink()
    history = reopen().history("run")
    assert history.trusted
    assert history.problems == ["records 5 to 8 are missing"]
    assert len(values(reopen(), "run", 4)) == 4
    with pytest.raises(DamagedError, match="record 8 is missing"):
        history.state(9)
    assert values(reopen(), "run") == expected, "it was written whole since"
    assert "records 5 to 8 are missing" in reopen().verify()


def test_where_all_newer_records_are_lost_with_a_segment_work_goes_on_above_it(
    writer: Writer, reopen: Reopen
) -> None:
    for i in range(3 * SPAN):
        commit(writer, {"a": b"%d" % i})
    writer.safe()
    _compact(reopen())
    folder = reopen().path
    assert folder
    os.truncate(folder / segment_key("run", 1), 10)
    for path in folder.glob("log/run/0*.json"):
        path.unlink()
    history = reopen().history("run")
    assert values(reopen(), "run") == {"a": b"3"}
    taken = reopen().take_over("run", current_owner())
    taken.set_state(SPAN, history.state(SPAN), {})
    commit(taken, {"b": b"new"})
    taken.safe()
    assert values(reopen(), "run") == {"a": b"3", "b": b"new"}
    assert [r.number for r in reopen().history("run").records] == [1, 2, 3, 4, 9, 10]
    assert "records 5 to 8 are missing" in reopen().history("run").problems


def test_who_does_not_trust_what_was_compacted_goes_on_above_it(
    writer: Writer, reopen: Reopen, tmp_path: Path
) -> None:
    for i in range(2):
        commit(writer, {"a": b"%d" % i})
    writer.safe()
    other = Signer(tmp_path / "other user")
    head = reopen().history("run").head
    assert head
    other.trust("run", head.digest)
    theirs = Repository.open(tmp_path / "store", signer=other)
    taken = theirs.take_over("run", current_owner())
    for i in range(SPAN):
        commit(taken, {"b": b"%d" % i})
    taken.safe()
    assert _compact(theirs) == 1
    mine = reopen().take_over("run", current_owner())
    mine.set_state(2, reopen().history("run").state(2), {})
    commit(mine, {"c": b"mine"})
    assert values(reopen(), "run") == {"a": b"1", "c": b"mine"}
    assert [r.number for r in reopen().history("run").records][:3] == [1, 2, SPAN + 1]


def test_a_stranger_reads_a_compacted_log_record_by_record(
    repository: Repository, reopen: Reopen, tmp_path: Path
) -> None:
    _life(repository)
    before = reopen().history("run")
    _compact(repository)
    mine = Signer(tmp_path / "other user")
    theirs = Repository.open(tmp_path / "store", signer=mine).history("run")
    assert not theirs.trusted
    assert list(theirs.records) == list(before.records)
    assert theirs.head
    mine.trust("run", theirs.head.digest)
    trusted = Repository.open(tmp_path / "store", signer=mine)
    assert trusted.history("run").trusted
    assert trusted.history("run").problems == []
    assert not [p for p in trusted.verify() if "summary" in p or "signature of record" in p]
    assert trusted.history("run").checkpoints() == before.checkpoints()
    taken = trusted.take_over("run", current_owner())
    version = max(before.checkpoints())
    taken.set_state(version, trusted.history("run").state(version), {})
    for i in range(SPAN):
        commit(taken, {"n": b"%d" % i})
    taken.safe()
    _compact(trusted)
    found = values(Repository.open(tmp_path / "store", signer=mine), "run")
    assert found["n"] == b"%d" % (SPAN - 1)
    assert not [p for p in trusted.verify() if "summary" in p or "signature of record" in p]
    # What follows the stranger's trust is not in the way of the first user's own records.
    own = reopen().history("run")
    assert own.trusted
    assert [r.number for r in own.records] == [r.number for r in before.records]


def test_a_segment_of_a_strangers_making_is_not_believed(
    repository: Repository, reopen: Reopen, tmp_path: Path
) -> None:
    writer = repository.create("run", current_owner())
    for i in range(SPAN + 2):
        commit(writer, {"a": b"%d" % i})
    writer.safe()
    stranger = Signer(tmp_path / "other user")
    elsewhere = Repository.open(tmp_path / "elsewhere", signer=stranger)
    forged = elsewhere.create("run", current_owner())
    for i in range(SPAN + 2):
        commit(forged, {"a": b"forged %d" % i})
    forged.safe()
    _compact(elsewhere)
    folder = reopen().path
    assert folder
    shutil.copy(tmp_path / "elsewhere" / segment_key("run", 0), folder / segment_key("run", 0))
    history = reopen().history("run")
    assert [values(reopen(), "run", v) for v in history.checkpoints()] == [
        {"a": b"%d" % i} for i in range(SPAN + 2)
    ], "the records of its own still count"
    assert any("the summary of" in p for p in reopen().verify())
    for path in folder.glob("log/run/0000000[1-4].*.json"):
        path.unlink()
    history = reopen().history("run")
    assert history.trusted
    assert list(history.checkpoints()) == [5, 6]
    assert any("is not the one that record 5 follows" in p for p in history.problems)
    assert any("is not signed by this user" in p for p in history.problems)
    with pytest.raises((DamagedError, NotFoundError)):
        values(reopen(), "run", 6)


def test_an_execution_that_was_compacted_can_be_removed(repository: Repository, reopen: Reopen) -> None:
    _life(repository).close()
    _compact(repository)
    repository.remove("run")
    assert reopen().executions() == []
    assert reopen().verify() == []


@pytest.mark.usefixtures("long_ones")
@pytest.mark.parametrize("count", [10_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_a_long_log_opens_in_under_a_second(reopen: Reopen, count: int) -> None:
    long_log.write(reopen(), "run", count)
    repository = reopen()
    start = time.process_time()
    (execution,) = repository.executions()
    history = repository.history("run")
    points = history.checkpoints()
    newest = history.entry(max(points))
    seconds = time.process_time() - start
    assert execution.head == len(points) == count
    assert newest
    assert newest.record.number == count
    assert history.problems == []
    assert seconds < 1.0, "0.6 s for 100,000 records"
    assert len(history.state(count)) == 20
