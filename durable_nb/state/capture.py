"""Namespace -> components, only what changed.

`Capture` remembers, for each component, the fingerprints of its bytes as of the last checkpoint. What
was touched is pickled again and hashed; chunks that are new are copied into the pool; the rest costs
nothing.
"""

from __future__ import annotations

import gc
import pickle
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from durable_nb.model import INLINE, Component, Piece
from durable_nb.state import access, ambient, pickling, preview, refusals, sharing
from durable_nb.state.arrays import memory_of, shape_of
from durable_nb.state.atoms import is_atomic
from durable_nb.state.cycles import cycles
from durable_nb.state.deadline import ExpiredError, Limit, within
from durable_nb.state.explain import path_to_refusal
from durable_nb.state.fingerprint import Fingerprints, Split, address
from durable_nb.state.live import Live, Snapshot, is_pseudo
from durable_nb.state.pool import Pool
from durable_nb.state.recurring import recurring
from durable_nb.state.regions import Region

_SMALL_ATOM = 4096
_RENEWED = 1 << 20
"""Bytes of a stream up to which a restored component is pickled at once, to know it again."""

_PREVIEWS = 50
"""Names of one component that are previewed."""

_SHIFTED = 512 << 10
"""New bytes of a stream from which on it pays to ask why so much of it is new."""

_SEARCH = 1.0
"""Seconds for one try in the search for what refuses to be pickled."""


