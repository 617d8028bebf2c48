"""The typed verbs over a real connection: what goes out, and what comes back."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from podrunner.errors import (
    AlreadyExistsError,
    ConflictError,
    GoneError,
    InvalidError,
    NotFoundError,
    SpecError,
    TransportError,
    UsageError,
)
from podrunner.kube import connect, explicit_access
from podrunner.outcome.record import Event

pytestmark = pytest.mark.anyio

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "a", "namespace": "n", "uid": "u-1", "resourceVersion": "5", "managedFields": [{}]},
    "spec": {"nodeName": "node-1", "containers": [{"name": "base", "image": "x"}]},
    "status": {"phase": "Running"},
}
PODS = "/api/v1/namespaces/n/pods"


def status(code, reason, message, **details):
    return {
        "kind": "Status",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
        "details": details,
    }


def asked(stub):
    """The last request: method, path, query and decoded body."""
    seen = stub.seen[-1]
    parts = urlsplit(seen.target)
    return seen.method, parts.path, parse_qs(parts.query), json.loads(seen.body) if seen.body else None


async def test_each_request_carries_our_identity_and_what_we_read(client_for, stub):
    stub.json(POD)
    async with client_for(stub) as client:
        await client.read_pod("n", "a")
    headers = stub.seen[0].headers
    assert headers["Authorization"] == "Bearer token-1"
    assert headers["Accept"] == "application/json"
    assert headers["User-Agent"].startswith("podrunner")


async def test_no_header_of_a_caller_offers_gzip(config, stub):
    """V4: a server of 1.37 would compress a streaming list, of which Python's decoders read the first flush only."""
    stub.json(POD)
    access = explicit_access(stub.url, token="token-1", environ={})
    access = replace(access, headers={"accept-encoding": "gzip", "X-Team": "a"})
    async with connect(config, access=access) as client:
        await client.read_pod("n", "a")
    headers = stub.seen[0].headers
    assert (headers["Accept-Encoding"], headers["X-Team"]) == ("identity", "a")


async def test_create_sends_the_manifest_once_and_reads_the_pod(client_for, stub):
    stub.json(POD, status=201)
    async with client_for(stub) as client:
        pod = await client.create_pod("n", {"metadata": {"name": "a"}, "spec": {"x": "ü"}})
    assert asked(stub) == (
        "POST",
        PODS,
        {"fieldValidation": ["Strict"]},
        {"metadata": {"name": "a"}, "spec": {"x": "ü"}},
    )
    assert stub.seen[0].headers["Content-Type"] == "application/json"
    assert (pod.metadata.uid, pod.spec.node_name, pod.status.phase) == ("u-1", "node-1", "Running")


async def test_create_takes_bytes_that_are_ready(client_for, stub):
    stub.json(POD, status=201)
    async with client_for(stub) as client:
        await client.create_pod("n", b'{"ready": 1}')
    assert stub.seen[0].body == b'{"ready": 1}'


async def test_a_manifest_that_is_no_json_never_leaves(client_for, stub):
    async with client_for(stub) as client:
        with pytest.raises(SpecError, match="JSON"):
            await client.create_pod("n", {"a": object()})
    assert not stub.seen


async def test_a_name_that_is_taken_is_its_own_error(client_for, stub):
    """L2."""
    stub.json(status(409, "AlreadyExists", 'pods "a" already exists', name="a", kind="pods"), status=409)
    async with client_for(stub) as client:
        with pytest.raises(AlreadyExistsError, match='pods "a" already exists'):
            await client.create_pod("n", POD)


async def test_an_invalid_spec_names_its_field(client_for, stub):
    """L6."""
    causes = [
        {"reason": "FieldValueRequired", "field": "spec.containers[0].image", "message": "Required value"}
    ]
    stub.json(status(422, "Invalid", 'Pod "a" is invalid', causes=causes), status=422)
    async with client_for(stub) as client:
        with pytest.raises(InvalidError) as caught:
            await client.create_pod("n", POD)
    assert caught.value.details["causes"][0]["field"] == "spec.containers[0].image"


async def test_a_created_pod_that_cannot_be_read_counts_as_a_lost_reply(client_for, stub):
    """L1: the pod may be there, so the launcher has to look."""
    stub.json([1, 2, 3], status=201)
    async with client_for(stub) as client:
        with pytest.raises(TransportError) as caught:
            await client.create_pod("n", POD)
    assert caught.value.sent


async def test_a_pod_is_read_whole_when_asked(client_for, stub):
    stub.json(POD)
    async with client_for(stub) as client:
        assert await client.read_pod_manifest("n", "a") == POD
    assert asked(stub)[:2] == ("GET", f"{PODS}/a")


