"""Watches: their start, their events and their end."""

from __future__ import annotations

import pytest

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def brief(events):
    return [(kind, obj["metadata"]["name"]) for kind, obj in events]


def test_a_watch_from_a_list_misses_nothing_and_repeats_nothing(api, config_map):
    """W7: list, then watch from its version."""
    api.made("configmaps", config_map("a"))
    version = api.listed("configmaps")["metadata"]["resourceVersion"]
    api.made("configmaps", config_map("b"))
    api.ok(api.patch("configmaps", "b", {"data": {"x": "1"}}))
    api.ok(api.delete("configmaps", "b"))
    with api.watch("configmaps", resourceVersion=version) as events:
        seen = events.until("DELETED")
    assert brief(seen) == [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "b")]
    versions = [int(obj["metadata"]["resourceVersion"]) for _, obj in seen]
    assert versions == sorted(set(versions))
    assert versions[0] > int(version)
    assert {obj["kind"] for _, obj in seen} == {"ConfigMap"}


@pytest.mark.parametrize("version", [{}, {"resourceVersion": "0"}])
def test_a_watch_without_a_version_begins_with_the_existing_objects(api, config_map, later, version):
    api.made("configmaps", config_map("a"))
    with api.watch("configmaps", fieldSelector="metadata.name!=kube-root-ca.crt", **version) as events:
        assert brief([events.next()]) == [("ADDED", "a")]
        later(api.made, "configmaps", config_map("b"))
        assert brief([events.next()]) == [("ADDED", "b")]


def test_an_object_that_begins_to_match_is_added_and_one_that_stops_is_deleted(api, config_map):
    """A1, W5: for the watch, an object that another owner adopts is deleted, at a newer version."""
    version = api.made("configmaps", config_map("a"))["metadata"]["resourceVersion"]
    api.ok(api.patch("configmaps", "a", {"metadata": {"labels": {"owner": "me"}}}))
    api.ok(api.patch("configmaps", "a", {"data": {"x": "1"}}))
    last = api.ok(api.patch("configmaps", "a", {"metadata": {"labels": {"owner": "you"}}}))
    with api.watch("configmaps", resourceVersion=version, labelSelector="owner=me") as events:
        seen = events.until("DELETED")
    assert [kind for kind, _ in seen] == ["ADDED", "MODIFIED", "DELETED"]
    gone = seen[-1][1]
    assert gone["metadata"]["labels"] == {"owner": "me"}
    assert gone["metadata"]["resourceVersion"] == last["metadata"]["resourceVersion"]
    assert "deletionTimestamp" not in gone["metadata"]


def test_the_last_state_comes_with_the_deletion(api, gated_pod):
    """W6: the DELETED event has a status that no event before had."""
    version = api.made("pods", gated_pod("p"))["metadata"]["resourceVersion"]
    api.ok(api.patch("pods", "p", {"status": {"phase": "Succeeded"}}, part="status"))
    api.ok(api.delete("pods", "p"))
    with api.watch("pods", resourceVersion=version) as events:
        _, last = events.until("DELETED")[-1]
    assert last["status"]["phase"] == "Succeeded"


def test_a_recreated_name_is_another_uid(api, gated_pod):
    """W9: same name, two pods."""
    first = api.made("pods", gated_pod("p"))
    api.ok(api.delete("pods", "p"))
    second = api.made("pods", gated_pod("p"))
    with api.watch("pods", resourceVersion=first["metadata"]["resourceVersion"]) as events:
        seen = events.until("ADDED")
    assert seen[-2][1]["metadata"]["uid"] == first["metadata"]["uid"]
    assert seen[-1][1]["metadata"]["uid"] == second["metadata"]["uid"]


def test_a_server_timeout_ends_the_watch_without_an_error(api):
    with api.watch(
        "pods", timeoutSeconds=1, resourceVersion=api.listed("pods")["metadata"]["resourceVersion"]
    ) as events:
        assert events.rest() == []


def test_bookmarks_carry_the_version_before_the_end(api, config_map):
    version = api.listed("pods")["metadata"]["resourceVersion"]
    newest = api.made("configmaps", config_map("a"))["metadata"]["resourceVersion"]
    with api.watch("pods", timeoutSeconds=3, resourceVersion=version, allowWatchBookmarks="true") as events:
        seen = events.rest()
    assert seen
    kind, last = seen[-1]
    assert kind == "BOOKMARK"
    assert last["kind"] == "Pod"
    assert int(last["metadata"]["resourceVersion"]) >= int(version)
    assert int(newest) > int(version)


def test_a_streaming_list_ends_with_a_bookmark(api, config_map, later):
    """V4: to a client that offers no gzip."""
    api.made("configmaps", config_map("a"))
    options = {
        "sendInitialEvents": "true",
        "allowWatchBookmarks": "true",
        "resourceVersionMatch": "NotOlderThan",
        "fieldSelector": "metadata.name!=kube-root-ca.crt",
    }
    with api.watch("configmaps", **options) as events:
        seen = events.until("BOOKMARK")
        assert brief(seen[:-1]) == [("ADDED", "a")]
        assert seen[-1][1]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        later(api.made, "configmaps", config_map("b"))
        assert brief(events.until("ADDED")[-1:]) == [("ADDED", "b")]  # a plain bookmark may come before


def test_a_version_that_is_too_old_is_410(api):
    """W1: at the start of a watch, as an event."""
    with api.watch("pods", resourceVersion="1") as events:
        kind, status = events.next()
    assert kind == "ERROR"
    assert (status["code"], status["reason"]) == (410, "Expired")
    assert status["message"].startswith("too old resource version: 1 (")


def test_contradicting_options_of_streaming_lists_are_422(api):
    assert api.get("pods", watch="true", sendInitialEvents="true").status_code == 422
    assert (
        api.get("pods", watch="true", resourceVersionMatch="NotOlderThan", resourceVersion="1").status_code
        == 422
    )


def test_a_watched_table_has_its_columns_once(api, config_map, later):
    version = api.listed("configmaps")["metadata"]["resourceVersion"]
    with api.watch("configmaps", accept=TABLE, resourceVersion=version) as events:
        later(api.made, "configmaps", config_map("a", x="1"))
        _, first = events.next()
        api.ok(api.delete("configmaps", "a"))
        _, second = events.next()
    assert first["kind"] == "Table"
    assert [each["name"] for each in first["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert not second.get("columnDefinitions")
    assert second["rows"][0]["cells"][:2] == ["a", 1]


def test_one_object_is_watched_by_its_name(api, config_map):
    api.made("configmaps", config_map("b"))
    version = api.made("configmaps", config_map("a"))["metadata"]["resourceVersion"]
    api.ok(api.delete("configmaps", "b"))
    api.ok(api.delete("configmaps", "a"))
    with api.watch("configmaps", resourceVersion=version, fieldSelector="metadata.name=a") as events:
        assert brief([events.next()]) == [("DELETED", "a")]
