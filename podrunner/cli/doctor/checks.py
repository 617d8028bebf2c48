"""The checks of a server and of one pod: facts in, a finding out. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from podrunner.cli.answers import part_of
from podrunner.cli.doctor.finding import Finding
from podrunner.errors import (
    ForbiddenError,
    NotFoundError,
    PodrunnerError,
    QuotaExceededError,
    UnauthorizedError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from podrunner.config import LoadedConfig
    from podrunner.errors import ApiError
    from podrunner.outcome import Outcome

__all__ = [
    "EXPECTED_LINE",
    "clock",
    "configuration",
    "identity",
    "pod_refused",
    "reached",
    "refused",
    "trial",
    "unreadable",
    "version",
    "watch",
]

OLDEST, NEWEST = 34, 37
"""Minor versions of Kubernetes 1 that are supported (docs/reference/kubernetes-versions.md)."""

SKEW_WARNING_S: Final = 5.0
"""Lease times and the times in outcomes are compared by people and tools across machines."""
SKEW_ERROR_S: Final = 300.0
"""A certificate or token that was just issued is not valid yet for a clock that is as much behind."""

EXPECTED_LINE: Final = "podrunner doctor"
"""What the test pod prints."""

_ANONYMOUS = "system:anonymous"
_MINOR = re.compile(r"\d+")


def configuration(loaded: LoadedConfig, *, source: str) -> list[Finding]:
    """Say that a configuration can be used, and each warning about it."""
    warnings = [
        Finding("configuration", "warning", _without(each.remedy, str(each)), each.remedy)
        for each in loaded.warnings
    ]
    return [Finding("configuration", "ok", f"{source} can be used"), *warnings]


def unreadable(check: str, error: PodrunnerError) -> Finding:
    """Say that an error ends a check; its remedy is that of the error, if it has one."""
    remedy = getattr(error, "remedy", None)
    notes = "\n".join(getattr(error, "__notes__", ()))
    return Finding(check, "error", _without(remedy, str(error)), remedy or notes or None)


def _without(remedy: str | None, text: str) -> str:
    """Return a text that ends with its remedy without it: it is shown below."""
    return text.removesuffix(remedy or "").removesuffix(remedy.rstrip(".") if remedy else "").rstrip()


def reached(*, url: str, source: str, namespace: str, namespace_source: str) -> list[Finding]:
    """Say which server and namespace were chosen, and why."""
    return [
        Finding("server", "ok", f"{url} answers (chosen by {source})"),
        Finding("namespace", "ok", f"{namespace} (chosen by {namespace_source})"),
    ]


def version(answer: Mapping[str, Any]) -> Finding:
    """Judge a server's version."""
    shown = str(answer.get("gitVersion") or "unknown")
    digits = _MINOR.match(str(answer.get("minor", "")))
    minor = int(digits[0]) if digits and str(answer.get("major")) == "1" else None
    supported = f"1.{OLDEST} to 1.{NEWEST} are supported"
    if minor is None:
        return Finding("version", "warning", f"the version {shown} is no version of Kubernetes; {supported}")
    if minor < OLDEST:
        return Finding(
            "version", "warning", f"Kubernetes {shown} is too old: {supported}", "Update the cluster."
        )
    if minor > NEWEST:
        remedy = "See whether there is a newer podrunner."
        return Finding(
            "version", "warning", f"Kubernetes {shown} is newer than what was tested: {supported}", remedy
        )
    return Finding("version", "ok", f"Kubernetes {shown}")


def identity(answer: Mapping[str, Any], *, credentials_of: str) -> Finding:
    """Judge whom the server takes us for, by a SelfSubjectReview."""
    info = part_of(part_of(answer, "status"), "userInfo")
    user = str(info.get("username") or "unknown")
    if user == _ANONYMOUS:
        return Finding(
            "identity",
            "error",
            f"the server takes podrunner for {user}: {credentials_of} gives no credentials",
            "Give the kubeconfig's user a token, a client certificate or an exec plugin.",
        )
    return Finding("identity", "ok", f"{user} (credentials of {credentials_of})")


def clock(date: str, *, asked_at: datetime, answered_at: datetime) -> Finding:
    """Judge how far this machine's clock is from the server's.

    Args:
        date: The ``Date`` header of an answer; it has whole seconds.
        asked_at: This machine's time before the request.
        answered_at: And after it.
    """
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return Finding("clock", "skipped", "the server's answers have no Date header")
    theirs = theirs if theirs.tzinfo is not None else theirs.replace(tzinfo=UTC)
    early, late = (asked_at - theirs).total_seconds() - 1, (answered_at - theirs).total_seconds()
    skew = early if early > 0 else min(late, 0.0)  # 0 where the second and the request's time explain it
    if abs(skew) <= SKEW_WARNING_S:
        return Finding("clock", "ok", f"within {SKEW_WARNING_S:g} s of the server's")
    return Finding(
        "clock",
        "error" if abs(skew) > SKEW_ERROR_S else "warning",
        f"this machine's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the server's: ages and "
        "times are wrong, and certificates and tokens may count as expired or not yet valid",
        "Synchronise both clocks (timedatectl set-ntp true, or chrony).",
    )


