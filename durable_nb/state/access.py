"""Which names a piece of code can touch, read from its text and from compiled code.

The answer is a superset where it is a superset of anything; where code can reach variables by ways
that its text does not show, `Access.scan` says why all values have to be looked at.
"""

from __future__ import annotations

import ast
import builtins
import contextvars
import dis
import functools
import gc
import inspect
import re
import sys
import sysconfig
import types
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_DYNAMIC = frozenset({
    "exec", "eval", "globals", "locals", "vars", "setattr", "delattr", "compile", "__import__", "get_ipython",
    "__main__", "_", "__", "___", "_i", "_ii", "_iii", "_ih", "_oh", "_dh", "In", "Out", "gc",
})  # fmt: skip
"""Names through which any variable can be reached."""

_REACHING = frozenset({
    "f_globals", "f_locals", "f_back", "__globals__", "user_ns", "user_global_ns", "_getframe",
    "currentframe", "get_objects", "get_referrers", "import_module", "__import__",
})  # fmt: skip
"""Attributes through which any variable can be reached."""

_REACHING_WITH = {
    "sys": {"modules"},
    "builtins": {"exec", "eval", "globals", "locals", "vars", "setattr"},
    "signal": {"raise_signal"},
    "os": {"kill"},
}
"""Attributes that do so together with the name of their module."""

_REACHING_MODULES = frozenset({"__main__", "gc", "ctypes"})

_REGISTERS = re.compile(
    r"register|subscribe|observe|connect|attach|on_|add_?(\w*_)?(handler|filter|callback|hook|listener|observer)"
    r"|set_?\w*(call|callback|hook|handler|trace|profile)$"
    r"|finalize$|for_type|create_(\w*_)?(function|aggregate|collation)$",
    re.IGNORECASE,
)
"""What hands code over to be called later."""

_TAKES = frozenset({"append", "appendleft", "extend", "insert", "add", "update", "setdefault", "put"})
DOTTED: set[str] = set()
"""Modules that cells imported by dotted names, which bind the package only."""

CODE = "<code>"
"""Stands for a function without a name among what is given away."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a cell's own text says about the namespace."""

    names: frozenset[str]
    """every name that is read, bound or deleted, in nested code too"""
    modules: frozenset[str]
    """top-level packages that are imported"""
    scan: str | None
    """why every value has to be looked at; None where `names` is enough"""
    gifts: frozenset[tuple[str, frozenset[str]]] = frozenset()
    """(holder, names given to it): attributes set, things added; for the holder "", calls that register
    (there a method is named with its dots)"""


def of_tree(tree: ast.Module | None) -> Access:
    """Read the access of one (already transformed) cell; None: it does not parse, and so did not run."""
    if tree is None:
        return Access(frozenset(), frozenset(), "the cell could not be read")
    names: set[str] = set()
    modules: set[str] = set()
    attributes: set[str] = set()
    gifts: set[tuple[str, frozenset[str]]] = set()
    for node in _nodes([tree]):
        kind = type(node)
        if kind is ast.Name:
            names.add(node.id)
        elif kind is ast.Attribute:
            attributes.add(node.attr)
        elif kind in _NAMING:
            names.update(name for name in _NAMING[kind](node) if name is not None)
        elif kind is ast.Import:
            for alias in node.names:
                modules.add(alias.name.partition(".")[0])
                if "." in alias.name and alias.asname is None:
                    DOTTED.add(alias.name)
                names.add(alias.asname or alias.name.partition(".")[0])
        elif kind is ast.ImportFrom:
            modules.add("." if node.level else (node.module or "").partition(".")[0])
            names.update(alias.asname or alias.name for alias in node.names)
            if any(alias.name == "*" for alias in node.names):
                return Access(frozenset(names), frozenset(modules), "import *")
        if kind in _GIVING:
            gifts.update(_gifts(node))
    dynamic = sorted(n for n in names if n in _DYNAMIC or (n[0] == "_" and n[1:].isdigit()))
    dynamic += _reaching(attributes, names)
    reason = f"the cell uses {dynamic[0]}" if dynamic else None
    return Access(frozenset(names), frozenset(modules), reason, frozenset(gifts))


