"""Subresources that need no running container: binding, eviction, log and exec refused, tokens, events."""

from __future__ import annotations

import pytest


def two(gated_pod, **spec):
    containers = [{"name": "one", "image": "x"}, {"name": "two", "image": "x"}]
    return gated_pod("p", containers=containers, initContainers=[{"name": "first", "image": "x"}], **spec)


def test_a_log_of_two_containers_needs_a_container_name(api, gated_pod):
    api.made("pods", two(gated_pod))
    unclear = api.get("pods", "p", "log")
    assert unclear.status_code == 400
    message = "choose one of: [first one two]"
    assert unclear.json()["message"] == f"a container name must be specified for pod p, {message}"
    wrong = api.get("pods", "p", "log", container="three")
    assert wrong.json()["message"] == "container three is not valid for pod p"


def test_a_pod_without_a_node_has_no_log_and_no_exec(api, gated_pod):
    api.made("pods", gated_pod("p"))
    assert api.get("pods", "p", "log").text == ""
    refused = api.http.post(api.path("pods", "p", "exec"), params={"command": "ls", "stdout": "true"})
    assert refused.status_code == 400
    assert refused.json()["message"] == "pod p does not have a host assigned"
    assert api.get("pods", "nope", "log").status_code == 404


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"tailLines": "-1"}, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ({"sinceSeconds": "0"}, "sinceSeconds: Invalid value: 0: must be greater than 0"),
        (
            {"sinceSeconds": "1", "sinceTime": "2020-01-01T00:00:00Z"},
            "at most one of `sinceTime` or `sinceSeconds` may be specified",
        ),
    ],
)
def test_invalid_log_options_are_422(api, gated_pod, params, message):
    api.made("pods", gated_pod("p"))
    refused = api.get("pods", "p", "log", **params)
    assert refused.status_code == 422
    assert refused.json()["message"].startswith('PodLogOptions "p" is invalid: ')
    assert message in refused.json()["message"]


def test_a_gated_pod_cannot_be_bound(api, gated_pod):
    api.made("pods", gated_pod("p"))
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "somewhere"}}
    refused = api.http.post(api.path("pods", "p", "binding"), json=binding)
    assert refused.status_code == 409
    message = "pod p has non-empty .spec.schedulingGates"
    assert refused.json()["message"] == f'Operation cannot be fulfilled on pods/binding "p": {message}'
    nowhere = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": ""}}
    assert not api.http.post(api.path("pods", "p", "binding"), json=nowhere).is_success


def test_an_unscheduled_pod_can_be_bound_to_any_name(api, gated_pod):
    pod = gated_pod("p", schedulerName="tests.podrunner.io/none", schedulingGates=[])
    version = api.made("pods", pod)["metadata"]["resourceVersion"]
    binding = {
        "metadata": {"name": "p", "annotations": {"a": "b"}},
        "target": {"kind": "Node", "name": "no-such-node"},
    }
    bound = api.http.post(api.path("pods", "p", "binding"), json=binding)
    assert (bound.status_code, bound.json()["status"]) == (201, "Success")
    with api.watch("pods", resourceVersion=version) as events:
        _, now = events.next()
    assert now["spec"]["nodeName"] == "no-such-node"
    assert now["metadata"]["annotations"]["a"] == "b"
    assert ("PodScheduled", "True") in {
        (each["type"], each["status"]) for each in now["status"]["conditions"]
    }
    again = api.http.post(api.path("pods", "p", "binding"), json=binding)
    assert again.json()["message"].endswith('pod p is already assigned to node "no-such-node"')
    api.delete("pods", "p", {"gracePeriodSeconds": 0})


def test_an_eviction_deletes(api, gated_pod):
    """P4: the pod has the condition that a classifier reads."""
    api.made("pods", gated_pod("p"))
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    done = api.http.post(api.path("pods", "p", "eviction"), json=eviction)
    assert (done.status_code, done.json()["status"]) == (201, "Success")
    assert api.get("pods", "p").status_code == 404


def test_a_bound_pod_ends_gracefully(api, gated_pod):
    """W5: it is Terminating until its node confirms its end."""
    pod = gated_pod("p", schedulerName="tests.podrunner.io/none", schedulingGates=[], nodeName="no-such-node")
    api.made("pods", pod)
    ending = api.ok(api.delete("pods", "p", gracePeriodSeconds=20))
    assert ending["metadata"]["deletionGracePeriodSeconds"] == 20
    assert ending["metadata"]["deletionTimestamp"]
    sooner = api.ok(api.delete("pods", "p", gracePeriodSeconds=5))
    assert sooner["metadata"]["deletionGracePeriodSeconds"] == 5
    later = api.ok(api.delete("pods", "p", gracePeriodSeconds=9))
    assert later["metadata"]["deletionGracePeriodSeconds"] == 5
    api.ok(api.delete("pods", "p", gracePeriodSeconds=0))
    assert api.get("pods", "p").status_code == 404


def test_a_service_account_gets_a_token(api):
    spec = {"spec": {"expirationSeconds": 600}}
    made = api.ok(api.http.post(api.path("serviceaccounts", "default", "token"), json=spec))
    assert made["status"]["token"]
    assert made["status"]["expirationTimestamp"].endswith("Z")
    assert api.http.post(api.path("serviceaccounts", "absent", "token"), json=spec).status_code == 404


def test_events_are_served_by_both_groups(api):
    involved = {"kind": "Pod", "name": "p", "namespace": api.namespace, "apiVersion": "v1"}
    event = {
        "metadata": {"name": "e"},
        "involvedObject": involved,
        "reason": "R",
        "message": "m",
        "type": "Normal",
    }
    api.made("events", event)
    other = f"/apis/events.k8s.io/v1/namespaces/{api.namespace}/events"
    seen = api.ok(api.http.get(f"{other}/e"))
    assert (seen["apiVersion"], seen["note"], seen["regarding"]["name"]) == ("events.k8s.io/v1", "m", "p")
    listed = api.ok(api.http.get(other))
    assert listed["kind"] == "EventList"
    assert listed["items"][0]["note"] == "m"
    mine = api.listed("events", fieldSelector="involvedObject.name=p,reason=R")
    assert [each["metadata"]["name"] for each in mine["items"]] == ["e"]
    foreign = {**event, "metadata": {"name": "f"}, "involvedObject": {**involved, "namespace": "elsewhere"}}
    assert api.create("events", foreign).status_code == 422
