"""Records are held small: fields that are not read are dropped, what pods have in common is shared (W13)."""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec
import pytest
from podrunner import RunnerConfig, Workload
from podrunner.builder import PodBuilder, with_ownership
from podrunner.kube.wire import decode_pod
from podrunner.outcome import printer_status
from podrunner.outcome.record import ContainerResources, ContainerSpec, ContainerStatus, Pod, RestartRule
from podrunner.watch.transform import PodTransform
from tests.support.pods import condition, pod, runs


def with_labels(record: Pod, **labels: str) -> Pod:
    meta = msgspec.structs.replace(record.metadata, labels=labels)
    return msgspec.structs.replace(record, metadata=meta)


def test_only_the_conditions_that_are_read_are_held():
    small = PodTransform()(
        pod(conditions=(condition("Ready"), condition("ContainersReady"), condition("PodScheduled")))
    )
    assert [item.type for item in small.status.conditions or ()] == ["Ready", "PodScheduled"]
    assert PodTransform()(pod(conditions=(condition("ContainersReady"),))).status.conditions is None


def test_what_pods_have_in_common_is_one_object():
    small = PodTransform()
    one = small(with_labels(pod("Running", runs("base"), uid="1", conditions=(condition("Ready"),)), app="x"))
    two = small(with_labels(pod("Running", runs("base"), uid="2", conditions=(condition("Ready"),)), app="x"))
    assert one.metadata.labels is two.metadata.labels
    assert one.spec is two.spec
    assert (one.status.conditions or [0])[0] is (two.status.conditions or [1])[0]
    other = small(with_labels(pod("Running", runs("base"), uid="3"), app="y"))
    assert other.metadata.labels == {"app": "y"}


def test_a_finalizer_that_all_pods_bear_is_held_once():
    def held(uid: str, *finalizers: str) -> Pod:
        record = pod("Running", runs("base"), uid=uid)
        meta = msgspec.structs.replace(record.metadata, finalizers=list(finalizers) or None)
        return msgspec.structs.replace(record, metadata=meta)

    small = PodTransform()
    one, two, other = small(held("1", "a/b")), small(held("2", "a/b")), small(held("3", "a/b", "c/d"))
    assert one.metadata.finalizers is two.metadata.finalizers
    assert other.metadata.finalizers == ["a/b", "c/d"]
    assert small(held("4")).metadata.finalizers is None


def test_what_is_read_stays_the_same():
    record = with_labels(pod("Running", runs("base"), conditions=(condition("Ready"),)), app="x")
    assert PodTransform()(record) == record
    assert printer_status(PodTransform()(record)) == "Running"


def test_pods_whose_restart_rules_differ_share_no_spec():
    small = PodTransform()

    def ruled(*actions: str, kind: str = "containers") -> Pod:
        rules = [RestartRule(action=action) for action in actions]
        return small(pod(**{kind: (ContainerSpec(name="c", restart_policy_rules=rules),)}))

    one, all_, init = (
        ruled("Restart"),
        ruled("RestartAllContainers"),
        ruled("RestartAllContainers", kind="init_containers"),
    )
    assert len({id(each.spec) for each in (one, all_, init)}) == 3
    assert ruled("RestartAllContainers").spec is all_.spec


def test_pods_with_different_limits_of_memory_share_no_spec():
    small = PodTransform()

    def limited(memory: str) -> Pod:
        resources = ContainerResources(limits={"cpu": "1", "memory": memory})
        return small(pod(containers=(ContainerSpec(name="base", resources=resources),)))

    assert limited("1Gi").spec is limited("1Gi").spec
    assert limited("1Gi").spec is not limited("2Gi").spec


def test_sharing_is_bounded():
    small = PodTransform()
    for number in range(5000):
        small(with_labels(pod(), app=str(number)))
    assert len(small._shared) <= 4096


def test_what_a_later_record_says_again_is_what_is_held_already():
    def record(phase: str, annotations: dict[str, str], **labels: str) -> Pod:
        labelled = with_labels(pod(phase), **labels)
        meta = msgspec.structs.replace(labelled.metadata, annotations=annotations)
        return msgspec.structs.replace(labelled, metadata=meta)

    small = PodTransform()
    held = small(record("Pending", {"c": "d"}, a="b"))
    again = small(record("Running", {"c": "d"}, a="b"), held)
    assert again.metadata.labels is held.metadata.labels
    assert again.metadata.annotations is held.metadata.annotations
    assert again.spec is held.spec
    assert again.status.phase == "Running"
    other = small(record("Running", {"big": "x" * 5000}, a="other"), held)
    assert other.metadata.labels == {"a": "other"}
    assert not other.metadata.annotations


def test_pods_that_were_started_in_one_second_share_their_status():
    small = PodTransform()
    one, two = (small(pod("Running", runs("base"), uid=uid)) for uid in "12")
    assert one.status is two.status
    restarted = msgspec.structs.replace((one.status.container_statuses or [])[0], restart_count=1)
    other = small(pod("Running", restarted, uid="3"))
    assert other.status is not one.status
    assert (other.status.container_statuses or [ContainerStatus()])[0].restart_count == 1


