"""Arrays of numbers, block by block, so that no temporary copy is as large as they are."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from durable_nb.engine.differences.change import Fact, both, told
from durable_nb.engine.differences.texts import number, relative, share
from durable_nb.state.texts import cut, shape

BLOCK = 1 << 20
"""Elements that are looked at together."""

_FEW = 8
"""Numbers that are shown themselves."""


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing that a library finds remarkable about the numbers concerns the user now."""
    numpy = sys.modules.get("numpy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if numpy is None:
            yield
        else:
            with numpy.errstate(all="ignore"):
                yield


@dataclass(frozen=True, slots=True)
class Summary:
    """What numbers are like; NaN are counted and otherwise left out."""

    count: int = 0
    missing: int = 0
    least: float = math.inf
    greatest: float = -math.inf
    mean: float = 0.0
    squares: float = 0.0
    """sum of the squared distances from the mean"""

    @property
    def spread(self) -> float:
        """The sample's standard deviation, as pandas computes it."""
        return math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else 0.0


def summary(blocks: Iterable[Any]) -> Summary:
    """Of blocks of numbers (Chan, Golub, LeVeque 1979: one pass, and stable)."""
    numpy = sys.modules["numpy"]
    found = Summary()
    for numbers in blocks:
        block = numbers.astype("float64", copy=False)
        given = block[~numpy.isnan(block)]
        missing = found.missing + block.size - given.size
        if not given.size:
            found = Summary(found.count, missing, found.least, found.greatest, found.mean, found.squares)
            continue
        mean = float(given.mean())
        squares = float(((given - mean) ** 2).sum())
        count = found.count + given.size
        apart = mean - found.mean
        found = Summary(
            count,
            missing,
            min(found.least, float(given.min())),
            max(found.greatest, float(given.max())),
            found.mean + apart * given.size / count,
            found.squares + squares + apart * apart * found.count * given.size / count,
        )
    return found


def drift(before: Summary, after: Summary, missing: str = "NaN") -> Iterator[Fact]:
    """Which of the numbers that summarise others are others."""
    yield from told(missing, f"{before.missing:,}", f"{after.missing:,}")
    if not before.count or not after.count:
        return
    for what, old, new in (("mean", before.mean, after.mean), ("std", before.spread, after.spread)):
        yield from told(what, number(old), number(new), relative(old, new))
    yield from told("range", *(f"{number(s.least)} … {number(s.greatest)}" for s in (before, after)))


def facts(before: Any, after: Any) -> Iterator[Fact]:
    """What differs between two arrays of NumPy, other than of objects."""
    if before.shape != after.shape:
        yield Fact("shape", shape(before.shape), shape(after.shape))
    if before.dtype != after.dtype:
        yield Fact("dtype", str(before.dtype), str(after.dtype))
    numeric = before.dtype.kind in "biuf" and after.dtype.kind in "biuf"
    if before.shape == after.shape and (before.dtype == after.dtype or numeric):
        count = changed(before, after)
        if not count:
            return
        if numeric and before.ndim == 1 and before.size <= _FEW:
            yield Fact("", *both(_numbers, before, after))
            return
        if before.ndim:
            yield Fact(note=share(count, before.size, "element"))
        else:
            yield Fact("", cut(str(before)), cut(str(after)), relative(before, after) if numeric else "")
            return
    if numeric:
        yield from drift(summary(blocks(before)), summary(blocks(after)))


def _numbers(array: Any) -> str:
    return f"[{', '.join(map(_exact, array.tolist()))}]"


def _exact(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)


def blocks(array: Any) -> Iterator[Any]:
    """An array in flat pieces."""
    flat = array.reshape(-1)
    for start in range(0, flat.size, BLOCK):
        yield flat[start : start + BLOCK]


def changed(before: Any, after: Any) -> int:
    """How many elements differ; NaN and NaT are equal to themselves."""
    return sum(int(differing(a, b).sum()) for a, b in zip(blocks(before), blocks(after), strict=True))


def differing(before: Any, after: Any) -> Any:
    """Which elements of two flat arrays differ."""
    numpy = sys.modules["numpy"]
    kinds = before.dtype.kind + after.dtype.kind
    if kinds == "VV":
        raw = [numpy.ascontiguousarray(a).view("u1").reshape(len(a), -1) for a in (before, after)]
        return (raw[0] != raw[1]).any(axis=1)
    found = before != after
    if set(kinds) <= set("fc"):
        found &= ~(numpy.isnan(before) & numpy.isnan(after))
    elif set(kinds) <= set("mM"):
        found &= ~(numpy.isnat(before) & numpy.isnat(after))
    return found
