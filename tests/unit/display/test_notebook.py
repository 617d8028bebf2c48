"""Notebooks: cells with ``await``, each in a task of its own, and what objects look like there."""

from __future__ import annotations

import ast
import asyncio
import inspect
import io
from typing import Any

import pytest
from podrunner.outcome import Category, Fault, Outcome
from podrunner.runner import AsyncPodRunner
from rich.console import Console
from tests.unit.runner.harness import Cluster, configured, running, until, workload


class Notebook:
    """Runs cells as IPython's kernel does: compiled with await at the top, each as a task in the running loop."""

    def __init__(self, **names: Any) -> None:
        self.names = names

    async def run(self, cell: str) -> None:
        code = compile(cell, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, self.names)  # the test's own text
        if inspect.iscoroutine(result):
            await asyncio.create_task(result)


def the_names(cluster: Cluster) -> dict[str, Any]:
    return {"cluster": cluster, "configured": configured, "workload": workload}


@pytest.mark.asyncio
async def test_a_cell_with_an_async_with(cluster: Cluster):
    notebook = Notebook(**the_names(cluster))
    await notebook.run("""
from podrunner import AsyncPodRunner
async with AsyncPodRunner(configured(), client=cluster.client()) as runner:
    pod = await runner.launch(workload())
    cluster.play(pod.name)
    outcome = await pod
""")
    assert notebook.names["outcome"].succeeded
    assert not cluster.leases


@pytest.mark.asyncio
async def test_a_runner_that_one_cell_opens_and_another_one_leaves(cluster: Cluster):
    """Each cell is a task. Nothing is left: no pod, no Lease, no task."""
    notebook, tasks = Notebook(**the_names(cluster)), asyncio.all_tasks()
    await notebook.run("from podrunner import AsyncPodRunner, progress")
    await notebook.run("runner = AsyncPodRunner(configured(), client=cluster.client(), on_exit='cancel')")
    await notebook.run("await runner.__aenter__()")
    await notebook.run(
        "progress = progress(runner)\npods = await runner.launch_many([workload(1), workload(2)])"
    )
    await notebook.run("cluster.play(pods[0].name)\noutcome = await pods[0]")
    assert notebook.names["outcome"].succeeded
    assert notebook.names["progress"].counts().done == 1
    await notebook.run("await runner.__aexit__(None, None, None)")
    assert not cluster.pods
    assert not cluster.leases
    assert asyncio.all_tasks() == tasks


@pytest.mark.asyncio
async def test_the_blocking_face_in_a_cell_says_what_to_use(cluster: Cluster):
    from podrunner.errors import CallFromEventLoopError

    notebook = Notebook(**the_names(cluster))
    with pytest.raises(CallFromEventLoopError, match=r"AsyncPodRunner there .*notebook.* worker thread"):
        await notebook.run("from podrunner import PodRunner\nPodRunner(configured()).__enter__()")


OOM = Outcome(
    category=Category.OOM_KILLED,
    fault=Fault.WORKLOAD,
    started=True,
    retryable=False,
    exit_code=137,
    message="killed <b>",
    result="secret",
    log_tail=("[bold]one", "two"),
)


def in_rich(shown: Any) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(shown)
    return console.file.getvalue()


def test_an_outcome():
    """Markup in what a workload wrote is text; its result, which may be secret, is not there."""
    page = OOM._repr_html_()
    assert "<b>" not in page
    for shown in ("oom-killed", "workload", "killed &lt;b&gt;", "137", "[bold]one\ntwo"):
        assert shown in page
    assert "[bold]one" in in_rich(OOM)
    assert "oom-killed" in in_rich(OOM)
    assert "secret" not in page + in_rich(OOM)


@pytest.mark.anyio
async def test_a_pod_and_a_runner(cluster: Cluster):
    """Showing them takes no outcome."""
    async with running(cluster) as runner:
        pods = await runner.launch_many(workload(number) for number in range(3))
        cluster.play(pods[0].name, exit_code=3)
        await until(lambda: pods[0].done)
        for show in (lambda it: it._repr_html_(), in_rich):
            assert pods[0].name in show(pods[0])
            assert "exit code 3" in show(pods[0])
            assert "2 Pending" in show(runner)
            assert runner.owner in show(runner)
        assert runner.health().undelivered == 1
    assert "closed" in runner._repr_html_()
    assert "not open" in AsyncPodRunner(configured())._repr_html_()


def test_the_same_of_the_blocking_face(cluster, opened):
    with opened() as runner:
        pod = runner.launch(workload())
        for show in (lambda it: it._repr_html_(), in_rich):
            assert pod.name in show(pod)
            assert "1 Pending" in show(runner)
