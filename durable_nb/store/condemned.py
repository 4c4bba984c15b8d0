"""Packs that a collection is about to delete: what a writer must not rely on."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from durable_nb.errors import NotFoundError
from durable_nb.model import Liveness, Owner, canonical
from durable_nb.store.objects import Objects
from durable_nb.store.owner import current_owner, liveness

_PREFIX = "condemned/"
_FORGOTTEN = 86400.0


@dataclass(frozen=True, slots=True)
class Condemned:
    """The packs of one collection, published before any of them is deleted."""

    key: str
    packs: frozenset[str]
    time: float
    owner: Owner

    def is_left_over(self, now: float) -> bool:
        """Whether the collection that published it died before its end."""
        alive = liveness(self.owner)
        return alive is Liveness.DEAD or (alive is Liveness.UNKNOWN and now - self.time > _FORGOTTEN)


def condemn(objects: Objects, packs: Iterable[str], time: float) -> Condemned:
    """Publish them."""
    found = Condemned(f"{_PREFIX}{secrets.token_hex(8)}.json", frozenset(packs), time, current_owner())
    value = {"packs": sorted(found.packs), "time": time, "owner": found.owner.to_json()}
    objects.put(found.key, canonical(value))
    return found


def condemned(objects: Objects) -> list[Condemned]:
    """All that is published now."""
    found = []
    for key in objects.list(_PREFIX):
        try:
            raw = json.loads(bytes(objects.get(key)))
            found.append(Condemned(key, frozenset(raw["packs"]), float(raw["time"]), Owner(**raw["owner"])))
        except (NotFoundError, ValueError, KeyError, TypeError):
            # Finished since, or damaged: a collection deletes nothing that its own object does not name.
            continue
    return found


def condemned_packs(objects: Objects) -> frozenset[str]:
    """Keys of the packs that may be gone in a moment."""
    return frozenset().union(*(c.packs for c in condemned(objects)))
