"""What hangs is ended; what does not is left alone, and so are the user's own alarms."""

from __future__ import annotations

import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from durable_nb.state.deadline import ExpiredError, uninterrupted, within


@pytest.fixture(autouse=True)
def alarms() -> Iterator[list[float]]:
    """The times at which the user's own alarm came."""
    came: list[float] = []
    due, interval = signal.setitimer(signal.ITIMER_REAL, 0)
    before = signal.signal(signal.SIGALRM, lambda *_: came.append(time.monotonic()))
    yield came
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    signal.setitimer(signal.ITIMER_REAL, due, interval)


def _loop() -> None:
    while True:
        pass


def _retry() -> None:
    while True:
        with suppress(Exception):  # as bad retry loops do
            time.sleep(60)


def _locked() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


class _Hangs:
    def __reduce__(self) -> Any:
        threading.Event().wait()


def _reduce() -> None:
    pickle.dumps([_Hangs()])


@pytest.mark.parametrize("hang", [_loop, _retry, _locked, _reduce])
def test_what_hangs_is_ended(hang: Callable[[], None]) -> None:
    start = time.monotonic()
    with pytest.raises(ExpiredError, match=r"longer than 0\.2 s"):
        within(0.2, hang)
    assert time.monotonic() - start < 10


def test_what_swallows_the_first_interrupt_gets_another() -> None:
    interrupts: list[BaseException] = []

    def stubborn() -> None:
        for _ in range(2):
            try:
                time.sleep(60)
            except BaseException as error:
                interrupts.append(error)
        time.sleep(60)

    with pytest.raises(ExpiredError):
        within(0.05, stubborn)
    assert len(interrupts) == 2


def test_nothing_comes_once_the_work_is_done(alarms: list[float]) -> None:
    handler = signal.getsignal(signal.SIGALRM)
    assert within(0.05, lambda: 42) == 42
    with pytest.raises(ZeroDivisionError):
        within(0.05, lambda: 1 / 0)
    with pytest.raises(ExpiredError):
        within(0.05, _loop)
    assert signal.getsignal(signal.SIGALRM) is handler
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    time.sleep(0.2)
    assert alarms == []


def test_a_limit_that_ends_with_the_work_never_reaches_what_follows() -> None:
    for i in range(400):
        work_ends = time.monotonic() + 0.001 + i * 1e-6

        def work(ends: float = work_ends) -> None:
            while time.monotonic() < ends:
                pass

        try:
            within(0.0012, work)
        except ExpiredError:
            continue
        for _ in range(200):
            pass  # here it would arrive
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_alarm_of_the_users_own_comes_afterwards(alarms: list[float]) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    within(5, lambda: time.sleep(0.15))
    ended = time.monotonic()
    time.sleep(0.05)
    (came,) = alarms
    assert came - ended < 0.05

    signal.setitimer(signal.ITIMER_REAL, 60, 7)
    within(5, lambda: time.sleep(0.05))
    left, interval = signal.getitimer(signal.ITIMER_REAL)
    assert 55 < left < 60
    assert interval == 7


def test_in_another_thread_and_with_zero_there_is_no_limit() -> None:
    assert within(0, lambda: 42) == 42
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(within(0.01, lambda: time.sleep(0.05) or 42)))
    thread.start()
    thread.join()
    assert found == [42]


def test_an_interrupt_is_held_back_until_the_outermost_block_is_over() -> None:
    steps: list[str] = []

    def work() -> None:
        with uninterrupted():
            with uninterrupted():
                signal.raise_signal(signal.SIGINT)
                steps.append("inner")
            steps.append("outer")
        steps.append("after")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["inner", "outer"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
