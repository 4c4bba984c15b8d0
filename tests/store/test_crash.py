from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import durable_nb.errors
from durable_nb.errors import NotFoundError
from durable_nb.store import merging, segment
from durable_nb.store.garbage import collect
from durable_nb.store.owner import current_owner
from durable_nb.store.packs import digest_of
from durable_nb.store.repository import Repository
from durable_nb.store.signing import Signer

from .crash_writer import MANY, SPAN
from .samples import commit, values

DRIVER = Path(__file__).with_name("crash_writer.py")
SOURCE = Path(durable_nb.errors.__file__).parents[1]


@pytest.fixture(autouse=True)
def little_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "SPAN", SPAN)
    monkeypatch.setattr(merging, "MANY", MANY)


def _digests(repository: Repository, execution: str, version: int) -> dict[str, str]:
    return {name: digest_of(data) for name, data in values(repository, execution, version).items()}


def _check(child: dict[str, Any], keys: Path) -> None:
    """Everything that the child was told is kept is there, and work goes on."""
    execution, said = child["execution"], child["said"]
    kept = {version: state for what, (version, state) in _only(said, "kept")}
    retiring = {v for _, versions in _only(said, "retiring") for v in versions}
    repository = Repository.open(child["store"], signer=Signer(keys))
    assert repository.verify() == []
    try:
        history = repository.history(execution)
    except NotFoundError:
        assert not said
        return
    assert history.trusted
    assert history.problems == []
    points = history.checkpoints()
    assert points.keys() >= kept.keys()
    assert len(points.keys() - kept.keys()) <= 1, "at most the one in flight was kept without being told"
    for version, state in kept.items():
        if version not in retiring:
            assert _digests(repository, execution, version) == state
        elif not points[version].retired:
            assert _digests(repository, execution, version) == state, "retired as a whole or not at all"
    for version in points.keys() - kept.keys():
        assert len(_digests(repository, execution, version)) >= 1
    for _, (epoch, number) in _only(said, "intent"):
        assert number in [i["n"] for i in history.intents(epoch)]
    for _, number in _only(said, "safe"):
        head = repository.signer.head(execution)
        assert head
        assert head.number >= number
    _work_on(child, keys)


def _work_on(child: dict[str, Any], keys: Path) -> None:
    repository = Repository.open(child["store"], signer=Signer(keys))
    execution = child["execution"]
    writer = repository.take_over(execution, current_owner())
    points = repository.history(execution).checkpoints()
    newest = max((v for v, p in points.items() if not p.retired), default=None)
    before: dict[str, bytes] = {}
    if newest is not None:
        before = values(repository, execution, newest)
        writer.set_state(newest, repository.history(execution).state(newest), {})
    record = commit(writer, {"after": b"the crash" * 1000})
    writer.safe()
    while repository.compact(execution):
        pass
    loose = [k for k in repository.objects.list(f"log/{execution}/") if re.search(r"/0\d{7}\.", k)]
    assert len(loose) <= SPAN, "what a compaction left behind is cleared away"
    collect(repository, grace=0)
    assert values(repository, execution, record.number) == {**before, "after": b"the crash" * 1000}
    assert Repository.open(child["store"], signer=Signer(keys)).verify() == []
    assert not [k for k in repository.objects.list("") if k.startswith("condemned")]


def _only(said: list[list[Any]], what: str) -> list[list[Any]]:
    return [line for line in said if line[0] == what]


def _kill(root: Path, seed: int, kills: int) -> None:
    command = [sys.executable, str(DRIVER), str(root), str(seed), str(kills)]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    killed = 0
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as driver:
        assert driver.stdin
        assert driver.stdout
        for line in driver.stdout:
            driver.stdin.write("\n")
            driver.stdin.flush()
            child = json.loads(line)
            assert not child["failed"], child["said"][-1:]
            assert child["killed"] == (child["step"] is not None)
            try:
                _check(child, root / "keys")
            except BaseException:
                print(f"killed at step {child['step']} of {child['execution']}: {child['said'][-3:]}")
                raise
            killed += child["killed"]
            shutil.rmtree(child["store"], ignore_errors=True)
            Signer(root / "keys").forget_head(child["execution"])
    assert driver.returncode == 0
    assert killed >= kills


def test_a_kill_at_any_step_loses_nothing_that_was_kept(tmp_path: Path) -> None:
    _kill(tmp_path, 0, 330)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10, 30, 2))
def test_three_thousand_kills_lose_nothing_that_was_kept(tmp_path: Path, seed: int) -> None:
    _kill(tmp_path, seed, 330)
