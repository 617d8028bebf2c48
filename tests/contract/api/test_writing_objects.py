"""Create, replace, delete: identity, versions, conflicts, and error messages."""

from __future__ import annotations

import pytest


def causes(response):
    return {(each["reason"], each["field"]) for each in response.json()["details"]["causes"]}


def test_a_new_object_gets_identity_version_and_time(api, config_map):
    made = api.made("configmaps", config_map("a", x="1"))
    meta = made["metadata"]
    assert meta["uid"]
    assert int(meta["resourceVersion"]) > 0
    assert meta["creationTimestamp"].endswith("Z")
    assert meta["namespace"] == api.namespace
    assert api.ok(api.get("configmaps", "a")) == made


def test_the_server_ignores_fields_that_only_it_sets(api, config_map):
    body = config_map("a")
    body["metadata"] |= {"uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "generation": 7}
    meta = api.made("configmaps", body)["metadata"]
    assert meta["uid"] != "mine"
    assert not meta["creationTimestamp"].startswith("2001")


def test_a_taken_name_is_refused_with_409_already_exists(api, config_map):
    api.made("configmaps", config_map("a"))
    refused = api.create("configmaps", config_map("a"))
    assert refused.status_code == 409
    status = refused.json()
    assert status["reason"] == "AlreadyExists"
    assert status["message"] == 'configmaps "a" already exists'
    assert status["details"] == {"name": "a", "kind": "configmaps"}


def test_generate_name_appends_five_consonants_and_digits(api):
    names = {
        api.made("configmaps", {"metadata": {"generateName": "job-"}})["metadata"]["name"] for _ in range(5)
    }
    assert len(names) == 5
    assert all(len(name) == 9 and not set(name[4:]) & set("aeiou01") for name in names)


def test_a_missing_object_is_404_with_kubernetes_message(api):
    missing = api.get("pods", "nope")
    assert missing.status_code == 404
    assert missing.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'pods "nope" not found',
        "reason": "NotFound",
        "details": {"name": "nope", "kind": "pods"},
        "code": 404,
    }
    lease = api.get("leases", "nope").json()
    assert lease["message"] == 'leases.coordination.k8s.io "nope" not found'
    assert lease["details"]["group"] == "coordination.k8s.io"


def test_the_second_writer_of_a_version_gets_409(api, config_map):
    """L1: a client that lost a race gets 409."""
    first = api.made("configmaps", config_map("a", x="1"))
    assert api.replace("configmaps", {**first, "data": {"x": "2"}}).status_code == 200
    late = api.replace("configmaps", {**first, "data": {"x": "3"}})
    assert late.status_code == 409
    assert late.json()["reason"] == "Conflict"
    message = "the object has been modified; please apply your changes to the latest version and try again"
    assert late.json()["message"] == f'Operation cannot be fulfilled on configmaps "a": {message}'
    assert api.listed("configmaps", fieldSelector="metadata.name=a")["items"][0]["data"] == {"x": "2"}


def test_a_replace_without_a_version_overwrites(api, config_map):
    api.made("configmaps", config_map("a", x="1"))
    assert api.ok(api.replace("configmaps", config_map("a", y="2")))["data"] == {"y": "2"}


def test_a_lease_cannot_be_replaced_without_its_version(api):
    """A1: a lease can only be changed by compare-and-swap."""
    lease = api.made("leases", {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}})
    blind = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "you"}}
    refused = api.replace("leases", blind)
    assert refused.status_code == 422
    assert causes(refused) == {("FieldValueInvalid", "metadata.resourceVersion")}
    lease["spec"]["holderIdentity"] = "you"
    assert api.ok(api.replace("leases", lease))["spec"]["holderIdentity"] == "you"
    assert api.replace("leases", lease).status_code == 409


def test_another_uid_in_a_replace_is_a_conflict(api, config_map):
    """W9: the same name may be another object by now."""
    made = api.made("configmaps", config_map("a"))
    made["metadata"] |= {"uid": "11111111-1111-1111-1111-111111111111", "resourceVersion": ""}
    assert api.replace("configmaps", made).status_code == 409


def test_a_replace_that_changes_nothing_keeps_the_version(api, config_map):
    made = api.made("configmaps", config_map("a", x="1"))
    again = api.ok(api.replace("configmaps", made))
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"namespace": "elsewhere"},
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        ({"name": "b"}, "the name of the object (b) does not match the name on the URL (a)"),
    ],
)
def test_a_body_that_contradicts_its_path_is_400(api, config_map, change, message):
    body = api.made("configmaps", config_map("a"))
    body["metadata"] |= change
    refused = api.http.put(api.path("configmaps", "a"), json=body)
    assert refused.status_code == 400
    assert refused.json()["message"] == message


def test_a_version_on_a_new_object_is_refused(api, config_map):
    body = config_map("a")
    body["metadata"]["resourceVersion"] = "5"
    assert "resourceVersion should not be set on objects to be created" in api.create("configmaps", body).text


def test_a_missing_namespace_is_404(api, config_map):
    refused = api.http.post("/api/v1/namespaces/no-such-one/configmaps", json=config_map("a"))
    assert refused.status_code == 404
    assert refused.json()["message"] == 'namespaces "no-such-one" not found'


