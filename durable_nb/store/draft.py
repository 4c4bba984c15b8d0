"""A commit before it is one: components whose bytes are not in the store yet."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from durable_nb.model import INLINE, Buffer, Component, Piece


@dataclass(slots=True, eq=False)
class PendingComponent:
    """A component on its way to the store; the writer fills in both digests."""

    names: tuple[str, ...]
    types: Mapping[str, str] = field(default_factory=dict)
    python: str = ""
    inline: bytes | None = None
    """the whole stream, where the caller has it as bytes"""
    stream: Sequence[Piece] = ()
    buffers: Sequence[tuple[int, bool, Sequence[Piece]]] = ()
    """(size, readonly, pieces) of each out-of-band buffer"""
    views: tuple[tuple[int, int, int], ...] = ()
    """as in `Component`"""
    reaches: tuple[str, ...] = ()
    """names of the definitions that it reaches: in this draft, or in the writer's state"""
    unsaved: str | None = None
    previews: Mapping[str, str] = field(default_factory=dict)
    """as in `Component`"""
    digest: str = ""
    content_digest: str = ""

    def pieces(self) -> Iterable[Piece]:
        """Every piece of the stream and the buffers."""
        return itertools.chain(self.stream, *(pieces for _, _, pieces in self.buffers))

    @property
    def is_inline(self) -> bool:
        """Whether its bytes go into the manifest, and into no chunk."""
        if self.buffers or self.inline is not None:
            return self.inline is not None
        return sum(p.size for p in self.stream) <= INLINE and all(p.data is not None for p in self.stream)

    def manifest(self, refs: Mapping[str, str]) -> Component:
        """The component, once its pieces have digests."""
        inline = self.inline
        if inline is None and self.unsaved is None and self.is_inline:
            inline = b"".join(bytes(piece.data or b"") for piece in self.stream)
        return Component(
            names=self.names,
            types=self.types,
            previews=self.previews,
            python=self.python,
            inline=inline,
            stream=() if inline is not None else _addresses(self.stream),
            buffers=tuple(Buffer(size, readonly, _addresses(p)) for size, readonly, p in self.buffers),
            views=self.views,
            refs=refs,
            unsaved=self.unsaved,
        )


@dataclass(slots=True, eq=False)
class Draft:
    """What is to become true together.

    The data of its pieces must stay as it is until `commit` has returned or raised; then it is None,
    except where the bytes are inside a manifest. Where it has raised, the pieces that had data have
    no digest either: what they belong to must be captured again.
    """

    kind: str
    body: Mapping[str, Any] = field(default_factory=dict)
    components: Sequence[PendingComponent] = ()
    deleted: Iterable[str] = ()
    parent: int | None = None
    """the version that it follows: the writer's, if given"""
    cell: bytes | None = None
    has_state: bool = False
    assign: Mapping[str, str] = field(default_factory=dict)
    """name -> digest of a manifest that the store holds already"""
    release: Callable[[memoryview], None] | None = None
    """takes the data of each piece back"""

    def unsaved_pieces(self) -> list[Piece]:
        """The pieces that bring bytes, each once."""
        return list({id(p): p for c in self.components for p in c.pieces() if p.data is not None}.values())

    def let_go(self, pieces: Iterable[Piece], *, kept: bool) -> None:
        """Give the data of the pieces back."""
        for piece in pieces:
            data, piece.data = piece.data, None
            if data is None:
                continue
            if not kept:
                piece.digest = ""
            elif not piece.digest:
                # Its bytes are in a manifest and in no chunk: another component may need them.
                piece.data = memoryview(bytes(data))
            if self.release is not None:
                self.release(data)


def _addresses(pieces: Sequence[Piece]) -> tuple[tuple[str, int], ...]:
    return tuple((piece.digest, piece.size) for piece in pieces)
