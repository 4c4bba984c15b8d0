"""The commands of `%durable`, one function each."""

from __future__ import annotations

import ast
import base64
import json
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from durable_nb import config
from durable_nb.engine import failure, housekeeping, overview
from durable_nb.engine import target as targets
from durable_nb.errors import DurableError, NotFoundError, RefusedError, UsageError
from durable_nb.shell import directive, whereami
from durable_nb.ui import render, screen

if TYPE_CHECKING:
    from durable_nb.shell.extension import Extension

Command = Callable[["Extension", list[str]], render.Rendered | None]


def _screen(extension: Extension, _args: list[str]) -> render.Rendered | None:
    session = extension.session
    found = overview.of(session)
    labels = [overview.first_line(session, entry) for entry in found.entries[: screen.SHOWN]]
    static = screen.static(found, labels)
    if whereami.kernel_kind(extension.shell) != "kernel":
        return static
    extension.steering.show(static)
    return None


def _status(extension: Extension, _args: list[str]) -> render.Rendered:
    session = extension.session
    place = (
        str(session.keeper.notebook) if session.keeper.notebook else "unknown (`%durable open NAME` names it)"
    )
    body = [
        ("notebook", place),
        ("store", f"{session.repository.objects.name}, {render.amount(session.repository.bytes_stored())}"),
    ]
    if session.keeper.begun:
        done = sorted(session.finished_nodes())
        body += [
            (
                "execution",
                session.keeper.execution + (", continued after a loss" if session.recovered else ""),
            ),
            ("checkpoint", render.standing(session.version, session.keeper.durability)),
            ("finished nodes", render.listed(done)),
            ("progress", render.so_far(session.summary())),
        ]
    body.append(("kept beside", render.listed(session.keeper.beside())))
    body.append(("not kept", render.listed(session.keeper.not_kept(), 8)))
    on = "records this notebook" if session.keeper.enabled else "is off: nothing is kept (`%durable on`)"
    return render.lines(f"durable_nb {on}", body)


def _log(extension: Extension, _args: list[str]) -> render.Rendered:
    rows = []
    for record in extension.session.history().records:
        attempt = record.body.get("attempt")
        if attempt:
            version = record.number if "state" in record.body else None
            line = attempt["node"] or overview.source_line(extension.session, record.body.get("cell"))
            rows.append({**attempt, "label": line or attempt["label"], "version": version})
    return render.attempts(rows)


def _list(extension: Extension, _args: list[str]) -> render.Rendered:
    return render.executions(extension.session.repository.executions())


def _show(extension: Extension, args: list[str]) -> render.Rendered:
    session = extension.session
    if "--traceback" in args:
        return _tracebacks(extension, _one([a for a in args if a != "--traceback"], "show NODE --traceback"))
    version = session.resolve(_one(args, "show vN"))
    history = session.history()
    target = targets.open_target(session.repository, history, version)
    rows = []
    for name, digest in sorted(target.state.items()):
        manifest = target.manifests[digest]
        shared = [n for n in manifest.names if n != name]
        note = manifest.unsaved or (f"shares objects with {render.listed(shared, 4)}" if shared else "")
        rows.append((name, manifest.types.get(name, ""), render.amount(manifest.size), note))
    point = history.checkpoints()[version]
    shown = render.table(
        ("variable", "type", "size", ""), rows, title=f"v{version} {point.kind} {point.description}"
    )
    record = next(r for r in history.records if r.number == version)
    if record.body.get("cell"):
        source = json.loads(session.repository.cell(record.body["cell"]))["source"]
        return render.Rendered(
            f"{shown.text}\n\n{source}", shown.html + f"<pre>{render.escaped(source)}</pre>"
        )
    return shown


def _diff(extension: Extension, args: list[str]) -> render.Rendered:
    from durable_nb.engine import difference
    from durable_nb.ui import differences

    session = extension.session
    if not args:
        raise UsageError(
            "%durable diff A [B [VAR…]]: from which checkpoint on? vN, a node, or an id's prefix"
        )
    versions = [session.resolve(wanted) for wanted in args[:2]]
    if len(versions) == 1:
        if session.version is None:
            raise NotFoundError("nothing was kept of this notebook yet")
        versions.append(session.version)
    found = difference.between(session, versions[0], versions[1], args[2:] or None)
    return differences.rendered(found)


def _nodes(extension: Extension, _args: list[str]) -> render.Rendered:
    session = extension.session
    return render.summary(session.summary(), session.stale())


def _graph(extension: Extension, _args: list[str]) -> render.Rendered:
    from durable_nb.engine import graph
    from durable_nb.ui import graph as drawing

    return drawing.rendered(graph.of(extension.session))


