"""Deletes what no checkpoint needs, while others go on writing.

What is to be deleted is published first (`condemned`), then everything is marked again, then it is
deleted. A writer looks the other way round: it publishes its record, then looks at what is condemned.
So one of the two sees the other, whichever way they interleave, and neither waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from durable_nb.errors import DamagedError, NotFoundError
from durable_nb.store.condemned import condemn, condemned
from durable_nb.store.packs import build
from durable_nb.store.reach import Reach

if TYPE_CHECKING:
    from durable_nb.store.repository import Repository

_WORTH_KEEPING = 0.5


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
    """Delete the packs that nothing needs, and rewrite those that are mostly not needed.

    Args:
        repository: the store; all its executions count, whoever wrote them.
        grace: seconds between condemning and deleting, for writers that are about to publish. A
            shorter one is as safe, and makes them write more often what was condemned.
        sleep: what waits.
        force: collect although some execution is damaged, and let go of what only it could name.

    Raises:
        RefusedError: an execution is damaged, so what it needs cannot be known.
    """
    objects, index = repository.objects, repository.packs
    repository.compaction.compact_idle()
    for other in condemned(objects):
        if other.is_left_over(time.time()):
            objects.delete(other.key)
    reach = Reach(repository, force=force)
    index.refresh()
    contents = index.contents()
    live = reach.live()
    forgotten = reach.forgotten() - live
    homes = _homes(contents, live)
    doomed: set[str] = set()
    sparse: set[str] = set()
    for pack, chunks in contents.items():
        held = sum(size for digest, size in chunks.items() if homes.get(digest) == pack)
        if not any(homes.get(digest) == pack for digest in chunks):
            doomed.add(pack)
        elif held < _WORTH_KEEPING * sum(chunks.values()) or forgotten & chunks.keys():
            sparse.add(pack)
    copied, written = _copy(
        repository, {p: [d for d in contents[p] if homes.get(d) == p] for p in sorted(sparse)}
    )
    doomed |= copied
    if not doomed:
        return Collected(0, 0, 0)
    notice = condemn(objects, doomed, time.time())
    freed, deleted = 0, set[str]()
    try:
        if grace:
            sleep(grace)
        # In this order: what others condemn stays listed until its packs are gone.
        gone = {pack for other in condemned(objects) if other.key != notice.key for pack in other.packs}
        index.refresh()
        now = index.contents()
        live = reach.live()
        covered = {
            d for pack, chunks in now.items() if pack not in doomed and pack not in gone for d in chunks
        }
        for pack in sorted(doomed & now.keys()):
            if any(d in live and d not in covered for d in now[pack]):
                covered.update(now[pack])
                continue
            if not objects.exists(notice.key):
                break
            freed += _size(repository, pack)
            objects.delete(pack)
            index.drop(pack)
            deleted.add(pack)
    finally:
        objects.delete(notice.key)
    return Collected(freed - written, len(deleted), len(deleted & sparse))


def _homes(contents: dict[str, dict[str, int]], live: set[str]) -> dict[str, str]:
    """For each chunk that is needed, the one pack to keep it in: that which is needed most."""
    weight = {pack: sum(n for d, n in chunks.items() if d in live) for pack, chunks in contents.items()}
    homes: dict[str, str] = {}
    for pack in sorted(contents, key=lambda pack: (-weight[pack], pack)):
        for digest in contents[pack]:
            if digest in live:
                homes.setdefault(digest, pack)
    return homes


def _copy(repository: Repository, wanted: dict[str, list[str]]) -> tuple[set[str], int]:
    """Write chunks to new packs; the packs that could be read, and the bytes written."""
    copied: set[str] = set()

    def read() -> Iterator[tuple[str, memoryview]]:
        for pack, digests in wanted.items():
            try:
                chunks = list(repository.chunks(digests))
            except (DamagedError, NotFoundError):
                continue
            copied.add(pack)
            yield from chunks

    written, keys = 0, []
    for pack in build(read(), repository.compression):
        repository.objects.put(pack.key, pack.data)
        repository.packs.add(pack)
        keys.append(pack.key)
        written += len(pack.data)
    # The copy takes the place of what may have been safe.
    repository.objects.sync(keys)
    return copied, written


def _size(repository: Repository, pack: str) -> int:
    try:
        return repository.objects.size(pack)
    except NotFoundError:
        return 0
