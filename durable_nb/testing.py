"""For testing what runs under durable_nb: real kernels to kill, and a real shell in this process.

    with Kernel(tmp_path / "analysis.ipynb") as kernel:
        kernel.run("%load_ext durable_nb")
        kernel.run("x = 1")
        kernel.send(f"open({str(marker)!r}, 'x').close(); import time; time.sleep(60)")
        until_running(marker)
        kernel.kill()
        kernel.restart()
        kernel.run("%load_ext durable_nb")
        assert kernel.run("x").text == "1"

Needs `durable_nb[demo]`; `shell` needs nothing but durable_nb itself.
"""

from __future__ import annotations

import builtins
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
    from jupyter_client.blocking.client import BlockingKernelClient

TIMEOUT = 60.0
"""Seconds after which waiting for a kernel is an error."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a cell."""

    status: str
    """ok, error, aborted; died: the kernel was gone before it answered"""
    outputs: tuple[Mapping[str, Any], ...]
    """as nbformat has them: streams joined, displays updated, cleared"""
    error: str
    """"NameError: name 'x' is not defined"; "" where nothing was raised"""
    count: int | None = None
    """the number in `In [3]`"""

    @property
    def text(self) -> str:
        """Everything shown as plain text, streams, results and displays in order; no tracebacks."""
        parts = [o["text"] if o["output_type"] == "stream" else _plain(o) for o in self.outputs]
        return "\n".join(part.rstrip("\n") for part in parts if part)


def _plain(output: Mapping[str, Any]) -> str:
    return str(output.get("data", {}).get("text/plain", ""))


