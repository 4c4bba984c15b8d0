from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from durable_nb.errors import FencedError, NoSpaceError, StoreError
from durable_nb.model import CHUNK, INLINE, Piece
from durable_nb.store.log import root_hex, root_of
from durable_nb.store.objects import LocalFolder
from durable_nb.store.owner import current_owner
from durable_nb.store.packs import digest_of
from durable_nb.store.repository import Repository
from durable_nb.store.signing import Signer
from durable_nb.store.writer import FULL_EVERY, Draft, PendingComponent, Writer

from .samples import commit, component, draft, pieces, values

Reopen = Callable[[], Repository]


def _packs(repository: Repository) -> list[str]:
    return repository.objects.list("packs/")


def test_one_commit_is_one_pack_however_many_variables(writer: Writer, reopen: Reopen) -> None:
    expected = {f"v{i}": os.urandom(INLINE + i) for i in range(2000)}
    commit(writer, expected)
    assert len(_packs(reopen())) == 1
    assert values(reopen(), "run") == expected


def test_large_and_small_values_come_back(writer: Writer, reopen: Reopen) -> None:
    big, view = os.urandom(3 * CHUNK + 5), os.urandom(CHUNK)
    record = writer.commit(
        Draft("cell", {}, [component("a", b"head", big, b"", view), component("b", b"")], has_state=True)
    )
    manifests = reopen().components(record.body["state"]["set"].values())
    a, b = (manifests[record.body["state"]["set"][name]] for name in "ab")
    assert [buffer.size for buffer in a.buffers] == [len(big), 0, len(view)]
    assert a.inline is None
    assert b.inline == b""
    assert values(reopen(), "run") == {"a": b"head" + big + view, "b": b""}


def test_equal_bytes_are_stored_once_over_executions(writer: Writer, reopen: Reopen) -> None:
    data = os.urandom(CHUNK)
    commit(writer, {"a": data})
    stored = reopen().usage().packs
    other = reopen().create("other", current_owner())
    commit(other, {"b": data})
    commit(writer, {"c": data})
    assert reopen().usage().packs < stored + 10_000


def test_bytes_are_let_go_once_they_are_kept(writer: Writer) -> None:
    released: list[memoryview] = []
    item = component("a", b"small", os.urandom(10))
    short = component("b", b"inline")
    writer.commit(Draft("cell", {}, [item, short], has_state=True, release=released.append))
    assert [p.data for p in item.pieces()] == [None, None]
    assert all(p.digest for p in item.pieces())
    assert [bytes(v) for v in released[:1]]
    assert len(released) == 3
    again = component("c", b"")
    again.stream, again.buffers = short.stream, item.buffers
    writer.commit(Draft("cell", {}, [again], has_state=True))
    assert again.digest


def test_unchanged_pieces_are_reused_without_their_bytes(writer: Writer, reopen: Reopen) -> None:
    kept, changed = os.urandom(CHUNK), os.urandom(CHUNK)
    first = component("a", b"head", kept + changed)
    writer.commit(Draft("cell", {}, [first], has_state=True))
    old = list(first.buffers[0][2])
    new = component("a", b"head")
    new.buffers = [(2 * CHUNK, False, [old[0], *pieces(changed[::-1])])]
    writer.commit(Draft("cell", {}, [new], has_state=True))
    assert values(reopen(), "run") == {"a": b"head" + kept + changed[::-1]}
    assert values(reopen(), "run", 1) == {"a": b"head" + kept + changed}


def test_a_piece_that_is_nowhere_is_refused_before_anything_is_published(
    writer: Writer, reopen: Reopen
) -> None:
    lost = component("a", b"x" * 2000)
    lost.stream = [Piece(2000, digest_of(b"x" * 2000))]
    with pytest.raises(StoreError, match="gone"):
        writer.commit(Draft("cell", {}, [lost], has_state=True))
    lost.stream = [Piece(2000)]
    with pytest.raises(StoreError, match="neither bytes nor digest"):
        writer.commit(Draft("cell", {}, [lost], has_state=True))
    assert not reopen().history("run").records
    commit(writer, {"a": b"1"})
    assert values(reopen(), "run") == {"a": b"1"}


