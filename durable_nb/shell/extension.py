"""Loading, unloading, and the events of cells."""

from __future__ import annotations

import ast
import asyncio
import atexit
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from blake3 import blake3
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from durable_nb import config
from durable_nb.engine.cell import Cell, NodeOptions
from durable_nb.engine.recompute import Recompute
from durable_nb.engine.session import Arrival, Session
from durable_nb.errors import DurableError, NotFoundError, RefusedError, UsageError
from durable_nb.model import NodeStatus
from durable_nb.shell import commands, directive, whereami
from durable_nb.shell.completion import Matcher
from durable_nb.shell.gate import Gate
from durable_nb.shell.names import UserNames
from durable_nb.shell.notebook import node_sources
from durable_nb.shell.outputs import Recorder, replay
from durable_nb.shell.progress import NodeProgress
from durable_nb.shell.steering import Steering, is_same
from durable_nb.store.objects import LocalFolder
from durable_nb.store.repository import Repository
from durable_nb.store.signing import Signer
from durable_nb.ui import card, render

_loaded: dict[int, Extension] = {}


_at_exit: list[object] = []
"""Holds the exit handler once it is registered."""


def _close_all() -> None:
    for extension in list(_loaded.values()):
        extension.close()


def load(shell: InteractiveShell) -> None:
    """Install the extension into a shell, once."""
    if id(shell) in _loaded:
        return
    if sys.platform == "win32":
        print("durable_nb does not support Windows yet: nothing is recorded")
        return
    _loaded[id(shell)] = extension = Extension(shell)
    try:
        extension.install()
    except BaseException:  # an interrupt too: what is half loaded is taken out again
        del _loaded[id(shell)]
        if hasattr(extension, "session"):
            extension.session.keeper.abandon()
        extension.uninstall()
        raise


def unload(shell: InteractiveShell) -> None:
    """Take the extension out again; the execution ends in order."""
    extension = _loaded.pop(id(shell), None)
    if extension is not None:
        extension.uninstall()


def current() -> Session:
    """The session of the running shell."""
    if not _loaded:
        raise NotFoundError("durable_nb is not loaded here: run %load_ext durable_nb")
    return list(_loaded.values())[-1].session


def of(shell: InteractiveShell) -> Extension:
    """The extension as installed in a shell."""
    if id(shell) not in _loaded:
        raise NotFoundError("durable_nb is not loaded here: run %load_ext durable_nb")
    return _loaded[id(shell)]


def _directive_line(_line: str) -> None:
    """Stands in a node's cell for its `%%node` line; refuses to go on where the node may not run."""
    extension = list(_loaded.values())[-1]
    if extension.arrival.error is not None:
        raise extension.arrival.error


def _put_back_line(_line: str) -> object | None:
    """Stands in for the body of a cell that is put back: shows what it had shown."""
    extension = list(_loaded.values())[-1]
    if extension.arrival.error is not None:
        raise extension.arrival.error
    return replay(extension.shell, [dict(o) for o in extension.arrival.outputs])


def _guard_line(_line: str) -> object:
    """What runs the body of a node that may be tried again."""
    guard = list(_loaded.values())[-1].arrival.guard
    if guard is None:
        raise RefusedError("this cell was not begun as a node: run it again")
    return guard


