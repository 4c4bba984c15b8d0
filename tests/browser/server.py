"""A Jupyter server of this Python, for JupyterLab and Notebook 7, with folders of its own.

What a page does not tell, such as a kernel's process, is read from its REST API and the process table.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from .closing import Closing

TIMEOUT = 60.0
"""Seconds after which waiting for a server, a page or a kernel is an error."""

_SETTINGS: dict[str, dict[str, Any]] = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    # Every cell is in the page, also those out of sight.
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    # Nothing pops up over what is looked at.
    "@jupyterlab/completer-extension:manager": {"autoCompletion": False},
}
"""What makes a page repeatable; all else is as a new user gets it."""

_OWN = ("DURABLE_NB", "IPYTHON", "JPY_", "JUPYTER", "XDG_")
"""Environment variables of whoever runs the tests that must not reach server, kernels and browser."""


class LabError(AssertionError):
    """The page, the server or the kernel did not do what was asked in time."""


def environment(home: Path, **more: str) -> dict[str, str]:
    """This process's environment variables, with `home` for everything that is kept for a user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OWN)}
    return {**kept, "HOME": str(home), **more}


class Server(Closing):
    """A server below which `root` is seen; it answers once it is constructed, on 127.0.0.1 only.

    Args:
        root: where the notebooks are.
        home: an empty folder for settings, keys, logs.
        env: environment variables for the kernels.
    """

    def __init__(self, root: Path, home: Path, env: Mapping[str, str] | None = None) -> None:
        self.root = root.resolve()
        self.home = home.resolve()
        self.token = secrets.token_hex(16)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = ""
        self._log = self.home / "server.log"
        self.set_anew()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                    "--expose-app-in-browser",
                    "--JupyterNotebookApp.expose_app_in_browser=True",
                    "--ServerApp.ip=127.0.0.1",
                    f"--ServerApp.port={port}",
                    "--ServerApp.port_retries=50",  # where another process took the port meanwhile
                    f"--ServerApp.root_dir={self.root}",
                    "--ServerApp.terminals_enabled=False",
                    "--LabApp.news_url=None",
                    "--LabApp.extension_manager=readonly",
                    "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
                ],
                cwd=self.root,
                env=environment(
                    self.home,
                    JUPYTER_CONFIG_DIR=str(self.home / "config"),
                    JUPYTER_DATA_DIR=str(self.home / "data"),
                    JUPYTER_RUNTIME_DIR=str(self.home / "runtime"),
                    JUPYTERLAB_SETTINGS_DIR=str(self.home / "settings"),
                    JUPYTERLAB_WORKSPACES_DIR=str(self.home / "workspaces"),
                    IPYTHONDIR=str(self.home / "ipython"),
                    JUPYTER_TOKEN=self.token,  # not on the command line, which anybody can read
                    **env or {},
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        with self.opening():
            self._until_up()

    def close(self) -> None:
        """End the server and with it its kernels, and no process that is not its own."""
        if self._process.poll() is not None:
            return
        children = psutil.Process(self._process.pid).children(recursive=True)
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        _, left = psutil.wait_procs(children, timeout=3)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def log(self, last: int = 40) -> str:
        """The last lines of what the server has said."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-last:])

    def api(self, method: str, path: str) -> Any:
        """What the REST API answers.

        Raises:
            LabError: it refused, or did not answer.
        """
        request = urllib.request.Request(  # noqa: S310
            self.url + path, method=method, headers={"Authorization": f"token {self.token}"}
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(request, timeout=10) as reply:
                text = reply.read()
        except urllib.error.HTTPError as error:
            with error:
                raise LabError(f"{method} {path}: {error.code} {error.read()[:300]!r}") from None
        except OSError as error:
            raise LabError(f"{method} {path}: {error}") from None
        return json.loads(text) if text else None

    def kernel_pid(self, notebook: str) -> int:
        """The process that is the notebook's kernel now.

        Raises:
            LabError: there is none.
        """
        kernels = [s["kernel"]["id"] for s in self.api("GET", "/api/sessions") if s["path"] == notebook]
        for process in psutil.Process(self._process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if any(kernel in argument for kernel in kernels for argument in process.cmdline()):
                    return process.pid
        raise LabError(f"{notebook} has no kernel")

    def shut_down(self, notebook: str) -> None:
        """End the notebook's kernel in order."""
        for session in self.api("GET", "/api/sessions"):
            if session["path"] == notebook:
                self.api("DELETE", f"/api/sessions/{session['id']}")

    def set_anew(self) -> None:
        """Forget what was set in a page, such as its theme."""
        settings = self.home / "settings"
        shutil.rmtree(settings, ignore_errors=True)
        for name, value in _SETTINGS.items():
            extension, plugin = name.split(":")
            file = settings / extension / f"{plugin}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(value))

    def _until_up(self) -> None:
        deadline = time.monotonic() + TIMEOUT
        about = self.home / "runtime" / f"jpserver-{self._process.pid}.json"
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError, json.JSONDecodeError, LabError):
                self.url = json.loads(about.read_text())["url"].rstrip("/")
                self.api("GET", "/api/status")
                return
            time.sleep(0.1)
        raise LabError(f"the server does not answer; it says\n{self.log()}")
