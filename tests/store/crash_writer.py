"""Dies at every step of a commit: run by test_crash, once for many kills.

For one seed after another, a child goes through a scenario and counts its steps; then one child is
forked for each step, and kills itself there. What it was told is kept comes back through a pipe.
Each line of the output is one child, as JSON; a line of input asks for the next.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Imported once, so that a kill costs no more than a fork.
import pyarrow.parquet

from durable_nb.model import CHUNK, Piece
from durable_nb.store import merging, segment
from durable_nb.store.garbage import collect
from durable_nb.store.objects import LocalFolder
from durable_nb.store.owner import current_owner
from durable_nb.store.packs import digest_of
from durable_nb.store.repository import Repository
from durable_nb.store.signing import Signer
from durable_nb.store.writer import Draft, PendingComponent

SPAN = 3
"""So that a short life fills some segments."""

MANY = 4
"""Small packs that are merged."""

Say = Callable[[str, Any], None]
assert pyarrow.parquet


class DyingFolder(LocalFolder):
    """A disk whose user is killed at a step."""

    _block = 1 << 16

    def __init__(self, path: Path, dies_at: int | None) -> None:
        self.steps = 0
        self.dies_at = dies_at
        super().__init__(path)

    def _step(self, name: str, path: Path) -> None:  # noqa: ARG002 - all steps are alike
        self.steps += 1
        if self.steps == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)


class Scenario:
    """What a kernel does in its life: commits of all kinds, and what goes on around them."""

    def __init__(self, seed: int, repository: Repository, execution: str, say: Say) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - the same steps in each run
        self.repository = repository
        self.execution = execution
        self.say = say
        self.state: dict[str, bytes] = {}
        self.kept: dict[int, dict[str, bytes]] = {}

    def run(self) -> None:
        self.writer = self.repository.create(self.execution, current_owner(), notebook="/n.ipynb")
        self.say("created", None)
        self.commit(a=self.bytes(200_000), b=self.bytes(10))
        self.writer.safe()
        self.say("safe", self.writer.number)
        self.commit(b=self.bytes(5000), c=self.bytes(100))
        self.commit(deleted=["c"])
        self.tidy()
        self.take_over()
        self.commit(d=self.kept[2]["b"])
        self.retire_and_collect()
        self.commit(c=self.kept[2]["b"], e=self.bytes(CHUNK + 1))
        self.roll_back()
        self.commit(f=self.bytes(3000))
        self.tidy()
        self.writer.end("COMPLETED")
        self.say("ended", None)

    def bytes(self, size: int) -> bytes:
        return self.rng.randbytes(self.rng.randint(size // 2, size))

    def commit(self, *, deleted: list[str] | None = None, **new: bytes) -> None:
        number = self.writer.intent({"label": "a cell"})
        self.say("intent", [self.writer.epoch, number])
        components = [
            PendingComponent(
                (name,),
                stream=[Piece(4, data=memoryview(value[:4]))],
                buffers=[(len(value) - 4, False, _pieces(value[4:]))],
            )
            for name, value in new.items()
        ]
        draft = Draft("cell", {}, components, deleted or (), cell=b"a cell", has_state=True)
        record = self.writer.commit(draft)
        self.state = {n: v for n, v in {**self.state, **new}.items() if n not in (deleted or ())}
        self.kept[record.number] = self.state
        self.say("kept", [record.number, {n: digest_of(v) for n, v in self.state.items()}])

    def retire_and_collect(self) -> None:
        self.say("retiring", [1, 2, 3])
        self.writer.commit(Draft("note", {"retire": [1, 2, 3]}))
        collect(self.repository, grace=0)
        self.say("collected", None)

    def tidy(self) -> None:
        self.commit(g=self.bytes(100))
        self.writer.safe()
        self.say("safe", self.writer.number)
        while self.repository.compact(self.execution):
            self.say("compacted", None)
        merging.merge(self.repository, grace=0)

    def roll_back(self) -> None:
        version = sorted(self.kept)[-2]
        self.stand_at(version)

    def take_over(self) -> None:
        self.writer.close()
        self.writer = self.repository.take_over(self.execution, current_owner())
        self.say("taken", self.writer.epoch)
        self.stand_at(max(self.kept))

    def stand_at(self, version: int) -> None:
        self.state = self.kept[version]
        history = self.repository.history(self.execution)
        self.writer.set_state(version, history.state(version), {})


def _pieces(data: bytes) -> list[Piece]:
    view = memoryview(data)
    return [Piece(len(view[i : i + CHUNK]), data=view[i : i + CHUNK]) for i in range(0, len(data), CHUNK)]


def _child(seed: int, store: Path, keys: Path, execution: str, dies_at: int | None, pipe: int) -> None:
    def say(what: str, more: Any) -> None:
        os.write(pipe, json.dumps([what, more]).encode() + b"\n")

    objects = DyingFolder(store, dies_at)
    Scenario(seed, Repository(objects, Signer(keys)), execution, say).run()
    say("steps", objects.steps)


def _fork(seed: int, root: Path, dies_at: int | None) -> dict[str, Any]:
    execution = f"run-{seed}-{dies_at or 0}"
    store = root / execution
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        status = 1
        try:
            _child(seed, store, root / "keys", execution, dies_at, write)
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = [json.loads(line) for line in pipe]
    _, status = os.waitpid(child, 0)
    return {
        "store": str(store),
        "execution": execution,
        "step": dies_at,
        "killed": os.WIFSIGNALED(status),
        "failed": os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0,
        "said": said,
    }


def main(root: Path, seed: int, kills: int) -> None:
    segment.SPAN, merging.MANY = SPAN, MANY
    Signer(root / "keys").sign(b"")
    done = 0
    while done < kills:
        steps = dict(_report(_fork(seed, root, None)))["steps"]
        for step in range(1, min(steps, kills - done) + 1):
            _report(_fork(seed, root, step))
        done += steps
        seed += 1


def _report(child: dict[str, Any]) -> list[list[Any]]:
    print(json.dumps(child), flush=True)
    # Whoever checks says when it is ready for one more.
    sys.stdin.readline()
    said: list[list[Any]] = child["said"]
    return said


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
