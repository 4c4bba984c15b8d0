"""The command `durable-nb`: the demo, what is in a store, loading the extension everywhere.

Nothing here takes an execution over or loads a variable.
Exit codes: 0 fine, 1 problems found, 2 not understood.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from durable_nb.errors import DurableError, NotFoundError

if TYPE_CHECKING:
    from durable_nb.model import Execution
    from durable_nb.store.repository import Repository

app = typer.Typer(
    help="Durable notebooks: what was finished survives the kernel.",
    epilog="In a notebook: %load_ext durable_nb",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Place = Annotated[
    Path,
    typer.Argument(
        metavar="[PLACE]", help="A notebook, a folder of notebooks, or a store.", show_default="here"
    ),
]


def main() -> None:
    """Run the command; an error of ours is one line."""
    try:
        app()
    except DurableError as error:
        typer.echo(f"durable-nb: {error}", err=True)
        raise SystemExit(2) from None


@app.command()
def demo(
    folder: Annotated[
        Path | None, typer.Option(help="Where notebook and store go.", show_default="durable-demo")
    ] = None,
    keep: Annotated[bool, typer.Option(help="Leave them there.")] = True,
) -> None:
    """Kill a notebook in the middle of its work, and see it go on. Takes half a minute."""
    from durable_nb import demo as demo_

    demo_.run(folder, keep=keep)


@app.command("list")
def list_(place: Place = Path()) -> None:
    """List the executions in a store, newest first."""
    from durable_nb.ui import render

    typer.echo(render.executions(_executions(*_open(place))).text)


@app.command()
def log(
    place: Place = Path(),
    execution: Annotated[str, typer.Option(help="Id of an execution, or its beginning.")] = "",
) -> None:
    """Show every attempt at a cell, of the newest execution of each notebook."""
    from durable_nb.ui import render

    repository, notebook = _open(place)
    shown: set[str | None] = set()
    for found in _executions(repository, notebook):
        if not found.id.startswith(execution) or (not execution and found.notebook in shown):
            continue
        shown.add(found.notebook)
        typer.echo(f"{found.notebook or '(notebook unknown)'}: execution {found.id}, {found.status}")
        typer.echo(render.attempts(_attempts(repository, found)).text)
    if not shown:
        raise NotFoundError(f"no execution `{execution}` here; `durable-nb list` shows them")


@app.command()
def verify(place: Place = Path()) -> None:
    """Check every byte of a store. Ends with 1 where something is not as it was written."""
    repository, notebook = _open(place)
    if notebook is None:
        problems = repository.verify()
    else:
        problems = [p for e in _executions(repository, notebook) for p in repository.verify(e.id)]
    for problem in dict.fromkeys(problems):
        typer.echo(problem)
    if problems:
        raise typer.Exit(1)
    typer.echo(f"every byte of {repository.objects.name} is as it was written")


@app.command()
def enable() -> None:
    """Load the extension in every notebook of this environment by itself."""
    from durable_nb import autoload

    typer.echo(f"notebooks of this environment are durable from their next kernel on ({autoload.enable()})")


@app.command()
def disable() -> None:
    """Take that back."""
    from durable_nb import autoload

    file = autoload.disable()
    typer.echo(
        "it was not enabled" if file is None else f"notebooks load durable_nb when they say so again ({file})"
    )


def _open(place: Path) -> tuple[Repository, Path | None]:
    """The store that is meant by a path, and the notebook, where it is one."""
    from durable_nb import config
    from durable_nb.store.repository import Repository

    place = place.absolute()
    notebook = place if place.suffix == ".ipynb" else None
    folder = place.parent if notebook else place
    if not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}")
    set_elsewhere = config.load(folder).store
    beside = Path(set_elsewhere).expanduser() if set_elsewhere else folder / ".durable"
    itself = notebook is None and (folder / "log").is_dir() and not beside.is_dir()
    if not itself and not beside.is_dir():
        raise NotFoundError(f"no store in {folder}: a notebook there makes one with %load_ext durable_nb")
    return Repository.open(folder if itself else beside, create=False), notebook


def _executions(repository: Repository, notebook: Path | None) -> list[Execution]:
    found = [e for e in repository.executions() if notebook is None or e.notebook == str(notebook)]
    if notebook is not None and not found:
        raise NotFoundError(f"nothing was kept of {notebook.name} yet")
    return found


def _attempts(repository: Repository, execution: Execution) -> list[dict[str, Any]]:
    from durable_nb.engine import target
    from durable_nb.model import ExecutionStatus, NodeStatus

    history = repository.history(execution.id)
    rows = [
        {**record.body["attempt"], "version": record.number if "state" in record.body else None}
        for record in history.records
        if record.body.get("attempt")
    ]
    under_way = target.lost_attempt(history, history.epoch)
    if under_way is not None and (execution.running or execution.status is ExecutionStatus.INTERRUPTED):
        status = NodeStatus.STARTED if execution.running else NodeStatus.LOST
        rows.append({**under_way, "status": str(status), "seconds": 0})
    return rows
