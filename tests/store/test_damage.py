from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from durable_nb.errors import DurableError
from durable_nb.store import segment
from durable_nb.store.owner import current_owner
from durable_nb.store.repository import Repository
from durable_nb.store.writer import FULL_EVERY, Draft

from .samples import commit, component, retire, values

Reopen = Callable[[], Repository]
Expected = dict[int, dict[str, bytes]]


@pytest.fixture
def store(reopen: Reopen) -> tuple[Path, Expected]:
    """Two epochs, intents, definitions, a node, marks, a state written whole."""
    rng = random.Random(0)  # noqa: S311 - the same bytes in each run
    repository = reopen()
    writer = repository.create("run", current_owner(), notebook="/n.ipynb")
    expected: Expected = {}
    state: dict[str, bytes] = {}
    for i in range(3):
        writer.intent({"label": f"cell {i}"})
        new = {f"v{i}": rng.randbytes(3000), "a": b"%d" % i}
        state = {**state, **new}
        expected[commit(writer, new, cell=b"source %d" % i).number] = state
    writer = repository.take_over("run", current_owner())
    writer.intent({"label": "after"})
    history = repository.history("run")
    writer.set_state(3, history.state(3), {})
    state = {**state, "b": b"head" + rng.randbytes(5000), "p": b"p"}
    record = writer.commit(
        Draft(
            "node",
            {"node": "load"},
            [component("b", b"head", state["b"][4:]), component("p", b"p", reaches=("a",))],
            has_state=True,
        )
    )
    expected[record.number] = state
    retire(writer, 2)
    del expected[2]
    writer.end("COMPLETED")
    writer.safe()
    assert reopen().verify() == []
    assert repository.path
    return repository.path, expected


@pytest.fixture
def compacted(
    store: tuple[Path, Expected], reopen: Reopen, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Expected]:
    """The same, with all records but one in segments."""
    monkeypatch.setattr(segment, "SPAN", 3)
    while reopen().compact("run"):
        pass
    assert len(list((store[0] / "log" / "run").glob("*.parquet"))) == 2
    assert len(list((store[0] / "log" / "run").glob("0*.json"))) == 1
    assert reopen().verify() == []
    return store


def _files(store: Path) -> list[Path]:
    return sorted(p for folder in ("log", "packs") for p in (store / folder).rglob("*") if p.is_file())


def _damage(path: Path) -> Iterator[tuple[str, bytes | None]]:
    data = path.read_bytes()
    rng = random.Random(path.name)  # noqa: S311 - the same damage in each run
    small = path.name.startswith("00000003")
    places = range(len(data)) if small else sorted(rng.sample(range(len(data)), min(len(data), 12)))
    ends = [0, 1, 2, len(data) - 1, len(data) - 2, len(data) - 65, len(data) - 66]
    for at in (*places, *ends):
        flipped = bytearray(data)
        flipped[at] ^= 1 << rng.randrange(8)
        yield f"byte {at} of {path.name} flipped", bytes(flipped)
    for keep in {*ends, *rng.sample(range(len(data)), 5)}:
        if keep < len(data):
            yield f"{path.name} cut to {keep} bytes", data[:keep]
    yield f"{path.name} made longer", data + b"\n"
    yield f"{path.name} deleted", None


def _check(reopen: Reopen, expected: Expected, what: str) -> None:
    assert reopen().verify(), f"{what}: not detected"
    repository = reopen()
    try:
        history = repository.history("run")
    except DurableError:
        return
    for version, right in expected.items():
        try:
            found = values(repository, "run", version)
        except DurableError:
            continue
        assert found == right, f"{what}: v{version} is another one"
    if "epoch" not in what:
        assert history.trusted, what


def test_whatever_happens_to_a_file_is_detected_and_no_wrong_value_loaded(
    store: tuple[Path, Expected], reopen: Reopen
) -> None:
    folder, expected = store
    count = 0
    for path in _files(folder):
        right = path.read_bytes()
        for what, data in _damage(path):
            if data is None:
                path.unlink()
            elif data == right:
                continue
            else:
                path.write_bytes(data)
            _check(reopen, expected, what)
            count += 1
        path.write_bytes(right)
    assert reopen().verify() == []
    assert count > 800


