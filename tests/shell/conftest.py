from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A real shell of its own, as in a script that embeds IPython."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    config = Config()
    config.HistoryManager.enabled = False
    before = {name: builtins.__dict__.get(name) for name in ("get_ipython", "display")}
    hook, main = sys.displayhook, sys.modules["__main__"]
    InteractiveShell.clear_instance()
    yield InteractiveShell.instance(config=config)
    InteractiveShell.clear_instance()
    sys.displayhook, sys.modules["__main__"] = hook, main
    for name, value in before.items():
        if value is None:
            builtins.__dict__.pop(name, None)
        else:
            builtins.__dict__[name] = value