@pytest.mark.parametrize("name", ["", ".", ".."])
async def test_a_name_that_would_address_the_collection_is_refused(client_for, stub, name):
    """``DELETE …/pods/`` deletes all pods."""
    async with client_for(stub) as client:
        with pytest.raises(UsageError, match="name"):
            await client.delete_pod("n", name)
        with pytest.raises(UsageError, match="namespace"):
            await client.delete_pod(name, "a")
    assert not stub.seen


async def test_delete_is_bound_to_the_uid(client_for, stub):
    stub.json(status(200, "", ""))
    async with client_for(stub) as client:
        assert await client.delete_pod("n", "a", uid="u-1", grace_period_s=0)
    method, path, _, options = asked(stub)
    assert (method, path) == ("DELETE", f"{PODS}/a")
    assert options["preconditions"] == {"uid": "u-1"}
    assert options["gracePeriodSeconds"] == 0


async def test_the_answer_to_a_deletion_shows_the_pod(client_for, stub):
    stub.json(
        {**POD, "metadata": {**POD["metadata"], "uid": "u-1", "deletionTimestamp": "2026-01-01T00:00:30Z"}}
    )
    async with client_for(stub) as client:
        answer = await client.delete_pod("n", "a")
    assert answer.found
    assert (answer.pod.metadata.uid, answer.pod.metadata.deletion_timestamp) == (
        "u-1",
        "2026-01-01T00:00:30Z",
    )


async def test_deleting_what_is_gone_is_false(client_for, stub):
    stub.json(status(404, "NotFound", 'pods "a" not found'), status=404)
    async with client_for(stub) as client:
        assert not await client.delete_pod("n", "a")


async def test_deleting_a_name_that_another_pod_has_now_is_false(client_for, stub):
    message = "Precondition failed: UID in precondition: u-1, UID in object meta: u-2"
    stub.json(status(409, "Conflict", message), status=409)
    async with client_for(stub) as client:
        assert not await client.delete_pod("n", "a", uid="u-1")
        with pytest.raises(ConflictError):
            await client.delete_pod("n", "a")


async def test_patch_is_a_merge_patch_and_can_compare_the_version(client_for, stub):
    """A1: adoption is a compare-and-swap."""
    stub.json(POD)
    patch = {"metadata": {"labels": {"x": None}}}
    async with client_for(stub) as client:
        await client.patch_pod("n", "a", patch, resource_version="5")
        assert asked(stub)[3] == {"metadata": {"labels": {"x": None}, "resourceVersion": "5"}}
        await client.patch_pod("n", "a", patch)
        assert asked(stub)[3] == patch
    assert stub.seen[0].headers["Content-Type"] == "application/merge-patch+json"


async def test_a_strategic_patch_is_named_as_one(client_for, stub):
    """It alone can remove one finalizer and leave the others."""
    stub.json(POD)
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/b"]}}
    async with client_for(stub) as client:
        await client.patch_pod("n", "a", patch, strategic=True)
    assert asked(stub)[3] == patch
    assert stub.seen[0].headers["Content-Type"] == "application/strategic-merge-patch+json"


async def test_a_patch_that_the_caller_stops_is_not_sent(client_for, stub):
    """A2: the owner is checked when all waiting is over."""

    def stop() -> None:
        raise UsageError("stopped")

    async with client_for(stub) as client:
        with pytest.raises(UsageError, match="stopped"):
            await client.patch_pod("n", "a", {}, before_send=stop)
    assert not stub.seen


async def test_list_gives_a_page_and_counts_what_it_cannot_read(client_for, stub):
    """W4: a foreign or malformed object does not spoil the list."""
    broken = {"metadata": {"name": ["not", "a", "string"]}}
    stub.json({"metadata": {"resourceVersion": "77", "continue": "c-1"}, "items": [POD, broken, None, {}]})
    async with client_for(stub) as client:
        page = await client.list_pods("n", label_selector="a=b,c in (d)", limit=500, continue_token="c-0")
    assert [pod.metadata.name for pod in page.items] == ["a"]
    assert (page.resource_version, page.continue_token, page.skipped) == ("77", "c-1", 3)
    assert asked(stub)[2] == {"labelSelector": ["a=b,c in (d)"], "limit": ["500"], "continue": ["c-0"]}


