from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from durable_nb.model import FORMAT
from durable_nb.store import segment
from durable_nb.store.owner import current_owner
from durable_nb.store.repository import Repository
from durable_nb.store.signing import Signer

from .samples import commit, values
from .write_golden import GOLDEN, SPAN, told

STORES = sorted(path.name for path in GOLDEN.iterdir())


@pytest.fixture(params=STORES)
def golden(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a store that some release wrote, with its key."""
    monkeypatch.setattr(segment, "SPAN", SPAN)
    shutil.copytree(GOLDEN / request.param, tmp_path / "golden")
    (tmp_path / "keys").mkdir()
    shutil.copy(tmp_path / "golden" / "key", tmp_path / "keys" / "key")
    return tmp_path


def _open(golden: Path) -> Repository:
    return Repository.open(golden / "golden" / "store", signer=Signer(golden / "keys"))


def test_there_is_one_for_every_format() -> None:
    assert [f"format-{version}" for version in range(1, FORMAT + 1)] == STORES


def test_what_an_older_release_wrote_is_read(golden: Path) -> None:
    repository = _open(golden)
    expected = json.loads((golden / "golden" / "told.json").read_text())
    assert told(repository) == expected
    assert expected["values"]["7"]["a"] == "3"
    assert repository.verify() == []


def test_what_an_older_release_wrote_is_continued(golden: Path) -> None:
    repository = _open(golden)
    before = values(repository, "golden")
    writer = repository.take_over("golden", current_owner())
    version = max(repository.history("golden").checkpoints())
    writer.set_state(version, repository.history("golden").state(version), {})
    commit(writer, {"new": b"5"})
    writer.safe()
    while repository.compact("golden"):
        pass
    assert values(_open(golden), "golden") == {**before, "new": b"5"}
    assert _open(golden).verify() == []
