from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

from durable_nb.shell.completion import Matcher

NAMES = [("train", "node"), ("clean-up", "node"), ("load", "node"), ("v2", "version"), ("v1", "version")]
ALL = [text for text, _ in NAMES]
NODES = ["train", "clean-up", "load"]


@pytest.fixture
def matcher(shell: InteractiveShell) -> Iterator[Matcher]:
    matcher = Matcher(lambda: NAMES)
    matcher.install(shell)
    yield matcher
    matcher.uninstall(shell)


def _offers(shell: InteractiveShell, text: str) -> list[str]:
    with provisionalcompleter():
        found = list(shell.Completer.completions(text, len(text)))
    return [text[: c.start] + c.text for c in found if c.type in {"node", "version"}]


@pytest.mark.usefixtures("matcher")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%recover ", ALL),
        ("recover tr", ["train"]),
        ("x = 1\n%recover clean-", ["clean-up"]),
        ("%recover --plan v", ["v2", "v1"]),
        ("%recover --only df ", ALL),
        ("%recover --only ", []),
        ("%recover load ", []),
        ("%durable show v1", ["v1"]),
        ("%durable rerun ", NODES),
        ("%durable diff ", ALL),
        ("%durable diff load v", ["v2", "v1"]),
        ("%durable diff load v2 ", []),
        ("%durable ", []),
        ("%%node eat --after ", NODES),
        ("%node eat --sync --after load,cl", ["clean-up"]),
        ("%%durable_node eat --after=tr", ["train"]),
        ("%%node tr", []),
        ("%checkpoint --pin v", ["v2", "v1"]),
        ("recovery = tr", []),
    ],
)
def test_names_are_offered_where_a_command_takes_one(
    shell: InteractiveShell, text: str, expected: list[str]
) -> None:
    stem = text[: max(text.rfind(" "), text.rfind(","), text.rfind("=")) + 1]
    assert _offers(shell, text) == [stem + name for name in expected]


def test_installing_twice_is_once_and_leaving_leaves_nothing(shell: InteractiveShell) -> None:
    before = list(shell.Completer.custom_matchers)
    matcher = Matcher(lambda: NAMES)
    matcher.install(shell)
    matcher.install(shell)
    assert len(shell.Completer.custom_matchers) == len(before) + 1
    matcher.uninstall(shell)
    matcher.uninstall(shell)
    assert shell.Completer.custom_matchers == before


def test_a_store_that_cannot_be_read_offers_nothing(shell: InteractiveShell) -> None:
    def names() -> Iterable[tuple[str, str]]:
        raise OSError

    Matcher(names).install(shell)
    assert _offers(shell, "%recover ") == []
