"""The dashboard: the one screen as widgets, to look through the history and to steer by it."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets as widgets

from durable_nb.engine import graph, overview
from durable_nb.engine.overview import Entry, Overview
from durable_nb.engine.progress import EVERY, Event
from durable_nb.engine.session import Session
from durable_nb.errors import DurableError
from durable_nb.ui import graph as graphs
from durable_nb.ui import render, screen, style

ROWS = 14
"""Entries on a page: however long the history is, there are as many widgets."""

_PAUSE = 0.3
"""Seconds between two redraws while things happen."""

_KINDS: dict[str, Callable[[Entry], bool]] = {
    "everything": lambda _entry: True,
    "nodes": lambda entry: entry.node is not None,
    "by hand": lambda entry: entry.kind == "manual",
    "pinned": lambda entry: entry.pinned,
    "failed": lambda entry: style.tone(entry.status) == "bad",
    "this branch": lambda entry: entry.lane == 0,
}

Steer = Callable[[Callable[[], render.Rendered]], render.Rendered]
"""Runs what moves or marks the state, unless a cell is running; raises DurableError where it may not."""


class Dashboard:
    """A session's history in widgets.

    Args:
        session: whose.
        steer: runs what a click asks for.
    """

    def __init__(self, session: Session, steer: Steer) -> None:
        self.session = session
        self._steer = steer
        self._found: Overview = overview.of(session)
        self._chosen: int | None = None
        """number of the record that is looked at"""
        self._page = 0
        self._shown: list[Entry] = []
        self._lock = threading.RLock()
        self._due = threading.Event()
        """set while a redraw is on its way"""
        self._build()
        self._draw()
        self._end = session.topics.subscribe(EVERY, self._happened)

    @property
    def told(self) -> str:
        """What was last reported, as HTML."""
        return str(self._told.value)

    def close(self) -> None:
        """Follow what happens no longer; what is shown stays."""
        self._end()

    def _build(self) -> None:
        wide = {"layout": widgets.Layout(width="auto")}
        self._head = widgets.HTML(**wide)
        self._search = widgets.Text(
            placeholder="search: node, variable, state, v12", description="Search", continuous_update=True
        )
        self._kind = widgets.Dropdown(options=list(_KINDS), description="Show")
        self._rows = [self._row(at) for at in range(ROWS)]
        self._newer = self._button("◀ newer", self._turn(-1), "show newer entries")
        self._older = self._button("older ▶", self._turn(+1), "show older entries")
        self._place = widgets.HTML()
        self._detail = widgets.HTML(**wide)
        self._names = widgets.SelectMultiple(description="Variables", rows=5)
        self.back = self._button("Roll back here", self._roll_back, "bring this state back", "primary")
        self._only = self._button(
            "Only these variables", self._roll_back_some, "bring back the selected variables only"
        )
        self._undo = self._button("Undo", self._undone, "go back to where the last rollback started")
        self._pin = self._button("Pin", self._pinned, "a pinned checkpoint is never removed by itself")
        self._words = widgets.Text(placeholder="what to remember it by", description="Describe")
        self._describe = self._button("Describe", self._described, "keep this description")
        self._told = widgets.HTML(**wide)
        self._graph = widgets.HTML(**wide)
        self._search.observe(lambda _change: self._guarded(self._filter), "value")
        self._kind.observe(lambda _change: self._guarded(self._filter), "value")
        pager = _box("dnb-acts", self._newer, self._place, self._older)
        found = widgets.VBox([self._search, self._kind, *self._rows, pager])
        found.add_class("dnb-list")
        acts = _box("dnb-acts", self.back, self._only, self._undo, self._pin)
        named = _box("dnb-acts", self._words, self._describe)
        side = widgets.VBox([self._detail, self._names, acts, named, self._told])
        side.add_class("dnb-side")
        tabs = widgets.Tab([_box("dnb-body", found, side), self._graph], titles=("History", "Graph"))
        tabs.observe(lambda change: self._guarded(lambda: self._turned(change["new"])), "selected_index")
        self._tabs = tabs
        look = widgets.HTML(style.sheet("style", "widgets"), layout=widgets.Layout(display="none"))
        self.widget = widgets.VBox([look, self._head, tabs])
        self.widget.add_class("durable-nb")

    def _row(self, at: int) -> Any:
        row = self._button("", lambda: self.choose(at), "")
        row.add_class("dnb-row")
        return row

    def _button(self, name: str, act: Callable[[], None], tooltip: str, kind: str = "") -> Any:
        button = widgets.Button(
            description=name, tooltip=tooltip, button_style=kind, layout=widgets.Layout(width="auto")
        )
        button.on_click(lambda _button: self._guarded(act))
        return button

    def _guarded(self, act: Callable[[], None]) -> None:
        """Errors of a handler are seen here, or nowhere."""
        with self._lock:
            try:
                act()
            except DurableError as error:
                self._tell(_bad(str(error)))
            except Exception as error:
                trace = "".join(traceback.format_exception(error))
                self._tell(
                    _bad(f"{type(error).__name__}: {error}")
                    + f"<details><summary>where</summary><pre>{escape(trace)}</pre></details>"
                )

    def _tell(self, inner: str) -> None:
        self._told.value = f"<div class='durable-nb' role='status' aria-live='polite'>{inner}</div>"

    def _happened(self, _event: Event) -> None:
        """On whichever thread something was kept: redraw soon, not more often than can be seen.

        Waits for nobody: who holds the lock may wait for this thread.
        """
        if not self._due.is_set():
            self._due.set()
            timer = threading.Timer(_PAUSE, self._again)
            timer.daemon, timer.name = True, "durable_nb dashboard"
            timer.start()

    def _again(self) -> None:
        self._due.clear()
        self._guarded(self.refresh)

    def refresh(self) -> None:
        """Show where the session stands now."""
        with self._lock:
            before, self._found = self._found.execution, overview.of(self.session)
            if before != self._found.execution:
                self._chosen = None  # its number is another checkpoint's now
            self._draw()

    def _draw(self) -> None:
        self._head.value = f"<div class='durable-nb'>{screen.header(self._found)}</div>"
        words = self._search.value.lower().split()
        wanted = _KINDS[self._kind.value]
        shown = [entry for entry in self._found.entries if wanted(entry) and entry.matches(words)]
        pages = max(1, -(-len(shown) // ROWS))
        self._page = min(self._page, pages - 1)
        first = self._page * ROWS
        self._shown = shown[first : first + ROWS]
        now = time.time()
        for at, button in enumerate(self._rows):
            entry = self._shown[at] if at < len(self._shown) else None
            self._draw_row(button, entry, now)
        last = first + len(self._shown)
        self._place.value = (
            f"<span class='dnb-note'>{first + 1 if shown else 0}-{last} of {len(shown)}</span>"
        )
        self._newer.disabled, self._older.disabled = self._page == 0, self._page == pages - 1
        self._draw_detail()

    def _draw_row(self, button: Any, entry: Entry | None, now: float) -> None:
        button.layout.display = "none" if entry is None else ""
        if entry is None:
            return
        label = overview.first_line(self.session, entry)
        here = "▶" if entry.version is not None and entry.version == self._found.version else " "
        text = here + screen.row(entry, label, now)
        button.description = text.replace(" ", "\N{NO-BREAK SPACE}")
        changed = render.listed(entry.changed, 8)
        state = entry.status.lower() or entry.kind
        button.tooltip = f"{label}: {state}, {render.moment(entry.time)}" + (
            f"; {changed}" if changed else ""
        )
        chosen = ("dnb-here",) if entry.number == self._chosen else ()
        button.set_trait("_dom_classes", ("dnb-row", f"dnb-{style.tone(entry.status)}", *chosen))

    def _draw_detail(self) -> None:
        entry = self._entry()
        for button in (self.back, self._only, self._pin, self._describe):
            button.disabled = entry is None or entry.version is None
        if entry is not None:
            self._pin.description = "Unpin" if entry.pinned else "Pin"
        inner, names = self._details(entry)
        self._detail.value = f"<div class='durable-nb'>{inner}</div>"
        if names != tuple(self._names.options):
            self._names.options = names
        self._names.layout.display = "" if names else "none"

    def _details(self, entry: Entry | None) -> tuple[str, tuple[str, ...]]:
        """What going to an entry would change, as HTML, and the variables that may go back alone."""
        if entry is None:
            return "<div class='dnb-note'>Choose an entry to see what going there would change.</div>", ()
        label = overview.first_line(self.session, entry)
        if entry.version is None:
            return escape(f"{label}: {entry.status.lower()}, no state was kept with it"), ()
        try:
            found = overview.changes(self.session, entry.version)
        except DurableError as error:  # also while a collection is under way: said here, and not for good
            return _bad(f"{label}: {error}"), ()
        return screen.changes(entry, label, found), tuple(c.name for c in found if c.how != "unchanged")

    def _entry(self) -> Entry | None:
        return next((e for e in self._found.entries if e.number == self._chosen), None)

    def choose(self, at: int) -> None:
        """Look at an entry of the page, counted from 0."""
        self._chosen = self._shown[at].number
        entry = self._entry()
        self._words.value = entry.description if entry is not None else ""
        self._told.value = ""
        self._draw()

    def _filter(self) -> None:
        self._page = 0
        self._draw()

    def _turn(self, by: int) -> Callable[[], None]:
        def turn() -> None:
            self._page = max(0, self._page + by)
            self._draw()

        return turn

    def _turned(self, tab: int | None) -> None:
        if tab == 1:
            found = self._steer(lambda: graphs.rendered(graph.of(self.session)))
            self._graph.value = found.html

    def _steered(self, act: Callable[[], render.Rendered]) -> None:
        report = self._steer(act)
        self.refresh()
        self._tell(report.html)

    def _version(self) -> int:
        if self._found.execution != self.session.keeper.execution:
            self.refresh()
        entry = self._entry()
        if entry is None or entry.version is None:
            raise DurableError("choose a checkpoint first")
        return entry.version

    def _roll_back(self) -> None:
        version = self._version()
        self._steered(lambda: render.recovery(self.session.recover(version)))

    def _roll_back_some(self) -> None:
        version, names = self._version(), list(self._names.value)
        if not names:
            raise DurableError("select the variables to bring back in the list above")
        self._steered(lambda: render.recovery(self.session.recover(version, only=names)))

    def _undone(self) -> None:
        self._steered(lambda: render.recovery(self.session.undo()))

    def _pinned(self) -> None:
        version, entry = self._version(), self._entry()
        pinned = entry is not None and not entry.pinned

        def act() -> render.Rendered:
            self.session.pin(version, pinned=pinned)
            return render.lines(f"durable_nb: {'pinned' if pinned else 'unpinned'} v{version}", ())

        self._steered(act)

    def _described(self) -> None:
        version, text = self._version(), self._words.value.strip()

        def act() -> render.Rendered:
            self.session.describe(version, text)
            return render.lines(f"durable_nb: described v{version}", ())

        self._steered(act)


def _bad(text: str) -> str:
    return f"<span class='dnb-bad'>✗ {escape(text)}</span>"


def _box(name: str, *children: Any) -> Any:
    box = widgets.Box(list(children))
    box.add_class(name)
    return box
