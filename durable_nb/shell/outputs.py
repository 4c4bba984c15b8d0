"""What a cell shows: recorded while it is shown, shown again when the cell is put back.

The recorder sits on the methods that every shell shows through: `write` of the streams, `publish` and
`clear_output` of the display publisher, `write_format_data` of the display hook. All of them append to one
list, so streams, displays and the result keep their order. Not seen: what a child process writes to the
terminal's own file descriptors. Errors are not recorded.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import json
import numbers
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

Output = dict[str, Any]
"""One output as nbformat 4 has it."""

# Its model dies with the kernel: shown again, it would be a dead link.
_WIDGET = "application/vnd.jupyter.widget-view+json"


class Recorder:
    """Records the outputs of one cell at a time, and hides none of them.

    An output longer than `limit_bytes` is cut, and says so; after `total_bytes` no more are kept. Both count
    characters of the JSON.
    """

    def __init__(
        self, shell: InteractiveShell, limit_bytes: int = 1 << 20, total_bytes: int = 8 << 20
    ) -> None:
        self._shell = shell
        self._limit = limit_bytes
        self._total = total_bytes
        # Reentrant: a finaliser may print while this thread holds it.
        self._lock = threading.RLock()
        self._removals: list[Callable[[], None]] = []
        self._cell: _Cell | None = None
        self._inside = threading.local()

    def start(self) -> None:
        """Begin with an empty record. What an earlier `start` recorded is dropped."""
        self.stop()
        shell, publisher, hook = self._shell, self._shell.display_pub, self._shell.displayhook
        self._cell = _Cell(self._limit, self._total)
        for owner, name, tap in (
            (sys.stdout, "write", functools.partial(self._on_write, "stdout")),
            (sys.stderr, "write", functools.partial(self._on_write, "stderr")),
            (publisher, "publish", self._on_publish),
            (publisher, "clear_output", self._on_clear),
            (hook, "write_format_data", self._on_result),
            # Outside a kernel these print to the recorded streams.
            (hook, "write_output_prompt", self._pass_on),
            (hook, "finish_displayhook", self._pass_on),
            (shell, "_showtraceback", self._pass_on),
        ):
            self._tap(owner, name, tap)

    def stop(self) -> list[Output]:
        """Take every hook off and return what was shown, in order; [] if nothing was started."""
        while self._removals:
            self._removals.pop()()
        with self._lock:
            cell, self._cell = self._cell, None
        return [] if cell is None else cell.to_json()

    @contextlib.contextmanager
    def unrecorded(self) -> Iterator[None]:
        """What this thread shows meanwhile is no output of the cell."""
        before, self._inside.on = getattr(self._inside, "on", False), True
        try:
            yield
        finally:
            self._inside.on = before

    def _tap(self, owner: Any, name: str, tap: Callable[..., Any]) -> None:
        original = getattr(owner, name)
        own = vars(owner).get(name) if hasattr(owner, "__dict__") else None
        header = _header(owner)

        def tapped(*args: Any, **kwargs: Any) -> Any:
            # What another cell's threads and tasks show belongs to that cell.
            if self._cell is None or _header(owner) != header:
                return original(*args, **kwargs)
            return tap(original, *args, **kwargs)

        vars(tapped)["__wrapped__"] = original  # what `wraps` copies as well takes longer, after every cell
        try:
            setattr(owner, name, tapped)
        except (AttributeError, TypeError):
            return

        def remove() -> None:
            # Where somebody put a hook on top of ours, ours stays and only passes on.
            if vars(owner).get(name) is tapped:
                if own is None:
                    delattr(owner, name)
                else:
                    setattr(owner, name, own)

        self._removals.append(remove)

    def _record(self, record: Callable[[_Cell], None]) -> None:
        # A record that fails must not take what the user wanted to show with it.
        with self._lock, contextlib.suppress(Exception):
            cell = self._cell
            if cell is not None and not getattr(self._inside, "on", False):
                record(cell)

    def _on_write(self, name: str, original: Callable[..., Any], text: str) -> Any:
        # Loops print: no more than needed here, and nothing that can fail.
        written = original(text)
        if not getattr(self._inside, "on", False):
            with self._lock:
                if (cell := self._cell) is not None:
                    cell.write(name, text)
        return written

    def _on_publish(
        self, original: Callable[..., Any], data: Any, metadata: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        display = (kwargs.get("transient") or {}).get("display_id")
        if kwargs.get("update"):
            self._record(lambda cell: cell.update(display, data, metadata))
        else:
            self._record(lambda cell: cell.show("display_data", data, metadata, display=display))
        return self._pass_on(original, data, metadata, *args, **kwargs)

    def _on_clear(self, original: Callable[..., Any], wait: bool = False) -> Any:
        self._record(lambda cell: cell.clear(wait=wait))
        return self._pass_on(original, wait)

    def _on_result(self, original: Callable[..., Any], data: Any, metadata: Any = None) -> Any:
        hook = self._shell.displayhook
        self._record(
            lambda cell: cell.show("execute_result", data, metadata, execution_count=hook.prompt_count)
        )
        return self._pass_on(original, data, metadata)

    def _pass_on(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with self.unrecorded():
            return original(*args, **kwargs)


def replay(shell: InteractiveShell, outputs: Sequence[Output]) -> object | None:
    """Show recorded outputs again, in order.

    A result that comes last is returned, to be the value of the caller's own last expression; one that other
    outputs follow (a figure, say) is shown in its place.
    """
    for at, output in enumerate(outputs, 1):
        kind = output["output_type"]
        if kind == "stream":
            getattr(sys, output["name"]).write(output["text"])
        elif kind == "display_data":
            shell.display_pub.publish(output["data"], output["metadata"])
        elif kind == "execute_result":
            result = Shown(output["data"], output["metadata"])
            if at == len(outputs):
                return result
            shell.displayhook(result)
    return None


@dataclass(frozen=True, slots=True)
class Shown:
    """Stands for a value that was shown, and looks like it."""

    data: Mapping[str, Any]
    metadata: Mapping[str, Any]

    def __repr__(self) -> str:
        return str(self.data.get("text/plain", ""))

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return dict(self.data), dict(self.metadata)


@dataclass(slots=True)
class _Text:
    name: str
    text: io.StringIO = field(default_factory=io.StringIO)
    size: int = 0
    cut: int = 0

    def to_json(self) -> Output:
        return {
            "output_type": "stream",
            "name": self.name,
            "text": self.text.getvalue() + _cut_note(self.cut),
        }


@dataclass(slots=True)
class _Bundle:
    output: Output
    size: int

    def to_json(self) -> Output:
        return self.output


@dataclass(slots=True)
class _Cell:
    """The outputs of one cell, as a front end would have them."""

    limit: int
    total: int
    outputs: list[_Text | _Bundle] = field(default_factory=list)
    displays: dict[str, list[_Bundle]] = field(default_factory=dict)
    used: int = 0
    left_out: int = 0
    clearing: bool = False

    def write(self, name: str, text: str) -> None:
        if not text:
            return
        self._clear_now()
        last = self.outputs[-1] if self.outputs else None
        if not isinstance(last, _Text) or last.name != name:
            if self.used >= self.total:
                self.left_out += 1
                return
            last = _Text(name)
            self.outputs.append(last)
        room = min(self.limit - last.size, self.total - self.used)
        kept = text if len(text) <= room else text[: max(0, room)]
        last.text.write(kept)
        last.size += len(kept)
        last.cut += len(text) - len(kept)
        self.used += len(kept)

    def show(self, kind: str, data: Any, metadata: Any, *, display: str | None = None, **more: Any) -> None:
        self._clear_now()
        if self.used >= self.total:
            self.left_out += 1
            return
        bundle = _Bundle({"output_type": kind, **more}, 0)
        self._fill(bundle, data, metadata)
        self.outputs.append(bundle)
        if display is not None:
            self.displays.setdefault(display, []).append(bundle)

    def update(self, display: str | None, data: Any, metadata: Any) -> None:
        for bundle in self.displays.get(display or "", ()):
            self._fill(bundle, data, metadata)

    def clear(self, *, wait: bool) -> None:
        self.clearing = True
        if not wait:
            self._clear_now()

    def to_json(self) -> list[Output]:
        found = [output.to_json() for output in self.outputs]
        if self.left_out:
            note = f"… {self.left_out:,} more outputs were not recorded\n"
            found.append({"output_type": "stream", "name": "stdout", "text": note})
        return found

    def _clear_now(self) -> None:
        if self.clearing:
            self.outputs.clear()
            self.displays.clear()
            self.used = self.left_out = 0
            self.clearing = False

    def _fill(self, bundle: _Bundle, data: Any, metadata: Any) -> None:
        room = min(self.limit, self.total - self.used + bundle.size)
        kept, size = _fitting(data, room)
        bundle.output["data"] = kept
        bundle.output["metadata"] = _jsonable(metadata or {})
        self.used += size - bundle.size
        bundle.size = size


def _fitting(data: Mapping[str, Any], room: int) -> tuple[dict[str, Any], int]:
    """Return what of a mime bundle fits into `room` characters, and its size."""
    kept: dict[str, Any] = {}
    size = cut = 0
    for mime, value in data.items():
        if mime == _WIDGET:
            continue
        plain = _jsonable(value)
        length = len(plain) if isinstance(plain, str) else len(json.dumps(plain))
        if length > room - size:
            fits = room - size if mime == "text/plain" else 0
            cut += length - fits
            if not fits:
                continue
            plain, length = plain[:fits], fits
        kept[mime] = plain
        size += length
    if cut or not kept:
        kept["text/plain"] = kept.get("text/plain", "") + (_cut_note(cut) or "(a widget)")
    return kept, size


def _cut_note(characters: int) -> str:
    return f"\n… {characters:,} more characters were not recorded\n" if characters else ""


def _jsonable(value: Any) -> Any:
    """Return a copy of what Jupyter's own encoder would send."""
    return value if isinstance(value, str) else json.loads(json.dumps(value, default=_encode))


def _encode(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    return list(value) if isinstance(value, Iterable) else str(value)


def _header(owner: Any) -> str | None:
    """Return the request that a stream of ipykernel answers at the moment; elsewhere None."""
    header = getattr(owner, "parent_header", None)
    return header.get("msg_id") if isinstance(header, dict) else None
