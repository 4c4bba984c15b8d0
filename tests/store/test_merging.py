from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from durable_nb.errors import NotFoundError
from durable_nb.model import Piece
from durable_nb.store import condemned, merging, tidying
from durable_nb.store.condemned import condemn
from durable_nb.store.garbage import collect
from durable_nb.store.merging import merge
from durable_nb.store.objects import LocalFolder
from durable_nb.store.owner import current_owner
from durable_nb.store.packs import digest_of
from durable_nb.store.repository import Repository
from durable_nb.store.signing import Signer
from durable_nb.store.writer import Draft, Writer

from .samples import commit, component, values

Reopen = Callable[[], Repository]
CELLS = 6


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "MANY", CELLS)


def _packs(repository: Repository) -> list[str]:
    return repository.objects.list("packs/")


def _cells(writer: Writer, count: int = CELLS) -> dict[str, bytes]:
    found = {f"v{i}": b"%d" % i + os.urandom(2000) for i in range(count)}
    for name, data in found.items():
        commit(writer, {name: data}, cell=name.encode())
    return found


def test_many_small_packs_become_one(writer: Writer, reopen: Reopen) -> None:
    large = os.urandom(2 << 20)
    first = commit(writer, {"large": large})
    expected = {**_cells(writer), "large": large}
    before = reopen().usage().packs
    repository = reopen()
    assert merge(repository, grace=0) == CELLS
    assert len(_packs(repository)) == 2
    assert first.body["packs"][0] in _packs(repository), "what is large stays where it is"
    assert repository.usage().packs < before
    assert values(repository, "run") == values(reopen(), "run") == expected
    assert [reopen().cell(r.body["cell"]) for r in reopen().history("run").records[1:]] == [
        name.encode() for name in expected if name != "large"
    ]
    assert reopen().verify() == []
    assert repository.objects.list("condemned/") == []


def test_a_few_small_packs_stay(writer: Writer, reopen: Reopen) -> None:
    _cells(writer, CELLS - 1)
    before = _packs(reopen())
    assert merge(reopen(), grace=0) == 0
    assert _packs(reopen()) == before


def test_a_collection_merges_too(writer: Writer, reopen: Reopen) -> None:
    expected = _cells(writer)
    assert collect(reopen(), grace=0).rewritten == CELLS
    assert len(_packs(reopen())) == 1
    assert values(reopen(), "run") == expected
    assert reopen().verify() == []


def test_a_pack_that_is_damaged_is_left_as_it_is(writer: Writer, reopen: Reopen) -> None:
    expected = _cells(writer, CELLS + 1)
    broken = reopen().history("run").records[2].body["packs"][0]
    folder = reopen().path
    assert folder
    data = bytearray((folder / broken).read_bytes())
    data[data.index(expected["v2"])] ^= 1
    (folder / broken).write_bytes(data)
    assert merge(reopen(), grace=0) == CELLS
    assert len(_packs(reopen())) == 2
    assert broken in _packs(reopen())
    assert any(broken in problem for problem in reopen().verify())


def test_a_store_of_one_line_cells_stays_small(
    writer: Writer, repository: Repository, reopen: Reopen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "MANY", 64)
    for i in range(300):
        commit(writer, {"v": b"%d" % i}, cell=b"v = %d" % i)
        repository.keep_within(writer, 1 << 40)
        if i % 64 == 0:
            repository.tidying.finish(60)
    repository.tidying.finish(60)
    assert len(_packs(repository)) < 140
    assert values(reopen(), "run") == {"v": b"299"}
    assert values(reopen(), "run", 7) == {"v": b"6"}
    assert reopen().verify() == []


def test_a_writer_that_ends_does_not_wait_for_a_grace_period(
    writer: Writer, repository: Repository, reopen: Reopen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidying, "merge", partial(merge, grace=600.0))
    expected = {}
    for i in range(70):
        expected[f"v{i}"] = b"%d" % i
        commit(writer, {f"v{i}": b"%d" % i})
    repository.keep_within(writer, 1 << 40)
    writer.end("COMPLETED")
    assert repository.tidying._thread
    repository.tidying._thread.join(60)
    assert not repository.tidying._thread.is_alive()
    assert len(_packs(reopen())) < 10
    assert reopen().objects.list("condemned/") == []
    assert values(reopen(), "run") == expected
    assert reopen().verify() == []


class _Paused(LocalFolder):
    """Something else happens just before one step."""

    at = ("", "")
    meanwhile: Callable[[], object] | None = None

    def _step(self, name: str, path: Path) -> None:
        if self.meanwhile is not None and name == self.at[0] and self.at[1] in path.as_posix():
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()


def _again(data: bytes) -> Draft:
    """Relies on bytes that only the store has."""
    again = component("again", b"")
    again.stream = [Piece(len(data), digest_of(data))]
    return Draft("cell", {}, [again], has_state=True)


