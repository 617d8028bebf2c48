"""The options that several commands share, and the configuration they make together.

A command's configuration is a file (``--config``) or the environment, with the options of the command line on top.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from podrunner.config import LoadedConfig, RunnerConfig, load_file
from podrunner.errors import ConfigError

__all__ = [
    "Config",
    "Context",
    "Kubeconfig",
    "Local",
    "Namespace",
    "on_cluster",
    "read_config",
    "say_findings",
]

Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="airflow.cfg, or podrunner's own TOML or YAML file.")
]
Kubeconfig = Annotated[Path | None, typer.Option(help="Use the cluster of this kubeconfig.")]
Context = Annotated[str | None, typer.Option(help="A context of the kubeconfig; default: its current one.")]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Default: the configuration's.")]
Local = Annotated[bool, typer.Option("--local", help="Use a LocalCluster that lives as long as the command.")]


def read_config(path: Path | None) -> LoadedConfig:
    """The configuration of a file, or of the environment if there is none."""
    return load_file(path) if path else LoadedConfig(RunnerConfig.from_environ())


def say_findings(loaded: LoadedConfig) -> RunnerConfig:
    """Print the warnings on standard error, and hand the configuration on."""
    for finding in loaded.warnings:
        sys.stderr.write(f"warning: {finding}\n")
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
        ConfigError: Both a LocalCluster and a kubeconfig are asked for.
    """
    if local and (kubeconfig or context):
        raise ConfigError(
            "--local and --kubeconfig exclude each other", source="command line", remedy="Keep one of them"
        )
    changes: dict[str, Any] = {}
    if local:
        changes = {"cluster": "local", "kubeconfig": None, "context": None}
    elif kubeconfig or context:
        changes = {"cluster": "kubeconfig", "kubeconfig": kubeconfig or config.kubeconfig, "context": context}
    if namespace:
        changes["namespace"] = namespace
    return config.with_changes(**changes) if changes else config
