"""``podrunner run``: one workload as a pod, to its end or left to itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from podrunner.cli.connection import settings_of
from podrunner.cli.failures import one_line, run_async, say_at_the_end
from podrunner.cli.kept import Commands, detached_lines, kept_lines
from podrunner.cli.moments import seconds_of
from podrunner.cli.options import AllowCommands, Config, Context, Kubeconfig, Local, Namespace
from podrunner.cli.output import print_json
from podrunner.errors import SpecError, UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from podrunner.config import RunnerConfig
    from podrunner.outcome import Outcome
    from podrunner.workload import Workload

__all__ = ["run"]

T = TypeVar("T")

WORKLOAD_FAILED: Final = 1


def run(
    command: Annotated[list[str] | None, typer.Argument(help="Program and arguments, after --.")] = None,
    workload: Annotated[
        Path | None, typer.Option("--workload", help="A workload's JSON or YAML file; options win over it.")
    ] = None,
    image: Annotated[str | None, typer.Option(help="Default: the configuration's.")] = None,
    name: Annotated[
        str | None, typer.Option(help="The workload's identity; default: a new one each time.")
    ] = None,
    env: Annotated[list[str] | None, typer.Option("--env", "-e", help="NAME=VALUE; may be repeated.")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", "-l", help="NAME=VALUE; may be repeated.")
    ] = None,
    volume: Annotated[
        list[str] | None,
        typer.Option(
            "--volume",
            "-v",
            metavar="SOURCE:TARGET[:ro]",
            help="A folder of the node, pvc:CLAIM, secret:NAME, configmap:NAME, emptydir[:SIZE] or memory[:SIZE]; "
            "may be repeated.",
        ),
    ] = None,
    cpu: Annotated[str | None, typer.Option(help="CPUs to reserve: 500m, 2.")] = None,
    memory: Annotated[str | None, typer.Option(help="Memory to reserve, and its limit: 512Mi.")] = None,
    gpu: Annotated[int | None, typer.Option(min=0, help="Number of GPUs.")] = None,
    timeout: Annotated[
        str | None,
        typer.Option(
            help="End the pod when it has run for this long: 90s, 10m, 1h30m; its waiting does not count."
        ),
    ] = None,
    retries: Annotated[
        int, typer.Option(min=0, max=1000, help="Run it again so often if it fails, whatever the cause.")
    ] = 0,
    remove: Annotated[bool, typer.Option("--rm", help="Delete the pod also if it fails.")] = False,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Leave the pod running, without a runner, and end.")
    ] = False,
    config: Config = None,
    allow_commands: AllowCommands = False,
    local: Local = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print outcome and log as one JSON document.")
    ] = False,
) -> None:
    """Run one command as a pod, follow its log, and end with its exit code.

    Exit code 1: the pod failed without an exit code of its own (the message says why). With --detach: 0.
    """
    from podrunner.cli.asked import AskedWorkload

    if not command and workload is None:
        raise typer.BadParameter("name a program, or a workload's file by --workload", param_hint="COMMAND")
    if detach and (retries or remove):
        raise UsageError(
            "--detach leaves the pod without a runner that could try it again (--retries) or delete it (--rm)"
        )
    limit_s = None if timeout is None else seconds_of(timeout, option="--timeout")
    settings = settings_of(
        config,
        kubeconfig=kubeconfig,
        context=context,
        namespace=namespace,
        local=local,
        allow_commands=allow_commands,
        unread=(),
    )
    asked = AskedWorkload(
        command=command or (),
        file=workload,
        image=image,
        name=name,
        env=env or (),
        labels=label or (),
        volumes=volume or (),
        cpu=cpu,
        memory=memory,
        gpu=gpu,
    ).workload()
    commands = Commands(config, kubeconfig, context, namespace)
    if detach:
        _detach(settings, asked, commands, limit_s=limit_s, as_json=as_json)
        return
    changes = {"delete_pods": True, "delete_pods_on_failure": True} if remove else {}
    settings = settings.with_changes(**changes, **({} if limit_s is None else {"run_timeout_s": limit_s}))
    outcome = _attach(settings, asked, commands, retries=retries, as_json=as_json)
    raise typer.Exit(_exit_code(outcome))


def _exit_code(outcome: Outcome) -> int:
    if outcome.succeeded:
        return 0
    return outcome.exit_code or WORKLOAD_FAILED


def _run(main: Callable[[], Awaitable[T]]) -> T:
    """Run what creates a pod; the error of one without an image names the option too."""
    try:
        return run_async(main)
    except SpecError as error:
        if error.value is not None or not (error.field or "").endswith(".image"):
            raise
        problem = error.problem.replace("name one in", "name one by --image, in")
        raise SpecError(problem, field=error.field) from error


def _attach(
    settings: RunnerConfig, workload: Workload, commands: Commands, *, retries: int, as_json: bool
) -> Outcome:
    from podrunner.cli.running import AttachedRun, retry_policy

    attached = AttachedRun(settings, workload, retry=retry_policy(settings, retries), keeps_log=as_json)
    try:
        ran = _run(attached.run)
    except BaseException:
        say_at_the_end(kept_lines(attached.kept, commands))
        raise
    if as_json:
        print_json(ran.to_dict())
        return ran.outcome
    lines = [] if ran.outcome.succeeded else [str(ran.outcome)]
    _say([*lines, *kept_lines(ran.kept, commands)])
    return ran.outcome


def _detach(
    settings: RunnerConfig, workload: Workload, commands: Commands, *, limit_s: int | None, as_json: bool
) -> None:
    from podrunner.cli.detached import detached_settings, detached_workload
    from podrunner.cli.running import launch_detached

    limit = limit_s if limit_s is not None else settings.run_timeout_s
    alone = detached_workload(workload, timeout_s=limit)
    left = _run(lambda: launch_detached(detached_settings(settings), alone))
    one = left.identity
    if as_json:
        facts = {"key": one.key, "attempt": one.attempt, "pod": one.pod, "namespace": left.namespace}
        print_json({**facts, "had_ended": left.had_ended})
        return
    print(one.pod, flush=True)
    lines = detached_lines(one, commands, has_limit=alone.active_deadline_s is not None)
    if left.had_ended:
        lines = ["this attempt had ended before: nothing was run", *kept_lines([one], commands)]
    _say(lines)


def _say(lines: list[str]) -> None:
    for line in lines:
        sys.stderr.write(f"podrunner: {one_line(line)}\n")
