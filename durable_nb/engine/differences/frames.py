"""Frames of pandas and Polars: rows, columns, dtypes, values, nulls, and how the numbers drifted."""

from __future__ import annotations

import collections
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from durable_nb.engine.differences import arrays
from durable_nb.engine.differences.change import Change, Fact, Sign, alone, both, only_one_has, told
from durable_nb.engine.differences.containers import types
from durable_nb.engine.differences.texts import relative, share
from durable_nb.engine.differences.tokens import token
from durable_nb.state.texts import short

if TYPE_CHECKING:
    from durable_nb.engine.differences.walk import Walk


@dataclass(frozen=True, slots=True)
class _Rows:
    """Which rows of two frames belong together."""

    places: tuple[Any, Any] | None
    """their places in each; None where they stand at the same ones"""
    count: int
    facts: tuple[Fact, ...]
    moved: str = ""
    """how many came and went"""

    def of(self, before: Any, after: Any) -> tuple[Any, Any]:
        """The values of those rows of two series of pandas, with a common index."""
        if self.places is not None:
            before, after = before.take(self.places[0]), after.take(self.places[1])
        return before.reset_index(drop=True), after.reset_index(drop=True)


def pandas_frames(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """Two frames of pandas."""
    yield from types(before, after, path)
    rows = _rows(walk, before.index, after.index, depth)
    a, b = _columns(before.columns), _columns(after.columns)
    facts = list(_heads(rows, before, after, "rows"))
    if len(a) != len(b):
        facts.insert(1 if len(before) != len(after) else 0, Fact("columns", f"{len(a):,}", f"{len(b):,}"))
    common = [key for key in a if key in b]
    if common != [key for key in b if key in a]:
        facts.append(Fact(note="the columns are in another order"))
    if facts:
        yield Change(Sign.CHANGED, path, tuple(facts))
    for key in common:
        pair = before.iloc[:, a[key]], after.iloc[:, b[key]]
        found = _column_facts(walk, *pair, rows, depth)
        yield from _column(walk, found, path + _step(walk, before.columns, a[key]))
    for sign, _, place in only_one_has(a, b):
        frame = after if sign is Sign.ADDED else before
        yield alone(sign, path + _step(walk, frame.columns, place), str(frame.dtypes.iloc[place]))
    yield from walk.values(before.attrs, after.attrs, f"{path}.attrs", depth + 1)


def pandas_series(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """Two series of pandas."""
    yield from types(before, after, path)
    rows = _rows(walk, before.index, after.index, depth)
    facts = tuple(_heads(rows, before, after, "rows"))
    if facts:
        yield Change(Sign.CHANGED, path, facts)
    yield from _column(walk, _column_facts(walk, before, after, rows, depth), path)
    yield from walk.values(before.name, after.name, f"{path}.name", depth + 1)


def pandas_indexes(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """Two indexes of pandas."""
    yield from types(before, after, path)
    rows = _rows(walk, before, after, depth)
    facts = tuple(_heads(rows, before, after, "length"))
    if facts:
        yield Change(Sign.CHANGED, path, facts)
    yield from walk.values(list(before.names), list(after.names), f"{path}.names", depth + 1)


def _heads(rows: _Rows | None, before: Any, after: Any, what: str) -> Iterator[Fact]:
    """What concerns all columns."""
    moved = "" if rows is None else rows.moved
    if len(before) != len(after):
        change = moved or relative(len(before), len(after))
        yield Fact(what, f"{len(before):,}", f"{len(after):,}", change)
    elif moved:
        yield Fact(note=moved)
    yield from () if rows is None else rows.facts


def _count(what: str, before: int, after: int) -> Fact:
    return Fact(what, f"{before:,}", f"{after:,}", relative(before, after))


def _columns(labels: Any) -> dict[Any, int]:
    """Something equal for equal labels -> place; the second column of a name is known as the second."""
    seen: collections.Counter[Any] = collections.Counter()
    found = {}
    for place, label in enumerate(labels.tolist()):
        key = token(label)
        seen[key] += 1
        found[key, seen[key]] = place
    return found


def _step(walk: Walk, labels: Any, place: int) -> str:
    return walk.step(labels[place])


def _rows(walk: Walk, before: Any, after: Any, depth: int) -> _Rows | None:
    """Match rows by their labels; None where there is no telling which belong together."""
    facts: list[Fact] = []
    if list(before.names) != list(after.names):
        facts.append(Fact("index", *(short(list(i.names), walk.hidden) for i in (before, after))))
    if before.dtype != after.dtype:
        facts.append(Fact("index", str(before.dtype), str(after.dtype)))
    if len(before) == len(after) and _same_labels(walk, before, after, depth):
        return _Rows(None, len(before), tuple(facts))
    if not (_is_plain(before) and _is_plain(after) and before.is_unique and after.is_unique):
        if len(before) == len(after):
            facts.append(Fact(note="the index differs"))
            return _Rows(None, len(before), tuple(facts))
        return None
    numpy = sys.modules["numpy"]
    at = after.get_indexer(before)
    old = numpy.flatnonzero(at >= 0)
    new = at[old]
    counts = [(len(after) - len(old), "added"), (len(before) - len(old), "removed")]
    if not len(old) and len(before) == len(after):
        facts.append(Fact(note="no label of the index is the same"))
        return _Rows(None, len(before), tuple(facts))
    said = ", ".join(f"{count:,} {what}" for count, what in counts if count)
    if len(new) > 1 and bool((new[1:] < new[:-1]).any()):
        facts.append(Fact(note="the rows are in another order"))
    return _Rows((old, new), len(old), tuple(facts), said and f"{said}, by the index")


def _is_plain(index: Any) -> bool:
    """Whether comparing labels runs the library's own code only."""
    if index.nlevels > 1:
        return all(map(_is_plain, index.levels))
    return index.dtype != object or index.inferred_type in {"string", "integer", "floating", "date", "empty"}


def _same_labels(walk: Walk, before: Any, after: Any, depth: int) -> bool:
    if _is_plain(before) and _is_plain(after):
        return bool(before.equals(after))
    return walk.same(before.tolist(), after.tolist(), depth + 1)


def _column(walk: Walk, found: Iterator[Fact], path: str) -> Iterator[Change]:
    """What differs between two columns, in one line."""
    try:
        facts = tuple(found)
    except Exception as error:
        yield walk.failed(error, path)
        return
    if facts:
        yield Change(Sign.CHANGED, path, facts)


def _column_facts(walk: Walk, before: Any, after: Any, rows: _Rows | None, depth: int) -> Iterator[Fact]:
    same_dtype = before.dtype == after.dtype
    if not same_dtype or str(before.dtype) != str(after.dtype):
        categories = str(before.dtype) == str(after.dtype) == "category"
        if categories:
            yield from _categories(before, after)
        else:
            yield Fact("", str(before.dtype), str(after.dtype))
    if rows is not None:
        count = _changed(walk, *rows.of(before, after), depth)
        if count == 0 and rows.count == len(before) == len(after):
            return
        if count:
            yield Fact(note=share(count, rows.count, "value"))
    yield from _drift(before, after)


def _changed(walk: Walk, before: Any, after: Any, depth: int) -> int | None:
    """How many values of two aligned columns differ; None where they cannot be compared one by one."""
    if object in (before.dtype, after.dtype):
        pairs = zip(before.tolist(), after.tolist(), strict=True)
        return sum(not walk.same(x, y, depth + 1) for x, y in pairs)
    if str(before.dtype) == str(after.dtype) == "category":
        if before.cat.categories.dtype == object:
            return _changed(walk, before.astype(object), after.astype(object), depth)
        before, after = (c.astype(c.cat.categories.dtype) for c in (before, after))
    elif before.dtype != after.dtype and not (_is_numeric(before) and _is_numeric(after)):
        return None
    missing = before.isna().to_numpy(), after.isna().to_numpy()
    differ = before.ne(after).to_numpy(dtype=bool, na_value=True)
    return int(((differ | missing[0] | missing[1]) & ~(missing[0] & missing[1])).sum())


def _is_numeric(column: Any) -> bool:
    return bool(sys.modules["pandas"].api.types.is_numeric_dtype(column.dtype)) and (
        getattr(column.dtype, "kind", "O") in "biuf"
    )


def _categories(before: Any, after: Any) -> Iterator[Fact]:
    a, b = (set(map(token, c.cat.categories.tolist())) for c in (before, after))
    if a != b:
        yield Fact("categories", f"{len(a):,}", f"{len(b):,}", _more_and_less(a, b))
    if bool(before.cat.ordered) != bool(after.cat.ordered):
        yield Fact("ordered", *(str(bool(c.cat.ordered)) for c in (before, after)))


def _more_and_less(a: set[Any], b: set[Any]) -> str:
    counts = (len(b - a), "added"), (len(a - b), "removed")
    return ", ".join(f"{count:,} {what}" for count, what in counts if count)


def _drift(before: Any, after: Any) -> Iterator[Fact]:
    if _is_numeric(before) and _is_numeric(after):
        summaries = both(arrays.summary, _blocks(before), _blocks(after))
        yield from arrays.drift(*summaries, "nulls")
        return
    columns = before, after
    yield from told("nulls", *(f"{int(c.isna().sum()):,}" for c in columns))
    kinds = {getattr(c.dtype, "kind", "O") for c in columns}
    if kinds <= {"M"} or kinds <= {"m"}:
        yield from told("range", *map(_range, columns))
    elif all(str(c.dtype) in {"str", "string", "category"} for c in columns):
        yield from told("distinct", *(f"{c.nunique():,}" for c in columns))


def _range(column: Any) -> str:
    return f"{column.min()} … {column.max()}"


def _blocks(column: Any) -> Iterator[Any]:
    """The numbers of a column, in pieces."""
    for start in range(0, len(column), arrays.BLOCK):
        part = column.iloc[start : start + arrays.BLOCK]
        yield part.to_numpy(dtype="float64", na_value=float("nan"))


def polars_frames(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """Two frames of Polars."""
    a, b = before.columns, after.columns
    facts = []
    if before.height != after.height:
        facts.append(_count("rows", before.height, after.height))
    if len(a) != len(b):
        facts.append(Fact("columns", f"{len(a):,}", f"{len(b):,}"))
    common = [name for name in a if name in set(b)]
    if common != [name for name in b if name in set(a)]:
        facts.append(Fact(note="the columns are in another order"))
    if facts:
        yield Change(Sign.CHANGED, path, tuple(facts))
    for name in common:
        found = _polars_facts(walk, before[name], after[name], depth)
        yield from _column(walk, found, path + walk.step(name))
    for sign, name, dtype in only_one_has(before.schema, after.schema):
        yield alone(sign, path + walk.step(name), str(dtype))


def polars_series(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """Two series of Polars."""
    if len(before) != len(after):
        yield Change(Sign.CHANGED, path, (_count("rows", len(before), len(after)),))
    yield from _column(walk, _polars_facts(walk, before, after, depth), path)
    yield from walk.values(before.name, after.name, f"{path}.name", depth + 1)


def _polars_facts(walk: Walk, before: Any, after: Any, depth: int) -> Iterator[Fact]:
    numeric = before.dtype.is_numeric() and after.dtype.is_numeric()
    if before.dtype != after.dtype:
        yield Fact("", str(before.dtype), str(after.dtype))
    if len(before) == len(after) and (before.dtype == after.dtype or numeric):
        if str(before.dtype) == "Object":
            count = sum(not walk.same(x, y, depth + 1) for x, y in zip(before, after, strict=True))
        else:
            count = int(before.ne_missing(after).sum())
        if not count:
            return
        yield Fact(note=share(count, len(before), "value"))
    if numeric:
        yield from arrays.drift(*both(_polars_summary, before, after), "nulls")
        return
    columns = before, after
    yield from told("nulls", *(f"{c.null_count():,}" for c in columns))
    if all(c.dtype.is_temporal() for c in columns):
        yield from told("range", *map(_range, columns))
    elif all(str(c.dtype) == "String" for c in columns):
        yield from told("distinct", *(f"{c.n_unique():,}" for c in columns))


def _polars_summary(column: Any) -> arrays.Summary:
    missing = column.null_count()
    count = len(column) - missing
    if not count:
        return arrays.Summary(0, missing)
    squares = float(column.std() or 0) ** 2 * (count - 1)
    least, greatest, mean = (float(getattr(column, what)()) for what in ("min", "max", "mean"))
    return arrays.Summary(count, missing, least, greatest, mean, squares)
