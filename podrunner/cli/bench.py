"""``podrunner bench``: launches pods, measures, and reports. The work is done in ``podrunner.bench``."""

from __future__ import annotations

import sys
import uuid
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podrunner.bench.plan import (
    CPU,
    IMAGE,
    MAX_CONCURRENCY,
    MAX_PODS,
    MEMORY,
    Plan,
    Target,
    announcement,
    checked,
    question,
)
from podrunner.cli.failures import one_line, run_async
from podrunner.cli.options import (
    NO_POD_SECRETS,
    Config,
    Context,
    Kubeconfig,
    Namespace,
    on_cluster,
    read_config,
    say_findings,
)
from podrunner.cli.output import print_json
from podrunner.errors import UsageError

if TYPE_CHECKING:
    from podrunner.config import RunnerConfig
    from podrunner.runner import AsyncPodRunner

__all__ = ["bench"]


def bench(
    target: Annotated[
        Target, typer.Option(help="stub: a stub server. local: a LocalCluster. cluster: your own cluster.")
    ] = Target.STUB,
    pods: Annotated[
        int, typer.Option(min=1, max=MAX_PODS, help="How many pods; on a cluster at most 5000.")
    ] = 200,
    concurrency: Annotated[
        int, typer.Option(min=1, max=MAX_PODS, help=f"Pods at once; on a cluster at most {MAX_CONCURRENCY}.")
    ] = 50,
    seed: Annotated[int, typer.Option(help="Decides the life of each pod.")] = 1,
    running: Annotated[
        float, typer.Option(min=0, max=600, help="Seconds that a pod runs, on average.")
    ] = 0.2,
    failing: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the pods that are planned to fail.")
    ] = 0.05,
    log_lines: Annotated[
        int,
        typer.Option(
            min=0, max=1000, help="Lines that each pod writes and that are read; 0: no log is followed."
        ),
    ] = 0,
    time_limit: Annotated[
        float, typer.Option(min=1, max=3600, help="Seconds after which the run is given up.")
    ] = 600,
    image: Annotated[
        str | None,
        typer.Option(
            help=f"On a cluster: an image with sh and sleep; default: the configuration's, else {IMAGE}."
        ),
    ] = None,
    cpu: Annotated[
        str | None, typer.Option(help=f"On a cluster: each pod's CPU request; default: {CPU}.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option(help=f"On a cluster: each pod's memory request; default: {MEMORY}.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before pods are created on a cluster.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON document.")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report with its pictures as one HTML page.")
    ] = None,
    config: Config = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Launch pods and measure: how long each stage takes, CPU, API calls and memory per pod.

    Exit code 1: not every pod had the outcome that was planned for it, or something was left behind.
    """
    plan = Plan(
        target=target,
        run=uuid.uuid4().hex[:8],
        pods=pods,
        concurrency=concurrency,
        seed=seed,
        failing=failing,
        running_s=running,
        log_lines=log_lines,
        time_limit_s=time_limit,
        image=image or IMAGE,
        cpu=CPU if cpu is None else cpu,
        memory=MEMORY if memory is None else memory,
    )
    for_cluster: dict[str, object] = {
        "--config": config,
        "--kubeconfig": kubeconfig,
        "--context": context,
        "--namespace": namespace,
        "--image": image,
        "--cpu": cpu,
        "--memory": memory,
        "--yes": yes,
    }
    _check_options(target, [option for option, value in for_cluster.items() if value])
    if html is not None:
        _check_writable(html)
    settings = _settings(plan, config, kubeconfig, context, namespace)
    if settings is not None:
        plan = _agreed(plan, settings, image=image, yes=yes)
    found = _measured(checked(plan), settings)
    try:
        _report(found, json=json)
    finally:  # a full disk or a reader that has gone costs one of the two, not both
        if html is not None:
            from podrunner.bench.page import page

            html.write_text(page(found), encoding="utf-8")
    raise typer.Exit(0 if found["pods"]["as_planned"] else 1)


def _check_options(target: Target, for_cluster: list[str]) -> None:
    """Raise that options would have no effect: those of a cluster, for another target."""
    if target is Target.CLUSTER or not for_cluster:
        return
    *others, last = for_cluster
    named = f"{', '.join(others)} and {last} are" if others else f"{last} is"
    raise UsageError(f"{named} for --target cluster")


def _check_writable(file: Path) -> None:
    """Raise what writing the file would raise, before minutes of measuring; it stays as it is, or absent."""
    is_there = file.exists()
    file.open("a", encoding="utf-8").close()
    if not is_there:
        file.unlink()


def _settings(
    plan: Plan, config: Path | None, kubeconfig: Path | None, context: str | None, namespace: str | None
) -> RunnerConfig | None:
    """Return how the user's cluster is reached; None: another target."""
    if plan.target is not Target.CLUSTER:
        return None
    from podrunner.kube.namespace import with_namespace_of_cluster

    loaded = say_findings(read_config(config, unread=NO_POD_SECRETS))
    return with_namespace_of_cluster(
        on_cluster(loaded, kubeconfig=kubeconfig, context=context, namespace=namespace)
    )


def _agreed(plan: Plan, settings: RunnerConfig, *, image: str | None, yes: bool) -> Plan:
    """Return the plan with the configuration's image, once the user has agreed to it.

    Raises:
        UsageError: It is beyond a limit, or there is no terminal to ask at.
        Abort: The user does not agree.
    """
    import msgspec

    plan = checked(msgspec.structs.replace(plan, image=image or settings.image or IMAGE))
    for line in announcement(plan, namespace=settings.namespace, server=_server_of(settings)):
        print("  " * line.startswith("  ") + one_line(line.strip()), file=sys.stderr)
    if yes:
        return plan
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask at: nothing was created; --yes creates without asking")
    typer.confirm(question(plan), abort=True, err=True)
    return plan


def _server_of(settings: RunnerConfig) -> str:
    if settings.cluster == "in-cluster":
        return "the cluster that this process runs in"
    context = f"context {settings.context}" if settings.context else "the current context"
    return f"{context} of {settings.kubeconfig or 'the default kubeconfig'}"


def _measured(plan: Plan, settings: RunnerConfig | None) -> dict[str, Any]:
    from podrunner.bench.measure import measured
    from podrunner.bench.report import document

    show = _bar if sys.stderr.isatty() else nullcontext
    return document(run_async(partial(measured, plan, settings, show=show)))


def _bar(runner: AsyncPodRunner) -> AbstractContextManager[object]:
    from rich.console import Console

    from podrunner.display import progress

    return progress(runner).rich(console=Console(stderr=True), transient=True)


def _report(found: dict[str, Any], *, json: bool) -> None:
    from podrunner.bench.report import text

    if json:
        print_json(found)
    else:
        print("\n".join(text(found)))
