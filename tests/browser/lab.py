"""A notebook in JupyterLab or Notebook 7, used as a person does: with mouse, keyboard and menus.

    with Server(root, home) as server, Lab(server) as lab:
        lab.open("analysis.ipynb")
        lab.run_all()
        lab.cell(1).click("Resume")
        lab.cell(1).wait_text("resumed")

Chromium is the system's, without a window; it resolves no other host, and is driven through a pipe.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import nbformat
from playwright.sync_api import ConsoleMessage, Error, Locator, Page, Request, sync_playwright

from .cell import NOTEBOOK, Cell
from .closing import Closing
from .server import TIMEOUT, LabError, Server, environment

VIEWPORT = (1200, 900)

_FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-first-run",
    "--no-sandbox",  # which does not work for root
]

_STATUS = """() => {
    const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
    if (!context) return 'unknown';
    const kernel = context.session?.kernel;
    if (!kernel) return 'no kernel';
    return kernel.connectionStatus === 'connected' ? kernel.status : kernel.connectionStatus;
}"""

_PROMPTS = """notebook => [...document.querySelectorAll(notebook + ' .jp-Cell')].map(
    cell => cell.matches('.jp-CodeCell') ? cell.querySelector('.jp-InputPrompt').textContent.trim() : '')"""

_WATCH = """notebook => {
    window.watchedStart?.disconnect();
    window.started = false;
    window.watchedStart = new MutationObserver(changes => {
        for (const change of changes) {
            const element = change.target.nodeType === 1 ? change.target : change.target.parentElement;
            if (element?.closest('.jp-InputPrompt')?.textContent.includes('*')) window.started = true;
        }
    });
    window.watchedStart.observe(
        document.querySelector(notebook), {subtree: true, childList: true, characterData: true});
}"""

_PAINTED = """() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"""


def chromium() -> str | None:
    """The browser's path: $CHROMIUM, or the system's."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


