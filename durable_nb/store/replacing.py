"""Deleting packs while others go on writing: what both collecting and merging do.

What is to be deleted is published first (`condemned`), then everything is looked at again, then it is
deleted. A writer looks the other way round: it publishes its record, then looks at what is condemned.
So one of the two sees the other, whichever way they interleave, and neither waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from durable_nb.errors import DamagedError, NotFoundError
from durable_nb.store.condemned import condemn, condemned
from durable_nb.store.packs import build

if TYPE_CHECKING:
    from durable_nb.store.repository import Repository


def clear_left_over(repository: Repository) -> None:
    """Take back what was condemned by a process that died since."""
    for notice in condemned(repository.objects):
        if notice.is_left_over(time.time()):
            repository.objects.delete(notice.key)


def copy(repository: Repository, wanted: Mapping[str, list[str]]) -> tuple[set[str], int]:
    """Write the chunks wanted of each pack to new packs; the packs that could be read, and bytes written."""
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


def delete(
    repository: Repository,
    doomed: set[str],
    grace: float,
    sleep: Callable[[float], object],
    needed: Callable[[], set[str]] | None = None,
) -> tuple[set[str], int]:
    """Condemn packs, and delete those whose chunks are elsewhere or not needed.

    Args:
        repository: the store.
        doomed: the packs.
        grace: seconds between condemning and deleting.
        sleep: what waits.
        needed: says which chunks are, asked after the packs are condemned; None: all are.

    Returns:
        The packs that were deleted, and their bytes.
    """
    objects, index = repository.objects, repository.packs
    notice = condemn(objects, doomed, time.time())
    freed, deleted = 0, set[str]()
    try:
        if grace:
            sleep(grace)
        # In this order: what others condemn stays listed until its packs are gone.
        gone = {pack for other in condemned(objects) if other.key != notice.key for pack in other.packs}
        index.refresh()
        now = index.contents()
        live = None if needed is None else needed()
        covered = {
            d for pack, chunks in now.items() if pack not in doomed and pack not in gone for d in chunks
        }
        for pack in sorted(doomed & now.keys()):
            if any(d not in covered and (live is None or d in live) for d in now[pack]):
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
    return deleted, freed


def _size(repository: Repository, pack: str) -> int:
    try:
        return repository.objects.size(pack)
    except NotFoundError:
        return 0
