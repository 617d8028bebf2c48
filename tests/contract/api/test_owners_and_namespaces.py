"""Garbage collection of dependents, deletion of namespaces, and quotas."""

from __future__ import annotations

import json
import time
import uuid

import pytest


def eventually(check, *, seconds=45):
    """Wait until a check holds: controllers act after the request."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def owned(body, owner, **reference):
    meta = owner["metadata"]
    made = {"apiVersion": "v1", "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"], **reference}
    body["metadata"]["ownerReferences"] = [made]
    return body


def gone(api, resource, name):
    return lambda: api.get(resource, name).status_code == 404


def test_an_object_that_a_pod_owns_is_deleted_with_it(api, gated_pod):
    """C4: a Secret that a pod owns does not outlive it."""
    pod = api.made("pods", gated_pod("p"))
    api.made("secrets", owned({"metadata": {"name": "s"}}, pod))
    api.ok(api.delete("pods", "p"))
    eventually(gone(api, "secrets", "s"))


def test_an_object_whose_owner_was_deleted_is_deleted(api, gated_pod):
    """C4: also if the owner was deleted first."""
    pod = api.made("pods", gated_pod("p"))
    api.ok(api.delete("pods", "p"))
    api.made("secrets", owned({"metadata": {"name": "s"}}, pod))
    eventually(gone(api, "secrets", "s"))


def test_an_object_with_one_of_two_owners_remains(api, config_map, gated_pod):
    first, second = api.made("pods", gated_pod("p")), api.made("configmaps", config_map("c"))
    body = owned({"metadata": {"name": "s"}}, first)
    body["metadata"]["ownerReferences"] += owned({"metadata": {}}, second)["metadata"]["ownerReferences"]
    api.made("secrets", body)
    api.ok(api.delete("pods", "p"))
    time.sleep(0.3)
    assert api.get("secrets", "s").status_code == 200
    api.ok(api.delete("configmaps", "c"))
    eventually(gone(api, "secrets", "s"))


def test_orphans_remain_without_their_owner(api, gated_pod):
    pod = api.made("pods", gated_pod("p"))
    api.made("secrets", owned({"metadata": {"name": "s"}}, pod))
    api.ok(api.delete("pods", "p", propagationPolicy="Orphan"))
    eventually(gone(api, "pods", "p"))
    assert not api.ok(api.get("secrets", "s"))["metadata"].get("ownerReferences")


def test_in_the_foreground_the_owner_is_deleted_last(api, gated_pod):
    pod = api.made("pods", gated_pod("p"))
    held = owned(
        {"metadata": {"name": "s", "finalizers": ["tests.podrunner.io/hold"]}}, pod, blockOwnerDeletion=True
    )
    api.made("secrets", held)
    api.ok(api.delete("pods", "p", propagationPolicy="Foreground"))
    eventually(lambda: "deletionTimestamp" in api.get("secrets", "s").json()["metadata"])
    assert "foregroundDeletion" in api.ok(api.get("pods", "p"))["metadata"]["finalizers"]
    api.ok(api.patch("secrets", "s", {"metadata": {"finalizers": None}}))
    eventually(gone(api, "pods", "p"))
    assert api.get("secrets", "s").status_code == 404


def test_a_namespace_is_deleted_with_its_content(api, config_map, gated_pod):
    name = f"test-{uuid.uuid4().hex[:8]}"
    path = f"/api/v1/namespaces/{name}"
    made = api.ok(api.http.post("/api/v1/namespaces", json={"metadata": {"name": name}}))
    assert made["status"]["phase"] == "Active"
    assert made["metadata"]["labels"]["kubernetes.io/metadata.name"] == name
    eventually(lambda: api.http.get(f"{path}/serviceaccounts/default").status_code == 200)
    held = config_map("a")
    held["metadata"]["finalizers"] = ["tests.podrunner.io/hold"]
    api.ok(api.http.post(f"{path}/configmaps", json=held))
    api.ok(api.http.post(f"{path}/pods", json=gated_pod("p")))
    api.ok(api.http.delete(path))
    eventually(lambda: api.http.get(f"{path}/pods/p").status_code == 404)
    assert api.ok(api.http.get(path))["status"]["phase"] == "Terminating"
    refused = api.http.post(f"{path}/configmaps", json=config_map("b"))
    assert refused.status_code == 403
    message = f"unable to create new content in namespace {name} because it is being terminated"
    assert refused.json()["message"] == f'configmaps "b" is forbidden: {message}'
    merge = {"Content-Type": "application/merge-patch+json"}
    api.ok(api.http.patch(f"{path}/configmaps/a", content='{"metadata":{"finalizers":null}}', headers=merge))
    eventually(lambda: api.http.get(path).status_code == 404)


@pytest.fixture
def doomed(api, gated_pod):
    """Return the path of a terminating namespace, in which a finalizer holds the pod ``p``."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    path = f"/api/v1/namespaces/{name}"
    api.ok(api.http.post("/api/v1/namespaces", json={"metadata": {"name": name}}))
    eventually(lambda: api.http.get(f"{path}/serviceaccounts/default").status_code == 200)
    held = gated_pod("p")
    held["metadata"]["finalizers"] = ["tests.podrunner.io/hold"]
    api.ok(api.http.post(f"{path}/pods", json=held))
    api.ok(api.http.post(f"{path}/secrets", json={"metadata": {"name": "s"}}))
    api.ok(api.http.delete(path))
    yield path
    api.http.patch(f"{path}/pods/p", content=RELEASING, headers=MERGING)


