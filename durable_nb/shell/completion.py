"""`%recover <TAB>`: the names of nodes and versions, where a command takes one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)
from IPython.core.interactiveshell import InteractiveShell

_NODE = frozenset({"node"})

# What stands before the cursor -> the kinds that fit there; None is any kind. `%` is optional (automagic).
_PLACES: tuple[tuple[re.Pattern[str], frozenset[str] | None], ...] = (
    (re.compile(r"^%%?(?:durable_)?node\s.*--after[ =]\s*(?:[^\s,]+,)*$"), _NODE),
    (re.compile(r"^%?durable\s+rerun\s+$"), _NODE),
    (re.compile(r"^%?durable\s+(?:show|open)\s+(?:-\S+\s+)*$"), None),
    (re.compile(r"^%?checkpoint\s+--(?:delete|pin|unpin|describe)\s+$"), None),
    (re.compile(r"^%?durable\s+diff\s+(?:\S+\s+)?$"), None),
    (re.compile(r"^%?recover\s+(?:--(?:plan|undo)\s+|--(?:only|execution)\s+\S+\s+)*$"), None),
)
_FRAGMENT = re.compile(r"[^\s,=]*$")


class Matcher:
    """Offers names to IPython's completer.

    `names` gives (text, kind) pairs, best first; the kind ("node", "version") is shown beside the text. It is
    called when the user presses Tab. Whatever goes wrong there means no offers.
    """

    def __init__(self, names: Callable[[], Iterable[tuple[str, str]]]) -> None:
        self._names = names

        # The decorator sets attributes, which a bound method does not take.
        def match(context: CompletionContext) -> SimpleMatcherResult:
            return self._match(context)

        self._matcher = context_matcher(identifier="durable_nb")(match)

    def install(self, shell: InteractiveShell) -> None:
        """Join the shell's matchers, once."""
        if self._matcher not in shell.Completer.custom_matchers:
            shell.Completer.custom_matchers.append(self._matcher)

    def uninstall(self, shell: InteractiveShell) -> None:
        """Leave them."""
        if self._matcher in shell.Completer.custom_matchers:
            shell.Completer.custom_matchers.remove(self._matcher)

    def _match(self, context: CompletionContext) -> SimpleMatcherResult:
        nothing = SimpleMatcherResult(completions=[])
        try:
            line = context.text_until_cursor.lstrip()
            found = _FRAGMENT.search(line)
            fragment = found[0] if found else ""
            before = line[: len(line) - len(fragment)]
            kinds = next((kinds for place, kinds in _PLACES if place.match(before)), frozenset())
            if kinds is not None and not kinds:
                return nothing
            offers = [
                SimpleCompletion(text, type=kind)
                for text, kind in self._names()
                if text.startswith(fragment) and (kinds is None or kind in kinds)
            ]
        except Exception:  # whatever it is, typing goes on
            return nothing
        return SimpleMatcherResult(
            completions=offers, matched_fragment=fragment, suppress=bool(offers), ordered=True
        )