_NAMING: Mapping[type, Callable[[Any], Iterable[str | None]]] = {
    ast.FunctionDef: lambda node: (node.name,),
    ast.AsyncFunctionDef: lambda node: (node.name,),
    ast.ClassDef: lambda node: (node.name,),
    ast.Global: lambda node: node.names,
    ast.Nonlocal: lambda node: node.names,
    ast.ExceptHandler: lambda node: (node.name,),
    ast.MatchAs: lambda node: (node.name,),
    ast.MatchStar: lambda node: (node.name,),
    ast.MatchMapping: lambda node: (node.rest,),
}
"""The names that other syntax than an expression binds."""

_GIVING = frozenset({ast.Assign, ast.AugAssign, ast.Call, ast.FunctionDef, ast.ClassDef})
_PLAIN = frozenset(
    kind
    for base in (ast.expr_context, ast.operator, ast.cmpop, ast.unaryop, ast.boolop)
    for kind in base.__subclasses__()
) | {ast.Constant}


def _nodes(roots: Iterable[ast.AST]) -> Iterator[Any]:
    """Every node that says something; `ast.walk` takes three times as long."""
    stack = list(roots)
    while stack:
        node = stack.pop()
        yield node
        # Not all attributes: what formats tracebacks notes the parent, even in nodes that all trees share.
        for name in node._fields:
            held = getattr(node, name, None)
            if type(held) is list:
                stack.extend(item for item in held if isinstance(item, ast.AST))
            elif isinstance(held, ast.AST) and type(held) not in _PLAIN:
                stack.append(held)


def _reaching(attributes: Iterable[str], names: Container[str]) -> list[str]:
    """Those attributes through which any variable can be reached, given the names beside them."""
    found = sorted(_REACHING.intersection(attributes))
    for module, dynamic in _REACHING_WITH.items():
        if module in names:
            found += sorted(dynamic.intersection(attributes))
    return found


def _gifts(node: ast.AST) -> Iterator[tuple[str, frozenset[str]]]:
    """What a piece of syntax hands to an object other than by binding a name."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if isinstance(target, ast.Attribute | ast.Subscript):
                    yield _root(target), _given([value])
        case ast.AugAssign(target=ast.Attribute() | ast.Subscript() as target, value=value):
            yield _root(target), _given([value])
        case ast.Call(func=ast.Name(id="setattr"), args=[holder, *rest]):
            yield _root(holder), _given(rest)
        case ast.Call(func=ast.Attribute(attr=attr) as function, args=args, keywords=keywords):
            values = [*args, *(k.value for k in keywords)]
            if _REGISTERS.match(attr):
                yield "", _code_in(values)
            if attr in _TAKES:
                yield _root(function), _given(values)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if _REGISTERS.match(name):
            yield "", _code_in([*args, *(k.value for k in keywords)])
        case ast.FunctionDef(decorator_list=decorators) | ast.ClassDef(decorator_list=decorators):
            for decorator in decorators:
                made = decorator.func if isinstance(decorator, ast.Call) else decorator
                if isinstance(made, ast.Attribute) and _REGISTERS.match(made.attr):
                    yield "", frozenset({CODE})
        case _:
            pass


def _root(node: ast.expr) -> str:
    """The name that an attribute or item belongs to, at last; "?" where it belongs to no name."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else "?"


def _given(values: Iterable[ast.expr]) -> frozenset[str]:
    nodes = list(_nodes(values))
    names = {node.id for node in nodes if type(node) is ast.Name}
    return frozenset(names | {CODE for node in nodes if type(node) is ast.Lambda})


def _code_in(values: list[ast.expr]) -> frozenset[str]:
    """The names in values of which some are to be called, those of methods with dots."""
    dotted = {ast.unparse(v) for v in values if isinstance(v, ast.Attribute) and _root(v) != "?"}
    return _given(values) | dotted


