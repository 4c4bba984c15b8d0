"""What is known of the components of a namespace, and what a capture found changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from durable_nb.model import Component, Piece
from durable_nb.state.functions import PYTHON
from durable_nb.state.regions import View


def is_pseudo(name: str) -> bool:
    """Whether a key of the state stands for something that is no variable."""
    return ":" in name


@dataclass(slots=True, eq=False)
class Live:
    """What is known of one component as it was kept last."""

    names: tuple[str, ...]
    types: dict[str, str]
    inline: bytes | None = None
    """the whole stream, where it is short"""
    stream: list[Piece] = field(default_factory=list)
    buffers: list[tuple[int, bool, list[Piece]]] = field(default_factory=list)
    views: tuple[View, ...] = ()
    refs: frozenset[str] = frozenset()
    mentions: frozenset[str] = frozenset()
    outside: str | None = None
    """what in it leads where changes are not followed"""
    unsaved: str | None = None
    python: str = PYTHON
    seconds: float = 0.0
    """what pickling and hashing it took"""
    atom: Any = None
    """the value itself, where it is small and cannot change"""
    shape: Any = None
    """of a plain array: all about it but its bytes"""
    digest: str = ""
    """of its manifest; "" until it is committed"""
    content_digest: str = ""
    reaches: tuple[str, ...] = ()
    """definitions that it references, directly or through other definitions"""
    again: Live | None = None
    """after a restore: what pickling it gave at once, where that was not what had been kept"""
    recurring: tuple[str, ...] | None = None
    """strings that stand first in its stream, so that an insertion changes no references to them; None: it
    was not looked for any"""
    previews: dict[str, str] = field(default_factory=dict)
    """name -> what a person sees of it (see `preview`)"""

    @property
    def size(self) -> int:
        """Bytes, pickled."""
        held = len(self.inline or b"") + sum(p.size for p in self.stream)
        return held + sum(size for size, _, _ in self.buffers)

    def pieces(self) -> list[Piece]:
        """Every chunk of it, in order."""
        return [*self.stream, *(p for _, _, pieces in self.buffers for p in pieces)]

    def same_bytes(self, other: Live) -> bool:
        """Whether both hold the same bytes and references. Pieces are shared, so `is` compares bytes."""
        if self.again is not None and self.again.same_bytes(other):
            return True
        return (
            self.names == other.names
            and self.refs == other.refs
            and self.unsaved == other.unsaved
            and self.types == other.types
            and self.inline == other.inline
            and self.views == other.views
            and _identities(self) == _identities(other)
        )

    def equals(self, manifest: Component) -> bool:
        """Whether a manifest holds the same bytes; digests must be known."""
        return (
            self.names == manifest.names
            and self.inline == manifest.inline
            and self.views == manifest.views
            and [p.digest for p in self.stream] == [digest for digest, _ in manifest.stream]
            and [[p.digest for p in pieces] for _, _, pieces in self.buffers]
            == [[digest for digest, _ in b.chunks] for b in manifest.buffers]
        )


def _identities(live: Live) -> list[int]:
    return [id(p) for p in live.stream] + [id(p) for _, _, pieces in live.buffers for p in (*pieces, None)]


@dataclass(slots=True)
class Snapshot:
    """What changed since the checkpoint before."""

    changed: list[Live] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    unsaved: list[Live] = field(default_factory=list)
    """components that cannot be kept, and could or did not exist before"""
    remade: set[str] = field(default_factory=set)
    """names that were bound to something that cannot be kept"""
    borrowed: bool = False
    """some pieces are the user's own memory: it must not change before they are written"""
    new_bytes: int = 0
    submitted: bool = False
    """whether it was handed over to the writer, who gives its copies back"""
    fresh: list[Piece] = field(default_factory=list)
    """the pieces that were given their bytes by this capture"""
