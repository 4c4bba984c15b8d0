"""Bringing a state back hangs, or kills the kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_nb.testing import Kernel

LOAD = "%load_ext durable_nb"
MAKE = """\
import os, time
def build(n):
    if os.path.exists('deadly'): os.kill(os.getpid(), 9)
    if os.path.exists('slow') and n > 1 or os.path.exists('slower'): time.sleep(60)
    return Odd(n)
class Odd:
    def __init__(self, n): self.n = n
    def __reduce__(self): return build, (self.n,)"""


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(tmp_path / "nb.ipynb", env={"DURABLE_NB_RECOVERY_TIMEOUT": "0.5"}) as started:
        for cell in (
            LOAD,
            MAKE,
            "odd = Odd(1)",
            "data = [1]",
            "odd = Odd(2)",
            "data.append(2)",
            "%checkpoint",
        ):
            assert started.run(cell).status == "ok"
        started.kill()
        yield started


def test_a_variable_whose_loading_kills_the_kernel_twice_is_left_out(kernel: Kernel) -> None:
    (kernel.notebook.parent / "deadly").touch()
    for _ in range(2):
        kernel.restart()
        assert kernel.run(LOAD).status == "died"
    kernel.restart()
    report = kernel.run(LOAD)
    assert report.status == "ok"
    assert "odd" in report.text
    assert "killed the kernel" in report.text
    assert kernel.value("data") == "[1, 2]"
    assert kernel.value("'odd' in globals()") == "False"


def test_a_restore_that_hangs_is_given_up_for_an_older_checkpoint(kernel: Kernel) -> None:
    (kernel.notebook.parent / "slow").touch()
    kernel.restart()
    report = kernel.run(LOAD)
    assert report.status == "ok"
    assert "`odd`" in report.text
    assert "recovery_timeout" in report.text
    assert kernel.value("odd.n, data") == "(1, [1])"


def test_where_no_value_of_a_variable_loads_the_rest_comes_back(kernel: Kernel) -> None:
    (kernel.notebook.parent / "slower").touch()
    kernel.restart()
    report = kernel.run(LOAD)
    assert "`odd`" in report.text
    assert kernel.value("data, 'odd' in globals()") == "([1, 2], False)"
