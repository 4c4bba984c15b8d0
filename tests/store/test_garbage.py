from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from durable_nb.errors import DamagedError, NotFoundError, RefusedError, StoreError
from durable_nb.model import Piece
from durable_nb.store.condemned import condemn, condemned_packs
from durable_nb.store.garbage import collect
from durable_nb.store.objects import LocalFolder
from durable_nb.store.owner import current_owner
from durable_nb.store.packs import digest_of
from durable_nb.store.repository import Repository
from durable_nb.store.signing import Signer
from durable_nb.store.writer import Draft, Writer

from .samples import commit, component, retire, values

Reopen = Callable[[], Repository]


def _big(n: int) -> bytes:
    return bytes([n]) * 100 + os.urandom(10_000)


def test_what_a_checkpoint_needs_stays(writer: Writer, reopen: Reopen) -> None:
    expected = []
    state: dict[str, bytes] = {}
    for i in range(6):
        state = {**state, f"v{i % 3}": _big(i)}
        commit(writer, {f"v{i % 3}": state[f"v{i % 3}"]}, cell=b"cell %d" % i)
        expected.append(state)
    retire(writer, 2, 3, 4)
    before = reopen().usage().packs
    done = collect(reopen(), grace=0)
    assert done.freed == before - reopen().usage().packs > 0
    for version in (1, 5, 6):
        assert values(reopen(), "run", version) == expected[version - 1]
    assert reopen().verify() == []
    cells = [r.body["cell"] for r in reopen().history("run").records if "cell" in r.body]
    assert [reopen().cell(c) for c in cells] == [b"cell %d" % i for i in range(6)], "they lead to what stays"
    again = collect(reopen(), grace=0)
    assert (again.freed, again.packs) == (0, 0)


def test_all_executions_count_whoever_wrote_them(writer: Writer, reopen: Reopen, tmp_path: Path) -> None:
    data = _big(1)
    commit(writer, {"a": data})
    commit(writer, {"a": b"2"})
    stranger = Repository.open(tmp_path / "store", signer=Signer(tmp_path / "other user"))
    commit(stranger.create("theirs", current_owner()), {"b": data})
    retire(writer, 1)
    collect(reopen(), grace=0)
    assert values(stranger, "theirs") == {"b": data}


def test_the_newest_checkpoint_stays_for_the_writer(writer: Writer, reopen: Reopen) -> None:
    data = _big(1)
    commit(writer, {"a": data})
    retire(writer, 1)
    collect(reopen(), grace=0)
    commit(writer, {"b": b"2"})
    assert values(reopen(), "run") == {"a": data, "b": b"2"}


def test_a_pack_that_is_mostly_not_needed_is_written_anew(writer: Writer, reopen: Reopen) -> None:
    small, large = os.urandom(5000), os.urandom(50_000)
    commit(writer, {"small": small, "large": large})
    commit(writer, {"large": b""})
    retire(writer, 1)
    done = collect(reopen(), grace=0)
    assert done.rewritten == 1
    assert reopen().usage().packs < 10_000
    assert values(reopen(), "run") == {"small": small, "large": b""}
    assert reopen().verify() == []


def test_forgotten_bytes_leave_the_disk_at_once(writer: Writer, reopen: Reopen) -> None:
    secret = b"the secret token"
    commit(writer, {"secret": secret, "rest": os.urandom(50_000)}, cell=b"text")
    manifest = reopen().history("run").state(1)["secret"]
    writer.commit(Draft("note", {"forget": {"names": ["secret"], "manifests": [manifest], "cells": []}}))
    writer.commit(Draft("safety", deleted=["secret"], has_state=True))
    collect(reopen(), grace=0)
    repository = reopen()
    assert values(repository, "run").keys() == {"rest"}
    with pytest.raises(NotFoundError):
        repository.components([manifest])
    assert repository.verify() == []


def test_nothing_is_collected_while_something_is_damaged(writer: Writer, reopen: Reopen) -> None:
    commit(writer, {"a": _big(1)})
    commit(writer, {"a": _big(2)})
    commit(writer, {"a": _big(3)})
    retire(writer, 1)
    repository = reopen()
    assert repository.path
    (repository.path / "log" / "run" / "00000002.0001.json").write_bytes(b"damaged")
    before = repository.usage().packs
    with pytest.raises(RefusedError, match="not whole"):
        collect(reopen(), grace=0)
    assert repository.usage().packs == before
    assert collect(reopen(), grace=0, force=True).packs


def test_a_missing_manifest_stops_a_collection(writer: Writer, reopen: Reopen) -> None:
    record = commit(writer, {"a": _big(1)})
    commit(writer, {"a": _big(2)})
    repository = reopen()
    repository.objects.delete(record.body["packs"][0])
    with pytest.raises(RefusedError, match="nothing was collected"):
        collect(reopen(), grace=0)
    collect(reopen(), grace=0, force=True)
    assert len(values(reopen(), "run")) == 1


def test_what_a_dead_collection_condemned_is_released(writer: Writer, reopen: Reopen) -> None:
    record = commit(writer, {"a": _big(1)})
    objects = reopen().objects
    notice = condemn(objects, record.body["packs"], 0.0)
    assert condemned_packs(objects) == set(record.body["packs"])
    collect(reopen(), grace=0)
    assert objects.exists(notice.key), "whoever published it is alive"
    dead = replace(current_owner(), start_time=0.0).to_json()
    path = reopen().path
    assert path
    (path / notice.key).write_text((path / notice.key).read_text().replace(
        f'"start_time":{current_owner().start_time}', f'"start_time":{dead["start_time"]}'
    ))  # fmt: skip
    collect(reopen(), grace=0)
    assert not objects.exists(notice.key)


