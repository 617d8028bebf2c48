"""``podrunner wait``: until pods run, have ended, or succeeded."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import anyio
import anyio.lowlevel
import typer

from podrunner.cli.completing import pod_words
from podrunner.cli.connection import settings_of, with_client
from podrunner.cli.failures import NoSuchPodError, one_line
from podrunner.cli.moments import seconds_of
from podrunner.cli.naming import OURS, resolve_all, selector_of, without_kind
from podrunner.cli.options import AsJson, Config, Context, Kubeconfig, Namespace, Selector
from podrunner.cli.output import print_json
from podrunner.cli.waited import Waited, Wanted
from podrunner.cli.watching import PodChange, PodWatching
from podrunner.errors import UsageError

if TYPE_CHECKING:
    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient
    from podrunner.outcome.record import Pod

__all__ = ["wait"]


def wait(
    names: Annotated[
        list[str] | None,
        typer.Argument(autocompletion=pod_words, help="The pods' keys or names, or @latest."),
    ] = None,
    selector: Selector = "",
    every: Annotated[bool, typer.Option("--all", help="All of podrunner's pods that are there now.")] = False,
    wanted: Annotated[Wanted, typer.Option("--for", help="What the pods shall come to.")] = Wanted.ENDED,
    timeout: Annotated[
        str | None, typer.Option(help="Wait at most so long: 90s, 5m, 2h; default: without an end.")
    ] = None,
    json: AsJson = False,
    config: Config = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Wait until pods have ended (or run, or succeeded), and end with 0 if all went well.

    Otherwise with the exit code of the first pod that failed, or 1; with --for running or succeeded, 1 as soon as that
    cannot be any more. 124: the time is over.
    """
    words = without_kind(names)
    if bool(words) + bool(selector) + every != 1:
        raise UsageError("name the pods, or choose them by -l, or take --all")
    limit_s = None if timeout is None else seconds_of(timeout, option="--timeout")
    settings = settings_of(config, kubeconfig=kubeconfig, context=context, namespace=namespace)

    async def main(client: KubeClient) -> Waited:
        pods = await _chosen(client, settings.namespace, words, selector)
        waiting = _Waiting(Waited(pods, wanted), json=json)
        with anyio.move_on_after(limit_s):
            await waiting.run(client, settings, selector=OURS if every else selector)
        return waiting.waited

    waited = with_client(settings, main)
    if json:
        print_json(waited.to_document())
    elif waited.open and not waited.is_over:
        sys.stderr.write(
            f"podrunner: the time is over; not {wanted} yet: {one_line(', '.join(waited.open))}\n"
        )
    raise typer.Exit(waited.exit_code)


async def _chosen(client: KubeClient, namespace: str, names: list[str], selector: str) -> list[Pod]:
    if names:
        return await resolve_all(client, namespace, names)
    page = await client.list_pods(namespace, label_selector=selector_of(OURS, selector))
    if not page.items:
        raise NoSuchPodError(namespace, [selector or "podrunner has none"])
    return list(page.items)


class _Waiting:
    """Watches until the wait is over, and says what became of each pod."""

    def __init__(self, waited: Waited, *, json: bool) -> None:
        self.waited = waited
        self._json = json
        self._watch = anyio.CancelScope()

    async def run(self, client: KubeClient, settings: RunnerConfig, *, selector: str) -> None:
        watching = PodWatching(
            client,
            settings.namespace,
            selector=selector,
            attempts=settings.retry.attempts,
            on_change=self._see,
        )
        with self._watch:
            await watching.run()

    async def _see(self, change: PodChange) -> None:
        if change.trouble:
            sys.stderr.write(f"podrunner: {one_line(change.trouble)}\n")
            return
        lines = self.waited.see(change.pods, is_list=change.is_list, is_gone=change.is_gone)
        if lines and not self._json:
            print("\n".join(map(one_line, lines)), flush=True)
        if self.waited.is_over:
            self._watch.cancel()
            await anyio.lowlevel.checkpoint()