async def test_list_of_all_namespaces_at_a_version(client_for, stub):
    stub.json({"metadata": {"resourceVersion": "1"}, "items": None})
    async with client_for(stub) as client:
        page = await client.list_pods(
            None,
            resource_version="0",
            resource_version_match="NotOlderThan",
            field_selector="spec.nodeName=x",
        )
    assert (page.items, page.continue_token) == ([], None)
    assert asked(stub)[1:3] == (
        "/api/v1/pods",
        {
            "resourceVersion": ["0"],
            "resourceVersionMatch": ["NotOlderThan"],
            "fieldSelector": ["spec.nodeName=x"],
        },
    )


@pytest.mark.parametrize("body", ["[]", "3", '"x"', '{"metadata":{"resourceVersion":"3"}}'])
async def test_an_answer_that_is_no_list_is_no_empty_list(client_for, stub, body):
    """W8: nothing is concluded from a failed list."""
    stub.json(json.loads(body))
    async with client_for(stub) as client:
        with pytest.raises(TransportError):
            await client.list_pods("n")


async def test_an_expired_page_is_gone(client_for, stub):
    """W1."""
    stub.json(status(410, "Expired", "The provided continue parameter is too old"), status=410)
    async with client_for(stub) as client:
        with pytest.raises(GoneError):
            await client.list_pods("n", continue_token="old")


async def test_events_are_read_by_selector(client_for, stub):
    event = {
        "type": "Warning",
        "reason": "FailedScheduling",
        "message": "0/1 nodes are available",
        "count": 3,
    }
    stub.json({"metadata": {}, "items": [event, {"count": "no number"}]})
    async with client_for(stub) as client:
        events = await client.list_events("n", field_selector="involvedObject.uid=u-1")
    assert events == [
        Event(type="Warning", reason="FailedScheduling", message="0/1 nodes are available", count=3)
    ]
    assert asked(stub)[2]["fieldSelector"] == ["involvedObject.uid=u-1"]


async def test_secrets_are_made_and_removed(client_for, stub):
    stub.json({"kind": "Secret"}, status=201)
    async with client_for(stub) as client:
        await client.create_secret("n", {"metadata": {"name": "s"}})
        assert asked(stub)[:2] == ("POST", "/api/v1/namespaces/n/secrets")
        assert await client.delete_secret("n", "s") is True
        assert asked(stub)[:2] == ("DELETE", "/api/v1/namespaces/n/secrets/s")
        stub.json(status(404, "NotFound", "gone"), status=404)
        assert await client.delete_secret("n", "s") is False


async def test_leases_are_read_made_replaced_and_removed(client_for, stub):
    lease = {"metadata": {"name": "l", "resourceVersion": "3"}, "spec": {"holderIdentity": "me"}}
    leases = "/apis/coordination.k8s.io/v1/namespaces/n/leases"
    stub.json(lease)
    async with client_for(stub) as client:
        assert await client.read_lease("n", "l") == lease
        assert await client.create_lease("n", lease) == lease
        assert asked(stub) == ("POST", leases, {}, lease)
        assert await client.replace_lease("n", "l", lease) == lease
        assert asked(stub) == ("PUT", f"{leases}/l", {}, lease)
        assert await client.delete_lease("n", "l", resource_version="3") is True
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"resourceVersion": "3"}}
        assert asked(stub) == ("DELETE", f"{leases}/l", {}, options)


async def test_a_lease_is_renewed_although_the_gate_is_closed(client_for, stub):
    """A3: a throttled create must not cost the lease."""
    stub.json({"metadata": {"name": "l", "resourceVersion": "4"}, "spec": {}})
    async with client_for(stub) as client:
        client.gate.close_for(30)
        await client.replace_lease("n", "l", {})
    assert len(stub.seen) == 1


async def test_a_lease_that_changed_meanwhile_is_a_conflict(client_for, stub):
    stub.json(status(409, "Conflict", "the object has been modified"), status=409)
    async with client_for(stub) as client:
        with pytest.raises(ConflictError):
            await client.replace_lease("n", "l", {})


async def test_any_other_request_can_be_made(client_for, stub):
    stub.json({"kind": "PersistentVolumeClaim"}, status=201)
    claims = "/api/v1/namespaces/n/persistentvolumeclaims"
    async with client_for(stub) as client:
        answer = await client.call("POST", claims, query={"dryRun": "All"}, body={"a": 1})
        assert await client.server_version() == {"kind": "PersistentVolumeClaim"}
    assert answer == {"kind": "PersistentVolumeClaim"}
    assert stub.seen[0].target == f"{claims}?dryRun=All"


async def test_what_is_not_there_is_not_found(client_for, stub):
    stub.json(status(404, "NotFound", 'pods "a" not found'), status=404)
    async with client_for(stub) as client:
        with pytest.raises(NotFoundError, match=r"GET .*/pods/a: 404 NotFound"):
            await client.read_pod("n", "a")
