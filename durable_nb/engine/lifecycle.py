"""The states of an attempt, of a node and of an execution, and the legal moves between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from durable_nb.errors import NodeError
from durable_nb.model import ExecutionStatus, NodeStatus

_N, _E = NodeStatus, ExecutionStatus

ATTEMPT_MOVES: Mapping[NodeStatus | None, frozenset[NodeStatus]] = {
    None: frozenset({_N.STARTED, _N.REUSED}),
    _N.STARTED: frozenset({_N.COMPLETED, _N.FAILED, _N.INTERRUPTED, _N.LOST}),
    _N.COMPLETED: frozenset(),
    _N.FAILED: frozenset(),
    _N.INTERRUPTED: frozenset(),
    _N.LOST: frozenset(),
    _N.REUSED: frozenset(),
}
"""Each attempt starts from None; a further try is a further attempt."""

_BY_HAND = {_N.SKIPPED, _N.COMPLETED}
"""What a person can make of a node that did not finish."""

NODE_MOVES: Mapping[NodeStatus | None, frozenset[NodeStatus]] = {
    None: frozenset({_N.STARTED, _N.REUSED, *_BY_HAND}),
    _N.STARTED: frozenset({_N.COMPLETED, _N.FAILED, _N.INTERRUPTED, _N.LOST, _N.RETRY_WAIT}),
    _N.RETRY_WAIT: frozenset({_N.STARTED, _N.FAILED, _N.INTERRUPTED, *_BY_HAND}),
    _N.LOST: frozenset({_N.STARTED, _N.QUARANTINED, _N.REUSED, *_BY_HAND}),
    _N.QUARANTINED: frozenset({_N.LOST, *_BY_HAND}),
    _N.FAILED: frozenset({_N.STARTED, _N.REUSED, *_BY_HAND}),
    _N.INTERRUPTED: frozenset({_N.STARTED, _N.REUSED, *_BY_HAND}),
    _N.COMPLETED: frozenset({_N.STARTED, _N.REUSED}),
    _N.REUSED: frozenset({_N.STARTED, _N.REUSED}),
    _N.SKIPPED: frozenset({_N.STARTED, _N.REUSED}),
}
"""From None, which is a node that never ran. A release takes a quarantined node back to LOST."""

EXECUTION_MOVES: Mapping[ExecutionStatus | None, frozenset[ExecutionStatus]] = {
    None: frozenset({_E.RUNNING}),
    _E.RUNNING: frozenset({_E.PAUSED, _E.INTERRUPTED, _E.COMPLETED, _E.FAILED}),
    _E.PAUSED: frozenset({_E.RUNNING, _E.INTERRUPTED, _E.COMPLETED, _E.FAILED}),
    _E.INTERRUPTED: frozenset({_E.RECOVERING}),
    _E.RECOVERING: frozenset({_E.RUNNING, _E.PAUSED, _E.INTERRUPTED, _E.FAILED}),
    _E.COMPLETED: frozenset(),
    _E.FAILED: frozenset({_E.RECOVERING}),
}

_S = TypeVar("_S", NodeStatus, ExecutionStatus)


def move(moves: Mapping[_S | None, frozenset[_S]], before: _S | None, after: _S) -> _S:
    """Return `after`, if `moves` has that move.

    Raises:
        NodeError: it is not legal.
    """
    if after not in moves[before]:
        raise NodeError(f"{before or 'nothing'} cannot become {after}")
    return after
