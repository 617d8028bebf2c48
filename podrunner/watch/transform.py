"""Makes records small before they are held: drops fields that are not read, shares what many pods have in common.

A hundred thousand pods are held at once, so bytes per pod count. What a record means does not belong here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from msgspec.structs import replace

from podrunner.builder.labels import ATTEMPT, DEFAULT_CONTAINER, OWNER, SCOPE
from podrunner.outcome.record import Pod

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from podrunner.outcome.record import (
        ContainerResources,
        ContainerSpec,
        ContainerStatus,
        ObjectMeta,
        PodSpec,
        PodStatus,
    )

__all__ = ["PodTransform"]

T = TypeVar("T")

_CONDITIONS_READ = frozenset({"PodScheduled", "Initialized", "Ready", "DisruptionTarget"})
"""What outcomes, timings and the STATUS column read. A pod has five or more, 260 bytes each."""

_LONGEST_ANNOTATION = 4096
"""Foreign annotations beyond this many characters are not held: kubectl's last-applied-configuration is a whole pod."""

_OWN = "podrunner.io/"

_COMMON = frozenset({ATTEMPT, DEFAULT_CONTAINER, OWNER, SCOPE})
"""Annotations whose texts many pods have in common."""

_SHARED = 4096
"""Values that are remembered for sharing; then all are forgotten, which costs memory only."""


class PodTransform:
    """Makes the records of one reflector small. Equal parts of different records become one object.

    Args:
        conditions: Types of conditions that are read beside the usual ones.
        texts_of: Returns texts that the process holds anyway of the pod of a namespace and name: what is equal in the
            first record of the pod becomes the same object. None: there are none.
    """

    def __init__(
        self, conditions: Iterable[str] = (), *, texts_of: Callable[[str, str], Iterable[str]] | None = None
    ) -> None:
        self._conditions = _CONDITIONS_READ.union(conditions)
        self._texts_of = texts_of
        self._shared: dict[Hashable, object] = {}

    def __call__(self, pod: Pod, known: Pod | None = None) -> Pod:
        """Return the record to hold.

        Args:
            pod: The record.
            known: What is held of the pod: most records after the first differ in their status alone.
        """
        meta = pod.metadata
        if known is None and self._texts_of is not None:
            meta = _with_texts(meta, self._texts_of(meta.namespace, meta.name))
        return Pod(
            metadata=self._metadata(meta) if known is None else self._metadata_after(meta, known.metadata),
            spec=known.spec if known is not None and pod.spec == known.spec else self._spec(pod.spec),
            status=self._status(pod.status),
        )

    def _metadata_after(self, meta: ObjectMeta, known: ObjectMeta) -> ObjectMeta:
        is_described_alike = (
            meta.labels == known.labels
            and meta.annotations == known.annotations
            and meta.finalizers == known.finalizers
            and meta.namespace == known.namespace
            and meta.creation_timestamp == known.creation_timestamp
        )
        if not is_described_alike:
            return self._metadata(meta)
        return replace(
            meta,
            name=known.name if meta.name == known.name else meta.name,
            uid=known.uid if meta.uid == known.uid else meta.uid,  # the key under which the pod is held
            namespace=known.namespace,
            labels=known.labels,
            annotations=known.annotations,
            finalizers=known.finalizers,
            creation_timestamp=known.creation_timestamp,
        )

    def _metadata(self, meta: ObjectMeta) -> ObjectMeta:
        return replace(
            meta,
            namespace=self._share(meta.namespace, meta.namespace),
            labels=meta.labels and self._share(tuple(meta.labels.items()), meta.labels),
            annotations=meta.annotations and self._annotations(meta.annotations),
            finalizers=meta.finalizers and self._share(("finalizers", *meta.finalizers), meta.finalizers),
            creation_timestamp=self._share(meta.creation_timestamp, meta.creation_timestamp),
        )

    def _annotations(self, annotations: Mapping[str, str]) -> dict[str, str]:
        """Return those that are held. Their names are the same for all pods, and so are some of the texts."""
        return {
            self._share(name, name): self._share(text, text) if name in _COMMON else text
            for name, text in annotations.items()
            if not _is_ballast(name, text)
        }

    def _spec(self, spec: PodSpec) -> PodSpec:
        grace_s = spec.termination_grace_period_seconds
        flat = (spec.node_name, spec.restart_policy, spec.active_deadline_seconds, grace_s)
        whole = _asked(spec.resources)
        return self._share((*flat, whole, _read_of(spec.init_containers), _read_of(spec.containers)), spec)

    def _status(self, status: PodStatus) -> PodStatus:
        """Return the status to hold. Pods that were started in one second have the same, as times are in seconds."""
        wanted, containers, init = self._conditions, status.container_statuses, status.init_container_statuses
        conditions = [item for item in status.conditions or () if item.type in wanted]
        flat = (status.phase, status.reason, status.message, status.start_time)
        told = None if containers is None else tuple(containers)
        told_of_init = None if init is None else tuple(init)
        key = ("status", *flat, tuple(conditions), told, told_of_init)
        known = self._shared.get(key)
        if known is not None:
            return cast("PodStatus", known)
        small = replace(
            status,
            phase=self._share(status.phase, status.phase),
            start_time=self._share(status.start_time, status.start_time),
            conditions=[self._share(item, item) for item in conditions] or None,
            container_statuses=containers and [self._container(item) for item in containers],
            init_container_statuses=init and [self._container(item) for item in init],
        )
        return self._share(key, small)

    def _container(self, found: ContainerStatus) -> ContainerStatus:
        """Return the status of a container to hold."""
        return replace(
            found,
            name=self._share(found.name, found.name),
            state=self._share(found.state, found.state),
            last_state=self._share(found.last_state, found.last_state),
        )

    def _share(self, key: Hashable, value: T) -> T:
        known = self._shared.get(key)
        if known is not None:
            return known  # type: ignore[return-value]  # the key determines the type
        if len(self._shared) >= _SHARED:
            self._shared.clear()
        self._shared[key] = value
        return value


def _with_texts(meta: ObjectMeta, texts: Iterable[str]) -> ObjectMeta:
    """Return the same metadata, with those of the texts that are equal to some in it."""
    held = {text: text for text in texts}
    if not held:
        return meta
    annotations = meta.annotations and {name: held.get(text, text) for name, text in meta.annotations.items()}
    name, uid = held.get(meta.name, meta.name), held.get(meta.uid, meta.uid)
    return replace(meta, name=name, uid=uid, annotations=annotations)


def _hashable(statuses: list[ContainerStatus] | None) -> Hashable:
    return None if statuses is None else tuple(statuses)


def _read_of(containers: list[ContainerSpec] | None) -> Hashable:
    """What is read of containers: rules by their actions."""
    return tuple(
        (
            c.name,
            c.restart_policy,
            tuple(rule.action for rule in c.restart_policy_rules or ()),
            _asked(c.resources),
        )
        for c in containers or ()
    )


def _asked(resources: ContainerResources | None) -> Hashable:
    """What is asked for, as text: a quantity may be anything."""
    return None if resources is None else (str(resources.requests), str(resources.limits))


def _is_ballast(name: str, text: str) -> bool:
    return len(text) > _LONGEST_ANNOTATION and not name.startswith(_OWN)
