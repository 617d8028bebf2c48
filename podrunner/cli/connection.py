"""How a command reaches its cluster: its settings, and a client that is open as long as its body runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from podrunner.cli.failures import run_async
from podrunner.cli.options import NO_SECRETS, on_cluster, read_config, say_findings
from podrunner.errors import UsageError

if TYPE_CHECKING:
    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient

__all__ = ["place_of", "settings_of", "with_client"]

T = TypeVar("T")


def settings_of(
    config: Path | None,
    *,
    kubeconfig: Path | None,
    context: str | None,
    namespace: str | None,
    local: bool = False,
    allow_commands: bool = False,
    unread: Collection[str] = NO_SECRETS,
    asks_cluster: bool = True,
) -> RunnerConfig:
    """Return the configuration of a command; warnings about it go to standard error.

    Args:
        config: The option ``--config``.
        kubeconfig: The option ``--kubeconfig``.
        context: The option ``--context``.
        namespace: The option ``--namespace``.
        local: The option ``--local``.
        allow_commands: The option ``--allow-commands``.
        unread: Options of an ``airflow.cfg`` that are not needed.
        asks_cluster: Whether the namespace is that of the kubeconfig's context where none is set.

    Raises:
        ConfigError: The configuration cannot be read, or its parts contradict each other.
    """
    loaded = say_findings(read_config(config, allow_commands=allow_commands, unread=unread))
    settings = on_cluster(loaded, local=local, kubeconfig=kubeconfig, context=context, namespace=namespace)
    if not asks_cluster:
        return settings
    from podrunner.kube.namespace import with_namespace_of_cluster

    return with_namespace_of_cluster(settings)


def place_of(settings: RunnerConfig, *, namespace: str | None, everywhere: bool) -> str | None:
    """Return the namespace that a command looks at; None: all.

    Args:
        settings: The command's configuration.
        namespace: The option ``--namespace``.
        everywhere: The option ``--all-namespaces``.

    Raises:
        UsageError: Both are given.
    """
    if everywhere and namespace is not None:
        raise UsageError("--namespace and --all-namespaces exclude each other")
    return None if everywhere else settings.namespace


def with_client(
    settings: RunnerConfig, body: Callable[[KubeClient], Awaitable[T]], *, reads_stdin: bool = False
) -> T:
    """Run the asynchronous body of a command that needs nothing but a client.

    Args:
        settings: How to reach the cluster.
        body: The body.
        reads_stdin: Whether the body reads standard input, which an exec plugin then may not.
    """
    from podrunner.kube import connect

    async def main() -> T:
        async with connect(settings, lends_terminal=not reads_stdin) as client:
            return await body(client)

    return run_async(main)
