from __future__ import annotations

import ast
import io
import json
import sys
import threading
from typing import Any

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import HTML, clear_output, display

from durable_nb.shell.outputs import Recorder, replay

from .kernels import kernel

RECORD = """
import json
from durable_nb.shell.outputs import Recorder, replay

recorder, recorded = Recorder(get_ipython()), []
get_ipython().events.register("pre_run_cell", lambda info: "# record" in info.raw_cell and recorder.start())
get_ipython().events.register(
    "post_run_cell", lambda result: "# record" in result.info.raw_cell and recorded.append(recorder.stop())
)

class Picture:
    def _repr_png_(self):
        return b"\\x89PNG\\r\\n\\x1a\\n fake"
"""

CELLS = {
    "streams": """
import sys
print('a')
print('b', file=sys.stderr)
print('c')""",
    "displays between prints": """
from IPython.display import HTML
print('a')
display(HTML('<b>'), metadata={'k': 1})
print('b')""",
    "picture": "display(Picture())",
    "result": "print('before')\n[1, 2]",
    "result with a figure after it": """
events = get_ipython().events
def figure():
    events.unregister('post_execute', figure)
    display(Picture())
events.register('post_execute', figure)
'the axes'""",
    "silenced": "print('only this')\n7;",
    "async": """
import asyncio
print('a')
await asyncio.sleep(0.01)
print('b')
display(Picture())
'end'""",
    "clear": """
from IPython.display import clear_output
print('gone')
clear_output()
print('left')""",
    "clear, waiting": """
print('gone')
clear_output(wait=True)
print('left')""",
    "clear, waiting for nothing": "print('left')\nclear_output(wait=True)",
    "updated display": "h = display('one', display_id=True)\nprint('x')\nh.update('two')",
    "child process": "!echo from a child",
    "thread": """
import threading
t = threading.Thread(target=print, args=('t',))
t.start()
t.join()""",
    "magic": "%precision 3",
}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with kernel(tmp_path_factory.mktemp("first")) as running:
        running.run(RECORD)
        yield running


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with kernel(tmp_path_factory.mktemp("second")) as running:
        running.run("from durable_nb.shell.outputs import replay")
        yield running


