"""Where a session runs: which notebook, in what kind of process, with a person or without."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from IPython.core.interactiveshell import InteractiveShell

Source = Literal["explicit", "vscode", "papermill", "jupyter", "unknown"]
Kind = Literal["kernel", "terminal", "bare"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the session runs."""

    notebook: Path | None
    """absolute; None where nobody says"""
    source: Source
    """who said so"""
    folder: Path
    """the notebook's folder, or the working directory"""


def locate(shell: InteractiveShell, explicit: str | None = None) -> Place:
    """Find the notebook: what the user said, VS Code, papermill, Jupyter's server, in this order.

    A plain name given explicitly means a notebook of that name in the working directory. Jupyter's answer is
    the path at the kernel's start: a notebook renamed since then has the old one. Never raises.
    """
    names = shell.user_ns
    claims: tuple[tuple[Source, object], ...] = (
        ("vscode", names.get("__vsc_ipynb_file__")),
        ("papermill", names.get("PAPERMILL_OUTPUT_PATH")),
        ("papermill", names.get("PAPERMILL_INPUT_PATH")),
        ("jupyter", os.environ.get("JPY_SESSION_NAME")),
    )
    here = _working_directory()
    if explicit:
        path = here / Path(explicit).expanduser()
        return Place(path, "explicit", path.parent)
    for source, claim in claims:
        # A URL is no path, and a session's name may be an id.
        if isinstance(claim, str) and claim.endswith(".ipynb") and "://" not in claim:
            path = here / claim
            return Place(path, source, path.parent)
    return Place(None, "unknown", here)


def kernel_kind(shell: InteractiveShell) -> Kind:
    """Say what runs the shell: a Jupyter kernel, a terminal, or a script that embeds IPython."""
    if getattr(shell, "kernel", None) is not None:
        return "kernel"
    # Importing it would load prompt_toolkit: a terminal has done so.
    terminal = sys.modules.get("IPython.terminal.interactiveshell")
    return "terminal" if terminal and isinstance(shell, terminal.TerminalInteractiveShell) else "bare"


def interactive(shell: InteractiveShell) -> bool:
    """Say whether a person can answer a question now.

    Headless runners (nbclient, papermill, nbconvert, nbval) run cells without standard input; a front end
    with a person allows it. A kernel knows this from its first cell on; before, the answer is False.
    """
    kind = kernel_kind(shell)
    if kind == "kernel":
        return bool(getattr(getattr(shell, "kernel", None), "_allow_stdin", False))
    return kind == "terminal" and sys.stdin is not None and sys.stdin.isatty()


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        # The folder was deleted under the process.
        return Path.home()
