"""Manifests and chunks -> streams and buffers to unpickle."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

from durable_nb.errors import NotFoundError, StoreError
from durable_nb.model import Component, Piece
from durable_nb.state import framing, regions
from durable_nb.state.fingerprint import Fingerprints
from durable_nb.state.live import Live

Read = Callable[[Iterable[str]], Iterator[tuple[str, memoryview]]]
"""Yields (digest, verified bytes) for chunk digests, in any order."""


def as_live(manifest: Component, digest: str) -> Live:
    """What a manifest says of a component, its pieces not yet known."""
    return Live(
        manifest.names,
        dict(manifest.types),
        manifest.inline,
        views=manifest.views,
        refs=frozenset(manifest.refs),
        unsaved=manifest.unsaved,
        python=manifest.python,
        digest=digest,
        reaches=tuple(sorted(manifest.refs)),
        previews=dict(manifest.previews),
    )


def assemble(
    manifest: Component, live: Live, read: Read, fingerprints: Fingerprints
) -> tuple[bytearray, list[memoryview]]:
    """Read a component's chunks into a stream and writable buffers, and note its pieces."""
    places: dict[str, list[tuple[memoryview, int]]] = {}
    held = manifest.inline or b""
    stream = bytearray(framing.ROOM + sum((size for _, size in manifest.stream), len(held)))
    body = memoryview(stream)[framing.ROOM :]
    body[: len(held)] = held
    _place(places, body, manifest.stream)
    # Shared memory is a bytearray: an array takes that for its base, and copies nothing of it.
    memory = [
        memoryview(bytearray(b.size)) if manifest.views else _allocate(b.size) for b in manifest.buffers
    ]
    for target, buffer in zip(memory, manifest.buffers, strict=True):
        _place(places, target, buffer.chunks)
    pieces: dict[str, Piece] = {}
    for digest, data in read(list(places)):
        pieces[digest] = fingerprints.stored(data, digest)
        for target, start in places[digest]:
            target[start : start + data.nbytes] = data
    fill(live, manifest, pieces)
    stream = framing.apart(stream)
    framing.wrap(stream)
    return stream, regions.handed_out(memory, manifest.views)


def fill(live: Live, manifest: Component, pieces: Mapping[str, Piece]) -> None:
    """Note of a component what its pieces are."""
    live.stream = [pieces[d] for d, _ in manifest.stream]
    live.buffers = [(b.size, b.readonly, [pieces[d] for d, _ in b.chunks]) for b in manifest.buffers]


class ReadAhead:
    """Reads the chunks of many small components at once: they lie beside each other."""

    def __init__(self, read: Read, components: Iterable[Component]) -> None:
        self._read = read
        small: dict[str, None] = {}
        held = 0
        for component in components:
            if component.size <= _SMALL and held + component.size <= _AHEAD:
                held += component.size
                small.update(dict.fromkeys(component.chunks()))
        self._found: dict[str, memoryview] = {}
        # What is damaged or gone is met again by the component that needs it, and fails only that.
        with suppress(StoreError, NotFoundError):
            # Copied: a view would hold all that was read with it.
            self._found.update((digest, memoryview(bytes(data))) for digest, data in read(small))

    def __call__(self, digests: Iterable[str]) -> Iterator[tuple[str, memoryview]]:
        """As `Read`."""
        missing = []
        for digest in digests:
            if digest in self._found:
                yield digest, self._found[digest]
            else:
                missing.append(digest)
        yield from self._read(missing)


_SMALL = 1 << 16
"""The most bytes of a component that is worth reading together with others."""

_AHEAD = 16 << 20
"""The most bytes that are held before a component needs them."""


def _place(
    places: dict[str, list[tuple[memoryview, int]]], target: memoryview, chunks: Iterable[tuple[str, int]]
) -> None:
    start = 0
    for digest, size in chunks:
        places.setdefault(digest, []).append((target, start))
        start += size


def _allocate(size: int) -> memoryview:
    """Writable memory that is not cleared first, where NumPy can give it."""
    numpy = sys.modules.get("numpy")
    return memoryview(bytearray(size)) if numpy is None else memoryview(numpy.empty(size, numpy.uint8))
