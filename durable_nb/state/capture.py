"""Namespace -> components, only what changed.

`Capture` remembers, for each component, the fingerprints of its bytes as of the last checkpoint. What
was touched is pickled again and hashed; chunks that are new are copied into the pool; the rest costs
nothing.
"""

from __future__ import annotations

import functools
import gc
import pickle
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4
from weakref import WeakValueDictionary

from blake3 import blake3
from xxhash import xxh3_128_intdigest

from durable_nb.model import CHUNK, INLINE, Component, Piece
from durable_nb.state import access, ambient, pickling, sharing
from durable_nb.state.explain import path_to_refusal
from durable_nb.state.pool import Pool

DETACHED = "detached:"
"""Pseudo-variables: notebook classes that are no longer bound to their name, by fingerprint."""

_SMALL_ATOM = 4096
_CUT_FROM = 128 << 10
"""Streams up to this many bytes are one chunk; longer ones are cut where their content says."""


def is_pseudo(name: str) -> bool:
    """Whether a key of the state stands for something that is no variable."""
    return ":" in name


@dataclass(slots=True, eq=False)
class Live:
    """What is known of one component as it was kept last."""

    names: tuple[str, ...]
    types: dict[str, str]
    inline: bytes | None = None
    """the whole stream, where it is short"""
    stream: list[Piece] = field(default_factory=list)
    buffers: list[tuple[int, bool, list[Piece]]] = field(default_factory=list)
    refs: frozenset[str] = frozenset()
    mentions: frozenset[str] = frozenset()
    unsaved: str | None = None
    python: str = pickling.PYTHON
    seconds: float = 0.0
    """what pickling and hashing it took"""
    atom: Any = None
    """the value itself, where it is small and cannot change"""
    digest: str = ""
    """of its manifest; "" until it is committed"""
    content_digest: str = ""
    reaches: tuple[str, ...] = ()
    """definitions that it references, directly or through other definitions"""

    @property
    def size(self) -> int:
        """Bytes, pickled."""
        held = len(self.inline or b"") + sum(p.size for p in self.stream)
        return held + sum(size for size, _, _ in self.buffers)

    def same_bytes(self, other: Live) -> bool:
        """Whether both hold the same bytes and references. Pieces are shared, so `is` compares bytes."""
        return (
            self.names == other.names
            and self.refs == other.refs
            and self.unsaved == other.unsaved
            and self.types == other.types
            and self.inline == other.inline
            and _pieces(self) == _pieces(other)
        )


def _pieces(live: Live) -> list[int]:
    return [id(p) for p in live.stream] + [id(p) for _, _, pieces in live.buffers for p in (*pieces, None)]


@dataclass(slots=True)
class Snapshot:
    """What changed since the checkpoint before."""

    changed: list[Live] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    unsaved: list[Live] = field(default_factory=list)
    """components that cannot be kept, and could or did not exist before"""
    remade: set[str] = field(default_factory=set)
    """names that were bound to something that cannot be kept"""
    borrowed: bool = False
    """some pieces are the user's own memory: it must not change before they are written"""
    new_bytes: int = 0


