"""Loads the extension in every notebook of this environment: a marked block in IPython's kernel settings."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from durable_nb.errors import StoreError

# Only kernels read this file. Those without a notebook's path are headless runs, consoles and scripts.
_BLOCK = """\
# >>> durable_nb: written by `durable-nb enable`, removed by `durable-nb disable`
import importlib.util, os
if os.environ.get("JPY_SESSION_NAME", "").endswith(".ipynb") and importlib.util.find_spec("durable_nb"):
    get_config().InteractiveShellApp.extra_extensions.append("durable_nb")
# <<< durable_nb
"""
_ANY_BLOCK = re.compile(r"^# >>> durable_nb\b.*?^# <<< durable_nb[^\n]*\n?", re.DOTALL | re.MULTILINE)


def file() -> Path:
    """IPython's settings for all kernels of this environment, whoever starts them."""
    return Path(sys.prefix) / "etc" / "ipython" / "ipython_kernel_config.py"


def enabled() -> bool:
    """Whether notebooks of this environment load the extension by themselves."""
    return _ANY_BLOCK.search(_read()) is not None


def enable() -> Path:
    """Write the block, or renew it; what else is in the file stays. Returns the file.

    Raises:
        StoreError: it cannot be written.
    """
    rest = _ANY_BLOCK.sub("", _read())
    if rest and not rest.endswith("\n"):
        rest += "\n"
    _write(rest + _BLOCK)
    return file()


def disable() -> Path | None:
    """Take the block out, and the file where nothing else is in it.

    Returns the file; None where it had no block.

    Raises:
        StoreError: it cannot be written.
    """
    if not enabled():
        return None
    _write(_ANY_BLOCK.sub("", _read()))
    return file()


def _read() -> str:
    try:
        return file().read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"cannot read {file()}: {error}") from None


def _write(text: str) -> None:
    target = file()
    new = target.with_suffix(".new")
    try:
        if not text:
            target.unlink()
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(text, encoding="utf-8")
        if target.exists():
            new.chmod(target.stat().st_mode)
        new.replace(target)
    except OSError as error:
        raise StoreError(f"cannot write {target}: {error.strerror}") from None
