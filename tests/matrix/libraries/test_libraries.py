"""Objects of other people's libraries: made, changed, brought back; which libraries are absent."""

from __future__ import annotations

import importlib.util
import tomllib
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import case as cases
import pytest
from groups import Outcomes, parameters

from . import listed

HERE = Path(__file__).parent
FILES = [HERE / f"{name}.py" for name in ("data", "plot", "ml", "deep", "science", "text", "other")]
PROJECT = HERE.parents[2] / "pyproject.toml"
EXTRAS = sorted({library.extra for library in listed.LIBRARIES if library.extra.startswith("libraries-")})


@pytest.mark.timeout(3600)  # the first one of a file waits for all of it
@pytest.mark.parametrize(("group", "mode", "case", "phase"), parameters(FILES))
def test_it_comes_back(
    matrix: Callable[[Path, str], Outcomes], group: Path, mode: str, case: str, phase: str
) -> None:
    matrix(group, mode).check(case, phase)


def _here(library: listed.Library) -> bool:
    return importlib.util.find_spec(library.module) is not None


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_library_of_a_group_is_here(extra: str) -> None:
    group = [library for library in listed.LIBRARIES if library.extra == extra]
    absent = [library.requirement for library in group if not _here(library)]
    if absent:
        none = len(absent) == len(group)
        pytest.skip(f"{extra}{' is not installed' if none else ''}: no {', '.join(absent)}")


@pytest.mark.parametrize("library", [x for x in listed.LIBRARIES if x.why_not], ids=lambda x: x.requirement)
def test_a_library_that_cannot_be_installed_is_named(library: listed.Library) -> None:
    if not _here(library):
        pytest.skip(f"{library.requirement} is not tested: {library.why_not}")
    pytest.fail(f"{library.requirement} is here after all: it needs an extra and cases")


def test_the_extras_are_what_the_list_says() -> None:
    extras = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
    wanted = {extra: sorted(x.requirement for x in listed.LIBRARIES if x.extra == extra) for extra in EXTRAS}
    bare = {extra: sorted(extras[extra]) for extra in extras if extra.startswith("libraries-")}
    assert {k: [r.partition(">")[0].partition("=")[0] for r in v] for k, v in bare.items()} == wanted


def test_every_class_of_the_list_has_a_case() -> None:
    names = [name.partition("-")[2] for file in FILES for name in cases.load(file)]
    without = {x.requirement for x in listed.LIBRARIES if x.why_not}
    missing = []
    for listed_class, again in groupby(sorted(listed.CLASSES)):
        found = sum(listed_class in name for name in names)
        if found < len(list(again)) and listed_class.partition(".")[0] not in without:
            missing.append(listed_class)
    assert not missing
