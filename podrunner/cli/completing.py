"""What a shell completes: words that name pods.

A shell waits for the answer while a person types, and shows whatever is written. So there is a time limit, nothing is
written, and what cannot be asked completes nothing: the command itself says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from podrunner.config import RunnerConfig
    from podrunner.outcome.record import Pod

__all__ = ["completed", "may_name_pod", "place_words", "pod_words"]

LIMIT_S: Final = 2.0
_BREAKS: Final = frozenset(" \t\n=:'\"")
"""Where bash breaks words (COMP_WORDBREAKS): it would complete the part after one only."""


def pod_words(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the words that name a pod of the cluster that the command line chooses, as far as it is typed."""
    try:
        import anyio

        settings = _settings(ctx.params)
        pods = anyio.run(_pods, settings)
    except Exception:  # noqa: BLE001  # see the module: the command itself says what is wrong
        return []
    return completed(pods, incomplete)


def place_words(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the words that name a pod, for ``POD:PATH``; nothing where the shell is to complete a file."""
    return pod_words(ctx, incomplete) if may_name_pod(incomplete) else []


def may_name_pod(incomplete: str) -> bool:
    """Whether what is typed of a place of ``cp`` may be the beginning of a pod's name, and not a path."""
    return bool(incomplete) and ":" not in incomplete and "/" not in incomplete


def completed(pods: Iterable[Pod], incomplete: str) -> list[str]:
    """Return the words of pods that begin as typed, each once: ``@latest``, keys of one part, and names."""
    from podrunner.cli.naming import LATEST, names_of

    words = [LATEST, *(word for pod in pods for word in names_of(pod) if _BREAKS.isdisjoint(word))]
    return [word for word in dict.fromkeys(words) if word.startswith(incomplete)]


async def _pods(settings: RunnerConfig) -> list[Pod]:
    import anyio

    from podrunner.cli.naming import OURS
    from podrunner.kube import connect

    with anyio.fail_after(LIMIT_S):
        async with connect(settings) as client:
            page = await client.list_pods(settings.namespace, label_selector=OURS, limit=500)
    return list(page.items)


def _settings(params: dict[str, Any]) -> RunnerConfig:
    """Read the settings of the command that is typed; what is odd about them is not said here."""
    from podrunner.cli.options import NO_SECRETS, on_cluster, read_config
    from podrunner.kube.namespace import with_namespace_of_cluster

    loaded = read_config(params.get("config"), unread=NO_SECRETS)
    chosen = on_cluster(
        loaded.config,
        kubeconfig=params.get("kubeconfig"),
        context=params.get("context"),
        namespace=params.get("namespace"),
    )
    return with_namespace_of_cluster(chosen)