class Kernel:
    """A real ipykernel of this Python, started as Jupyter's server starts it. It runs from construction on.

    Leaving a `with` block shuts it down in order where it still runs; after an error in the block it is
    killed.

    Args:
        notebook: path of the notebook that the kernel believes to run (`JPY_SESSION_NAME`), which need not
            exist; its folder, which must, is the working directory.
        env: environment variables to set, over those of this process; None takes one out.
        isolated: keep key and profile in `.home` beside the notebook, away from the user's own.
        known: False starts a kernel that is not told its notebook's path, as nbclient does.
        person: say that a person could answer, as front ends do; nobody does.
    """

    def __init__(
        self,
        notebook: str | Path,
        *,
        env: Mapping[str, str | None] | None = None,
        isolated: bool = True,
        known: bool = True,
        person: bool = False,
    ) -> None:
        from jupyter_client.manager import KernelManager

        self._person = person
        self.notebook = Path(notebook).absolute()
        folder = self.notebook.parent
        wanted: dict[str, str | None] = dict(_isolation(folder)) if isolated else {}
        wanted["JPY_SESSION_NAME"] = str(self.notebook) if known else None
        wanted |= env or {}
        environ = {**os.environ, **wanted}
        self._manager = KernelManager()
        self._manager.start_kernel(
            cwd=str(folder),
            env={name: value for name, value in environ.items() if value is not None},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._client = self._connected()
        self._stopped = False
        self._early: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self.alive and not self._stopped:
            self.shutdown()
        else:
            self._end(now=True)

    @property
    def alive(self) -> bool:
        """Whether the process runs; True for one that is stopped."""
        return bool(self._manager.is_alive())

    @property
    def pid(self) -> int:
        """Id of the kernel's process."""
        pid: int = self._provisioner.pid
        return pid

    def run(self, source: str, *, cell_id: str | None = None, timeout: float = TIMEOUT) -> Reply:
        """Run a cell as a front end does, and wait for its end.

        Raises:
            TimeoutError: neither answered nor dead after `timeout` seconds.
        """
        return self.reply(self.send(source, cell_id=cell_id), timeout=timeout)

    def run_all(self, cells: Iterable[str | Mapping[str, Any]], *, timeout: float = TIMEOUT) -> list[Reply]:
        """Run cells in order until one fails, as Run All does. Returns a reply for each that ran.

        A cell is its source, or a cell as nbformat has it: then its id is passed on, and text is left out.
        """
        replies: list[Reply] = []
        for cell in cells:
            if isinstance(cell, str):
                replies.append(self.run(cell, timeout=timeout))
            elif cell["cell_type"] == "code":
                replies.append(self.run(cell["source"], cell_id=cell.get("id"), timeout=timeout))
            else:
                continue
            if replies[-1].status != "ok":
                break
        return replies

    def send(self, source: str, *, cell_id: str | None = None) -> str:
        """Start a cell without waiting; `reply` takes what is returned."""
        content = {
            "code": source,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": self._person,
            "stop_on_error": True,
        }
        metadata = {"cellId": cell_id} if cell_id else {}
        session: Any = self._client.session
        message = session.msg("execute_request", content, metadata=metadata)
        self._client.shell_channel.send(message)
        sent: str = message["header"]["msg_id"]
        return sent

    def reply(self, sent: str, *, timeout: float = TIMEOUT) -> Reply:
        """Wait for the end of a cell, or of the kernel. What other cells show meanwhile is dropped.

        Raises:
            TimeoutError: neither came within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        shown = _Shown()
        while True:
            message = self._next("iopub", sent, deadline)
            if message is None:
                return Reply("died", tuple(shown.outputs), "")
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
            shown.take(message)
        message = self._next("shell", sent, deadline)
        if message is None:
            return Reply("died", tuple(shown.outputs), "")
        content = message["content"]
        error = f"{content['ename']}: {content['evalue']}" if "ename" in content else ""
        return Reply(content["status"], tuple(shown.outputs), error, content.get("execution_count"))

    def until_shown(self, sent: str, text: str, *, timeout: float = TIMEOUT) -> None:
        """Wait until a cell has printed `text`, and so is in the middle of its work.

        `reply` still has all that it shows.

        Raises:
            TimeoutError: it has not within `timeout` seconds.
            RuntimeError: it ended, or the kernel died, without.
        """
        deadline = time.monotonic() + timeout
        shown = ""
        while text not in shown:
            message = self._receive("iopub", sent, deadline)
            if message is None or message["content"].get("execution_state") == "idle":
                raise RuntimeError(f"the cell ended without {text!r}; it has shown {shown!r}")
            self._early.append(message)
            shown += message["content"].get("text", "")

    def value(self, expression: str) -> str:
        """The `repr` of an expression, evaluated between cells. durable_nb sees that code ran, not which."""
        request = self._client.execute("", silent=True, user_expressions={"it": expression})
        message = self._next("shell", request, time.monotonic() + TIMEOUT)
        if message is None:
            raise RuntimeError("the kernel died")
        found = message["content"]["user_expressions"]["it"]
        if found["status"] != "ok":
            raise RuntimeError(f"{found['ename']}: {found['evalue']}")
        return str(found["data"]["text/plain"])

    def kill(self) -> None:
        """SIGKILL: the kernel gets no chance to do anything. Returns when it is dead."""
        os.kill(self.pid, signal.SIGKILL)
        self._provisioner.process.wait(TIMEOUT)
        self._stopped = False

    def stop(self) -> None:
        """SIGSTOP: the kernel stands still, as on a laptop that sleeps."""
        self._stopped = True
        os.kill(self.pid, signal.SIGSTOP)

    def cont(self) -> None:
        """SIGCONT: it goes on."""
        os.kill(self.pid, signal.SIGCONT)
        self._stopped = False

    def interrupt(self) -> None:
        """What the ■ button does."""
        self._manager.interrupt_kernel()

    def restart(self, *, clean: bool = True) -> None:
        """What the ⟳ button does; a kernel that died is started anew, as Jupyter does by itself.

        With `clean=False` it is killed first, wherever it stands.
        """
        if not clean and self.alive:
            self.kill()
        self._client.stop_channels()
        self._manager.restart_kernel(now=not self.alive)
        self._client = self._connected()

    def shutdown(self) -> None:
        """End the kernel in order, as Shut Down does. Returns when it is gone."""
        self._end(now=not self.alive)

    @property
    def _provisioner(self) -> Any:
        return self._manager.provisioner

    def _connected(self) -> BlockingKernelClient:
        client = self._manager.client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=TIMEOUT)
        except RuntimeError:
            client.stop_channels()
            self._manager.shutdown_kernel(now=True)
            self._manager.cleanup_resources()
            raise
        return client

    def _next(self, channel: str, request: str, deadline: float) -> dict[str, Any] | None:
        early = self._early if channel == "iopub" else []
        while early:
            message = early.pop(0)
            if message["parent_header"]["msg_id"] == request:
                return message
        return self._receive(channel, request, deadline)

    def _receive(self, channel: str, request: str, deadline: float) -> dict[str, Any] | None:
        """The next message that answers a request; None: the kernel died, and everything it sent was read."""
        get = self._client.get_iopub_msg if channel == "iopub" else self._client.get_shell_msg
        while True:
            alive = self.alive
            try:
                message: dict[str, Any] = get(timeout=0.1)
            except queue.Empty:
                if not alive:
                    return None
                if time.monotonic() > deadline:
                    raise TimeoutError("the kernel has not answered in time") from None
                continue
            if message["parent_header"].get("msg_id") == request:
                return message

    def _end(self, *, now: bool) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=now)
        self._manager.cleanup_resources()


class _Shown:
    """The outputs below a cell, message by message."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, Any]] = []
        self._displays: dict[str, list[dict[str, Any]]] = {}
        self._clearing = False

    def take(self, message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        if kind == "clear_output":
            self._clearing = True
            if content["wait"]:
                return
        shows = kind in {"stream", "display_data", "execute_result", "error"}
        if self._clearing and (shows or kind == "clear_output"):
            self.outputs.clear()
            self._clearing = False
        display = content.get("transient", {}).get("display_id")
        if kind == "update_display_data":
            for output in self._displays.get(display, ()):
                output.update(data=content["data"], metadata=content["metadata"])
        elif shows:
            self._add(message, display)

    def _add(self, message: dict[str, Any], display: str | None) -> None:
        import nbformat

        output = dict(nbformat.v4.output_from_msg(message))
        last = self.outputs[-1] if self.outputs else {}
        if output["output_type"] == "stream" and last.get("name") == output["name"]:
            last["text"] += output["text"]
            return
        self.outputs.append(output)
        if display:
            self._displays.setdefault(display, []).append(output)


def until_running(marker: str | Path, *, timeout: float = TIMEOUT) -> None:
    """Wait until a cell has made the file `marker`, and so is in the middle of its work.

    Raises:
        TimeoutError: it has not within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not Path(marker).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{marker} was not made in {timeout:.0f} s")
        time.sleep(0.005)


@contextmanager
def shell(folder: str | Path, notebook: str | None = "notebook.ipynb") -> Iterator[InteractiveShell]:
    """A real IPython shell in this process, with the extension loaded: quick, but nothing to kill.

    Store, key and profile are in `folder`, which is the working directory. With `notebook=None` the path of
    the notebook is unknown. One at a time, and not inside IPython. As a pytest fixture:

        @pytest.fixture
        def shell(tmp_path):
            with durable_nb.testing.shell(tmp_path) as shell:
                yield shell
    """
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    place = Path(folder).absolute()
    before, here = dict(os.environ), Path.cwd()
    hook, main = sys.displayhook, sys.modules["__main__"]
    ours = {name: builtins.__dict__.get(name) for name in ("get_ipython", "display")}
    os.environ.update(_isolation(place))
    os.environ.pop("JPY_SESSION_NAME", None)
    if notebook is not None:
        os.environ["JPY_SESSION_NAME"] = str(place / notebook)
    os.chdir(place)
    config = Config()
    config.HistoryManager.enabled = False
    InteractiveShell.clear_instance()
    instance = InteractiveShell.instance(config=config)
    extensions: Any = instance.extension_manager
    try:
        extensions.load_extension("durable_nb")
        yield instance
    finally:
        extensions.unload_extension("durable_nb")
        InteractiveShell.clear_instance()
        sys.displayhook, sys.modules["__main__"] = hook, main
        for name, value in ours.items():
            if value is None:
                builtins.__dict__.pop(name, None)
            else:
                builtins.__dict__[name] = value
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)


def run(shell: InteractiveShell, source: str, *, cell_id: str | None = None) -> ExecutionResult:
    """Run a cell in a shell of this process as a front end does: recorded, with a number."""
    result: ExecutionResult = shell.run_cell(source, store_history=True, cell_id=cell_id)
    return result


def _isolation(folder: Path) -> dict[str, str]:
    """Environment variables that keep key and profile of a test away from the user's own."""
    home = folder / ".home"
    home.mkdir(exist_ok=True)  # IPython warns where it is missing
    return {"JUPYTER_DATA_DIR": str(home / "jupyter"), "IPYTHONDIR": str(home / "ipython")}
