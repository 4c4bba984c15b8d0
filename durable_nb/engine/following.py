"""The live state in step with catch-up: taken to where each cell left it that is put back, or runs again."""

from __future__ import annotations

from durable_nb.engine import resume
from durable_nb.engine import target as targets
from durable_nb.engine.cell import Cell
from durable_nb.engine.keeper import Keeper
from durable_nb.engine.recovery import Recovery
from durable_nb.engine.resume import CatchUp, RecordedCell
from durable_nb.engine.saver import Ticket
from durable_nb.state import access


class Following:
    """Moves the state of a kernel that catches up. What there is to say is added to `notes`."""

    def __init__(self, keeper: Keeper, recovery: Recovery) -> None:
        self.keeper = keeper
        self.recovery = recovery
        self.yours: tuple[str, ...] = ()
        """bound before the extension was loaded, and so not brought back yet"""

    def follow(self, known: CatchUp | None, cell: Cell, recorded: RecordedCell, notes: list[str]) -> bool:
        """Once something was made again, live is not the newest state: take it to where this cell left it.

        False where that would replace what the remade variable was made from: a plain cell then runs.
        """
        if known is not None and self.yours and not cell.setup:
            self.yours = ()
            moved = self.recovery.move(self.keeper.execution, known.version)
            notes.append(
                f"durable_nb: {', '.join(moved)} brought back too: this run continues the recorded one"
            )
        if known is None or not known.remade:
            return True
        replaced = self.recovery.differing(self.keeper.execution, recorded.version)
        stale = [n for n, mentioned in known.remade.items() if not replaced.isdisjoint(mentioned - {n})]
        if stale and cell.node is None:
            known.active = False
            notes.append(
                f"durable_nb: this cell runs again, since it changes what `{stale[0]}` was made from"
            )
            return False
        execution, version = self.keeper.execution, recorded.version
        self.recovery.move(execution, version, keep=self.recovery.unsaved_at(execution, version))
        for name in stale:
            # A finished node is never run again: better without the variable than quietly wrong.
            self.keeper.capture.space.pop(name, None)
            del known.remade[name]
            notes.append(
                f"durable_nb: `{name}` could not be kept, and `{cell.node}` changed what it was made from: "
                "run the cell that makes it"
            )
        return True

    def step_back(self, known: CatchUp | None, before: int, notes: list[str], *, told: bool) -> None:
        """Take it to the state before a cell that is not the recorded one."""
        newest = known.version if known else before
        self.recovery.move(self.keeper.execution, before)
        if told:
            notes.append(
                "durable_nb: this cell is not the one that was recorded here: it runs on the state before "
                f"it (v{before}); what came after is kept: %recover v{newest}"
            )

    def forward(self, known: CatchUp | None, recorded: RecordedCell, read: access.Access) -> None:
        """After a cell ran again only for what could not be kept: put back what was."""
        keeper = self.keeper
        missing = self.recovery.unsaved_at(keeper.execution, recorded.version)
        history = keeper.repository.history(keeper.execution)
        found = targets.open_target(keeper.repository, history, recorded.version)
        # What came out the same stays the object that it is: the remade variable may hold it.
        keeper.capture.settle_for(keeper.capture.take(), found.state, found.manifests)
        self.recovery.move(keeper.execution, recorded.version, keep=missing)
        if known is not None:
            known.remade.update(dict.fromkeys(missing, read.names))

    def went_on(self, known: CatchUp, ticket: Ticket, *, done: bool) -> None:
        """A node of the lost kernel ran before Run All came by it: that will find it finished, or undone."""
        self.keeper.drain()
        if done and ticket.record is not None:
            history = self.keeper.repository.history(self.keeper.execution)
            known.cells.extend(resume.recorded_cells(history, ticket.record.number)[len(known.cells) :])
            known.version = ticket.record.number
        else:
            self.recovery.move(self.keeper.execution, known.version)
