from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from .server import LabError, Server

if TYPE_CHECKING:
    from .lab import Lab

OPEN = pytest.StashKey["Lab"]()


@pytest.fixture(scope="module")
def jupyter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One server and one browser for all tests of a file: starting them takes seconds.

    Not for longer: Playwright leaves an event loop running in its thread.
    """
    packages = ("ipywidgets", "jupyterlab", "notebook", "playwright")
    if missing := [name for name in packages if find_spec(name) is None]:
        pytest.fail(f"not installed: {', '.join(missing)}; pip install -e '.[browser]'", pytrace=False)
    from .lab import Lab, chromium

    if chromium() is None:
        pytest.fail("no Chromium; apt-get install chromium, or set CHROMIUM to its path", pytrace=False)
    root, home = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("home")
    with Server(root, home, {"DURABLE_NB_RECOVERY_DELAY": "0"}) as server, Lab(server) as lab:
        request.config.stash[OPEN] = lab
        yield lab
        del request.config.stash[OPEN]


@pytest.fixture
def lab(jupyter: Lab, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The browser, with an empty folder for a notebook of this test."""
    jupyter.folder = jupyter.server.root / re.sub(r"\W+", "_", request.node.name)
    jupyter.folder.mkdir()
    yield jupyter
    outside = list(jupyter.outside)
    jupyter.leave()
    assert outside == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the page showed when a test failed, in words and as a picture."""
    report = yield
    lab = item.config.stash.get(OPEN, None)
    if report.failed and lab is not None and lab.notebook:
        folder = lab.server.home / "failed" / f"{lab.folder.name}-{call.when}"
        lab.keep(folder)
        told = call.excinfo is not None and isinstance(call.excinfo.value, LabError)
        state = "" if told else f"{lab.describe()}\n"
        report.sections.append(("the page", f"{state}screenshot, source, log: {folder}"))
    return report
