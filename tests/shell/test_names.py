"""Which names are the user's, while they come and go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from durable_nb import testing
from durable_nb.shell.names import UserNames


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[InteractiveShell]:
    with testing.shell(tmp_path) as shell:
        yield shell


def test_names_come_and_go(shell: InteractiveShell) -> None:
    names = UserNames(shell)
    there = names()
    steps = [
        ("a = 1", ["a"]),
        ("b = 2", ["a", "b"]),
        ("_mine = __mine = 3", ["a", "b", "_mine", "__mine"]),
        ("del a", ["b", "_mine", "__mine"]),
        ("a = 1", ["b", "_mine", "__mine", "a"]),
        ("1 + 1", ["b", "_mine", "__mine", "a"]),
        ("_7 = _i7 = _ih = 7", ["b", "_mine", "__mine", "a"]),
        ("globals()[1] = 2; del __mine", ["b", "_mine", "a"]),
    ]
    for source, expected in steps:
        testing.run(shell, source).raise_error()
        assert [name for name in names() if name not in there] == expected, source


def test_what_ipython_put_there_is_the_users_once_it_is_bound_anew(shell: InteractiveShell) -> None:
    names = UserNames(shell)
    shell.push({"helper": len}, interactive=False)
    assert "helper" not in names()
    testing.run(shell, "helper = max").raise_error()
    assert "helper" in names()
    shell.user_ns["helper"] = len
    shell.user_ns["other"] = 1
    shell.push({"other": 1}, interactive=True)
    assert "other" in names()


def test_a_name_that_is_hidden_later_goes(shell: InteractiveShell) -> None:
    names = UserNames(shell)
    testing.run(shell, "tool = 1").raise_error()
    assert "tool" in names()
    shell.push({"tool": len}, interactive=False)
    assert "tool" not in names()
