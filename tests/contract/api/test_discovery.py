"""Discovery: versions, groups, resources, schemas and health; authentication and access reviews."""

from __future__ import annotations

import pytest

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def test_a_request_without_the_token_is_401(cluster):
    with cluster.http() as http:
        for header in ("Bearer wrong", "Basic eDp5", "Bearer"):
            refused = http.get("/api/v1/namespaces/default/pods", headers={"Authorization": header})
            assert refused.status_code in {401, 403}
        wrong = http.get("/api/v1/pods", headers={"Authorization": "Bearer wrong"})
        assert wrong.status_code == 401
        assert wrong.json()["reason"] == "Unauthorized"
        assert wrong.json()["message"] == "Unauthorized"


def test_the_version_is_served(api):
    version = api.ok(api.http.get("/version"))
    assert version["major"] == "1"
    assert version["gitVersion"].startswith("v1.")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/livez"])
def test_the_server_is_healthy(api, path):
    answer = api.http.get(path)
    assert (answer.status_code, answer.text) == (200, "ok")


def test_the_core_group_lists_its_resources(api):
    found = api.ok(api.http.get("/api/v1"))
    resources = {each["name"]: each for each in found["resources"]}
    assert found["groupVersion"] == "v1"
    assert resources["pods"]["shortNames"] == ["po"]
    assert resources["pods"]["namespaced"] is True
    assert set(resources["pods"]["verbs"]) == {
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch",
    }
    assert resources["nodes"]["namespaced"] is False
    assert resources["pods/exec"]["kind"] == "PodExecOptions"
    assert resources["pods/eviction"]["group"] == "policy"


def test_each_group_lists_its_versions(api):
    groups = {each["name"]: each for each in api.ok(api.http.get("/apis"))["groups"]}
    assert groups["coordination.k8s.io"]["preferredVersion"] == {
        "groupVersion": "coordination.k8s.io/v1",
        "version": "v1",
    }
    one = api.ok(api.http.get("/apis/coordination.k8s.io"))
    assert (one["kind"], one["name"]) == ("APIGroup", "coordination.k8s.io")
    leases = api.ok(api.http.get("/apis/coordination.k8s.io/v1"))["resources"]
    assert "leases" in {each["name"] for each in leases}


def test_aggregated_discovery_is_one_answer(api):
    for path in ("/api", "/apis"):
        answer = api.http.get(path, headers={"Accept": f"{AGGREGATED},application/json"})
        assert "as=APIGroupDiscoveryList" in answer.headers["Content-Type"]
        found = api.ok(answer)
        assert found["kind"] == "APIGroupDiscoveryList"
    core = api.ok(api.http.get("/api", headers={"Accept": AGGREGATED}))["items"][0]["versions"][0]
    pods = next(each for each in core["resources"] if each["resource"] == "pods")
    assert pods["responseKind"]["kind"] == "Pod"
    assert pods["scope"] == "Namespaced"
    assert "exec" in {each["subresource"] for each in pods["subresources"]}


def test_openapi_schemas_are_served(api):
    paths = api.ok(api.http.get("/openapi/v3"))["paths"]
    document = api.ok(api.http.get(paths["api/v1"]["serverRelativeURL"]))
    container = document["components"]["schemas"]["io.k8s.api.core.v1.Container"]
    assert container["required"] == ["name"]
    patch = document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "", "version": "v1", "kind": "Pod"}
    old = api.ok(api.http.get("/openapi/v2"))
    assert old["definitions"]["io.k8s.api.core.v1.Pod"]["type"] == "object"


def test_an_unknown_path_is_404(api):
    assert api.http.get("/nope").status_code == 404
    missing = api.http.get("/api/v1/nothings")
    assert missing.status_code == 404
    assert missing.json()["message"] == "the server could not find the requested resource"
    assert api.http.get("/apis/nope.example/v1/things").status_code == 404


def test_reviews_name_the_user_and_its_rights(api):
    review = api.ok(api.http.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", json={}))
    assert "system:masters" in review["status"]["userInfo"]["groups"]
    question = {
        "spec": {"resourceAttributes": {"verb": "create", "resource": "pods", "namespace": "default"}}
    }
    access = api.ok(api.http.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", json=question))
    assert access["status"]["allowed"] is True
    rules = api.http.post(
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", json={"spec": {"namespace": "default"}}
    )
    assert api.ok(rules)["status"]["resourceRules"]
