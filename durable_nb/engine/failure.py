"""A failure -> what of it can be looked at in a later kernel, and from there to a traceback for debuggers.

What is shown of values is text, made with limits on size and time: a failure is told whatever the
objects in its frames do when they are asked for their `repr`. The locals of one frame, the innermost that
is the notebook's own, are kept as values too.
"""

from __future__ import annotations

import ast
import inspect
import io
import linecache
import math
import pickle
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any, TypeVar

from durable_nb.state import access, pickling, regions, unpickling
from durable_nb.state.capture import collection_paused
from durable_nb.state.deadline import ExpiredError, within
from durable_nb.state.texts import LEFT_OUT, Hidden, qualified, words

T = TypeVar("T")

FRAMES = 20
"""Frames that are kept: the outermost, the one whose locals are kept as values, and the innermost."""

LOCALS = 50
"""Locals that are shown of each frame."""

MESSAGE, SHOWN = 2_000, 200
"""Characters of an exception's message, and of a value."""

SOURCE = 64 << 10
"""Characters of one file's text."""

AROUND = 100
"""Lines of a function before and after the one that failed; cells are kept whole."""

ELEMENTS = 10_000
"""Larger arrays and frames are shown by their shape."""

BYTES = 4 << 20
"""Bytes of locals that are kept as values."""

_MACHINERY = frozenset({"IPython", "ipykernel", "asyncio", "durable_nb"})
"""Packages whose frames are between the notebook's code and no part of it."""

_OURS = str(Path(__file__).parents[1])

_CELLS = ("<ipython-input", "<durable_nb ")
"""How file names of cells begin in a terminal, and those of definitions that were brought back."""


@collection_paused()  # a pass over all of the user's objects would count as time that a value takes
def describe(error: BaseException, hidden: Hidden, limit: int = 64 << 10) -> dict[str, Any]:
    """What is to be told about an exception, as values that JSON can hold.

    Args:
        error: an exception that was raised; its traceback says where.
        hidden: says of a variable's name, or a dict's key, that its value is shown as `<left out>`.
        limit: characters of the traceback's text, which is cut in the middle.

    Returns:
        `type`, `message`, `traceback` (the text, with causes, contexts and notes), `frames` (outermost
        first, without IPython's, asyncio's and ours), `omitted` (how many frames are left out after the
        outermost one), `sources` (file -> its text; lines that are not kept are blank). A frame has `file`,
        `line`, `function`, `first` (the function's first line), `module`, `source` (the line's text),
        `locals` (name -> text; none for a module or cell itself), `omitted` (how many locals more there
        are), and `own`: whether `frames_bytes` keeps this frame's locals.
    """
    budget = _Budget(0.2, 1.0)
    entries = _entries(error)
    own = _own(entries)
    kept = _kept(entries, own)
    message = _guarded(lambda: _cut(str(error), MESSAGE), error, "str", budget)
    text = _formatted(error) or f"{_name(type(error))}: {message}\n"
    return {
        "type": _name(type(error)),
        "message": message,
        "traceback": _printable(_middle_cut(text, limit)),
        "frames": [_frame(entry, hidden, budget, own=entry is own) for entry in kept],
        "omitted": len(entries) - len(kept),
        "sources": dict(_sources(kept)),
    }


def frames_bytes(error: BaseException, hidden: Hidden) -> bytes | None:
    """The locals of the innermost frame that is the notebook's own, pickled; None where there are none.

    That is a frame of a function from a cell, else of one that is not of a library. What cannot be pickled,
    takes long or does not fit into `BYTES` is left out.
    """
    own = _own(_entries(error))
    if own is None:
        return None
    frame = own.tb_frame
    space = frame.f_globals if _in_notebook(frame) else vars(sys.modules["__main__"])
    budget, kinds, left = _Budget(0.5, 2.0), pickling.Kinds(), BYTES
    kept: dict[str, Any] = {}
    for name, value in _locals(frame):
        if hidden(name) or (type(value) in _SIZED and sys.getsizeof(value) > left):
            continue
        dumped = _dumped(name, value, space, kinds, budget)
        if dumped is None:
            continue
        size = len(dumped.stream) + sum(r.memory.nbytes for r in dumped.regions)
        if size <= left:
            left -= size
            memory = [(bytes if r.readonly else bytearray)(r.memory) for r in dumped.regions]
            kept[name] = dumped.stream, memory, dumped.views
    return pickle.dumps(kept, protocol=5) if kept else None


def values_of(data: bytes, space: pickling.Namespace) -> dict[str, Any]:
    """The locals that `frames_bytes` kept, those that load; only bytes that a trusted signature covers.

    Functions get `space`, the notebook's namespace, as their globals; definitions are looked up in it.
    """
    found: dict[str, Any] = {}
    for name, (stream, memory, views) in pickle.loads(data).items():
        buffers = regions.handed_out([memoryview(held) for held in memory], views)
        try:
            found[name] = unpickling.load(stream, buffers, space, {})[name]
        except Exception:  # noqa: S112 - its text is still there
            continue
    return found