@pytest.mark.parametrize("what", ["packs/", "condemned/"])
@pytest.mark.parametrize("step", ["link", "linked", "delete", "deleted"])
def test_a_commit_in_the_middle_of_a_merge(tmp_path: Path, reopen: Reopen, step: str, what: str) -> None:
    objects = _Paused(tmp_path / "store")
    writer = reopen().create("run", current_owner())
    expected = _cells(writer)
    objects.at, objects.meanwhile = (step, what), lambda: writer.commit(_again(expected["v2"]))
    merge(Repository(objects, Signer(tmp_path / "keys")), grace=0)
    assert objects.meanwhile is None
    assert values(reopen(), "run") == {**expected, "again": expected["v2"]}
    assert reopen().verify() == []


@pytest.mark.parametrize(
    "at",
    [
        ("open", "tmp/"),
        ("link", "packs/"),
        ("linked", "packs/"),
        ("link", "log/run/"),
        ("linked", "log/run/"),
    ],
)
def test_a_merge_in_the_middle_of_a_commit(tmp_path: Path, reopen: Reopen, at: tuple[str, str]) -> None:
    objects = _Paused(tmp_path / "store")
    writer = Repository(objects, Signer(tmp_path / "keys")).create("run", current_owner())
    expected = _cells(writer)
    objects.at, objects.meanwhile = at, lambda: merge(reopen(), grace=0)
    writer.commit(_again(expected["v2"]))
    assert objects.meanwhile is None
    assert values(reopen(), "run") == {**expected, "again": expected["v2"]}
    assert reopen().verify() == []


@pytest.mark.parametrize("other", [merge, collect])
@pytest.mark.parametrize("what", ["packs/", "condemned/"])
@pytest.mark.parametrize("step", ["open", "link", "linked", "delete", "deleted"])
def test_two_at_once_keep_a_copy_of_everything(
    tmp_path: Path, reopen: Reopen, step: str, what: str, other: Callable[..., object]
) -> None:
    objects = _Paused(tmp_path / "store")
    expected = _cells(reopen().create("run", current_owner()))
    objects.at, objects.meanwhile = (
        ("open", "tmp/") if step == "open" else (step, what),
        lambda: other(reopen(), grace=0),
    )
    merge(Repository(objects, Signer(tmp_path / "keys")), grace=0)
    assert values(reopen(), "run") == expected
    assert reopen().verify() == []
    assert reopen().objects.list("condemned/") == []
    collect(reopen(), grace=0)
    assert values(reopen(), "run") == expected


@pytest.mark.parametrize("how", ["condemned by somebody else", "lost"])
def test_packs_stay_where_the_copy_of_their_chunks_does_not(writer: Writer, reopen: Reopen, how: str) -> None:
    expected = _cells(writer)
    before = set(_packs(reopen()))

    def meanwhile(_: float) -> None:
        (copy,) = set(_packs(reopen())) - before
        if how == "lost":
            reopen().objects.delete(copy)
        else:
            condemn(reopen().objects, [copy], 0.0)

    assert merge(reopen(), grace=1, sleep=meanwhile) == 0
    assert set(_packs(reopen())) >= before
    assert values(reopen(), "run") == expected


def test_a_reader_finds_what_was_merged_while_it_read(writer: Writer, reopen: Reopen) -> None:
    expected = _cells(writer)
    reader = reopen()
    assert values(reader, "run") == expected
    merge(reopen(), grace=0)
    reader.packs._open.clear()
    assert values(reader, "run") == expected


def test_a_merge_under_way_brings_nothing_back_that_was_forgotten(
    tmp_path: Path, writer: Writer, reopen: Reopen
) -> None:
    expected = _cells(writer)
    manifest = reopen().history("run").state(3)["v1"]
    waiting = threading.Event()
    collected: list[int] = []

    def wait(seconds: float) -> None:
        waiting.set()
        threading.Event().wait(seconds)

    def purge() -> None:
        collected.append(collect(reopen(), grace=0, sleep=wait).packs)

    purging = threading.Thread(target=purge)

    def forget() -> None:
        writer.commit(Draft("note", {"forget": {"names": ["v1"], "manifests": [manifest], "cells": []}}))
        writer.commit(Draft("safety", deleted=["v1"], has_state=True))
        purging.start()
        assert waiting.wait(20), "it sees that somebody copies"

    objects = _Paused(tmp_path / "store")
    objects.at, objects.meanwhile = ("link", "packs/"), forget
    merge(Repository(objects, Signer(tmp_path / "keys")), grace=0)
    purging.join()
    assert collected
    repository = reopen()
    for digest in (manifest, digest_of(expected["v1"])):
        with pytest.raises(NotFoundError):
            repository.cell(digest)
    assert values(repository, "run") == {n: v for n, v in expected.items() if n != "v1"}
    assert repository.verify() == []


def test_what_a_dead_merge_condemned_is_released(
    writer: Writer, reopen: Reopen, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _cells(writer)
    with monkeypatch.context() as patched:
        patched.setattr(condemned, "current_owner", lambda: replace(current_owner(), start_time=0.0))
        left = condemn(reopen().objects, _packs(reopen()), 0.0)
    assert merge(reopen(), grace=0) == CELLS
    assert not reopen().objects.exists(left.key)
    assert values(reopen(), "run") == expected