@contextmanager
def collection_paused() -> Iterator[None]:
    """What pickling makes holds no cycles, and each pass over a large graph would cost as much again."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


class Capture:
    """Follows one namespace.

    Args:
        space: the namespace, which is only read.
        visible: gives the names that are the user's.
        pool: where copies go.
        kinds: the kinds of ambient state to keep.
        seconds: how long pickling one component may take; 0 is no limit.
    """

    def __init__(
        self,
        space: pickling.Namespace,
        visible: Callable[[], Iterable[str]],
        pool: Pool,
        kinds: Iterable[str] = tuple(ambient.KINDS),
        seconds: float = 0,
    ) -> None:
        self.space = space
        self.visible = visible
        self.seconds = seconds
        self._watch = ambient.Watch(kinds)
        self.live: dict[str, Live] = {}
        self._bindings: dict[str, int] = {}
        self.fingerprints = Fingerprints(pool)
        self._restored: dict[str, Live] = {}
        """what came back in another form than it had been kept in: it may take that form again"""
        self._snapshot = Snapshot()
        self._limit = Limit(seconds)
        self._kinds = pickling.Kinds()
        self._referenced: set[str] = set()
        """names that some component refers to, or once did"""
        self._rebound: set[str] = set()
        """names that were bound since the capture before"""

    # -- what to look at -------------------------------------------------------------------------

    def scan_seconds(self) -> float:
        """About how long looking at every value takes."""
        return sum(live.seconds for live in set(self.live.values()) if live.atom is None)

    def touched(self, names: Iterable[str]) -> tuple[set[str], str | None]:
        """Close names over what using them can reach; with the reason to scan all, if there is one."""
        found: set[str] = set()
        fresh = {n for n in names if n in self.space or n in self.live}
        reason: str | None = None
        while fresh:
            reached, why = access.reached(fresh, self.space)
            reason = reason or why
            found |= fresh | reached
            fresh = set()
            for name in found:
                live = self.live.get(name)
                if live is not None:
                    if live.unsaved is not None:
                        reason = f"what `{name}` can change is not known"
                    elif live.outside is not None:
                        reason = f"`{name}` holds what is {live.outside}"
                    fresh.update(live.names, live.refs, (m for m in live.mentions if m in self.space))
            fresh = {n for n in fresh - found if not is_pseudo(n)}
        return found, reason

    def advanced(self, names: Iterable[str]) -> set[str]:
        """Iterators among what was touched that cannot be kept: using them has changed them."""
        unkept = {name for name, live in self.live.items() if live.unsaved is not None}
        lost = {name for name in unkept if hasattr(type(self.space.get(name)), "__next__")}
        return lost & self.touched(names)[0] if lost else lost

    # -- the capture -----------------------------------------------------------------------------

    def take(self, touched: Iterable[str] | None = None, only_under: int | None = None) -> Snapshot:
        """Look at the touched variables (None: at all) and return what changed.

        A component whose new bytes exceed `only_under` is put off: it becomes unsaved, and is looked
        at again the next time. The memory of what was kept moves on; `forget` takes that back.
        """
        try:
            with collection_paused(), Limit(self.seconds) as self._limit:
                self._kinds = pickling.Kinds()
                return self._take(touched, only_under)
        except BaseException:
            self.give_up(self._snapshot)
            raise

    def _take(self, touched: Iterable[str] | None, only_under: int | None) -> Snapshot:
        self._snapshot = shot = Snapshot()
        values = {name: self.space[name] for name in self.visible() if name in self.space}
        gone = [name for name in self.live if name not in values and not is_pseudo(name)]
        shot.deleted.extend(gone)
        todo = self._to_look_at(values, touched, gone)
        done: set[str] = set()
        alone: set[str] = set()
        replaced: dict[str, Live] = {}
        while todo:
            alone |= {name for name in todo if self._is_alone(name, values[name])}
            # What was only now found to be used may share objects with what was looked at.
            groups = self._groups(todo if todo <= alone else done | todo, alone, values)
            done |= todo
            for group in groups:
                if todo.isdisjoint(group):
                    continue
                for live in self._pickled(group, values, only_under):
                    replaced.update(dict.fromkeys(live.names, live))
            todo = self._reached_by(replaced, values) - done if touched is not None else set()
        for group in self._cycles(replaced):
            for live in self._pickled(group, values, only_under):
                replaced.update(dict.fromkeys(live.names, live))
        for name in gone:
            del self.live[name]
            self._bindings.pop(name, None)
            self._restored.pop(name, None)
        self._settle(replaced)
        self._ambient()
        for live in shot.changed:
            self._preview(live)
        return shot

    def _preview(self, live: Live) -> None:
        names = [name for name in live.names if not is_pseudo(name)][:_PREVIEWS]
        found = {name: preview.of(self.space[name]) for name in names}
        live.previews = {name: text for name, text in found.items() if text}

    def _to_look_at(
        self, values: Mapping[str, Any], touched: Iterable[str] | None, gone: Iterable[str]
    ) -> set[str]:
        rebound = set(gone)
        look: set[str] = set()
        names = None if touched is None else set(touched)
        for name, value in values.items():
            live = self.live.get(name)
            if live is None or self._bindings.get(name) != id(value):
                rebound.add(name)
                look.add(name)
            elif live.atom is None and (names is None or name in names):
                look.add(name)
        self._rebound = rebound
        # A definition that was rebound or deleted changes what its dependents refer to.
        if not rebound.isdisjoint(self._referenced):
            for name, live in self.live.items():
                if name in values and not rebound.isdisjoint(live.refs):
                    look.add(name)
        return self._whole((*look, *gone), values)

    def _whole(self, names: Iterable[str], values: Mapping[str, Any]) -> set[str]:
        """With the variables that these shared objects with: they may have parted."""
        shared = (self.live[n].names if n in self.live else (n,) for n in names)
        return {n for group in shared for n in group if n in values}

    def _reached_by(self, replaced: Mapping[str, Live], values: Mapping[str, Any]) -> set[str]:
        """Using an object uses the definitions that it references, and what their code mentions."""
        more: set[str] = set()
        for live in replaced.values():
            more.update(live.refs)
        code = {m for live in replaced.values() for m in live.mentions}
        reached, _ = access.reached({n for n in more | code if n in values}, values)
        found = (n for n in reached if n in values and (n not in self.live or self.live[n].atom is None))
        return self._whole(found, values)

    def _is_alone(self, name: str, value: Any) -> bool:
        """Whether a variable can share objects with no other."""
        return is_atomic(value) or (
            pickling.is_definition(name, value) and not sharing.can_tie(name, value, self.space)
        )

    def _groups(self, names: set[str], alone: set[str], values: Mapping[str, Any]) -> list[tuple[str, ...]]:
        rest = {n: values[n] for n in sorted(names - alone)}
        groups: list[tuple[str, ...]] = [(n,) for n in sorted(names & alone)]
        if len(rest) < 2:
            return groups + [(n,) for n in rest]
        return groups + list(sharing.components(rest, self.space))

    def _cycles(self, replaced: Mapping[str, Live]) -> list[tuple[str, ...]]:
        """Definitions that refer to each other: only together can they be loaded."""
        if not any(pickling.is_definition(name, self.space[name]) for name in replaced if name in self.space):
            return []
        known = {**self.live, **replaced}
        graph: dict[str, set[str]] = {}
        for live in replaced.values():
            if live.unsaved is None:
                for name in live.names:
                    graph[name] = {*live.refs, *live.names} - {name}
        for live in list(self.live.values()):
            if live.refs:
                for name in live.names:
                    graph.setdefault(name, {*live.refs, *live.names} - {name})
        groups = (group for group in cycles(graph) if len({id(known.get(n)) for n in group}) > 1)
        return [tuple(sorted(n for n in group if n in self.space)) for group in groups]

    def _pickled(self, names: tuple[str, ...], values: Mapping[str, Any], limit: int | None) -> list[Live]:
        """One component, or, where a part of it refuses, that part as unsaved and the rest."""
        start = time.perf_counter()
        made = self._array(names[0], values[names[0]], limit) if len(names) == 1 else None
        made = made or self._try({name: values[name] for name in names}, limit)
        if isinstance(made, Live):
            return [made]
        if len(names) == 1:
            lost = self._unsaved(names[0], values[names[0]], made)
            lost.seconds = time.perf_counter() - start
            return [lost]
        refused = {name: self._refusal(values[name], name) for name in names}
        good = {name: values[name] for name, refusal in refused.items() if refusal is None}
        found = [self._unsaved(n, values[n], r) for n, r in refused.items() if r is not None]
        if good:
            kept = self._try(good, limit)
            found += [kept] if isinstance(kept, Live) else [self._unsaved(n, values[n], kept) for n in good]
        return found

    def _array(self, name: str, value: Any, limit: int | None) -> Live | _Refusal | None:
        """An array that was looked at before, whose bytes are all that can differ. None for others."""
        start = time.perf_counter()
        live = self.live.get(name)
        if live is None or live.shape is None or live.names != (name,) or len(live.buffers) != 1:
            return None
        if live.shape != shape_of(value) or self._bindings.get(name) != id(value):
            return None
        ((size, readonly, pieces),) = live.buffers
        split = self.fingerprints.split(memory_of(value), content_defined=False)
        if not split.fresh and [*map(id, split.pieces)] == [*map(id, pieces)]:
            return live
        try:
            self._keep(split, limit=limit)
        except _PutOffError as error:
            return _Refusal(error)
        buffers = [(size, readonly, split.pieces)]
        seconds = time.perf_counter() - start
        return replace(live, buffers=buffers, digest="", content_digest="", again=None, seconds=seconds)

    def _try(self, values: Mapping[str, Any], limit: int | None) -> Live | _Refusal:
        start = time.perf_counter()
        try:
            before = self.live.get(next(iter(values)))
            first = before.recurring if before is not None else None
            dumped, stream = self._dump(values, first or ())
            if first is None and before is not None and stream is not None and _shifted(before, stream):
                first = self._recurring(values)
                if first:
                    dumped, stream = self._dump(values, first)
            live = self._hashed(values, dumped, stream, limit)
            live.recurring = first
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return _Refusal(error)
        live.seconds = time.perf_counter() - start
        if len(values) == 1:
            (value,) = values.values()
            live.atom, live.shape = _atom(value), shape_of(value)
        return live

    def _dump(self, values: Mapping[str, Any], first: Sequence[str]) -> tuple[pickling.Dump, Split | None]:
        """Values, pickled; their stream in pieces, where it is not short."""
        dumped = self._limit.run(lambda: pickling.dump_values(values, self.space, self._kinds, first))
        if not dumped.regions and len(dumped.stream) <= INLINE:
            return dumped, None
        return dumped, self.fingerprints.split(memoryview(dumped.stream), content_defined=True)

    def _recurring(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        try:
            return self._limit.run(lambda: recurring(values, self.space, self._kinds))
        except (Exception, ExpiredError):
            return ()  # what is pickled already can be kept as it is

    def _refusal(self, value: Any, name: str) -> _Refusal | None:
        try:
            within(_SEARCH, lambda: pickling.dump_values({name: value}, self.space))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return _Refusal(error)
        return None

    def _unsaved(self, name: str, value: Any, refusal: _Refusal) -> Live:
        before = self.live.get(name)
        if refusal.final:
            reason = refusal.reason
        elif before is not None and before.unsaved is not None and name not in self._rebound:
            reason = before.unsaved  # said already; the search would cost as much after every cell
        else:
            path, inner = path_to_refusal(name, value, lambda v: self._refusal(v, name) is not None)
            reason = f"{path}: {refusals.reason(inner) or refusal.reason}"
        live = Live((name,), {name: _type_name(value)}, unsaved=reason)
        if before is None or before.unsaved is None:
            self._snapshot.unsaved.append(live)
        if name in self._rebound:
            self._snapshot.remade.add(name)
        return live

    def _hashed(
        self, values: Mapping[str, Any], dumped: pickling.Dump, stream: Split | None, limit: int | None
    ) -> Live:
        live = Live(
            tuple(sorted(values)),
            {name: _type_name(value) for name, value in values.items()},
            refs=frozenset(dumped.refs),
            mentions=frozenset(dumped.mentions),
            outside=dumped.outside,
        )
        if stream is None:
            live.inline = dumped.stream
            return live
        parts = [self.fingerprints.split(r.memory, content_defined=False) for r in dumped.regions]
        self._keep(*parts, stream=stream, limit=limit)
        live.stream = stream.pieces
        live.buffers = [
            (region.memory.nbytes, region.readonly, part.pieces)
            for region, part in zip(dumped.regions, parts, strict=True)
        ]
        live.views = dumped.views
        return live

    def _keep(self, *parts: Split, stream: Split | None = None, limit: int | None) -> None:
        """Give the pieces that are new their bytes."""
        whole = (*parts, stream) if stream is not None else parts
        fresh = {id(piece): piece.size for part in whole for piece, _ in part.fresh}
        total = sum(fresh.values())
        if limit is not None and total > limit:
            raise _PutOffError(total)
        shot = self._snapshot
        for part in whole:
            for piece, view in part.fresh:
                shot.fresh.append(piece)
                shot.borrowed |= self.fingerprints.keep(piece, view, own=part is stream)
        shot.new_bytes += total

    # -- settling --------------------------------------------------------------------------------

    def _settle(self, replaced: Mapping[str, Live]) -> None:
        """Take over what was looked at, and add what a changed definition changes with it."""
        shot = self._snapshot
        changed: set[Live] = set()
        found = {live: self._as_restored(live) for live in dict.fromkeys(replaced.values())}
        for name, looked_at in replaced.items():
            live = found[looked_at]
            before = self.live.get(name)
            self._bindings[name] = id(self.space.get(name))
            if before is live:
                continue
            if before is not None and before.same_bytes(live):
                before.seconds, before.atom, before.shape = live.seconds, live.atom, live.shape
                before.mentions, before.outside = live.mentions, live.outside
            else:
                self.live[name] = live
                changed.add(live)
        moved = {n for live in changed for n in live.names} | set(shot.deleted)
        for live in changed:
            self._referenced |= live.refs
        dependents = set(self.live.values()) if not moved.isdisjoint(self._referenced) else set(changed)
        for live in dependents:
            if live.refs:
                live.reaches = self._closure(live.refs)
                if not moved.isdisjoint(live.reaches):
                    changed.add(live)
        shot.changed = sorted(changed, key=lambda live: live.names)
        self._let_go(shot)

    def _let_go(self, shot: Snapshot) -> None:
        """Free the copies of what turned out not to have changed, or was pickled once more with others."""
        used = {id(piece) for live in shot.changed for piece in live.pieces()}
        self.fingerprints.give_up(piece for piece in shot.fresh if id(piece) not in used)
        shot.fresh = [piece for piece in shot.fresh if id(piece) in used]
        shot.borrowed = shot.borrowed and bool(shot.fresh)

    def _as_restored(self, live: Live) -> Live:
        """A component in the form that it came back from, where it is as it was then."""
        known = self._restored.get(live.names[0])
        if known is None or not known.same_bytes(live):
            return live
        return replace(
            live,
            inline=known.inline,
            stream=known.stream,
            buffers=known.buffers,
            views=known.views,
            python=known.python,
            again=known.again,
        )

    def _closure(self, refs: Iterable[str]) -> tuple[str, ...]:
        found: set[str] = set()
        stack = list(refs)
        while stack:
            name = stack.pop()
            if name not in found and name in self.live:
                found.add(name)
                stack.extend(self.live[name].refs)
        return tuple(sorted(found))

    def _ambient(self) -> None:
        for name, value in self._watch.changed(self.live).items():
            made = self._try({name: value}, None)
            if isinstance(made, Live):
                before = self.live.get(name)
                if before is None or not before.same_bytes(made):
                    self.live[name] = made
                    self._snapshot.changed.append(made)

    # -- after a commit or a restore -------------------------------------------------------------

    def forget(self, names: Iterable[str]) -> None:
        """Look at these again next time: their last capture did not become a checkpoint."""
        for name in names:
            self.live.pop(name, None)

    def give_up(self, shot: Snapshot) -> None:
        """A snapshot will not be committed: free its copies, and look at its variables again next time."""
        self.fingerprints.give_up(shot.fresh)
        for live in shot.changed:
            self.forget(live.names)

    def settle_for(
        self, shot: Snapshot, state: Mapping[str, str], manifests: Mapping[str, Component]
    ) -> None:
        """Instead of committing a snapshot: note what of it equals a checkpoint, and forget the rest."""
        unkept = [piece for piece in shot.fresh if piece.data is not None and not piece.digest]
        stored: set[Piece] = set()
        for piece in unkept:
            address(piece)
        for live in shot.changed:
            digest = state.get(live.names[0], "")
            if digest and live.equals(manifests[digest]):
                live.digest = digest
                stored.update(live.pieces())
            else:
                self.forget(live.names)
        for piece in unkept:
            if piece not in stored:  # the store may not hold these bytes
                piece.digest = ""
        self.fingerprints.give_up(shot.fresh)

    def reset(self) -> None:
        """Look at everything next time, and rely on no bytes that were kept before."""
        self.live.clear()
        self._restored.clear()
        self.fingerprints.clear()

    def renew(self, live: Live) -> None:
        """Note what pickling a restored component gives: an object is not changed by having been restored."""
        if live.atom is not None or sum(p.size for p in live.stream) > _RENEWED:
            return
        if len(live.names) == len(live.buffers) == 1:
            value, ((size, _, _),) = self.space.get(live.names[0]), live.buffers
            live.shape = shape_of(value)
            if live.shape is not None and memory_of(value).nbytes == size:
                return  # its bytes are compared, and no stream
            live.shape = None
        dumped = self._dumped(live.names)
        if dumped is None:
            return  # it is looked at with the next checkpoint, which says what there is to say
        again = Live(live.names, live.types, refs=frozenset(dumped.refs), views=dumped.views)
        if not dumped.regions and len(dumped.stream) <= INLINE:
            again.inline = dumped.stream
        else:
            again.stream = self.fingerprints.split(memoryview(dumped.stream), content_defined=True).pieces
            again.buffers = live.buffers if again.stream == live.stream else self._split(dumped.regions)
        if not live.same_bytes(again):
            live.again = again
            self._restored.update(dict.fromkeys(live.names, live))

    def among_others(self, manifest: Component, live: Live) -> bool:
        """Whether a component is live just as it was kept, with names that share its objects since.

        Its pieces are then noted in `live`.
        """
        dumped = self._dumped(manifest.names)
        if dumped is None or not dumped.refs <= {*manifest.refs} or dumped.views != manifest.views:
            return False
        if [(r.memory.nbytes, r.readonly) for r in dumped.regions] != [
            (b.size, b.readonly) for b in manifest.buffers
        ]:
            return False
        if manifest.inline is not None:
            return dumped.stream == manifest.inline
        known = self.fingerprints.matching
        digests = (digest for digest, _ in manifest.stream)
        stream = known(memoryview(dumped.stream), digests, content_defined=True)
        buffers = [
            known(region.memory, (digest for digest, _ in buffer.chunks), content_defined=False)
            for region, buffer in zip(dumped.regions, manifest.buffers, strict=True)
        ]
        if stream is None or None in buffers:
            return False
        live.stream = stream
        live.buffers = [(b.size, b.readonly, p or []) for b, p in zip(manifest.buffers, buffers, strict=True)]
        return True

    def _dumped(self, names: Iterable[str]) -> pickling.Dump | None:
        try:
            values = {name: self.space[name] for name in names}
            return within(self.seconds, lambda: pickling.dump_values(values, self.space))
        except KeyboardInterrupt:
            raise
        except BaseException:
            return None

    def _split(self, regions: Iterable[Region]) -> list[tuple[int, bool, list[Piece]]]:
        cut = ((r, self.fingerprints.split(r.memory, content_defined=False)) for r in regions)
        return [(region.memory.nbytes, region.readonly, split.pieces) for region, split in cut]

    def adopt(self, name: str, live: Live) -> None:
        """Note that a variable is now what was read back, without pickling it again."""
        self.live[name] = live
        self._referenced |= live.refs
        if name in self.space:
            self._bindings[name] = id(self.space[name])
            live.atom = _atom(self.space[name]) if len(live.names) == 1 else None


class _PutOffError(Exception):
    """Saving a component now would block the cell too long."""

    def __init__(self, size: int) -> None:
        super().__init__(f"put off: saving {size / 1e6:,.0f} MB would hold up the cell; %checkpoint keeps it")


def _atom(value: Any) -> Any:
    """The value itself, where remembering it is cheaper than looking at its bytes again."""
    return value if is_atomic(value) and sys.getsizeof(value, 0) <= _SMALL_ATOM else None


def _type_name(value: Any) -> str:
    kind = type(value)
    module = kind.__module__
    own = module in ("builtins", "__main__") or type(module) is not str
    return kind.__qualname__ if own else f"{module}.{kind.__qualname__}"


def _shifted(before: Live, stream: Split) -> bool:
    """Whether most of a long stream is new, though the one before it was about as long."""
    new = sum(piece.size for piece, _ in stream.fresh)
    then = sum(piece.size for piece in before.stream)
    now = sum(piece.size for piece in stream.pieces)
    return new > max(_SHIFTED, now // 2) and abs(now - then) < then // 8


class _Refusal:
    """Why a value was not pickled: never the error itself, which would keep the value alive."""

    def __init__(self, error: BaseException) -> None:
        self.final = isinstance(error, _PutOffError | ExpiredError)
        text = str(error).strip().partition("\n")[0]
        plain = isinstance(error, pickle.PicklingError | TypeError | AttributeError | ValueError)
        said = text or "it cannot be pickled"
        self.reason = said if plain or self.final else f"{type(error).__name__}: {text}"
