from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import durable_nb.errors

PACKAGE = Path(durable_nb.errors.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

BELOW: dict[str, set[str]] = {
    "errors": set(),
    "model": {"errors"},
    "config": {"errors", "model"},
}
BELOW["state"] = BELOW["store"] = set(BELOW)
BELOW["engine"] = BELOW["state"] | {"state", "store"}
BELOW["ui"] = BELOW["engine"] | {"engine"}
BELOW["shell"] = BELOW["ui"] | {"ui"}
TOP = {"__init__", "__main__", "autoload", "cli", "demo", "papermill", "testing"}

HOMES = {
    "IPython": ("shell/", "testing.py"),
    "ipywidgets": ("ui/",),
    "grandalf": ("ui/layered.py",),
    "duckdb": ("store/catalog.py",),
    "cloudpickle": ("state/pickling.py",),
    "pyarrow": ("store/",),
}


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            module = node.module or ""
            yield from (f"{module}.{a.name}" if module == "durable_nb" else module for a in node.names)
        yield from _imports(node)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_go_downwards_and_third_parties_have_a_home(path: Path) -> None:
    place = path.relative_to(PACKAGE).as_posix()
    layer = place.split("/")[0].removesuffix(".py")
    for name in _imports(ast.parse(path.read_text())):
        top, *rest = name.split(".")
        homes = HOMES.get(top)
        assert homes is None or place.startswith(homes), f"{place} imports {name}"
        if top == "durable_nb" and layer not in TOP:
            assert rest[0] in BELOW[layer] | {layer}, f"{place} imports {name}"


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = [*HOMES, "blake3", "pandas", "numpy", "rich", "typer"]
    code = f"import sys, durable_nb; print([m for m in {heavy!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == "[]\n"
