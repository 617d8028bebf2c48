"""Reads the scheduler's message about a pod that fits nowhere.

The form is that of kube-scheduler's ``FitError`` (pkg/scheduler/framework/types.go)::

    0/5 nodes are available: 1 node(s) had untolerated taint {gpu: true}, 4 Insufficient cpu. preemption: …
"""

from __future__ import annotations

import re
from typing import NamedTuple

from podrunner.outcome.category import Fault
from podrunner.outcome.tables.placement import PLACEMENT_WORDS
from podrunner.outcome.tables.words import fault_of

__all__ = ["Shortage", "Unschedulable", "fault_of_placement", "parse_unschedulable"]

_HEAD = re.compile(r"^(?P<fit>\d+)/(?P<nodes>\d+) nodes are available:?\s*(?P<causes>.*)$", re.DOTALL)
_AFTERWARDS = re.compile(r"\.?\s+(?:[^.]*,\s+)?preemption:")
"""What the plugins say that ran after the filters: preemption, and before it the one of resource claims, as in
``. no new claims to deallocate, preemption: …``."""
_NEXT_CAUSE = re.compile(r",\s+(?=\d+ )")
_CAUSE = re.compile(r"^(?P<count>\d+) (?P<text>.+)$", re.DOTALL)
_TOO_LITTLE = re.compile(r"^(?:Insufficient (?P<resource>\S+)|(?P<pods>Too many pods))")


class Shortage(NamedTuple):
    """One cause why nodes were passed over.

    Attributes:
        nodes: How many nodes.
        text: The scheduler's message.
        resource: The resource that they lack (``cpu``, ``nvidia.com/gpu``, ``pods``), or None for another cause.
    """

    nodes: int
    text: str
    resource: str | None


class Unschedulable(NamedTuple):
    """Why a pod fits nowhere.

    Attributes:
        nodes: How many nodes the scheduler considered, or None if the message has another form.
        causes: What was wrong with them; several causes may be reported for one node.
        message: The scheduler's whole message.
    """

    nodes: int | None
    causes: tuple[Shortage, ...]
    message: str

    @property
    def lacking(self) -> tuple[str, ...]:
        """The resources that are short, in the order reported."""
        return tuple(dict.fromkeys(cause.resource for cause in self.causes if cause.resource))

    def __str__(self) -> str:
        """Say it in one line for people: ``4 of 5 nodes: Insufficient cpu; …``."""
        if not self.causes:
            return self.message
        return "; ".join(f"{cause.nodes} of {self.nodes} nodes: {cause.text}" for cause in self.causes)


def parse_unschedulable(message: str | None) -> Unschedulable:
    """Read the message of a ``PodScheduled`` condition or ``FailedScheduling`` event.

    Never fails: a message of another form (another scheduler's, no nodes at all) has no causes.
    """
    text = (message or "").strip()
    head = _HEAD.match(text)
    if head is None:
        return Unschedulable(None, (), text)
    causes = _AFTERWARDS.split(head["causes"], maxsplit=1)[0].strip().rstrip(".")
    nodes = int(head["nodes"])
    parts = [part for part in _NEXT_CAUSE.split(causes) if part.strip()]
    return Unschedulable(nodes, tuple(_shortage(part, nodes) for part in parts), text)


def _shortage(part: str, nodes: int) -> Shortage:
    """Read one cause. One without a number is a plugin's that ran before the filters: it is about all nodes."""
    cause = _CAUSE.match(part)
    text = part.strip() if cause is None else cause["text"].strip()
    short = _TOO_LITTLE.match(text)
    resource = None if short is None else (short["resource"] or "pods").rstrip(".,")
    return Shortage(nodes if cause is None else int(cause["count"]), text, resource)


def fault_of_placement(found: Unschedulable) -> Fault:
    """Return whose fault it is that no node takes a pod.

    One cause that may pass (nodes that are full, ill or cordoned) is enough for the infrastructure's fault: those nodes
    may take it later. The configuration's it is only if each cause is of what the pod asks for.
    """
    causes = [cause.text for cause in found.causes] or [found.message]
    faults = {fault_of(PLACEMENT_WORDS, text) for text in causes}
    order = (Fault.INFRASTRUCTURE, Fault.UNKNOWN)
    return next((fault for fault in order if fault in faults), Fault.CONFIGURATION)
