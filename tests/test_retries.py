"""A node that fails is tried again where that can help, on the state before it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

import durable_nb
from durable_nb.engine import watch
from durable_nb.errors import NodeError, NodeTimeoutError, UsageError
from durable_nb.model import NodeStatus

if TYPE_CHECKING:
    from conftest import Notebook

Said = Callable[[], str]


def error_of(notebook: Notebook, cell: str) -> BaseException:
    result = notebook.cell(cell)
    error = result.error_in_exec or result.error_before_exec
    assert error is not None
    return error


def statuses(notebook: Notebook, node: str) -> list[str]:
    durable_nb.session().settle()
    return [a["status"] for a in notebook.attempts() if a["node"] == node]


COUNT = "tried = []\nimport builtins\nbuiltins.outside = []"


@pytest.fixture
def counted(notebook: Notebook) -> Notebook:
    """`outside` is not of the namespace: it counts what a rollback does not undo."""
    notebook.run(COUNT)
    return notebook


def outside() -> list[object]:
    import builtins

    found: list[object] = builtins.outside  # type: ignore[attr-defined]
    return found


FLAKY = """
    %%node fetch --retries 3 --backoff 0.01
    outside.append(len(tried))
    tried.append(1)
    if len(outside) < 3: raise ConnectionError("no route")
    len(tried)
