from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from durable_nb.store.objects import LocalFolder
from durable_nb.store.owner import current_owner
from durable_nb.store.repository import Repository
from durable_nb.store.signing import Signer
from durable_nb.store.writer import Writer


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer(tmp_path / "keys")


@pytest.fixture
def reopen(tmp_path: Path) -> Callable[[], Repository]:
    """The same store as another process of this user sees it."""
    return lambda: Repository.open(tmp_path / "store", signer=Signer(tmp_path / "keys"))


@pytest.fixture
def repository(reopen: Callable[[], Repository]) -> Repository:
    return reopen()


@pytest.fixture
def objects(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path / "store")


@pytest.fixture
def writer(repository: Repository) -> Writer:
    return repository.create("run", current_owner(), notebook="/here/a.ipynb")
