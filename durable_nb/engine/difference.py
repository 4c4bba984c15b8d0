"""What differs between two values, and between two checkpoints."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from durable_nb.engine import target as targets
from durable_nb.engine.differences.arrays import quiet
from durable_nb.engine.differences.change import COUNTED, Change, Difference, Sign, Verdict
from durable_nb.engine.differences.texts import reason
from durable_nb.engine.differences.walk import Walk
from durable_nb.engine.session import Session
from durable_nb.errors import DurableError, NotFoundError
from durable_nb.model import Component
from durable_nb.state.deadline import ExpiredError, within
from durable_nb.state.live import is_pseudo
from durable_nb.state.reading import Past
from durable_nb.state.texts import Hidden, named, nothing

LISTED = 40
"""Changes of one value that are listed."""

SECONDS = 10.0
"""That comparing two values may take."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A variable that one checkpoint has, and the other has not."""

    kind: str
    size: int
    """bytes, pickled"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two checkpoints, variable by variable."""

    before: int
    after: int
    changed: Mapping[str, Difference]
    """what was kept anew; some of it may turn out to be equal"""
    added: Mapping[str, Kept]
    removed: Mapping[str, Kept]
    unchanged: tuple[str, ...]


def compare(
    before: Any, after: Any, *, hidden: Hidden = nothing, listed: int = LISTED, seconds: float = SECONDS
) -> Difference:
    """What differs between two values. It never raises, whatever the values do, but on an interrupt.

    Args:
        before, after: any two values; they are not changed.
        hidden: says of a dict's key or an attribute that its value is shown as `<left out>`.
        listed: how many changes are listed; the others are counted.
        seconds: how long it may take; 0: as long as it takes.
    """
    kinds = named(type(before)), named(type(after))
    changes: list[Change] = []
    more, problem = 0, ""

    def collect() -> None:
        nonlocal more
        for change in Walk(hidden, seconds).values(before, after):
            if len(changes) < listed:
                changes.append(change)
            else:
                more += 1
                if more >= COUNTED:
                    return

    try:
        with quiet():
            within(seconds, collect)
    except KeyboardInterrupt:
        raise
    except ExpiredError:
        problem = f"given up after {seconds:g} s"
    except BaseException as error:
        problem = reason(error)
    if problem and not changes:
        problem = f"cannot be compared: {problem}"
    if any(change.sign is not Sign.UNKNOWN for change in changes):
        verdict = Verdict.DIFFERENT
    else:
        verdict = Verdict.UNKNOWN if changes or problem else Verdict.EQUAL
    return Difference(verdict, *kinds, tuple(changes), more, problem)


def between(session: Session, before: int, after: int, names: Iterable[str] | None = None) -> Comparison:
    """What differs between two versions of a session's execution. What is live is not touched.

    Only what was kept anew in between is loaded, component by component, so that no more than one of them is
    in memory twice. Definitions that it needs are those of its own version.

    Args:
        session: whose execution it is.
        before, after: versions of checkpoints.
        names: only these variables; None: all.

    Raises:
        NotFoundError: there is no such version, or neither has a variable of one of these names.
        UntrustedError: it was written by somebody else.
        DamagedError: a checkpoint is not what was written.
    """
    history = session.history()
    found = [targets.open_target(session.repository, history, version) for version in (before, after)]
    states = [{n: d for n, d in target.state.items() if not is_pseudo(n)} for target in found]
    if names is not None:
        wanted = set(names)
        _must_be_known(wanted, states[0].keys() | states[1].keys(), before, after)
        states = [{n: d for n, d in state.items() if n in wanted} for state in states]
    manifests = {**found[0].manifests, **found[1].manifests}
    both = sorted(states[0].keys() & states[1].keys())
    unchanged = [n for n in both if states[0][n] == states[1][n] and manifests[states[0][n]].unsaved is None]
    space, seconds = session.keeper.capture.space, session.settings.recovery_timeout
    pasts = [Past(t.state, t.manifests, session.repository.chunks, space, seconds) for t in found]
    hidden = session.keeper.policy.is_secret
    pairs: dict[tuple[str, str], list[str]] = {}
    for name in sorted(set(both).difference(unchanged)):
        pairs.setdefault((states[0][name], states[1][name]), []).append(name)
    changed: dict[str, Difference] = {}
    for (old, new), group in pairs.items():
        changed.update(_of_components(group, found, (old, new), pasts, hidden))
    return Comparison(
        before,
        after,
        dict(sorted(changed.items())),
        {n: _kept(n, manifests[d]) for n, d in sorted(states[1].items()) if n not in states[0]},
        {n: _kept(n, manifests[d]) for n, d in sorted(states[0].items()) if n not in states[1]},
        tuple(unchanged),
    )


def _of_components(
    names: list[str],
    found: list[targets.Target],
    digests: tuple[str, str],
    pasts: list[Past],
    hidden: Hidden,
) -> Iterator[tuple[str, Difference]]:
    """Load two components, compare the variables in them, and let them go."""
    manifests = [target.manifests[digest] for target, digest in zip(found, digests, strict=True)]
    loaded: list[dict[str, Any]] = []
    why = ""
    for target, past, digest in zip(found, pasts, digests, strict=True):
        unsaved = target.manifests[digest].unsaved
        if unsaved is not None:
            why = why or f"it was not kept in v{target.version}: {unsaved}"
            continue
        try:
            loaded.append(past.values(digest))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            said = str(error) if isinstance(error, DurableError) else reason(error)
            why = why or f"it cannot be loaded from v{target.version}: {said}"
    for name in names:
        kinds = _kept(name, manifests[0]).kind, _kept(name, manifests[1]).kind
        if why:
            yield name, Difference(Verdict.UNKNOWN, *kinds, reason=f"cannot be compared: {why}")
            continue
        difference = compare(loaded[0].pop(name), loaded[1].pop(name), hidden=hidden)
        again = _why_anew(name, *manifests) if difference.verdict is Verdict.EQUAL else difference.reason
        # What stands in for a logger is no logger.
        yield name, replace(difference, before=kinds[0], after=kinds[1], reason=again)


def _why_anew(name: str, before: Component, after: Component) -> str:
    """Why something was kept anew though it is equal."""
    others = sorted({n for m in (before, after) for n in m.names if n != name})
    definitions = sorted(
        n for n in before.refs.keys() | after.refs.keys() if before.refs.get(n) != after.refs.get(n)
    )
    if definitions:
        return f"it uses {', '.join(definitions)}, which changed"
    if others:
        return f"it shares objects with {', '.join(others)}"
    return ""


def _kept(name: str, manifest: Component) -> Kept:
    return Kept(manifest.types.get(name, "").rpartition(".")[2], manifest.size)


def _must_be_known(wanted: set[str], known: Iterable[str], before: int, after: int) -> None:
    for name in sorted(wanted.difference(known)):
        near = difflib.get_close_matches(name, sorted(known), 3)
        hint = f"; there is {', '.join(near)}" if near else ""
        raise NotFoundError(f"neither v{before} nor v{after} has a variable `{name}`{hint}")
