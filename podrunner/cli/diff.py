"""``podrunner diff``: what changes in the pods when one configuration takes the place of another, offline."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from podrunner.builder import build_plan
from podrunner.cli.compared import coloured, difference, texts_of
from podrunner.cli.failures import one_line
from podrunner.cli.options import NO_SECRETS, AllowCommands, AsJson, read_config, say_findings
from podrunner.cli.output import print_json
from podrunner.cli.screen import shows_colour
from podrunner.workload import Workload

if TYPE_CHECKING:
    from podrunner.builder import PodPlan
    from podrunner.config import RunnerConfig

__all__ = ["diff"]

DIFFERENT = 1
_EXAMPLE_COMMAND = ("echo", "a workload of podrunner diff")
_NO_IMAGE = "unset.invalid/image"


def diff(
    before: Annotated[Path, typer.Argument(metavar="CONFIG_A", help="A configuration's file.")],
    after: Annotated[Path, typer.Argument(metavar="CONFIG_B", help="Another.")],
    workload: Annotated[
        Path | None,
        typer.Option("--workload", "-w", help="A workload's JSON or YAML file; default: one that echoes."),
    ] = None,
    context_lines: Annotated[
        int, typer.Option("--unified", "-U", min=0, help="Lines around each change.")
    ] = 3,
    allow_commands: AllowCommands = False,
    json: AsJson = False,
) -> None:
    """Show how the pods of two configurations differ. Exit code 0: they are equal; 1: they are not.

    Credentials are hidden; that two of them differ is shown.
    """
    files = (before, after)
    wanted = None if workload is None else Workload.from_file(workload)
    plans = [_plan(file, wanted, allow_commands=allow_commands) for file in files]
    for file, plan in zip(files, plans, strict=True):
        for warning in plan.warnings:
            sys.stderr.write(f"warning: {file}: {one_line(warning)}\n")
    lines = difference(texts_of(plans), [str(file) for file in files], context=context_lines)
    are_equal = all((plan.manifest, plan.secret) == (plans[0].manifest, plans[0].secret) for plan in plans)
    if json:
        print_json({"equal": are_equal, "files": [str(file) for file in files], "diff": lines})
    elif not lines and not are_equal:
        print("the pods differ in hidden parts of texts only")
    elif lines:
        print("\n".join(map(coloured, lines) if shows_colour(sys.stdout) else lines))
    raise typer.Exit(0 if are_equal else DIFFERENT)


def _plan(file: Path, workload: Workload | None, *, allow_commands: bool) -> PodPlan:
    unread = () if allow_commands else NO_SECRETS
    settings = say_findings(read_config(file, allow_commands=allow_commands, unread=unread))
    return _with_namespace(build_plan(settings, workload or _example(settings)))


def _with_namespace(plan: PodPlan) -> PodPlan:
    """Return the plan with the namespace in the pod, where a manifest has it only if the configuration's is another."""
    metadata = {**plan.manifest["metadata"], "namespace": plan.namespace}
    return msgspec.structs.replace(plan, manifest={**plan.manifest, "metadata": metadata})


def _example(settings: RunnerConfig) -> Workload:
    """Return a workload that takes all from the configuration, but the image where there is none."""
    bare = Workload(key={"podrunner": "diff"}, command=_EXAMPLE_COMMAND)
    if settings.image is None and settings.pod_template is None:
        return bare.model_copy(update={"image": _NO_IMAGE})
    return bare
