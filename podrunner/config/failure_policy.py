"""The user's rules on which failures may be tried again, modelled on a Job's ``podFailurePolicy``.

What belongs here: the rules as settings, and which of them make no sense. Applying them to an outcome does not belong
here (``podrunner.outcome.failure_policy``).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from podrunner.config.frozen import Settings
from podrunner.config.kubernetes_names import ObjectName, PlainText

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Unpack

    from podrunner.config.arguments import FailureRuleArguments, OnExitCodesArguments

__all__ = ["FailurePolicy", "FailureRule", "OnExitCodes", "OnPodCondition", "conditions_of"]

CategoryName = Literal[
    "failed",
    "oom-killed",
    "evicted",
    "preempted",
    "node-lost",
    "rejected-by-node",
    "deadline",
    "image",
    "container-config",
    "init-failed",
    "unschedulable",
    "startup-timeout",
    "rejected-by-api",
    "deleted-by-others",
    "unknown",
]
"""The categories of outcomes that a rule may decide on: all but ``succeeded`` and ``cancelled``."""

FaultName = Literal["workload", "infrastructure", "configuration", "unknown"]
"""The faults of outcomes that a rule may decide on: all but the caller's."""


class OnExitCodes(Settings):
    """Which exit codes a rule is about (a Job's ``onExitCodes``). Exit code 0 is no failure: it never matches.

    Attributes:
        container: The container whose exit code counts, an init container or sidecar too; None: the one that
            decided the outcome.
        operator: ``In``: one of the values; ``NotIn``: none of them.
        values: Exit codes, 0 to 255; 0 makes sense only with ``NotIn``, where it changes nothing.
    """

    container: ObjectName | None = None
    operator: Literal["In", "NotIn"] = "In"
    values: tuple[Annotated[int, Field(ge=0, le=255)], ...] = Field(min_length=1, max_length=255)

    if TYPE_CHECKING:

        def __init__(self, **arguments: Unpack[OnExitCodesArguments]) -> None: ...

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.operator == "In" and 0 in self.values:
            raise ValueError("exit code 0 is no failure, so no rule applies to it; Leave it out of values")
        twice = [code for code, count in Counter(self.values).items() if count > 1]
        if twice:
            raise ValueError(f"exit code {twice[0]} is there twice; Keep one")
        return self


class OnPodCondition(Settings):
    """A condition that a pod must have (an entry of a Job's ``onPodConditions``).

    Attributes:
        type: The condition's type, such as ``DisruptionTarget``.
        status: ``True``, ``False`` or ``Unknown``.
    """

    type: PlainText
    status: Literal["True", "False", "Unknown"] = "True"


class FailureRule(Settings):
    """One rule on failures: what it is about, and whether such an outcome may be tried again.

    All conditions that are given must hold; of a list, one entry is enough. No rule applies to a pod that succeeded or
    that its owner cancelled.

    Attributes:
        name: What the outcome's evidence calls it.
        action: ``retry``: ``retryable`` becomes true; ``fail``: false; ``default``: it stays as podrunner found
            it, and no later rule is asked.
        on_exit_codes: Exit codes of a container; None: any.
        on_pod_conditions: Conditions of the pod's last record; none: any.
        on_reasons: The outcome's ``reason``, as ``OOMKilled``, ``Evicted``, ``EvictionByEvictionAPI``; none: any.
        on_categories: The outcome's category; none: any.
        on_faults: The outcome's fault, as ``unknown``; none: any.
    """

    name: PlainText
    action: Literal["retry", "fail", "default"]
    on_exit_codes: OnExitCodes | None = None
    on_pod_conditions: tuple[OnPodCondition, ...] = ()
    on_reasons: tuple[PlainText, ...] = ()
    on_categories: tuple[CategoryName, ...] = ()
    on_faults: tuple[FaultName, ...] = ()

    if TYPE_CHECKING:

        def __init__(self, **arguments: Unpack[FailureRuleArguments]) -> None: ...

    @model_validator(mode="after")
    def _about_something(self) -> Self:
        if (
            self.on_exit_codes
            or self.on_pod_conditions
            or self.on_reasons
            or self.on_categories
            or self.on_faults
        ):
            return self
        raise ValueError(
            f"rule {self.name!r} is about nothing; "
            "Give it on_exit_codes, on_pod_conditions, on_reasons, on_categories or on_faults"
        )


def _named_apart(rules: tuple[FailureRule, ...]) -> tuple[FailureRule, ...]:
    twice = [name for name, count in Counter(rule.name for rule in rules).items() if count > 1]
    if twice:
        raise ValueError(f"two rules are called {twice[0]!r}; Name them apart, the evidence tells them by it")
    return rules


FailurePolicy = Annotated[tuple[FailureRule, ...], AfterValidator(_named_apart)]
"""Rules in their order: the first that applies decides."""


def conditions_of(rules: Iterable[FailureRule]) -> frozenset[str]:
    """Return the types of all conditions that rules are about."""
    return frozenset(pattern.type for rule in rules for pattern in rule.on_pod_conditions)
