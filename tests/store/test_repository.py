from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from durable_nb.errors import DurableError, FencedError, NotFoundError, ObjectExistsError
from durable_nb.model import ExecutionStatus, Liveness
from durable_nb.store.garbage import collect
from durable_nb.store.objects import LocalFolder
from durable_nb.store.owner import current_owner
from durable_nb.store.repository import Repository
from durable_nb.store.signing import Signer
from durable_nb.store.writer import Draft, Writer

from .samples import commit, retire, values

Reopen = Callable[[], Repository]
DEAD = replace(current_owner(), start_time=0.0)
ELSEWHERE = replace(current_owner(), host="elsewhere", boot_id="other", pid_namespace="other")


def test_status_follows_from_facts(reopen: Reopen) -> None:
    repository = reopen()
    for name, owner in (("alive", current_owner()), ("dead", DEAD), ("elsewhere", ELSEWHERE)):
        writer = repository.create(name, owner)
        commit(writer, {"a": b"1"})
        if name == "elsewhere":
            writer.close()
    repository.create("ended", DEAD).end("COMPLETED")
    repository.create("marked", DEAD).intent({"end": "FAILED"})
    found = {e.id: (e.status, e.liveness) for e in reopen().executions()}
    assert found == {
        "alive": (ExecutionStatus.RUNNING, Liveness.ALIVE),
        "dead": (ExecutionStatus.INTERRUPTED, Liveness.DEAD),
        "elsewhere": (ExecutionStatus.INTERRUPTED, Liveness.UNKNOWN),
        "ended": (ExecutionStatus.COMPLETED, Liveness.DEAD),
        "marked": (ExecutionStatus.FAILED, Liveness.DEAD),
    }
    assert next(e.id for e in reopen().executions()) == "marked"


@pytest.mark.usefixtures("writer")
def test_an_execution_begins_once(reopen: Reopen) -> None:
    with pytest.raises(ObjectExistsError):
        reopen().create("run", current_owner())
    with pytest.raises(NotFoundError, match="no execution 'other'"):
        reopen().history("other")
    with pytest.raises(NotFoundError, match="no execution"):
        reopen().history("../run")


def test_who_takes_over_continues_where_the_other_stopped(writer: Writer, reopen: Reopen) -> None:
    commit(writer, {"a": b"1"})
    writer.intent({"label": "lost"})
    repository = reopen()
    taken = repository.take_over("run", current_owner())
    history = repository.history("run")
    assert history.epoch == 2
    assert history.notebook == "/here/a.ipynb"
    assert [i["label"] for i in history.intents(1)] == ["lost"]
    taken.set_state(1, history.state(1), {})
    commit(taken, {"b": b"2"}, parent=1)
    assert values(reopen(), "run") == {"a": b"1", "b": b"2"}
    assert [r.epoch for r in reopen().history("run").records] == [1, 2, 2]
    assert reopen().verify() == []


def test_of_two_who_take_over_at_once_one_is_refused(writer: Writer, reopen: Reopen) -> None:
    commit(writer, {"a": b"1"})
    barrier = threading.Barrier(6)
    taken: list[Writer] = []
    refused: list[FencedError] = []

    def take() -> None:
        repository = reopen()
        barrier.wait()
        try:
            taken.append(repository.take_over("run", current_owner()))
        except FencedError as error:
            refused.append(error)

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) + len(refused) == 6
    newest = max(taken, key=lambda w: w.epoch)
    commit(newest, {"b": b"2"})
    for other in taken:
        if other is not newest:
            with pytest.raises(FencedError):
                commit(other)
    assert reopen().verify() == []


class _Stopped(LocalFolder):
    """A writer that is stopped just before one of its steps, for as long as something else happens."""

    at = ("", "")
    meanwhile: Callable[[], object] | None = None

    def _step(self, name: str, path: Path) -> None:
        if self.meanwhile is not None and name == self.at[0] and self.at[1] in path.as_posix():
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()