def watch(*, seconds: float | None, limit_s: float) -> Finding:
    """Judge a watch by the time that its first event took.

    Args:
        seconds: The time; None: none came within the limit.
        limit_s: The limit.
    """
    if seconds is None:
        return Finding(
            "watch",
            "error",
            f"a watch began, and its first event did not come within {limit_s:g} s: something between here and the "
            "server holds the stream back",
            "Turn off the buffering of responses in the proxy or load balancer (nginx: proxy_buffering off), "
            "or go around it (NO_PROXY).",
        )
    return Finding("watch", "ok", f"the first event came after {seconds:.1f} s")


def pod_refused(error: ApiError, *, namespace: str) -> Finding:
    """Judge why the server does not take a pod of the configuration, which was not stored."""
    said = error.server_message
    if isinstance(error, NotFoundError):
        remedy = (
            f"kubectl create namespace {namespace}, or name another by --namespace or in the configuration."
        )
        return Finding("namespace", "error", f"there is no namespace {namespace}", remedy)
    if isinstance(error, QuotaExceededError):
        remedy = f"kubectl describe quota -n {namespace}: raise it, end other pods, or set lower resources."
        return Finding("pod", "error", f"a quota refuses the configuration's pod: {said}", remedy)
    return Finding(
        "pod", "error", f"the server refuses the configuration's pod: {said or error}", _remedy_of(error)
    )


_REMEDIES: Final = {
    "serviceaccount .*not found|service account": "Create the service account, or set service_account_name.",
    "no PriorityClass": "Create the PriorityClass, or set another: priority_class_name.",
    r"(?:maximum|minimum) \S+ (?:usage|ratio|limit)|LimitRange": "Set resources within the namespace's LimitRange: "
    "kubectl describe limitrange.",
    "must specify (?:limits|requests|cpu|memory)|failed quota": "Set resources: the namespace's quota demands them.",
    "violates PodSecurity": "Set a security context that the namespace's Pod Security level allows (pod_template), "
    "or have the level changed.",
    "being terminated": "The namespace is being deleted: wait until it is gone, and create it again.",
    "admission webhook|denied the request": "A policy of the cluster refuses it: change pod_template, or the policy.",
    "unknown field|Invalid value|Required value": "Correct the setting that puts this field there: "
    "podrunner render --explain names it.",
}
"""Words of a refusal by admission, and what to do: the first that are found decide."""


def _remedy_of(error: ApiError) -> str | None:
    said = error.server_message
    return next((remedy for words, remedy in _REMEDIES.items() if re.search(words, said)), None)


def trial(
    *, outcome: Outcome | None, waits_for: str, log: list[str], is_gone: bool, seconds: float
) -> list[Finding]:
    """Judge the test pod.

    Args:
        outcome: Its outcome; None: it had none in time.
        waits_for: What it waited for then; "": not known.
        log: The lines of its log.
        is_gone: Whether it is deleted.
        seconds: How long it took.
    """
    if outcome is None:
        why = f": {waits_for}" if waits_for else ""
        remedy = "podrunner explains pending pods by their cause; give slow images more time by --timeout."
        return [
            Finding("test pod", "error", f"did not end within {seconds:.0f} s, and was deleted{why}", remedy)
        ]
    findings = []
    if not outcome.succeeded:
        findings.append(Finding("test pod", "error", f"failed: {outcome}"))
    elif log != [EXPECTED_LINE]:
        findings.append(Finding("test pod", "error", f"its log is {log!r} instead of {[EXPECTED_LINE]!r}"))
    else:
        findings.append(Finding("test pod", "ok", f"created, watched, read and deleted in {seconds:.1f} s"))
    if not is_gone:
        remedy = "Something holds it (a finalizer, a node that is away): kubectl describe it."
        findings.append(Finding("test pod", "warning", "is still being deleted", remedy))
    return findings


def refused(check: str, error: PodrunnerError) -> Finding:
    """Judge a question that the server did not answer: not a fault of what was asked for."""
    if isinstance(error, UnauthorizedError):
        where = f" ({error.credentials_of})" if error.credentials_of else ""
        remedy = "Renew the credentials: log in again, or ask for a new token."
        return Finding(
            check, "error", f"the server refuses the credentials{where}: {error.server_message}", remedy
        )
    if isinstance(error, ForbiddenError):
        return Finding(check, "skipped", f"no right to ask: {error.server_message}")
    return unreadable(check, error)