@pytest.mark.parametrize("statuses", [None, []])
def test_a_pod_without_container_statuses_stays_as_it_is(statuses: list[ContainerStatus] | None):
    record = pod("Pending")
    status = msgspec.structs.replace(record.status, container_statuses=statuses)
    record = msgspec.structs.replace(record, status=status)
    PodTransform()(pod("Pending"))
    assert PodTransform()(record) == record


def test_annotations_share_what_pods_have_in_common():
    small = PodTransform()
    one, two = (small(running(number)).metadata.annotations or {} for number in range(2))
    for name in ("podrunner.io/owner", "podrunner.io/scope", "kubectl.kubernetes.io/default-container"):
        assert one[name] is two[name]
    assert one["podrunner.io/key"] != two["podrunner.io/key"]


def test_a_running_pod_adds_a_kilobyte_of_which_all_is_its_own():
    """Its name, UID, version, key and log path, and what holds them; nothing that others have too."""
    small = PodTransform()
    held = [small(running(number)) for number in range(3)]
    known: set[int] = set()
    *_, added = [_bytes_of(record, known) for record in held]
    assert added < 1100
    again = small(running(2), held[2])
    assert again.metadata.uid is held[2].metadata.uid
    assert again.status is held[2].status


def running(number: int) -> Pod:
    """A running pod of podrunner, as a server sends it."""
    workload = Workload(key={"dag": "example", "run": "daily", "n": str(number)}, command=["true"])
    plan = PodBuilder(RunnerConfig(image="x")).build(workload)
    manifest = with_ownership(
        plan.manifest,
        owner="host-1-abcdef12",
        scope="default",
        key=plan.key,
        log_path=plan.log_path,
        manifest_hash=plan.manifest_hash,
    )
    at = "2026-01-01T10:00:00Z"
    meta = {"namespace": "default", "uid": f"2842de13-ba8c-4c0c-adac-{number:012}", "creationTimestamp": at}
    main = {"name": "base", "ready": True, "state": {"running": {"startedAt": at}}, "lastState": {}}
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": at}
    status = {"phase": "Running", "startTime": at, "conditions": [ready], "containerStatuses": [main]}
    whole = {**manifest, "metadata": manifest["metadata"] | meta | {"resourceVersion": str(10_000 + number)}}
    return decode_pod(json.dumps(whole | {"status": status}).encode())


def _bytes_of(value: Any, known: set[int]) -> int:
    """The bytes of an object and of all that it holds, without those that are known."""
    if id(value) in known or value is None:
        return 0
    known.add(id(value))
    inner: list[Any] = []
    if isinstance(value, dict):
        inner = [*value, *value.values()]
    elif isinstance(value, list | tuple):
        inner = list(value)
    elif isinstance(value, msgspec.Struct):
        inner = [getattr(value, name) for name in value.__struct_fields__]
    return sys.getsizeof(value) + sum(_bytes_of(each, known) for each in inner)


def test_a_record_shares_the_texts_that_its_runner_holds_anyway():
    """A copy of a pod's name, UID, key, log path and hash in each record would be half of what the store holds."""
    first = running(1)
    annotations = first.metadata.annotations or {}
    held = (first.metadata.name, first.metadata.uid, *annotations.values())
    asked: list[tuple[str, str]] = []

    def texts_of(namespace: str, name: str) -> tuple[str, ...]:
        asked.append((namespace, name))
        return held

    small = PodTransform(texts_of=texts_of)
    record = small(running(1))
    again = small(running(1), record)
    for one in (record, again):
        assert one == PodTransform()(running(1)), "nothing else is changed"
        assert one.metadata.name is held[0]
        assert one.metadata.uid is held[1]
        assert (one.metadata.annotations or {})["podrunner.io/manifest-hash"] is annotations[
            "podrunner.io/manifest-hash"
        ]
    assert asked == [("default", first.metadata.name)], "only of the first record"


def test_texts_of_another_pod_change_nothing():
    """Only equal texts are shared: a name that was changed on the way stays what came."""
    record = PodTransform(texts_of=lambda *_: ("another", "podrunner.io/key", ""))(running(1))
    assert record == PodTransform()(running(1))
    renamed = msgspec.structs.replace(
        running(1), metadata=msgspec.structs.replace(running(1).metadata, name="x")
    )
    assert PodTransform()(renamed, record).metadata.name == "x"


def test_a_pod_of_its_runner_adds_half_a_kilobyte_to_the_store():
    """What holds the texts, mostly the annotations. At most a quarter more than when this was written: 478 bytes."""
    manifests = {number: running(number) for number in range(3)}

    def texts_of(_: str, name: str) -> tuple[str, ...]:
        meta = next(pod.metadata for pod in manifests.values() if pod.metadata.name == name)
        return (meta.name, meta.uid, *(meta.annotations or {}).values())

    small = PodTransform(texts_of=texts_of)
    held = [small(running(number)) for number in manifests]
    known = {id(text) for pod in manifests.values() for text in texts_of("", pod.metadata.name)}
    *_, added = [_bytes_of(record, known) for record in held]
    assert added < 600
