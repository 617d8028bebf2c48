"""The store: versions, history, snapshots of the past, atomic updates."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.local.api.status import StatusError
from podrunner.local.api.storage.store import Store, rfc3339


def config_map(name, namespace="default", **data):
    return {"metadata": {"name": name, "namespace": namespace}, "data": data}


@pytest.fixture
def store():
    return Store(now=lambda: datetime(2026, 1, 31, tzinfo=UTC))


def test_versions_rise_over_all_resources(store):
    first = store.create("configmaps", config_map("a"))
    second = store.create("secrets", config_map("a"))
    assert int(second["metadata"]["resourceVersion"]) == int(first["metadata"]["resourceVersion"]) + 1
    assert store.version == int(second["metadata"]["resourceVersion"])
    assert first["metadata"]["creationTimestamp"] == "2026-01-31T00:00:00Z"


def test_an_update_gets_a_copy_and_no_change_is_no_event(store):
    seen = []
    store.create("configmaps", config_map("a", x="1"))
    store.subscribe("configmaps", lambda kind, obj: seen.append((kind, obj["data"])))
    before = store.get("configmaps", "default", "a")

    def change(obj):
        obj["data"]["x"] = "2"
        return obj

    after = store.update("configmaps", "default", "a", change)
    assert (before["data"], after["data"]) == ({"x": "1"}, {"x": "2"})
    assert store.update("configmaps", "default", "a", lambda obj: obj) is after
    assert seen == [("MODIFIED", {"x": "2"})]


def test_identity_survives_an_update(store):
    made = store.create("configmaps", config_map("a"))
    after = store.update("configmaps", "default", "a", lambda _: config_map("b", y="1"))
    assert after["metadata"]["name"] == "a"
    assert after["metadata"]["uid"] == made["metadata"]["uid"]


def test_an_update_that_raises_changes_nothing(store):
    made = store.create("configmaps", config_map("a"))
    with pytest.raises(ZeroDivisionError):
        store.update("configmaps", "default", "a", lambda _: 1 / 0)
    assert store.get("configmaps", "default", "a") is made


def test_removal_looks_at_the_uid(store):
    made = store.create("configmaps", config_map("a"))
    with pytest.raises(StatusError) as refused:
        store.remove("configmaps", "default", "a", uid="other")
    assert refused.value.code == 409
    gone = store.remove("configmaps", "default", "a", uid=made["metadata"]["uid"])
    assert int(gone["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    with pytest.raises(StatusError, match="404"):
        store.get("configmaps", "default", "a")
    assert store.find("configmaps", "default", "a") is None


def test_no_call_comes_after_unsubscribing(store):
    seen = []
    stop = store.subscribe("configmaps", lambda *change: seen.append(change))
    stop()
    stop()
    store.create("configmaps", config_map("a"))
    assert not seen


def test_compacted_history_is_410(store):
    """W1: a reader that is too far behind gets 410."""
    start = store.version
    store.create("configmaps", config_map("a"))
    assert len(store.changes_since("configmaps", start)) == 1
    store.compact()
    with pytest.raises(StatusError) as refused:
        store.changes_since("configmaps", start)
    assert (refused.value.code, refused.value.reason) == (410, "Expired")
    with pytest.raises(StatusError):
        store.list_at("configmaps", start)
    assert store.changes_since("configmaps", store.version) == []


def test_history_is_bounded():
    store = Store(history=10)
    for number in range(100):
        store.create("configmaps", config_map(f"c{number}"))
    with pytest.raises(StatusError, match="too old resource version"):
        store.changes_since("configmaps", 2)
    assert 10 <= len(store.changes_since("configmaps", store.version - 10)) <= 15


def test_times_are_in_utc():
    assert rfc3339(datetime.fromisoformat("2026-01-31T02:00:00+02:00")) == "2026-01-31T00:00:00Z"


steps = st.lists(st.tuples(st.sampled_from(["put", "change", "drop"]), st.sampled_from("abc")), max_size=25)


@given(steps)
def test_any_past_version_can_be_listed(moves):
    """W14: pages of a list show one moment, whatever happens meanwhile."""
    store = Store()
    past = {store.version: {}}
    for number, (move, name) in enumerate(moves):
        present = store.find("configmaps", "default", name)
        if move == "put" and not present:
            store.create("configmaps", config_map(name, n=str(number)))
        elif move == "change" and present:
            store.update("configmaps", "default", name, lambda obj, n=number: {**obj, "data": {"n": str(n)}})
        elif move == "drop" and present:
            store.remove("configmaps", "default", name)
        past[store.version] = {obj["metadata"]["name"]: obj["data"] for obj in store.list("configmaps")}
    for version, objects in past.items():
        listed = store.list_at("configmaps", version)
        assert {obj["metadata"]["name"]: obj["data"] for obj in listed} == objects


@given(steps)
def test_history_replayed_is_the_present(moves):
    """W7: a list and the changes since make the present, without loss."""
    store = Store()
    start = store.version
    for move, name in moves:
        present = store.find("configmaps", "default", name)
        if move == "put" and not present:
            store.create("configmaps", config_map(name))
        elif move == "drop" and present:
            store.remove("configmaps", "default", name)
    known = set()
    for change in store.changes_since("configmaps", start):
        name = change.obj["metadata"]["name"]
        known = known - {name} if change.type == "DELETED" else known | {name}
    assert known == {obj["metadata"]["name"] for obj in store.list("configmaps")}
