from __future__ import annotations

import re
from pathlib import Path

import pytest

from durable_nb import config
from durable_nb.shell.commands import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", README))))
def test_every_guarantee_names_a_test_that_exists(name: str) -> None:
    file, _, test = name.partition("::")
    assert (ROOT / file).is_file()
    assert not test or f"\ndef {test}(" in (ROOT / file).read_text()


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", README))))
def test_no_link_is_dead(link: str) -> None:
    if link.startswith("#"):
        titles = re.findall(r"^#+ (.*)", README, re.MULTILINE)
        headings = [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles]
        assert link[1:] in headings
    else:
        assert (ROOT / link).exists()


def test_commands_and_settings_in_it_are_those_that_there_are() -> None:
    assert set(re.findall(r"%durable (\w+)", README)) <= COMMANDS.keys()
    named = {
        *re.findall(r"Durable\.(\w+)", README),
        *(s.lower() for s in re.findall(r"DURABLE_NB_(\w+)=", README)),
    }
    table = re.search(r"\[tool\.durable_nb\]\n(.*?)```", README, re.DOTALL)
    assert table is not None
    named.update(re.findall(r"^(\w+) =", table[1], re.MULTILINE))
    assert named <= config.definitions().keys()


def test_ci_runs_the_tests_as_the_reader_does() -> None:
    assert 'pip install -e ".[test]" && python -m pytest\n' in README
    assert 'pip install -e ".[test]" && python -m pytest\n' in (ROOT / ".ci/run").read_text()
