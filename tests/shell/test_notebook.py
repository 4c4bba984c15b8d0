from __future__ import annotations

import json
import os
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell

from durable_nb.shell.notebook import node_sources


def names(path: Path) -> tuple[str, ...]:
    found = node_sources(path)
    assert found is not None
    return tuple(found)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.ipynb"


def _write(path: Path, *cells: nbformat.NotebookNode) -> None:
    nbformat.write(new_notebook(cells=list(cells)), path)


def test_the_nodes_of_a_notebook_are_named_in_order(path: Path) -> None:
    _write(
        path,
        new_code_cell("%load_ext durable_nb"),
        new_code_cell("%%node load\ndf = 1"),
        new_markdown_cell("%%node text"),
        new_raw_cell("%%node raw"),
        new_code_cell("%%time\n%%node clean --after load\ndf = 2"),
        new_code_cell("x = 1\n%%node inside"),
        new_code_cell("%%node\nnameless = 1"),
        new_code_cell("\n%durable_node größe\ny = 'ü'"),
        new_code_cell("%node load"),
    )
    assert names(path) == ("load", "clean", "größe")


def test_a_source_may_be_a_string_or_lines(path: Path) -> None:
    cells = [
        {"cell_type": "code", "source": "%%node a\nx = 1"},
        {"cell_type": "code", "source": ["%%node b\n", "x = 1"]},
    ]
    path.write_text(json.dumps({"nbformat": 4, "cells": cells}))
    assert names(path) == ("a", "b")


def test_a_notebook_without_nodes_has_none(path: Path) -> None:
    _write(path, new_code_cell("x = 1"))
    assert names(path) == ()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"null",
        b"\xff\xfe\x00",
        b'{"worksheets": []}',
        b'{"cells": 7}',
        b'{"cells": [7]}',
        b'{"cells": [{"cell_type": "code"}]}',
        b'{"cells": [{"cell_type": "code", "source": 7}]}',
        b'{"cells": [{"cell_type": "code", "source": [7]}]}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_notebook_names_nothing(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert node_sources(path) is None


def test_a_file_that_is_not_there_names_nothing(path: Path) -> None:
    assert node_sources(path) is None
    assert node_sources(path.parent) is None
    assert node_sources(path / "b.ipynb") is None


def test_a_file_is_read_again_only_when_it_changed(path: Path) -> None:
    _write(path, new_code_cell("%%node one"))
    assert names(path) == ("one",)
    before, text = path.stat(), path.read_text()
    path.write_text(text.replace("node one", "node two"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert names(path) == ("one",)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert names(path) == ("two",)
    path.unlink()
    assert node_sources(path) is None
