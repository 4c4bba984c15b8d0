"""How much memory is left, as far as the machine and its control group say; and giving back what is free."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

_GROUP = Path("/sys/fs/cgroup")


def available() -> int | None:
    """Bytes that can still be used without swapping; None where the system does not say."""
    found = [n for n in (_of_machine(), _of_group()) if n is not None]
    return min(found, default=None)


def give_back() -> None:
    """Let the system have what was freed, where the allocator keeps it: pickling many objects takes a lot."""
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        arrow.default_memory_pool().release_unused()
    with suppress(AttributeError, OSError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def _of_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    named = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(named["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in named else None


def _of_group() -> int | None:
    try:
        limit = (_GROUP / "memory.max").read_text().strip()
        used = int((_GROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return None
    return max(int(limit) - used, 0) if limit.isdigit() else None
