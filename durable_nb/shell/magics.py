"""`%%node`, `%checkpoint`, `%recover` and `%durable`."""

from __future__ import annotations

import argparse
import difflib
import shlex
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError as IPythonUsageError
from IPython.core.magic import Magics, cell_magic, line_cell_magic, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from traitlets import TraitError, TraitType

from durable_nb import config
from durable_nb.engine.cell import NodeOptions
from durable_nb.errors import UsageError
from durable_nb.shell import commands
from durable_nb.ui import render

if TYPE_CHECKING:
    from durable_nb.model import RecoveryResult
    from durable_nb.shell.extension import Extension

NAMES = {
    "cell": ("node", "durable_node"),
    "line": ("node", "durable_node", "checkpoint", "recover", "durable"),
}


def node_options(name: str, options: str, settings: config.Settings) -> NodeOptions:
    """What a directive line asks for.

    Raises:
        UsageError: no name, an option that there is not, or a value that it cannot have.
    """
    if not name.isidentifier():
        raise UsageError(f"%%node needs a name of letters, digits and _, not {name!r}: %%node load")
    parser = argparse.ArgumentParser("%%node", add_help=False, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--after", action="append", default=[])
    parser.add_argument("--retry-on", action="append", default=[])
    parser.add_argument("--retries", nargs="?", type=int, const=settings.attempts, default=1)
    for limit, default in (("backoff", settings.backoff), ("timeout", 0.0), ("total-timeout", 0.0)):
        parser.add_argument(f"--{limit}", type=config.seconds, default=default)
    parser.add_argument("--idle-timeout", type=config.seconds, default=0.0)
    for flag in ("sync", "effects", "cache", "no-rollback"):
        parser.add_argument(f"--{flag}", action="store_true")
    try:
        found, rest = parser.parse_known_args(shlex.split(options))
    except (argparse.ArgumentError, ValueError) as error:
        raise UsageError(f"%%node {name}: {error}") from None
    if rest:
        known = sorted(f"--{name.replace('_', '-')}" for name in vars(found))
        near = difflib.get_close_matches(rest[0], known, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise UsageError(f"%%node {name}: no option {rest[0]}; {hint}")
    if found.retries < 1:
        raise UsageError(f"%%node {name}: --retries {found.retries}: it counts all attempts, so at least 1")
    return NodeOptions(
        name,
        after=_separated(found.after),
        sync=found.sync,
        attempts=found.retries,
        backoff=found.backoff,
        backoff_cap=settings.backoff_cap,
        retry_on=_separated(found.retry_on),
        rollback=not found.no_rollback,
        timeout=found.timeout,
        total_timeout=found.total_timeout,
        idle_timeout=found.idle_timeout,
        effects=found.effects,
        cache=found.cache,
    )


def _separated(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(part for item in items for part in item.split(",") if part)


class _Setting(TraitType[Any, Any]):
    """A trait whose value is checked by `durable_nb.config`."""

    def validate(self, _obj: Any, value: Any) -> Any:
        try:
            return config.parse(self.name or "", value)
        except UsageError as error:
            raise TraitError(str(error)) from None


class _Magics(Magics):
    """The magics of durable_nb; its traits are the settings (`%config Durable`)."""

    shell: Any

    def __init__(self, shell: Any, extension: Extension) -> None:
        self._extension: Extension | None = None
        super().__init__(shell)
        self._extension = extension
        self.observe(self._changed, list(config.definitions()))

    def configured(self) -> dict[str, Any]:
        """Settings that a configuration file gives."""
        return {
            name: getattr(self, name)
            for name in self.config.get("Durable", {})
            if name in config.definitions()
        }

    def _changed(self, change: Any) -> None:
        if self._extension is not None:
            self._extension.overrides[change["name"]] = change["new"]
            self._extension.apply_settings()

    def remove(self, more: Iterable[str]) -> None:
        """Take the magics out of the shell, and the traits out of `%config`."""
        lines, cells = (self.shell.magics_manager.magics[kind] for kind in ("line", "cell"))
        for name in (*NAMES["line"], *more):
            lines.pop(name, None)
        for name in NAMES["cell"]:
            cells.pop(name, None)
        if self in self.shell.configurables:
            self.shell.configurables.remove(self)

    @property
    def extension(self) -> Extension:
        """The extension that these magics command."""
        if self._extension is None:
            raise UsageError("durable_nb is being unloaded")
        return self._extension

    @no_var_expand
    @line_cell_magic("node")
    def node(self, line: str, cell: str | None = None) -> None:
        """%%node NAME [OPTIONS]: a named, durable step.

        It is a cell's first line (`%node NAME` is the same, for linters and editors).

          --after A,B          run only when the nodes A and B are finished
          --sync               return only when the result is safe from power loss
          --retries [N]        after a transient error, attempt it again: N attempts in all (3)
          --backoff 1s         before the second attempt, at most; doubled each time, with jitter
          --retry-on pkg.Err   classes of errors that count as transient, besides the known ones
          --no-rollback        attempt it again on what the failed attempt left
          --timeout 30s        of each attempt
          --total-timeout 5m   of all attempts and the waits between them
          --idle-timeout 1m    between two calls of durable.heartbeat()
          --effects            it does something outside: after a loss it never runs again unasked
          --cache              put it back whenever its source and inputs are known

        When it has run, its result, outputs and state are kept in one commit. After a crash it is put back
        instead of run again. Between attempts the variables go back to what they were before the node.
        """
        if cell is None:
            raise UsageError(f"%node {line} has to be the first line of its cell")
        # Reached from exported scripts and below other magics, where the directive was not seen.
        result = self.shell.run_cell(f"%%node {line}\n{cell}", store_history=True)
        result.raise_error()

    @no_var_expand
    @cell_magic("durable_node")
    def durable_node(self, line: str, cell: str) -> None:
        """The same as `%%node`, where another extension owns that name."""
        self.node(line, cell)

    @no_var_expand
    @magic_arguments()
    @argument("description", nargs="*", help="what to remember it by")
    @argument("--list", action="store_true", help="show every checkpoint")
    @argument("--delete", metavar="ID", help="remove a checkpoint: vN or an id's prefix")
    @argument("--force", action="store_true", help="remove it although it is pinned")
    @argument("--pin", metavar="ID", help="never remove this one by itself")
    @argument("--unpin", metavar="ID", help="take the pin out")
    @argument("--describe", metavar="ID", help="give this one the description")
    @line_magic("checkpoint")
    def checkpoint(self, line: str) -> None:
        """Keep every variable now: safe from power loss when it returns, and pinned."""
        args = self._parse(self.checkpoint, line)
        session = self.extension.session
        if args.list:
            points = session.history().checkpoints().values()
            self._show(render.checkpoints(points, session.version))
        elif args.describe:
            version = session.resolve(args.describe)
            session.describe(version, " ".join(args.description).strip("\"'"))
            print(f"durable_nb: described v{version}")
        elif args.delete or args.pin or args.unpin:
            version = session.resolve(args.delete or args.pin or args.unpin)
            if args.delete:
                session.delete(version, force=args.force)
            else:
                session.pin(version, pinned=bool(args.pin))
            done = "deleted" if args.delete else "pinned" if args.pin else "unpinned"
            print(f"durable_nb: {done} v{version}")
        else:
            point = session.checkpoint(" ".join(args.description).strip("\"'"))
            print(f"durable_nb: checkpoint v{point.version} ({point.digest[:8]}) is safe")

    @no_var_expand
    @magic_arguments()
    @argument("target", nargs="?", help="node, vN, or an id's prefix; without it, the newest checkpoint")
    @argument("--only", metavar="A,B", help="only these variables and what belongs to them")
    @argument("--plan", action="store_true", help="only say what would happen")
    @argument("--undo", action="store_true", help="go back to where the last %%recover started")
    @argument("--recompute", action="store_true", help="run cells again for what could not be kept")
    @argument("--execution", metavar="ID", help="from another execution of this store")
    @argument("--force", action="store_true", help="take an execution over although its kernel may be alive")
    @line_magic("recover")
    def recover(self, line: str) -> None:
        """Bring an earlier state back. Moves state only, and runs no code, but with `--recompute`.

        `--recompute` says which cells it needs for variables that could not be kept, and runs those again,
        on copies of what they had read. It overwrites nothing, and repeats no node with `--effects`.
        """
        args = self._parse(self.recover, line)
        session = self.extension.session
        if args.undo:
            self._show(render.recovery(session.undo()))
            return
        only = [n for n in args.only.split(",") if n] if args.only else None
        result = session.recover(
            args.target, only=only, plan=args.plan, execution=args.execution, force=args.force
        )
        self._show(render.recovery(result))
        if args.recompute:
            self._recompute(result, plan_only=args.plan)

    def _recompute(self, result: RecoveryResult, *, plan_only: bool) -> None:
        session = self.extension.session
        plan = session.lost_values(result)
        for line in render.recomputing(plan):
            print(f"durable_nb: {line}")
        if plan_only or not plan.steps:
            return
        known = set(plan.refused)
        made = session.recompute(result, plan)
        for line in render.not_made({n: why for n, why in plan.refused.items() if n not in known}):
            print(f"durable_nb: {line}")
        if made:
            print(f"durable_nb: made again: {', '.join(sorted(made))}")

    @no_var_expand
    @line_magic("durable")
    def durable(self, line: str) -> None:
        """%durable [COMMAND]: see the notebook's history and steer by it; with a command, one thing of it.

        status            what is kept, and where
        nodes             how far every node is, and which are stale
        graph             the nodes as a picture: which needs which, and where each stands
        log               every attempt at a node or cell
        list              every execution in this store
        show vN           the variables and the cell of a checkpoint
        show NODE --traceback   the failed attempts of a node
        diff A [B [VAR…]] what differs between two checkpoints, value by value; without B, to now
        debug NODE        make its last failure the one that %debug looks at
        resume [NODE]     run the node that was lost from its recorded source; let nodes run again
        pause             run no node until then
        rerun NODE        run a finished node again when it comes up next
        use NODE          take its recorded result although its source changed
        skip, done NODE   leave a node out; take it as done
        release NODE      let a node out of quarantine
        set NAME=VALUE    give a variable a value, and record that
        du                what takes how much of the disk
        verify            check every byte of the store
        off, on           stop and go on recording
        config            every setting, its value and what it is for
        ignore NAME…      leave these variables out from now on
        forget NAME…      remove these variables from all history
        gc                give back what nothing needs any more
        clear [--yes]     remove everything that was kept of this notebook
        trust ID [--yes]  load what somebody else wrote
        new               begin a new execution
        open NAME         say which notebook this is
        """
        try:
            # The value to set is Python, quotes and all.
            words = line.split(None, 1) if line.split(None, 1)[:1] == ["set"] else shlex.split(line)
        except ValueError as error:
            raise UsageError(f"%durable {line}: {error}") from None
        name, *rest = words or [""]
        run = commands.COMMANDS.get(name)
        if run is None:
            near = difflib.get_close_matches(name, commands.COMMANDS, 1)
            hint = f"; did you mean {near[0]}?" if near else "; %durable? lists them"
            raise UsageError(f"%durable has no command `{name}`{hint}")
        shown = run(self.extension, rest)
        if shown is not None:
            self._show(shown)

    def _parse(self, magic: Callable[..., Any], line: str) -> Any:
        try:
            return parse_argstring(magic, line)
        except (IPythonUsageError, ValueError) as error:
            raise UsageError(str(error)) from None

    def _show(self, rendered: render.Rendered) -> None:
        self.extension.show(rendered)


DurableMagics = magics_class(
    type(
        "Durable",
        (_Magics,),
        {
            "__doc__": _Magics.__doc__,
            "__module__": __name__,
            **{
                name: _Setting(default, help=text).tag(config=True)
                for name, (default, _kind, text) in config.definitions().items()
            },
        },
    )
)
"""The magics class; `%config` and configuration files know it as `Durable`."""
