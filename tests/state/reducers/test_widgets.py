"""Widgets come back with their values and callbacks; one that is shown stays the one that is shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import durable_nb
from durable_nb import testing
from durable_nb.testing import Kernel

if TYPE_CHECKING:
    from conftest import Again

ipywidgets = pytest.importorskip("ipywidgets")

MAKE = (
    "import ipywidgets as w",
    "seen = []\ndef on(change): seen.append(change['new'])\ndef clicked(button): seen.append(button)",
    "s = w.IntSlider(3, description='n'); b = w.Button(); box = w.VBox([s, b])",
    "s.observe(on, 'value'); b.on_click(clicked)",
)


def test_a_rollback_moves_the_widget_that_is_shown_and_calls_nobody(tmp_path: Path) -> None:
    with testing.shell(tmp_path) as shell:
        for cell in MAKE:
            testing.run(shell, cell).raise_error()
        before = durable_nb.checkpoint().version
        space = shell.user_ns
        slider, button, model = space["s"], space["b"], space["s"].model_id
        testing.run(shell, "s.value = 7; s.layout.width = '50%'; b.click()").raise_error()
        after = durable_nb.checkpoint().version
        assert space["seen"] == [7, button]
        for version, value, width, calls in (before, 3, None, []), (after, 7, "50%", [7, button]):
            assert not durable_nb.recover(version).failed
            assert space["s"] is slider
            assert space["s"].model_id == model
            assert (slider.value, slider.layout.width) == (value, width)
            assert space["box"].children == (slider, button)
            assert space["seen"] == calls
        slider.value = 8
        button.click()
        assert space["seen"] == [7, button, 8, button]  # each callback is connected once


def test_it_comes_back_in_a_new_kernel_and_can_be_shown(tmp_path: Path) -> None:
    with Kernel(tmp_path / "notebook.ipynb") as kernel:
        for cell in ("%load_ext durable_nb", *MAKE, "s.value = 7", "%checkpoint"):
            assert kernel.run(cell).status == "ok", cell
        kernel.kill()
        kernel.restart()
        assert "not" not in kernel.run("%load_ext durable_nb").text
        assert (
            kernel.run("s.value, s.description, box.children == (s, b), seen").text == "(7, 'n', True, [7])"
        )
        assert kernel.run("s.value = 9; b.click(); seen[1:] == [9, b]").text == "True"
        (shown,) = kernel.run("box").outputs
        assert "application/vnd.jupyter.widget-view+json" in shown["data"]


def test_a_widget_with_code_of_its_own_is_refused_in_words(again: Again) -> None:
    class Mine(ipywidgets.IntSlider):
        pass

    for value in (Mine(), ipywidgets.interactive(lambda x: x, x=3)):
        with pytest.raises(TypeError, match="lives in the page"):
            again(value)
    closed = ipywidgets.IntSlider()
    closed.close()
    with pytest.raises(TypeError, match="lives in the page"):
        again(closed)
