"""`%%node NAME` as a directive: one line says what the cell is, the rest stays an ordinary cell.

All functions here are pure. IPython runs input transformers several times for each cell.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass

from IPython.core.inputtransformer2 import (
    cell_magic,
    classic_prompt,
    ipython_prompt,
    leading_empty_lines,
    leading_indent,
)

BEGIN = "_durable_node"
"""The line magic that a directive line becomes."""

PUT_BACK = "_durable_put_back"
"""The line magic that stands for a body that is not run again."""

GUARD = "_durable_guard"
"""The line magic that gives the guard round the body of the node that is running."""

_LINE = re.compile(r"%%?(?:durable_)?node(?:\s+(?P<rest>.*))?$")
_OTHER_MAGIC = re.compile(r"%%(\w+)(?:\s|$)")

_CLEANUP: tuple[Callable[[list[str]], list[str]], ...] = (
    leading_empty_lines,
    leading_indent,
    classic_prompt,
    ipython_prompt,
)

# Their body is text for somebody else: a directive in it is none.
_FOREIGN = frozenset(
    {"HTML", "SVG", "bash", "cmd", "file", "html", "javascript", "js", "latex", "markdown", "perl", "pypy"}
    | {"python", "python3", "ruby", "script", "sh", "svg", "sx", "system", "writefile"}
)

# They set up the process, not the namespace: a new kernel needs them although their cell is not run.
_SETUP = frozenset(
    {
        "aimport",
        "alias",
        "alias_magic",
        "autoawait",
        "autocall",
        "automagic",
        "autoreload",
        "colors",
        "config",
    }
    | {"doctest_mode", "env", "gui", "load_ext", "matplotlib", "pdb", "pprint", "precision", "rehashx"}
    | {"reload_ext", "set_env", "unalias", "unload_ext", "xmode"}
)


@dataclass(frozen=True, slots=True)
class Directive:
    """What a cell's directive line says."""

    name: str
    """"" where none was given"""
    options: str
    """the rest of the line, as typed"""


def find(raw_cell: str) -> Directive | None:
    """Return the directive of a cell as the user typed it, or None for a plain cell. Never raises."""
    if "node" not in raw_cell:
        return None
    return _locate(_cleaned(raw_cell))[1]


def source_of(raw_cell: str) -> str:
    """Return the source that digests cover: no directive line, trailing blanks or outer blank lines."""
    lines = _cleaned(raw_cell)
    at, directive = _locate(lines)
    if directive is not None:
        del lines[at]
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def transform(lines: list[str]) -> list[str]:
    """Rewrite a directive in the cell's first line that is not blank; an input transformer. Never raises.

    The line becomes a call of the line magic `_durable_node`; every other line keeps its number.
    """
    at = _first(lines, 0)
    directive = _parse(lines[at]) if at < len(lines) else None
    if directive is None:
        return lines
    argument = f"{directive.name} {directive.options}".strip()
    body = _first(lines, at + 1)
    return [
        *lines[:at],
        f"get_ipython().run_line_magic({BEGIN!r}, {argument!r})\n",
        *lines[at + 1 : body],
        *cell_magic(lines[body:]),
    ]


# IPython then leaves it out of completeness checks: in a terminal, `%%` cells end at a blank line.
transform.has_side_effects = True  # type: ignore[attr-defined]


