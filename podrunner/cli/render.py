"""``podrunner render`` and ``podrunner config check``: what a configuration means, shown offline."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import yaml

from podrunner.builder import build_plan, explain_pod
from podrunner.cli.options import Config, read_config, say_findings
from podrunner.cli.output import columns, print_json
from podrunner.config import RunnerConfig, as_data, load_file
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
    settings = say_findings(read_config(config))
    wanted = Workload.from_file(workload)
    if explain:
        _print_provenance(settings, wanted)
        return
    plan = build_plan(settings, wanted)
    for warning in plan.warnings:
        sys.stderr.write(f"warning: {warning}\n")
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
) -> None:
    """Read a configuration file and say what is wrong or odd in it. Exit code 78 if it cannot be used."""
    loaded = load_file(file, allow_commands=allow_commands)
    if strict:
        loaded.checked(strict=True)
    if show:
        print_json(as_data(loaded.config))
        return
    for finding in loaded.findings:
        print(f"{finding.level}: {finding}")
    print(f"{file}: usable, {len(loaded.warnings)} warnings")