MERGING = {"Content-Type": "application/merge-patch+json"}
RELEASING = '{"metadata":{"finalizers":null}}'


def conditions(api, path):
    found = api.ok(api.http.get(path))["status"].get("conditions", ())
    return {each["type"]: (each["status"], each["reason"], each["message"]) for each in found}


FINE = {
    "NamespaceDeletionDiscoveryFailure": ("False", "ResourcesDiscovered"),
    "NamespaceDeletionGroupVersionParsingFailure": ("False", "ParsedGroupVersions"),
    "NamespaceDeletionContentFailure": ("False", "ContentDeleted"),
    "NamespaceContentRemaining": ("False", "ContentRemoved"),
    "NamespaceFinalizersRemaining": ("False", "ContentHasNoFinalizers"),
}


def test_a_namespace_says_what_holds_it_when_its_pods_are_gone(api, doomed):
    """Of a pod that holds it, its conditions say nothing: the pod itself has to be looked at."""
    held = {"metadata": {"name": "s", "finalizers": ["tests.podrunner.io/other"]}}
    api.ok(api.http.patch(f"{doomed}/secrets/s", content=json.dumps(held), headers=MERGING))
    eventually(lambda: conditions(api, doomed))
    found = conditions(api, doomed)
    assert {kind: (status, reason) for kind, (status, reason, _) in found.items()} == FINE
    api.ok(api.http.patch(f"{doomed}/pods/p", content=RELEASING, headers=MERGING))
    eventually(lambda: conditions(api, doomed)["NamespaceContentRemaining"][0] == "True", seconds=45)
    found = conditions(api, doomed)
    remaining = "Some resources are remaining: secrets. has 1 resource instances"
    assert found["NamespaceContentRemaining"] == ("True", "SomeResourcesRemain", remaining)
    finalizers = "tests.podrunner.io/other in 1 resource instances"
    assert found["NamespaceFinalizersRemaining"] == (
        "True",
        "SomeFinalizersRemain",
        f"Some content in the namespace has finalizers remaining: {finalizers}",
    )
    api.ok(api.http.patch(f"{doomed}/secrets/s", content=RELEASING, headers=MERGING))


def test_what_else_is_in_a_namespace_outlives_its_pods(api, doomed):
    """Pods are deleted first, so a Secret of a pod that is held is still there, and goes after it."""
    eventually(lambda: "deletionTimestamp" in api.ok(api.http.get(f"{doomed}/pods/p"))["metadata"])
    time.sleep(0.3)
    assert api.http.get(f"{doomed}/secrets/s").status_code == 200
    api.ok(api.http.patch(f"{doomed}/pods/p", content=RELEASING, headers=MERGING))
    eventually(lambda: api.http.get(doomed).status_code == 404, seconds=45)


