"""What is loaded when: the modules in a fresh process, so that no import makes every user pay for one use.

Each program runs in a process of its own and prints the names of the modules that it has loaded, or counts bytes. No
times are asserted: ``benchmarks/light.py`` measures them.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from podrunner.local import LocalCluster

if TYPE_CHECKING:
    from collections.abc import Iterable

_BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

_SHOW = "print('\\n'.join(sys.modules), file=sys.stderr)"

_COMMAND = f"""
import sys
sys.argv = ["podrunner", *{{arguments}}]
from podrunner.cli import main
try:
    main()
finally:
    {_SHOW}
"""

_OPEN_RUNNER = f"""
import asyncio, sys
from podrunner import AsyncPodRunner, RunnerConfig
from podrunner.kube import connect, explicit_access

async def main():
    config = RunnerConfig(image="x")
    async with connect(config, access=explicit_access(sys.argv[1], token=sys.argv[2])) as client:
        async with AsyncPodRunner(config, client=client) as runner:
            await runner.wait_synced()
            {_SHOW}

asyncio.run(main())
"""

_OF_A_COMMAND = {"click", "rich", "typer"}
_OF_ONE_USE = {
    "aiohttp.web",
    "html",
    "httpx",
    "kubernetes_asyncio",
    "podrunner.blocking",
    "podrunner.config.airflow.cfg",
    "podrunner.integrations",
    "podrunner.local",
    "podrunner.testing",
    "tomllib",
    "tqdm",
    "trio",
    "trustme",
    "yaml",
}
"""What some programs need, and most do not."""


def loaded(program: str, *arguments: str) -> set[str]:
    """The modules that a program has loaded in a fresh process, without those that Python itself loads there."""
    return _modules_of(program, *arguments) - _modules_of(f"import sys; {_SHOW}")


def _modules_of(program: str, *arguments: str) -> set[str]:
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("PODRUNNER_", "COV"))
    }
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environ, timeout=150)
    return {*done.stderr.splitlines()}


def forbidden(modules: set[str], names: Iterable[str]) -> set[str]:
    """Those of the names that are loaded, themselves or a module in them."""
    return {name for name in names if any(f"{module}.".startswith(f"{name}.") for module in modules)}


def test_the_package_alone_loads_no_room():
    modules = loaded(f"import sys, podrunner; {_SHOW}")
    assert {name for name in modules if name.startswith("podrunner")} == {"podrunner"}
    assert not forbidden(
        modules, {*_OF_A_COMMAND, *_OF_ONE_USE, "aiohttp", "anyio", "asyncio", "msgspec", "pydantic"}
    )


def test_the_version_is_told_without_the_library_of_the_command_line():
    modules = loaded(_COMMAND.format(arguments=["--version"]))
    assert "importlib.metadata" in modules, "the command has run"
    own = {name for name in modules if name.startswith("podrunner")}
    assert own == {"podrunner", "podrunner.cli", "podrunner.cli.version"}
    assert not forbidden(
        modules, {*_OF_A_COMMAND, *_OF_ONE_USE, "aiohttp", "anyio", "asyncio", "msgspec", "pydantic"}
    )


def test_a_command_loads_no_other_command(cluster):
    modules = loaded(_COMMAND.format(arguments=["get", "--kubeconfig", str(cluster.kubeconfig)]))
    assert "podrunner.kube.aiohttp_transport" in modules, "the server was asked"
    others = {
        *("demo", "delete", "describe", "exec", "live", "local", "logs", "release", "render", "run"),
        *("stage", "story", "terminal", "watching"),
    }
    rooms = {"podrunner.builder.builder", "podrunner.logs", "podrunner.runner", "podrunner.workload.model"}
    assert not forbidden(
        modules,
        {"rich.console", *(f"podrunner.cli.{name}" for name in others), *rooms, *_OF_ONE_USE} - {"yaml"},
    )


def test_an_open_runner_loads_what_it_uses(of_open_runner):
    assert "podrunner.watch.reflector" in of_open_runner, "the runner was open"
    assert not forbidden(
        of_open_runner,
        {*_OF_A_COMMAND, *_OF_ONE_USE, "podrunner.cli", "podrunner.display", "podrunner.kube.exec_plugin"},
    )


def test_an_open_runner_loads_few_modules(of_open_runner):
    """At most a quarter more than when this was written: 227 of podrunner's own, 623 in all."""
    assert sum(name.startswith("podrunner") for name in of_open_runner) < 285
    assert len(of_open_runner) < 780


def test_importing_the_settings_builds_no_validator():
    """Those of all settings take 4 MB and more time than the import; most programs need one."""
    program = """
from podrunner import AirflowSettings, RunnerConfig, Workload
assert not any(model.__pydantic_complete__ for model in (AirflowSettings, RunnerConfig, Workload))
assert RunnerConfig(image="x").__pydantic_complete__ and not Workload.__pydantic_complete__
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=150)


def test_a_live_pod_holds_few_bytes_in_the_whole_runner(monkeypatch: pytest.MonkeyPatch):
    """At most a quarter more than the 2.8 KB that Python allocated when this was written."""
    monkeypatch.syspath_prepend(str(_BENCHMARKS))
    light = importlib.import_module("light")
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("PODRUNNER_", "COV"))
    }
    assert 1000 < light.live_pods(environ, 300, traced=True) < 3500


@pytest.fixture(scope="module")
def of_open_runner(cluster) -> set[str]:
    """The modules of a process in which a runner is open."""
    return loaded(_OPEN_RUNNER, cluster.url, cluster.token)


@pytest.fixture(scope="module")
def cluster():
    """A server in this process, without pods."""
    with LocalCluster.blocking(tls=False) as found:
        yield found
