"""Keeping: from what changed to a commit, and what happens when that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from durable_nb.config import Settings
from durable_nb.engine import memory
from durable_nb.engine.death import OOM_KILLS
from durable_nb.engine.nodes import Nodes
from durable_nb.engine.policy import Policy
from durable_nb.engine.saver import Saver, Ticket
from durable_nb.engine.target import Target, explain
from durable_nb.errors import DurableError, FencedError, StoreError
from durable_nb.model import Record
from durable_nb.state import ambient, canonical
from durable_nb.state.capture import Capture
from durable_nb.state.deadline import uninterrupted, within
from durable_nb.state.live import Live, Snapshot
from durable_nb.state.pickling import Namespace
from durable_nb.state.pool import Pool, default_limit
from durable_nb.store.draft import Draft, PendingComponent
from durable_nb.store.log import History
from durable_nb.store.owner import current_owner, oom_kills
from durable_nb.store.repository import Repository
from durable_nb.store.writer import Writer

_LARGE = 4 << 20
"""Bytes of a stream from which on pickling it takes memory that is worth giving back."""


class Keeper:
    """Commits the live state of one namespace to one execution.

    Args:
        repository: the store.
        space: the notebook's namespace.
        visible: gives the names in it that are the user's.
        settings: in force from the start.
        notebook: its path, where it is known.
        say: shows one line to the user, from any thread.
    """

    def __init__(
        self,
        repository: Repository,
        space: Namespace,
        visible: Callable[[], list[str]],
        settings: Settings,
        notebook: Path | None,
        say: Callable[[str], None],
    ) -> None:
        self.repository = repository
        self.settings = settings
        self.notebook = notebook
        self.say = say
        self.policy = Policy(settings)
        self.enabled = settings.enabled
        self.visible = visible
        self.pool = Pool(settings.pool or default_limit())
        self.capture = Capture(
            space,
            self._captured,
            self.pool,
            settings.ambient,
            settings.max_capture,
        )
        self.execution = uuid4().hex[:12]
        self.parent: str | None = None
        """the execution that this one follows after a clean restart"""
        self.version: int | None = None
        """the checkpoint that the live state was last equal to"""
        self.unseen: str | None = "it is the first checkpoint"
        """why everything has to be looked at next time"""
        self.writer: Writer | None = None
        self.nodes = Nodes()
        """of this execution"""
        self.listeners: list[Callable[[Record], None]] = []
        """told of every record once it is kept; on the writer's thread for what is written there"""
        self._saver: Saver | None = None
        self._failed: list[Ticket] = []
        self._announced: set[str] = set()
        self._left_out: list[str] = []
        """variables that `exclude` left out of the newest capture"""
        self._names: list[str] = []
        """those that were not"""
        self._asked: tuple[list[str], tuple[str, ...], frozenset[str]] = ([], (), frozenset())
        """what both follow from: the user's names, the patterns, the names that are ignored"""
        self._inputs: dict[str, str] = {}
        """name -> canonical digest, while one cell arrives"""
        self._deleted: set[str] = set()

    @property
    def begun(self) -> bool:
        """Whether this kernel owns an execution yet."""
        return self.writer is not None

    @property
    def last(self) -> Ticket | None:
        """The newest commit that was handed to the writer."""
        return self._saver.last if self._saver else None

    @property
    def durability(self) -> str:
        """How safe the newest commit is, in a word; "" where this kernel made none."""
        last = self.last
        return last.durability if last is not None else ""

    def _captured(self) -> list[str]:
        """The user's names without those that are left out."""
        names, policy = self.visible(), self.policy
        asked = names, policy.settings.exclude, frozenset(policy.ignored)
        if asked != self._asked:  # most cells bind no new name: the same list takes no time to compare
            left = {n for n in names if policy.excluded(n)}
            self._left_out = sorted(left - policy.ignored)
            self._names, self._asked = [n for n in names if n not in left], asked
        return self._names

    def apply(self, settings: Settings) -> None:
        """Other settings hold from now on (but `pool` and `ambient`, which hold from the next load)."""
        if settings.enabled != self.settings.enabled:
            self.enabled = settings.enabled
        self.settings = self.policy.settings = settings
        self.repository.compression, self.repository.min_free = settings.compression, settings.min_free
        if self.writer is not None:
            self.writer.compression, self.writer.min_free = settings.compression, settings.min_free

    def begin(self) -> Writer:
        """The writer; the first call begins the execution."""
        if self.writer is None:
            meta = {"folder": str(Path.cwd()), OOM_KILLS: oom_kills()}
            notebook = str(self.notebook) if self.notebook else None
            with uninterrupted():  # once it is published, it cannot be begun again
                self._write_with(
                    self.repository.create(
                        self.execution, current_owner(), notebook=notebook, parent=self.parent, meta=meta
                    )
                )
        assert self.writer is not None
        return self.writer

    def own(self, execution: str) -> History:
        """Take an execution over: publish its next epoch, then read what it holds.

        Raises:
            FencedError: another kernel was faster.
        """
        meta = {OOM_KILLS: oom_kills()}
        self._write_with(self.repository.take_over(execution, current_owner(), meta=meta))
        self.execution = execution
        history = self.repository.history(execution)
        self.nodes = Nodes(history.records)
        return history

    def _write_with(self, writer: Writer) -> None:
        self.writer = writer
        self._saver = Saver(writer, self._commit_failed)

    def close(self, status: str, timeout: float) -> None:
        """End the execution in order: the mark first, then at most `timeout` seconds of flushing."""
        if self.writer is None or self._saver is None:
            return
        writer, saver, self.writer, self._saver = self.writer, self._saver, None, None
        try:
            writer.intent({"end": status})
            if saver.close(timeout):
                writer.end(status)
        except (DurableError, OSError) as error:
            if not isinstance(error, FencedError):
                self.say(f"durable_nb: the end of this run could not be recorded: {explain(error)}")
        finally:
            writer.close()

    def abandon(self) -> None:
        """Give an execution up that was taken over and could not be continued: its end is not recorded."""
        if self.writer is not None:
            self.writer.close()
        self.writer = self._saver = None
        self.capture.reset()
        self.execution = uuid4().hex[:12]
        self.version = None
        self.nodes = Nodes()

    def new(self) -> None:
        """Begin a new execution with the next commit; the variables stay as they are."""
        self.parent = self.execution if self.version is not None else self.parent
        self.execution = uuid4().hex[:12]
        self.version = None
        self.nodes = Nodes()
        self.enabled = self.settings.enabled
        self.capture.reset()
        self._failed.clear()
        self._deleted.clear()
        self.unseen = "it is the first checkpoint"

    def wait(self, *, safe: bool = False) -> None:
        """Wait until nothing is on its way to the disk; from any thread."""
        saver = self._saver  # another thread may be closing it
        if saver is not None:
            saver.drain(safe=safe)

    def drain(self, *, safe: bool = False) -> None:
        """Wait until nothing is on its way to the disk, and take back what failed to get there."""
        self.wait(safe=safe)
        if self._failed:
            self._failed.clear()
            self._look_again("the save before failed")

    def _look_again(self, why: str) -> None:
        """What was noted as kept may not be: capture everything with the next checkpoint."""
        self._deleted.update(self.capture.live)
        self.capture.reset()
        self.unseen = why

    @contextmanager
    def undisturbed(self) -> Iterator[Callable[[Iterable[str] | None, int | None], Snapshot]]:
        """Capture and commit so that an interrupt or an error abandons this save only."""
        shots: list[Snapshot] = []

        def take(names: Iterable[str] | None, limit: int | None) -> Snapshot:
            self.drain()
            shots.append(self.capture.take(names, limit))
            return shots[-1]

        try:
            yield take
        except BaseException:  # an interrupt too
            for shot in shots:
                self._deleted.update(shot.deleted)
                if not shot.submitted:
                    self.capture.give_up(shot)
            self._look_again("the save before was given up")
            raise

    def commit(
        self,
        kind: str,
        body: Mapping[str, Any],
        shot: Snapshot,
        *,
        cell: bytes | None = None,
        assign: Mapping[str, str] | None = None,
        deleted: Iterable[str] = (),
    ) -> Ticket:
        """Hand a checkpoint over to the writer's thread."""
        self.begin()
        assert self._saver is not None
        self._saver.drain()
        gone = {n for n in (*shot.deleted, *self._deleted, *deleted) if n not in self.capture.live}
        pending = [_pending(live) for live in shot.changed]
        draft = Draft(
            kind=kind,
            body=dict(body),
            components=pending,
            deleted=sorted(gone),
            parent=self.version,
            cell=cell,
            has_state=True,
            assign=dict(assign or {}),
            release=self.pool.release,
        )
        ticket = Ticket(draft)
        ticket.kept_then = lambda: self._kept(ticket, shot, pending)
        ticket.then = self._tidy
        self.unseen = None
        self._deleted = set()
        shot.submitted = True
        self._saver.submit(ticket)
        if shot.borrowed:
            # The writer reads the user's own memory: no code may run before it is done.
            with uninterrupted():
                self._wait_for(ticket, shot)
        return ticket

    def _wait_for(self, ticket: Ticket, shot: Snapshot) -> None:
        """Wait until the writer has read the user's memory, and say how far it is where that takes long."""
        total = sum(piece.size for piece in shot.fresh)
        pause = 1.0
        while not ticket.wait(timeout=pause):
            done = sum(piece.size for piece in shot.fresh if piece.data is None)
            self.say(
                f"durable_nb: writing {total / 1e6:,.0f} MB before the next cell can run: "
                f"{done / total:.0%} done"
            )
            pause = min(2 * pause, 30.0)

    def checkpoint(self, kind: str, body: Mapping[str, Any]) -> Ticket:
        """Keep everything now; safe, or failed, when it returns."""
        with self.undisturbed() as take:
            shot = take(None, None)
            ticket = self.commit(kind, body, shot)
        self.announce(shot)
        ticket.wait(safe=True)
        return ticket

    def secure(self, description: str, *, safe: bool = True) -> DurableError | None:
        """See to it that the live state is a checkpoint that is safe (or kept); returns why it is not.

        Where nothing has changed since the newest one, that one will do.
        """
        with self.undisturbed() as take:
            shot = take(None, None)
            if shot.changed or shot.deleted or self._deleted or self.version is None:
                last: Ticket | None = self.commit("safety", {"description": description}, shot)
            else:
                last = self.last
        self.announce(shot)
        if last is None:
            return None
        last.wait(safe=safe)
        return last.error

    def note(self, kind: str, body: Mapping[str, Any]) -> None:
        """Commit a record that is no checkpoint; safe when it returns."""
        writer = self.begin()
        self.drain()
        record = writer.commit(Draft(kind=kind, body=dict(body), has_state=False))
        self._tell(record)
        writer.safe()

    def _tell(self, record: Record) -> None:
        self.nodes.add(record.kind, record.body, record.number)
        for listener in list(self.listeners):
            listener(record)

    def announce(self, shot: Snapshot) -> None:
        """Say once, for each variable, that it is not kept and why."""
        for name in self._left_out:
            if name not in self._announced:
                self._announced.add(name)
                self.say(f"durable_nb: `{name}` is not kept: its name is one that `exclude` leaves out")
        for live in shot.unsaved:
            for name in live.names:
                if name not in self._announced:
                    self._announced.add(name)
                    self.say(
                        f"durable_nb: `{name}` is not kept ({live.unsaved}); "
                        "after a crash the cell that makes it runs again"
                    )

    def not_kept(self) -> list[str]:
        """Variables that are live and not kept, with the reason."""
        refused = [f"{n} ({live.unsaved})" for n, live in self.capture.live.items() if live.unsaved]
        out = [f"{n} (by its name)" for n in self.visible() if self.policy.excluded(n)]
        return sorted(refused) + sorted(out)

    def beside(self) -> list[str]:
        """The kinds of ambient state that are kept, and those that are turned off."""
        prefix = ambient.PREFIX
        kept = sorted(n.removeprefix(prefix) for n in self.capture.live if n.startswith(prefix))
        return kept + [f"{kind} (off)" for kind in ambient.KINDS if kind not in self.settings.ambient]

    def stand_at(self, target: Target) -> None:
        """The live state is that of a checkpoint now: the next one is its child."""
        self.drain()
        contents = target.contents()
        for name, live in self.capture.live.items():
            live.content_digest = live.content_digest or contents.get(name, "")
        self.version = target.version
        if self.writer is not None:
            self.writer.set_state(target.version, target.state, contents)

    def missing(self, names: Iterable[str]) -> None:
        """The version that the writer stands at has these, and the namespace may not."""
        self._deleted.update(names)

    def input_digests(self, names: Iterable[str]) -> dict[str, str]:
        """What variables are, equal in every process; "" for one that cannot be kept, nor compared."""
        found: dict[str, str] = {}
        for name in names:
            live = self.capture.live.get(name)
            if live is None:
                continue
            if name not in self._inputs:
                self._inputs[name] = "" if live.unsaved is not None else self._canonical(name)
            found[name] = self._inputs[name]
        return found

    def forget_inputs(self) -> None:
        """What variables are is found out anew: anything may have changed them since."""
        self._inputs.clear()

    def _canonical(self, name: str) -> str:
        try:
            return within(self.settings.max_capture, lambda: canonical.digest([name], self.capture.space))
        except KeyboardInterrupt:
            raise
        except BaseException:  # whatever the user's own reductions raise
            return ""

    def live_digests(self) -> dict[str, str]:
        """name -> manifest digest of everything that is live and kept."""
        return {name: live.digest for name, live in self.capture.live.items() if live.digest}

    def _kept(self, ticket: Ticket, shot: Snapshot, pending: list[PendingComponent]) -> None:
        """On the writer's thread, before anybody is told: note what the commit gave."""
        for live, done in zip(shot.changed, pending, strict=True):
            live.digest, live.content_digest = done.digest, done.content_digest
        if ticket.record is not None:
            self.version = ticket.record.number
            self._tell(ticket.record)
        self.policy.measured(shot.new_bytes, ticket.seconds)
        if any(sum(piece.size for piece in live.stream) > _LARGE for live in shot.changed):
            memory.give_back()

    def _commit_failed(self, ticket: Ticket) -> None:
        """On the writer's thread: one line; what was lost is captured again with the next cell."""
        self._failed.append(ticket)
        node = ticket.draft.body.get("node")
        if node and "attempt" in ticket.draft.body:
            self.nodes.not_kept(node)
        if isinstance(ticket.error, FencedError):
            self.refused(ticket.error)
        else:
            self.say(
                f"durable_nb: this cell's result was not kept: {ticket.error}. "
                "It is tried again with the next cell"
            )

    def refused(self, error: FencedError) -> None:
        """Another kernel owns the execution now: stop, and say so once."""
        if self.enabled:
            self.enabled = False
            self.say(f"durable_nb: {error}; `%durable new` begins an execution of its own")

    def _tidy(self) -> None:
        """On the writer's thread: keep the store within `max_bytes`."""
        if self.writer is not None:
            try:
                self.repository.keep_within(self.writer, self.settings.max_bytes)
            except (StoreError, OSError) as error:
                self.say(f"durable_nb: old checkpoints could not be removed: {explain(error)}")


def _pending(live: Live) -> PendingComponent:
    return PendingComponent(
        names=live.names,
        types=live.types,
        previews=live.previews,
        python=live.python,
        inline=live.inline,
        stream=live.stream,
        buffers=live.buffers,
        views=live.views,
        reaches=live.reaches,
        unsaved=live.unsaved,
    )
