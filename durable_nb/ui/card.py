"""The card after a loss: what is known of it, what is back, what is not, and what to do about each."""

from __future__ import annotations

from collections.abc import Iterable

from durable_nb.engine.death import Death
from durable_nb.model import RecoveryResult
from durable_nb.ui import render, style


def recovered(
    result: RecoveryResult, death: Death | None, finished: Iterable[str], quarantined: Iterable[str]
) -> render.Rendered:
    """What a kernel that continues a lost execution has to say when it has brought the variables back.

    Args:
        result: of bringing them back.
        death: of the kernel before.
        finished: nodes that Run All puts back.
        quarantined: nodes that do not run until they are released.
    """
    if result.version is None:
        return render.recovery(result)
    pairs = [
        ("lost", _loss(result, death)),
        ("brought back", render.listed(result.restored)),
        ("unchanged", render.listed(result.same)),
        ("removed", render.listed(result.deleted)),
        ("yours, not overwritten", render.listed(result.yours)),
        *(
            ("was not kept", f"{n}: {why}: run its cell, or `%recover --recompute`")
            for n, why in result.unsaved.items()
        ),
        *(("not loaded", f"{n}: {why}") for n, why in result.failed.items()),
        *(("passed over", why) for why in result.passed_over),
        ("Run All", _run_all(list(finished), death)),
        *(("quarantine", f"`{n}` does not run: `%durable release {n}`") for n in quarantined),
    ]
    if result.saved_seconds >= 0.05:
        pairs.append(("saved you", f"{render.span(result.saved_seconds)} of running cells again"))
    shown = [(label, value) for label, value in pairs if value]
    title = f"durable_nb: {result.message}, made {render.span(result.age)} before"
    head = f"<div class='dnb-title'>↥ {render.marked(title.removeprefix('durable_nb: '))}</div>"
    body = f"{head}{render.labelled(shown)}"
    card = f"<div class='dnb-card' role='region' aria-label='recovery'>{body}</div>"
    return render.Rendered(render.lines(title, shown).text, style.framed(card, "style"))


def _loss(result: RecoveryResult, death: Death | None) -> str:
    running = death.label if death is not None and death.label else result.lost
    parts = [f"`{running}` was running when the kernel died"] if running else []
    if death is not None and death.began:
        parts.append(f"it had begun at {render.moment(death.began)}")
    if death is not None and death.cause:
        parts.append(death.cause)
    return "; ".join(parts)


def _run_all(finished: list[str], death: Death | None) -> str:
    parts = [f"puts back {render.listed(f'`{name}`' for name in finished)}"] if finished else []
    if death is not None and death.node is not None:
        node = death.node
        if death.effects:
            parts.append(f"`{node}` has effects: `%durable rerun {node}`, `done` or `skip` decides")
        else:
            parts.append(f"goes on at `{node}` (or `%durable resume {node}` runs it now)")
    return ", ".join(parts)