def test_a_component_names_its_definitions_by_their_content(writer: Writer, reopen: Reopen) -> None:
    definition, user = component("P", b"class P"), component("p", b"__main__.P", reaches=("P", "nothing"))
    writer.commit(Draft("cell", {}, [user, definition], has_state=True))
    (manifest,) = reopen().components([user.digest]).values()
    assert manifest.refs == {"P": definition.content_digest}
    later = component("q", b"__main__.P", reaches=("P",))
    writer.commit(Draft("cell", {}, [later], has_state=True))
    assert reopen().components([later.digest])[later.digest].refs == {"P": definition.content_digest}
    same = component("p", b"__main__.P", reaches=("P",))
    changed = component("P", b"class P, changed")
    writer.commit(Draft("cell", {}, [same, changed], has_state=True))
    assert same.digest != user.digest
    assert same.content_digest == user.content_digest


def test_definitions_may_refer_to_each_other(writer: Writer, reopen: Reopen) -> None:
    even, odd = component("even", b"1", reaches=("odd", "even")), component("odd", b"2", reaches=("even",))
    writer.commit(Draft("cell", {}, [even, odd], has_state=True))
    refs = reopen().components([even.digest])[even.digest].refs
    assert refs == {"odd": odd.content_digest, "even": even.content_digest}


def test_a_variable_that_cannot_be_kept_is_listed(writer: Writer, reopen: Reopen) -> None:
    writer.commit(Draft("cell", {}, [PendingComponent(("s",), unsaved="s: socket")], has_state=True))
    (manifest,) = reopen().components(reopen().history("run").state(1).values()).values()
    assert manifest.unsaved == "s: socket"
    assert manifest.chunks() == []
    assert manifest.inline is None


def test_names_may_be_given_manifests_that_are_there(writer: Writer, reopen: Reopen) -> None:
    data = os.urandom(5000)
    commit(writer, {"a": data})
    manifest = reopen().history("run").state(1)["a"]
    other = reopen().create("other", current_owner())
    record = other.commit(Draft("recovery", assign={"a": manifest}, has_state=True))
    assert values(reopen(), "other") == {"a": data}
    assert record.body["state"]["set"] == {"a": manifest}


def test_deltas_are_small_and_every_so_often_the_state_is_whole(writer: Writer, reopen: Reopen) -> None:
    commit(writer, {f"v{i}": b"%d" % i for i in range(500)})
    for i in range(2 * FULL_EVERY):
        commit(writer, {"v1": b"x%d" % i})
    history = reopen().history("run")
    states = [r.body["state"] for r in history.records]
    assert max(len(s["set"]) for s in states[1:]) == 1
    assert sum(bool(s["full"]) for s in states) == 2
    for version in history.checkpoints():
        state = history.state(version)
        assert root_hex(root_of(state)) == states[version - 1]["root"]
    assert len(history.state(5)) == 500


def test_a_rollback_continues_from_where_it_went(writer: Writer, reopen: Reopen) -> None:
    for i in range(3):
        commit(writer, {"a": b"%d" % i, f"only{i}": b"x"})
    history = reopen().history("run")
    writer.set_state(1, history.state(1), {})
    record = commit(writer, {"b": b"new"}, kind="rollback", parent=1)
    assert record.body["state"]["parent"] == 1
    assert values(reopen(), "run") == {"a": b"0", "only0": b"x", "b": b"new"}
    with pytest.raises(StoreError, match="follows v1"):
        commit(writer, parent=1)
    with pytest.raises(StoreError, match="newer than"):
        writer.set_state(99, {}, {})


