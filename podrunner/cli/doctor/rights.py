"""Which rights a configuration needs, and what it means if one is missing. Pure.

The rights are those of ``examples/rbac.yaml``; a test compares them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from podrunner.cli.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from podrunner.config import RunnerConfig

__all__ = ["Right", "Rule", "attributes", "finding_of", "needed_rules"]

FILE = "examples/rbac.yaml"


class Rule(NamedTuple):
    """Verbs for one resource in one namespace, as a rule of a Role says it.

    Attributes:
        group: The API group; "": core.
        resource: ``pods``, or with a subresource ``pods/log``.
        verbs: Those without which pods cannot be run.
        useful: Those without which something is missing, but pods run.
        namespace: Where; "": in the whole cluster.
        purpose: What they are for.
    """

    group: str
    resource: str
    verbs: tuple[str, ...]
    useful: tuple[str, ...]
    namespace: str
    purpose: str


class Right(NamedTuple):
    """One verb of a rule."""

    rule: Rule
    verb: str


def needed_rules(config: RunnerConfig, *, has_secrets: bool) -> list[Rule]:
    """Return the rules that a runner with this configuration needs.

    Args:
        config: The configuration.
        has_secrets: Whether its pods have credentials, which go into a Secret of podrunner's.
    """
    rules: list[Rule] = []
    for namespace in config.watched_namespaces:
        rules += _of_pods(namespace)
        if has_secrets:
            rules.append(Rule("", "secrets", ("create", "delete"), (), namespace, "credentials of the pods"))
    if config.all_namespaces:
        rules.append(Rule("", "pods", ("list", "watch"), (), "", "one watch for the whole cluster"))
    leases = ("create", "get", "update"), ("list", "delete")
    rules.append(Rule("coordination.k8s.io", "leases", *leases, config.namespace, "ownership of the pods"))
    return rules


def _of_pods(namespace: str) -> Iterator[Rule]:
    verbs = ("create", "get", "list", "watch", "patch", "delete")
    yield Rule("", "pods", verbs, (), namespace, "to launch, watch, adopt and delete pods")
    yield Rule("", "pods/log", ("get",), (), namespace, "to collect logs")
    yield Rule("", "pods/exec", (), ("create", "get"), namespace, "pod.exec(), cp, and results of workloads")
    yield Rule("", "events", (), ("list",), namespace, "to say why a pod does not start")


def attributes(right: Right) -> dict[str, str]:
    """Return the ``resourceAttributes`` of a SelfSubjectAccessReview."""
    resource, _, subresource = right.rule.resource.partition("/")
    asked = {
        "verb": right.verb,
        "group": right.rule.group,
        "resource": resource,
        "subresource": subresource,
        "namespace": right.rule.namespace,
    }
    return {name: value for name, value in asked.items() if value}


def finding_of(rule: Rule, allowed: Mapping[str, bool]) -> Finding:
    """Judge one rule.

    Args:
        rule: The rule.
        allowed: Verb → whether the server allows it.
    """
    check = f"right: {rule.resource}"
    where = f"namespace {rule.namespace}" if rule.namespace else "the whole cluster"
    missing = [verb for verb in (*rule.verbs, *rule.useful) if not allowed[verb]]
    if not missing:
        return Finding(check, "ok", f"{', '.join((*rule.verbs, *rule.useful))} in {where}")
    needed = any(verb in rule.verbs for verb in missing)
    return Finding(
        check,
        "error" if needed else "warning",
        f"no right to {', '.join(missing)} in {where}; needed {_for(rule.purpose)}",
        _remedy(rule, missing),
    )


def _for(purpose: str) -> str:
    return purpose if purpose.startswith("to ") else f"for {purpose}"


def _remedy(rule: Rule, missing: Sequence[str]) -> str:
    kind = f"Role in namespace {rule.namespace}" if rule.namespace else "ClusterRole"
    group = f'"{rule.group}"'
    return (
        f"Add to the {kind} of podrunner's account ({FILE} has all rules):\n"
        f"- apiGroups: [{group}]\n"
        f"  resources: [{rule.resource}]\n"
        f"  verbs: [{', '.join(missing)}]"
    )