class Lab(Closing):
    """One window of a browser, and the notebook that is open in it.

    Cells are counted from 0, those with text too.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.folder = server.root
        """where `new` puts a notebook; also the working directory of its kernel"""
        self.notebook = ""
        """path of the open notebook, below the server's root"""
        self.console: list[str] = []
        """errors and warnings of the page"""
        self.outside: list[str] = []
        """what the page asked of other hosts, and did not get"""
        self._open = ExitStack()
        with self.opening():
            self.page = self._start()

    def close(self) -> None:
        """Close the browser."""
        self._open.close()

    def new(self, cells: Iterable[str], *, ui: Literal["lab", "notebook"] = "lab") -> None:
        """Open a new notebook with these cells, in `folder`."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        path = self.folder / "analysis.ipynb"
        nbformat.write(notebook, path)
        self.open(str(path.relative_to(self.server.root)), ui=ui)

    def open(self, notebook: str, *, ui: Literal["lab", "notebook"] = "lab") -> None:
        """Open a notebook, and wait until its kernel is idle."""
        self.notebook = notebook
        place = {"lab": f"/lab/tree/{notebook}?reset&", "notebook": f"/notebooks/{notebook}?"}[ui]
        url = f"{self.server.url}{place}token={self.server.token}"
        self.page.goto(url, wait_until="domcontentloaded")
        self._until_open()

    def reload(self) -> None:
        """F5."""
        self.page.reload(wait_until="domcontentloaded")
        self._until_open()

    def leave(self) -> None:
        """Close the notebook as it is in its file, end its kernel, and forget what was set meanwhile."""
        self.page.goto("about:blank")
        self.server.shut_down(self.notebook)
        self.server.set_anew()
        self.viewport(*VIEWPORT)
        self.notebook = ""
        self.console.clear()
        self.outside.clear()

    def save(self) -> None:
        """Ctrl+S."""
        self.press("ControlOrMeta+s")
        dirty = "() => window.jupyterapp.shell.currentWidget.context.model.dirty"
        self.until(lambda: not self.page.evaluate(dirty), "saved")

    def cell(self, number: int) -> Cell:
        return Cell(self, number)

    def prompts(self) -> list[str]:
        """[1]:, [*]:, [ ]: by cell; "" for text."""
        found: list[str] = self.page.evaluate(_PROMPTS, NOTEBOOK)
        return found

    def status(self) -> str:
        """The kernel's, as the page has it: idle, busy, restarting, connecting, no kernel..."""
        return str(self.page.evaluate(_STATUS))

    def dialogs(self) -> list[str]:
        """Texts of the open ones."""
        return [text.strip() for text in self.page.locator(".jp-Dialog").all_inner_texts()]

    def until(self, condition: Callable[[], object], what: str, *, timeout: float = TIMEOUT) -> None:
        """Wait until something is so.

        Raises:
            LabError: it was not within `timeout` seconds; says what the page shows instead.
        """
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise LabError(f"not within {timeout:.0f} s: {what}\n{self.describe()}")
            self.page.wait_for_timeout(20)

    def until_idle(self, *, timeout: float = TIMEOUT, quiet: float = 0.25) -> None:
        """Wait until no cell runs or will run, and the outputs are painted."""
        since = 0.0

        def idle() -> bool:
            nonlocal since
            now = time.monotonic()
            if self.status() != "idle" or any("*" in prompt for prompt in self.prompts()):
                since = 0.0
                return False
            since = since or now
            return now - since >= quiet

        self.until(idle, "idle", timeout=timeout)
        self.page.evaluate(_PAINTED)

    def until_dialog(self, text: str, *, timeout: float = TIMEOUT) -> str:
        """Wait until a dialog has this text; returns all of its text."""
        dialog = self.page.locator(".jp-Dialog", has_text=text).first
        self.until(dialog.is_visible, f"a dialog with {text!r}", timeout=timeout)
        return dialog.inner_text()

    def until_new_kernel(self, old: int) -> None:
        """Wait until the kernel is another process than `old`, and idle."""

        def new() -> bool:
            with contextlib.suppress(LabError):
                return self.kernel_pid() != old
            return False

        self.until(new, f"a kernel that is not process {old}")
        self.until_idle(quiet=0.5)

    def press(self, *keys: str) -> None:
        """Press keys, such as "Escape" or "ControlOrMeta+s", wherever the focus is."""
        for key in keys:
            self.page.keyboard.press(key)

    def menu(self, *path: str) -> None:
        """Click through the menu bar; the ellipsis after a label need not be given."""
        bar = self.page.locator(".lm-MenuBar-item").filter(has_text=_exactly(path[0]))
        self.until(bar.first.is_visible, f"the menu {path[0]!r}")
        bar.first.click()
        for label in path[1:]:
            text = self.page.locator(".lm-Menu-itemLabel").filter(has_text=_exactly(label, "(…|\\.\\.\\.)?"))
            self.until(text.first.is_visible, f"{label!r} in the menu")
            text.first.click()

    def toolbar(self, name: str) -> None:
        """Press a button above the notebook."""
        bar = self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-NotebookPanel-toolbar")
        button = bar.get_by_role("button", name=name)
        self.until(button.first.is_visible, f"the button {name!r} above the notebook")
        button.first.click()

    def answer(self, label: str) -> None:
        """Press a button of the dialog."""
        button = self.page.locator(".jp-Dialog button").filter(has_text=_exactly(label))
        self.until(button.first.is_visible, f"a dialog with the button {label!r}")
        button.first.click()
        self.until(lambda: not button.count(), "the dialog gone")

    def run_all(self, *, wait: bool = True) -> None:
        """Run > Run All Cells; returns when all of them ran, or the first one does."""
        with self.started("Run All Cells"):
            self.menu("Run", "Run All Cells")
        if wait:
            self.until_idle()

    def interrupt(self) -> None:
        """Press ■."""
        self.toolbar("Interrupt the kernel")

    def restart(self) -> None:
        """Kernel > Restart Kernel..., and yes."""
        old = self.kernel_pid()
        self.menu("Kernel", "Restart Kernel")
        self.answer("Restart")
        self.until_new_kernel(old)

    def theme(self, name: str) -> None:
        """Settings > Theme > "JupyterLab Dark", or another."""
        self.menu("Settings", "Theme", name)
        body = self.page.locator(f'body[data-jp-theme-name="{name}"]')
        self.until(body.count, f"the theme {name!r}")
        self.page.evaluate(_PAINTED)

    def viewport(self, width: int, height: int) -> None:
        """Set the size of the window's inside, in pixels."""
        self.page.set_viewport_size({"width": width, "height": height})

    @contextlib.contextmanager
    def started(self, what: str) -> Iterator[None]:
        """Wait, at the end of the block, until what was done in it has set a cell to [*]."""
        self.page.evaluate(_WATCH, NOTEBOOK)
        yield
        self.until(lambda: self.page.evaluate("() => window.started"), f"{what} started")

    def kernel_pid(self) -> int:
        """The process that is the notebook's kernel now."""
        return self.server.kernel_pid(self.notebook)

    def kill_kernel(self) -> int:
        """SIGKILL, as from the system's out-of-memory killer. Returns the process's id, and does not wait."""
        pid = self.kernel_pid()
        os.kill(pid, signal.SIGKILL)
        return pid

    def screenshot(self, path: Path) -> None:
        """A picture of the window as it is."""
        self.page.screenshot(path=path)

    def describe(self) -> str:
        """The page's state in words."""
        try:
            lines = [
                f"url: {self.page.url}",
                f"kernel: {self.status()}",
                f"dialogs: {self.dialogs()}",
                *(f"cell {n}: {p} {self.cell(n).text()[:1000]!r}" for n, p in enumerate(self.prompts())),
            ]
        except Error as error:
            lines = [f"the page does not answer: {error}"]
        return "\n".join([*lines, *self.console[-5:], "the server says:", self.server.log(12)])

    def keep(self, folder: Path) -> None:
        """Write what the page shows and has said into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        log = self.server.log(1000)
        (folder / "page.txt").write_text("\n".join([self.describe(), "", *self.console, "", log]))
        with contextlib.suppress(Error):
            self.screenshot(folder / "page.png")
            (folder / "page.html").write_text(self.page.content())

    def _start(self) -> Page:
        home = self.server.home / "browser"
        home.mkdir()
        playwright = self._open.enter_context(sync_playwright())
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=_FLAGS, env={**environment(home)}, timeout=TIMEOUT * 1000
        )
        self._open.callback(browser.close)
        page = browser.new_page(viewport={"width": VIEWPORT[0], "height": VIEWPORT[1]})
        page.set_default_timeout(TIMEOUT * 1000)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.console.append(f"error: {error}"))
        page.on("request", self._asked)
        page.on("dialog", lambda dialog: dialog.accept())  # "Leave site?"
        return page

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.console.append(f"{message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        if re.match("(http|ws)s?://", request.url) and not request.url.startswith(self.server.url):
            self.outside.append(request.url)

    def _until_open(self) -> None:
        first: Locator = self.page.locator(f"{NOTEBOOK} .jp-Cell").first
        self.until(first.is_visible, f"the cells of {self.notebook}")
        self.until_idle()


def _exactly(label: str, then: str = "") -> re.Pattern[str]:
    return re.compile(rf"^\s*{re.escape(label)}\s*{then}\s*$")
