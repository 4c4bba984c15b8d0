"""Which names in the namespace are the user's."""

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
    """Whether IPython keeps a name for itself. Asked for every name after every cell."""
    return _OWN.fullmatch(name) is not None


class Names:
    """The user's names in one shell; they are looked through again only where some may be others."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._found: list[str] = []
        self._seen: tuple[tuple[Any, ...], int] = ((), 0)
        self._hidden: dict[str, Any] = {}

    def __call__(self) -> list[str]:
        """As they are now."""
        hidden, space = self._shell.user_ns_hidden, self._shell.user_ns
        missing = object()
        # Between most cells no name comes or goes, and none that IPython hides gets another value.
        seen, held = (tuple(space), len(hidden)), self._hidden
        if seen == self._seen and all(map(operator.is_, map(space.get, held), held.values())):
            return self._found
        self._seen = seen
        self._hidden = {n: v for n, v in hidden.items() if not _is_own(n) and space.get(n) is v}
        self._found = [
            n for n, value in list(space.items())
            if type(n) is str and hidden.get(n, missing) is not value
            and not (n.startswith(_FIRST) and _is_own(n))
        ]  # fmt: skip
        return self._found
