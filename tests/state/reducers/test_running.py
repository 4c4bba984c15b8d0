"""Locks, queues, context variables: with their state, in a process that never saw them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import queue
import random
import struct
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Again, Trip

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # files stay open, as in notebooks


def test_locks_and_queues_keep_their_state(trip: Trip) -> None:
    lock, rlock = threading.Lock(), threading.RLock()
    event, semaphore = threading.Event(), threading.Semaphore(3)
    condition = threading.Condition(lock)
    full: queue.Queue[int] = queue.Queue(2)
    lock.acquire()
    rlock.acquire()
    rlock.acquire()
    event.set()
    semaphore.acquire()
    full.put(1)
    full.put(2)
    back = trip(lock=lock, rlock=rlock, event=event, semaphore=semaphore, condition=condition, full=full,
                empty=queue.SimpleQueue())  # fmt: skip
    assert back.lock.locked()
    back.condition.release()
    assert not back.lock.locked()
    back.rlock.release()
    back.rlock.release()
    with pytest.raises(RuntimeError):
        back.rlock.release()
    assert back.event.is_set()
    assert [back.semaphore.acquire(blocking=False) for _ in range(3)] == [True, True, False]
    with pytest.raises(queue.Full):
        back.full.put(3, block=False)
    assert [back.full.get(), back.full.get()] == [1, 2]
    assert back.empty.empty()


def test_a_reentrant_lock_of_another_thread_comes_back_free(again: Again) -> None:
    lock = threading.RLock()
    thread = threading.Thread(target=lock.acquire)
    thread.start()
    thread.join()
    assert again(lock).acquire(blocking=False)


def test_context_variables_keep_value_and_default(trip: Trip) -> None:
    plain: contextvars.ContextVar[Any] = contextvars.ContextVar("plain")
    held: contextvars.ContextVar[Any] = contextvars.ContextVar("held", default=(1,))
    back = trip(plain=plain, held=held, same=held)
    assert back.held is back.same
    assert (back.held.name, back.held.get()) == ("held", (1,))
    with pytest.raises(LookupError):
        back.plain.get()


def test_a_context_variable_keeps_the_value_that_was_set(trip: Trip) -> None:
    held: contextvars.ContextVar[Any] = contextvars.ContextVar("held", default=1)

    def inside() -> Any:
        held.set([2])
        return trip(held=held).held.get()

    assert contextvars.copy_context().run(inside) == [2]


def test_small_things_of_the_standard_library(again: Again) -> None:
    local = threading.local()
    local.x = [1]
    assert again(local).x == [1]
    assert again(struct.Struct("<hi")).unpack(b"\1\0\2\0\0\0") == (1, 2)
    assert 0 <= again(random.SystemRandom()).random() < 1
    done: concurrent.futures.Future[int] = concurrent.futures.Future()
    done.set_result(3)
    assert again(done).result() == 3
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    assert again(ended).returncode == 0


def test_the_kernels_event_loop_is_the_loop_there_is(again: Again) -> None:
    async def cell() -> bool:
        loop = asyncio.get_running_loop()
        return again(loop) is loop

    assert asyncio.run(cell())
