from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from durable_nb.store.garbage import collect
from durable_nb.store.owner import current_owner
from durable_nb.store.repository import Repository
from durable_nb.store.thinning import candidates, thin
from durable_nb.store.writer import Writer

from .samples import commit, values

Reopen = Callable[[], Repository]
MB = 1 << 20


def _run(writer: Writer) -> None:
    commit(writer, {"a": os.urandom(MB)})
    commit(writer, {"n": os.urandom(MB)}, kind="node", body={"node": "load"})
    commit(writer, {"a": os.urandom(MB)}, kind="manual", body={"pinned": True})
    commit(writer, {"n": os.urandom(MB)}, kind="node", body={"node": "load"})
    for _ in range(4):
        commit(writer, {"a": os.urandom(MB)})


def test_plain_cells_go_before_superseded_nodes_and_the_rest_stays(writer: Writer, reopen: Reopen) -> None:
    _run(writer)
    assert [p.version for p in candidates(reopen().history("run"))] == [1, 5, 6, 7, 2]


def test_no_more_goes_than_must(writer: Writer, reopen: Reopen) -> None:
    _run(writer)
    repository = reopen()
    repository.packs.refresh()
    assert thin(repository, repository.history("run"), 0) == []
    # The first value of `a` is that of the node's first checkpoint too, so it is not freed with v1.
    assert thin(repository, repository.history("run"), MB) == [1, 5]
    assert thin(repository, repository.history("run"), 100 * MB) == [1, 5, 6, 7, 2]


def test_a_store_is_kept_within_its_size(writer: Writer, reopen: Reopen) -> None:
    old = reopen().create("old", replace(current_owner(), start_time=0.0))
    for _ in range(3):
        commit(old, {"a": os.urandom(MB)})
    old.end("COMPLETED")
    _run(writer)
    newest, last_of_old = values(reopen(), "run"), values(reopen(), "old")
    repository = reopen()
    gone = repository.thinning.run(writer, 9 * MB + 100_000, grace=0)
    assert gone == [("old", 1), ("old", 2)], "older executions first"
    assert repository.bytes_stored() <= 9 * MB + 100_000
    repository.thinning.run(writer, 5 * MB, grace=0)
    assert values(reopen(), "run") == newest
    assert values(reopen(), "old") == last_of_old
    assert reopen().history("run").checkpoints()[3].retired is False
    assert reopen().verify() == []
    assert collect(reopen(), grace=0).packs == 0


def test_a_store_that_is_small_enough_is_left_alone(writer: Writer, reopen: Reopen) -> None:
    _run(writer)
    repository = reopen()
    repository.keep_within(writer, 1 << 40)
    assert len(reopen().history("run").records) == 8
