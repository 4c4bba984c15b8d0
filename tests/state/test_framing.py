"""A stream without frames and ends of batches says what it said."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import random
from typing import Any

import pytest

from durable_nb.state import framing

_SIZES = (0, 1, 3, 4, 5, 255, 256, 300, 65_530, 65_535, 65_536, 65_537, 70_000)


def _random_object(dice: random.Random, depth: int = 0) -> Any:
    kind = dice.choice(("atom", "atom", "list", "tuple", "dict", "twice")) if depth < 5 else "atom"
    if kind == "atom":
        size = dice.choice(_SIZES)
        atoms = [None, True, -5, 300, 2**31, 2**70, 2**3000, 1.5, "x" * size, "é" * size, os.urandom(size)]
        return dice.choice([*atoms, bytearray(size)])
    if kind == "twice":
        inner = _random_object(dice, depth + 1)
        return [inner, inner]
    items = [_random_object(dice, depth + 1) for _ in range(dice.randint(0, 6))]
    return {"list": list, "tuple": tuple, "dict": lambda held: dict(enumerate(held))}[kind](items)


@pytest.mark.parametrize("pickler", [pickle.Pickler, pickle._Pickler])
def test_a_stream_without_frames_says_the_same(pickler: Any) -> None:
    dice = random.Random(3)  # noqa: S311 - it has to be the same each time
    for _ in range(300):
        obj = _random_object(dice)
        file = io.BytesIO()
        pickler(file, protocol=5).dump(obj)
        framing.strip(file)
        stripped = file.getvalue()
        assert pickle.loads(stripped) == obj
        assert "FRAME" not in {opcode.name for opcode, _, _ in pickletools.genops(stripped)}
        framing.join(file)
        assert pickle.loads(_whole(file.getvalue())) == obj


@pytest.mark.parametrize(
    "items",
    [
        [float(i) for i in range(50_000)],
        [{"n": i, "s": str(i)} for i in range(50_000)],
        [[[i], (i, 1, 2, 3), {"a": (i, 5, 6, 7)}] for i in range(30_000)],
        [b"e(u(" + i.to_bytes(3) * 200 for i in range(5_000)],
    ],
    ids=["floats", "dicts", "nested", "bytes"],
)
def test_an_insertion_moves_the_bytes_behind_it_and_changes_none(items: list[Any]) -> None:
    before, after = _kept(items), _kept([items[0], None, *items[1:]])
    assert pickle.loads(_whole(after)) == [items[0], None, *items[1:]]
    rest = before[2000:-200_000]
    assert len(rest) > 200_000
    assert rest in after
    mapping = dict(enumerate(items))
    before = _kept(mapping)
    del mapping[1]
    after = _kept(mapping)
    assert pickle.loads(_whole(after)) == mapping
    assert before[2000:-200_000] in after


def _kept(obj: Any) -> bytes:
    file = io.BytesIO()
    pickle.Pickler(file, protocol=5).dump(obj)
    framing.strip(file)
    framing.join(file)
    return file.getvalue()


def _whole(kept: bytes) -> bytearray:
    stream = framing.apart(bytearray(framing.ROOM) + kept)
    framing.wrap(stream)
    return stream
