"""Puts small packs together, while others read and write.

Each commit is a pack of its own, and who opens a store looks into every pack. Nothing need be known of
the checkpoints for this: a pack goes once all of its chunks are in others.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from durable_nb.store.condemned import condemn, condemned_packs
from durable_nb.store.replacing import clear_left_over, copy, delete

if TYPE_CHECKING:
    from durable_nb.store.repository import Repository

MANY = 64
"""So many small packs are merged."""

_SMALL = 1 << 20
_AT_ONCE = 64 << 20
_GRACE = 5.0


def small_packs(contents: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Those to merge: of less than a MiB, smallest first, where there are many; else none."""
    sizes = sorted((sum(chunks.values()), pack) for pack, chunks in contents.items())
    total = itertools.accumulate(size for size, _ in sizes)
    small = [p for (size, p), so_far in zip(sizes, total, strict=True) if size < _SMALL and so_far < _AT_ONCE]
    return small if len(small) >= MANY else []


def merge(
    repository: Repository, grace: float = _GRACE, sleep: Callable[[float], object] = time.sleep
) -> int:
    """Merge the small packs if there are many; returns how many were deleted.

    Args:
        repository: the store.
        grace: seconds between condemning and deleting, as in a collection.
        sleep: what waits.
    """
    objects, index = repository.objects, repository.packs
    clear_left_over(repository)
    # Whoever removes what was forgotten waits until nobody copies what may have been read before.
    copying = condemn(objects, (), time.time())
    try:
        index.refresh()
        avoid = condemned_packs(objects)
        contents = {pack: chunks for pack, chunks in index.contents().items() if pack not in avoid}
        wanted: dict[str, list[str]] = {}
        seen: set[str] = set()
        for pack in small_packs(contents):
            wanted[pack] = [digest for digest in contents[pack] if digest not in seen]
            seen.update(contents[pack])
        doomed, _ = copy(repository, wanted) if wanted else (set[str](), 0)
    finally:
        objects.delete(copying.key)
    if not doomed:
        return 0
    return len(delete(repository, doomed, grace, sleep)[0])
