from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_python_of_binder_is_one_that_the_package_supports() -> None:
    name, _, version = (ROOT / "binder/runtime.txt").read_text().strip().partition("-")
    assert name == "python"
    assert version in SpecifierSet(PROJECT["requires-python"])
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]


def test_binder_installs_this_checkout_and_a_front_end() -> None:
    first, *others = (ROOT / "binder/requirements.txt").read_text().split()
    extras = re.fullmatch(r"\.\[(\w+)\]", first)
    assert extras is not None
    assert extras[1] in PROJECT["optional-dependencies"]
    assert "jupyterlab" in {Requirement(line).name for line in others}


def test_a_build_that_fails_stops() -> None:
    script = ROOT / "binder/postBuild"
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/bin/bash\nset -euo pipefail\n")


def test_links_to_binder_open_notebooks_that_exist() -> None:
    links = re.findall(r"mybinder\.org/v2/\S+?urlpath=lab/tree/([^\s)\"]+)", _readme())
    assert links
    for notebook in links:
        assert (ROOT / notebook).is_file(), notebook


def _readme() -> str:
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("no README yet")
    return readme.read_text()
