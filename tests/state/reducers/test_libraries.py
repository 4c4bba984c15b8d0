"""Loggers, modules, arrays in files: by name, by contents, by path."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from conftest import Again, Keep, Trip

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # files stay open, as in notebooks


def test_a_logger_keeps_its_level_and_in_a_new_process_its_handlers(keep: Keep) -> None:
    logger = logging.getLogger("tests.special")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    handler = logging.FileHandler("x.log")
    handler.setFormatter(logging.Formatter("<%(message)s>"))
    logger.addHandler(handler)
    kept = keep(logger=logger, handler=handler)
    logger.setLevel(logging.ERROR)
    assert kept.load().logger is logger
    assert logger.level == logging.DEBUG
    assert logger.handlers == [handler]
    logger.handlers.clear()  # as in a new process
    back = kept.load()
    assert logger.handlers == [back.handler]
    logger.debug("heard")
    assert Path("x.log").read_text() == "<heard>\n"
    logger.handlers.clear()


def test_arrays_of_ctypes_come_back(again: Again) -> None:
    numbers = (ctypes.c_int * 3)(1, 2, 3)
    back = again({"numbers": numbers, "text": (ctypes.c_char * 4)(*b"abc")})
    assert type(back["numbers"]) is type(numbers)
    assert list(back["numbers"]) == [1, 2, 3]
    assert back["text"].value == b"abc"


def test_modules_come_back_by_name_or_with_their_contents(trip: Trip) -> None:
    made = types.ModuleType("made_here")
    shared = [1]
    made.shared = shared  # type: ignore[attr-defined]
    attribute = types.ModuleType("attribute")
    os.attribute = attribute  # type: ignore[attr-defined]
    back = trip(made=made, shared=shared, path=os.path, main=sys.modules["__main__"], attribute=attribute)
    del os.attribute  # type: ignore[attr-defined]
    assert back.path is os.path
    assert back.attribute is attribute
    assert back.main is sys.modules["__main__"]
    assert back.made is not made
    assert back.made.shared is back.shared
    assert "made_here" not in sys.modules


def test_an_array_in_a_file_is_in_that_file_again_with_what_it_held(keep: Keep) -> None:
    made = np.memmap("big.bin", dtype="f4", mode="w+", shape=(1000, 100), order="F")
    made[3] = 7
    view = made[2:5, ::-1]
    kept = keep(made=made, view=view)
    assert kept.size < made.nbytes + 2000  # a view of it adds nothing
    made[3] = 8
    back = kept.load()
    assert (back.made[3] == 7).all()
    assert type(back.made) is type(back.view) is np.memmap
    assert (back.made.shape, back.made.strides, back.made.mode) == (made.shape, made.strides, "r+")
    np.testing.assert_array_equal(back.view, view)
    back.view[0, 0] = 42
    assert back.made[2, 99] == 42
    back.made.flush()
    assert np.memmap("big.bin", dtype="f4", mode="r", shape=(1000, 100), order="F")[2, 99] == 42


def test_an_array_that_only_looks_like_one_in_a_file_is_kept_whole(again: Again) -> None:
    np.arange(6, dtype="i8").tofile("x.bin")
    private = np.memmap("x.bin", dtype="i8", mode="c")
    private[0] = 9
    assert again(private).tolist() == [9, 1, 2, 3, 4, 5]
    assert again(private + 1).tolist() == [10, 2, 3, 4, 5, 6]
    assert np.fromfile("x.bin", dtype="i8")[0] == 0
