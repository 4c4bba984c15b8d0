"""The line under a node."""

from __future__ import annotations

from durable_nb.ui import node_line


def test_a_line_that_is_sent_again_and_again_is_short() -> None:
    line = node_line.going(node_line.Going("fit", 12.0, 2, 3, details="<b>row 7</b>"))
    assert line.text == "… fit · 12 s · attempt 2 of 3 · <b>row 7</b>"
    assert "&lt;b&gt;row 7" in line.html
    assert len(line.html) < 1_500
