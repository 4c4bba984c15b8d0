"""Writes the golden store of the format as it is now: `python -m tests.store.write_golden`.

What an older release wrote stays readable, so a golden store that is there is never written again.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from durable_nb.model import CHUNK, FORMAT, Owner
from durable_nb.store import segment
from durable_nb.store.repository import Repository
from durable_nb.store.signing import Signer
from durable_nb.store.writer import Draft, PendingComponent

from .samples import commit, component, retire, values

GOLDEN = Path(__file__).with_name("golden")

SPAN = 4
"""Records in a segment here, so that a store of a few of them has some."""

NOBODY = Owner(pid=1, start_time=0.0, boot_id="", host="golden", pid_namespace="", user="nobody")


def write(repository: Repository) -> None:
    """Something of everything that a store may hold."""
    writer = repository.create(
        "golden", NOBODY, notebook="/somewhere/a.ipynb", parent="earlier", meta={"folder": "/somewhere"}
    )
    writer.intent({"label": "cell 1"})
    definition = component("P", b"class P" * 200)
    instance = component("p", b"__main__.P", reaches=("P",))
    writer.commit(
        Draft("cell", {"attempt": {"n": 1}}, [definition, instance], cell=b"class P: ...", has_state=True)
    )
    writer.compression = "zstd"
    large = component("large", b"head", b"x" * (CHUNK + 5), b"", b"\0" * 3000)
    writer.commit(Draft("node", {"node": "load", "pinned": True}, [large], has_state=True))
    writer.compression = "none"
    commit(writer, {"a": b"1", "b": b"2" * 2000}, body={"description": "before cleaning"}, kind="manual")
    commit(writer, {"a": b"3"}, deleted=["b"])
    commit(writer, {"secret": b"forget me"}, cell=b"secret = ...")
    manifest = repository.history("golden").state(5)["secret"]
    writer.safe()
    writer = repository.take_over("golden", NOBODY)
    writer.set_state(4, repository.history("golden").state(4), {})
    writer.intent({"label": "cell 2"})
    unsaved = PendingComponent(("s",), {"s": "socket.socket"}, "3.11", unsaved="s: a socket")
    writer.commit(Draft("rollback", {}, [component("c", b"4"), unsaved], has_state=True))
    retire(writer, 1)
    forget = {"names": ["secret"], "manifests": [manifest], "cells": []}
    writer.commit(Draft("note", {"unpin": [2], "pin": [3], "forget": forget}))
    writer.intent({"end": "COMPLETED"})
    writer.end("COMPLETED")
    writer.safe()
    while repository.compact("golden"):
        pass


def told(repository: Repository) -> dict[str, Any]:
    """What the golden store says, as JSON."""
    execution = repository.execution("golden")
    history = repository.history("golden")
    points = history.checkpoints().values()
    names = ("version", "parent", "kind", "node", "description", "pinned", "retired", "changed", "deleted")
    live = [p.version for p in points if not p.retired]
    manifests = repository.components({d for v in live for d in history.state(v).values()})
    found = {
        "notebook": history.notebook,
        "parent": history.parent,
        "meta": history.meta,
        "status": execution.status,
        "epoch": history.epoch,
        "trusted": history.trusted,
        "problems": history.problems,
        "records": [[r.number, r.epoch, r.kind, r.digest] for r in history.records],
        "intents": [[i["label"] for i in history.intents(e) if "label" in i] for e in (1, 2)],
        "checkpoints": [{name: getattr(point, name) for name in names} for point in points],
        "states": {str(version): history.state(version) for version in live},
        "manifests": {digest: m.content() | {"refs": dict(m.refs)} for digest, m in manifests.items()},
        "values": {str(v): _short(values(repository, "golden", v)) for v in live},
        "cells": [repository.cell(r.body["cell"]).decode() for r in history.records if r.body.get("cell")],
    }
    return dict(json.loads(json.dumps(found)))


def _short(found: dict[str, bytes]) -> dict[str, Any]:
    return {
        n: data.decode() if len(data) < 5000 else [len(data), data.count(b"x")] for n, data in found.items()
    }


def main() -> None:
    """Write it, where there is none yet."""
    target = GOLDEN / f"format-{FORMAT}"
    target.mkdir(parents=True)
    segment.SPAN = SPAN
    with tempfile.TemporaryDirectory() as folder:
        keys, store = Path(folder) / "keys", Path(folder) / "store"
        repository = Repository.open(store, signer=Signer(keys))
        write(repository)
        # Neither the heads beside the key nor the locks: they are this machine's.
        shutil.copy(keys / "key", target / "key")
        for part in ("log", "packs"):
            shutil.copytree(store / part, target / "store" / part)
        (target / "told.json").write_text(json.dumps(told(repository), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
