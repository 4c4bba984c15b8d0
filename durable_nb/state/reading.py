"""Components of a checkpoint, loaded to be looked at: what is live, and the world outside, stay as they are.

Some objects act when they come back: a logger gets its level again, a figure takes its window, a file that
is mapped gets its content. Here something stands in for those that says what they were.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from durable_nb.model import Component
from durable_nb.state import deadline, restore, unpickling
from durable_nb.state.arrays import array_view
from durable_nb.state.assembly import Read, as_live, assemble
from durable_nb.state.capture import Capture, collection_paused
from durable_nb.state.pool import Pool
from durable_nb.state.reducers import databases, figures, files, libraries, running, widgets


class Past:
    """One checkpoint's values.

    Args:
        state: name -> manifest digest.
        manifests: by digest.
        read: gives verified chunks.
        space: the live namespace; it is copied, and definitions of the checkpoint go into the copy.
        seconds: that loading one component may take; 0: no limit.
    """

    def __init__(
        self,
        state: Mapping[str, str],
        manifests: Mapping[str, Component],
        read: Read,
        space: Mapping[str, Any],
        seconds: float = 0,
    ) -> None:
        self._state = state
        self._manifests = manifests
        self._read = read
        self._seconds = seconds
        self._scratch = Capture(dict(space), tuple, Pool(0), ())
        self._defined: dict[str, Exception | None] = {}
        """digests of definitions, with what went wrong"""

    def values(self, digest: str) -> dict[str, Any]:
        """name -> value of one component. Raises whatever loading it raises."""
        manifest = self._manifests[digest]
        broken: Exception | None = None
        for needed in restore.definitions_first(
            {self._state[name] for name in manifest.refs if name in self._state}, self._manifests
        ):
            if needed == digest:
                continue
            if needed not in self._defined:
                self._defined[needed] = self._define(needed)
            broken = broken or self._defined[needed]
        try:
            return self._loaded(digest)
        except Exception:
            if broken is not None:
                raise broken from None
            raise

    def _define(self, digest: str) -> Exception | None:
        """Put definitions into the copy; where that fails, what is live must not stand in for them."""
        try:
            self._scratch.space.update(self._loaded(digest))
        except Exception as error:
            for name in self._manifests[digest].names:
                self._scratch.space.pop(name, None)
            return error
        return None

    def _loaded(self, digest: str) -> dict[str, Any]:
        manifest = self._manifests[digest]
        live = as_live(manifest, digest)
        with collection_paused():
            stream, buffers = assemble(manifest, live, self._read, self._scratch.fingerprints)
            bind = self._scratch.space.__setitem__
            loader = _Unpickler(stream, buffers, self._scratch.space, {}, bind)
            return deadline.within(self._seconds, loader.load)


class StandIn:
    """What an object was made from, in the place of one that would act if it were there."""

    def __init__(self, kind: str, parts: Mapping[str, Any]) -> None:
        self.kind = kind
        vars(self).update(parts)


def _stand_in(make: Callable[..., Any], *args: Any, **options: Any) -> StandIn:
    return StandIn(make.__name__, inspect.signature(make).bind(*args, **options).arguments)


def _note(target: Any, state: Any) -> None:
    vars(target).update(state if type(state) is dict else {"state": state})


def _memmap(
    path: str, dtype: Any, mode: str, offset: int, shape: tuple[int, ...], order: str, content: Any
) -> Any:
    """What a mapped file held; where that was not kept, its place."""
    if content is None:
        return _stand_in(libraries.memmap, path, dtype, mode, offset, shape, order, content)
    numpy = sys.modules["numpy"]
    return numpy.frombuffer(content, "u1").view(dtype).reshape(shape, order=order)


def _set_figure(target: Any, state: tuple[dict[str, Any], int | None, bool]) -> None:
    figures.set_figure(target, (state[0], None, False))


_ACTING: tuple[Callable[..., Any], ...] = (
    databases.duckdb_connection, databases.duckdb_relation, databases.sqlite_connection,
    files.open_file, files.temporary_file, files.temporary_folder, libraries.logger,
    running.context_variable, running.kernels_loop, running.shell, widgets.widget,
)  # fmt: skip
"""What makes or finds an object that is more than its value."""

_INSTEAD: Mapping[tuple[str, str], Callable[..., Any]] = {
    **{(make.__module__, make.__name__): partial(_stand_in, make) for make in _ACTING},
    **{(setter.__module__, setter.__name__): _note for setter in (libraries.set_logger, widgets.set_widget)},
    (libraries.__name__, "memmap"): _memmap,
    (libraries.__name__, "memmap_view"): array_view,
    (figures.__name__, "set_figure"): _set_figure,
}
"""What is called in the place of functions that act."""


class _Unpickler(unpickling.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return _INSTEAD.get((module, name)) or super().find_class(module, name)
