"""Which of a pod's events says why it was given up, or why its container was killed. Pure.

Events come late, are dropped and are repeated, and their words change between versions: an event never decides a
category here, it explains one, and says whose fault it was where no status did. It is recognised by its reason and the
container in its field path.
"""

from __future__ import annotations

import re
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from podrunner.outcome.category import Category, Fault
from podrunner.outcome.facts import container_of
from podrunner.outcome.history import NO_HISTORY, is_bare, told_before
from podrunner.outcome.messages import sentence, shorten
from podrunner.outcome.result import Evidence, Outcome
from podrunner.outcome.scheduling import fault_of_placement, parse_unschedulable
from podrunner.outcome.tables.causes import fault_of_creation, fault_of_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from podrunner.outcome.history import History
    from podrunner.outcome.record import Event, Pod

__all__ = ["explain", "is_explained_by_events", "of_event"]

_BEFORE_A_START: Final = frozenset(
    {
        "Failed",
        "FailedAttachVolume",
        "FailedCreatePodContainer",
        "FailedCreatePodSandBox",
        "FailedMapVolume",
        "FailedMount",
        "FailedPodSandBoxStatus",
        "FailedPostStartHook",
        "FailedPrepareDynamicResources",
        "InspectFailed",
        "NetworkNotReady",
        "Unhealthy",
    }
)
"""Reasons of the kubelet (pkg/kubelet/events/event.go) and of the attach-detach controller for a pod that has a node.
``Unhealthy`` is a startup probe's here: the main container waits for a native sidecar's."""
_BEFORE_A_NODE: Final = frozenset({"FailedScheduling", "FailedBinding", "ProvisioningFailed"})
"""Reasons of the scheduler and of the volume controllers for one that has none."""

_GIVEN_UP: Final = frozenset(
    {
        Category.IMAGE,
        Category.CONTAINER_CONFIG,
        Category.INIT_FAILED,
        Category.STARTUP_TIMEOUT,
        Category.UNSCHEDULABLE,
    }
)
_KILLS: Final = frozenset({signal.SIGKILL, signal.SIGTERM})
_REASON_ALONE: Final = re.compile(r"Error: \w+")
_PROBE: Final = re.compile(r"\b(liveness|startup) probe\b", re.IGNORECASE)


def is_explained_by_events(outcome: Outcome, *, is_given_up: bool) -> bool:
    """Whether a pod's events are worth a request because they may say why the outcome came about.

    Args:
        outcome: The outcome without them.
        is_given_up: Whether it is podrunner's own verdict.
    """
    if is_given_up:
        return outcome.category in _GIVEN_UP
    return outcome.fault is Fault.WORKLOAD and _was_killed(outcome)


def _was_killed(outcome: Outcome) -> bool:
    """Whether the container that decided was ended by a signal that a kubelet sends, and not for its memory."""
    return outcome.category in {Category.FAILED, Category.INIT_FAILED} and outcome.signal in _KILLS


def explain(
    outcome: Outcome,
    events: Iterable[Event],
    *,
    pod: Pod,
    is_given_up: bool,
    history: History = NO_HISTORY,
) -> Outcome:
    """Return the outcome with the event that says why, in its message and its evidence; as it is if none does.

    Args:
        outcome: The outcome.
        events: The pod's events.
        pod: Its last record.
        is_given_up: Whether it is podrunner's own verdict: its message keeps a cause that the status showed.
        history: What its records showed until it was gone, also after the verdict.
    """
    in_order = sorted(events, key=_moment)
    if is_given_up:
        return _given_up(outcome, in_order, pod, history) if outcome.category in _GIVEN_UP else outcome
    found = _killing(in_order, outcome.container or "") if _was_killed(outcome) else None
    if found is None:
        return outcome
    return _with_event(replace(outcome, message=f"{outcome.message}: {shorten(found.message)}"), found)


