"""Components, commits and values as bytes, for the tests of the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from durable_nb.model import CHUNK, Component, Piece, Record
from durable_nb.store.repository import Repository
from durable_nb.store.writer import Draft, PendingComponent, Writer


def pieces(data: bytes) -> list[Piece]:
    view = memoryview(data)
    return [Piece(len(view[i : i + CHUNK]), data=view[i : i + CHUNK]) for i in range(0, len(data), CHUNK)]


def component(name: str, data: bytes, *buffers: bytes, **more: Any) -> PendingComponent:
    out_of_band = [(len(b), False, pieces(b)) for b in buffers]
    return PendingComponent(
        (name,), {name: "bytes"}, "3.11", stream=pieces(data), buffers=out_of_band, **more
    )


def draft(values: Mapping[str, bytes], **more: Any) -> Draft:
    body = more.pop("body", {})
    return Draft(
        more.pop("kind", "cell"), body, [component(n, v) for n, v in values.items()], has_state=True, **more
    )


def commit(writer: Writer, values: Mapping[str, bytes] | None = None, **more: Any) -> Record:
    return writer.commit(draft(values or {}, **more))


def retire(writer: Writer, *versions: int) -> Record:
    return writer.commit(Draft("note", {"retire": list(versions)}))


def value(repository: Repository, manifest: Component) -> bytes:
    chunks = dict(repository.chunks(manifest.chunks()))
    stream = manifest.inline or b"".join(bytes(chunks[d]) for d, _ in manifest.stream)
    return stream + b"".join(bytes(chunks[d]) for b in manifest.buffers for d, _ in b.chunks)


def values(repository: Repository, execution: str, version: int | None = None) -> dict[str, bytes]:
    history = repository.history(execution)
    if version is None:
        version = max(v for v, point in history.checkpoints().items() if not point.retired)
    state = history.state(version)
    manifests = repository.components(state.values())
    return {name: value(repository, manifests[digest]) for name, digest in state.items()}
