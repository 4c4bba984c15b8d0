"""Which names a piece of code can touch, read from its text and from compiled code.

The answer is a superset where it is a superset of anything; where code can reach variables by ways
that its text does not show, `Access.scan` says why all values have to be looked at.
"""

from __future__ import annotations

import ast
import dis
import functools
import sys
import sysconfig
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

_DYNAMIC = frozenset({
    "exec", "eval", "globals", "locals", "vars", "setattr", "delattr", "compile", "__import__", "get_ipython",
    "__main__", "_", "__", "___", "_i", "_ii", "_iii", "_ih", "_oh", "_dh", "In", "Out", "gc",
})  # fmt: skip
"""Names through which any variable can be reached."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a cell's own text says about the namespace."""

    names: frozenset[str]
    """every name that is read, bound or deleted, in nested code too"""
    modules: frozenset[str]
    """top-level packages that are imported"""
    scan: str | None
    """why every value has to be looked at; None where `names` is enough"""
    inputs: frozenset[str] = frozenset()
    """names whose value from before the cell can matter: read before they are bound for certain"""


def of_source(source: str) -> Access:
    """Read the access of one (already transformed) cell. A cell that does not parse did not run."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Access(frozenset(), frozenset(), "the cell could not be read")
    names: set[str] = set()
    modules: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name):
                names.add(name)
            case ast.Global(names=more) | ast.Nonlocal(names=more):
                names.update(more)
            case ast.Import(names=aliases):
                for alias in aliases:
                    modules.add(alias.name.partition(".")[0])
                    names.add(alias.asname or alias.name.partition(".")[0])
            case ast.ImportFrom(module=module, names=aliases, level=level):
                modules.add("." if level else (module or "").partition(".")[0])
                names.update(alias.asname or alias.name for alias in aliases)
                if any(alias.name == "*" for alias in aliases):
                    return Access(frozenset(names), frozenset(modules), "import *")
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                names.add(name)
            case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                names.add(name)
            case _:
                pass
    dynamic = sorted(n for n in names if n in _DYNAMIC or (n[0] == "_" and n[1:].isdigit()))
    reason = f"the cell uses {dynamic[0]}" if dynamic else None
    return Access(frozenset(names), frozenset(modules), reason, _inputs(tree))


def _inputs(tree: ast.Module) -> frozenset[str]:
    """Names read by a top-level statement before an earlier one has bound them."""
    bound: set[str] = set()
    found: set[str] = set()
    for statement in tree.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and (
                not isinstance(node.ctx, ast.Store) or isinstance(statement, ast.AugAssign)
            ):
                found |= {node.id} - bound
        match statement:
            case ast.Assign(targets=targets):
                bound.update(t.id for t in targets if isinstance(t, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
                bound.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                bound.update(a.asname or a.name.partition(".")[0] for a in aliases)
            case _:
                pass
    return frozenset(found)


@lru_cache(maxsize=4096)
def of_code(code: types.CodeType) -> frozenset[str]:
    """Global names that compiled code, and code nested in it, reads, binds or deletes."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname in _GLOBAL_OPS}
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            names |= of_code(const)
    return frozenset(names)


_GLOBAL_OPS = frozenset(
    op for op in dis.opmap if op.endswith(("_GLOBAL", "_NAME")) or op.startswith("LOAD_FROM_DICT_OR_GLOBALS")
)


def codes(value: object) -> Iterator[types.CodeType]:
    """Code objects that calling a function, or a method of a class, would run."""
    seen: set[int] = set()
    stack: list[object] = [value]
    while stack:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        match item:
            case types.FunctionType():
                yield item.__code__
                for cell in item.__closure__ or ():
                    content = _cell_content(cell)
                    if issubclass(type(content), types.FunctionType | type):
                        stack.append(content)
                stack.extend(
                    v for v in (item.__defaults__ or ()) if issubclass(type(v), types.FunctionType | type)
                )
                wrapped = item.__dict__.get("__wrapped__")
                if wrapped is not None:
                    stack.append(wrapped)
            case types.MethodType():
                stack.append(item.__func__)
            case staticmethod() | classmethod():
                stack.append(item.__func__)
            case property():
                stack.extend(f for f in (item.fget, item.fset, item.fdel) if f is not None)
            case type() if item.__module__ == "__main__":
                stack.extend(vars(item).values())
                stack.extend(base for base in item.__mro__[1:] if base.__module__ == "__main__")
            case functools.partial():
                stack.append(item.func)
            case functools._lru_cache_wrapper():
                stack.append(item.__wrapped__)
            case _:
                pass


def _cell_content(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # an empty cell: the function was defined before what it closes over
        return None


def is_code(value: object) -> bool:
    """Whether a variable can run notebook code when it is used by name."""
    # By type(): `isinstance` asks the value itself, which may lie or raise.
    if issubclass(type(value), type):
        return getattr(value, "__module__", None) == "__main__"
    return issubclass(
        type(value), types.FunctionType | types.MethodType | functools.partial | functools._lru_cache_wrapper
    )


def reached(names: Iterable[str], namespace: Mapping[str, object]) -> tuple[set[str], str | None]:
    """Close `names` over the functions and classes of the notebook that they can call.

    Returns the closed set and, where some reached code uses a dynamic name, the reason to scan all.
    """
    found: set[str] = set()
    stack = [name for name in names if name in namespace]
    reason: str | None = None
    while stack:
        name = stack.pop()
        if name in found:
            continue
        found.add(name)
        value = namespace[name]
        home = _home(value)
        if home is not None and not is_library(home):
            reason = f"`{name}` is of the module {home}"
        if not is_code(value):
            continue
        for code in codes(value):
            for mentioned in of_code(code):
                if mentioned in namespace and mentioned not in found:
                    stack.append(mentioned)
                elif mentioned in _DYNAMIC and mentioned not in namespace and mentioned != "_":
                    reason = f"`{name}` uses {mentioned}"
    return found, reason


def _home(value: object) -> str | None:
    """The top-level module that a value's code is in; None for the notebook itself."""
    if issubclass(type(value), types.ModuleType | types.FunctionType | type):
        attribute = "__name__" if issubclass(type(value), types.ModuleType) else "__module__"
        name: object = getattr(value, attribute, None)
    else:
        name = type(value).__module__
    if not isinstance(name, str) or name in ("__main__", "builtins"):
        return None
    return name.partition(".")[0]


def _library_roots() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    roots = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    return tuple(str(Path(root).resolve()) for root in roots)


_ROOTS = _library_roots()
_LIBRARY: dict[str, bool] = {}


def is_library(module: str) -> bool:
    """Whether a top-level module is of the standard library or installed, not the user's own file.

    A user's own module can hold references to variables of the notebook and change them unseen.
    """
    known = _LIBRARY.get(module)
    if known is None:
        known = _LIBRARY[module] = _is_library(module)
    return known


def _is_library(module: str) -> bool:
    if module in sys.stdlib_module_names or module in sys.builtin_module_names:
        return True
    try:
        loaded = sys.modules.get(module)
        spec = getattr(loaded, "__spec__", None) or find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return False
    if spec is None:
        return False
    places = [spec.origin] if spec.has_location else list(spec.submodule_search_locations or ())
    return any(place and str(Path(place).resolve()).startswith(_ROOTS) for place in places)
