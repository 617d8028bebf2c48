"""Records are held small: fields that are not read are dropped, what pods have in common is shared (W13)."""

from __future__ import annotations

import msgspec
from podrunner.outcome import printer_status
from podrunner.outcome.record import ContainerSpec, Pod, RestartRule
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


def test_sharing_is_bounded():
    small = PodTransform()
    for number in range(5000):
        small(with_labels(pod(), app=str(number)))
    assert len(small._shared) <= 4096
