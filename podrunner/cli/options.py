"""The options that several commands share, and the configuration they make together.

A command's configuration is a file (``--config``) or the environment, with the options of the command line on top.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podrunner.cli.contexts import context_words
from podrunner.cli.failures import one_line
from podrunner.errors import ConfigError

if TYPE_CHECKING:
    from podrunner.config import LoadedConfig, RunnerConfig

__all__ = [
    "MOST_LINES",
    "NO_POD_SECRETS",
    "NO_SECRETS",
    "AllNamespaces",
    "AllowCommands",
    "AsJson",
    "Config",
    "Container",
    "Context",
    "Kubeconfig",
    "Local",
    "Namespace",
    "Selector",
    "on_cluster",
    "read_config",
    "say_findings",
]

Config = Annotated[
    Path | None, typer.Option("--config", help="airflow.cfg, or podrunner's own TOML or YAML file.")
]
Kubeconfig = Annotated[Path | None, typer.Option(help="Use the cluster of this kubeconfig.")]
Context = Annotated[
    str | None,
    typer.Option(autocompletion=context_words, help="A context of the kubeconfig; default: its current one."),
]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Default: the configuration's, else the context's.")
]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", "-A", help="In all namespaces.")]
Local = Annotated[bool, typer.Option("--local", help="Use a LocalCluster that lives as long as the command.")]
Selector = Annotated[
    str, typer.Option("--selector", "-l", help="Only pods with these labels, as kubectl get -l.")
]
Container = Annotated[str | None, typer.Option("--container", "-c", help="Default: the main one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

AllowCommands = Annotated[
    bool,
    typer.Option("--allow-commands", help="Run the commands that an airflow.cfg's _cmd options name."),
]

MOST_LINES: int = 2**31 - 1
"""Lines of a log that can be asked for: more has no log, and a list no room."""

NO_SECRETS: tuple[str, ...] = ("sql_alchemy_conn", "git_password", "secret_key", "jwt_secret")
"""What a command does not read that makes no pod and asks no worker."""

NO_POD_SECRETS: tuple[str, ...] = ("sql_alchemy_conn", "git_password")
"""What a command does not read that makes no pod."""


def read_config(
    path: Path | None, *, allow_commands: bool = False, unread: Collection[str] = ()
) -> LoadedConfig:
    """The configuration of a file, or of the environment if there is none.

    Args:
        path: The file.
        allow_commands: Run the commands of an ``airflow.cfg``.
        unread: Options of an ``airflow.cfg`` that are not needed: see :func:`podrunner.config.load_file`.
    """
    from podrunner.config import LoadedConfig, RunnerConfig, load_file

    if path is None:
        return LoadedConfig(RunnerConfig.from_environ())
    return load_file(path, allow_commands=allow_commands, unread=unread)


def say_findings(loaded: LoadedConfig) -> RunnerConfig:
    """Print the warnings on standard error, and hand the configuration on."""
    for finding in loaded.warnings:
        sys.stderr.write(f"warning: {one_line(str(finding))}\n")
    return loaded.config


def on_cluster(
    config: RunnerConfig,
    *,
    local: bool = False,
    kubeconfig: Path | None = None,
    context: str | None = None,
    namespace: str | None = None,
) -> RunnerConfig:
    """Put the command line's choice of a cluster over the configuration's.

    Raises:
        ConfigError: Both a LocalCluster and a kubeconfig are asked for; or a kubeconfig is a pipe that cannot be read.
    """
    if local and (kubeconfig or context):
        raise ConfigError(
            "--local and --kubeconfig exclude each other", source="command line", remedy="Keep one of them"
        )
    changes: dict[str, Any] = {}
    named = None if local else kubeconfig or config.kubeconfig
    readable = named and _readable_again(named)
    if local:
        changes = {"cluster": "local", "kubeconfig": None, "context": None}
    elif kubeconfig or context:
        changes = {"cluster": "kubeconfig", "kubeconfig": readable, "context": context}
    elif readable != named:
        changes = {"kubeconfig": readable}
    if named is None and not local and (context or config.cluster in {"auto", "kubeconfig"}):
        _keep_listed_pipes()
    if namespace:
        changes["namespace"] = namespace
    return config.with_changes(**changes) if changes else config


def _keep_listed_pipes() -> None:
    """Put what can be read again in place of each pipe in ``KUBECONFIG``: a kubeconfig is read several times."""
    names = os.environ.get("KUBECONFIG", "").split(os.pathsep)
    kept = [str(_readable_again(Path(name))) if _is_pipe(Path(name)) else name for name in names]
    if kept != names:
        os.environ["KUBECONFIG"] = os.pathsep.join(kept)


def _is_pipe(path: Path) -> bool:
    try:
        return path.is_fifo()
    except (OSError, ValueError):  # reading it says why
        return False


def _readable_again(path: Path) -> Path:
    """Return the path; of a pipe (``<(…)`` of a shell), that of its content in memory, which lasts as the process."""
    if not (hasattr(os, "memfd_create") and _is_pipe(path)):
        return path
    from podrunner.workload.files import read_bounded

    try:
        content = read_bounded(path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"the kubeconfig cannot be read: {why}", source=str(path)) from None
    descriptor = os.memfd_create("kubeconfig")
    with open(descriptor, "wb", closefd=False) as file:  # a descriptor
        file.write(content)
    return Path(f"/proc/self/fd/{descriptor}")
