"""The extension in a real JupyterLab and Notebook 7, used as a person does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from durable_nb.testing import until_running

if TYPE_CHECKING:
    from .lab import Lab

LOAD = "%load_ext durable_nb"

HELPERS = """\
import pathlib, time
def note(what):
    with open("ran.txt", "a") as log:
        log.write(what + "\\n")
def wait():
    pathlib.Path("running").touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
"""

NODES = [
    LOAD,
    HELPERS,
    "%%node load\nnote('load')\nrows = [1, 2, 3]\nprint(len(rows), 'rows')",
    "%%node clean\nnote('clean')\nkept = [row for row in rows if row > 1]\nkept",
    "%%node count\nnote('count')\ncounts = {'kept': len(kept)}\ncounts",
    "%%node train\nnote('train')\nkept.append('half')\nwait()\nmodel = counts['kept'] * 10\nmodel",
    "rows, kept, counts, model",
]
TRAIN = 5


def ran(folder: Path) -> list[str]:
    return (folder / "ran.txt").read_text().split()


@pytest.mark.parametrize("ui", ["lab", "notebook"])
def test_run_all_after_a_kill_puts_finished_nodes_back(lab: Lab, ui: Literal["lab", "notebook"]) -> None:
    lab.new(NODES, ui=ui)
    lab.run_all(wait=False)
    until_running(lab.folder / "running")
    old = lab.kill_kernel()
    lab.until_dialog("appears to have died")
    lab.until_new_kernel(old)
    lab.answer("Ok")
    assert lab.prompts()[TRAIN:] == ["[ ]:", "[ ]:"]
    assert lab.cell(3).text().endswith("[2, 3]")

    (lab.folder / "go").touch()
    lab.run_all()
    assert ran(lab.folder) == ["load", "clean", "count", "train", "train"]
    assert "brought back" in lab.cell(0).text()
    assert "train was running when the kernel died" in lab.cell(0).text()
    shown = [lab.cell(number).text().splitlines() for number in range(2, 7)]
    assert [lines[-1] for lines in shown] == [
        "3 rows", "[2, 3]", "{'kept': 2}", "20", "([1, 2, 3], [2, 3, 'half'], {'kept': 2}, 20)"
    ]  # fmt: skip
    assert all("put back" in lines[0] for lines in shown[:3])
    assert "train" in shown[3][0]
    assert "`" not in lab.cell(0).text()
    assert lab.prompts() == [f"[{number}]:" for number in range(1, 8)]


def test_a_node_that_was_interrupted_runs_when_it_is_pressed_again(lab: Lab) -> None:
    lab.new(NODES)
    lab.run_all(wait=False)
    until_running(lab.folder / "running")
    lab.interrupt()
    lab.cell(TRAIN).wait_text("KeyboardInterrupt")
    lab.until_idle()
    assert lab.prompts()[TRAIN:] == ["[6]:", "[ ]:"]

    (lab.folder / "go").touch()
    lab.cell(TRAIN).run()
    assert lab.cell(TRAIN).text().endswith("20")
    lab.cell(TRAIN + 1).run()
    assert lab.cell(TRAIN + 1).text().endswith("{'kept': 2}, 20)")
    assert ran(lab.folder) == ["load", "clean", "count", "train", "train"]


def test_the_report_of_a_recovery_is_still_there_after_a_restart_and_a_reload(lab: Lab) -> None:
    lab.new([LOAD, "%%node one --sync\nx = [1]\nx", "%durable log"])
    lab.run_all()
    old = lab.kill_kernel()
    lab.until_new_kernel(old)
    lab.answer("Ok")
    lab.cell(0).run()
    report = lab.cell(0).wait_text("brought back")
    lab.cell(2).run()
    log = lab.cell(2).text()
    lab.save()
    lab.restart()
    lab.reload()
    assert lab.cell(0).text() == report
    assert lab.cell(2).text() == log
    assert lab.cell(0).output.locator("table").is_visible()


STEER = "%durable"

COUNT = re.compile(r"v\d+\scount\s")


def test_a_click_rolls_back_and_the_variables_are_what_they_were(lab: Lab) -> None:
    go = "(rows, kept, counts, 'model' in globals())"
    lab.new([*NODES[:5], "%%node train\nkept.append('half')\nmodel = 5", STEER, go])
    lab.run_all()
    screen, values = lab.cell(6), lab.cell(7)
    assert values.text().endswith("True)")
    screen.output.get_by_role("button").filter(has_text=COUNT).click()
    screen.wait_text("Going to v")
    assert "changed" in screen.text()
    assert "[2, 3, 'half']" in screen.text()
    screen.click("Roll back here")
    screen.wait_text("brought back")
    values.run()
    assert values.text().endswith("([1, 2, 3], [2, 3], {'kept': 2}, False)")
    screen.click("Undo")
    screen.wait_text(re.compile(r"brought back 2 variables"))
    values.run()
    assert values.text().endswith("([1, 2, 3], [2, 3, 'half'], {'kept': 2}, True)")
    screen.click("Graph", role="tab")
    lab.until(lambda: screen.output.locator("svg[role=img]").count() == 1, "the graph")


def test_a_click_in_the_middle_of_a_cell_changes_nothing_under_it(lab: Lab) -> None:
    lab.new([*NODES[:5], "kept.append('late')", STEER, "wait()\nkept.append('end')\nkept", "kept"])
    for number in range(7):
        lab.cell(number).run()
    screen, busy, after = lab.cell(6), lab.cell(7), lab.cell(8)
    screen.output.get_by_role("button").filter(has_text=COUNT).click()
    screen.wait_text("Going to v")
    busy.run(wait=False)
    until_running(lab.folder / "running")
    screen.click("Roll back here")
    (lab.folder / "go").touch()
    busy.wait_text("'end'")
    assert busy.text().endswith("[2, 3, 'late', 'end']")  # the cell kept the state that it began on
    # The click was refused with a word, or came when the cell was over.
    screen.wait_text(re.compile("a cell is running|brought back"))
    lab.until_idle()
    if "a cell is running" in screen.text():
        screen.click("Roll back here")
        screen.wait_text("brought back")
    after.run()
    assert after.text() == "[2, 3]"


def test_progress_moves_while_a_node_runs_and_ends_in_one_line(lab: Lab) -> None:
    beat = "import durable_nb as durable\ndurable.heartbeat({'row': 7})"
    slow = f"%%node slow --retries 2\n{beat}\nwait()\ndone = 1"
    lab.new([LOAD, HELPERS, slow])
    lab.run_all(wait=False)
    until_running(lab.folder / "running")
    line = lab.cell(2)
    first = line.wait_text(re.compile(r"slow · \d\.\d s · attempt 1 of 2 · .*row.*7"))
    lab.until(lambda: line.text() != first, "another time under the node")
    (lab.folder / "go").touch()
    lab.until_idle()
    line.wait_text(re.compile(r"^✓ slow · \d+\.\d s · safe$"))


def test_after_a_kill_the_dashboard_is_dead_and_what_is_beside_it_says_so(lab: Lab) -> None:
    lab.new([*NODES[:5], STEER])
    lab.run_all()
    screen = lab.cell(5)
    screen.wait_text("Roll back here")
    old = lab.kill_kernel()
    lab.until_new_kernel(old)
    lab.answer("Ok")
    lab.until(lambda: screen.disconnected() > 0, "broken links")
    assert "run %durable to steer" in screen.text()
    lab.save()
    lab.reload()
    assert "run %durable to steer" in screen.text()
    lab.cell(0).run()
    card = lab.cell(0).wait_text("brought back")
    assert "ended without a word" in card
    assert "puts back load, clean, count" in card
    screen.run()
    screen.output.get_by_role("button").filter(has_text="clean").first.click()
    screen.wait_text("Going to v")


WIDGETS = """\
import ipywidgets
name = ipywidgets.Text(description="Name")
button = ipywidgets.Button(description="Greet", icon="check")
greeting = ipywidgets.Label("nobody yet")
button.on_click(lambda _: setattr(greeting, "value", f"Hello {name.value}"))
ipywidgets.VBox([name, button, greeting])
"""


def test_widgets_work_beside_the_extension(lab: Lab, tmp_path: Path) -> None:
    lab.new([LOAD, WIDGETS, "name.value"])
    lab.run_all()
    cell = lab.cell(1)
    cell.wait_text("nobody yet")
    cell.type("dd Ada", "Name")
    cell.click("Greet")
    cell.wait_text("Hello dd Ada")
    cell.wait_gone("nobody yet")
    lab.cell(2).run()
    assert lab.cell(2).text() == "'dd Ada'"

    lab.theme("JupyterLab Dark")
    lab.viewport(700, 600)
    cell.screenshot(tmp_path / "dark.png")

    lab.restart()
    assert cell.disconnected()
    lab.run_all()
    assert not cell.disconnected()
    cell.click("Greet")
    cell.wait_text("Hello")
