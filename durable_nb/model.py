"""The values that the layers hand to each other. No behaviour but (de)serialisation."""

from __future__ import annotations

import base64
import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FORMAT = 1
"""Version of everything written to a store. A reader refuses a larger one."""

CHUNK = 1 << 20
"""The most bytes in one chunk."""

INLINE = 1 << 10
"""A component whose stream is at most this long is kept inside its manifest."""


def canonical(value: object) -> bytes:
    """JSON bytes that are equal for equal values: what digests and signatures cover."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class NodeStatus(enum.StrEnum):
    """The states of a node, and those of an attempt up to REUSED (`engine.lifecycle` has the legal moves)."""

    STARTED = "STARTED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"
    LOST = "LOST"
    REUSED = "REUSED"
    RETRY_WAIT = "RETRY_WAIT"
    SKIPPED = "SKIPPED"
    QUARANTINED = "QUARANTINED"


class ExecutionStatus(enum.StrEnum):
    """The states of an execution."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    INTERRUPTED = "INTERRUPTED"
    RECOVERING = "RECOVERING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class Liveness(enum.StrEnum):
    """What is known of the process that owns an execution."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that owns an execution for one epoch: facts, never guesses."""

    pid: int
    start_time: float
    boot_id: str
    host: str
    pid_namespace: str
    user: str

    def to_json(self) -> dict[str, Any]:
        """As it is written into an epoch."""
        return {
            "pid": self.pid,
            "start_time": self.start_time,
            "boot_id": self.boot_id,
            "host": self.host,
            "pid_namespace": self.pid_namespace,
            "user": self.user,
        }


class Piece:
    """One chunk on its way to the store, shared by all components that hold its bytes.

    `digest` is "" until the writer has computed it; `data` is None once the bytes are stored.
    """

    __slots__ = ("__weakref__", "data", "digest", "size")

    def __init__(self, size: int, digest: str = "", data: memoryview | None = None) -> None:
        self.size = size
        self.digest = digest
        self.data = data


@dataclass(frozen=True, slots=True)
class Buffer:
    """One out-of-band buffer of a component."""

    size: int
    readonly: bool
    chunks: tuple[tuple[str, int], ...]
    """(digest, size in bytes) of each chunk, in order."""


@dataclass(frozen=True, slots=True)
class Component:
    """The manifest of a component: the smallest thing saved or restored.

    The digest of its bytes is the component's *effective* digest: `refs` holds the content
    digests of every notebook definition that the component reaches.
    """

    names: tuple[str, ...]
    types: Mapping[str, str] = field(default_factory=dict)
    python: str = ""
    inline: bytes | None = None
    stream: tuple[tuple[str, int], ...] = ()
    buffers: tuple[Buffer, ...] = ()
    views: tuple[tuple[int, int, int], ...] = ()
    """(buffer, first byte, bytes) of what the stream asks for, in order; () where that is each buffer"""
    refs: Mapping[str, str] = field(default_factory=dict)
    """definition name -> content digest of that definition's component"""
    unsaved: str | None = None
    """why the value could not be kept; such a component has no bytes"""
    previews: Mapping[str, str] = field(default_factory=dict)
    """name -> what a person sees of it without loading it; "" or nothing where that is its type only"""

    @property
    def size(self) -> int:
        """Bytes of the pickled value: stream and buffers."""
        stream = len(self.inline or b"") + sum(size for _, size in self.stream)
        return stream + sum(b.size for b in self.buffers)

    def chunks(self) -> list[str]:
        """Digests of the chunks that hold the value."""
        found = [digest for digest, _ in self.stream]
        for buffer in self.buffers:
            found.extend(digest for digest, _ in buffer.chunks)
        return found

    def content(self) -> dict[str, Any]:
        """What the content digest covers: everything but `refs` and `previews`."""
        out: dict[str, Any] = {"names": list(self.names), "types": dict(self.types), "python": self.python}
        if self.inline is not None:
            out["inline"] = base64.b64encode(self.inline).decode()
        if self.stream:
            out["stream"] = [list(c) for c in self.stream]
        if self.buffers:
            out["buffers"] = [
                {"size": b.size, "readonly": b.readonly, "chunks": [list(c) for c in b.chunks]}
                for b in self.buffers
            ]
        if self.views:
            out["views"] = [list(v) for v in self.views]
        if self.unsaved is not None:
            out["unsaved"] = self.unsaved
        return out

    def to_bytes(self) -> bytes:
        """The manifest as it is stored; its digest is the effective digest."""
        previews = {"previews": dict(self.previews)} if self.previews else {}
        return canonical({**self.content(), "refs": dict(self.refs), **previews})

    @classmethod
    def from_bytes(cls, data: bytes) -> Component:
        """The opposite of `to_bytes`. Raises ValueError, KeyError or TypeError for anything else."""
        raw = json.loads(data)
        return cls(
            names=tuple(raw["names"]),
            types=raw["types"],
            previews=raw.get("previews", {}),
            python=raw["python"],
            inline=base64.b64decode(raw["inline"]) if "inline" in raw else None,
            stream=tuple((d, s) for d, s in raw.get("stream", ())),
            buffers=tuple(
                Buffer(b["size"], b["readonly"], tuple((d, s) for d, s in b["chunks"]))
                for b in raw.get("buffers", ())
            ),
            views=tuple((b, first, size) for b, first, size in raw.get("views", ())),
            refs=raw["refs"],
            unsaved=raw.get("unsaved"),
        )


