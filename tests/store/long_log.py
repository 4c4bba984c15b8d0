"""Writes the log of a long execution without living through it: what its commits would have left."""

from __future__ import annotations

import time
from typing import Any

from durable_nb.store import segment
from durable_nb.store.entry import entry_of, seal
from durable_nb.store.log import root_hex, weight
from durable_nb.store.owner import current_owner
from durable_nb.store.packs import digest_of
from durable_nb.store.records import record_key, segment_key
from durable_nb.store.repository import Repository
from durable_nb.store.signing import Head


def write(
    repository: Repository, execution: str, count: int, *, variables: int = 20, loose: int = 100
) -> None:
    """A log of `count` cells that each set one of some variables; all but the newest are compacted."""
    writer = repository.create(execution, current_owner(), notebook="/long.ipynb")
    opened = repository.history(execution).epochs[1].digest
    parent, root = "", 0
    state: dict[str, str] = {}
    rows, entries = [], []
    for number in range(1, count + 1):
        name, manifest = f"v{number % variables}", digest_of(b"%d" % number)
        root += weight(name, manifest) - (weight(name, state[name]) if name in state else 0)
        state[name] = manifest
        fields: dict[str, Any] = {
            "execution": execution,
            "epoch": 1,
            "number": number,
            "parent": parent,
            "bases": [1],
            "opened": opened,
            "intents": 0,
            "time": 1.7e9 + number,
            "kind": "cell",
            "body": {
                "attempt": {
                    "n": number,
                    "node": None,
                    "label": f"cell {number}",
                    "source": digest_of(b"v = %d" % number),
                    "status": "COMPLETED",
                    "started": 1.7e9 + number,
                    "seconds": 0.1,
                    "setup": False,
                    "after": [],
                    "scan": "",
                    "inputs": {},
                    "unsaved": [],
                    "cell_id": f"{number:08x}",
                },
                "cell": digest_of(b"cell %d" % number),
                "packs": [f"packs/{digest_of(b'pack %d' % number)[:32]}.parquet"],
                "state": {
                    "parent": number - 1 or None,
                    "set": {name: manifest},
                    "del": [],
                    "root": root_hex(root),
                    # Names of variables repeat, so this many deltas are a state written whole.
                    "full": None,
                },
            },
        }
        if number % 64 == 0:
            fields["body"]["state"]["full"] = _whole(repository, state)
        row, parent = seal(fields, repository.signer)
        entries.append(entry_of("", {"format": 1, **fields}, parent, signed=True))
        rows.append(row)
        if len(rows) == segment.SPAN and number <= count - loose:
            data = segment.build(execution, entries, rows, repository.signer)
            repository.objects.put(segment_key(execution, segment.index_of(number)), data)
            entries, rows = [], []
    for entry, row in zip(entries, rows, strict=True):
        repository.objects.put(record_key(execution, entry.record.number, 1), row)
    head = Head(count, 1, parent, repository.objects.name, "/long.ipynb")
    repository.signer.set_head(execution, head)
    writer.close()


def _whole(repository: Repository, state: dict[str, str]) -> str:
    from durable_nb.model import canonical
    from durable_nb.store.packs import build

    data = canonical(state)
    digest = digest_of(data)
    for pack in build([(digest, data)]):
        repository.objects.put(pack.key, pack.data)
    return digest


if __name__ == "__main__":
    import sys
    from pathlib import Path

    from durable_nb.store.signing import Signer

    root = Path(sys.argv[1])
    start = time.perf_counter()
    write(Repository.open(root / "store", signer=Signer(root / "keys")), "run", int(sys.argv[2]))
    print(f"written in {time.perf_counter() - start:.1f} s")
