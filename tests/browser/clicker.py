"""Clicks on widgets as JupyterLab sends them, without a browser.

    with Kernel(tmp_path / "analysis.ipynb") as kernel, Clicker(kernel) as clicker:
        kernel.run("import ipywidgets\nbutton = ipywidgets.Button()")
        click = clicker.click(clicker.comm_of("button"))
        assert clicker.handled(click)

Where the kernel has subshells, they are asked for, as Lab does by default: one for all widgets. What kernels
make of that differs. A click while a cell runs is handled after the cell on the main thread by ipykernel 6.31
and 7.4, and at once on the subshell's thread by 7.3.
"""

from __future__ import annotations

import ast
import queue
import time
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient

from durable_nb.testing import TIMEOUT, Kernel

from .closing import Closing


class Clicker(Closing):
    """A second front end of a kernel that is idle now, which has only a mouse and a keyboard for widgets."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        # Not the manager's: its clients share an identity, and so would each get some of the answers.
        self._client = BlockingKernelClient(connection_file=kernel._manager.connection_file)
        self._client.load_connection_file()
        self._client.start_channels()
        with self.opening():
            self._client.wait_for_ready(timeout=TIMEOUT)
            self.subshell = self._new_subshell()
        self._handled: set[str] = set()

    def close(self) -> None:
        """Listen no longer."""
        self._client.stop_channels()

    def comm_of(self, expression: str) -> str:
        """The id of a widget's comm; the kernel has to be idle."""
        return str(ast.literal_eval(self._kernel.value(f"({expression}).comm.comm_id")))

    def click(self, comm: str) -> str:
        """Press a button; `handled` takes what is returned."""
        return self.send(comm, {"method": "custom", "content": {"event": "click"}})

    def send(self, comm: str, data: dict[str, Any]) -> str:
        """Send a message of any kind to a comm; `handled` takes what is returned."""
        message = self._client.session.msg("comm_msg", {"comm_id": comm, "data": data})
        if self.subshell is not None:
            message["header"]["subshell_id"] = self.subshell
        self._client.shell_channel.send(message)
        sent: str = message["header"]["msg_id"]
        return sent

    def handled(self, sent: str, *, timeout: float = TIMEOUT) -> bool:
        """Whether the kernel is through with a message, `timeout` seconds from now at the latest."""
        deadline = time.monotonic() + timeout
        while sent not in self._handled:
            try:
                message = self._client.get_iopub_msg(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return False
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                self._handled.add(message["parent_header"].get("msg_id", ""))
        return True

    def _new_subshell(self) -> str | None:
        session = self._client.session
        asked = session.msg("kernel_info_request")
        self._client.control_channel.send(asked)
        info = self._answer(asked)
        if "kernel subshells" not in info.get("supported_features", ()):
            return None
        asked = session.msg("create_subshell_request")
        self._client.control_channel.send(asked)
        return str(self._answer(asked)["subshell_id"])

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        while True:
            reply = self._client.get_control_msg(timeout=TIMEOUT)
            if reply["parent_header"].get("msg_id") == asked["header"]["msg_id"]:
                content: dict[str, Any] = reply["content"]
                return content
