"""The dashboard without a browser: its widgets are what a front end shows, a click is what it sends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import pytest
from IPython.core.getipython import get_ipython

import durable_nb
from durable_nb.shell import extension
from durable_nb.ui.dashboard import ROWS, Dashboard

if TYPE_CHECKING:
    from conftest import Notebook


class Page:
    """What a person sees of a dashboard, and does with it."""

    def __init__(self, dashboard: Dashboard) -> None:
        self.dashboard = dashboard

    def all(self, kind: type | tuple[type, ...]) -> list[Any]:
        found: list[Any] = []

        def walk(widget: Any) -> None:
            if isinstance(widget, kind) and widget.layout.display != "none":
                found.append(widget)
            for child in getattr(widget, "children", ()):
                walk(child)

        walk(self.dashboard.widget)
        return found

    def rows(self) -> list[str]:
        buttons = [b for b in self.all(widgets.Button) if _is_row(b)]
        return [b.description.replace("\N{NO-BREAK SPACE}", " ") for b in buttons]

    def text(self) -> str:
        return "\n".join(html.value for html in self.all(widgets.HTML))

    def choose(self, word: str) -> None:
        [row] = [b for b in self.all(widgets.Button) if _is_row(b) and word in b.description]
        row.click()

    def press(self, name: str) -> None:
        [button] = [b for b in self.all(widgets.Button) if b.description == name]
        assert not button.disabled
        button.click()

    def field(self, name: str) -> Any:
        fields = self.all((widgets.Text, widgets.Dropdown, widgets.SelectMultiple))
        [found] = [f for f in fields if f.description == name]
        return found

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < end, self.text()
            time.sleep(0.01)


def _is_row(button: Any) -> bool:
    return "dnb-row" in button._dom_classes


@pytest.fixture
def page(notebook: Notebook) -> Iterator[Page]:
    notebook.run(
        "a = [1]", "%%node load\nb = a * 2", "%%node fit\na.append(2)\nc = len(b)", "%checkpoint good"
    )
    session = durable_nb.session()
    dashboard = Dashboard(session, partial(extension.of(get_ipython()).steering.steer, session))
    yield Page(dashboard)
    dashboard.close()


def test_a_click_rolls_back_and_another_one_undoes_it(notebook: Notebook, page: Page) -> None:
    page.choose("load")
    assert "changed" in page.text()
    assert "[1, 2]" in page.text()
    page.press("Roll back here")
    assert "brought back" in page.text()
    assert "fit" in page.text()
    assert (notebook["a"], notebook["b"], "c" in notebook.space) == ([1], [1, 1], False)
    page.press("Undo")
    assert (notebook["a"], notebook["c"]) == ([1, 2], 2)


def test_only_the_chosen_variables_go_back(notebook: Notebook, page: Page) -> None:
    notebook.run("b = 0", "c = 0")
    page.dashboard.refresh()
    page.choose("fit")
    page.press("Only these variables")
    assert "select the variables" in page.text()
    page.field("Variables").value = ("c",)
    page.press("Only these variables")
    assert (notebook["b"], notebook["c"]) == (0, 2)


def test_pins_and_descriptions(page: Page) -> None:
    page.choose("load")
    page.press("Pin")
    assert "⚑" in next(row for row in page.rows() if "load" in row)
    page.field("Describe").value = "the raw rows"
    page.press("Describe")
    assert any("the raw" in row for row in page.rows())
    page.field("Search").value = "raw rows"
    assert len(page.rows()) == 1
    kept = [p for p in durable_nb.history() if p.pinned and p.node == "load"]
    assert [p.description for p in kept] == ["the raw rows"]


def test_search_and_kinds(page: Page) -> None:
    assert len(page.rows()) == 4
    page.field("Show").value = "nodes"
    assert ["load" in row or "fit" in row for row in page.rows()] == [True, True]
    page.field("Search").value = "fit"
    assert len(page.rows()) == 1
    page.field("Show").value = "everything"
    page.field("Search").value = "nothing like it"
    assert page.rows() == []


def test_what_happens_is_seen_without_asking(notebook: Notebook, page: Page) -> None:
    notebook.run("%%node late\nd = 1")
    page.until(lambda: any("late" in row for row in page.rows()))


def test_a_click_while_a_cell_runs_is_refused_with_a_word(notebook: Notebook, page: Page) -> None:
    page.choose("load")
    notebook.space["click"] = lambda: _elsewhere(lambda: page.press("Roll back here"))
    notebook.run("click()\na.append(3)")
    assert "a cell is running" in page.text()
    assert notebook["a"] == [1, 2, 3]
    page.press("Roll back here")
    assert notebook["a"] == [1]


def test_a_click_while_a_result_is_saved_is_refused_too(notebook: Notebook, page: Page) -> None:
    page.choose("load")
    notebook.space["click"] = lambda: _elsewhere(lambda: page.press("Roll back here"))
    notebook.run("class Slow:\n    def __reduce__(self):\n        click()\n        return (Slow, ())")
    notebook.run("%%node late\nslow, found = Slow(), a + [4]")
    assert "a cell is running" in page.text()
    assert notebook["found"] == [1, 2, 4]


def _elsewhere(act: Callable[[], None]) -> None:
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


def test_a_cell_waits_for_a_click_that_moves_the_state(notebook: Notebook, page: Page) -> None:
    steer = partial(extension.of(get_ipython()).steering.steer, durable_nb.session())
    inside, go = threading.Event(), threading.Event()

    def act() -> Any:
        inside.set()
        go.wait(20)
        return page.dashboard

    clicker = threading.Thread(target=lambda: steer(act))
    clicker.start()
    inside.wait(20)
    threading.Timer(0.2, go.set).start()
    notebook.run("e = 5")
    assert go.is_set()
    clicker.join()


def test_a_dashboard_of_a_session_that_is_over_steers_nothing(notebook: Notebook, page: Page) -> None:
    page.choose("load")
    notebook.run("%durable open other")
    page.press("Roll back here")
    assert "is over" in page.text()
    assert notebook["a"] == [1, 2]


def test_after_new_nothing_of_the_execution_before_is_chosen(notebook: Notebook, page: Page) -> None:
    page.choose("load")
    notebook.run("%durable new")
    page.press("Pin")
    assert "choose a checkpoint first" in page.text()
    notebook.run("z = 1")
    assert not any(point.pinned for point in durable_nb.history())


def test_an_error_of_a_handler_is_seen(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    page.choose("load")

    def breaks(*_: object, **__: object) -> None:
        raise ZeroDivisionError("<b>no</b>")

    monkeypatch.setattr(durable_nb.session().keeper, "secure", breaks)
    page.press("Roll back here")
    assert "ZeroDivisionError: &lt;b&gt;no" in page.text()


def test_a_thousand_entries_are_as_many_widgets_as_twenty(notebook: Notebook, page: Page) -> None:
    before = len(page.all(widgets.DOMWidget))
    for number in range(60):
        notebook.run(f"x{number} = {number}")
    page.dashboard.refresh()
    assert len(page.rows()) == ROWS
    assert len(page.all(widgets.DOMWidget)) <= before + ROWS
    assert "1-14 of 64" in page.text()
    page.press("older ▶")
    assert "15-28 of 64" in page.text()
    page.press("◀ newer")
    assert "1-14 of 64" in page.text()


def test_every_control_says_what_it_is_for(page: Page) -> None:
    page.choose("load")
    for button in page.all(widgets.Button):
        assert button.description
        assert button.tooltip
    for field in page.all((widgets.Text, widgets.Dropdown, widgets.SelectMultiple)):
        assert field.description