def revive(described: Mapping[str, Any], values: Mapping[str, Any] | None) -> TracebackType | None:
    """A traceback of the recorded frames, for `pdb.post_mortem` and the like; None where there are none.

    Its frames have the recorded files, lines, functions and locals: those in `values` (see `values_of`) as
    they were, the others as `Recorded`. Globals are those of the modules as they are now. Files that are
    not there any more are put into `linecache`.
    """
    for file, text in described["sources"].items():
        if not linecache.getlines(file):
            linecache.cache[file] = len(text), None, io.StringIO(text).readlines(), file
    entry: TracebackType | None = None
    for frame in reversed(described["frames"]):
        held: dict[str, Any] = {name: Recorded(text) for name, text in frame["locals"].items()}
        stopped = _stopped(frame, {**held, **(values or {})} if frame["own"] else held)
        entry = TracebackType(entry, stopped, stopped.f_lasti, frame["line"])
    return entry


class RecordedError(Exception):
    """An error that was raised in another kernel: the text is its class and message."""


class Recorded:
    """A value of which only the text is known."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _stopped(frame: Mapping[str, Any], held: dict[str, Any]) -> FrameType:
    """Where code stopped that has nothing but a frame's name, place and locals."""
    tree = ast.increment_lineno(ast.parse("def _(): 1 / 0"), frame["line"] - 1)
    tree.body[0].lineno = min(frame["first"], frame["line"])
    for node in ast.walk(tree):
        vars(node).update(col_offset=-1, end_col_offset=-1)  # unknown: nothing is to be underlined
    compiled = compile(tree, frame["file"], "exec", dont_inherit=True)
    code = next(const for const in compiled.co_consts if isinstance(const, CodeType))
    # No function: its locals could not be given as a dict.
    name, flags = frame["function"], code.co_flags & ~(inspect.CO_OPTIMIZED | inspect.CO_NEWLOCALS)
    code = code.replace(co_name=name, co_qualname=name, co_flags=flags)
    module = sys.modules.get(frame["module"])
    space = {"__name__": frame["module"]} if module is None else vars(module)
    try:
        exec(code, space, space if name == "<module>" and not held else held)  # noqa: S102 - `1 / 0` only
    except ZeroDivisionError as error:
        *_, (stopped, _) = traceback.walk_tb(error.__traceback__)
    return stopped


def _entries(error: BaseException) -> list[TracebackType]:
    found, entry = [], error.__traceback__
    while entry is not None:
        if not _is_machinery(entry.tb_frame):
            found.append(entry)
        entry = entry.tb_next
    return found


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _is_machinery(frame: FrameType) -> bool:
    return _module(frame).partition(".")[0] in _MACHINERY