def test_a_disk_that_would_be_too_full_is_left_alone(tmp_path: Path, signer: Signer) -> None:
    repository = Repository.open(tmp_path / "store", signer=signer, min_free=1 << 60)
    writer = repository.create("run", current_owner())
    with pytest.raises(NoSpaceError, match="min_free"):
        commit(writer, {"a": os.urandom(5000)})
    assert _packs(repository) == []
    assert not repository.history("run").records
    writer.commit(Draft("note"))
    assert len(repository.history("run").records) == 1


class _Failing(LocalFolder):
    fail = ""

    def _step(self, name: str, path: Path) -> None:
        if self.fail and self.fail in path.as_posix() and name == "link":
            raise OSError(5, "Input/output error")


@pytest.mark.parametrize("where", ["packs/", "log/"])
def test_after_a_failed_commit_the_next_one_holds(tmp_path: Path, signer: Signer, where: str) -> None:
    objects = _Failing(tmp_path / "store")
    repository = Repository(objects, signer)
    writer = repository.create("run", current_owner())
    commit(writer, {"a": b"1" * 5000})
    objects.fail = where
    failed = draft({"a": b"2" * 5000})
    with pytest.raises(StoreError, match="Input/output error"):
        writer.commit(failed)
    assert [(p.data, p.digest) for c in failed.components for p in c.pieces()] == [(None, "")]
    assert values(repository, "run") == {"a": b"1" * 5000}
    objects.fail = ""
    commit(writer, {"a": b"3" * 5000})
    assert values(repository, "run") == {"a": b"3" * 5000}
    assert repository.verify() == []


def test_safe_means_flushed_packs_first(tmp_path: Path, signer: Signer) -> None:
    synced: list[str] = []

    class Watched(LocalFolder):
        def _step(self, name: str, path: Path) -> None:
            if name == "fsynced":
                synced.append(path.relative_to(self.path).as_posix())

    repository = Repository(Watched(tmp_path / "store"), signer)
    writer = repository.create("run", current_owner(), notebook="/n.ipynb")
    writer.intent({})
    record = commit(writer, {"a": b"1" * 5000})
    assert synced == []
    assert signer.head("run") is None
    writer.safe()
    assert synced[0] == record.body["packs"][0]
    assert set(synced[1:]) == {
        "log/run/epoch-0001.json",
        "log/run/epoch-0001.intents",
        "log/run/00000001.0001.json",
        "log/run",
        "log",
        "packs",
        ".",
    }
    head = signer.head("run")
    assert head
    assert (head.number, head.epoch, head.digest) == (1, 1, record.digest)
    synced.clear()
    writer.safe()
    assert synced == []


def test_what_another_process_wrote_is_flushed_before_it_is_relied_on(
    tmp_path: Path, signer: Signer, writer: Writer
) -> None:
    first = commit(writer, {"a": b"1" * 5000})
    synced: list[Path] = []

    class Watched(LocalFolder):
        def _step(self, name: str, path: Path) -> None:
            if name == "fsynced":
                synced.append(path)

    other = Repository(Watched(tmp_path / "store"), signer).create("other", current_owner())
    commit(other, {"a": b"1" * 5000})
    other.safe()
    assert tmp_path / "store" / first.body["packs"][0] in synced


def test_intents_and_commits_come_from_different_threads(writer: Writer, reopen: Reopen) -> None:
    thread = threading.Thread(target=lambda: [commit(writer, {"a": b"%d" % i}) for i in range(50)])
    thread.start()
    for i in range(200):
        writer.intent({"i": i})
    thread.join()
    assert reopen().verify() == []
    assert len(reopen().history("run").intents(1)) == 200


def test_a_writer_that_was_fenced_stays_so(writer: Writer, reopen: Reopen) -> None:
    commit(writer, {"a": b"1"})
    reopen().take_over("run", current_owner())
    for attempt in (lambda: writer.intent({}), lambda: commit(writer), lambda: writer.end("COMPLETED")):
        with pytest.raises(FencedError, match="taken execution run over"):
            attempt()
    assert writer.fenced