class Capture:
    """Follows one namespace.

    Args:
        space: the namespace, which is only read.
        visible: gives the names that are the user's.
        pool: where copies go.
        kinds: the kinds of ambient state to keep.
    """

    def __init__(
        self,
        space: pickling.Namespace,
        visible: Callable[[], Iterable[str]],
        pool: Pool,
        kinds: Iterable[str] = tuple(ambient.KINDS),
    ) -> None:
        self.space = space
        self.visible = visible
        self.kinds = tuple(kinds)
        self.live: dict[str, Live] = {}
        self._bindings: dict[str, int] = {}
        self.classes: WeakValueDictionary[str, type] = WeakValueDictionary()
        """detached classes that are alive, by pseudo-name"""
        self._pool = pool
        self._known: WeakValueDictionary[tuple[int, int], Piece] = WeakValueDictionary()
        self._snapshot = Snapshot()
        self._detached: set[str] = set()
        """detached classes that this capture has looked at"""
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
                    fresh.update(live.names, live.refs, (m for m in live.mentions if m in self.space))
            fresh = {n for n in fresh - found if not is_pseudo(n)}
        return found, reason

    def advanced(self, names: Iterable[str]) -> set[str]:
        """Iterators among what was touched that cannot be kept: using them has changed them."""
        found, _ = self.touched(names)
        lost = (n for n in found if n in self.live and self.live[n].unsaved is not None)
        return {n for n in lost if hasattr(type(self.space.get(n)), "__next__")}

    # -- the capture -----------------------------------------------------------------------------

    def take(self, touched: Iterable[str] | None = None, only_under: int | None = None) -> Snapshot:
        """Look at the touched variables (None: at all) and return what changed.

        A component whose new bytes exceed `only_under` is put off: it becomes unsaved, and is looked
        at again the next time. The memory of what was kept moves on; `forget` takes that back.
        """
        # What this makes holds no cycles, and each pass over a large graph would cost as much again.
        collecting = gc.isenabled()
        gc.disable()
        try:
            return self._take(touched, only_under)
        finally:
            if collecting:
                gc.enable()

    def _take(self, touched: Iterable[str] | None, only_under: int | None) -> Snapshot:
        self._snapshot = shot = Snapshot()
        self._detached.clear()
        values = {name: self.space[name] for name in self.visible() if name in self.space}
        gone = [name for name in self.live if name not in values and not is_pseudo(name)]
        shot.deleted.extend(gone)
        todo = self._to_look_at(values, touched, gone)
        done: set[str] = set()
        replaced: dict[str, Live] = {}
        while todo:
            for group in self._groups(todo, values):
                for live in self._pickled(group, values, only_under):
                    replaced.update(dict.fromkeys(live.names, live))
            done |= todo
            todo = self._reached_by(replaced, values) - done if touched is not None else set()
        for name in gone:
            del self.live[name]
            self._bindings.pop(name, None)
        self._settle(replaced)
        self._ambient()
        self._sweep_detached()
        return shot

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
        for name, live in self.live.items():
            if name in values and not rebound.isdisjoint(live.refs):
                look.add(name)
        for name in list(look):
            if name in self.live:
                look.update(n for n in self.live[name].names if n in values)
        for name in gone:
            look.update(n for n in self.live[name].names if n in values)
        return look

    def _reached_by(self, replaced: Mapping[str, Live], values: Mapping[str, Any]) -> set[str]:
        """Using an object uses the definitions that it references, and what their code mentions."""
        more: set[str] = set()
        for live in replaced.values():
            more.update(live.refs)
        code = {m for live in replaced.values() for m in live.mentions}
        reached, _ = access.reached({n for n in more | code if n in values}, values)
        return {n for n in reached if n in values and (n not in self.live or self.live[n].atom is None)}

    def _groups(self, names: set[str], values: Mapping[str, Any]) -> list[tuple[str, ...]]:
        atoms = [n for n in names if sharing.is_atomic(values[n])]
        rest = {n: values[n] for n in sorted(names.difference(atoms))}
        groups: list[tuple[str, ...]] = [(n,) for n in sorted(atoms)]
        for name, value in list(rest.items()):
            if pickling.is_definition(name, value) and not sharing.can_tie(name, value, self._is_leaf):
                groups.append((name,))
                del rest[name]
        if len(rest) < 2:
            return groups + [(n,) for n in rest]
        return groups + list(sharing.components(rest, self._is_leaf, ignore=(self.space,)))

    def _is_leaf(self, root: str, obj: Any) -> bool:
        """A definition ties only the variable that it is."""
        qualname = getattr(obj, "__qualname__", "")
        first = qualname.partition(".")[0]
        if first == root or not pickling.in_notebook(obj):
            return issubclass(type(obj), type) and not pickling.in_notebook(obj)
        return pickling.resolve(self.space, qualname) is obj

    def _pickled(self, names: tuple[str, ...], values: Mapping[str, Any], limit: int | None) -> list[Live]:
        """One component, or, where a part of it refuses, that part as unsaved and the rest."""
        start = time.perf_counter()
        made = self._try({name: values[name] for name in names}, limit)
        if isinstance(made, Live):
            return [made]
        if len(names) == 1:
            refused = self._unsaved(names[0], values[names[0]], made)
            refused.seconds = time.perf_counter() - start
            return [refused]
        errors = {name: self._refusal(values[name], name) for name in names}
        good = {name: values[name] for name, error in errors.items() if error is None}
        found = [self._unsaved(n, values[n], e) for n, e in errors.items() if e is not None]
        if good:
            kept = self._try(good, limit)
            found += [kept] if isinstance(kept, Live) else [self._unsaved(n, values[n], kept) for n in good]
        return found

    def _try(self, values: Mapping[str, Any], limit: int | None) -> Live | BaseException:
        start = time.perf_counter()
        try:
            dumped = pickling.dump_values(values, self.space, self._detach)
            live = self._hashed(values, dumped, limit)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return error
        live.seconds = time.perf_counter() - start
        if len(values) == 1:
            live.atom = _atom(*values.values())
        return live

    def _refusal(self, value: Any, name: str) -> BaseException | None:
        try:
            pickling.dump_values({name: value}, self.space, lambda _cls: DETACHED)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return error
        return None

    def _unsaved(self, name: str, value: Any, error: BaseException) -> Live:
        before = self.live.get(name)
        if isinstance(error, _PutOffError):
            reason = str(error)
        elif before is not None and before.unsaved is not None and name not in self._rebound:
            reason = before.unsaved  # said already; the search would cost as much after every cell
        else:
            path = path_to_refusal(name, value, lambda v: self._refusal(v, name))
            reason = f"{path}: {_first_line(error)}"
        live = Live((name,), {name: _type_name(value)}, unsaved=reason)
        if before is None or before.unsaved is None:
            self._snapshot.unsaved.append(live)
        if name in self._rebound:
            self._snapshot.remade.add(name)
        return live

    def _hashed(self, values: Mapping[str, Any], dumped: pickling.Dump, limit: int | None) -> Live:
        live = Live(
            tuple(sorted(values)),
            {name: _type_name(value) for name, value in values.items()},
            refs=frozenset(dumped.refs),
            mentions=frozenset(dumped.mentions),
        )
        if not dumped.buffers and len(dumped.stream) <= INLINE:
            live.inline = dumped.stream
            return live
        raw = [(b.raw(), b) for b in dumped.buffers]
        new = self._split(memoryview(dumped.stream), content_defined=True)
        sized = [(view.nbytes, view.readonly, self._split(view, content_defined=False)) for view, _ in raw]
        fresh = [x for x in (*new, *(x for _, _, xs in sized for x in xs)) if x[1] is not None]
        total = sum(piece.size for piece, _ in fresh)
        if limit is not None and total > limit:
            raise _PutOffError(total)
        for piece, view in fresh:
            self._keep(piece, view, own=view.obj is dumped.stream)  # type: ignore[union-attr]
        self._snapshot.new_bytes += total
        live.stream = [piece for piece, _ in new]
        live.buffers = [(size, readonly, [p for p, _ in xs]) for size, readonly, xs in sized]
        return live

    def _split(self, view: memoryview, *, content_defined: bool) -> list[tuple[Piece, memoryview | None]]:
        """Pieces of a buffer; with the bytes of those that are new."""
        out: list[tuple[Piece, memoryview | None]] = []
        for part in self._parts(view, content_defined=content_defined):
            key = (xxh3_128_intdigest(part), part.nbytes)
            piece = self._known.get(key)
            if piece is None:
                piece = self._known[key] = Piece(part.nbytes)
                out.append((piece, part))
            else:
                out.append((piece, part if piece.data is None and not piece.digest else None))
        return out

    def _parts(self, view: memoryview, *, content_defined: bool) -> Iterable[memoryview]:
        size = view.nbytes
        if size == 0:
            return
        if content_defined and size > _CUT_FROM:
            for cut in _cutter().cut_buf(view):
                yield view[cut.offset : cut.offset + cut.length]
        else:
            for start in range(0, size, CHUNK):
                yield view[start : start + CHUNK]

    def _keep(self, piece: Piece, view: memoryview | None, *, own: bool) -> None:
        if view is None or piece.data is not None:
            return
        if own or (view.readonly and type(view.obj) is bytes):
            piece.data = view
            return
        copied = self._pool.copy(view)
        if copied is None:
            piece.data = view
            self._snapshot.borrowed = True
        else:
            piece.data = copied

    def _detach(self, cls: type) -> str:
        """Keep a class that lost its name as a component of its own; returns its pseudo-name."""
        name = next((n for n, known in self.classes.items() if known is cls), None)
        if name is None:
            name = f"{DETACHED}{uuid4().hex}"
            self.classes[name] = cls
        if name not in self._detached:
            self._detached.add(name)
            root = cls.__qualname__.partition(".")[0]
            dumped = pickling.dump_values({root: cls}, self.space, self._detach)
            live = self._hashed({name: cls}, dumped, None)
            before = self.live.get(name)
            if before is None or not before.same_bytes(live):
                self.live[name] = live
                self._snapshot.changed.append(live)
        return name

    # -- settling --------------------------------------------------------------------------------

    def _settle(self, replaced: Mapping[str, Live]) -> None:
        """Take over what was looked at, and add what a changed definition changes with it."""
        shot = self._snapshot
        changed: set[Live] = set()
        for name, live in replaced.items():
            before = self.live.get(name)
            self._bindings[name] = id(self.space.get(name))
            if before is not None and before.same_bytes(live):
                before.seconds, before.atom, before.mentions = live.seconds, live.atom, live.mentions
            else:
                self.live[name] = live
                changed.add(live)
        moved = {n for live in (*changed, *shot.changed) for n in live.names} | set(shot.deleted)
        for live in {live for live in self.live.values() if live.refs}:
            live.reaches = self._closure(live.refs)
            if not moved.isdisjoint(live.reaches):
                changed.add(live)
        known = {id(x) for x in shot.changed}
        shot.changed.extend(x for x in changed if id(x) not in known)
        shot.changed.sort(key=lambda live: live.names)

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
        for name, value in ambient.read(self.kinds).items():
            made = self._try({name: value}, None)
            if isinstance(made, Live):
                before = self.live.get(name)
                if before is None or not before.same_bytes(made):
                    self.live[name] = made
                    self._snapshot.changed.append(made)

    def _sweep_detached(self) -> None:
        used = {ref for live in self.live.values() for ref in live.refs}
        for name in [n for n in self.live if n.startswith(DETACHED) and n not in used]:
            del self.live[name]
            self._snapshot.deleted.append(name)
            self._snapshot.changed = [x for x in self._snapshot.changed if x.names != (name,)]

    # -- after a commit or a restore -------------------------------------------------------------

    def forget(self, names: Iterable[str]) -> None:
        """Look at these again next time: their last capture did not become a checkpoint."""
        for name in names:
            self.live.pop(name, None)

    def settle_for(
        self, shot: Snapshot, state: Mapping[str, str], manifests: Mapping[str, Component]
    ) -> None:
        """Instead of committing a snapshot: note what of it equals a checkpoint, and forget the rest."""
        for live in shot.changed:
            fresh = [
                piece
                for piece in (*live.stream, *(p for _, _, pieces in live.buffers for p in pieces))
                if piece.data is not None
            ]
            for piece in fresh:
                piece.digest = blake3(piece.data or b"").hexdigest()
            digest = state.get(live.names[0], "")
            if digest and _equals(live, manifests[digest]):
                live.digest = digest
            else:
                self.forget(live.names)
                for piece in fresh:
                    piece.digest = ""  # the store may not hold these bytes
            for piece in fresh:
                if piece.data is not None:
                    self._pool.release(piece.data)
                    piece.data = None

    def reset(self) -> None:
        """Look at everything next time, and rely on no bytes that were kept before."""
        self.live.clear()
        self._known.clear()

    def adopt(self, name: str, component: Component, digest: str, pieces: Pieces | None) -> None:
        """Note that a variable is now what a manifest says, without pickling it again."""
        live = Live(
            component.names,
            dict(component.types),
            refs=frozenset(component.refs),
            unsaved=component.unsaved,
            python=component.python,
            digest=digest,
            reaches=tuple(sorted(component.refs)),
        )
        if pieces is not None:
            live.inline, live.stream, live.buffers = component.inline, pieces.stream, pieces.buffers
        self._bind(live, name)

    def _bind(self, live: Live, name: str) -> None:
        first = self.live.get(live.names[0])
        if first is not None and first.digest == live.digest and first.names == live.names:
            live = first
        self.live[name] = live
        if name in self.space:
            self._bindings[name] = id(self.space[name])
            live.atom = _atom(self.space[name]) if len(live.names) == 1 else None

    def piece(self, data: memoryview, digest: str) -> Piece:
        """The piece of a chunk that was read back from the store."""
        key = (xxh3_128_intdigest(data), data.nbytes)
        piece = self._known.get(key)
        if piece is None or not piece.digest:
            piece = self._known[key] = Piece(data.nbytes, digest)
        return piece


