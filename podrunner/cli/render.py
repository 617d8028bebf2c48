"""``podrunner render`` and ``podrunner config check``: what a configuration means, shown offline."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import yaml

from podrunner.builder import build_plan, explain_pod
from podrunner.cli.checked import as_document, counted, tried, what_runs
from podrunner.cli.failures import one_line
from podrunner.cli.options import NO_SECRETS, Config, read_config, say_findings
from podrunner.cli.output import columns, print_json
from podrunner.config import LoadedConfig, RunnerConfig, as_data, load_file
from podrunner.errors import ConfigError
from podrunner.workload import Workload

__all__ = ["Format", "config_app", "render"]

config_app: typer.Typer = typer.Typer(help="Configuration files.", no_args_is_help=True)


class Format(StrEnum):
    """How a manifest is written."""

    JSON = "json"
    YAML = "yaml"


def render(
    workload: Annotated[Path, typer.Option("--workload", "-w", help="A workload's JSON or YAML file.")],
    config: Config = None,
    output: Annotated[Format, typer.Option("--output", "-o", help="The format.")] = Format.YAML,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say instead which setting put each field there.")
    ] = False,
) -> None:
    """Print the pod that a workload becomes. No cluster is asked."""
    settings = say_findings(read_config(config, unread=NO_SECRETS))
    wanted = Workload.from_file(workload)
    if explain:
        _print_provenance(settings, wanted)
        return
    plan = build_plan(settings, wanted)
    for warning in plan.warnings:
        sys.stderr.write(f"warning: {one_line(warning)}\n")
    manifest = plan.manifest
    if output is Format.JSON:
        print_json(manifest)
    else:
        print(yaml.safe_dump(manifest, sort_keys=False), end="")


def _print_provenance(settings: RunnerConfig, wanted: Workload) -> None:
    rows = [("FIELD", "FROM"), *((row.path, row.source) for row in explain_pod(settings, wanted))]
    print("\n".join(columns(rows)))


@config_app.callback()
def config_group() -> None:
    """Configuration files."""


@config_app.command()
def check(
    file: Annotated[Path, typer.Argument(help="airflow.cfg, or podrunner's own TOML or YAML file.")],
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors.")] = False,
    allow_commands: Annotated[
        bool, typer.Option("--allow-commands", help="Run the commands that the file's _cmd options name.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Print what it says, secrets masked, as JSON.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False,
) -> None:
    """Read a configuration file; say what will run, and what has no effect. Exit code 78 if it cannot be used."""
    loaded = load_file(file, allow_commands=allow_commands)
    try:
        loaded = tried(file, loaded)
    except ConfigError as error:
        _print_refusal(file, loaded, error, as_json=as_json)
        raise
    if strict:
        loaded.checked(strict=True)
    if as_json:
        print_json(as_document(file, loaded) | ({"config": as_data(loaded.config)} if show else {}))
    elif show:
        print_json(as_data(loaded.config))
    else:
        _print_findings(loaded)
        print(f"{file}: {what_runs(loaded)}; usable, {counted(loaded)}")


def _print_refusal(file: Path, loaded: LoadedConfig, error: ConfigError, *, as_json: bool) -> None:
    """Print what was found before the error, which it may explain, and the further problems of the same kind."""
    if as_json:
        print_json(as_document(file, loaded, error=error))
        return
    _print_findings(loaded)
    for further in getattr(error, "__notes__", ()):
        print(f"error: {further}")


def _print_findings(loaded: LoadedConfig) -> None:
    for finding in loaded.findings:
        print(f"{finding.level}: {finding}")
