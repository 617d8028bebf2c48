"""Makes records small before they are held: drops fields that are not read, shares what many pods have in common.

A hundred thousand pods are held at once, so bytes per pod count. What a record means does not belong here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from podrunner.outcome.record import ContainerSpec, ObjectMeta, Pod, PodCondition, PodSpec, PodStatus

__all__ = ["PodTransform"]

T = TypeVar("T")

_CONDITIONS_READ = frozenset({"PodScheduled", "Initialized", "Ready", "DisruptionTarget"})
"""What outcomes, timings and the STATUS column read. A pod has five or more, 260 bytes each."""

_LONGEST_ANNOTATION = 4096
"""Foreign annotations beyond this many characters are not held: kubectl's last-applied-configuration is a whole pod."""

_OWN = "podrunner.io/"

_SHARED = 4096
"""Values that are remembered for sharing; then all are forgotten, which costs memory only."""


class PodTransform:
    """Makes the records of one reflector small. Equal parts of different records become one object.

    Args:
        conditions: Types of conditions that are read beside the usual ones.
    """

    def __init__(self, conditions: Iterable[str] = ()) -> None:
        self._conditions = _CONDITIONS_READ.union(conditions)
        self._shared: dict[Hashable, object] = {}

    def __call__(self, pod: Pod) -> Pod:
        """Return the record to hold."""
        return replace(
            pod,
            metadata=self._metadata(pod.metadata),
            spec=self._spec(pod.spec),
            status=self._status(pod.status),
        )

    def _metadata(self, meta: ObjectMeta) -> ObjectMeta:
        labels = meta.labels and self._share(tuple(meta.labels.items()), meta.labels)
        annotations = meta.annotations
        if annotations and any(_is_ballast(*item) for item in annotations.items()):
            annotations = {name: text for name, text in annotations.items() if not _is_ballast(name, text)}
        namespace = self._share(meta.namespace, meta.namespace)
        finalizers = meta.finalizers and self._share(("finalizers", *meta.finalizers), meta.finalizers)
        return replace(
            meta, namespace=namespace, labels=labels, annotations=annotations, finalizers=finalizers
        )

    def _spec(self, spec: PodSpec) -> PodSpec:
        grace_s = spec.termination_grace_period_seconds
        flat = (spec.node_name, spec.restart_policy, spec.active_deadline_seconds, grace_s)
        return self._share((*flat, _read_of(spec.init_containers), _read_of(spec.containers)), spec)

    def _status(self, status: PodStatus) -> PodStatus:
        if not status.conditions:
            return status
        kept = [self._condition(item) for item in status.conditions if item.type in self._conditions]
        return replace(status, conditions=kept or None)

    def _condition(self, found: PodCondition) -> PodCondition:
        return self._share(found, found)

    def _share(self, key: Hashable, value: T) -> T:
        if len(self._shared) >= _SHARED:
            self._shared.clear()
        return self._shared.setdefault(key, value)  # type: ignore[return-value]  # the key determines the type


def _read_of(containers: list[ContainerSpec] | None) -> Hashable:
    """What is read of containers: rules by their actions."""
    return tuple(
        (c.name, c.restart_policy, tuple(rule.action for rule in c.restart_policy_rules or ()))
        for c in containers or ()
    )


def _is_ballast(name: str, text: str) -> bool:
    return len(text) > _LONGEST_ANNOTATION and not name.startswith(_OWN)
