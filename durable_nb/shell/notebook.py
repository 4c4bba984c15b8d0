"""What the notebook's file says: which nodes it has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from blake3 import blake3

from durable_nb.shell import directive


def node_sources(path: Path) -> Mapping[str, str] | None:
    """The nodes of an .ipynb file in order, each with the digest of its source; None where there is none.

    The file is as it was saved last. It is read again when its size or time is another one.
    """
    try:
        found = path.stat()
        return _sources(path, found.st_mtime_ns, found.st_size)
    except OSError:
        return None


@lru_cache(maxsize=8)
def _sources(path: Path, _mtime_ns: int, _size: int) -> Mapping[str, str] | None:
    try:
        cells = json.loads(path.read_bytes())["cells"]
        texts = [_text(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        found = [(directive.find(text), text) for text in texts]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    first: dict[str, str] = {}
    for known, text in found:
        if known is not None and known.name:
            first.setdefault(known.name, blake3(directive.source_of(text).encode()).hexdigest())
    return MappingProxyType(first)


def _text(source: str | list[str]) -> str:
    """nbformat 4 has either."""
    return source if isinstance(source, str) else "".join(source)