def given_away(cell: Access, namespace: Mapping[str, object]) -> str | None:
    """What a cell has put where it is not followed: in a library, or into its hands to be called."""
    for holder, names in cell.gifts:
        owner = namespace.get(holder)
        outside = issubclass(type(owner), types.ModuleType) or (
            issubclass(type(owner), type) and getattr(owner, "__module__", None) != "__main__"
        )
        for name in names:
            value = _value(name, namespace)
            code = name == CODE or is_code(value) or type(value).__module__ == "__main__"
            if (outside and (code or gc.is_tracked(value))) or (not holder and code):
                return f"{holder or 'a library'} was given {name}"
    return None


def _value(dotted: str, namespace: Mapping[str, object]) -> object:
    """What a name stands for; of a method, whatever it is of, a function. Nothing of the user's is run."""
    name, *attributes = dotted.split(".")
    value = namespace.get(name)
    for attribute in attributes:
        value = inspect.getattr_static(value, attribute, None)
    if attributes and issubclass(type(value), types.MethodDescriptorType | types.BuiltinMethodType):
        return _value
    return value


def inputs(tree: ast.Module) -> set[str]:
    """Names whose value from before the cell can matter: read before they are bound for certain."""
    bound: set[str] = set()
    found: set[str] = set()
    for statement in tree.body:
        for node in _nodes([statement]):
            if type(node) is ast.Name and (
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
    return found


@lru_cache(maxsize=4096)
def of_code(code: types.CodeType) -> frozenset[str]:
    """Global names that compiled code, and code nested in it, reads, binds or deletes."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname in _GLOBAL_OPS}
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            names |= of_code(const)
    return frozenset(names)


@lru_cache(maxsize=4096)
def unfollowed(code: types.CodeType) -> str | None:
    """Why running compiled code can touch anything: it reaches for it, or imports the user's own files."""
    reaching = _reaching(code.co_names, code.co_names)
    if reaching:
        return f"uses {reaching[0]}"
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            top = str(instruction.argval).partition(".")[0]
            if not is_library(top) or top in _REACHING_MODULES:
                return f"imports {top or 'a neighbour'}"
    nested = (unfollowed(const) for const in code.co_consts if isinstance(const, types.CodeType))
    return next((why for why in nested if why), None)


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
        why = leads_outside(value)
        if why is not None:
            reason = f"`{name}` is {why}"
        if not is_code(value):
            continue
        for code in codes(value):
            why = unfollowed(code)
            if why is not None:
                reason = f"`{name}` {why}"
            for mentioned in of_code(code):
                if mentioned in _DYNAMIC and mentioned != "_":
                    reason = f"`{name}` uses {mentioned}"
                if mentioned in namespace and mentioned not in found:
                    stack.append(mentioned)
    return found, reason


_BUILTINS = frozenset(
    id(vars(builtins)[n]) for n in ("exec", "eval", "globals", "locals", "vars", "setattr", "__import__")
)


def leads_outside(value: object) -> str | None:
    """What a function, class, module or instance is, where using it can touch variables unseen."""
    if issubclass(type(value), types.BuiltinFunctionType):
        return "a way to any variable" if id(value) in _BUILTINS else None
    if issubclass(type(value), types.ModuleType) and vars(value).get("__name__") in _REACHING_MODULES:
        return "a way to any variable"
    if _is_pyplot(value):
        return "a way to the figures that are open"
    if type(value) is contextvars.ContextVar:
        return "a context variable, which can hold any other"
    home = _home(value)
    return f"of the module {home}" if home is not None and not is_library(home) else None


def _is_pyplot(value: object) -> bool:
    """Whether a value is pyplot, or a function of it, and there is a figure that it works on."""
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    if helpers is None or not helpers.Gcf.figs:
        return False
    if issubclass(type(value), types.ModuleType):
        return vars(value).get("__name__") in ("matplotlib.pyplot", "pylab")
    return issubclass(type(value), types.FunctionType) and value.__module__ == "matplotlib.pyplot"


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
    if module in sys.stdlib_module_names or module in (*sys.builtin_module_names, "durable_nb"):
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
