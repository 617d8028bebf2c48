"""The command: chooses the cluster as all commands do, prints each finding as it comes, and ends with 0 or 1."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from podrunner.cli.doctor import checks
from podrunner.cli.doctor.examination import Examination, Trial
from podrunner.cli.doctor.finding import Finding, as_document, lines_of, summary
from podrunner.cli.failures import run_async
from podrunner.cli.options import (
    NO_POD_SECRETS,
    AsJson,
    Config,
    Context,
    Kubeconfig,
    Local,
    Namespace,
    on_cluster,
    read_config,
)
from podrunner.cli.output import print_json
from podrunner.cli.screen import shows_colour
from podrunner.cli.streams import takes_unicode
from podrunner.errors import ConfigError, PodrunnerError, SpecError, TransportError

if TYPE_CHECKING:
    from podrunner.config import RunnerConfig
    from podrunner.kube import Access

__all__ = ["doctor"]

_WIDTH = len("right: pods/exec")
SICK = 1


def doctor(
    no_pod: Annotated[bool, typer.Option("--no-pod", help="Run no test pod.")] = False,
    image: Annotated[
        str | None, typer.Option(help="The test pod's image, which has sh; default: the configuration's.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that the test pod may take.")] = 60.0,
    json: AsJson = False,
    config: Config = None,
    local: Local = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Check whether pods of the configuration can be run: access, rights, limits, clocks, watches, and a test pod.

    Each finding that is no success comes with a remedy. Exit code 1: there is an error; warnings alone are 0.
    """
    choice = _Choice(config, kubeconfig, context, namespace, local)
    report = _Report(json=json)
    run_async(lambda: _examine(choice, Trial(not no_pod, image, timeout), report))
    report.finish()
    raise typer.Exit(SICK if report.is_sick else 0)


class _Choice(NamedTuple):
    """The options that choose configuration and cluster."""

    config: Path | None
    kubeconfig: Path | None
    context: str | None
    namespace: str | None
    local: bool


class _Report:
    """Prints findings as they come; with ``json``, all at the end."""

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self._findings: list[Finding] = []
        self._colour = shows_colour(sys.stdout)

    @property
    def is_sick(self) -> bool:
        return any(each.level == "error" for each in self._findings)

    def add(self, finding: Finding) -> None:
        self._findings.append(finding)
        if not self._json:
            unicode = takes_unicode(sys.stdout)
            lines = lines_of(finding, width=_WIDTH, unicode=unicode, colour=self._colour)
            print("\n".join(lines), flush=True)

    def finish(self) -> None:
        if self._json:
            print_json(as_document(self._findings))
        else:
            print(summary(self._findings))


async def _examine(choice: _Choice, trial: Trial, report: _Report) -> None:
    try:
        settings = _settings(choice, report)
    except (ConfigError, SpecError) as error:
        report.add(checks.unreadable("configuration", error))
        return
    try:
        async with _on_its_cluster(settings) as settings:
            await _ask(settings, choice, trial, report)
    except ConfigError as error:
        report.add(checks.unreadable("cluster", error))


def _settings(choice: _Choice, report: _Report) -> RunnerConfig:
    """Read the configuration, report what is odd about it, and put the options over it."""
    from podrunner.cli.checked import tried

    loaded = read_config(choice.config, unread=NO_POD_SECRETS)
    loaded = tried(choice.config or Path("environment"), loaded)
    for finding in checks.configuration(loaded, source=str(choice.config or "the environment")):
        report.add(finding)
    return on_cluster(
        loaded.config,
        local=choice.local,
        kubeconfig=choice.kubeconfig,
        context=choice.context,
        namespace=choice.namespace,
    )


@asynccontextmanager
async def _on_its_cluster(settings: RunnerConfig) -> AsyncIterator[RunnerConfig]:
    """Start the LocalCluster that the settings ask for; any other cluster is there already."""
    if settings.cluster != "local":
        yield settings
        return
    from podrunner.runner.local_cluster import on_kubeconfig, open_local

    async with open_local(settings) as kubeconfig:
        yield on_kubeconfig(settings, kubeconfig)


async def _ask(settings: RunnerConfig, choice: _Choice, trial: Trial, report: _Report) -> None:
    from podrunner.kube import connect, open_access
    from podrunner.kube.namespace import with_namespace_of_cluster

    placed = settings if choice.local else with_namespace_of_cluster(settings)
    access = await open_access(placed, lends_terminal=True)
    async with connect(placed, access=access) as client:
        try:
            await client.server_version()
        except TransportError as error:
            report.add(checks.unreadable("server", error))
            return
        except PodrunnerError:
            pass  # it answers; the examination says what it answers
        for finding in _chosen(settings, placed, choice, access):
            report.add(finding)
        examination = Examination(client, placed, credentials_of=access.credentials_of, trial=trial)
        async with aclosing(examination.findings()) as findings:
            async for finding in findings:
                report.add(finding)


def _chosen(settings: RunnerConfig, placed: RunnerConfig, choice: _Choice, access: Access) -> list[Finding]:
    if choice.namespace:
        by = "--namespace"
    elif "namespace" in settings.model_fields_set:
        by = "the configuration"
    elif placed.namespace == access.namespace:
        by = access.source
    else:
        by = "Kubernetes' default"
    url = access.url
    return checks.reached(url=url, source=access.source, namespace=placed.namespace, namespace_source=by)