@pytest.mark.parametrize("dry_run", [{}, {"dryRun": "All"}])
def test_a_terminating_namespace_refuses_new_pods(api, gated_pod, doomed, dry_run):
    """Also in a dry run, so that a client can ask without creating anything."""
    name = doomed.rpartition("/")[2]
    refused = api.http.post(f"{doomed}/pods", json=gated_pod("new"), params=dry_run)
    assert refused.status_code == 403
    body = refused.json()
    words = f"unable to create new content in namespace {name} because it is being terminated"
    assert body["message"] == f'pods "new" is forbidden: {words}'
    assert body["reason"] == "Forbidden"
    assert body["details"] == {
        "name": "new",
        "kind": "pods",
        "causes": [
            {
                "reason": "NamespaceTerminating",
                "message": f"namespace {name} is being terminated",
                "field": "metadata.namespace",
            }
        ],
    }


def test_a_terminating_namespace_takes_changes(api, doomed):
    """What is there can still be patched: an outcome can be written down."""
    note = '{"metadata":{"annotations":{"a":"1"}}}'
    patched = api.ok(api.http.patch(f"{doomed}/pods/p", content=note, headers=MERGING))
    assert patched["metadata"]["annotations"] == {"a": "1"}


def test_the_clusters_own_namespaces_cannot_be_deleted(api):
    refused = api.http.delete("/api/v1/namespaces/default")
    assert refused.status_code == 403
    assert refused.json()["message"] == 'namespaces "default" is forbidden: this namespace may not be deleted'


def quota(**hard):
    names = {key.replace("_", "."): value for key, value in hard.items()}
    return {"metadata": {"name": "q"}, "spec": {"hard": names}}


def until_counted(api):
    eventually(lambda: "used" in api.ok(api.get("resourcequotas", "q")).get("status", {}))


def test_a_full_quota_refuses_pods(api, gated_pod):
    """L3: the 403 that a client may retry."""
    api.made("resourcequotas", quota(pods="1"))
    until_counted(api)
    api.made("pods", gated_pod("a"))
    refused = api.create("pods", gated_pod("b"))
    assert refused.status_code == 403
    assert refused.json()["reason"] == "Forbidden"
    assert (
        refused.json()["message"]
        == 'pods "b" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1'
    )
    eventually(lambda: api.ok(api.get("resourcequotas", "q"))["status"]["used"] == {"pods": "1"})
    api.ok(api.delete("pods", "a"))
    eventually(lambda: api.create("pods", gated_pod("b")).status_code == 201)


def test_a_quota_of_memory_requires_memory_requests(api, gated_pod):
    api.made("resourcequotas", quota(requests_memory="1Gi"))
    until_counted(api)
    without_request = api.create("pods", gated_pod("a"))
    assert without_request.status_code == 403
    message = "failed quota: q: must specify requests.memory for: main"
    assert without_request.json()["message"] == f'pods "a" is forbidden: {message}'
    container = {"name": "main", "image": "x", "resources": {"requests": {"memory": "600Mi"}}}
    api.made("pods", gated_pod("a", containers=[container]))
    refused = api.create("pods", gated_pod("b", containers=[container]))
    assert (
        "requested: requests.memory=600Mi, used: requests.memory=600Mi, limited: requests.memory=1Gi"
        in refused.text
    )


def test_a_quota_counts_objects(api, config_map):
    api.made("resourcequotas", quota(**{"count/secrets": "1"}))
    until_counted(api)
    api.made("secrets", {"metadata": {"name": "a"}})
    refused = api.create("secrets", {"metadata": {"name": "b"}})
    assert refused.status_code == 403
    assert "exceeded quota: q, requested: count/secrets=1" in refused.json()["message"]
