"""Steering by clicks on the dashboard: never while code runs, or what it did is being kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from durable_nb.engine.session import Session
from durable_nb.errors import RefusedError
from durable_nb.ui import render, screen

if TYPE_CHECKING:
    from durable_nb.shell.extension import Extension
    from durable_nb.ui.dashboard import Dashboard


class Steering:
    """Cells and clicks take turns. What comes of code is told as IPython's events tell it."""

    def __init__(self, extension: Extension) -> None:
        self.dashboard: Dashboard | None = None
        self._extension = extension
        self._session: Session | None = None
        """None: it is over"""
        self._running: Any = None
        """the cell that runs, recorded or not, until what it did is kept"""
        self._busy: dict[int, int] = {}
        """thread -> pieces of code under way there, silent ones and handlers of widgets too"""
        self._turn = threading.RLock()
        """held while a cell begins, and while a click moves the state"""

    def open(self, session: Session) -> None:
        """Clicks on this session's dashboard are followed from now on."""
        self._session = session

    def close(self) -> None:
        """No click is followed any more."""
        self._session = None
        if self.dashboard is not None:
            self.dashboard.close()

    def code_begins(self) -> None:
        """`pre_execute`: also of silent code, which no other event tells of."""
        with self._turn:
            here = threading.get_ident()
            self._busy[here] = self._busy.get(here, 0) + 1

    def code_ended(self) -> None:
        """`post_execute`."""
        here = threading.get_ident()
        left = self._busy.pop(here, 1) - 1  # an empty cell ends without having begun
        if left > 0:
            self._busy[here] = left

    def cell_begins(self, info: Any, *, recorded: bool) -> None:
        """A cell is about to run; one that is not recorded may do so inside another one."""
        with self._turn:
            self._running = info if recorded else self._running or info

    def cell_ended(self, result: Any) -> None:
        """It has run, and what it did is kept: a click before would move the state that is being captured."""
        if result is None or self._running is None or is_same(result.info, self._running):
            self._running = None
            self._busy.pop(threading.get_ident(), None)

    def steer(self, session: Session, act: Callable[[], render.Rendered]) -> render.Rendered:
        """Do what a click on a session's dashboard asks for, whatever thread it comes on, and whenever.

        Raises:
            RefusedError: a cell is running, or the session is over.
        """
        with self._turn:
            if session is not self._session:
                raise RefusedError("this dashboard is of a session that is over: %durable opens another one")
            elsewhere = self._busy.keys() - {threading.get_ident()}  # a click is such a piece itself
            if self._running is not None or elsewhere:
                raise RefusedError("a cell is running, so nothing was changed: click again when it has ended")
            return act()

    def show(self, static: render.Rendered) -> None:
        """Show the dashboard, and beside it a line that is still there when the kernel is gone."""
        from durable_nb.ui.dashboard import Dashboard

        extension, session = self._extension, self._extension.session
        # The same widgets are shown again: those of an old dashboard would stay in the kernel for good.
        if self.dashboard is None or self.dashboard.session is not session:
            if self.dashboard is not None:
                self.dashboard.close()
            self.dashboard = Dashboard(session, partial(self.steer, session))
        else:
            self.dashboard.refresh()
        bundle = {**self.dashboard.widget._repr_mimebundle_(), **static._repr_mimebundle_()}
        with extension.recorder.unrecorded():
            extension.shell.display_pub.publish(bundle, {})
            extension.show(screen.when(render.moment(time.time())))


def is_same(info: Any, other: Any) -> bool:
    """Whether both are one cell: after an early interrupt IPython has another object for it."""
    return info is other or bool(info.raw_cell == other.raw_cell)