def test_a_dry_run_changes_nothing(api, config_map, gated_pod):
    made = api.made("pods", gated_pod("dry"), dryRun="All")
    assert made["metadata"]["uid"]
    assert "resourceVersion" not in made["metadata"]
    assert api.get("pods", "dry").status_code == 404
    api.made("configmaps", config_map("a", x="1"))
    shown = api.ok(api.patch("configmaps", "a", {"data": {"x": "2"}}, dryRun="All"))
    assert shown["data"] == {"x": "2"}
    api.ok(api.delete("configmaps", "a", dryRun="All"))
    assert api.ok(api.get("configmaps", "a"))["data"] == {"x": "1"}
    assert api.create("configmaps", config_map("a"), dryRun="All").status_code == 409
    assert api.create("configmaps", config_map("b"), dryRun="Some").status_code == 422


def test_deletion_answers_with_a_status_or_the_last_state(api, config_map, gated_pod):
    made = api.made("configmaps", config_map("a"))
    status = api.ok(api.delete("configmaps", "a"))
    assert status["status"] == "Success"
    assert status["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    api.made("pods", gated_pod("p"))
    assert api.ok(api.delete("pods", "p"))["kind"] == "Pod"
    assert api.get("pods", "p").status_code == 404
    assert api.delete("pods", "p").status_code == 404


@pytest.mark.parametrize("field", ["uid", "resourceVersion"])
def test_a_deletion_with_a_wrong_precondition_deletes_nothing(api, gated_pod, field):
    """L2, W9: a newer pod of the same name is not deleted."""
    api.made("pods", gated_pod("p"))
    wrong = {"uid": "11111111-1111-1111-1111-111111111111", "resourceVersion": "1"}
    refused = api.delete("pods", "p", {"preconditions": {field: wrong[field]}})
    assert refused.status_code == 409
    assert "in the precondition" in refused.json()["message"]
    assert api.get("pods", "p").status_code == 200


def test_a_right_precondition_deletes(api, gated_pod):
    made = api.made("pods", gated_pod("p"))
    assert api.delete("pods", "p", {"preconditions": {"uid": made["metadata"]["uid"]}}).status_code == 200


def test_a_finalizer_holds_an_object_until_it_is_removed(api, gated_pod):
    """P9: the finalizer that holds a pod is visible, and can be removed."""
    body = gated_pod("p")
    body["metadata"]["finalizers"] = ["tests.podrunner.io/hold"]
    api.made("pods", body)
    api.ok(api.delete("pods", "p"))
    held = api.ok(api.get("pods", "p"))
    assert held["metadata"]["deletionTimestamp"]
    assert held["metadata"]["deletionGracePeriodSeconds"] == 0
    more = {"metadata": {"finalizers": ["tests.podrunner.io/hold", "tests.podrunner.io/new"]}}
    assert api.patch("pods", "p", more).status_code == 422
    api.ok(api.patch("pods", "p", {"metadata": {"finalizers": None}}))
    assert api.get("pods", "p").status_code == 404


def test_a_collection_is_deleted_by_selector(api, config_map):
    for name, color in (("a", "red"), ("b", "red"), ("c", "blue")):
        body = config_map(name)
        body["metadata"]["labels"] = {"color": color}
        api.made("configmaps", body)
    api.ok(api.delete("configmaps", labelSelector="color=red"))
    remaining = {each["metadata"]["name"] for each in api.listed("configmaps")["items"]}
    assert "c" in remaining
    assert not remaining & {"a", "b"}


def test_an_unsupported_verb_is_405(api, gated_pod):
    api.made("pods", gated_pod("p"))
    for refused in (
        api.http.post(api.path("pods", "p"), json=gated_pod("p")),
        api.http.delete("/api/v1/namespaces"),
        api.http.get("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
    ):
        assert refused.status_code == 405
        assert refused.json()["reason"] == "MethodNotAllowed"
        assert refused.json()["message"] == "the server does not allow this method on the requested resource"


def test_status_and_spec_are_written_separately(api, gated_pod):
    api.made("pods", gated_pod("p"))
    both = {
        "metadata": {"labels": {"a": "b"}},
        "status": {"phase": "Running"},
        "spec": {"activeDeadlineSeconds": 5},
    }
    plain = api.ok(api.patch("pods", "p", both))
    assert plain["status"]["phase"] == "Pending"
    assert plain["spec"]["activeDeadlineSeconds"] == 5
    both["spec"]["activeDeadlineSeconds"] = 3
    status = api.ok(api.patch("pods", "p", both, part="status"))
    assert status["status"]["phase"] == "Running"
    assert status["spec"]["activeDeadlineSeconds"] == 5


def test_string_data_is_stored_in_data(api):
    made = api.made("secrets", {"metadata": {"name": "s"}, "stringData": {"a": "b"}, "data": {"c": "ZA=="}})
    assert made["data"] == {"a": "Yg==", "c": "ZA=="}
    assert "stringData" not in made
    assert made["type"] == "Opaque"


def test_immutable_maps_cannot_change(api, config_map):
    api.made("configmaps", {**config_map("a", x="1"), "immutable": True})
    refused = api.patch("configmaps", "a", {"data": {"x": "2"}})
    assert refused.status_code == 422
    assert causes(refused) == {("FieldValueForbidden", "data")}
    assert api.patch("configmaps", "a", {"immutable": False}).status_code == 422
    assert api.patch("configmaps", "a", {"metadata": {"labels": {"a": "b"}}}).status_code == 200
