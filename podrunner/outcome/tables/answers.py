"""Answers of the API server to a create: what passes, what never does, and whose fault it is in the end.

How long and how often a request is tried again does not belong here (``podrunner.kube.retry``).
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from podrunner.outcome.category import Fault

__all__ = ["ANSWERS", "Answer", "Follows", "answer"]


class Follows(StrEnum):
    """What a runner does after an answer."""

    AGAIN = "tried again"
    """As often as ``retry.attempts`` says."""
    QUOTA = "tried again, for as long as other pods need to end"
    """Back-pressure: twice the waits, four times the tries."""
    SHORTLY = "tried again for a short time"
    """What it misses may have been created a moment ago, by another client."""
    FOUND = "the pod of that name is looked up"
    """It may be the launch's own, or that of an earlier launch."""
    NEVER = "final"


class Answer(NamedTuple):
    """An answer of the API server.

    Attributes:
        status: Its HTTP status; 500 stands for each status from 500 on.
        said: Words of its message; ``…`` stands for any text. "" for any message.
        follows: What a runner does.
        fault: The party at fault once the runner has given up.
        source: Where the server makes it.
    """

    status: int
    said: str
    follows: Follows
    fault: Fault
    source: str


_INFRA, _CONFIG = Fault.INFRASTRUCTURE, Fault.CONFIGURATION
_QUOTA: Final = "apiserver: pkg/admission/plugin/resourcequota/controller.go"
_ACCOUNTS: Final = "plugin/pkg/admission/serviceaccount/admission.go"
_PRIORITY: Final = "plugin/pkg/admission/priority/admission.go"
_RUNTIME_CLASS: Final = "plugin/pkg/admission/runtimeclass/admission.go"
_NAMESPACES: Final = "apiserver: pkg/admission/plugin/namespace/lifecycle/admission.go"
_WEBHOOKS: Final = "apiserver: pkg/util/webhook/error.go"
_WEBHOOK_DENIES: Final = "apiserver: pkg/admission/plugin/webhook/errors/statuserror.go"
_ERRORS: Final = "apimachinery: pkg/api/errors/errors.go"
_ETCD: Final = "etcd: server/etcdserver/errors/errors.go"

ANSWERS: Final[tuple[Answer, ...]] = (
    Answer(400, "", Follows.NEVER, _CONFIG, _ERRORS),
    Answer(401, "", Follows.NEVER, _CONFIG, f"{_ERRORS} (after the credentials were refreshed once)"),
    Answer(403, "exceeded quota", Follows.QUOTA, _INFRA, _QUOTA),
    Answer(
        403, "status unknown for quota", Follows.QUOTA, _INFRA, f"{_QUOTA} (a new namespace; okd issue 1121)"
    ),
    Answer(403, "insufficient quota to", Follows.SHORTLY, _CONFIG, _QUOTA),
    Answer(500, "insufficient quota to", Follows.SHORTLY, _CONFIG, f"{_QUOTA} (of scopes)"),
    Answer(403, "error looking up service account", Follows.SHORTLY, _CONFIG, _ACCOUNTS),
    Answer(403, "no PriorityClass with name … was found", Follows.SHORTLY, _CONFIG, _PRIORITY),
    Answer(403, "RuntimeClass … not found", Follows.SHORTLY, _CONFIG, _RUNTIME_CLASS),
    Answer(403, "because it is being terminated", Follows.NEVER, _CONFIG, _NAMESPACES),
    Answer(403, "admission webhook … denied the request", Follows.NEVER, _CONFIG, _WEBHOOK_DENIES),
    Answer(403, "", Follows.NEVER, _CONFIG, f"{_ERRORS} (RBAC, LimitRanger, PodSecurity, …)"),
    Answer(404, "", Follows.NEVER, _CONFIG, f"{_ERRORS} (no such namespace)"),
    Answer(408, "", Follows.AGAIN, _INFRA, "RFC 9110, 15.5.9"),
    Answer(409, "resourcequotas", Follows.AGAIN, _INFRA, f"{_QUOTA} (kubernetes issue 67761)"),
    Answer(
        409, "already exists", Follows.FOUND, _CONFIG, "apiserver: pkg/registry/generic/registry/store.go"
    ),
    Answer(409, "", Follows.NEVER, _CONFIG, _ERRORS),
    Answer(413, "", Follows.NEVER, _CONFIG, f"{_ERRORS} (Request entity too large)"),
    Answer(422, "", Follows.NEVER, _CONFIG, _ERRORS),
    Answer(429, "", Follows.AGAIN, _INFRA, f"{_ERRORS} (priority and fairness)"),
    Answer(500, "request is too large", Follows.NEVER, _CONFIG, f"{_ETCD} (kubeflow/pipelines issue 9837)"),
    Answer(
        500,
        "trying to send message larger than max",
        Follows.NEVER,
        _CONFIG,
        "grpc: the API server's client of etcd",
    ),
    Answer(500, "failed calling webhook", Follows.AGAIN, _INFRA, _WEBHOOKS),
    Answer(500, "resource quota evaluation timed out", Follows.AGAIN, _INFRA, _QUOTA),
    Answer(501, "", Follows.NEVER, _INFRA, "RFC 9110, 15.6.2"),
    Answer(500, "", Follows.AGAIN, _INFRA, _ERRORS),
)
"""The first entry that has the status and whose words are in the message."""


def answer(status: int, message: str) -> Answer | None:
    """Return the entry of an answer; None for a status that no entry has.

    Args:
        status: HTTP status.
        message: The server's message.
    """
    found = (
        entry for entry in ANSWERS if _has_status(entry, status) and _pattern(entry.said).search(message)
    )
    return next(found, None)


def _has_status(entry: Answer, status: int) -> bool:
    return entry.status == status or (entry.status == 500 and status > 500)


@lru_cache(maxsize=len(ANSWERS))
def _pattern(said: str) -> re.Pattern[str]:
    return re.compile(".*?".join(re.escape(part) for part in said.split("…")), re.DOTALL)