def test_whatever_happens_to_a_segment_is_detected_or_changes_nothing(
    compacted: tuple[Path, Expected], reopen: Reopen
) -> None:
    folder, expected = compacted
    records = list(reopen().history("run").records)
    checkpoints = reopen().history("run").checkpoints()
    noticed = total = 0
    for path in sorted(folder.glob("log/run/*.parquet")):
        right = path.read_bytes()
        rng = random.Random(path.name)  # noqa: S311 - the same damage in each run
        for what, data in (*_damage(path), *_flips(right, rng, 150)):
            if data is None:
                path.unlink()
            elif data != right:
                path.write_bytes(data)
            total += 1
            if reopen().verify():
                noticed += 1
                _check(reopen, expected, what)
            history = reopen().history("run")
            if not history.problems:
                # Not all bytes of a Parquet file mean something.
                assert list(history.records) == records, what
                assert history.checkpoints() == checkpoints, what
        path.write_bytes(right)
    assert reopen().verify() == []
    assert noticed > 0.9 * total


def _flips(data: bytes, rng: random.Random, count: int) -> Iterator[tuple[str, bytes | None]]:
    for _ in range(count):
        at = rng.randrange(len(data))
        flipped = bytearray(data)
        flipped[at] ^= 1 << rng.randrange(8)
        yield f"byte {at} of a segment flipped", bytes(flipped)


def test_the_newest_records_cannot_be_removed_unseen(store: tuple[Path, Expected], reopen: Reopen) -> None:
    folder, _ = store
    for path in sorted((folder / "log" / "run").glob("0*.json"), reverse=True):
        path.unlink()
        assert any("rolled back" in p for p in reopen().history("run").problems)
        assert any("rolled back" in p for p in reopen().verify())
        assert any("rolled back" in p for p in reopen().executions()[0].problems)
    shutil.rmtree(folder / "log")
    assert any("is gone" in p for p in reopen().verify())


def test_each_older_checkpoint_is_used_when_the_newer_ones_are_damaged(
    store: tuple[Path, Expected], reopen: Reopen
) -> None:
    folder, expected = store
    for path in sorted((folder / "log" / "run").glob("0*.json"), reverse=True):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 4
        path.write_bytes(data)
        history = reopen().history("run")
        left = [v for v in expected if v < int(path.name[:8])]
        assert history.trusted == (path.name[:8] > "00000001"), "no record of this user is left"
        if not history.trusted:
            break
        assert [v for v in history.checkpoints() if v in expected] == left
        for version in left:
            assert values(reopen(), "run", version) == expected[version]


def test_a_state_written_whole_that_is_damaged_is_put_together_from_the_deltas(
    reopen: Reopen,
) -> None:
    writer = reopen().create("run", current_owner())
    for i in range(FULL_EVERY + 2):
        record = commit(writer, {f"v{i % 5}": b"%d" % i})
        if record.body["state"]["full"]:
            pack = record.body["packs"][0]
    folder = reopen().path
    assert folder
    whole = values(reopen(), "run", FULL_EVERY - 1)
    os.truncate(folder / pack, 10)
    assert values(reopen(), "run", FULL_EVERY - 1) == whole
    history = reopen().history("run")
    assert history.state(FULL_EVERY + 2).keys() == {f"v{i}" for i in range(5)}
    assert any(pack in p for p in reopen().verify())


def test_strays_are_named(store: tuple[Path, Expected], reopen: Reopen) -> None:
    folder, _ = store
    (folder / "log" / "run" / "notes.txt").write_text("")
    (folder / "packs" / "x.parquet").write_text("")
    (folder / "condemned").mkdir(exist_ok=True)
    (folder / "condemned" / "x.json").write_text("")
    problems = "\n".join(reopen().verify())
    for name in ("notes.txt", "x.parquet", "condemned/x.json"):
        assert name in problems