def reduced(tree: ast.Module) -> ast.Module:
    """Return what is still executed of a cell that is put back.

    Imports without their binding, set-up magics without their output, and last `%_durable_put_back`, whose
    value the cell shows.
    """
    body: list[ast.stmt] = []
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            body.extend(_statement(_IMPORT.format(alias.name), statement) for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            body.extend(_statement(_FUTURE.format(alias.name), statement) for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            body.append(_statement(_IMPORT.format(statement.module), statement))
        elif _line_magic(statement) in _SETUP:
            quiet = ast.With([ast.withitem(ast.parse(_QUIET, mode="eval").body)], [statement])
            body.append(ast.copy_location(quiet, statement))
    last = tree.body[-1] if tree.body else None
    body.append(_statement(f"get_ipython().run_line_magic({PUT_BACK!r}, '')", last))
    return ast.fix_missing_locations(ast.Module(body=body, type_ignores=[]))


def body(tree: ast.Module) -> ast.Module:
    """A cell without what its directive line became."""
    return ast.Module([s for s in tree.body if _line_magic(s) != BEGIN], tree.type_ignores)


def awaits(tree: ast.Module, flags: int = 0) -> bool | None:
    """Whether a cell awaits at its top level; None where it does not compile: IPython says why."""
    try:
        code = compile(
            body(tree),
            "<cell>",
            "exec",
            flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            dont_inherit=True,
        )
    except (SyntaxError, ValueError, RecursionError):
        return None
    return bool(code.co_flags & inspect.CO_COROUTINE)


def guarded(tree: ast.Module, interactivity: str, *, in_task: bool) -> ast.Module:
    """Return a cell whose body runs inside the guard, once or again, and shows what it would have shown.

    No name is bound for it. Line numbers stay.

    Args:
        tree: the cell; the call that the directive line became, and future imports, stay before the loop.
        interactivity: IPython's `ast_node_interactivity`.
        in_task: the body awaits.
    """
    ahead = [s for s in tree.body if _line_magic(s) == BEGIN or _is_future(s)]
    work = [s for s in tree.body if s not in ahead]
    if not work:
        return tree
    last, shown = work[-1], list[ast.stmt]()
    if interactivity == "all":
        work = [_displayed(s) for s in work]
    elif interactivity in ("last_expr", "last_expr_or_assign") and isinstance(last, ast.Expr):
        target = _expression(f"{_THE_GUARD}.value")
        assert isinstance(target, ast.Attribute)
        target.ctx = ast.Store()
        work[-1] = ast.copy_location(ast.Assign([target], last.value), last)
        shown = [_statement(f"{_THE_GUARD}.value", last)]
    elif interactivity == "last_expr_or_assign" and (name := _assigned(last)):
        shown = [_statement(name, last)]
    asynchronous = "await " if in_task else ""
    more = _expression(f"{asynchronous}{_THE_GUARD}.{'more_later' if in_task else 'more'}()")
    item = [ast.withitem(_expression(_THE_GUARD))]
    attempt: ast.stmt = ast.AsyncWith(item, work) if in_task else ast.With(item, work)
    loop = ast.While(more, [ast.copy_location(attempt, work[0])], [])
    for node in (more, item[0].context_expr):
        for part in ast.walk(node):
            ast.copy_location(part, work[0])
    tree = ast.Module([*ahead, ast.copy_location(loop, work[0]), *shown], tree.type_ignores)
    return ast.fix_missing_locations(tree)


def _is_future(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def _displayed(statement: ast.stmt) -> ast.stmt:
    if not isinstance(statement, ast.Expr):
        return statement
    show = _expression("__import__('sys').displayhook")
    call = ast.Call(show, [statement.value], [])
    return ast.fix_missing_locations(ast.copy_location(ast.Expr(call), statement))


def _assigned(statement: ast.stmt) -> str | None:
    """The name that IPython shows the value of after an assignment."""
    match statement:
        case ast.Assign(targets=[*_, ast.Name(id=name)]):
            return name
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.AugAssign(target=ast.Name(id=name)):
            return name
    return None


def _expression(code: str) -> ast.expr:
    return ast.parse(code, mode="eval").body


def only_setup(tree: ast.Module) -> bool:
    """Say whether a cell has nothing but imports and set-up magics: running it again is right and cheap."""
    work = body(tree).body
    return bool(work) and all(
        isinstance(s, ast.Import | ast.ImportFrom) or _line_magic(s) in _SETUP for s in work
    )


def only_own(tree: ast.Module) -> bool:
    """Say whether a cell only talks to durable_nb: it is no step of the notebook, and is not recorded."""
    return bool(tree.body) and all(_line_magic(s) in _OWN for s in tree.body)


def resumes(tree: ast.Module) -> list[str] | None:
    """The arguments of `%durable resume`, where that is the whole cell; None for every other one."""
    match tree.body:
        case [ast.Expr(value=ast.Call(args=[_, ast.Constant(value=str(line))])) as only]:
            if _line_magic(only) == "durable" and line.split()[:1] == ["resume"]:
                return line.split()[1:]
    return None


_OWN = frozenset({"checkpoint", "durable", "recover"})

_THE_GUARD = f"get_ipython().run_line_magic({GUARD!r}, '')"

# `and None`: `ast_node_interactivity = "all"` would show the module.
_IMPORT = "__import__('importlib').import_module({0!r}) and None"

# A future import holds for the cells after it: the statement would bind the name, this sets the flag alone.
_FUTURE = (
    "setattr(get_ipython().compile, 'flags',"
    " get_ipython().compile.flags | __import__('__future__').{0}.compiler_flag)"
)

# What the magic prints is among the recorded outputs.
_QUIET = "__import__('IPython.utils.capture', None, None, ['_']).capture_output()"


def _statement(code: str, place: ast.stmt | None) -> ast.stmt:
    statement = ast.parse(code).body[0]
    if place is not None:
        for node in ast.walk(statement):
            ast.copy_location(node, place)
    return statement


def _line_magic(statement: ast.stmt) -> str | None:
    """Return the name of the line magic that the whole statement is a call of."""
    match statement:
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(value=ast.Call(func=ast.Name(id="get_ipython")), attr="run_line_magic"),
                args=[ast.Constant(value=str(name)), *_],
            )
        ):
            return name
    return None


def _parse(line: str) -> Directive | None:
    found = _LINE.match(line.rstrip())
    if found is None:
        return None
    rest = found["rest"] or ""
    if not rest or rest.startswith("-"):
        return Directive("", rest)
    name, *options = rest.split(None, 1)
    return Directive(name, *options or [""])


def _cleaned(raw_cell: str) -> list[str]:
    """Return the lines as IPython sees them: without common indentation and pasted prompts."""
    lines = raw_cell.splitlines(keepends=True)
    for clean in _CLEANUP:
        lines = clean(lines)
    return lines


def _first(lines: list[str], start: int) -> int:
    return next((i for i in range(start, len(lines)) if lines[i].strip()), len(lines))


def _locate(lines: list[str]) -> tuple[int, Directive | None]:
    at = _first(lines, 0)
    while at < len(lines):
        directive = _parse(lines[at])
        if directive is not None:
            return at, directive
        other = _OTHER_MAGIC.match(lines[at])
        if other is None or other[1] in _FOREIGN:
            break
        at = _first(lines, at + 1)
    return -1, None
