"""Binding pods to the node, and Kubernetes' words where that is impossible (P2)."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from podrunner.local.api.storage.events import EventRecorder
from podrunner.local.api.storage.store import Store
from podrunner.local.kubelet.scheduler import Scheduler, fits_affinity, refusals, untolerated

NODE = {
    "metadata": {"name": "n", "labels": {"kubernetes.io/hostname": "n", "zone": "a", "size": "5"}},
    "status": {"allocatable": {"cpu": "2", "memory": "4Gi", "pods": "3", "nvidia.com/gpu": "1"}},
}


def expression(key, operator, *values):
    return {"key": key, "operator": operator, "values": list(values)}


def affine(*terms):
    required = {"nodeSelectorTerms": list(terms)}
    return {
        "spec": {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}
    }


@pytest.mark.parametrize(
    ("each", "fits"),
    [
        (expression("zone", "In", "a", "b"), True),
        (expression("zone", "In", "b"), False),
        (expression("none", "In", "b"), False),
        (expression("kubernetes.io/hostname", "NotIn", "other"), True),
        (expression("kubernetes.io/hostname", "NotIn", "n"), False),
        (expression("none", "NotIn", "n"), True),
        (expression("zone", "Exists"), True),
        (expression("none", "Exists"), False),
        (expression("none", "DoesNotExist"), True),
        (expression("zone", "DoesNotExist"), False),
        (expression("size", "Gt", "4"), True),
        (expression("size", "Gt", "5"), False),
        (expression("size", "Lt", "6"), True),
        (expression("zone", "Lt", "6"), False),
        (expression("size", "Gt"), False),
        (expression("size", "Unknown"), False),
    ],
)
def test_every_operator_of_node_affinity(each, fits):
    assert fits_affinity(affine({"matchExpressions": [each]}), NODE) is fits


def test_terms_are_alternatives_and_expressions_are_not():
    yes, no = expression("zone", "In", "a"), expression("zone", "In", "b")
    assert fits_affinity(affine({"matchExpressions": [no]}, {"matchExpressions": [yes]}), NODE)
    assert not fits_affinity(affine({"matchExpressions": [yes, no]}), NODE)
    assert not fits_affinity(affine({}), NODE)
    assert fits_affinity(affine({"matchFields": [expression("metadata.name", "In", "n")]}), NODE)


def test_a_node_selector_wants_all_its_labels():
    assert fits_affinity({"spec": {"nodeSelector": {"zone": "a"}}}, NODE)
    assert not fits_affinity({"spec": {"nodeSelector": {"zone": "a", "x": "y"}}}, NODE)


@pytest.mark.parametrize(
    ("toleration", "kept_away"),
    [
        ({"key": "dedicated", "value": "airflow", "effect": "NoSchedule"}, False),
        ({"key": "dedicated", "operator": "Equal", "value": "other"}, True),
        ({"key": "dedicated", "operator": "Exists"}, False),
        ({"operator": "Exists"}, False),
        ({"key": "prod", "operator": "Exists"}, True),
        ({"key": "dedicated", "operator": "Exists", "effect": "NoExecute"}, True),
    ],
)
def test_taints_need_a_toleration(toleration, kept_away):
    taint = {"key": "dedicated", "value": "airflow", "effect": "NoSchedule"}
    assert (untolerated({"spec": {"tolerations": [toleration]}}, [taint]) is not None) is kept_away
    assert untolerated({"spec": {}}, [{"key": "soft", "effect": "PreferNoSchedule"}]) is None


def requesting(**resources):
    return {"spec": {"containers": [{"name": "c", "resources": {"requests": resources}}]}}


def test_every_refusal_has_its_words():
    left = {"cpu": Decimal(2), "memory": Decimal(4 << 30), "pods": Decimal(1)}
    assert refusals(requesting(cpu="2"), NODE, left) == []
    assert refusals(requesting(cpu="2100m", memory="5Gi"), NODE, left) == [
        "Insufficient cpu",
        "Insufficient memory",
    ]
    assert refusals(requesting(**{"nvidia.com/gpu": "1"}), NODE, left) == ["Insufficient nvidia.com/gpu"]
    assert refusals(requesting(), NODE, {"pods": Decimal(0)}) == ["Too many pods"]
    assert refusals(requesting(), {**NODE, "spec": {"unschedulable": True}}, left) == [
        "node(s) were unschedulable"
    ]
    tainted = {**NODE, "spec": {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}}
    assert refusals(requesting(), tainted, left) == ["node(s) had untolerated taint {k: v}"]
    away = {"spec": {"nodeSelector": {"zone": "b"}, "containers": []}}
    assert refusals(away, NODE, left) == ["node(s) didn't match Pod's node affinity/selector"]


class Bench:
    """A scheduler with a store."""

    def __init__(self, node=NODE):
        self.store = Store()
        self.events = EventRecorder(self.store)
        if node:
            self.store.create("nodes", node)
        self.scheduler = Scheduler(self.store, self.events)
        self.scheduler.start()

    def pod(self, name, **spec):
        body = {"containers": [{"name": "c", "resources": spec.pop("resources", {})}], **spec}
        self.store.create(
            "pods",
            {
                "metadata": {"name": name, "namespace": "default"},
                "spec": body,
                "status": {"phase": "Pending"},
            },
        )

    async def condition(self, name):
        for _ in range(4):
            await asyncio.sleep(0)
        pod = self.store.get("pods", "default", name)
        found = [each for each in pod["status"].get("conditions", []) if each["type"] == "PodScheduled"]
        return (
            pod["spec"].get("nodeName"),
            (found[0].get("reason", found[0]["status"]) if found else None),
            (found[0].get("message", "") if found else ""),
        )


@pytest.mark.asyncio
async def test_what_does_not_fit_waits_until_something_ends():
    """One event gives the reason."""
    bench = Bench()
    bench.pod("a", resources={"requests": {"cpu": "1500m"}})
    assert await bench.condition("a") == ("n", "True", "")
    bench.pod("b", resources={"limits": {"cpu": "1"}})
    node, reason, message = await bench.condition("b")
    assert (node, reason) == (None, "Unschedulable")
    assert message == (
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: "
        "1 No preemption victims found for incoming pod."
    )
    assert [event["reason"] for event in bench.store.list("events")].count("FailedScheduling") == 1
    bench.store.update("pods", "default", "a", lambda pod: {**pod, "status": {"phase": "Succeeded"}})
    assert (await bench.condition("b"))[:2] == ("n", "True")


@pytest.mark.asyncio
async def test_a_node_that_changes_gives_another_chance():
    bench = Bench()
    bench.pod("a", nodeSelector={"zone": "b"})
    assert (
        "node affinity/selector. preemption: 0/1 nodes are available: 1 Preemption is not helpful"
        in (await bench.condition("a"))[2]
    )
    bench.store.update(
        "nodes", "", "n", lambda node: {**node, "metadata": {**node["metadata"], "labels": {"zone": "b"}}}
    )
    assert (await bench.condition("a"))[0] == "n"


@pytest.mark.asyncio
async def test_gates_hold_a_pod_back_until_they_are_gone():
    bench = Bench()
    bench.pod("a", schedulingGates=[{"name": "example.com/wait"}])
    assert (await bench.condition("a"))[:2] == (None, "SchedulingGated")
    bench.store.update(
        "pods", "default", "a", lambda pod: {**pod, "spec": {**pod["spec"], "schedulingGates": []}}
    )
    assert (await bench.condition("a"))[0] == "n"


@pytest.mark.asyncio
async def test_claims_must_be_there_and_bound():
    bench = Bench()
    bench.pod("a", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "dags"}}])
    assert 'persistentvolumeclaim "dags" not found. preemption:' in (await bench.condition("a"))[2]
    claim = {"metadata": {"name": "dags", "namespace": "default"}, "spec": {"storageClassName": "x"}}
    bench.store.create("persistentvolumeclaims", claim)
    assert "pod has unbound immediate PersistentVolumeClaims" in (await bench.condition("a"))[2]
    bench.store.update(
        "persistentvolumeclaims", "default", "dags", lambda obj: {**obj, "spec": {"volumeName": "pv"}}
    )
    assert (await bench.condition("a"))[0] == "n"


@pytest.mark.asyncio
async def test_a_claim_that_is_lost_or_going_is_no_claim():
    bench = Bench()
    claim = {
        "metadata": {"name": "c", "namespace": "default"},
        "spec": {"volumeName": "pv"},
        "status": {"phase": "Lost"},
    }
    bench.store.create("persistentvolumeclaims", claim)
    bench.pod("a", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}])
    assert 'bound to non-existent persistentvolume "pv"' in (await bench.condition("a"))[2]
    bench.store.update(
        "persistentvolumeclaims",
        "default",
        "c",
        lambda obj: {**obj, "metadata": {**obj["metadata"], "deletionTimestamp": "x"}, "status": {}},
    )
    assert 'persistentvolumeclaim "c" is being deleted' in (await bench.condition("a"))[2]


@pytest.mark.asyncio
async def test_a_claim_that_waits_for_its_consumer_does_not_hold_the_pod():
    bench = Bench()
    bench.store.create(
        "storageclasses", {"metadata": {"name": "late"}, "volumeBindingMode": "WaitForFirstConsumer"}
    )
    bench.store.create(
        "persistentvolumeclaims",
        {"metadata": {"name": "a-v", "namespace": "default"}, "spec": {"storageClassName": "late"}},
    )
    bench.pod("a", volumes=[{"name": "v", "ephemeral": {}}])
    assert (await bench.condition("a"))[0] == "n"


@pytest.mark.asyncio
async def test_other_schedulers_pods_and_bound_ones_are_left_alone():
    bench = Bench()
    bench.pod("a", schedulerName="mine")
    bench.pod("b", nodeName="elsewhere")
    assert await bench.condition("a") == (None, None, "")
    assert await bench.condition("b") == ("elsewhere", None, "")


@pytest.mark.asyncio
async def test_without_nodes_nothing_can_be_scheduled():
    bench = Bench(node=None)
    bench.pod("a")
    assert (await bench.condition("a"))[2] == "no nodes available to schedule pods"


@pytest.mark.asyncio
async def test_a_stopped_scheduler_binds_no_more():
    bench = Bench()
    bench.scheduler.stop()
    bench.pod("a")
    assert (await bench.condition("a"))[0] is None


@pytest.mark.asyncio
async def test_the_number_of_pods_is_bounded():
    bench = Bench()
    for name in "abcd":
        bench.pod(name)
    assert (await bench.condition("d"))[2].startswith("0/1 nodes are available: 1 Too many pods.")
