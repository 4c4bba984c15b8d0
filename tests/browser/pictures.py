"""The pictures in the README, taken in a real JupyterLab.

python -m tests.browser.pictures          # into tests/browser/pictures/
"""

from __future__ import annotations

import argparse
import io
import tempfile
from pathlib import Path

from PIL import Image

from durable_nb.testing import until_running

from .lab import Lab
from .server import Server

FOLDER = Path(__file__).parent / "pictures"

LOAD = "%load_ext durable_nb"

CELLS = [
    LOAD,
    """\
import pathlib, time
import numpy as np, pandas as pd
rng = np.random.default_rng(0)""",
    """\
%%node load
sales = pd.DataFrame({
    "city": rng.choice(["Bern", "Oslo", "Rome"], 200_000),
    "price": rng.random(200_000) * 100,
    "qty": rng.integers(1, 9, 200_000),
})
time.sleep(0.6)""",
    """\
%%node clean --after load
sales["total"] = sales.price * sales.qty
time.sleep(0.9)""",
    """\
%%node features --after clean
X = np.column_stack([sales.price, sales.qty])
config = {"depth": 3, "names": ["price", "qty"]}
time.sleep(0.7)""",
    """\
%%node train --after features
config["depth"] = 5
pathlib.Path("running").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.05)
coefficients = np.linalg.lstsq(X, sales.total, rcond=None)[0]
coefficients.round(2)""",
]

STEER = "%durable"


class Film:
    """Frames of what a person sees, as an animated GIF."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._frames: list[tuple[Image.Image, int]] = []

    def take(self, seconds: float) -> None:
        """What is seen now is shown for so long."""
        shot = Image.open(io.BytesIO(self._lab.page.screenshot()))
        frame = shot.convert("RGB").quantize(64, dither=Image.Dither.NONE)
        self._frames.append((frame, round(seconds * 1000)))

    def follow(self, seconds: float, every: float = 0.35) -> None:
        """Take frames for so long."""
        for _ in range(round(seconds / every)):
            self.take(every)
            self._lab.page.wait_for_timeout(every * 1000)

    def save(self, path: Path) -> None:
        """Write it; it repeats for ever."""
        first, *rest = (frame for frame, _ in self._frames)
        times = [time for _, time in self._frames]
        first.save(path, save_all=True, append_images=rest, duration=times, loop=0, optimize=True)


def film(lab: Lab, path: Path) -> None:
    """Nodes run, the kernel is killed, everything is back, and the run goes on at the fourth node."""
    lab.folder = lab.server.root / "film"
    lab.folder.mkdir()
    lab.viewport(900, 640)
    lab.new(CELLS, ui="notebook")
    shown = Film(lab)
    shown.take(1.2)
    lab.run_all(wait=False)
    while not (lab.folder / "running").exists():
        shown.follow(0.35)
    shown.follow(1.4)
    old = lab.kill_kernel()
    lab.until_dialog("appears to have died")
    shown.take(2.0)
    lab.until_new_kernel(old)
    lab.answer("Ok")
    (lab.folder / "go").touch()
    lab.run_all(wait=False)
    shown.follow(2.1)
    lab.until_idle()
    lab.cell(0).output.scroll_into_view_if_needed()
    shown.take(3.0)
    lab.cell(len(CELLS) - 1).output.scroll_into_view_if_needed()
    shown.take(3.0)
    shown.save(path)


def stills(lab: Lab, folder: Path) -> None:
    """The dashboard in light and dark, its graph, and the card after a loss."""
    lab.folder = lab.server.root / "stills"
    lab.folder.mkdir()
    lab.viewport(1320, 1000)
    lab.new([*CELLS, STEER])
    lab.run_all(wait=False)
    until_running(lab.folder / "running")
    old = lab.kill_kernel()
    lab.until_dialog("appears to have died")
    lab.until_new_kernel(old)
    lab.answer("Ok")
    (lab.folder / "go").touch()
    lab.run_all()
    lab.cell(0).screenshot(folder / "card.png")
    screen = lab.cell(len(CELLS))
    screen.output.get_by_role("button").filter(has_text="features").first.click()
    screen.wait_text("Going to")
    screen.screenshot(folder / "dashboard.png")
    lab.theme("JupyterLab Dark")
    screen.screenshot(folder / "dashboard-dark.png")
    lab.theme("JupyterLab Light")
    screen.click("Graph", role="tab")
    screen.output.locator("svg[role=img]").wait_for()
    screen.screenshot(folder / "graph.png")


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as root, tempfile.TemporaryDirectory() as home:
        env = {"DURABLE_NB_RECOVERY_DELAY": "0"}
        with Server(Path(root), Path(home), env) as server, Lab(server) as lab:
            film(lab, folder / "film.gif")
            stills(lab, folder)


if __name__ == "__main__":
    main()
