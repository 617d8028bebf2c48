"""The public names: all there, loaded when first used, and light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import podrunner
import pytest


@pytest.mark.parametrize("name", podrunner.__all__)
def test_each_public_name_is_there(name):
    assert getattr(podrunner, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Podrunner'"):
        _ = podrunner.Podrunner


def test_the_names_can_be_listed():
    assert {*podrunner.__all__} <= {*dir(podrunner)}


def test_what_type_checkers_see_is_what_is_loaded():
    """The imports under TYPE_CHECKING and the table of rooms name the same."""
    tree = ast.parse(Path(podrunner.__file__).read_text())
    imported = {
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("podrunner.")
        for alias in node.names
    }
    assert imported == {(room, name) for room, names in podrunner._ROOMS.items() for name in names}
    assert sorted(name for _, name in imported) == sorted(podrunner.__all__)


def test_importing_is_light():
    """No HTTP library and no Kubernetes client come with the package's import."""
    heavy = ["aiohttp", "httpx", "kubernetes_asyncio", "pydantic", "msgspec", "anyio", "tenacity", "yaml"]
    code = f"import sys, podrunner; print([name for name in {heavy!r} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_both_faces_come_without_an_http_library():
    heavy = ["aiohttp", "httpx", "kubernetes_asyncio", "tqdm", "rich"]
    code = (
        "import sys, podrunner; podrunner.PodRunner, podrunner.RunnerConfig, podrunner.Workload, podrunner.progress; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