class _Paused(LocalFolder):
    """Something else happens just before one step."""

    at = ("", "")
    meanwhile: Callable[[], object] | None = None

    def _step(self, name: str, path: Path) -> None:
        if self.meanwhile is not None and name == self.at[0] and self.at[1] in path.as_posix():
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()


def _dead_bytes(repository: Repository) -> tuple[Writer, bytes]:
    """A store with bytes that nothing needs any more: the next commit uses them again."""
    data = _big(7)
    writer = repository.create("run", current_owner())
    commit(writer, {"a": data})
    commit(writer, {"a": b"2"})
    retire(writer, 1)
    return writer, data


@pytest.mark.parametrize(
    "at",
    [
        ("open", "tmp/"),
        ("link", "packs/"),
        ("linked", "packs/"),
        ("link", "log/run/0000"),
        ("linked", "log/run/0000"),
        ("unlinked temporary", "log/run/0000"),
    ],
)
def test_a_collection_in_the_middle_of_a_commit(tmp_path: Path, reopen: Reopen, at: tuple[str, str]) -> None:
    objects = _Paused(tmp_path / "store")
    writer, data = _dead_bytes(Repository(objects, Signer(tmp_path / "keys")))
    objects.at, objects.meanwhile = at, lambda: collect(reopen(), grace=0)
    commit(writer, {"again": data, "new": b"3" * 5000})
    assert objects.meanwhile is None
    assert values(reopen(), "run") == {"a": b"2", "again": data, "new": b"3" * 5000}
    assert reopen().verify() == []
    collect(reopen(), grace=0)
    assert values(reopen(), "run")["again"] == data


def test_a_commit_while_a_collection_waits(reopen: Reopen) -> None:
    writer, data = _dead_bytes(reopen())
    done = collect(reopen(), grace=1, sleep=lambda _: commit(writer, {"again": data}) and None)
    assert values(reopen(), "run") == {"a": b"2", "again": data}
    assert reopen().verify() == []
    assert done.packs == 1, "it was condemned, so the commit wrote the bytes again"


@pytest.mark.parametrize("at", ["delete", "deleted"])
@pytest.mark.parametrize("what", ["packs/", "condemned/"])
def test_a_commit_while_a_collection_deletes(tmp_path: Path, reopen: Reopen, at: str, what: str) -> None:
    writer, data = _dead_bytes(reopen())
    objects = _Paused(tmp_path / "store")
    objects.at, objects.meanwhile = (at, what), lambda: commit(writer, {"again": data})
    collect(Repository(objects, Signer(tmp_path / "keys")), grace=0)
    assert objects.meanwhile is None
    assert values(reopen(), "run") == {"a": b"2", "again": data}
    assert reopen().verify() == []


@pytest.mark.parametrize("at", [("link", "packs/"), ("link", "log/run/0000"), ("linked", "log/run/0000")])
def test_bytes_that_only_the_store_had_are_asked_for_again(
    tmp_path: Path, reopen: Reopen, at: tuple[str, str]
) -> None:
    objects = _Paused(tmp_path / "store")
    writer, data = _dead_bytes(Repository(objects, Signer(tmp_path / "keys")))
    again = component("again", b"")
    again.stream = [Piece(len(data), digest_of(data))]
    objects.at, objects.meanwhile = at, lambda: collect(reopen(), grace=0)
    draft = Draft("cell", {}, [again], has_state=True)
    if at[0] == "linked":
        writer.commit(draft)
        assert values(reopen(), "run")["again"] == data, "the collection saw the record"
    else:
        with pytest.raises(StoreError, match="captured anew"):
            writer.commit(draft)
    commit(writer, {"again": data})
    assert values(reopen(), "run") == {"a": b"2", "again": data}
    assert reopen().verify() == [], "what could not be made whole is no checkpoint"
    collect(reopen(), grace=0)


def test_after_a_rollback_to_what_is_being_collected_it_is_asked_for_again(reopen: Reopen) -> None:
    writer, data = _dead_bytes(reopen())
    history = reopen().history("run")
    state = history.rebuild(1)
    collect(reopen(), grace=0)
    writer.set_state(1, state, {})
    with pytest.raises(StoreError, match="not whole"):
        commit(writer, {"b": b"3"})
    commit_again = reopen().history("run").state(2)
    writer.set_state(2, commit_again, {})
    commit(writer, {"a": data})
    assert values(reopen(), "run") == {"a": data}
    assert reopen().verify() == []


def test_two_collections_at_once_keep_a_copy_of_everything(writer: Writer, reopen: Reopen) -> None:
    shared, extra = _big(1), [_big(2), _big(3)]
    commit(writer, {"a": shared, "x": extra[0]})
    other = reopen().create("other", current_owner())
    commit(other, {"a": shared, "y": extra[1]})
    for one in (writer, other):
        commit(one, {"x": b"", "y": b""})
    retire(writer, 1)
    retire(other, 1)
    seen: list[int] = []

    def second(_: float) -> None:
        seen.append(collect(reopen(), grace=1, sleep=lambda _: None).packs)

    collect(reopen(), grace=1, sleep=second)
    assert seen
    assert values(reopen(), "run")["a"] == values(reopen(), "other")["a"] == shared
    assert reopen().verify() == []


def test_a_reader_finds_what_moved_while_it_read(writer: Writer, reopen: Reopen) -> None:
    small = os.urandom(5000)
    commit(writer, {"small": small, "large": os.urandom(50_000)})
    commit(writer, {"large": b""})
    reader = reopen()
    assert values(reader, "run")["small"] == small
    retire(writer, 1)
    collect(reopen(), grace=0)
    reader.packs._open.clear()
    assert values(reader, "run")["small"] == small
    with pytest.raises((NotFoundError, DamagedError)):
        values(reader, "run", 1)
