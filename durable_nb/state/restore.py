"""Components -> staging dict -> namespace: only what differs, all or nothing per component."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from durable_nb.errors import DurableError, NotFoundError, StoreError
from durable_nb.model import Component
from durable_nb.state import ambient, patch, unpickling
from durable_nb.state.assembly import Read, ReadAhead, as_live, assemble, fill
from durable_nb.state.capture import Capture, collection_paused
from durable_nb.state.deadline import ExpiredError, Limit, uninterrupted
from durable_nb.state.live import Live, is_pseudo


@dataclass(frozen=True, slots=True)
class Plan:
    """What going to a checkpoint would do, variable by variable."""

    load: Mapping[str, str]
    """name -> manifest digest of what differs and will be loaded"""
    delete: tuple[str, ...]
    same: tuple[str, ...]
    unsaved: Mapping[str, str]
    """name -> why it was not kept; what is live under such a name is left as it is"""
    yours: tuple[str, ...]
    """bound by the user already: not overwritten"""
    widened: tuple[str, ...]
    """added to what was asked for, since it belongs to it"""
    bytes: int
    """to read"""


@dataclass(slots=True)
class Outcome:
    """What a restore did."""

    restored: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """name -> why it could not be loaded"""


def plan(
    target: Mapping[str, str],
    manifests: Mapping[str, Component],
    capture: Capture,
    *,
    only: Iterable[str] | None = None,
    keep: Iterable[str] = (),
) -> Plan:
    """Compare a checkpoint with what is live.

    Args:
        target: the checkpoint's state, name -> manifest digest.
        manifests: the manifests of `target`, by digest.
        only: restrict to these variables and what belongs to them.
        keep: names that must not be overwritten.
    """
    live = dict(capture.live)  # a cell may be running in another thread
    kept = set(keep)
    unsaved: dict[str, str] = {}
    load: dict[str, str] = {}
    same: list[str] = []
    for name, digest in target.items():
        manifest = manifests[digest]
        current = live.get(name)
        if manifest.unsaved is not None:
            unsaved[name] = manifest.unsaved
        elif current is not None and current.digest == digest:
            same.append(name)
        elif name not in kept:
            load[name] = digest
    delete = [n for n in live if n not in target and not is_pseudo(n) and n not in kept]
    widened: tuple[str, ...] = ()
    if only is not None:
        wanted = _widened(set(only), target, manifests, capture, load)
        widened = tuple(sorted(n for n in wanted - set(only) if not is_pseudo(n) and n in load))
        load = {n: d for n, d in load.items() if n in wanted}
        delete = [n for n in delete if n in wanted]
        unsaved = {n: why for n, why in unsaved.items() if n in wanted}
    chosen = {d: manifests[d] for d in load.values()}
    yours = tuple(sorted(n for n in kept if n in target and not is_pseudo(n) and n not in same))
    return Plan(
        load, tuple(delete), tuple(same), unsaved, yours, widened, sum(m.size for m in chosen.values())
    )


def _widened(
    wanted: set[str],
    target: Mapping[str, str],
    manifests: Mapping[str, Component],
    capture: Capture,
    load: Mapping[str, str],
) -> set[str]:
    """Whole components; definitions that differ; and every dependent of a definition that is replaced."""
    while True:
        more = set(wanted)
        for name in wanted:
            if name in target:
                manifest = manifests[target[name]]
                more.update(manifest.names, (r for r in manifest.refs if r in load))
            if name in capture.live:
                more.update(n for n in capture.live[name].names if n in load or n in capture.live)
        for name, digest in load.items():
            if not more.isdisjoint(n for n in manifests[digest].refs if n in load):
                more.add(name)
        if more == wanted:
            return wanted
        wanted = more


def parts(todo: Plan, manifests: Mapping[str, Component]) -> Iterator[Plan]:
    """A plan, component by component; deletions first, which make room."""
    yield replace(todo, load={}, bytes=0)
    for digest in definitions_first(dict.fromkeys(todo.load.values()), manifests):
        load = {name: digest for name in manifests[digest].names if name in todo.load}
        yield replace(todo, load=load, delete=(), bytes=manifests[digest].size)


@dataclass(slots=True)
class Caution:
    """How much is trusted to load."""

    seconds: float = 0.0
    """that loading one component may take; 0: no limit"""
    avoid: dict[str, str] = field(default_factory=dict)
    """manifest digest -> why it is not loaded"""
    before: Callable[[str, tuple[str, ...]], None] = lambda _digest, _names: None
    """told what is about to be loaded"""


@dataclass(slots=True)
class Staged:
    """What was loaded, before any of it is live."""

    values: dict[str, Any] = field(default_factory=dict)
    loaded: dict[str, Live] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    replaced: dict[str, Any] = field(default_factory=dict)
    """what was bound to the modules and definitions that loading made visible"""
    patches: list[tuple[patch.Gap, memoryview]] = field(default_factory=list)
    """(live memory, the bytes that belong there)"""
    patched: list[str] = field(default_factory=list)
    damaged: str | None = None
    """the first component whose bytes are not in the store as they were written"""
    hung: str | None = None
    """the first component that took longer than it may, which is to be avoided from now on"""


def stage(
    todo: Plan,
    manifests: Mapping[str, Component],
    read: Read,
    capture: Capture,
    *,
    in_place: bool = True,
    caution: Caution | None = None,
) -> Staged:
    """Load what the plan says into a staging dict; a component that fails is reported, the others load.

    `in_place`: what live memory only has to be patched for is not loaded anew.
    """
    staged = Staged()
    care = caution or Caution()
    try:
        with collection_paused(), Limit(care.seconds) as limit:
            _load_into(staged, todo, manifests, read, capture, care, limit, in_place=in_place)
            _age()
    except BaseException:
        discard(staged, capture)  # an interrupt: nothing of it stays visible
        raise
    return staged


def _age() -> None:
    """Let the collector count what was loaded among what is old: a pass over it all would find nothing."""
    if not gc.get_freeze_count():
        gc.freeze()
        gc.unfreeze()


def _load_into(
    staged: Staged,
    todo: Plan,
    manifests: Mapping[str, Component],
    read: Read,
    capture: Capture,
    care: Caution,
    limit: Limit,
    *,
    in_place: bool,
) -> None:
    order = list(definitions_first(dict.fromkeys(todo.load.values()), manifests))
    read = ReadAhead(read, [manifests[digest] for digest in order])
    for digest in order:
        manifest = manifests[digest]
        live = as_live(manifest, digest)
        if digest in care.avoid:
            staged.failed.update((n, care.avoid[digest]) for n in manifest.names if n in todo.load)
            continue
        try:
            stays = in_place and todo.load.keys().isdisjoint(manifest.refs)
            if stays and (
                _patch(staged, todo, manifest, live, read, capture)
                or _is_among_others(staged, todo, manifest, live, capture)
            ):
                continue
            stream, buffers = assemble(manifest, live, read, capture.fingerprints)
            care.before(digest, manifest.names)
            bind = _binder(staged, todo, manifest, capture)
            values = limit.run(partial(unpickling.load, stream, buffers, capture.space, staged.values, bind))
        except KeyboardInterrupt:
            raise
        except ExpiredError:
            care.avoid[digest] = reason = (
                f"loading it takes longer than {care.seconds:g} s (recovery_timeout)"
            )
            staged.failed.update((n, reason) for n in manifest.names if n in todo.load)
            staged.hung = staged.hung or digest
            continue
        except BaseException as error:
            reason = str(error) if isinstance(error, DurableError) else f"{type(error).__name__}: {error}"
            staged.failed.update((n, reason) for n in manifest.names if n in todo.load)
            if isinstance(error, StoreError | NotFoundError) and staged.damaged is None:
                staged.damaged = f"{', '.join(manifest.names)}: {reason}"
            continue
        for name, value in values.items():
            if name in todo.load:
                staged.values[name] = value
                staged.loaded[name] = live
                if name in ambient.FIRST:
                    _put_ambient(name, value, staged.failed)
                elif _rank(manifest) < _DATA and not is_pseudo(name):
                    _bind(staged, name, value, capture)  # what loads after it may call it


def _bind(staged: Staged, name: str, value: Any, capture: Capture) -> None:
    staged.replaced.setdefault(name, capture.space.get(name, _UNBOUND))
    capture.space[name] = value


def _binder(staged: Staged, todo: Plan, manifest: Component, capture: Capture) -> Callable[[str, Any], None]:
    names = {name for name in manifest.names if name in todo.load}

    def bind(name: str, value: Any) -> None:
        if name in names:
            _bind(staged, name, value, capture)

    return bind


def _patch(staged: Staged, todo: Plan, manifest: Component, live: Live, read: Read, capture: Capture) -> bool:
    """Stage the chunks that differ in place, where that is enough."""
    current = capture.live.get(manifest.names[0])
    if current is None or not patch.may_fit(manifest, current) or not todo.load.keys() >= {*manifest.names}:
        return False
    gaps = patch.gaps(manifest, current, capture.space, capture.fingerprints)
    if gaps is None:
        return False
    pieces = {p.digest: p for p in current.pieces()}
    chunks: dict[str, memoryview] = {}
    for digest, data in read({gap.digest for gap in gaps}):
        chunks[digest] = data
        pieces[digest] = capture.fingerprints.stored(data, digest)
    fill(live, manifest, pieces)
    staged.patches += [(gap, chunks[gap.digest]) for gap in gaps]
    staged.patched += manifest.names
    staged.loaded.update(dict.fromkeys(manifest.names, live))
    return True


def _is_among_others(staged: Staged, todo: Plan, manifest: Component, live: Live, capture: Capture) -> bool:
    """Leave a component as it is, where names that came to share its objects are all that differs."""
    current = capture.live.get(manifest.names[0])
    names = set(manifest.names)
    if current is None or not (todo.load.keys() >= names and set(current.names) > names):
        return False
    # Of components that share something now, one stays: the others get objects of their own.
    if not staged.loaded.keys().isdisjoint(current.names) or not capture.among_others(manifest, live):
        return False
    staged.patched += manifest.names
    staged.loaded.update(dict.fromkeys(manifest.names, live))
    return True


def _put_ambient(name: str, value: Any, failed: dict[str, str]) -> None:
    try:
        ambient.write(name, value)
    except Exception as error:
        failed[name] = f"{type(error).__name__}: {error}"


def discard(staged: Staged, capture: Capture) -> None:
    """Take back what staging made visible."""
    for name, value in staged.replaced.items():
        if value is _UNBOUND:
            capture.space.pop(name, None)
        else:
            capture.space[name] = value


_UNBOUND = object()
_DATA = 2


def _rank(manifest: Component) -> int:
    """Where modules are found comes first; modules before definitions, definitions before what uses them."""
    if manifest.names[0] in ambient.FIRST:
        return -1
    kinds = set(manifest.types.values())
    if kinds <= {"module"}:
        return 0
    return 1 if kinds & {"function", "type", "functools._lru_cache_wrapper"} else _DATA


def swap(staged: Staged, todo: Plan, capture: Capture) -> Outcome:
    """Make what was staged live, at once."""
    outcome = Outcome(failed=dict(staged.failed))
    values: dict[str, Any] = {}
    for name, value in staged.values.items():
        if name.startswith(ambient.PREFIX):
            if name not in ambient.FIRST:
                _put_ambient(name, value, outcome.failed)
        else:
            values[name] = value
    with uninterrupted():
        capture.space.update(values)
        for gap, data in staged.patches:
            gap.memory[:] = data
        for name in todo.delete:
            capture.space.pop(name, None)
            capture.live.pop(name, None)
            outcome.deleted.append(name)
        for name, live in staged.loaded.items():
            capture.adopt(name, live)
    for live in dict.fromkeys(live for name, live in staged.loaded.items() if name in staged.values):
        capture.renew(live)
    outcome.restored.extend(sorted((*values, *staged.patched)))
    return outcome


def definitions_first(digests: Iterable[str], manifests: Mapping[str, Component]) -> Iterator[str]:
    """Each component after the definitions that it references."""
    order = sorted(digests, key=lambda d: (_rank(manifests[d]), len(manifests[d].refs), manifests[d].names))
    by_name = {name: d for d in order for name in manifests[d].names}
    done: set[str] = set()

    def visit(digest: str) -> Iterator[str]:
        if digest in done:
            return
        done.add(digest)
        for ref in manifests[digest].refs:
            if ref in by_name:
                yield from visit(by_name[ref])
        yield digest

    for digest in order:
        yield from visit(digest)
