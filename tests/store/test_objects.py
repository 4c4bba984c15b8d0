from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from durable_nb.errors import NoSpaceError, NotFoundError, ObjectExistsError, StoreError
from durable_nb.store.objects import LocalFolder


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_an_object_comes_back_as_it_was_put(objects: LocalFolder) -> None:
    big = os.urandom(300_000)
    objects.put("packs/a.bin", big)
    objects.put("packs/b.bin", memoryview(b""))
    assert objects.get("packs/a.bin") == big
    assert objects.get("packs/b.bin") == b""
    assert objects.size("packs/a.bin") == len(big)
    assert objects.list("packs/") == ["packs/a.bin", "packs/b.bin"]
    assert objects.list("") == ["packs/a.bin", "packs/b.bin"]


def test_an_object_is_never_replaced(objects: LocalFolder) -> None:
    objects.put("a", b"first")
    with pytest.raises(ObjectExistsError):
        objects.put("a", b"second")
    assert objects.get("a") == b"first"
    assert not list((objects.path / "tmp").iterdir())


def test_of_many_who_put_at_once_one_wins(objects: LocalFolder) -> None:
    won: list[int] = []
    barrier = threading.Barrier(8)

    def put(i: int) -> None:
        barrier.wait()
        try:
            objects.put("log/x/1.json", b"%d" % i)
        except ObjectExistsError:
            return
        won.append(i)

    threads = [threading.Thread(target=put, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [b"%d" % i for i in won] == [objects.get("log/x/1.json")]


def test_only_the_owner_can_read_and_git_looks_away(objects: LocalFolder) -> None:
    objects.put("log/run/1.json", b"x")
    objects.append("log/run/1.intents", b"y\n")
    folder = objects.path
    assert {_mode(p) for p in (folder, folder / "log", folder / "log/run", folder / "tmp")} == {0o700}
    assert {_mode(p) for p in (folder / "log/run").iterdir()} == {0o600}
    assert (folder / ".gitignore").read_text() == "*\n"


def test_what_is_missing_is_not_found(objects: LocalFolder) -> None:
    with pytest.raises(NotFoundError):
        objects.get("a")
    with pytest.raises(NotFoundError):
        objects.size("a")
    assert not objects.exists("a")
    assert objects.list("packs/") == []
    objects.delete("a")
    objects.sync(["a"])


def test_a_store_that_is_not_there_is_only_made_when_asked_for(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no store"):
        LocalFolder(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("key", ["../a", "/etc/passwd", "a//b", ".hidden", "", "a/../b", "a\0"])
def test_a_key_cannot_leave_the_store(objects: LocalFolder, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        objects.put(key, b"x")


def test_unfinished_files_of_dead_processes_are_removed(objects: LocalFolder) -> None:
    objects.put("a", b"x")
    old, new = objects.path / "tmp" / "old", objects.path / "tmp" / "new"
    for path in (old, new):
        path.write_bytes(b"torn")
    os.utime(old, (0, 0))
    LocalFolder(objects.path)
    assert not old.exists()
    assert new.exists()


class _Full(LocalFolder):
    """A disk that is full from a certain step on."""

    at = "written"
    code = errno.ENOSPC

    def _step(self, name: str, path: Path) -> None:  # noqa: ARG002 - all steps are alike
        if name == self.at:
            raise OSError(self.code, os.strerror(self.code))


@pytest.mark.parametrize("at", ["open", "write", "written", "link"])
def test_a_full_disk_leaves_nothing_half_done(tmp_path: Path, at: str) -> None:
    objects = _Full(tmp_path / "store")
    objects.at = at
    with pytest.raises(NoSpaceError, match="full"):
        objects.put("packs/a", b"x" * 100)
    assert objects.list("") == []
    assert not any(p.is_file() for p in (objects.path / "tmp").glob("*"))


def test_other_failures_are_one_clear_line(tmp_path: Path) -> None:
    objects = _Full(tmp_path / "store")
    objects.code = errno.EROFS
    with pytest.raises(StoreError, match="cannot write packs/a: Read-only file system"):
        objects.put("packs/a", b"x")


class _WithoutLinks(LocalFolder):
    def _step(self, name: str, path: Path) -> None:  # noqa: ARG002 - all steps are alike
        if name == "link":
            raise OSError(errno.EPERM, "links are not supported")


def test_without_links_a_name_is_still_taken_once(tmp_path: Path) -> None:
    objects = _WithoutLinks(tmp_path / "store")
    objects.put("packs/a", b"first")
    with pytest.raises(ObjectExistsError):
        objects.put("packs/a", b"second")
    assert objects.get("packs/a") == b"first"
