"""Which process owns an execution, and whether it lives: facts, never guesses."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import getpass
import os
import platform
from pathlib import Path

from durable_nb.model import Liveness, Owner

_PROC = Path("/proc")
_SAME_START = 1.0


def current_owner() -> Owner:
    """This process."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid())
    pid = os.getpid()
    return Owner(pid, _start_time(pid) or 0.0, _boot_id(), _host(), _pid_namespace(), user)


def liveness(owner: Owner, lock: Path | None = None) -> Liveness:
    """Whether the owner still runs. `lock` is the file that it holds for life, where there is one."""
    here = (_boot_id(), _host(), _pid_namespace())
    if (owner.boot_id, owner.pid_namespace) == (here[0], here[2]) and (
        owner.boot_id or owner.host == here[1]
    ):
        start = _start_time(owner.pid)
        alive = start is not None and abs(start - owner.start_time) < _SAME_START
        return Liveness.ALIVE if alive else Liveness.DEAD
    held = None if lock is None else _is_held(lock)
    if held:
        return Liveness.ALIVE
    if owner.host == here[1] and owner.boot_id != here[0]:
        return Liveness.DEAD
    # A lock that is free says something only where the owner would have taken it: on this machine.
    if held is False and owner.boot_id and owner.boot_id == here[0]:
        return Liveness.DEAD
    return Liveness.UNKNOWN


class LifeLock:
    """An flock held from opening to `close`, which the system drops when the process ends."""

    def __init__(self, path: Path) -> None:
        """Never fails: a place without locks only makes some questions unanswerable."""
        self._path = path
        self._file: int | None = None
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def close(self) -> None:
        """Let go of the lock."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
            os.close(self._file)
            self._file = None


def _is_held(lock: Path) -> bool | None:
    try:
        file = os.open(lock, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(file)
    return False


def _start_time(pid: int) -> float | None:
    # Counted from boot, so that setting the clock does not make a process look like another.
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        if fields[0] == "Z":
            return None
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except FileNotFoundError:
        if (_PROC / "self" / "stat").exists():
            return None
    except (OSError, ValueError, IndexError):
        pass
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


@functools.cache
def _boot_id() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


@functools.cache
def _host() -> str:
    # Machines made from one image often share a name.
    with contextlib.suppress(OSError):
        return f"{platform.node()}/{Path('/etc/machine-id').read_text().strip()[:12]}"
    return platform.node()


def _pid_namespace() -> str:
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return ""


def oom_kills() -> int | None:
    """Processes that the system has killed here for lack of memory so far; None: it does not say."""
    group = Path("/sys/fs/cgroup/memory.events")
    for file in (group, _PROC / "vmstat"):
        with contextlib.suppress(OSError, ValueError):
            for line in file.read_text().splitlines():
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count)
    return None
