"""Which names of the namespace are the user's."""

from __future__ import annotations

import operator
import re
from functools import cache
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

_OWN = re.compile(
    r"_i?\d*|_{2,3}|_i{2,3}|_[iod]h|_sh|In|Out|get_ipython|exit|quit"
    r"|__(name|doc|package|loader|spec|builtins?|file|annotations|annotate|conditional_annotations|session|warningregistry)__"
)
"""Names that IPython keeps in the user's namespace for itself."""

_FIRST = ("_", "In", "Out", "get_ipython", "exit", "quit")
"""How these begin: most names need no regular expression."""


@cache
def _is_own(name: str) -> bool:
    return name.startswith(_FIRST) and _OWN.fullmatch(name) is not None


class UserNames:
    """The user's names, asked for around every cell.

    IPython adds names of its own with each cell, so only what was added since is looked at, as long as
    nothing was deleted and nothing that IPython hides was bound anew.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._space: tuple[Any, ...] = ()
        self._hides: tuple[str, ...] = ()
        self._hidden: dict[str, Any] = {}
        """what hides a name: its value"""
        self._found: list[str] = []

    def __call__(self) -> list[str]:
        """The names, in the order in which they were bound."""
        space, hidden = self._shell.user_ns, self._shell.user_ns_hidden
        names, hides = tuple(space), tuple(hidden)
        added, more = names[len(self._space) :], hides[len(self._hides) :]
        if (
            names[: len(self._space)] != self._space
            or hides[: len(self._hides)] != self._hides
            or not all(map(_is_own, more))
            or any(n in hidden and not _is_own(n) for n in added)
            or not all(map(operator.is_, map(space.get, self._hidden), self._hidden.values()))
        ):
            self._hidden = {n: v for n, v in hidden.items() if not _is_own(n) and space.get(n) is v}
            self._found, added = [], names
        new = [n for n in added if type(n) is str and n not in self._hidden and not _is_own(n)]
        self._space, self._hides = names, hides
        if new:
            self._found = [*self._found, *new]
        return self._found
