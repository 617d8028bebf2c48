"""Finalizers: what holds a deleted object, and how it is let go."""

from __future__ import annotations

import pytest

from .conftest import JSON_PATCH, STRATEGIC

HOLD = "tests.podrunner.io/hold"
OTHER = "tests.podrunner.io/other"
RELEASE = {"metadata": {"$deleteFromPrimitiveList/finalizers": [HOLD]}}


@pytest.fixture
def held_pod(api, gated_pod):
    """Create a pod without a node that a finalizer holds."""

    def made(*finalizers, name="p"):
        body = gated_pod(name)
        body["metadata"] |= {"finalizers": list(finalizers or [HOLD]), "labels": {"set": "held"}}
        return api.made("pods", body)

    return made


@pytest.mark.parametrize("options", [None, {"gracePeriodSeconds": 0}, {"gracePeriodSeconds": 60}])
def test_a_pod_without_a_node_is_held(api, held_pod, options):
    """Without a grace, whatever was asked for; its phase stays."""
    made = held_pod()
    answer = api.ok(api.delete("pods", "p", options))
    held = api.ok(api.get("pods", "p"))
    for pod in (answer, held):
        meta = pod["metadata"]
        assert (meta["deletionGracePeriodSeconds"], meta["finalizers"]) == (0, [HOLD])
        assert meta["deletionTimestamp"]
        assert meta["generation"] == made["metadata"]["generation"] + 1
    assert held["status"]["phase"] == "Pending"


def test_a_held_pod_that_is_deleted_again_stays_as_it_is(api, held_pod):
    held_pod()
    first = api.ok(api.delete("pods", "p"))
    again = api.ok(api.delete("pods", "p", {"gracePeriodSeconds": 0}))
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert again["metadata"]["deletionTimestamp"] == first["metadata"]["deletionTimestamp"]


def test_a_collection_is_held_too(api, held_pod, gated_pod):
    for name in ("a", "b"):
        held_pod(name=name)
    api.made("pods", gated_pod("free"))
    api.ok(api.delete("pods"))
    left = api.listed("pods")["items"]
    assert [pod["metadata"]["name"] for pod in left] == ["a", "b"]
    assert all(pod["metadata"]["deletionTimestamp"] for pod in left)


def test_an_ended_pod_is_held(api, held_pod):
    """A deletion changes nothing of its end."""
    held_pod()
    api.ok(api.patch("pods", "p", {"status": {"phase": "Succeeded"}}, part="status"))
    api.ok(api.delete("pods", "p"))
    assert api.ok(api.get("pods", "p"))["status"]["phase"] == "Succeeded"


@pytest.mark.parametrize(
    ("media", "patch"),
    [
        ("application/merge-patch+json", {"metadata": {"finalizers": None}}),
        ("application/merge-patch+json", {"metadata": {"finalizers": []}}),
        (STRATEGIC, RELEASE),
        (STRATEGIC, {"metadata": {"finalizers": None}}),
        (JSON_PATCH, [{"op": "remove", "path": "/metadata/finalizers/0"}]),
    ],
)
def test_the_last_finalizer_takes_a_deleted_pod_with_it(api, held_pod, media, patch):
    """The answer is the pod as it was changed."""
    held_pod()
    api.ok(api.delete("pods", "p"))
    released = api.ok(api.patch("pods", "p", patch, media=media))
    assert "finalizers" not in released["metadata"]
    assert api.get("pods", "p").status_code == 404
    assert api.patch("pods", "p", patch, media=media).status_code == 404


def test_a_replacement_lets_a_deleted_pod_go_too(api, held_pod):
    held_pod()
    api.ok(api.delete("pods", "p"))
    body = api.ok(api.get("pods", "p"))
    del body["metadata"]["finalizers"]
    api.ok(api.replace("pods", body))
    assert api.get("pods", "p").status_code == 404


def test_a_watch_shows_the_mark_and_then_the_pod_as_it_was_held(api, held_pod):
    """W6: there is no event of a pod without its finalizer."""
    version = held_pod()["metadata"]["resourceVersion"]
    api.ok(api.delete("pods", "p"))
    api.ok(api.patch("pods", "p", RELEASE, media=STRATEGIC))
    with api.watch("pods", resourceVersion=version, fieldSelector="metadata.name=p") as events:
        seen = events.until("DELETED")
    shown = [(kind, pod["metadata"]["deletionGracePeriodSeconds"]) for kind, pod in seen]
    assert shown == [("MODIFIED", 0), ("DELETED", 0)]
    assert all(pod["metadata"]["finalizers"] == [HOLD] for _, pod in seen)


