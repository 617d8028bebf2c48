"""The stub server's pods are like real ones, and each request is counted by its verb and resource."""

from __future__ import annotations

import json

import pytest
from podrunner.bench.counting import call_of
from podrunner.bench.plan import SCRIPT
from podrunner.bench.stub import StubServer
from podrunner.bench.stub_http import Connection
from podrunner.bench.stub_pods import FINAL, admitted, status_of
from tests.support.event_loops import asyncio_only
from tests.support.waiting import until

anyio_backend = asyncio_only  # so is the stub

MANIFEST = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "a", "labels": {"b": "c"}},
    "spec": {"restartPolicy": "Never", "containers": [{"name": "base", "image": "x", "command": ["true"]}]},
}


def test_an_admitted_pod_has_the_size_of_a_real_one():
    pod = admitted(MANIFEST, namespace="default", uid="u", now="2026-01-01T00:00:00Z")
    pod["status"] = status_of(3, name="base", image="x", now="n", started="n")
    assert 4_500 < len(json.dumps(pod)) < 7_500
    assert pod["metadata"]["labels"] == {"b": "c"}
    assert pod["spec"]["containers"][0]["command"] == ["true"]


@pytest.mark.parametrize(
    ("stage", "exit_code", "phase", "state"),
    [
        (2, 0, "Pending", "waiting"),
        (3, 0, "Running", "running"),
        (FINAL, 0, "Succeeded", "terminated"),
        (FINAL, 3, "Failed", "terminated"),
    ],
)
def test_a_status_says_the_stage(stage, exit_code, phase, state):
    status = status_of(stage, name="base", image="x", now="n", exit_code=exit_code, started="s")
    assert status["phase"] == phase
    (main,) = status["containerStatuses"]
    assert list(main["state"]) == [state]
    assert main["ready"] == (stage == 3)


def test_before_it_is_created_a_pod_has_no_containers():
    assert "containerStatuses" not in status_of(0, name="", image="", now="n")
    assert status_of(1, name="", image="", now="n")["conditions"][0]["type"] == "PodScheduled"


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("POST", "/api/v1/namespaces/a/pods?fieldValidation=Strict", "POST pods"),
        ("GET", "/api/v1/namespaces/a/pods?labelSelector=x", "LIST pods"),
        ("GET", "/api/v1/namespaces/a/pods?watch=true", "WATCH pods"),
        ("GET", "/api/v1/namespaces/a/pods/b", "GET pods"),
        ("GET", "/api/v1/namespaces/a/pods/b/log?follow=true", "GET pods/log"),
        ("DELETE", "/api/v1/namespaces/a/pods/b", "DELETE pods"),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/a/leases/c", "PUT leases"),
        ("GET", "/version", "LIST /version"),
    ],
)
def test_a_call_is_named_by_verb_and_resource(method, target, expected):
    assert call_of(method, target) == expected


@pytest.mark.anyio
async def test_of_pods_that_are_held_each_ends_when_its_own_time_has_passed():
    """And not when that of the pod has passed that was released first."""
    server = StubServer()
    for name, running_s in (("long", 600), ("short", 0)):
        script = json.dumps({"running_s": running_s, "held": True})
        meta = {"name": name, "annotations": {SCRIPT: script}}
        manifest = json.dumps({**MANIFEST, "metadata": meta}).encode()
        server.answer(Connection(server), "POST", "/api/v1/namespaces/a/pods", manifest)
    await until(lambda: all("running" in passed for passed in server.passed.values()))
    server.release()
    await until(lambda: [name for name, passed in server.passed.items() if "ended" in passed] == ["short"])
