"""Discovery, documentation and answers agree: each listed resource is served, each served one is listed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from podrunner.local.api.discovery.absent import KINDS

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "local-cluster.md").read_text()
NAMED = re.compile(r"(\w+)(?: \(([^)]*)\))?")
ROW = re.compile(r"^\| `([^`]+)` \| (.+) \|$", re.MULTILINE)


@pytest.fixture(autouse=True)
def _local_only(cluster) -> None:
    if not cluster.is_local:
        pytest.skip("a real cluster has more")


def discovered(api) -> dict[str, dict]:
    """Return the resources of all groups, by the path of their collection: ``/api/v1/pods``, ``…/pods/log``."""
    groups = api.ok(api.http.get("/apis"))["groups"]
    roots = ["/api/v1", *(f"/apis/{v['groupVersion']}" for group in groups for v in group["versions"])]
    return {
        f"{root}/{each['name']}": each for root in roots for each in api.ok(api.http.get(root))["resources"]
    }


def test_each_listed_collection_is_answered(api):
    found = discovered(api)
    listed = {path for path, each in found.items() if "list" in each["verbs"]}
    asked = {path: api.http.get(path).status_code for path in listed}
    assert asked == dict.fromkeys(listed, 200)


def test_each_listed_review_is_answered(api):
    found = discovered(api)
    reviews = {
        path: each
        for path, each in found.items()
        if each["kind"].endswith("Review") and "/" not in each["name"]
    }
    assert {each["kind"] for each in reviews.values()} >= {"TokenReview", "SelfSubjectReview"}
    for path, each in reviews.items():
        where = path.replace("/v1/", "/v1/namespaces/default/") if each["namespaced"] else path
        answered = api.http.post(where, json={"spec": {}})
        assert (answered.status_code, answered.json()["kind"]) == (201, each["kind"])


def test_each_verb_that_is_not_listed_is_refused(api):
    """A verb of a listed collection that discovery does not name is 405, not an error of another kind."""
    for path, each in discovered(api).items():
        if each["namespaced"] or "/" in each["name"] or "deletecollection" in each["verbs"]:
            continue
        assert api.http.delete(path).status_code == 405, path


def test_the_page_lists_what_discovery_lists(api):
    written = {
        f"{root}/{plural}": set(re.findall(r"\w+", subresources))
        for root, cell in ROW.findall(PAGE)
        if root.startswith("/")
        for plural, subresources in NAMED.findall(cell)
    }
    listed: dict[str, set[str]] = {}
    for path in discovered(api):
        root, plural, *subresource = re.fullmatch(r"(/api/v1|/apis/[^/]+/v1)/(\w+)(?:/(\w+))?", path).groups()
        listed.setdefault(f"{root}/{plural}", set()).update(each for each in subresource if each)
    assert written == listed


def test_kinds_that_are_not_here_have_empty_lists_and_are_not_listed(api):
    """``kubectl cluster-info dump`` reads them without looking at discovery."""
    for (root, plural), kind in KINDS.items():
        answered = api.ok(api.http.get(f"{root}/{plural}"))
        assert (answered["kind"], answered["items"]) == (kind, [])
        assert api.http.post(f"{root}/namespaces/default/{plural}", json={}).status_code == 404
        assert f"{root}/{plural}" not in discovered(api)
        assert f"`{plural}`" in PAGE
