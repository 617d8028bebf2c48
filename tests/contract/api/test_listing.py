"""Lists: selectors, pages of one version, resource versions, and invalid parameters."""

from __future__ import annotations

import pytest


def names(page):
    return [each["metadata"]["name"] for each in page["items"]]


@pytest.fixture
def colors(api, gated_pod):
    """Create three pods with labels."""
    for name, labels in (
        ("a", {"color": "red", "n": "1"}),
        ("b", {"color": "blue", "n": "2"}),
        ("c", {"n": "3"}),
    ):
        pod = gated_pod(name)
        pod["metadata"]["labels"] = labels
        api.made("pods", pod)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("color=red", "a"),
        ("color==red", "a"),
        ("color!=red", "bc"),
        ("color in (red, blue)", "ab"),
        ("color notin (red)", "bc"),
        ("color", "ab"),
        ("!color", "c"),
        ("n>1", "bc"),
        ("n<3,color", "ab"),
        ("color=red,n=2", ""),
        ("", "abc"),
    ],
)
def test_a_label_selector_selects(api, colors, selector, expected):
    assert names(api.listed("pods", labelSelector=selector)) == list(expected)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("metadata.name=b", "b"),
        ("metadata.name!=b", "ac"),
        ("status.phase=Pending", "abc"),
        ("status.phase!=Pending", ""),
        ("spec.nodeName=", "abc"),
        ("spec.restartPolicy=Always,metadata.name=a", "a"),
    ],
)
def test_a_field_selector_selects(api, colors, selector, expected):
    assert names(api.listed("pods", fieldSelector=selector)) == list(expected)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"fieldSelector": "spec.foo=1"}, "field label not supported: spec.foo"),
        ({"fieldSelector": "foo"}, "invalid selector: 'foo'; can't understand 'foo'"),
        ({"labelSelector": "a b"}, "unable to parse requirement"),
        ({"labelSelector": "a in (b"}, "unable to parse requirement"),
        ({"limit": "many"}, 'strconv.ParseInt: parsing "many": invalid syntax'),
        ({"resourceVersion": "x"}, 'parsing "x": invalid syntax'),
        ({"continue": "x"}, "continue key is not valid"),
    ],
)
def test_invalid_parameters_are_400(api, params, message):
    refused = api.get("pods", **params)
    assert refused.status_code == 400
    assert message in refused.json()["message"]


@pytest.mark.parametrize(
    "params",
    [
        {"resourceVersionMatch": "Exact"},
        {"resourceVersionMatch": "Exact", "resourceVersion": "0"},
        {"resourceVersionMatch": "Sometimes", "resourceVersion": "1"},
        {"sendInitialEvents": "true"},
    ],
)
def test_options_that_contradict_each_other_are_422(api, params):
    assert api.get("pods", **params).status_code == 422


def test_items_of_a_list_carry_no_kind_and_the_list_does(api, colors):
    page = api.listed("pods")
    assert (page["kind"], page["apiVersion"]) == ("PodList", "v1")
    assert int(page["metadata"]["resourceVersion"]) > 0
    assert all("kind" not in each and "apiVersion" not in each for each in page["items"])


def test_all_pages_have_the_same_version(api, colors, gated_pod):
    """W14: an object created meanwhile is in no later page, an object deleted meanwhile still is."""
    first = api.listed("pods", limit=1)
    assert names(first) == ["a"]
    assert first["metadata"]["remainingItemCount"] == 2
    api.made("pods", gated_pod("bb"))
    api.ok(api.delete("pods", "c"))
    token = first["metadata"]["continue"]
    second = api.listed("pods", limit=1, **{"continue": token})
    assert names(second) == ["b"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    third = api.listed("pods", limit=5, **{"continue": second["metadata"]["continue"]})
    assert names(third) == ["c"]
    assert "continue" not in third["metadata"]
    assert names(api.listed("pods")) == ["a", "b", "bb"]


def test_a_page_of_a_selection_is_full_and_says_nothing_about_the_rest(api, colors):
    page = api.listed("pods", limit=1, labelSelector="n>1")
    assert names(page) == ["b"]
    assert "remainingItemCount" not in page["metadata"]
    assert names(
        api.listed("pods", limit=1, labelSelector="n>1", **{"continue": page["metadata"]["continue"]})
    ) == ["c"]


def test_a_list_at_an_exact_version_shows_the_past(api, colors):
    before = api.listed("pods")["metadata"]["resourceVersion"]
    api.ok(api.delete("pods", "a"))
    past = api.listed("pods", resourceVersion=before, resourceVersionMatch="Exact")
    assert names(past) == ["a", "b", "c"]
    assert past["metadata"]["resourceVersion"] == before
    assert names(api.listed("pods", resourceVersion=before, resourceVersionMatch="NotOlderThan")) == [
        "b",
        "c",
    ]
    assert names(api.listed("pods", resourceVersion="0")) in (["b", "c"], ["a", "b", "c"])


def test_all_namespaces_are_listed_at_once(api, colors):
    page = api.ok(api.http.get("/api/v1/pods", params={"labelSelector": "color=red"}))
    assert (api.namespace, "a") in {
        (each["metadata"]["namespace"], each["metadata"]["name"]) for each in page["items"]
    }


def test_an_unknown_namespace_is_empty(api):
    page = api.ok(api.http.get("/api/v1/namespaces/no-such-one/pods"))
    assert page["items"] == []
