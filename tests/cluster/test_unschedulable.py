"""Pods that fit on no node, or are refused by their node."""

from __future__ import annotations

import time

import pytest
from podrunner import Category, Fault, Resources

pytestmark = pytest.mark.anyio


async def test_too_big_for_every_node(outcome_of, workload, pods):
    """P2: the outcome names the missing resource and the number of nodes; the pod is deleted."""
    wanted = workload("true", resources=Resources(cpu_request="1000"))
    outcome = await outcome_of(wanted, pending={"unschedulable_grace_s": 0})
    assert (outcome.category, outcome.fault) == (Category.UNSCHEDULABLE, Fault.INFRASTRUCTURE)
    assert not outcome.started
    assert "Insufficient cpu" in outcome.message
    assert "1 of 1 nodes" in outcome.message
    assert pods() == []


async def test_a_selector_that_no_node_has(outcome_of, workload):
    """P2: the outcome has the scheduler's message."""
    wanted = workload("true", node_selector={"no": "such-node"})
    outcome = await outcome_of(wanted, pending={"unschedulable_grace_s": 0})
    assert (outcome.category, outcome.fault) == (Category.UNSCHEDULABLE, Fault.CONFIGURATION)
    assert "node affinity/selector" in outcome.message


async def test_a_claim_that_does_not_exist(outcome_of, workload):
    """P13: the scheduler says so before it looks at any node; the fault is the configuration's."""
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "no-such-claim"}}
    wanted = workload("true", overrides={"spec": {"volumes": [volume]}})
    outcome = await outcome_of(wanted, pending={"unschedulable_grace_s": 0})
    assert (outcome.category, outcome.fault) == (Category.UNSCHEDULABLE, Fault.CONFIGURATION)
    assert 'persistentvolumeclaim "no-such-claim" not found' in outcome.message


def until_unschedulable(admin, namespace) -> None:
    """Wait until the scheduler, which watches nodes and pods apart, has seen what keeps pods off."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    container = {"name": "base", "image": "localhost/nowhere:1", "imagePullPolicy": "Never"}
    probe = {"metadata": {"generateName": "probe-"}, "spec": {"containers": [container]}}
    deadline = time.monotonic() + 90
    while True:
        path = f"{pods}/{admin.post(pods, json=probe).raise_for_status().json()['metadata']['name']}"
        while not is_decided(pod := admin.get(path).raise_for_status().json()):
            assert time.monotonic() < deadline, "the scheduler does not look at the pod"
            time.sleep(0.05)
        admin.delete(path, params={"gracePeriodSeconds": 0}).raise_for_status()
        if "nodeName" not in pod["spec"]:
            return


def is_decided(pod) -> bool:
    """Whether the scheduler has found a node for it, or has found none."""
    return "nodeName" in pod["spec"] or any(
        condition["type"] == "PodScheduled" for condition in pod["status"].get("conditions", ())
    )


async def test_a_cordoned_node(outcome_of, workload, admin, namespace):
    """P13: a node that takes no pods for a while is the infrastructure's."""
    (node,) = admin.get("/api/v1/nodes").json()["items"]
    path = f"/api/v1/nodes/{node['metadata']['name']}"
    kind = {"Content-Type": "application/merge-patch+json"}
    admin.patch(path, json={"spec": {"unschedulable": True}}, headers=kind).raise_for_status()
    try:
        until_unschedulable(admin, namespace)
        outcome = await outcome_of(workload("true"), pending={"unschedulable_grace_s": 0})
    finally:
        admin.patch(path, json={"spec": {"unschedulable": None}}, headers=kind).raise_for_status()
    assert (outcome.category, outcome.fault) == (Category.UNSCHEDULABLE, Fault.INFRASTRUCTURE)
    assert outcome.retryable


async def test_refused_by_its_node(outcome_of, workload, admin):
    """P5: bound to a node without free resources, it fails before any container: infrastructure, not started."""
    nodes = admin.get("/api/v1/nodes").json()["items"]
    wanted = workload(
        "true",
        resources=Resources(cpu_request="1000"),
        overrides={"spec": {"nodeName": nodes[0]["metadata"]["name"]}},
    )
    outcome = await outcome_of(wanted)
    assert (outcome.category, outcome.reason) == (Category.REJECTED_BY_NODE, "OutOfcpu")
    assert (outcome.fault, outcome.started) == (Fault.INFRASTRUCTURE, False)
