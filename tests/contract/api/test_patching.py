"""Patches: merge, strategic, JSON, and server-side apply."""

from __future__ import annotations

import json

import pytest

from .conftest import APPLY, JSON_PATCH, MERGE, STRATEGIC


def containers(pod):
    return {each["name"]: each["image"] for each in pod["spec"]["containers"]}


def test_a_merge_patch_replaces_lists_and_removes_by_null(api, config_map):
    api.made("configmaps", config_map("a", x="1", y="2"))
    patched = api.ok(api.patch("configmaps", "a", {"data": {"x": None, "z": "3"}}))
    assert patched["data"] == {"y": "2", "z": "3"}


def test_a_strategic_patch_merges_containers_by_name(api, gated_pod):
    pod = gated_pod("p", containers=[{"name": "one", "image": "a:1"}, {"name": "two", "image": "b:1"}])
    api.made("pods", pod)
    patch = {"spec": {"containers": [{"name": "two", "image": "b:2"}]}}
    patched = api.ok(api.patch("pods", "p", patch, media=STRATEGIC))
    assert containers(patched) == {"one": "a:1", "two": "b:2"}


def test_a_merge_patch_that_removes_a_container_is_refused(api, gated_pod):
    pod = gated_pod("p", containers=[{"name": "one", "image": "a:1"}, {"name": "two", "image": "b:1"}])
    api.made("pods", pod)
    refused = api.patch("pods", "p", {"spec": {"containers": [{"name": "two", "image": "b:2"}]}})
    assert refused.status_code == 422
    assert "pod updates may not add or remove containers" in refused.text


def test_a_json_patch_tests_before_it_changes(api, config_map):
    api.made("configmaps", config_map("a", x="1"))
    steps = [
        {"op": "test", "path": "/data/x", "value": "1"},
        {"op": "replace", "path": "/data/x", "value": "2"},
    ]
    assert api.ok(api.patch("configmaps", "a", steps, media=JSON_PATCH))["data"] == {"x": "2"}
    refused = api.patch("configmaps", "a", steps, media=JSON_PATCH)
    assert refused.status_code == 422
    assert refused.json()["reason"] == "Invalid"


def test_a_patch_with_an_old_version_is_a_conflict(api, config_map):
    """A1: adoption is compare-and-swap."""
    made = api.made("configmaps", config_map("a"))
    version = made["metadata"]["resourceVersion"]
    swap = {"metadata": {"resourceVersion": version, "labels": {"owner": "me"}}}
    assert api.patch("configmaps", "a", swap).status_code == 200
    assert api.patch("configmaps", "a", swap).status_code == 409


def test_a_patch_cannot_rename(api, config_map):
    api.made("configmaps", config_map("a"))
    refused = api.patch("configmaps", "a", {"metadata": {"name": "b"}})
    assert refused.status_code == 400
    assert refused.json()["message"] == "the name of the object (b) does not match the name on the URL (a)"


@pytest.mark.parametrize(
    ("media", "body"), [(MERGE, "["), (MERGE, "[]"), (JSON_PATCH, "{}"), (STRATEGIC, "3")]
)
def test_a_malformed_patch_is_400(api, config_map, media, body):
    api.made("configmaps", config_map("a"))
    refused = api.http.patch(api.path("configmaps", "a"), content=body, headers={"Content-Type": media})
    assert refused.status_code == 400


def test_an_unknown_media_type_is_415(api, config_map):
    api.made("configmaps", config_map("a"))
    assert api.patch("configmaps", "a", {}, media="application/json").status_code == 415


def test_a_patch_of_a_missing_object_is_404(api):
    assert api.patch("configmaps", "nope", {}).status_code == 404


def test_server_side_apply_creates_then_changes(api):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}
    first = api.patch("configmaps", "a", body, media=APPLY, fieldManager="tests")
    assert first.status_code == 201
    body["data"] = {"x": "2"}
    second = api.patch("configmaps", "a", body, media=APPLY, fieldManager="tests")
    assert second.status_code == 200
    assert second.json()["data"] == {"x": "2"}


def test_server_side_apply_removes_what_the_manager_no_longer_names(api):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1", "y": "1"}}
    api.ok(api.patch("configmaps", "a", body, media=APPLY, fieldManager="tests"))
    api.ok(api.patch("configmaps", "a", {"data": {"z": "1"}}))
    body["data"] = {"x": "1"}
    assert api.ok(api.patch("configmaps", "a", body, media=APPLY, fieldManager="tests"))["data"] == {
        "x": "1",
        "z": "1",
    }
    body["data"] = {}
    other = api.ok(api.patch("configmaps", "a", body, media=APPLY, fieldManager="others"))
    assert other["data"] == {"x": "1", "z": "1"}


def test_server_side_apply_requires_a_field_manager(api):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    refused = api.patch("configmaps", "a", body, media=APPLY)
    assert refused.status_code == 422
    assert "fieldManager: Required value: is required for apply patch" in refused.json()["message"]


def test_a_body_may_be_yaml(api):
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: by-yaml, annotations: {at: 2001-01-01T00:00:00Z}}\n"
    headers = {"Content-Type": "application/yaml"}
    made = api.ok(api.http.post(api.path("configmaps"), content=text, headers=headers))
    assert made["metadata"]["annotations"] == {"at": "2001-01-01T00:00:00Z"}
    shown = api.get("configmaps", "by-yaml", accept="application/yaml")
    assert shown.headers["Content-Type"].startswith("application/yaml")
    assert "name: by-yaml" in shown.text


def test_invalid_json_is_400(api):
    refused = api.http.post(
        api.path("configmaps"), content="{bad", headers={"Content-Type": "application/json"}
    )
    assert refused.status_code == 400
    assert refused.json()["reason"] == "BadRequest"
    assert "the object provided is unrecognized (must be of type ConfigMap)" in refused.json()["message"]
    assert json.loads(refused.text)["code"] == 400