def test_a_finalizer_is_removed_beside_others(api, held_pod):
    """Once and again, also with other changes in the same patch; strangers' finalizers stay."""
    made = held_pod(HOLD, OTHER)
    patch = {"metadata": {**RELEASE["metadata"], "uid": made["metadata"]["uid"], "annotations": {"a": "1"}}}
    for _ in range(2):
        meta = api.ok(api.patch("pods", "p", patch, media=STRATEGIC))["metadata"]
        assert (meta["finalizers"], meta["annotations"]) == ([OTHER], {"a": "1"})
    api.ok(api.delete("pods", "p"))
    assert api.ok(api.get("pods", "p"))["metadata"]["finalizers"] == [OTHER]


def test_a_pod_that_is_not_deleted_survives_its_last_finalizer(api, held_pod):
    held_pod()
    released = api.ok(api.patch("pods", "p", RELEASE, media=STRATEGIC))
    assert "finalizers" not in released["metadata"]
    assert api.ok(api.get("pods", "p"))["metadata"]["uid"] == released["metadata"]["uid"]


def test_a_strategic_patch_adds_finalizers_and_orders_them(api, held_pod):
    held_pod(HOLD, OTHER)
    added = {
        "finalizers": ["tests.podrunner.io/new"],
        "$setElementOrder/finalizers": ["tests.podrunner.io/new", OTHER, HOLD],
    }
    meta = api.ok(api.patch("pods", "p", {"metadata": added}, media=STRATEGIC))["metadata"]
    assert meta["finalizers"] == ["tests.podrunner.io/new", OTHER, HOLD]


def test_a_patch_that_means_another_pod_changes_nothing(api, held_pod):
    """A1: a UID in a patch is a precondition. Its refusal is 422, not a conflict."""
    held_pod()
    wrong = {"metadata": {**RELEASE["metadata"], "uid": "other"}}
    refused = api.patch("pods", "p", wrong, media=STRATEGIC)
    assert refused.status_code == 422
    assert 'metadata.uid: Invalid value: "other": field is immutable' in refused.json()["message"]
    assert api.ok(api.get("pods", "p"))["metadata"]["finalizers"] == [HOLD]


def test_no_finalizer_is_added_to_a_deleted_pod(api, held_pod):
    """It may still be made fewer: one of two is removed, and the pod stays."""
    held_pod(HOLD, OTHER)
    api.ok(api.delete("pods", "p"))
    more = {"metadata": {"finalizers": [HOLD, OTHER, "tests.podrunner.io/b", "tests.podrunner.io/a"]}}
    refused = api.patch("pods", "p", more)
    assert refused.status_code == 422
    listed = '[]string{"tests.podrunner.io/a", "tests.podrunner.io/b"}'
    words = "no new finalizers can be added if the object is being deleted, found new finalizers"
    assert f"metadata.finalizers: Forbidden: {words} {listed}" in refused.json()["message"]
    released = api.ok(api.patch("pods", "p", RELEASE, media=STRATEGIC))
    assert released["metadata"]["finalizers"] == [OTHER]
    assert api.get("pods", "p").status_code == 200


def test_a_finalizer_has_a_domain(api, gated_pod):
    body = gated_pod("p")
    body["metadata"]["finalizers"] = [HOLD, "hold"]
    refused = api.create("pods", body)
    assert refused.status_code == 422
    words = "name is neither a standard finalizer name nor is it fully qualified"
    assert f'metadata.finalizers[1]: Invalid value: "hold": {words}' in refused.json()["message"]


def test_a_dry_run_of_a_deletion_shows_the_mark(api, held_pod):
    held_pod()
    shown = api.ok(api.delete("pods", "p", {"dryRun": ["All"]}))
    assert shown["metadata"]["deletionTimestamp"]
    assert "deletionTimestamp" not in api.ok(api.get("pods", "p"))["metadata"]


def test_a_writer_cannot_mark_an_object_as_deleted(api, held_pod):
    held_pod()
    refused = api.patch("pods", "p", {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    assert refused.status_code == 422
    assert "metadata.deletionTimestamp: Invalid value: " in refused.json()["message"]
    assert "deletionTimestamp" not in api.ok(api.get("pods", "p"))["metadata"]
