"""The least that a checkpoint, or a recovery, of some values can cost on this machine, now."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from blake3 import blake3
from xxhash import xxh3_128_intdigest

from tests.benchmarks.measure import Lap, Stopwatch

CHUNK = 1 << 20


class SaveFloor:
    """Plain C pickling out-of-band, xxh3 of every byte, a copy of the chunks that are new.

    Where more than one of the values could hold something that another one holds, also one look at what
    they hold: nobody can tell otherwise which of them belong together.
    """

    def __init__(self) -> None:
        self.stream_bytes = 0
        """of the largest save, without its buffers"""
        self.pickled_bytes = 0
        """of the largest save"""
        self._known: set[int] = set()
        self._target = bytearray(64 << 20)  # written once, as a pool that is in use is
        self._target[:] = bytes(len(self._target))

    def save(self, values: Mapping[str, Any]) -> None:
        with _no_collection():
            holders = [v for v in values.values() if gc.is_tracked(v) and type(v) not in _NOT_LOOKED_INTO]
            if len(holders) > 1:
                _look(holders)
            parts = _dump(values)
            new = []
            for chunk in _chunks(parts):
                digest = xxh3_128_intdigest(chunk)
                if digest not in self._known:
                    self._known.add(digest)
                    new.append(chunk)
            at = 0
            for chunk in new:
                at = 0 if at + CHUNK > len(self._target) else at
                self._target[at : at + len(chunk)] = chunk
                at += len(chunk)
        self.stream_bytes = max(self.stream_bytes, parts[0].nbytes)
        self.pickled_bytes = max(self.pickled_bytes, sum(part.nbytes for part in parts))


_NOT_LOOKED_INTO = frozenset(
    {type, ModuleType, FunctionType, BuiltinFunctionType, str, bytes, int, float, bool, complex, type(None)}
)


def _look(holders: list[Any]) -> None:
    """Meet every object that these hold, once."""
    seen: set[int] = set()
    while holders:
        fresh = {id(o): o for o in holders if type(o) not in _NOT_LOOKED_INTO and id(o) not in seen}
        seen.update(fresh)
        holders = gc.get_referents(*fresh.values())


@contextmanager
def _no_collection() -> Iterator[None]:
    """What the garbage collector happens to do in between belongs to nobody."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _dump(values: Mapping[str, Any]) -> list[memoryview]:
    """The stream, then its buffers."""
    buffers: list[pickle.PickleBuffer] = []
    stream = pickle.dumps(values, protocol=5, buffer_callback=buffers.append)
    return [memoryview(stream), *(b.raw() for b in buffers)]


def _chunks(parts: list[memoryview]) -> list[memoryview]:
    return [part[at : at + CHUNK] for part in parts for at in range(0, part.nbytes, CHUNK)]


def write(values: Mapping[str, Any], file: Path) -> list[int]:
    """Put values on disk for `load`; returns the sizes of the parts."""
    parts = _dump(values)
    with file.open("wb") as out:
        out.writelines(parts)
    return [part.nbytes for part in parts]


def load(file: Path, sizes: list[int]) -> tuple[Lap, Lap]:
    """Read, check and copy every byte; then unpickle. The time of the one and the other."""
    watch = Stopwatch()
    parts = [bytearray(size) for size in sizes]
    with file.open("rb") as source:
        for part in parts:
            source.readinto(part)
    for chunk in _chunks([memoryview(part) for part in parts]):
        blake3(chunk).digest()
    copies = [bytearray(part) for part in parts]
    read = watch.lap()
    with _no_collection():
        watch = Stopwatch()
        pickle.loads(copies[0], buffers=copies[1:])
        return read, watch.lap()
