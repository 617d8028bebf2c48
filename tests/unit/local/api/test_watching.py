"""Watches on a store of the test's own: lost history, slow readers, bookmarks; and continue tokens of lost lists."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from podrunner.local.api.encoding.rendering import ObjectView
from podrunner.local.api.options import ListOptions
from podrunner.local.api.paths import parse_path
from podrunner.local.api.status import StatusError
from podrunner.local.api.storage.listing import list_page
from podrunner.local.api.storage.selectors import matches_label_selector
from podrunner.local.api.storage.store import Store
from podrunner.local.api.storage.watching import Watch
from tests.support.waiting import until

PATH = parse_path("/api/v1/namespaces/default/configmaps")
PATIENCE_S = 40.0


@pytest.fixture
def store():
    return Store(history=10)


def create(store, name):
    return store.create("configmaps", {"metadata": {"name": name, "namespace": "default"}})


class Reader:
    """Takes events, slowly if the test asks for it."""

    def __init__(self):
        self.lines = []
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()
        self.got = asyncio.Event()

    async def __call__(self, data):
        self.asked.set()
        await self.open.wait()
        self.lines += [json.loads(line) for line in data.splitlines()]
        self.got.set()

    def brief(self):
        return [(each["type"], each["object"].get("metadata", {}).get("name")) for each in self.lines]


def watch(store, reader, **options):
    view = ObjectView(PATH.type)
    interval = options.pop("interval", 60)
    watching = Watch(store, PATH, ListOptions(watch=True, **options), view, bookmark_interval_s=interval)
    return asyncio.create_task(watching.run(reader), name="watch")


@pytest.mark.asyncio
async def test_history_lost_under_a_slow_reader_is_410(store):
    """W1: in the middle of the stream."""
    reader = Reader()
    task = watch(store, reader, version=str(store.version))
    await asyncio.sleep(0)
    reader.open.clear()
    create(store, "a")
    await asyncio.wait_for(reader.asked.wait(), PATIENCE_S)
    for number in range(40):
        create(store, f"b{number}")
    reader.open.set()
    await asyncio.wait_for(task, PATIENCE_S)
    assert reader.brief()[0] == ("ADDED", "a")
    last = reader.lines[-1]
    assert (last["type"], last["object"]["code"], last["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert len(reader.lines) == 2


@pytest.mark.asyncio
async def test_bookmarks_come_while_nothing_happens(store):
    reader = Reader()
    task = watch(store, reader, version=str(store.version), bookmarks=True, interval=0.01)
    store.create("secrets", {"metadata": {"name": "s", "namespace": "default"}})
    await asyncio.wait_for(reader.got.wait(), PATIENCE_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert reader.lines[0]["type"] == "BOOKMARK"
    assert reader.lines[0]["object"]["metadata"]["resourceVersion"] == str(store.version)


@pytest.mark.asyncio
async def test_a_change_at_the_moment_of_a_bookmark_is_not_lost(store):
    """A busy loop commits a change and finds the bookmark due in the same round: the change comes nevertheless.

    It was left out, as covered by the bookmark. A runner then waited for ever for the end of that pod.
    """
    reader = Reader()
    task = watch(store, reader, version=str(store.version), bookmarks=True, interval=0.02)
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the watch waits now
    asyncio.get_running_loop().call_later(0.001, create, store, "a")
    time.sleep(0.05)  # noqa: ASYNC251  # what is due meanwhile is due at once: the change, then the bookmark
    await until(lambda: ("ADDED", "a") in reader.brief())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [each for each in reader.brief() if each[0] != "BOOKMARK"] == [("ADDED", "a")]


@pytest.mark.asyncio
async def test_many_changes_come_in_one_write(store):
    reader = Reader()
    task = watch(store, reader, version=str(store.version))
    await asyncio.sleep(0)
    for name in "abc":
        create(store, name)
    await asyncio.wait_for(reader.got.wait(), PATIENCE_S)
    assert reader.brief() == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.asyncio
async def test_no_initial_events_if_they_are_not_wanted(store):
    create(store, "a")
    reader = Reader()
    task = watch(store, reader, initial_events=False, version_match="NotOlderThan")
    await asyncio.sleep(0)
    create(store, "b")
    await asyncio.wait_for(reader.got.wait(), PATIENCE_S)
    assert reader.brief() == [("ADDED", "b")]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_continue_token_outlived_by_its_list_offers_an_inconsistent_one(store):
    for name in "abc":
        create(store, name)
    token = list_page(store, PATH, ListOptions(limit=1)).continue_token
    create(store, "bb")
    store.compact()
    with pytest.raises(StatusError) as refused:
        list_page(store, PATH, ListOptions(limit=1, continue_token=token))
    assert refused.value.code == 410
    assert refused.value.message.startswith("The provided continue parameter is too old")
    other = refused.value.body()["metadata"]["continue"]
    rest = list_page(store, PATH, ListOptions(continue_token=other))
    assert [each["metadata"]["name"] for each in rest.items] == ["b", "bb", "c"]


def test_a_list_of_the_future_is_504(store):
    with pytest.raises(StatusError) as refused:
        list_page(store, PATH, ListOptions(version="999"))
    assert refused.value.code == 504
    assert refused.value.message == f"Timeout: Too large resource version: 999, current: {store.version}"
    assert refused.value.details["retryAfterSeconds"] == 1


def test_a_list_of_a_lost_past_is_410(store):
    version = store.version
    create(store, "a")
    store.compact()
    with pytest.raises(StatusError, match="too old"):
        list_page(store, PATH, ListOptions(version=str(version), version_match="Exact"))


def test_a_token_and_a_version_contradict_each_other(store):
    with pytest.raises(StatusError, match="specifying resource version is not allowed when using continue"):
        list_page(store, PATH, ListOptions(version="1", continue_token="x"))


@pytest.mark.parametrize(
    ("rule", "matched"),
    [
        ({}, True),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Like"}]}, False),
    ],
)
def test_selectors_as_objects(rule, matched):
    assert matches_label_selector(rule, {"a": "1"}) is matched
