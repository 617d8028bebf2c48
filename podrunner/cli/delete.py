"""``podrunner delete``: pods, by name or by label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from podrunner.cli.completing import pod_words
from podrunner.cli.connection import settings_of, with_client
from podrunner.cli.detached import is_detached
from podrunner.cli.failures import NoSuchPodError
from podrunner.cli.naming import OURS, identity_of, resolve, selector_of, without_kind
from podrunner.cli.options import AsJson, Config, Context, Kubeconfig, Namespace, Selector
from podrunner.cli.output import print_json
from podrunner.cli.rows import outcome_of
from podrunner.errors import UsageError

if TYPE_CHECKING:
    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient
    from podrunner.outcome.record import Pod

__all__ = ["delete"]


def delete(
    names: Annotated[
        list[str] | None,
        typer.Argument(autocompletion=pod_words, help="The pods' keys or names, or @latest."),
    ] = None,
    selector: Selector = "",
    detached: Annotated[
        bool, typer.Option("--detached", help="The pods that run --detach left and that have ended.")
    ] = False,
    grace_period: Annotated[int | None, typer.Option(min=0, help="Seconds; default: the pod's own.")] = None,
    as_json: AsJson = False,
    config: Config = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Delete pods. With -l alone: all of podrunner's pods with these labels."""
    words = without_kind(names)
    if not (words or selector or detached):
        raise UsageError("name the pods to delete, or select them by -l or --detached")
    if words and detached:
        raise UsageError("--detached chooses the pods: name none")
    settings = settings_of(config, kubeconfig=kubeconfig, context=context, namespace=namespace)
    deleting = _Deleting(settings, grace_period)

    async def remove(client: KubeClient) -> None:
        await deleting.remove(client, words, selector, detached=detached)

    try:
        with_client(settings, remove)
    finally:
        deleting.report(as_json=as_json)
    if deleting.missing is not None:
        raise deleting.missing


class _Deleting:
    """Deletes pods, and keeps account of what is done when an error ends it.

    Attributes:
        missing: The error about names without a pod.
    """

    def __init__(self, settings: RunnerConfig, grace_period_s: int | None) -> None:
        self.missing: NoSuchPodError | None = None
        self._namespace = settings.namespace
        self._grace_period_s = grace_period_s
        self._deleted: list[Pod] = []

    async def remove(self, client: KubeClient, names: list[str], selector: str, *, detached: bool) -> None:
        pods, errors = await self._chosen(client, names, selector)
        pods = [pod for pod in pods if not detached or (is_detached(pod) and outcome_of(pod) is not None)]
        for pod in pods:
            meta = pod.metadata
            answer = await client.delete_pod(
                meta.namespace, meta.name, uid=meta.uid, grace_period_s=self._grace_period_s
            )
            if answer:
                self._deleted.append(pod)
            else:
                errors.append(NoSuchPodError(self._namespace, [meta.name]))
        self.missing = NoSuchPodError.of(errors)

    async def _chosen(
        self, client: KubeClient, names: list[str], selector: str
    ) -> tuple[list[Pod], list[NoSuchPodError]]:
        """Return the pods; all names are understood before the first pod is deleted."""
        if not names:
            page = await client.list_pods(self._namespace, label_selector=selector_of(OURS, selector))
            return list(page.items), []
        pods: dict[str, Pod] = {}
        errors = []
        for word in names:
            try:
                pod = await resolve(client, self._namespace, word, selector=selector)
            except NoSuchPodError as error:
                errors.append(error)
            else:
                pods[pod.metadata.name] = pod
        return list(pods.values()), errors

    def report(self, *, as_json: bool) -> None:
        if as_json:
            print_json({"deleted": [_facts(pod) for pod in self._deleted]})
            return
        for pod in self._deleted:
            print(f'pod "{pod.metadata.name}" deleted')


def _facts(pod: Pod) -> dict[str, Any]:
    one = identity_of(pod)
    return {
        "key": one.key,
        "attempt": one.attempt or None,
        "pod": one.pod,
        "namespace": pod.metadata.namespace,
    }
