"""What a benchmark launches: how many pods, the life of each, what a user is asked before. Pure: a seed decides all.

The life of a pod is planned before it exists, so that the end that is reported can be compared with the one that was
planned.
"""

from __future__ import annotations

import json
from decimal import ROUND_UP, Decimal
from enum import StrEnum
from math import isfinite
from random import Random
from typing import TYPE_CHECKING, Final

import msgspec

from podrunner.errors import UsageError
from podrunner.quantity import canonical_quantity, parse_quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CPU",
    "IMAGE",
    "MAX_CLUSTER_PODS",
    "MAX_CONCURRENCY",
    "MAX_PODS",
    "MEMORY",
    "PART_OF",
    "RUN_LABEL",
    "SCRIPT",
    "Life",
    "Plan",
    "Target",
    "announcement",
    "checked",
    "command_of",
    "lives_of",
    "question",
    "script_of",
]

MAX_PODS: Final = 100_000
MAX_CLUSTER_PODS: Final = 5_000
"""More pods are for a benchmark of the cluster, not of podrunner."""
MAX_CONCURRENCY: Final = 1_000
"""Pods at once on a cluster of the user's: about what ten nodes have room for."""
IMAGE: Final = "busybox:1.37"
CPU: Final = "10m"
MEMORY: Final = "16Mi"
SCRIPT: Final = "local.podrunner.io/script"
"""The annotation with a scripted life, as LocalCluster reads it."""
RUN_LABEL: Final = "podrunner-bench/run"
PART_OF: Final = "app.kubernetes.io/part-of"
_MILLISECONDS: Final = 3


class Target(StrEnum):
    """What is measured against."""

    STUB = "stub"
    """A stub API server in a process of its own: it costs little, and its pods live by a script."""
    LOCAL = "local"
    """A LocalCluster in a process of its own, whose pods live by the same script."""
    CLUSTER = "cluster"
    """The user's own cluster: real containers, which sleep and exit."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is launched.

    Attributes:
        target: What is measured against.
        run: Name of this run: part of each pod's identity, and a label.
        pods: How many.
        concurrency: How many are not finished at once, at most.
        seed: Decides the life of each pod.
        failing: Share of the pods that are planned to fail, 0 to 1.
        running_s: Seconds that a pod runs on average; each between none and twice that.
        log_lines: Lines that each pod writes; 0: no log is followed.
        held: Whether no pod ends before all of them run: their run times count from then on. For a stub only.
        time_limit_s: Seconds after which the run is given up.
        image: Image of the pods; for a cluster only.
        cpu: CPU request of each; for a cluster only.
        memory: Memory request of each; for a cluster only.
    """

    target: Target
    run: str
    pods: int
    concurrency: int
    seed: int = 1
    failing: float = 0.05
    running_s: float = 0.2
    log_lines: int = 0
    held: bool = False
    time_limit_s: float = 600.0
    image: str = IMAGE
    cpu: str = CPU
    memory: str = MEMORY


class Life(msgspec.Struct, frozen=True):
    """The planned life of one pod.

    Attributes:
        running_s: Seconds that its container runs.
        exit_code: How it ends.
        log: The lines that it writes.
    """

    running_s: float
    exit_code: int
    log: tuple[str, ...] = ()


def checked(plan: Plan) -> Plan:
    """Return the plan, if it is within the limits.

    Raises:
        UsageError: It is not; says which limit.
    """
    for name, number in (
        ("running", plan.running_s),
        ("failing", plan.failing),
        ("time-limit", plan.time_limit_s),
    ):
        if not isfinite(number):
            raise UsageError(f"--{name} must be a finite number, not {number}")
    for name, amount in (("cpu", plan.cpu), ("memory", plan.memory)):
        try:
            is_negative = parse_quantity(amount) < 0
        except ValueError as error:
            raise UsageError(f"--{name} is {amount!r}: {error}") from None
        if is_negative:
            raise UsageError(f"--{name} is {amount!r}: it must be 0 or more")
    most = MAX_CLUSTER_PODS if plan.target is Target.CLUSTER else MAX_PODS
    if plan.pods > most:
        raise UsageError(f"--pods is {plan.pods}, and {most} is the limit for --target {plan.target}")
    if plan.target is Target.CLUSTER and plan.concurrency > MAX_CONCURRENCY:
        raise UsageError(
            f"--concurrency is {plan.concurrency}, and {MAX_CONCURRENCY} is the limit on a cluster"
        )
    return plan


def lives_of(plan: Plan) -> tuple[Life, ...]:
    """Return the life of each pod; the same plan gives the same lives."""
    random = Random(plan.seed)  # noqa: S311  # repeatable, not secret
    return tuple(_life(plan, random, number) for number in range(plan.pods))


def _life(plan: Plan, random: Random, number: int) -> Life:
    running_s = round(random.uniform(0, 2 * plan.running_s), _MILLISECONDS)
    exit_code = random.randint(1, 99) if random.random() < plan.failing else 0
    return Life(running_s, exit_code, tuple(f"pod {number} line {line}" for line in range(plan.log_lines)))


def script_of(life: Life, *, held: bool = False) -> str:
    """Return a life as the annotation :data:`SCRIPT`."""
    script = {"running_s": life.running_s, "exit_code": life.exit_code, "log": life.log, "held": held}
    return json.dumps({name: value for name, value in script.items() if value or name == "running_s"})


def command_of(life: Life) -> tuple[str, ...]:
    """Return a life as a container's command. It needs ``sh`` and a ``sleep`` that takes fractions, as busybox has."""
    lines = "".join(f"echo '{line}'; " for line in life.log)
    # A shell that is the container's first process ends at SIGTERM only if it says so.
    ends_at_once = "trap 'exit 143' TERM"
    return ("sh", "-c", f"{ends_at_once}; {lines}sleep {life.running_s:.3f} & wait $!; exit {life.exit_code}")


def announcement(plan: Plan, *, namespace: str, server: str) -> Sequence[str]:
    """Return what a user is shown before anything is created on a cluster.

    Args:
        plan: The plan.
        namespace: Where the pods will be.
        server: How the cluster is named.
    """
    at_once = min(plan.pods, plan.concurrency)
    cpu, memory = (canonical_quantity(_times(amount, at_once)) for amount in (plan.cpu, plan.memory))
    return (
        f"podrunner bench will create {_pods(plan.pods)}, at most {at_once} at once, and one Lease",
        f"  in namespace {namespace} of {server}",
        f"  image {plan.image}: sleeps {plan.running_s:g} s on average, and exits",
        f"  requests {plan.cpu} CPU and {plan.memory} memory each: {cpu} and {memory} at once",
        f"  labels {PART_OF}=podrunner-bench, {RUN_LABEL}={plan.run}",
        f"  {plan.failing:.0%} of them fail, as planned; all are deleted at the end, and at Ctrl-C",
        f"  after {plan.time_limit_s:g} s the run is given up, and what is left is deleted",
    )


def question(plan: Plan) -> str:
    """Return what a user is asked."""
    return f"Create {_pods(plan.pods)}?"


def _pods(count: int) -> str:
    return f"{count} pod{'' if count == 1 else 's'}"


def _times(quantity: str, count: int) -> str:
    """Return so many times a quantity, in the family of its suffix: 16Mi is a number of Mi."""
    suffix = quantity[-2:] if quantity.endswith("i") else ""
    unit = Decimal(parse_quantity(f"1{suffix}")) if suffix else Decimal("0.001")
    units = (parse_quantity(quantity) * count / unit).to_integral_value(ROUND_UP)
    return f"{units:f}{suffix or 'm'}"