def _equals(live: Live, manifest: Component) -> bool:
    return (
        live.names == manifest.names
        and live.inline == manifest.inline
        and [p.digest for p in live.stream] == [digest for digest, _ in manifest.stream]
        and [[p.digest for p in pieces] for _, _, pieces in live.buffers]
        == [[digest for digest, _ in b.chunks] for b in manifest.buffers]
    )


@dataclass(slots=True)
class Pieces:
    """The pieces of a component that was read back."""

    stream: list[Piece]
    buffers: list[tuple[int, bool, list[Piece]]]


@functools.cache
def _cutter() -> Any:
    from pyfastcdc import FastCDC

    return FastCDC(256 << 10, min_size=64 << 10, max_size=CHUNK)


class _PutOffError(Exception):
    """Saving a component now would block the cell too long."""

    def __init__(self, size: int) -> None:
        super().__init__(f"put off: saving {size / 1e6:,.0f} MB would hold up the cell; %checkpoint keeps it")


def _atom(value: Any) -> Any:
    """The value itself, where remembering it is cheaper than looking at its bytes again."""
    return value if sharing.is_atomic(value) and sys.getsizeof(value, 0) <= _SMALL_ATOM else None


def _type_name(value: Any) -> str:
    kind = type(value)
    return (
        kind.__qualname__
        if kind.__module__ in ("builtins", "__main__")
        else f"{kind.__module__}.{kind.__qualname__}"
    )


def _first_line(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0] or "it cannot be pickled"
    if isinstance(error, pickle.PicklingError | TypeError | AttributeError | ValueError):
        return text
    return f"{type(error).__name__}: {text}"
