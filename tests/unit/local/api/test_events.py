"""Events: the involved object, the count of repeats, expiry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from podrunner.local.api.storage.events import EventRecorder
from podrunner.local.api.storage.store import Store

POD = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {"name": "p", "namespace": "n", "uid": "u", "resourceVersion": "7"},
}


class Clock:
    def __init__(self):
        self.now = datetime(2026, 1, 31, tzinfo=UTC)

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(clock):
    return Store(now=clock)


@pytest.fixture
def events(store):
    return EventRecorder(store, host="node")


def test_an_event_names_its_object_and_source(store, events):
    events.record(POD, reason="Started", message="Started container main", field_path="spec.containers{main}")
    (event,) = store.list("events", "n")
    assert event["involvedObject"] == {
        "kind": "Pod",
        "namespace": "n",
        "name": "p",
        "uid": "u",
        "apiVersion": "v1",
        "resourceVersion": "7",
        "fieldPath": "spec.containers{main}",
    }
    assert event["source"] == {"component": "kubelet", "host": "node"}
    assert (event["type"], event["count"]) == ("Normal", 1)
    assert event["metadata"]["name"].startswith("p.")


def test_a_repeat_is_counted(store, events, clock):
    for _ in range(3):
        events.record(POD, type="Warning", reason="BackOff", message="again")
        clock.now += timedelta(seconds=10)
    (event,) = store.list("events", "n")
    assert event["count"] == 3
    assert (event["firstTimestamp"], event["lastTimestamp"]) == (
        "2026-01-31T00:00:00Z",
        "2026-01-31T00:00:20Z",
    )


def test_another_message_is_another_event(store, events):
    for message in ("a", "b"):
        events.record(POD, reason="R", message=message)
    assert len(store.list("events")) == 2


def test_old_events_go_and_come_back_as_new(store, events, clock):
    events.record(POD, reason="R", message="m")
    clock.now += timedelta(minutes=61)
    events.expire()
    assert not store.list("events")
    events.record(POD, reason="R", message="m")
    (event,) = store.list("events")
    assert event["count"] == 1


def test_events_of_a_cluster_wide_object_are_in_default(store, events):
    events.record({"kind": "Node", "metadata": {"name": "n", "uid": "u"}}, reason="Ready", message="m")
    assert [each["metadata"]["namespace"] for each in store.list("events")] == ["default"]
