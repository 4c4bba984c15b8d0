"""Everything that durable_nb raises on purpose.

    DurableError
    ├── UsageError            (ValueError)         the command was not understood
    ├── NotFoundError         (KeyError)           no such checkpoint, node, execution or variable
    ├── RefusedError          (RuntimeError)       asked for something that would lose data
    ├── NodeError             (RuntimeError)       a node may not run (`--after`, a name used twice)
    ├── NodeTimeoutError      (TimeoutError)       an attempt took longer than it may
    └── StoreError            (OSError)
        ├── ObjectExistsError (FileExistsError)    put-if-absent found the name taken
        ├── DamagedError      (ValueError)         bytes in the store are not what was written
        ├── UntrustedError    (PermissionError)    written by somebody whom this user does not trust
        ├── FencedError       (PermissionError)    another kernel owns the execution now
        └── NoSpaceError                           saving would leave too little of the disk

Each carries one line for the user: what happened, to what, what to do next. Two are for users to raise:

    TransientError            (RuntimeError)       try this node again
    FatalError                (RuntimeError)       do not try it again
"""

from __future__ import annotations


class DurableError(Exception):
    """The root, so that callers can catch whatever durable_nb raises."""

    def _render_traceback_(self) -> list[str]:
        # IPython shows these lines in place of a traceback: the message is the whole story.
        return [f"{type(self).__name__}: {self}"]

    def __str__(self) -> str:
        # KeyError would show the repr of its argument.
        return " ".join(str(a) for a in self.args)


class UsageError(DurableError, ValueError):
    """A magic, option or setting was given something that it does not understand."""


class NotFoundError(DurableError, KeyError):
    """The checkpoint, node, execution or variable that was named does not exist."""


class RefusedError(DurableError, RuntimeError):
    """The request would lose data, and was not forced."""


class NodeError(DurableError, RuntimeError):
    """A node may not run: what it waits for is unfinished, or its name is taken."""


class NodeTimeoutError(DurableError, TimeoutError):
    """An attempt, or all attempts at a node together, took longer than `--timeout` and its like allow."""


class TransientError(RuntimeError):
    """For users to raise: what failed may work the next time, so a node with `--retries` is tried again."""


class FatalError(RuntimeError):
    """For users to raise: trying again is of no use, whatever the cause looks like."""


class StoreError(DurableError, OSError):
    """The store could not do its work."""


class ObjectExistsError(StoreError, FileExistsError):
    """An immutable object of this name is there already: somebody else was first."""


class DamagedError(StoreError, ValueError):
    """What was read is not what was written: a digest, a signature or a file is wrong."""


class UntrustedError(StoreError, PermissionError):
    """The record was not signed by this user, nor chosen to be trusted: it is not unpickled."""


class FencedError(StoreError, PermissionError):
    """Another kernel took the execution over: what this one writes no longer counts."""


class NoSpaceError(StoreError):
    """The disk would be fuller than `min_free` allows."""