def _joined(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without counts, and streams as ipykernel sends them: each on its own until something else is shown."""
    found: list[dict[str, Any]] = []
    streams: dict[str, dict[str, Any]] = {}
    for output in outputs:
        name = output.get("name")
        if name in streams:
            streams[name]["text"] += output["text"]
            continue
        found.append({k: v for k, v in output.items() if k != "execution_count"})
        streams = {**streams, name: found[-1]} if name else {}
    return found


@pytest.mark.parametrize("name", CELLS)
def test_what_is_recorded_is_what_the_user_saw_and_sees_again(first: Any, second: Any, name: str) -> None:
    seen = first.run("# record\n" + CELLS[name])
    recorded = json.loads(ast.literal_eval(first.value("json.dumps(recorded[-1])")))
    assert _joined(recorded) == _joined(seen)
    again = second.run(f"replay(get_ipython(), {recorded!r})")
    assert _joined(again) == _joined(seen)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x", outputs=recorded)])
    nbformat.validate(nbformat.from_dict(notebook))


def test_a_thread_of_an_earlier_cell_is_not_recorded_with_this_one(first: Any) -> None:
    first.run("""
import threading
go, done = threading.Event(), threading.Event()
def late():
    go.wait(30)
    print('late')
    done.set()
threading.Thread(target=late).start()""")
    seen = first.run("# record\ngo.set()\ndone.wait(30)\nprint('mine')")
    recorded = json.loads(ast.literal_eval(first.value("json.dumps(recorded[-1])")))
    assert recorded == seen


def _recorded(shell: InteractiveShell, recorder: Recorder, code: str) -> list[dict[str, Any]]:
    recorder.start()
    shell.run_cell(code, store_history=True)
    return recorder.stop()


def test_a_bare_shell_records_the_same_once(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.user_ns.update(display=display, HTML=HTML, clear_output=clear_output)
    recorder = Recorder(shell)
    outputs = _recorded(shell, recorder, "print('a')\ndisplay(HTML('<b>'))\n1 + 1")
    assert [o["output_type"] for o in outputs] == ["stream", "display_data", "execute_result"]
    assert outputs[0]["text"] == "a\n"
    assert outputs[1]["data"]["text/html"] == "<b>"
    assert outputs[2]["data"] == {"text/plain": "2"}
    assert "Out[1]: 2" in capsys.readouterr().out
    assert _recorded(shell, recorder, "print('a')\nclear_output()\n1 / 0") == []


def test_stopping_leaves_no_trace_and_may_be_done_twice(shell: InteractiveShell) -> None:
    owners = [sys.stdout, sys.stderr, shell.display_pub, shell.displayhook]
    before = [dict(vars(owner)) for owner in owners]
    recorder = Recorder(shell)
    assert recorder.stop() == []
    recorder.start()
    recorder.start()
    assert [dict(vars(owner)) for owner in owners] != before
    assert recorder.stop() == []
    assert [dict(vars(owner)) for owner in owners] == before
    assert recorder.stop() == []


def test_a_hook_on_top_of_ours_survives_us(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    stream, seen = io.StringIO(), []
    monkeypatch.setattr(sys, "stdout", _Writable(stream))
    recorder = Recorder(shell)
    recorder.start()
    below = sys.stdout.write
    monkeypatch.setattr(sys.stdout, "write", lambda text: (seen.append(text), below(text))[1])
    recorder.stop()
    print("x", end="")
    assert "".join(seen) == "x"
    assert stream.getvalue() == "x"


class _Writable:
    def __init__(self, stream: io.StringIO) -> None:
        self.write, self.flush = stream.write, stream.flush


def test_long_outputs_are_cut_and_say_so(shell: InteractiveShell) -> None:
    shell.user_ns.update(display=display)
    recorder = Recorder(shell, limit_bytes=100, total_bytes=300)
    (stream,) = _recorded(shell, recorder, "for _ in range(50): print('0123456789')")
    assert stream["text"].startswith("0123456789\n" * 9)
    assert stream["text"].endswith("… 450 more characters were not recorded\n")
    (shown,) = _recorded(shell, recorder, "display({'text/plain': 'p', 'image/png': 'x' * 200}, raw=True)")
    assert shown["data"] == {"text/plain": "p\n… 200 more characters were not recorded\n"}
    outputs = _recorded(shell, recorder, "for _ in range(40): display({'text/plain': 'x' * 50}, raw=True)")
    assert len(outputs) == 7
    assert outputs[-1]["text"] == "… 34 more outputs were not recorded\n"


def test_an_updated_display_counts_once(shell: InteractiveShell) -> None:
    shell.user_ns.update(display=display)
    recorder = Recorder(shell, limit_bytes=100, total_bytes=150)
    code = (
        "h = display(display_id=True)\nfor i in range(100): h.update({'text/plain': f'{i} ' * 20}, raw=True)"
    )
    (shown,) = _recorded(shell, recorder, code)
    assert shown["data"]["text/plain"] == "99 " * 20


def test_widgets_are_kept_as_text(shell: InteractiveShell) -> None:
    shell.user_ns.update(display=display)
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}
    recorder = Recorder(shell)
    outputs = _recorded(
        shell,
        recorder,
        f"display({view | {'text/plain': 'IntSlider()'}}, raw=True)\ndisplay({view}, raw=True)",
    )
    assert [o["data"] for o in outputs] == [{"text/plain": "IntSlider()"}, {"text/plain": "(a widget)"}]


def test_what_cannot_be_recorded_is_shown_all_the_same(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(dict[str, Any]):
        def items(self) -> Any:
            raise RuntimeError

    recorder = Recorder(shell)
    recorder.start()
    shell.display_pub.publish(Broken({"text/plain": "shown"}))
    assert recorder.stop() == []
    assert capsys.readouterr().out == "shown\n"


def test_what_we_say_ourselves_is_no_output_of_the_cell(shell: InteractiveShell) -> None:
    recorder = Recorder(shell)
    recorder.start()
    with recorder.unrecorded():
        print("ours")
        shell.display_pub.publish({"text/plain": "ours"})
    print("theirs")
    assert [output["text"] for output in recorder.stop()] == ["theirs\n"]


def test_threads_lose_nothing(shell: InteractiveShell) -> None:
    recorder = Recorder(shell)
    recorder.start()
    threads = [
        threading.Thread(target=lambda: [sys.stdout.write("x") for _ in range(1000)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (stream,) = recorder.stop()
    assert stream["text"] == "x" * 4000


def test_a_result_that_others_follow_is_shown_in_its_place(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    result = {
        "output_type": "execute_result",
        "data": {"text/plain": "RES"},
        "metadata": {},
        "execution_count": 1,
    }
    after = {"output_type": "stream", "name": "stdout", "text": "after"}
    assert replay(shell, [result, after]) is None
    out = capsys.readouterr().out
    assert out.index("RES") < out.index("after")
    assert repr(replay(shell, [after, result])) == "RES"
    assert replay(shell, []) is None
