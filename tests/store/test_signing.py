from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from durable_nb.errors import StoreError
from durable_nb.store.signing import Head, Signer


def test_what_one_signs_only_the_same_key_verifies(tmp_path: Path) -> None:
    mine, other = Signer(tmp_path / "a"), Signer(tmp_path / "b")
    mac = mine.sign(b"data")
    assert Signer(tmp_path / "a").verify(b"data", mac)
    assert not mine.verify(b"dat", mac)
    assert not mine.verify(b"data", mac[:-1])
    assert not mine.verify(b"data", "é")
    assert not other.verify(b"data", mac), "there is no key yet, and asking makes none"
    assert not other.key_path.exists()


def test_the_key_is_for_its_owner_only(tmp_path: Path) -> None:
    signer = Signer(tmp_path / "data" / "durable_nb")
    signer.sign(b"")
    assert stat.S_IMODE(signer.key_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(signer.key_path.parent.stat().st_mode) == 0o700


def test_processes_that_start_at_once_share_one_key(tmp_path: Path) -> None:
    code = (
        "import sys; from durable_nb.store.signing import Signer; sys.stdin.read(); "
        "print(Signer(sys.argv[1]).sign(b'x'))"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "keys")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    macs = {process.communicate()[0] for process in started}
    assert len(macs) == 1


def test_a_head_does_not_move_back(tmp_path: Path) -> None:
    signer = Signer(tmp_path)
    new, old = Head(5, 2, "d5", "/s", "/n"), Head(4, 2, "d4", "/s")
    assert signer.head("run") is None
    signer.set_head("run", new)
    signer.set_head("run", old)
    signer.set_head("run", Head(9, 1, "", "/s"))
    assert Signer(tmp_path).heads() == {"run": new}
    signer.set_head("run", old, force=True)
    assert signer.head("run") == old
    signer.set_head("run", Head(1, 3, "d1", "/s"))
    assert signer.head("run") == Head(1, 3, "d1", "/s"), "a later epoch may begin earlier"
    signer.forget_head("run")
    assert signer.heads() == {}


def test_trust_is_remembered(tmp_path: Path) -> None:
    Signer(tmp_path).trust("run", "one")
    Signer(tmp_path).trust("run", "two")
    assert Signer(tmp_path).trusted("run") == {"one", "two"}
    Signer(tmp_path).untrust("run")
    assert Signer(tmp_path).trusted("run") == set()


def test_a_damaged_key_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(StoreError, match="is damaged: 5 bytes"):
        Signer(tmp_path).sign(b"")


def test_a_home_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    signer = Signer(tmp_path / "file" / "durable_nb")
    with pytest.raises(StoreError, match=r"cannot use .*key"):
        signer.sign(b"")
    with pytest.raises(StoreError, match="cannot use"):
        signer.set_head("run", Head(1, 1, "", ""))
    assert signer.head("run") is None
    assert signer.trusted("run") == set()
    assert not signer.verify(b"", "0" * 64)


def test_the_key_lies_where_jupyter_keeps_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", os.fspath(tmp_path))
    assert Signer().key_path == tmp_path / "durable_nb" / "key"
