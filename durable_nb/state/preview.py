"""A few words about a value, made when it is kept: what a person sees of it without loading it.

Nothing of the user's is called: no `__repr__`, no `__len__`, no `__getattr__` but of types known by name; and
nothing is changed by being looked at.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from durable_nb.state.instances import dict_getter

LONGEST = 600
"""Characters of a preview at most."""

_ITEMS = 5
_ROWS = 3
_COLUMNS = 8
_WIDE = 24
_TEXT = 200
_DEEP = 2
_SORTED = 1000
_REDUCED = ("__reduce_ex__", "__reduce__", "__getstate__")


def of(value: Any) -> str:
    """What a value looks like, on one line or few; "" where nothing can be said beyond its type."""
    try:
        return _of(value)[:LONGEST]
    except Exception:  # a view only: whatever a library raises here, the value itself is kept
        return ""


def _of(value: Any) -> str:
    kind = type(value)
    known = _KNOWN.get((kind.__module__.partition(".")[0], kind.__name__))
    if known is not None and type(kind.__module__) is str:
        return known(value)
    return _short(value, _DEEP)


def _short(value: Any, deep: int) -> str:
    kind = type(value)
    if value is None or kind in (bool, float, complex):
        return repr(value)
    if kind is int:
        return repr(value) if value.bit_length() < 200 else f"an integer of {value.bit_length()} bits"
    if kind in (str, bytes):
        whole = repr(value[:_TEXT])
        return whole if len(value) <= _TEXT else f"{whole}… ({len(value):,} {_unit(kind)})"
    if kind in (list, tuple, set, frozenset, dict):
        return _container(value, kind, deep)
    if kind is types.FunctionType:
        code = value.__code__
        count = code.co_argcount + code.co_kwonlyargcount
        return f"def {value.__name__}({', '.join(code.co_varnames[:count])})"
    if issubclass(kind, type):
        bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
        return f"class {value.__name__}" + (f"({bases})" if bases else "")
    if issubclass(kind, types.ModuleType):
        return f"module {types.ModuleType.__getattribute__(value, '__name__')}"
    return _instance(value, kind, deep)


def _unit(kind: type) -> str:
    return "characters" if kind is str else "bytes"


def _container(value: Any, kind: type, deep: int) -> str:
    first, last = "[]" if kind is list else "()" if kind is tuple else "{}"
    if deep == 0:
        return f"{first}…{last}" if value else f"{first}{last}"
    # In the order in which it is walked; of a set that differs from one process to the next.
    shown: Iterable[Any] = value.items() if kind is dict else value
    if kind in (set, frozenset) and _all_plain(value):
        shown = sorted(value, key=repr)
    items: list[str] = []
    for item in shown:
        if len(items) == _ITEMS:
            break
        parts = item if kind is dict else (item,)
        items.append(": ".join(_short(part, deep - 1) or "…" for part in parts))
    more = ", …" if len(value) > _ITEMS else "," if kind is tuple and len(value) == 1 else ""
    count = f" ({len(value):,})" if len(value) > _ITEMS else ""
    if kind in (set, frozenset) and not (value and _all_plain(value)):
        return f"{len(value):,} elements"
    return f"{first}{', '.join(items)}{more}{last}{count}"


def _all_plain(value: Collection[Any]) -> bool:
    """Whether sorting by `repr` is cheap, and calls nothing of the user's."""
    return len(value) <= _SORTED and all(type(item) in (str, int, float, bool) for item in value)


def _instance(value: Any, kind: type, deep: int) -> str:
    # Asking some others, such as a `partial`, gives them an empty `__dict__`. Pickling has asked these.
    plain = all(getattr(kind, name, None) is getattr(object, name, None) for name in _REDUCED)
    if not plain:
        return ""
    get = dict_getter(kind)
    held = get(value) if get is not None else {}
    if not held or deep == 0:
        return ""
    shown = [f"{name}={_short(held[name], deep - 1) or '…'}" for name in list(held)[:_ITEMS]]
    more = ", …" if len(held) > _ITEMS else ""
    return f"{kind.__name__}({', '.join(shown)}{more})"


def _array(value: Any) -> str:
    shape = " × ".join(f"{n:,}" for n in value.shape) or "scalar"
    head = ", ".join(_cell(v) for v in value.flat[:_ITEMS].tolist()) if value.dtype.kind not in "OV" else "…"
    more = ", …" if value.size > _ITEMS else ""
    return f"{shape}, {value.dtype}: {head}{more}"


def _frame(value: Any) -> str:
    rows, columns = value.shape
    head = value.iloc[:_ROWS, :_COLUMNS]
    names = [_cell(name) for name in head.columns]
    cells = [[_cell(v) for v in row] for row in head.itertuples(index=False, name=None)]
    lines = [f"{rows:,} rows × {columns:,} columns", *_aligned(names, map(str, head.dtypes), *cells)]
    return "\n".join(lines) + ("" if columns <= _COLUMNS else "\n…")


def _series(value: Any) -> str:
    head = ", ".join(_cell(v) for v in value.iloc[:_ITEMS].tolist())
    return f"{len(value):,}, {value.dtype}: {head}{', …' if len(value) > _ITEMS else ''}"


def _polars(value: Any) -> str:
    rows, columns = value.shape
    head = value[:_ROWS, :_COLUMNS]
    cells = [[_cell(v) for v in row] for row in head.rows()]
    names = [name[:_WIDE] for name in head.columns]
    lines = [f"{rows:,} rows × {columns:,} columns", *_aligned(names, map(str, head.dtypes), *cells)]
    return "\n".join(lines) + ("" if columns <= _COLUMNS else "\n…")


def _arrow(value: Any) -> str:
    fields = ", ".join(f"{f.name} {f.type}" for f in list(value.schema)[:_COLUMNS])
    return f"{value.num_rows:,} rows × {value.num_columns:,} columns\n{fields}"


def _tensor(value: Any) -> str:
    shape = " × ".join(f"{n:,}" for n in value.shape) or "scalar"
    return f"{shape}, {value.dtype}, {value.device}"


def _aligned(*rows: Iterable[str]) -> list[str]:
    cells = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def _cell(value: Any) -> str:
    kind = type(value)
    if kind is float:
        return f"{value:.6g}"
    if (kind.__module__.partition(".")[0], kind.__name__) in _KNOWN:
        return "…"
    text = value if type(value) is str else str(value) if _is_plain(value) else _short(value, 1)
    return text if len(text) <= _WIDE else text[: _WIDE - 1] + "…"


def _is_plain(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] in ("pandas", "numpy", "datetime", "decimal")


_KNOWN: Mapping[tuple[str, str], Callable[[Any], str]] = {
    ("numpy", "ndarray"): _array,
    ("pandas", "DataFrame"): _frame,
    ("pandas", "Series"): _series,
    ("polars", "DataFrame"): _polars,
    ("pyarrow", "Table"): _arrow,
    ("torch", "Tensor"): _tensor,
}
"""(package, type) -> its preview."""
