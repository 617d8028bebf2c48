"""Labels and annotations: podrunner's keys, and safe values.

A label carries a safe form of a value, for selectors; an annotation carries the exact value.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from podrunner.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ADOPTIONS",
    "ATTEMPT",
    "DEFAULT_CONTAINER",
    "KEY",
    "LOG_PATH",
    "MANAGED_BY",
    "MANAGER",
    "MANIFEST_HASH",
    "NAMESPACES",
    "OUTCOME",
    "OUTCOME_FINALIZER",
    "OWNER",
    "POD",
    "RELAUNCH",
    "REPORTED",
    "RESULT_PATH",
    "SCOPE",
    "STARTED",
    "TRACEPARENT",
    "VERDICT",
    "check_label_keys",
    "safe_label",
    "safe_labels",
]

MANAGED_BY = "app.kubernetes.io/managed-by"
"""Label; its value is :data:`MANAGER` on everything that podrunner makes."""
MANAGER = "podrunner"
OWNER = "podrunner.io/owner"
"""Label (safe) and annotation (exact): the runner that the pod belongs to."""
SCOPE = "podrunner.io/scope"
"""Label (safe) and annotation (exact): runners of one scope may adopt each other's pods."""
NAMESPACES = "podrunner.io/namespaces"
"""Annotation of a Lease: the namespaces that its runner uses, with commas between them; ``*``: all."""
ADOPTIONS = "podrunner.io/adoptions"
"""Annotation: how often the pod went over to another runner; absent until it does. Each owner's number is higher than
that of all owners before it."""
KEY = "podrunner.io/key"
"""Annotation: the workload's identity, as canonical JSON."""
ATTEMPT = "podrunner.io/attempt"
"""Annotation: which attempt the pod is."""
RELAUNCH = "podrunner.io/relaunch"
"""Annotation: which relaunch of the attempt the pod is; absent on the attempt's first pod."""
LOG_PATH = "podrunner.io/log-path"
"""Annotation: where the log goes, below the log folder."""
RESULT_PATH = "podrunner.io/result-path"
"""Annotation: the file that the main container leaves as its result; absent where it leaves none."""
REPORTED = "podrunner.io/told"
"""Annotation of a retained pod: the category of its outcome, which was reported and must not be reported again."""
OUTCOME = "podrunner.io/outcome"
"""Annotation: the settled outcome, as a compact record (``podrunner.outcome.stored``)."""
VERDICT = "podrunner.io/verdict"
"""Annotation: the outcome that a runner gives a pod that it ends itself, written before it ends the pod; a record like
:data:`OUTCOME`."""
STARTED = "podrunner.io/started"
"""Annotation: the pod's UID, once its status no longer shows that the main container had started."""
OPENED = "podrunner.io/opened"
"""Annotation: when the last scheduling gate of a pod was seen to be open (RFC 3339), if it had no node then."""
WAITING = "podrunner.io/waiting"
"""Annotation: what a container of the pod waits for, and since when: a category and a time (RFC 3339)."""
TRACEPARENT = "podrunner.io/traceparent"
"""Annotation: the trace context (W3C) that the runner gave the pod, for a runner that adopts it."""
MANIFEST_HASH = "podrunner.io/manifest-hash"
"""Annotation: a hash of what the workload says about what is run (``podrunner.builder.manifest_hash``), so that a later
run of the same attempt can see whether it is the same workload."""
OUTCOME_FINALIZER = "podrunner.io/outcome"
"""Finalizer: keeps the pod until its outcome was delivered."""
POD = "podrunner.io/pod"
"""Label of a Secret: the pod that it was made for."""
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
"""Annotation: the main container; kubectl's ``logs`` and ``exec`` choose it."""

MAX_LABEL = 63
"""Characters of a label's value (Kubernetes: ``LabelValueMaxLength``)."""
_DIGEST = 9
_is_valid = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?").fullmatch
_ILLEGAL = re.compile(r"^[^A-Za-z0-9]+|[^A-Za-z0-9._-]|[^A-Za-z0-9]+$")
_is_domain = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?").fullmatch


def safe_label(value: str) -> str:
    """Return a label's value for any text, as Airflow does.

    A valid value stays. Another one loses its illegal characters, is cut to 53 characters, and gets ``-`` and 9
    hexadecimal digits of its MD5, so that different values stay different. Text without a single legal character (where
    Airflow made a value that Kubernetes refuses) becomes those digits alone.
    """
    if not value or _is_valid(value):
        return value
    digest = hashlib.md5(value.encode(errors="surrogatepass"), usedforsecurity=False).hexdigest()[:_DIGEST]
    legal = _ILLEGAL.sub("", value)[: MAX_LABEL - _DIGEST - 1]
    return f"{legal}-{digest}" if legal else digest


def safe_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels with safe values."""
    return {name: safe_label(value) for name, value in labels.items()}


def check_label_keys(labels: Mapping[str, str], *, field: str) -> None:
    """Refuse keys that Kubernetes refuses. A key is a name that the user chose, so it is not repaired.

    Raises:
        SpecError: A key is not a qualified name.
    """
    for key in labels:
        if not _is_valid(key) and not _is_prefixed(key):
            problem = "not a valid key; use letters, digits, '-', '_' and '.', at most 63, optionally after 'domain/'"
            raise SpecError(problem, field=field, value=repr(key)[:80])


def _is_prefixed(key: str) -> bool:
    domain, slash, name = key.partition("/")
    return bool(slash and _is_domain(domain) and _is_valid(name))