@dataclass(frozen=True, slots=True)
class Record:
    """One commit, as read back from the log."""

    execution: str
    epoch: int
    number: int
    parent: str
    """digest of the record before it; "" for the first"""
    time: float
    """seconds since 1970, UTC"""
    kind: str
    body: Mapping[str, Any]
    digest: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Version *n* of the state of an execution."""

    version: int
    parent: int | None
    time: float
    kind: str
    """cell, node, manual, safety, recovery, rollback"""
    node: str | None
    description: str
    pinned: bool
    retired: bool
    changed: tuple[str, ...]
    deleted: tuple[str, ...]
    digest: str
    """of its record: the checkpoint's id"""


@dataclass(frozen=True, slots=True)
class Execution:
    """One durable run of one notebook, as the store knows it."""

    id: str
    notebook: str | None
    parent: str | None
    started: float
    updated: float
    status: ExecutionStatus
    epoch: int
    liveness: Liveness
    owner: Owner | None
    head: int
    """number of the newest valid record; 0 where there is none"""
    trusted: bool
    problems: tuple[str, ...] = ()

    @property
    def running(self) -> bool:
        """Whether a kernel owns it and is alive; it may be paused."""
        return self.status in (ExecutionStatus.RUNNING, ExecutionStatus.PAUSED)


@dataclass(frozen=True, slots=True)
class RecoveryResult:
    """What going to a checkpoint did, or, for a plan, would do. True where it worked."""

    ok: bool
    message: str
    execution: str
    version: int | None
    restored: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    unsaved: Mapping[str, str] = field(default_factory=dict)
    """name -> why it was never kept"""
    failed: Mapping[str, str] = field(default_factory=dict)
    """name -> why it could not be loaded"""
    yours: tuple[str, ...] = ()
    """bound before the extension was loaded: left as they are"""
    widened: tuple[str, ...] = ()
    """brought along since it belongs to what was asked for"""
    lost: str | None = None
    """the node or cell that was running when the kernel died"""
    passed_over: tuple[str, ...] = ()
    """newer checkpoints that did not hold, with the reason"""
    left: tuple[str, ...] = ()
    """cells and nodes whose visible output belongs to the branch that was left"""
    saved_seconds: float = 0.0
    """run time of the cells that need not be run again"""
    age: float = 0.0
    """seconds since the checkpoint was made"""
    bytes: int = 0
    planned: bool = False

    def __bool__(self) -> bool:
        return self.ok
