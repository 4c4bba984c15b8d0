"""What the notebook's file says: which nodes it has."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from durable_nb.shell import directive


def node_names(path: Path) -> tuple[str, ...] | None:
    """The names of the nodes of an .ipynb file in order, each once; None where it cannot be read as one.

    The file is as it was saved last. It is read again when its size or time is another one.
    """
    try:
        found = path.stat()
        return _names(path, found.st_mtime_ns, found.st_size)
    except OSError:
        return None


@lru_cache(maxsize=8)
def _names(path: Path, _mtime_ns: int, _size: int) -> tuple[str, ...] | None:
    try:
        cells = json.loads(path.read_bytes())["cells"]
        found = [directive.find(_text(cell["source"])) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return tuple(dict.fromkeys(d.name for d in found if d is not None and d.name))


def _text(source: str | list[str]) -> str:
    """nbformat 4 has either."""
    return source if isinstance(source, str) else "".join(source)