def _given_up(outcome: Outcome, events: Sequence[Event], pod: Pod, history: History) -> Outcome:
    found = _obstacle(events, pod)
    if found is None:
        return _told_later(outcome, history)
    said = _cause(outcome)
    if outcome.category is not Category.STARTUP_TIMEOUT and not is_bare(said):
        return _with_event(outcome, found)
    return _with_event(_with_words(outcome, found.reason, found.message), found)


def _cause(outcome: Outcome) -> str:
    """Return what the status said when the verdict was reached."""
    return next((item.message for item in outcome.evidence if item.name == "given up"), "")


def _told_later(outcome: Outcome, history: History) -> Outcome:
    """Return the outcome with words of its container that were shown after the verdict, which had none."""
    words = told_before(history, outcome.container or "")
    if words is None or outcome.category is Category.STARTUP_TIMEOUT or not is_bare(_cause(outcome)):
        return outcome
    said = Evidence(
        source="container", name=words.container, reason=words.reason, message=shorten(words.message)
    )
    told = _with_words(outcome, words.reason, words.message)
    return replace(told, evidence=(*outcome.evidence, said))


def _with_words(outcome: Outcome, reason: str, message: str) -> Outcome:
    """Return the outcome with words in its message, and whose fault they mean; its own if no table has them."""
    match outcome.category:
        case Category.UNSCHEDULABLE:
            said = fault_of_placement(parse_unschedulable(message))
        case Category.IMAGE:
            said = fault_of_image(reason, message)
        case _:
            said = fault_of_creation(reason, message)
    fault = outcome.fault if said is Fault.UNKNOWN else said
    told = f"{outcome.message}: {sentence(reason, message)}"
    return replace(outcome, message=told, fault=fault, retryable=fault is Fault.INFRASTRUCTURE)


def _obstacle(events: Sequence[Event], pod: Pod) -> Event | None:
    """Return the newest event that says what a pod that did not start waited for."""
    reasons = _BEFORE_A_START if pod.spec.node_name is not None else _BEFORE_A_NODE
    inits = {container.name for container in pod.spec.init_containers or ()}
    found = [
        event
        for event in events
        if event.reason in reasons
        and not is_bare(event.message)
        and (event.reason != "Unhealthy" or container_of(event) in inits)
    ]
    # An error of an image names the reason alone at times ("Error: ErrImagePull"), right after the whole message.
    telling = [event for event in found if not _REASON_ALONE.fullmatch(event.message)]
    return next(reversed(telling or found), None)


def _killing(events: Sequence[Event], container: str) -> Event | None:
    """Return the event that says why the kubelet killed a container; None if none does.

    ``Killing`` names the probe, but for the only container of a pod that is not restarted: there the kubelet stops the
    pod, and only ``Unhealthy`` names it (computePodActions in pkg/kubelet/kuberuntime).
    """
    own = [event for event in events if container_of(event) in {container, ""}]
    kills = [event for event in own if event.reason == "Killing"]
    hooks = [event for event in own if event.reason == "FailedPostStartHook"]
    probes = [event for event in own if event.reason == "Unhealthy" and _PROBE.search(event.message)]
    named = [event for event in kills if _PROBE.search(event.message)]
    if not kills:
        return hooks[-1] if hooks else None
    return next(iter([*probes[-1:], *named[-1:], *hooks[-1:]]), None)


def _with_event(outcome: Outcome, event: Event) -> Outcome:
    said = of_event(event)
    return outcome if said in outcome.evidence else replace(outcome, evidence=(*outcome.evidence, said))


def _moment(event: Event) -> str:
    return event.last_timestamp or event.event_time or event.first_timestamp or ""


def of_event(event: Event) -> Evidence:
    """Return an event as evidence."""
    return Evidence(
        source="event",
        name=event.type,
        reason=event.reason,
        message=shorten(event.message),
        at=event.last_timestamp or event.event_time,
    )