def _tracebacks(extension: Extension, wanted: str) -> render.Rendered:
    """The failed attempts of a node's last run, or the one that a version is of."""
    rows = []
    for record, kept in extension.session.failures(wanted):
        attempt, error = record.body["attempt"], kept["error"]
        rows.append((f"v{record.number} {attempt['label']}, attempt {attempt.get('try', 1)}", error))
    return render.tracebacks(rows)


def _debug(extension: Extension, args: list[str]) -> None:
    session = extension.session
    record, kept = session.failures(_one(args, "debug NODE"))[-1]
    values = base64.b64decode(kept["values"]) if "values" in kept else None
    known = failure.values_of(values, session.keeper.capture.space) if values is not None else None
    trace = failure.revive(kept["error"], known)
    if trace is None:
        raise NotFoundError(f"v{record.number} failed before any code ran: there is nothing to look at")
    kind, message = kept["error"]["type"], kept["error"]["message"]
    error = failure.RecordedError(f"{kind}: {message}").with_traceback(trace)
    vars(sys).update(last_exc=error, last_value=error, last_type=type(error), last_traceback=trace)
    print(f"durable_nb: the {kind} of v{record.number} is the last error now: %debug looks at it")


def _du(extension: Extension, _args: list[str]) -> render.Rendered:
    session = extension.session
    usage = session.repository.usage()
    rows = [
        ("values", render.amount(usage.packs)),
        ("log", render.amount(usage.log)),
        ("catalog (derived)", render.amount(usage.derived)),
    ]
    sizes = {live.names: live.size for name, live in session.keeper.capture.live.items() if ":" not in name}
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:10]
    rows += [(f"live: {', '.join(names)}", render.amount(size)) for names, size in largest if size]
    return render.table(("what", "bytes"), rows, title=str(session.repository.objects.name))


def _verify(extension: Extension, _args: list[str]) -> render.Rendered:
    session = extension.session
    session.settle()
    problems = session.repository.verify()
    head = (
        "durable_nb: every byte of the store is as it was written"
        if not problems
        else (f"durable_nb: {len(problems)} problems in the store")
    )
    return render.lines(head, [("", problem) for problem in problems])


def _off(extension: Extension, _args: list[str]) -> None:
    extension.session.keeper.enabled = False
    print("durable_nb: nothing is kept from here on, until %durable on")


def _on(extension: Extension, _args: list[str]) -> None:
    extension.session.keeper.enabled = True
    print("durable_nb: recording again")


def _config(extension: Extension, _args: list[str]) -> render.Rendered:
    now = extension.session.settings
    rows = [
        (name, render.setting(getattr(now, name), kind), text)
        for name, (_default, kind, text) in config.definitions().items()
    ]
    return render.table(
        ("setting", "value", "what it is for"), rows, title="%config Durable.<setting> = <value>"
    )


def _ignore(extension: Extension, args: list[str]) -> None:
    if not args:
        raise UsageError("%durable ignore NAME…: which variables?")
    extension.session.keeper.policy.ignored.update(args)
    print(f"durable_nb: {', '.join(args)} left out from now on; %durable forget removes what was kept before")


def _forget(extension: Extension, args: list[str]) -> None:
    if not args:
        raise UsageError("%durable forget NAME…: which variables?")
    session = extension.session
    others, unreached = session.forget(args)
    freed = housekeeping.collect(session.repository)
    print(
        f"durable_nb: {', '.join(args)} removed from all history, with the recorded text of the cells that "
        f"name {'it' if len(args) == 1 else 'them'} ({render.amount(freed)} given back)"
    )
    for execution in unreached:
        print(f"durable_nb: not removed from execution {execution}")
    if others:
        print(f"durable_nb: the history of {', '.join(others)} went with it, since they shared objects")


def _gc(extension: Extension, _args: list[str]) -> None:
    session = extension.session
    session.settle()
    freed = housekeeping.collect(session.repository)
    print(f"durable_nb: {render.amount(freed)} given back")


def _clear(extension: Extension, args: list[str]) -> None:
    session = extension.session
    if not _agreed(extension, args, "Remove everything that was kept of this notebook?"):
        raise RefusedError(
            "nothing was removed; `%durable clear --yes` removes everything kept of this notebook"
        )
    freed = session.clear()
    print(f"durable_nb: everything kept of this notebook was removed ({render.amount(freed)})")


def _trust(extension: Extension, args: list[str]) -> None:
    session = extension.session
    wanted = _one([a for a in args if a != "--yes"], "trust ID")
    found = [e for e in session.repository.executions() if e.id.startswith(wanted)]
    if len(found) != 1:
        raise NotFoundError(f"no execution `{wanted}`; `%durable list` shows them")
    execution = found[0]
    extension.show(render.executions(found))
    who = execution.owner.user if execution.owner else "somebody"
    question = f"Loading it runs code that {who} chose. Trust execution {execution.id}?"
    if not _agreed(extension, args, question):
        raise RefusedError(f"not trusted; `%durable trust {execution.id} --yes` trusts it")
    head = session.repository.history(execution.id).head
    if head is None:
        raise NotFoundError(f"execution {execution.id} has no record that can be read")
    session.repository.signer.trust(execution.id, head.digest)
    print(
        f"durable_nb: execution {execution.id} is trusted up to v{execution.head}: "
        f"%recover --execution {execution.id}"
    )


