"""Between a cell as it was typed and what runs of it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from durable_nb.shell import directive

if TYPE_CHECKING:
    from durable_nb.shell.extension import Extension


class Gate(ast.NodeTransformer):
    """Makes of a cell what is to run: nothing of one that is put back, a guarded body, a recorded cell.

    Armed for one tree only, the cell's own.
    """

    def __init__(self, extension: Extension) -> None:
        self.armed = False
        self.replacement: ast.Module | None = None
        """what runs in place of the cell"""
        self._extension = extension

    def visit(self, node: ast.AST) -> ast.AST:
        """Called by IPython with the tree of each piece of code."""
        if not self.armed or not isinstance(node, ast.Module):
            return node
        self.armed = False
        arrival, replacement = self._extension.arrival, self.replacement
        if replacement is not None:
            node, self.replacement = replacement, None
        if arrival.guard is not None:
            shell = self._extension.shell
            in_task = directive.awaits(node, shell.compile.flags)
            return directive.guarded(node, shell.ast_node_interactivity, in_task=bool(in_task))
        if arrival.error is not None:
            node.body.clear()
        elif not arrival.put_back:
            return node
        return directive.reduced(node)