class Extension:
    """What is installed in one shell: hooks, magics, completion, and the session behind them."""

    session: Session

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.recorder = Recorder(shell)
        self.matcher = Matcher(self._names)
        self.arrival = Arrival()
        self.place = whereami.locate(shell, None)
        self.overrides: dict[str, Any] = {}
        self.steering = Steering(self)
        self.visible = UserNames(shell)
        """gives the names in the namespace that are the user's"""
        self._gate = Gate(self)
        self._info: Any = None
        self._progress: NodeProgress | None = None
        self._nested_failure = False
        self._loading: str | None = None
        self._untold: list[Callable[[], None]] = []
        self._magics: Any = None

    def install(self, explicit: str | None = None) -> None:
        """Open the store, take up what was lost, and start to listen."""
        from durable_nb.shell.magics import DurableMagics

        self.place = whereami.locate(self.shell, explicit)
        if self._magics is None:
            self._magics = DurableMagics(self.shell, self)
            self.overrides.update(self._magics.configured())
        bound = self.visible()
        self._loading = self._current_cell()
        self.session = self._open_session()
        self.steering.open(self.session)
        self._listen()
        opening = self.session.open(bound, _digest(self._loading))
        for note in opening.notes:
            self._tell(partial(print, f"durable_nb: {note}"))
        if opening.result is not None:
            nodes = self.session.keeper.nodes
            held = [n.name for n in nodes.by_name.values() if n.status is NodeStatus.QUARANTINED]
            finished = [name for name in nodes.by_name if nodes[name].finished]
            self._tell(partial(self.show, card.recovered(opening.result, opening.death, finished, held)))

    def _tell(self, show: Callable[[], None]) -> None:
        """Show what loading has to say; loaded at a kernel's start, before any cell, with the first cell."""
        if (
            whereami.kernel_kind(self.shell) == "kernel"
            and self.shell.execution_count <= 1
            and not self._loading
        ):
            self._untold.append(show)
        else:
            show()

    def _open_session(self) -> Session:
        settings = config.load(self.place.folder, **self.overrides)
        folder = Path(settings.store).expanduser() if settings.store else self.place.folder / ".durable"
        fresh = not folder.exists()
        repository = self._open_store(folder, settings)
        if fresh:
            left_out = ", ".join(settings.exclude)
            line = (
                f"durable_nb keeps this notebook's variables, source and outputs, unencrypted, in "
                f"{repository.objects.name} (names like {left_out} are left out)"
            )
            self._tell(partial(print, line))
        self.recorder = Recorder(self.shell, limit_bytes=settings.output_limit)
        path = self.place.notebook
        session = Session(
            repository, self.shell.user_ns, self.visible, settings, path, self.say,
            lambda: node_sources(path) if path is not None else None,
        )  # fmt: skip
        session.recomputing = Recompute(session.keeper, self._run_recorded, self._tree_of)
        return session

    def _run_recorded(self, raw: str) -> None:
        """Run a recorded cell without showing what it shows."""
        with capture_output():
            self.shell.run_cell(raw, silent=True, store_history=False).raise_error()

    def _tree_of(self, raw: str) -> ast.Module | None:
        """The tree of a recorded cell; None where it awaits, or does not parse."""
        tree = _parsed(self.shell.transform_cell(raw))
        if tree is None or directive.awaits(tree, self.shell.compile.flags) is not False:
            return None
        return directive.body(tree)

    def _open_store(self, folder: Path, settings: config.Settings) -> Repository:
        signer = Signer()
        options: dict[str, Any] = {"compression": settings.compression, "min_free": settings.min_free}
        try:
            return Repository(LocalFolder(folder), signer, **options)
        except OSError as error:
            import platformdirs

            where = blake3(str(folder).encode()).hexdigest()[:12]
            other = Path(platformdirs.user_data_dir("durable_nb")) / "stores" / where
            print(f"durable_nb: {folder} cannot be written ({error}); the store is {other} instead")
            return Repository(LocalFolder(other), signer, **options)

    def _listen(self) -> None:
        shell = self.shell
        shell.events.register("pre_execute", self.steering.code_begins)
        shell.events.register("post_execute", self.steering.code_ended)
        shell.events.register("pre_run_cell", self.before_cell)
        shell.events.register("post_run_cell", self.after_cell)
        shell.input_transformers_cleanup.append(directive.transform)
        shell.ast_transformers.append(self._gate)
        shell.register_magics(self._magics)
        register: Callable[..., None] = shell.register_magic_function
        register(_directive_line, "line", directive.BEGIN)
        register(_put_back_line, "line", directive.PUT_BACK)
        register(_guard_line, "line", directive.GUARD)
        self.matcher.install(shell)
        if not _at_exit:
            _at_exit.append(atexit.register(_close_all))

    def uninstall(self) -> None:
        """Take everything out of the shell again."""
        shell = self.shell
        for event, hook in (
            ("pre_execute", self.steering.code_begins), ("post_execute", self.steering.code_ended),
            ("pre_run_cell", self.before_cell), ("post_run_cell", self.after_cell),
        ):  # fmt: skip
            if hook in shell.events.callbacks[event]:
                shell.events.unregister(event, hook)
        if directive.transform in shell.input_transformers_cleanup:
            shell.input_transformers_cleanup.remove(directive.transform)
        if self._gate in shell.ast_transformers:
            shell.ast_transformers.remove(self._gate)
        self.matcher.uninstall(shell)
        self.recorder.stop()
        if self._magics is not None:
            self._magics.remove((directive.BEGIN, directive.PUT_BACK, directive.GUARD))
        self.close()

    def close(self) -> None:
        """End the execution in order; at exit."""
        if self._progress is not None:
            self._progress.stop()
        self.steering.close()
        if hasattr(self, "session"):
            self.session.close()

    def reopen(self, explicit: str | None = None) -> None:
        """Another notebook's name, or another store: end this session and open that one."""
        self.uninstall()
        self.install(explicit)

    def apply_settings(self) -> None:
        """`%config` changed something: it holds from the next cell on."""
        if hasattr(self, "session"):
            self.session.settings = config.load(self.place.folder, **self.overrides)

    def _current_cell(self) -> str | None:
        """Source of the cell that loads the extension; None where no cell does."""
        if not self.shell.user_ns.get("In") or getattr(self.shell, "execution_count", 0) < 1:
            return None
        history = self.shell.history_manager
        raw = history.input_hist_raw[-1] if history is not None and len(history.input_hist_raw) > 1 else None
        return raw if raw and "durable_nb" in raw else None

    def before_cell(self, info: Any) -> None:
        """`pre_run_cell`: decide what becomes of the cell. Never raises."""
        if self._info is not None:
            return  # a cell inside a cell, as `%%capture` runs it
        self.arrival, self._progress = Arrival(), None
        self._gate.armed, self._gate.replacement = False, None
        if info.silent or not info.store_history:
            self.steering.cell_begins(info, recorded=False)
            self.session.note_unseen("a cell that is not recorded ran")
            return
        self._info, self._nested_failure, self._loading = info, False, None
        untold, self._untold = self._untold, []
        for show in untold:
            show()
        try:
            self.steering.cell_begins(info, recorded=True)
            raw = info.raw_cell
            tree = _parsed(info.transformed_cell or self.shell.transform_cell(raw))
            asked = directive.resumes(tree) if tree is not None else None
            resumed = commands.resumed(self, asked) if asked is not None else None
            if resumed is not None:
                raw, tree = resumed, _parsed(self.shell.transform_cell(resumed))
            if tree is not None and directive.only_own(tree):
                self._info = None
                return
            cell = self._cell(info, raw, tree)
            self.arrival = self._refused(raw) or self.session.arrive(cell, resumed=resumed is not None)
            self._gate.replacement = tree if resumed is not None else None
            self._show_safely(partial(self._follow, cell))
            for note in self.arrival.notes:
                print(note)
        except KeyboardInterrupt:
            # IPython would run the body all the same, perhaps on a state that was moved half-way.
            # What is put back already stays so: nothing of it runs, and asked again it would not be put back.
            if not self.arrival.put_back:
                self.session.attempts.interrupted_early()
                self.arrival = Arrival(error=RefusedError("interrupted before the cell ran: run it again"))
        except Exception as error:
            self._warn("this cell is not recorded", error)
            self.session.note_unseen("a cell was not recorded")
            self._info = None
            return
        self._gate.armed = (
            self.arrival.put_back
            or self.arrival.guard is not None
            or self._gate.replacement is not None
            or (self.arrival.error is not None and not self._is_node(info))
        )
        if not self.arrival.put_back:
            self.recorder.start()

    def _follow(self, cell: Cell) -> None:
        """Show how a node is going, where there is a person who sees it.

        The outputs of headless runs are compared (nbval, for one), and times differ.
        """
        session = self.session
        wanted = cell.options is not None and session.settings.progress_tracking and session.keeper.enabled
        seen = whereami.kernel_kind(self.shell) == "kernel" and whereami.interactive(self.shell)
        if not wanted or not seen or self.arrival.error is not None:
            return
        progress = NodeProgress(self.shell, self.recorder, session, cell)
        if self.arrival.put_back:
            progress.put_back()
            return
        self._progress = progress  # before it begins: an interrupt on the way ends it, too
        progress.begin()

    def _show_safely(self, show: Callable[[], None]) -> None:
        """What is only shown is never a reason for a cell to run, or not to be kept."""
        try:
            show()
        except Exception as error:
            self._warn("how this node is going cannot be shown", error)

    def _is_node(self, info: Any) -> bool:
        """Whether the directive line is there to raise what refuses the cell."""
        return directive.find(info.raw_cell) is not None

    def _refused(self, raw: str) -> Arrival | None:
        try:
            self.options(raw)
        except UsageError as error:
            return Arrival(error=error)
        return None

    def options(self, raw: str) -> NodeOptions | None:
        """What a cell's directive line asks for; None for a plain cell. Raises UsageError."""
        from durable_nb.shell.magics import node_options

        found = directive.find(raw)
        return None if found is None else node_options(found.name, found.options, self.session.settings)

    def _cell(self, info: Any, raw: str, tree: ast.Module | None) -> Cell:
        setup = tree is not None and directive.only_setup(tree)
        try:
            options = self.options(raw)
        except UsageError:
            options = None
        guardable = False
        if options is not None and tree is not None:
            guardable = directive.awaits(tree, self.shell.compile.flags) is not None
        return Cell(
            raw,
            directive.source_of(raw),
            None if tree is None else directive.body(tree),
            setup,
            options,
            getattr(info, "cell_id", None) if raw == info.raw_cell else None,
            self._count(),
            guardable,
        )

    def _count(self) -> int:
        """The number that the front end shows beside the cell that is about to run.

        Some versions of IPython count on before they tell of a cell, others after it ran.
        """
        history = self.shell.history_manager
        counted = int(self.shell.execution_count)
        return counted if history is None else min(counted, len(history.input_hist_parsed))

    def after_cell(self, result: Any) -> None:
        """`post_run_cell`: keep what the cell did. Never raises."""
        progress = self._progress
        try:
            if result is not None and self._loading is not None and self._info is None:
                self._loaded_by(result)
                return
            if self._info is None:
                return
            if result is not None and not is_same(result.info, self._info):
                self._nested_failure |= not result.success
                return
            outputs = self.recorder.stop()
            self._info = None
            if self.arrival.put_back or self.arrival.error is not None:
                if progress is not None:
                    self._show_safely(partial(progress.end, None, NodeStatus.INTERRUPTED, None))
                return
            status, error = self._status(result), _error(result)
            ticket = self.session.finish(status, outputs, error)
            if progress is not None:
                self._show_safely(partial(progress.end, ticket, status, error))
        except KeyboardInterrupt:
            self._info = None
            self.session.note_unseen("a save was interrupted")
            self.say("durable_nb: the save of this cell was interrupted; it is made before the next one runs")
        except Exception as error:
            self._info = None
            self.session.note_unseen("a save failed")
            self._warn("this cell's result is not kept", error)
        finally:
            if progress is not None and self._info is None:
                progress.stop()
            self.steering.cell_ended(result)

    def _loaded_by(self, result: Any) -> None:
        """The cell that loads the extension counts as the first one of the notebook."""
        raw, self._loading = self._loading or "", None
        if not result.success:
            return
        tree = _parsed(self.shell.transform_cell(raw))
        setup = tree is not None and directive.only_setup(tree)
        self.session.loaded_by(Cell(raw, directive.source_of(raw), tree, setup))

    def _status(self, result: Any) -> NodeStatus:
        if result is None:
            return NodeStatus.INTERRUPTED
        error = result.error_in_exec or result.error_before_exec
        if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
            return NodeStatus.INTERRUPTED
        failed = error is not None or (self._nested_failure and self.session.in_node)
        return NodeStatus.FAILED if failed else NodeStatus.COMPLETED

    def say(self, line: str) -> None:
        """One line for the user, from any thread; not part of a cell's recorded outputs."""
        with self.recorder.unrecorded():
            print(line, file=sys.stderr, flush=True)

    def _warn(self, what: str, error: Exception) -> None:
        text = str(error) if isinstance(error, DurableError) else f"{type(error).__name__}: {error}"
        self.say(f"durable_nb: {what}: {text}")

    def show(self, rendered: render.Rendered) -> None:
        """Show a report: as HTML where a front end can, as text elsewhere."""
        if whereami.kernel_kind(self.shell) == "kernel":
            self.shell.display_pub.publish(rendered._repr_mimebundle_(), {})
        else:
            print(rendered.text)

    def _names(self) -> Iterable[tuple[str, str]]:
        points = [p for p in self.session.history().checkpoints().values() if not p.retired]
        nodes = dict.fromkeys(p.node for p in sorted(points, key=lambda p: -p.version) if p.node)
        yield from ((node, "node") for node in nodes)
        yield from ((f"v{p.version}", "version") for p in sorted(points, key=lambda p: -p.version))


def _parsed(transformed: str) -> ast.Module | None:
    try:
        return ast.parse(transformed)
    except (SyntaxError, ValueError):
        return None  # IPython says so when it runs the cell


def _error(result: Any) -> BaseException | None:
    """What a cell ended with."""
    return None if result is None else (result.error_in_exec or result.error_before_exec)


def _digest(raw: str | None) -> str | None:
    return None if raw is None else blake3(directive.source_of(raw).encode()).hexdigest()
