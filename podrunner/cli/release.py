"""``podrunner release``: frees pods that their finalizer holds, for runners that will never come back."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podrunner.cli.connection import with_client
from podrunner.cli.failures import one_line
from podrunner.cli.options import (
    NO_SECRETS,
    Config,
    Context,
    Kubeconfig,
    Namespace,
    on_cluster,
    read_config,
    say_findings,
)
from podrunner.cli.output import columns, print_json
from podrunner.errors import UsageError
from podrunner.outcome import printer_status

if TYPE_CHECKING:
    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient
    from podrunner.ownership import HeldPod, PodReleaser

__all__ = ["release"]

_HEADER = ("NAMESPACE", "NAME", "STATUS", "OWNER", "LEASE")


def release(
    selector: Annotated[
        str, typer.Option("--selector", "-l", help="Only pods with these labels, as kubectl get -l.")
    ] = "",
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="In the whole cluster.")
    ] = False,
    all_owners: Annotated[
        bool,
        typer.Option(
            "--all-owners", help="DANGER: also pods of runners that are alive; their outcomes may be lost."
        ),
    ] = False,
    lease_namespace: Annotated[
        str | None,
        typer.Option(help="Where the runners' Leases are; default: the configuration's namespace."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    config: Config = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Remove podrunner's finalizer from pods whose runner is gone and will never come back.

    A runner of the same scope that starts later finds these pods only as long as nothing deletes them. No pod is
    deleted, but one that was deleted before goes at once.
    """
    if namespace is not None and all_namespaces:
        raise UsageError("--namespace and --all-namespaces exclude each other")
    from podrunner.kube.namespace import with_namespace_of_cluster

    loaded = say_findings(read_config(config, unread=NO_SECRETS))
    # Not the option's namespace: a runner's Lease lives where its configuration says, whatever its pods' namespaces.
    settings = with_namespace_of_cluster(on_cluster(loaded, kubeconfig=kubeconfig, context=context))
    places = _places(settings, namespace, everywhere=all_namespaces)
    releasing = _Releasing(settings, lease_namespace or settings.namespace)
    held = releasing.find(places, selector)
    chosen = [pod for pod in held if pod.is_abandoned or all_owners]
    if chosen and not (json and yes):
        print("\n".join(_table(chosen)), file=sys.stderr if json else sys.stdout, flush=True)
    if chosen and not yes:
        _confirm(len(chosen))
    try:
        releasing.release(chosen, also_held=all_owners)
    finally:
        _report(releasing.released, held, json=json)


def _places(settings: RunnerConfig, namespace: str | None, *, everywhere: bool) -> Sequence[str | None]:
    if namespace is not None:
        return (namespace,)
    return (None,) if everywhere or settings.all_namespaces else settings.watched_namespaces


class _Releasing:
    """Finds the pods, and releases them. It asks nothing: no event loop runs while a question waits for its answer.

    Args:
        settings: The configuration.
        lease_namespace: Where the runners' Leases are.

    Attributes:
        released: What was released so far.
    """

    def __init__(self, settings: RunnerConfig, lease_namespace: str) -> None:
        self.released: list[HeldPod] = []
        self._settings = settings
        self._lease_namespace = lease_namespace

    def find(self, places: Sequence[str | None], selector: str) -> list[HeldPod]:
        async def find(client: KubeClient) -> list[HeldPod]:
            async with aclosing(self._on(client).held(places, label_selector=selector)) as pods:
                return [pod async for pod in pods]

        return with_client(self._settings, find)

    def release(self, pods: Sequence[HeldPod], *, also_held: bool) -> None:
        async def release(client: KubeClient) -> None:
            await self._on(client).release(pods, also_held=also_held, on_released=self.released.append)

        if pods:
            with_client(self._settings, release)

    def _on(self, client: KubeClient) -> PodReleaser:
        from podrunner.kube import RequestRetry
        from podrunner.ownership import PodReleaser

        policy = RequestRetry.of(self._settings.retry)
        return PodReleaser(client, lease_namespace=self._lease_namespace, policy=policy)


def _confirm(count: int) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            "there is no terminal to ask at: nothing was released; --yes releases without asking"
        )
    question = f"An outcome that was not delivered may be lost with its pod. Release {_pods(count)}?"
    typer.confirm(question, abort=True, err=True)


def _report(released: Sequence[HeldPod], held: Sequence[HeldPod], *, json: bool) -> None:
    uids = {pod.pod.metadata.uid for pod in released}
    left = [pod for pod in held if pod.pod.metadata.uid not in uids]
    if json:
        print_json({"released": [_facts(pod) for pod in released], "left": [_facts(pod) for pod in left]})
        return
    for pod in released:
        print(f'pod "{pod.pod.metadata.name}" in namespace {pod.pod.metadata.namespace} released')
    if not held:
        print("No pod is held by podrunner's finalizer.", file=sys.stderr)
    for pod in left:
        name = f"{pod.pod.metadata.namespace}/{pod.pod.metadata.name}"
        said = f"left: {name}, owner {pod.owner or '<unknown>'}, lease {pod.lease}"
        print(one_line(said), file=sys.stderr)


def _pods(count: int) -> str:
    return f"{count} pod{'' if count == 1 else 's'}"


def _table(pods: Sequence[HeldPod]) -> list[str]:
    return columns([_HEADER, *(_row(pod) for pod in pods)])


def _row(held: HeldPod) -> tuple[str, ...]:
    meta = held.pod.metadata
    return (meta.namespace, meta.name, printer_status(held.pod), held.owner or "<unknown>", str(held.lease))


def _facts(held: HeldPod) -> dict[str, Any]:
    meta = held.pod.metadata
    return {
        "namespace": meta.namespace,
        "name": meta.name,
        "uid": meta.uid,
        "status": printer_status(held.pod),
        "owner": held.owner,
        "lease": str(held.lease),
    }
