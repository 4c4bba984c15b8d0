"""A cell as the shell hands it over, and what its directive line asks for."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from blake3 import blake3


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """What a directive line asks for. Times in seconds; 0 is no limit."""

    name: str
    after: tuple[str, ...] = ()
    sync: bool = False
    attempts: int = 1
    """at most so many, the first one included"""
    backoff: float = 1.0
    """before the second attempt, at most; doubled before each further one"""
    backoff_cap: float = 60.0
    retry_on: tuple[str, ...] = ()
    """classes of errors that are tried again besides the transient ones"""
    rollback: bool = True
    """before another attempt the namespace goes back to what it was before the node"""
    timeout: float = 0.0
    """of each attempt"""
    total_timeout: float = 0.0
    """of all attempts and the waits between them"""
    idle_timeout: float = 0.0
    """between two signs of life (`durable_nb.heartbeat`)"""
    effects: bool = False
    """it does something outside the notebook: after a loss it never runs again unasked"""
    cache: bool = False
    """put back whenever source and inputs are known"""

    @property
    def guarded(self) -> bool:
        """Whether its body runs inside a loop that can try again, or with a limit."""
        return self.attempts > 1 or bool(self.timeout or self.total_timeout or self.idle_timeout)


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell that is about to run."""

    raw: str
    source: str
    """canonical: without the directive line"""
    tree: ast.Module | None = field(compare=False)
    """of the plain Python that runs; None where it does not parse"""
    setup: bool = False
    """only imports and set-up magics"""
    options: NodeOptions | None = None
    """None for a plain cell"""
    cell_id: str | None = None
    count: int | None = None
    """the number in front of it"""
    guardable: bool = False
    """its body compiles, and can be run inside a guard"""

    @property
    def node(self) -> str | None:
        """The node's name."""
        return self.options.name if self.options else None

    @property
    def label(self) -> str:
        """The node's name, or its number: the text stays out of the log, where `forget` cannot reach it."""
        return self.node or f"cell [{self.count or ' '}]"

    @property
    def digest(self) -> str:
        """Of the source."""
        return blake3(self.source.encode()).hexdigest()
