"""Files come back where they stood; what is in them is left alone."""

from __future__ import annotations

import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Again, Keep

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # files stay open, as in notebooks


def test_a_file_comes_back_where_it_stood(again: Again) -> None:
    Path("text").write_text("äone\ntwo\n", encoding="utf-16")
    file = open("text", encoding="utf-16")  # noqa: PTH123, SIM115
    assert file.readline() == "äone\n"
    back = again(file)
    assert (back.readline(), back.encoding, back.name) == ("two\n", "utf-16", str(Path("text").absolute()))
    assert file.readline() == "two\n"


@pytest.mark.parametrize("mode", ["wb", "w+b", "xb", "r+b"])
@pytest.mark.parametrize("buffering", [-1, 0])
def test_a_file_that_was_being_written_is_not_truncated(again: Again, mode: str, buffering: int) -> None:
    if mode == "r+b":
        Path("data").write_bytes(b"........")
    file = open("data", mode, buffering=buffering)  # noqa: PTH123, SIM115
    file.write(b"first")
    back = again(file)
    assert (type(back), back.mode) == (type(file), file.mode)
    back.write(b"-second")
    back.close()
    file.close()
    assert Path("data").read_bytes().startswith(b"first-second")


def test_a_file_that_appends_goes_on_at_the_end(again: Again) -> None:
    file = open("log", "a", buffering=1)  # noqa: PTH123, SIM115
    file.write("one\n")
    back = again(file)
    assert back.line_buffering
    back.write("two\n")
    assert Path("log").read_text() == "one\ntwo\n"


def test_a_closed_file_is_closed_and_a_standard_stream_the_process_s_own(again: Again) -> None:
    file = Path("x").open("w")  # noqa: SIM115
    file.close()
    assert again(file).closed
    assert again({"err": sys.__stderr__})["err"] is sys.__stderr__


def test_a_file_that_is_gone_is_not_made_again(keep: Keep) -> None:
    file = Path("gone").open("w")  # noqa: SIM115
    kept = keep(file=file)
    Path("gone").unlink()
    with pytest.raises(FileNotFoundError, match="gone"):
        kept.load()
    assert not Path("gone").exists()


def test_a_temporary_folder_is_the_live_one_and_is_not_deleted_by_a_copy(keep: Keep, again: Again) -> None:
    folder = tempfile.TemporaryDirectory()
    Path(folder.name, "kept").touch()
    assert again(folder) is folder
    kept = keep(folder=folder)
    name, finalizer = folder.name, folder._finalizer  # type: ignore[attr-defined]
    finalizer.detach()
    del folder, finalizer  # as after a crash: the folder is there, and nobody who would delete it
    back = kept.load().folder
    assert type(back) is tempfile.TemporaryDirectory
    assert back.name == name
    assert again(back) is back
    del back
    assert Path(name, "kept").exists()
    back = kept.load().folder
    back.cleanup()
    assert not Path(name).exists()
    with pytest.raises(FileNotFoundError, match="gone"):
        kept.load()


def test_a_named_temporary_file_is_the_live_one_at_its_position(keep: Keep) -> None:
    file = tempfile.NamedTemporaryFile("w+")  # noqa: SIM115
    file.write("abc")
    kept = keep(file=file)
    file.write("def")
    back = kept.load().file
    assert back is file
    assert file.tell() == 3
    file.close()
    with pytest.raises(FileNotFoundError):
        kept.load()


def test_an_archive_that_is_read_comes_back_and_one_that_is_written_is_left_alone(again: Again) -> None:
    with zipfile.ZipFile("a.zip", "w") as written:
        written.writestr("name", "text")
        with pytest.raises(TypeError, match="being written"):
            again(written)
    read = again(zipfile.ZipFile("a.zip"))
    assert read.read("name") == b"text"
    with tarfile.open("a.tar", "w") as tar:
        tar.add("a.zip")
        with pytest.raises(TypeError, match="being written"):
            again(tar)
    with tarfile.open("a.tar") as tar:
        assert again(tar).getnames() == ["a.zip"]
