"""No imports of podrunner form a circle: neither those at the top of a module nor those inside a function.

An import under ``if TYPE_CHECKING`` is exempt: it never runs. ``from package import name`` counts as an import of the
submodule of that name, else of the package's ``__init__``. Python also imports the packages around a module; that does
not count, so a module must never import what stands in the ``__init__`` of a package around it.
"""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import podrunner
import pytest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_ROOT = Path(podrunner.__file__).parent
_DEMO_PROGRAMS = _ROOT / "cli" / "_demo_image"
"""Programs for a container: each runs by itself."""


def imports_of(source: str, modules: Collection[str], *, package: str) -> set[str]:
    """Return those of ``modules`` that a module's source imports when it runs.

    Args:
        source: The module's source.
        modules: The names of all modules.
        package: The package that the module stands in, for relative imports.
    """
    return {
        candidates[0]
        for names in _imported(ast.parse(source), package)
        if (candidates := [name for name in names if name in modules])
    }


def _imported(tree: ast.AST, package: str) -> Iterator[tuple[str, ...]]:
    """Yield for each imported name the modules that it may stand for, the likeliest first."""
    for node in _running(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name,) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            around = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*around, *filter(None, [node.module])])
            yield from ((f"{module}.{alias.name}", module) for alias in node.names)


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a tree, without those that only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        yield node
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from _running(ast.Module(node.orelse, []))
        else:
            yield from _running(node)


def circle_in(graph: Mapping[str, Collection[str]]) -> list[str]:
    """Return the modules of a circle, each before the one that it imports; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    """The modules of podrunner, each with those that it imports."""
    files = {_module_name(path): path for path in _ROOT.rglob("*.py") if _DEMO_PROGRAMS not in path.parents}
    return {
        name: imports_of(
            path.read_text(),
            files.keys(),
            package=name if path.stem == "__init__" else name.rpartition(".")[0],
        )
        for name, path in files.items()
    }


def _module_name(path: Path) -> str:
    parts = path.relative_to(_ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_imports_form_a_circle(graph):
    circle = circle_in(graph)
    assert not circle, " -> ".join(circle)


def test_no_module_imports_from_a_package_around_it(graph):
    """But ``__main__``, which Python runs and no module imports, and integrations, which use the public names only."""
    found = [
        f"{name} -> {imported}"
        for name, imports in graph.items()
        for imported in imports
        if name.startswith(f"{imported}.")
        and not name.endswith(".__main__")
        and not (name.startswith("podrunner.integrations.") and imported == "podrunner")
    ]
    assert not found


def test_integrations_use_the_public_names_only(graph):
    public = ("podrunner", "podrunner.errors")
    for name, imports in graph.items():
        if name.startswith("podrunner.integrations."):
            own = {each for each in imports if each.startswith("podrunner.integrations.")}
            assert {each for each in imports if each.startswith("podrunner")} - own <= {*public}, name


@pytest.mark.parametrize(
    ("source", "imports"),
    [
        ("import a.b", {"a.b"}),
        ("from a.b import name", {"a.b"}),
        ("from a import b", {"a.b"}),
        ("from a import name", {"a"}),
        ("from . import c", {"a.c"}),
        ("from .c import name", {"a.c"}),
        ("def later():\n    from a.b import name", {"a.b"}),
        ("try:\n    import a.b\nexcept ImportError:\n    import a.c", {"a.b", "a.c"}),
        ("if TYPE_CHECKING:\n    import a.b\nelse:\n    import a.c", {"a.c"}),
        ("if typing.TYPE_CHECKING:\n    from a.b import name", set()),
        ("import json", set()),
    ],
)
def test_the_imports_that_run_are_found(source, imports):
    assert imports_of(source, {"a", "a.b", "a.c"}, package="a") == imports


def test_a_circle_is_named():
    """Of three modules, two import each other; the third only leads to them."""
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) in (["b", "c", "b"], ["c", "b", "c"])
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": set()}) == []
