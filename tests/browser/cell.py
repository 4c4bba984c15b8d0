"""One cell of the notebook that is open in a `Lab`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import Locator

from .server import TIMEOUT

if TYPE_CHECKING:
    from .lab import Lab

NOTEBOOK = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook"
"""The notebook that is seen."""

_ICONS = "[\\s\\ue000-\\uf8ff]*"
"""Letters of icon fonts, which browsers count to the name of a button."""


class Cell:
    """A cell by its number; it need not exist yet."""

    def __init__(self, lab: Lab, number: int) -> None:
        self._lab = lab
        self._number = number
        self._cell = lab.page.locator(f"{NOTEBOOK} .jp-Cell").nth(number)

    @property
    def output(self) -> Locator:
        """All that is shown below the cell's source."""
        return self._cell.locator(".jp-Cell-outputArea").first

    @property
    def prompt(self) -> str:
        """[1]:, [*]:, [ ]:."""
        return self._lab.prompts()[self._number]

    def text(self) -> str:
        """What a person reads in the output, without `[1]:`; "" where there is none."""
        shown = self.output.inner_text() if self.output.count() else ""
        return re.sub(r"^\[\d+\]:\n", "", shown, flags=re.MULTILINE).strip()

    def html(self) -> str:
        """What the output is made of; "" where there is none."""
        return self.output.inner_html() if self.output.count() else ""

    def wait_text(self, text: str | re.Pattern[str], *, timeout: float = TIMEOUT) -> str:
        """Wait until the output has a text; returns all of its text."""
        self._lab.until(lambda: self._has(text), f"{text!r} in cell {self._number}", timeout=timeout)
        return self.text()

    def wait_gone(self, text: str | re.Pattern[str], *, timeout: float = TIMEOUT) -> None:
        """Wait until the output does not have a text any more."""
        self._lab.until(
            lambda: not self._has(text), f"{text!r} gone from cell {self._number}", timeout=timeout
        )

    def element(self, role: str, name: str | None = None) -> Locator:
        """What has this ARIA role and accessible name in the output; icons are not part of the name."""
        exactly = None if name is None else re.compile(f"^{_ICONS}{re.escape(name)}{_ICONS}$")
        found = self.output.get_by_role(role, name=exactly)
        self._lab.until(found.first.is_visible, f"the {role} {name or ''!r} in cell {self._number}")
        return found.first

    def click(self, name: str, role: str = "button") -> None:
        """Press a button in the output, or what else has the role."""
        self.element(role, name).click()

    def type(self, text: str, name: str | None = None) -> None:
        """Replace what is in a text field of the output, key by key."""
        self.element("textbox", name).click()
        self._lab.press("ControlOrMeta+a")
        self._lab.page.keyboard.type(text)
        if "[*]:" not in self._lab.prompts():
            # ipywidgets sends the next piece when the last one was answered; a click would overtake it.
            self._lab.until_idle()

    def disconnected(self) -> int:
        """How many widgets in the output show that their kernel is gone."""
        return self.output.locator(".jupyter-widgets-disconnected").count()

    def select(self) -> None:
        """Click beside the source: the cell is the active one, in command mode."""
        self._cell.scroll_into_view_if_needed()
        self._cell.locator(".jp-InputPrompt").first.click()
        self._lab.press("Escape")

    def run(self, *, wait: bool = True) -> None:
        """Ctrl+Enter; returns when the cell has run, or when it runs."""
        self.select()
        with self._lab.started(f"cell {self._number}"):
            self._lab.press("ControlOrMeta+Enter")
        if wait:
            self._lab.until_idle()

    def write(self, source: str) -> None:
        """Replace the source, in its editor."""
        self._cell.locator(".cm-content").first.click()
        self._lab.press("ControlOrMeta+a")
        self._lab.page.keyboard.insert_text(source)
        self._lab.press("Escape")

    def screenshot(self, path: Path) -> None:
        """A picture of the output."""
        self.output.scroll_into_view_if_needed()
        self.output.screenshot(path=path)

    def _has(self, text: str | re.Pattern[str]) -> bool:
        found = self.text()
        return text in found if isinstance(text, str) else text.search(found) is not None
