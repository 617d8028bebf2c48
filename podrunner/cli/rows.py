"""What the commands say of a pod: identity, status, why it waits or failed, exit code, age. Pure.

What becomes of the facts on a terminal is ``layout``; what a pod's records mean is ``podrunner.outcome``.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from podrunner.builder.labels import DEFAULT_CONTAINER, OUTCOME, VERDICT
from podrunner.cli.failures import one_line
from podrunner.cli.naming import PodIdentity, identity_of
from podrunner.cli.table import age
from podrunner.outcome import (
    NO_HISTORY,
    Category,
    classify,
    main_name,
    parse_unschedulable,
    printer_status,
    remember,
    why,
)
from podrunner.outcome.stored import decode_outcome, restored

if TYPE_CHECKING:
    from podrunner.outcome import Outcome
    from podrunner.outcome.record import Pod

__all__ = ["PodRow", "main_container_of", "outcome_of", "row_of", "why_of"]

_PLAIN: Final = {Category.FAILED}
"""An exit code says that it failed."""


class PodRow(NamedTuple):
    """What is said of a pod.

    Attributes:
        identity: What it is.
        namespace: Its namespace.
        status: As ``kubectl get pod`` shows it.
        why: What it waits for, or why it failed; "" while it runs and when it has succeeded.
        exit_code: That of the container that decided; None: there is none.
        age: Since its creation.
        created: When it was created, RFC 3339, or None.
        node: Its node, or "".
        outcome: Its outcome; None while it is not over.
    """

    identity: PodIdentity
    namespace: str
    status: str
    why: str
    exit_code: int | None
    age: str
    created: str | None
    node: str
    outcome: Outcome | None

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON data."""
        one, outcome = self.identity, self.outcome
        return {
            "key": one.key,
            "parts": one.parts,
            "attempt": one.attempt or None,
            "relaunch": one.relaunch,
            "pod": one.pod,
            "namespace": self.namespace,
            "status": self.status,
            "why": self.why,
            "exit_code": self.exit_code,
            "category": None if outcome is None else str(outcome.category),
            "created": self.created,
            "node": self.node or None,
        }


def row_of(pod: Pod, *, now: datetime) -> PodRow:
    """Return what is said of a pod at a time."""
    outcome = outcome_of(pod)
    return PodRow(
        identity=identity_of(pod),
        namespace=pod.metadata.namespace,
        status=printer_status(pod, classic=True),
        why=why_of(pod, outcome),
        exit_code=None if outcome is None else outcome.exit_code,
        age=age(pod.metadata.creation_timestamp, now),
        created=pod.metadata.creation_timestamp,
        node=pod.spec.node_name or "",
        outcome=outcome,
    )


def main_container_of(pod: Pod) -> str | None:
    """Return the container that decides: the one that the pod names, else its first."""
    return main_name(pod, (pod.metadata.annotations or {}).get(DEFAULT_CONTAINER))


def outcome_of(pod: Pod) -> Outcome | None:
    """Return what became of a pod: what its runner wrote to it, else what its record says; None: it is not over."""
    annotations = pod.metadata.annotations or {}
    said = classify(pod, main_container=main_container_of(pod), history=remember(NO_HISTORY, pod))
    if said is None:
        return None
    for name in (OUTCOME, VERDICT):
        written = decode_outcome(annotations.get(name), uid=pod.metadata.uid)
        if written is not None:
            return restored(written, pod)
    return said


def why_of(pod: Pod, outcome: Outcome | None) -> str:
    """Return in one line what a pod waits for or why it failed, without what its STATUS says already."""
    if outcome is not None:
        return "" if outcome.succeeded else one_line(_shortened(outcome))
    said = why(pod, history=remember(NO_HISTORY, pod), main_container=main_container_of(pod))
    if said is None:
        return ""
    status = printer_status(pod, classic=True)
    if said.reason == "Unschedulable":
        return one_line(f"{said.reason}: {parse_unschedulable(said.message)}")
    if said.reason == status or status.endswith(f":{said.reason}"):
        return one_line(said.message)
    return "" if str(said) == status else one_line(str(said))


def _shortened(outcome: Outcome) -> str:
    """Return the message without the container that decides, and with the category if no other word says it."""
    said = outcome.message.removeprefix(f"container {outcome.container} ")
    said = said.removeprefix("was ").removeprefix("ended with ")
    category = str(outcome.category).replace("-", " ")
    is_said = outcome.category in _PLAIN or category in said.lower().replace("-", " ")
    return said if is_said else f"{category}: {said}" if said else category