def _in_notebook(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return _module(frame) == "__main__" or file.startswith(_CELLS) or "ipykernel_" in file


def _is_users(frame: FrameType) -> bool:
    return not access.is_library(_module(frame).partition(".")[0])


def _is_top(frame: FrameType) -> bool:
    """Whether a frame is a cell or module itself: its locals are a namespace."""
    return frame.f_locals is frame.f_globals


def _own(entries: list[TracebackType]) -> TracebackType | None:
    """Where the notebook's own code failed, else the user's own modules."""
    for own in (_in_notebook, _is_users):
        for entry in reversed(entries):
            if own(entry.tb_frame) and not _is_top(entry.tb_frame):
                return entry
    return None


def _kept(entries: list[TracebackType], own: TracebackType | None) -> list[TracebackType]:
    if len(entries) <= FRAMES:
        return entries
    innermost = entries[1 - FRAMES :]
    if own is not None and own is not entries[0] and own not in innermost:
        innermost[0] = own
    return [entries[0], *innermost]


def _locals(frame: FrameType) -> list[tuple[str, Any]]:
    if _is_top(frame):
        return []
    try:
        found = list(frame.f_locals.items())
    except Exception:  # a class body's namespace can be anything
        return []
    return [(name, value) for name, value in found if type(name) is str and name.isidentifier()]


def _frame(entry: TracebackType, hidden: Hidden, budget: _Budget, *, own: bool) -> dict[str, Any]:
    frame = entry.tb_frame
    code, line = frame.f_code, _line(entry)
    held = _locals(frame)
    return {
        "file": _printable(code.co_filename),
        "line": line,
        "function": code.co_name,
        "first": code.co_firstlineno,
        "module": _module(frame),
        "source": _printable(linecache.getline(code.co_filename, line, frame.f_globals).strip()),
        "locals": {n: LEFT_OUT if hidden(n) else _shown(v, hidden, budget) for n, v in held[:LOCALS]},
        "omitted": max(len(held) - LOCALS, 0),
        "own": own,
    }


def _line(entry: TracebackType) -> int:
    """The line of an entry, which code that no line belongs to lacks, whatever `typeshed` says."""
    return entry.tb_lineno or entry.tb_frame.f_code.co_firstlineno or 1


def _formatted(error: BaseException) -> str | None:
    start = error.__traceback__
    while start is not None and _is_machinery(start.tb_frame):
        start = start.tb_next

    def formatted(frames: int | None) -> str:
        told = traceback.TracebackException(type(error), error, start, limit=frames)
        told.stack[:] = [frame for frame in told.stack if not frame.filename.startswith(_OURS)]
        return "".join(told.format())

    for frames in (None, -AROUND):  # formatting a million frames takes long
        try:
            return within(1.0, partial(formatted, frames))
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: S112 - of the user's exceptions, which are asked for much
            continue
    return None


def _sources(entries: Iterable[TracebackType]) -> Iterator[tuple[str, str]]:
    """The text of each file; of those that are no cells, of the functions only."""
    files: dict[str, list[TracebackType]] = {}
    for entry in entries:
        files.setdefault(entry.tb_frame.f_code.co_filename, []).append(entry)
    for file, inside in files.items():
        frame = inside[0].tb_frame
        lines = linecache.getlines(file, frame.f_globals)
        wanted = [[range(1, len(lines) + 1)]] if _in_notebook(frame) else []
        wanted += [[_span(entry, around) for entry in inside] for around in (AROUND, AROUND // 10, 0)]
        texts = (_excerpt(lines, spans) for spans in wanted)
        text = next((text for text in texts if len(text) <= SOURCE), "")
        if text:
            yield _printable(file), _printable(text)


def _span(entry: TracebackType, around: int) -> range:
    code, line = entry.tb_frame.f_code, _line(entry)
    last = max((number for *_, number in code.co_lines() if number), default=line)
    return range(max(code.co_firstlineno, line - around), min(last, line + around) + 1)


def _excerpt(lines: list[str], spans: list[range]) -> str:
    kept = {number for span in spans for number in span}
    until = max(kept, default=0)
    return "".join(line if n in kept else "\n" for n, line in enumerate(lines[:until], 1))


def _name(kind: type) -> str:
    """As tracebacks name a class."""
    return qualified(kind).removeprefix("__main__.").removeprefix("builtins.")


def _cut(text: str, most: int) -> str:
    return _printable(text if len(text) <= most else text[: most - 1] + "…")


def _middle_cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = max(most // 2 - 30, 1)
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters left out ...]\n{text[-half:]}"


def _printable(text: str) -> str:
    """Half a surrogate pair is a character that no file can hold."""
    return text.encode("utf-8", "backslashreplace").decode()


class _Budget:
    """Seconds that other people's code may take, each time and in all."""

    def __init__(self, each: float, total: float) -> None:
        self._each = each
        self._end = time.monotonic() + total

    def run(self, work: Callable[[], T]) -> T:
        left = self._end - time.monotonic()
        if left <= 0:
            raise ExpiredError("the time is over")
        return within(min(self._each, left), work)


def _guarded(work: Callable[[], str], value: object, what: str, budget: _Budget) -> str:
    """The text that `work` makes of a value, else what went wrong."""
    try:
        return budget.run(work)
    except KeyboardInterrupt:
        raise
    except ExpiredError:
        return f"<{_name(type(value))}: its {what} takes too long>"
    except BaseException as error:
        return f"<{_name(type(value))}: its {what} raises {_name(type(error))}>"


def _shown(value: object, hidden: Hidden, budget: _Budget) -> str:
    return _guarded(lambda: _cut(words(value, hidden, SHOWN, 3, _asked), SHOWN), value, "repr", budget)


def _asked(value: Any) -> str:
    """What it says itself, within a budget of time; of what has a large shape, that."""
    kind = type(value)
    shape = value.shape if hasattr(kind, "shape") else None
    if isinstance(shape, tuple) and all(isinstance(n, int) for n in shape) and math.prod(shape) > ELEMENTS:
        return f"<{_name(kind)} of shape {tuple(shape)}>"
    return repr(value)


_SIZED = frozenset({str, bytes, bytearray, int, list, tuple, set, frozenset, dict})


def _dumped(
    name: str, value: Any, space: Mapping[str, Any], kinds: pickling.Kinds, budget: _Budget
) -> pickling.Dump | None:
    try:
        return budget.run(lambda: pickling.dump_values({name: value}, space, kinds))
    except KeyboardInterrupt:
        raise
    except BaseException:  # whatever the user's own reductions raise
        return None