"""


def test_a_transient_error_is_tried_again_on_the_state_before_the_node(counted: Notebook, said: Said) -> None:
    assert counted.run(FLAKY) == 1  # shown as the value of a plain cell is
    assert outside() == [0, 0, 0]  # each attempt began with what was before
    assert counted["tried"] == [1]
    assert statuses(counted, "fetch") == ["FAILED", "FAILED", "COMPLETED"]
    assert "attempt 1 of 3" in said()


def test_without_rollback_an_attempt_goes_on_with_what_the_failed_one_left(counted: Notebook) -> None:
    counted.run(FLAKY.replace("--retries 3", "--retries 3 --no-rollback"))
    assert outside() == [0, 1, 2]


def test_attempts_end(counted: Notebook, said: Said) -> None:
    error = error_of(
        counted, "%%node fetch --retries --backoff 0.01\noutside.append(1); raise TimeoutError('slow')"
    )
    assert type(error) is TimeoutError
    assert len(outside()) == 3
    assert "has failed 3 times" in said()
    assert statuses(counted, "fetch") == ["FAILED"] * 3
    assert durable_nb.session().keeper.nodes["fetch"].status is NodeStatus.FAILED


@pytest.mark.parametrize(
    "line",
    [
        "raise TypeError('no')",
        "1/0",
        "raise KeyError('k')",
        "assert False",
        "raise MemoryError",
        "raise KeyboardInterrupt",
    ],
)
def test_what_cannot_get_better_is_not_tried_again(counted: Notebook, line: str) -> None:
    error_of(counted, f"%%node fetch --retries 3 --backoff 0\noutside.append(1); {line}")
    assert len(outside()) == 1


def test_an_error_of_the_users_own_is_tried_again_on_request(counted: Notebook) -> None:
    counted.run("class Busy(Exception): pass")
    body = "outside.append(1)\nif len(outside) < 2: raise Busy"
    counted.run(f"%%node fetch --retries 3 --backoff 0 --retry-on Busy\n{body}")
    outside().clear()
    counted.run("import durable_nb as durable")
    counted.run(
        "%%node mail --retries 2 --backoff 0\noutside.append(1)\n"
        "if len(outside) < 2: raise durable.TransientError('later')"
    )
    assert len(outside()) == 2
    error_of(
        counted,
        "%%node bad --retries 2 --backoff 0\noutside.append(1)\n"
        "raise durable.FatalError('never') from ConnectionError()",
    )
    assert len(outside()) == 3


def test_the_error_is_shown_as_that_of_a_plain_cell(counted: Notebook) -> None:
    error = error_of(counted, "%%node fetch --retries 2 --backoff 0\nx = 1\n\nraise TimeoutError('slow')")
    assert error.__traceback__ is not None
    lines = []
    trace = error.__traceback__
    while trace is not None:
        lines.append((trace.tb_frame.f_code.co_name, trace.tb_lineno))
        trace = trace.tb_next
    assert lines[-1][1] == 4


def test_no_name_is_left_behind(counted: Notebook) -> None:
    before = counted.names()
    counted.run(FLAKY)
    assert counted.names() == before


def test_an_await_cell_is_tried_again(counted: Notebook) -> None:
    value = counted.run("""
        %%node fetch --retries 3 --backoff 0.01
        import asyncio
        await asyncio.sleep(0)
        outside.append(1)
        if len(outside) < 3: raise ConnectionError
        len(outside)
    """)
    assert value == 3


def test_a_node_that_touches_what_cannot_be_kept_is_not_tried_again(counted: Notebook, said: Said) -> None:
    counted.run("rows = (i for i in range(10))")
    cell = "%%node read --retries 3 --backoff 0\noutside.append(next(rows))\nraise ConnectionError"
    error_of(counted, cell)
    assert len(outside()) == 1
    assert "`rows`" in said()
    error_of(counted, cell.replace("--retries 3", "--retries 3 --no-rollback"))
    assert len(outside()) == 4


def test_what_a_server_asks_for_is_waited_for(counted: Notebook) -> None:
    counted.run("""
        class Busy(Exception):
            status_code = 429
            headers = {"Retry-After": "0.4"}
            class response:
                status_code = 429
                headers = {"Retry-After": "0.4"}
    """)
    start = time.monotonic()
    counted.run("%%node fetch --retries 2 --backoff 0\noutside.append(1)\nif len(outside) < 2: raise Busy")
    assert time.monotonic() - start >= 0.4


@pytest.mark.parametrize(
    "body",
    [
        "import time; time.sleep(30)",
        "while True: pass",
        "import os; r, w = os.pipe(); os.read(r, 1)",
        "import threading; threading.Event().wait(30)",
        "import subprocess; subprocess.run(['sleep', '30'])",
        "import asyncio; await asyncio.sleep(30)",
        "import time, asyncio; await asyncio.sleep(0); time.sleep(30)",
        "while True:\n    try: import time; time.sleep(30)\n    except Exception: pass",
    ],
)
def test_an_attempt_that_takes_too_long_is_ended(counted: Notebook, body: str) -> None:
    start = time.monotonic()
    error = error_of(counted, f"%%node slow --timeout 0.2s\nx = 1\n{body}")
    assert time.monotonic() - start < 5
    assert type(error) is NodeTimeoutError
    assert "--timeout 0.2 s" in str(error)
    assert counted.run("%%node quick --timeout 5s\n1 + 1") == 2  # nothing of it is left


def test_a_timeout_is_tried_again_until_the_total_is_over(counted: Notebook) -> None:
    start = time.monotonic()
    error = error_of(
        counted,
        "%%node slow --retries 50 --backoff 0.05 --timeout 0.1 --total-timeout 0.8\n"
        "outside.append(1)\nwhile True: pass",
    )
    assert isinstance(error, NodeTimeoutError)
    assert 0.3 < time.monotonic() - start < 5
    assert 1 < len(outside()) < 15


def test_a_heartbeat_holds_off_the_idle_limit_and_tells_the_next_attempt(counted: Notebook) -> None:
    counted.run("import durable_nb as durable, time")
    value = counted.run("""
        %%node long --retries 3 --backoff 0 --idle-timeout 0.4
        before = durable.heartbeat()
        outside.append(before)
        for i in range(8):
            time.sleep(0.1)
            durable.heartbeat({"row": i})
        if before is None: time.sleep(5)
        before
    """)
    assert value == {"row": 7}
    assert outside() == [None, {"row": 7}]


def test_code_that_cannot_be_interrupted_is_named_and_reported_when_it_ends(
    counted: Notebook, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_AGAIN", 0.1)
    monkeypatch.setattr(watch, "_GRACE", 0.2)
    error = error_of(
        counted,
        "%%node slow --timeout 0.1\nimport hashlib\n"
        "hashlib.pbkdf2_hmac('sha512', b'x', b'y', 4_000_000)\nwhile True: pass",
    )
    assert "cannot be interrupted" in str(error)
    assert "does not let itself be interrupted" in said()


def test_a_key_of_idempotency_is_the_same_for_all_attempts(counted: Notebook) -> None:
    counted.run("import durable_nb as durable")
    body = "outside.append(durable.idempotency_key())\nif len(outside) < 2: raise ConnectionError"
    counted.run(f"%%node pay --retries 3 --backoff 0\n{body}", f"%%node pay --retries 3 --backoff 0\n{body}")
    first, second, third = outside()
    assert first == second != third
    assert re.fullmatch("[0-9a-f]{32}", str(first))
    assert isinstance(error_of(counted, "durable.idempotency_key()"), NodeError)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("--retries many", "--retries"),
        ("--retries 0", "--retries"),
        ("--backoff soon", "--backoff"),
        ("--retires 3", "--retries"),
        ("--timeout -1", "--timeout"),
    ],
)
def test_a_wrong_option_is_named(counted: Notebook, options: str, named: str) -> None:
    error = error_of(counted, f"%%node fetch {options}\noutside.append(1)")
    assert isinstance(error, UsageError)
    assert named in str(error)
    assert outside() == []


@pytest.mark.parametrize("body", ["break", "continue", "return 1", "x = (", "yield 1"])
def test_what_would_be_no_python_in_a_plain_cell_is_none_here(counted: Notebook, body: str) -> None:
    assert isinstance(error_of(counted, f"%%node odd --retries 3\n{body}"), SyntaxError)


def test_future_imports_and_star_imports_work(counted: Notebook) -> None:
    counted.run(
        "%%node a --retries 2\nfrom __future__ import annotations\nfrom math import *\n"
        "def f(x: Unknown): pass\npi"
    )
    assert counted["f"].__annotations__ == {"x": "Unknown"}


def test_what_happens_is_told_once_it_is_kept(counted: Notebook) -> None:
    seen: list[tuple[str, str | None, int]] = []

    def note(event: object) -> None:
        name, node, attempt = (getattr(event, key) for key in ("name", "node", "attempt"))
        seen.append((name, node, attempt))

    counted.run("n = 1")
    durable_nb.session().settle()
    execution = durable_nb.session().keeper.execution
    end = durable_nb.subscribe(f"/topic/progress/{execution}", note)
    counted.run(FLAKY, "m = 1")
    durable_nb.session().settle()
    assert seen == [
        ("NodeStartEvent", "fetch", 1), ("NodeErrorEvent", "fetch", 1),
        ("NodeStartEvent", "fetch", 2), ("NodeErrorEvent", "fetch", 2),
        ("NodeStartEvent", "fetch", 3), ("NodeCompletionEvent", "fetch", 3), ("StateChangeEvent", None, 0),
    ]  # fmt: skip
    end()
    counted.run("m = 2")
    assert len(seen) == 7
    found = durable_nb.summary()
    assert (found.total, found.completed, found.percentage) == (1, 1, 100.0)


def test_all_failed_attempts_are_shown_with_their_variables(counted: Notebook, said: Said) -> None:
    counted.run(
        "def ask(host, token='s3cret'):\n    size = len(host)\n    raise ConnectionError(f'no {host}')"
    )
    error_of(counted, "%%node fetch --retries 2 --backoff 0\nask('example.org')")
    said()
    counted.run("%durable show fetch --traceback")
    shown = said()
    assert shown.count("ConnectionError: no example.org") == 2
    assert "attempt 2" in shown
    assert "size = 11" in shown
    assert "s3cret" not in shown


def test_a_failure_can_be_debugged_in_a_later_kernel(counted: Notebook) -> None:
    import sys

    counted.run("def ask(host):\n    parts = host.split('.')\n    raise ValueError(host)")
    error_of(counted, "%%node fetch\nask('example.org')")
    counted.restart()
    counted.run("%durable debug fetch")
    trace = sys.last_value.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    assert trace is not None
    assert trace.tb_frame.f_locals["parts"] == ["example", "org"]


def test_an_error_checkpoint_is_never_the_newest(counted: Notebook) -> None:
    counted.run("data = [1]")
    error_of(counted, "%%node fetch\ndata.append(2)\nraise ValueError")
    counted.restart()
    assert counted["data"] == [1]


def test_a_variable_that_cannot_be_kept_is_in_the_way_only_where_it_is_touched(counted: Notebook) -> None:
    counted.run("rows = (i for i in range(10))", "import durable_nb as durable", "ended = durable.subscribe")
    assert counted.run(FLAKY) == 1
    assert outside() == [0, 0, 0]


def test_what_ends_a_subscription_can_be_kept(counted: Notebook) -> None:
    counted.run(
        "import durable_nb as durable", "stop = durable.subscribe('/topic/progress/*', lambda e: None)"
    )
    counted.restart()
    counted.run("stop()")


def test_the_users_own_errors_are_shown_with_their_place(counted: Notebook, said: Said) -> None:
    counted.run("import durable_nb as durable", "def ask():\n    raise durable.FatalError('never')")
    said()
    error_of(counted, "%%node fetch --retries 3\nask()")
    assert "ask()" in re.sub(r"\x1b\[[0-9;]*m", "", said())


def test_a_node_that_is_not_known_is_not_skipped(counted: Notebook) -> None:
    counted.run("x = 1")
    assert isinstance(error_of(counted, "%durable skip fecth"), KeyError)


def test_a_value_that_is_set_by_hand_is_python(counted: Notebook) -> None:
    counted.run("x = 1", '%durable set name = "a  b" + str(x)')
    assert counted["name"] == "a  b1"


def test_a_restore_from_elsewhere_fences_the_attempt_that_runs(counted: Notebook, said: Said) -> None:
    counted.run("import asyncio\nimport durable_nb as durable", "data = [1]")
    version = durable_nb.checkpoint().version
    counted.run(f"""
        %%node slow --retries 3
        data.append(2)
        async def other(): durable.recover({version})
        going = asyncio.ensure_future(other())
        await asyncio.sleep(0.2)
    """)
    assert "does not count as finished" in said()
    durable_nb.session().settle()
    assert durable_nb.session().keeper.nodes["slow"].status is NodeStatus.INTERRUPTED
    counted.restart()
    assert counted["data"] == [1]


def test_a_node_may_restore_by_itself(counted: Notebook) -> None:
    counted.run("import durable_nb as durable", "data = [1]")
    version = durable_nb.checkpoint().version
    counted.run(f"%%node back\ndata.append(2)\ndurable.recover({version})")
    durable_nb.session().settle()
    assert durable_nb.session().keeper.nodes["back"].status is NodeStatus.COMPLETED
    assert counted["data"] == [1]


def test_a_full_disk_costs_the_record_and_not_the_cell_nor_its_variables(
    counted: Notebook, said: Said
) -> None:
    counted.run("data = [1]")
    durable_nb.session().settle()
    counted.run("%config Durable.min_free = 10**15", "data.append(2)")
    assert (
        counted.run("%%node fetch --retries 3 --backoff 0\noutside.append(1); data.append(3); len(data)") == 3
    )
    assert "not recorded" in said()
    error_of(
        counted,
        "%%node other --retries 3 --backoff 0\noutside.append(1); data.append(4)\nraise ConnectionError",
    )
    assert outside() == [1, 1]
    assert counted["data"] == [1, 2, 3, 4]  # nothing goes back to what is older than the node
