from __future__ import annotations

import gc
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from durable_nb.state import pickling, regions, unpickling


class Kept:
    """Variables, as the bytes of one component."""

    def __init__(self, values: dict[str, Any]) -> None:
        dumped = pickling.dump_values(values, values)
        self.stream = dumped.stream
        self._memory, self._views = [bytes(region.memory) for region in dumped.regions], dumped.views

    @property
    def size(self) -> int:
        return len(self.stream) + sum(map(len, self._memory))

    def load(self) -> types.SimpleNamespace:
        memory = [memoryview(bytearray(held)) for held in self._memory]
        buffers = regions.handed_out(memory, self._views)
        return types.SimpleNamespace(**unpickling.load(self.stream, buffers, {}, {}))


Keep = Callable[..., Kept]
Trip = Callable[..., Any]
"""Variables through bytes and back"""

Again = Callable[[Any], Any]
"""One value through bytes and back"""


@pytest.fixture(autouse=True)
def _in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In a folder of its own; what is left open goes before the next test."""
    monkeypatch.chdir(tmp_path)
    yield
    gc.collect()


@pytest.fixture
def keep() -> Keep:
    return lambda **values: Kept(values)


@pytest.fixture
def trip() -> Trip:
    return lambda **values: Kept(values).load()


@pytest.fixture
def again() -> Again:
    return lambda value: Kept({"value": value}).load().value
