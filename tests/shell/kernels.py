from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel


@contextmanager
def kernel(cwd: Path) -> Iterator[Kernel]:
    manager, client = start_new_kernel(
        kernel_name="python3",
        cwd=str(cwd),
        stderr=subprocess.DEVNULL,
        extra_arguments=["--HistoryManager.enabled=False"],
    )
    try:
        yield Kernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


class Kernel:
    """A real kernel, and what a front end would show of its cells."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self._client = client

    def run(self, code: str, *, person: bool = False) -> list[dict[str, Any]]:
        """The cell's outputs as nbformat has them: streams joined, displays updated, cleared."""
        outputs: list[dict[str, Any]] = []
        displays: dict[str, list[dict[str, Any]]] = {}
        clearing = False

        def hook(message: dict[str, Any]) -> None:
            nonlocal clearing
            kind, content = message["msg_type"], message["content"]
            if kind == "clear_output":
                clearing = True
            shows = kind in {"stream", "display_data", "execute_result", "error"}
            if clearing and (shows or not content.get("wait", True)):
                outputs.clear()
                clearing = False
            display = content.get("transient", {}).get("display_id")
            if kind == "update_display_data":
                for output in displays.get(display, ()):
                    output.update(data=content["data"], metadata=content["metadata"])
            elif shows:
                output = dict(nbformat.v4.output_from_msg(message))
                last = outputs[-1] if outputs else {}
                if kind == "stream" and last.get("name") == output["name"]:
                    last["text"] += output["text"]
                else:
                    outputs.append(output)
                    displays.setdefault(display, []).append(output)

        self._client.execute_interactive(code, timeout=60, output_hook=hook, allow_stdin=person)
        return outputs

    def value(self, expression: str) -> str:
        reply = self._client.execute(
            "", silent=True, user_expressions={"x": expression}, reply=True, timeout=60
        )
        found = reply["content"]["user_expressions"]["x"]
        assert found["status"] == "ok", found
        return str(found["data"]["text/plain"])
