"""Where a definition's text is, and code objects that do not depend on where a cell was run.

IPython compiles each cell under a file name of its own, and ipykernel puts the process id into it.
A stored code object gets a name made from its statement's text instead, and counts its lines from
that statement, so that the same text gives the same bytes in every kernel and tracebacks show it.
"""

from __future__ import annotations

import ast
import linecache
import types
from functools import lru_cache

from blake3 import blake3


@lru_cache(maxsize=256)
def _statements(text: str) -> list[tuple[int, int]]:
    """First and last line of each top-level statement, decorators included."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return []
    spans = []
    for node in tree.body:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        spans.append((first, node.end_lineno or node.lineno))
    return spans


def statement(code: types.CodeType) -> tuple[str, int] | None:
    """The text of the top-level statement that compiled to `code`, and its first line in the cell."""
    lines = linecache.getlines(code.co_filename)
    if not lines:
        return None
    for first, last in _statements("".join(lines)):
        if first <= code.co_firstlineno <= last:
            return _one("".join(lines[first - 1 : last])), first
    return None


@lru_cache(maxsize=1024)
def _one(text: str) -> str:
    """One object for equal texts: a stream that names it often holds it once."""
    return text


def file_name(text: str) -> str:
    """The stable name under which a statement's code is compiled and its text found again."""
    return f"<durable_nb {blake3(text.encode()).hexdigest()[:16]}>"


def relocated(code: types.CodeType, name: str, shift: int) -> types.CodeType:
    """The same code under another file name, its lines moved up by `shift`."""
    consts = tuple(relocated(c, name, shift) if isinstance(c, types.CodeType) else c for c in code.co_consts)
    return code.replace(
        co_filename=name, co_firstlineno=max(code.co_firstlineno - shift, 1), co_consts=consts
    )


def remember(text: str) -> str:
    """Let tracebacks and `inspect.getsource` find the text of restored code; returns its file name."""
    name = file_name(text)
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    return name


def compiled(text: str, qualname: str, line: int) -> types.CodeType | None:
    """Compile a statement again (under this Python) and find one code object of it."""
    try:
        top: types.CodeType = compile(
            text, remember(text), "exec", dont_inherit=True, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        )
    except (SyntaxError, ValueError):
        return None
    stack = [top]
    while stack:
        code = stack.pop()
        if code.co_qualname == qualname and code.co_firstlineno == line:
            return code
        stack.extend(c for c in code.co_consts if isinstance(c, types.CodeType))
    return None