@pytest.mark.parametrize(
    "at", [("open", "tmp/"), ("link", "packs/"), ("linked", "packs/"), ("link", "log/"), ("linked", "log/")]
)
@pytest.mark.parametrize("garbage", [False, True])
def test_a_stopped_writer_is_refused_when_it_continues(
    tmp_path: Path, reopen: Reopen, at: tuple[str, str], garbage: bool
) -> None:
    objects = _Stopped(tmp_path / "store")
    stopped = Repository(objects, Signer(tmp_path / "keys")).create("run", current_owner())
    commit(stopped, {"a": b"1" * 2000})

    def take_over() -> None:
        repository = reopen()
        taken = repository.take_over("run", current_owner())
        history = repository.history("run")
        newest = max(history.checkpoints())
        taken.set_state(newest, history.state(newest), {})
        commit(taken, {"b": b"new owner's"})
        if garbage:
            retire(taken, 1)
            collect(repository, grace=0)

    objects.at, objects.meanwhile = at, take_over
    with pytest.raises(FencedError):
        commit(stopped, {"a": b"2" * 2000, "c": b"stale" * 1000})
    found = values(reopen(), "run")
    assert found["b"] == b"new owner's"
    # Published before it was fenced, a record may count: but then all of it does.
    assert found in (
        {"a": b"1" * 2000, "b": b"new owner's"},
        {"a": b"2" * 2000, "b": b"new owner's", "c": b"stale" * 1000},
    )
    with pytest.raises(FencedError):
        stopped.intent({})
    assert reopen().verify() == []


def test_a_stale_record_on_a_taken_number_is_never_looked_at(writer: Writer, reopen: Reopen) -> None:
    commit(writer, {"a": b"1"})
    repository = reopen()
    taken = repository.take_over("run", current_owner())
    assert repository.path
    lost = repository.path / "log" / "run" / "epoch-0002.json"
    hidden = lost.rename(lost.with_suffix(".hidden"))
    stale = commit(writer, {"a": b"stale"})
    hidden.rename(lost)
    assert (stale.number, stale.epoch) == (2, 1)
    commit(taken, {"a": b"new"})
    history = reopen().history("run")
    assert [(r.number, r.epoch) for r in history.records] == [(1, 1), (2, 2), (3, 2)]
    assert history.problems == []
    assert reopen().verify() == []


def test_retiring_in_an_old_execution_leaves_it_as_it_was(reopen: Reopen) -> None:
    repository = reopen()
    old = repository.create("old", DEAD)
    commit(old, {"a": b"1"})
    commit(old, {"a": b"2"})
    old.end("COMPLETED")
    commit(repository.create("new", current_owner()), {"a": b"3"})
    before = {e.id: (e.status, e.updated, e.epoch) for e in repository.executions()}
    repository.retire("old", [1])
    assert {e.id: (e.status, e.updated, e.epoch) for e in reopen().executions()} == before
    assert reopen().history("old").checkpoints()[1].retired
    with pytest.raises(FencedError):
        commit(old, {"a": b"4"})
    with pytest.raises(FencedError):
        repository.retire("new", [1])
    assert reopen().verify() == []


def test_an_execution_can_be_removed(writer: Writer, reopen: Reopen) -> None:
    commit(writer, {"a": b"1" * 5000})
    writer.safe()
    repository = reopen()
    repository.remove("run")
    assert repository.executions() == []
    assert repository.verify() == []
    collect(repository, grace=0)
    assert repository.usage().packs == 0
    assert repository.bytes_stored() == 0


def test_cells_and_usage(writer: Writer, reopen: Reopen) -> None:
    record = commit(writer, {"a": b"1"}, cell=b'{"source": "a = 1"}')
    repository = reopen()
    assert repository.cell(record.body["cell"]) == b'{"source": "a = 1"}'
    usage = repository.usage()
    assert usage.packs == repository.objects.size(record.body["packs"][0])
    assert usage.total == repository.bytes_stored() == usage.packs + usage.log
    with pytest.raises(NotFoundError):
        repository.cell("0" * 64)


def test_a_store_that_may_only_be_read_is_read(writer: Writer, tmp_path: Path) -> None:
    commit(writer, {"a": b"1"})

    class ReadOnly(LocalFolder):
        def _step(self, name: str, path: Path) -> None:  # noqa: ARG002 - all steps are alike
            raise OSError(30, "Read-only file system")

    repository = Repository(ReadOnly(tmp_path / "store"), Signer(tmp_path / "keys"))
    assert values(repository, "run") == {"a": b"1"}
    with pytest.raises(DurableError, match="Read-only"):
        repository.take_over("run", current_owner())
    with pytest.raises(DurableError, match="Read-only"):
        repository.create("new", current_owner())


@pytest.mark.usefixtures("writer")
def test_an_empty_execution_is_one(reopen: Reopen) -> None:
    history = reopen().history("run")
    assert (history.head, list(history.records), history.trusted, history.problems) == (None, [], True, [])
    assert reopen().executions()[0].head == 0
    taken = reopen().take_over("run", current_owner())
    taken.commit(Draft("note"))
    assert reopen().verify() == []
