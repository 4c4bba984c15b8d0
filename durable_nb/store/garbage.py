"""Deletes what no checkpoint needs, while others go on writing (see `replacing`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from durable_nb.store.compaction import compact_idle
from durable_nb.store.condemned import condemned
from durable_nb.store.merging import small_packs
from durable_nb.store.reach import Reach
from durable_nb.store.replacing import clear_left_over, copy, delete

if TYPE_CHECKING:
    from durable_nb.store.repository import Repository

_WORTH_KEEPING = 0.5
_PASSES = 3
_LOOK = 0.1
_LOOKS = 100


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection did."""

    freed: int
    """bytes given back, less those that were written anew"""
    packs: int
    """packs that were deleted"""
    rewritten: int
    """packs among them whose live chunks were copied to a new one"""


def collect(
    repository: Repository,
    grace: float = 60.0,
    sleep: Callable[[float], None] = time.sleep,
    *,
    force: bool = False,
) -> Collected:
    """Delete the packs that nothing needs, and rewrite those that are mostly not needed or small.

    Args:
        repository: the store; all its executions count, whoever wrote them.
        grace: seconds between condemning and deleting, for writers that are about to publish. A
            shorter one is as safe, and makes them write more often what was condemned.
        sleep: what waits.
        force: collect although some execution is damaged, and let go of what only it could name.

    Raises:
        RefusedError: an execution is damaged, so what it needs cannot be known.
    """
    compact_idle(repository)
    clear_left_over(repository)
    reach = Reach(repository, force=force)
    found, forgotten = _collect(repository, reach, grace, sleep)
    for _ in range(_PASSES):
        if not forgotten or not _copied_since(repository, forgotten, sleep):
            break
        more, forgotten = _collect(repository, reach, grace, sleep)
        found = Collected(
            found.freed + more.freed, found.packs + more.packs, found.rewritten + more.rewritten
        )
    return found


def _collect(
    repository: Repository, reach: Reach, grace: float, sleep: Callable[[float], None]
) -> tuple[Collected, set[str]]:
    """Once; also what was forgotten and is needed by nothing else."""
    index = repository.packs
    index.refresh()
    contents = index.contents()
    live = reach.live()
    forgotten = reach.forgotten() - live
    homes = _homes(contents, live)
    doomed: set[str] = set()
    sparse = set(small_packs(contents))
    for pack, chunks in contents.items():
        held = sum(size for digest, size in chunks.items() if homes.get(digest) == pack)
        if not any(homes.get(digest) == pack for digest in chunks):
            doomed.add(pack)
        elif held < _WORTH_KEEPING * sum(chunks.values()) or forgotten & chunks.keys():
            sparse.add(pack)
    wanted = {p: [d for d in contents[p] if homes.get(d) == p] for p in sorted(sparse - doomed)}
    copied, written = copy(repository, wanted)
    if not doomed and not copied:
        return Collected(0, 0, 0), forgotten
    deleted, freed = delete(repository, doomed | copied, grace, sleep, reach.live)
    return Collected(freed - written, len(deleted), len(deleted & copied)), forgotten


def _copied_since(repository: Repository, forgotten: set[str], sleep: Callable[[float], None]) -> bool:
    """Whether somebody who was merging packs has copied what was forgotten. Waits for who still does."""
    for _ in range(_LOOKS):
        notices = condemned(repository.objects)
        if not any(not other.packs and not other.is_left_over(time.time()) for other in notices):
            break
        sleep(_LOOK)
    repository.packs.refresh()
    return any(forgotten & chunks.keys() for chunks in repository.packs.contents().values())


def _homes(contents: dict[str, dict[str, int]], live: set[str]) -> dict[str, str]:
    """For each chunk that is needed, the one pack to keep it in: that which is needed most."""
    weight = {pack: sum(n for d, n in chunks.items() if d in live) for pack, chunks in contents.items()}
    homes: dict[str, str] = {}
    for pack in sorted(contents, key=lambda pack: (-weight[pack], pack)):
        for digest in contents[pack]:
            if digest in live:
                homes.setdefault(digest, pack)
    return homes
