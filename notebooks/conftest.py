"""nbval runs cells as `store_history=False`, which no front end does, and which durable_nb does not record."""

from __future__ import annotations

from nbval.kernel import RunningKernel


def _as_a_front_end(self: RunningKernel, cell_input: str, allow_stdin: bool | None = None) -> str:
    return self.kc.execute(cell_input, allow_stdin=allow_stdin, stop_on_error=False)


RunningKernel.execute_cell_input = _as_a_front_end