def _new(extension: Extension, _args: list[str]) -> None:
    extension.session.new()
    print(f"durable_nb: execution {extension.session.keeper.execution} begins with the next cell")


def _open(extension: Extension, args: list[str]) -> None:
    name = _one(args, "open NAME")
    extension.reopen(name if name.endswith(".ipynb") else f"{name}.ipynb")


def _rerun(extension: Extension, args: list[str]) -> None:
    node = _one(args, "rerun NODE")
    extension.session.rerun(node)
    print(f"durable_nb: `{node}` runs again when it comes up next")


def _use(extension: Extension, args: list[str]) -> None:
    node = _one(args, "use NODE")
    extension.session.reuse.accepted.add(node)
    print(f"durable_nb: the recorded result of `{node}` is used when it comes up next")


def _skip(extension: Extension, args: list[str]) -> None:
    node = _one(args, "skip NODE")
    extension.session.manual.skip(node)
    print(f"durable_nb: `{node}` is skipped: it counts as finished, and does not run")


def _done(extension: Extension, args: list[str]) -> None:
    node = _one(args, "done NODE")
    extension.session.manual.done(node)
    print(f"durable_nb: `{node}` is taken as done")


def _release(extension: Extension, args: list[str]) -> None:
    node = _one(args, "release NODE")
    extension.session.manual.release(node)
    print(f"durable_nb: `{node}` may run again")


def _set(extension: Extension, args: list[str]) -> None:
    name, equals, expression = " ".join(args).partition("=")
    if not (name.strip().isidentifier() and equals and expression.strip()):
        raise UsageError("%durable set NAME=EXPRESSION: what is to have which value?")
    value = extension.shell.ev(expression)
    point = extension.session.manual.set_value(name.strip(), value)
    print(f"durable_nb: `{name.strip()}` is set by hand{f' (v{point.version})' if point else ''}")


def _pause(extension: Extension, _args: list[str]) -> None:
    extension.session.manual.pause()
    print("durable_nb: paused: no node runs until %durable resume; plain cells do")


def _resume(extension: Extension, args: list[str]) -> None:
    """What is left of `%durable resume` where it stands for no recorded cell."""
    session = extension.session
    if session.keeper.nodes.paused:
        session.manual.resume()
        print("durable_nb: nodes run again")
    node = session.manual.unfinished(_one(args, "resume NODE") if args else None)
    if node is not None:
        raise RefusedError(
            f"`{node.name}` awaits, or its recorded source cannot be read: run its cell instead"
            if extension.arrival.guard is None
            else f"`{node.name}` is under way"
        )
    if args:
        return
    print("durable_nb: no node was lost or interrupted")


def resumed(extension: Extension, args: list[str]) -> str | None:
    """The recorded source of the node that `%durable resume` runs; None where it runs none."""
    session = extension.session
    try:
        node = session.manual.unfinished(args[0] if len(args) == 1 else None)
        if node is None or node.cell is None or len(args) > 1:
            return None
        source: str = json.loads(session.repository.cell(node.cell))["source"]
    except (DurableError, OSError):
        return None
    tree = ast.parse(extension.shell.transform_cell(source))
    if directive.awaits(tree, extension.shell.compile.flags) is not False:
        return None
    if session.keeper.nodes.paused:
        session.manual.resume()
    if args:
        session.manual.rerun(node.name)
    print(f"durable_nb: `{node.name}` runs again, from its recorded source")
    return source


def _one(args: list[str], usage: str) -> str:
    if len(args) != 1:
        raise UsageError(f"%durable {usage}: one argument, not {len(args)}")
    return args[0]


def _agreed(extension: Extension, args: list[str], question: str) -> bool:
    if "--yes" in args:
        return True
    if not whereami.interactive(extension.shell):
        return False
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


COMMANDS: Mapping[str, Command] = {
    "": _screen,
    "status": _status,
    "nodes": _nodes,
    "graph": _graph,
    "log": _log,
    "list": _list,
    "show": _show,
    "diff": _diff,
    "debug": _debug,
    "du": _du,
    "verify": _verify,
    "off": _off,
    "on": _on,
    "config": _config,
    "ignore": _ignore,
    "forget": _forget,
    "gc": _gc,
    "clear": _clear,
    "trust": _trust,
    "new": _new,
    "open": _open,
    "rerun": _rerun,
    "resume": _resume,
    "pause": _pause,
    "skip": _skip,
    "done": _done,
    "use": _use,
    "release": _release,
    "set": _set,
}
"""name -> command"""
