"""The pure decisions of the watch: what follows on what, how long to wait, what is new."""

from __future__ import annotations

from random import Random

import pytest
from podrunner.config import WatchSettings
from podrunner.errors import BadRequestError, GoneError, InvalidError, ServerError, TransportError
from podrunner.kube import AnswerTooLongError, EndlessListError
from podrunner.watch import Kind, PodStore
from podrunner.watch.backoff import WatchBackoff
from podrunner.watch.states import (
    Listing,
    NoInitialEventsError,
    ShortWatchError,
    State,
    Streaming,
    StreamingLists,
    UnreadableWatchError,
    VersionWentBackError,
    Watching,
    after_failure,
    after_page,
    is_back,
)
from tests.support.pods import pod

GONE = GoneError(status=410)
BROKEN = TransportError("reset")


@pytest.mark.parametrize(
    ("state", "error", "streaming", "following", "waits"),
    [
        (Watching(version="5"), GONE, "off", Listing(), False),
        (Watching(version="5"), GONE, "auto", Streaming(), False),
        (Watching(version="5"), BROKEN, "auto", Watching(version="5"), True),
        (Watching(version="5"), ShortWatchError(), "off", Watching(version="5"), True),
        (Listing(token="t"), GONE, "off", Listing(paged=False), False),
        (Listing(), GONE, "off", Listing(), True),
        (Listing(token="t"), ServerError(status=500), "off", Listing(token="t"), True),
        (Streaming(), InvalidError(status=422), "auto", Listing(), False),
        (Streaming(), BadRequestError(status=400), "auto", Listing(), False),
        (Streaming(), NoInitialEventsError(), "auto", Listing(), False),
        (Streaming(), InvalidError(status=422), "on", Streaming(), True),
        (Streaming(), BROKEN, "auto", Streaming(), True),
        (Watching(version="5"), VersionWentBackError(), "off", Listing(), False),
        (Watching(version="5"), VersionWentBackError(), "auto", Streaming(), False),
        (Watching(version="5"), UnreadableWatchError(), "off", Watching(version="5"), True),
        (Listing(token="t"), VersionWentBackError(), "off", Listing(), True),
        (Listing(token="t"), EndlessListError("endless"), "off", Listing(), True),
        (Listing(token="t", halvings=1), AnswerTooLongError("long"), "off", Listing(halvings=2), True),
        (Listing(paged=False), AnswerTooLongError("long"), "off", Listing(halvings=1), True),
        (Streaming(), ShortWatchError(), "auto", Listing(), True),
        (Streaming(), UnreadableWatchError(), "auto", Listing(), True),
        (Streaming(), ShortWatchError(), "on", Streaming(), True),
        (Streaming(), VersionWentBackError(), "auto", Streaming(), True),
    ],
)
def test_the_table_of_failures(
    state: State, error: Exception, streaming: StreamingLists, following: State, *, waits: bool
):
    """W1, W8, W15, H6, H7: a version that no longer counts leads to a new list, else all goes on where it was."""
    assert after_failure(state, error, streaming=streaming) == (following, waits)


@pytest.mark.parametrize(
    ("streaming", "following"), [("off", Listing()), ("auto", Listing()), ("on", Streaming())]
)
@pytest.mark.parametrize(
    "error", [BROKEN, ShortWatchError(), UnreadableWatchError(), ServerError(status=500)]
)
def test_a_watch_whose_data_is_outdated_is_answered_by_a_list(
    error: Exception, streaming: StreamingLists, following: State
):
    """H6."""
    decided = after_failure(Watching(version="5"), error, streaming=streaming, outdated=True)
    assert decided == (following, True)


def test_versions_go_back_as_numbers_do():
    """W15: what is no number has no order."""
    assert is_back("99", "100")
    assert not is_back("100", "100")
    assert not is_back("101", "100")
    assert not is_back("99", "")
    assert not is_back("aa", "bb")


def test_a_broken_streaming_list_begins_with_nothing():
    """W8: half a list is forgotten."""
    broken = Streaming(found={"u1": pod()})
    assert after_failure(broken, BROKEN, streaming="auto").state == Streaming()


def test_the_last_page_leads_in_step():
    state = after_page(Listing(), {"u1": pod(uid="u1")}, version="7", token="t")
    assert state == Listing(token="t", found={"u1": pod(uid="u1")})
    assert isinstance(state, Listing)
    assert after_page(state, {}, version="7", token=None) == Watching(version="7")


class TestBackoff:
    """W10."""

    settings = WatchSettings(backoff_initial_s=1, backoff_max_s=8, backoff_reset_s=60)

    def test_waits_double_up_to_a_limit_and_are_spread(self):
        backoff = WatchBackoff(self.settings, Random(1))
        waits = [backoff.wait_s() for _ in range(8)]
        for wait_s, full_s in zip(waits, [1, 2, 4, 8, 8, 8, 8, 8], strict=True):
            assert full_s / 2 <= wait_s <= full_s
        assert len(set(waits)) == 8

    def test_health_starts_them_short_again(self):
        backoff = WatchBackoff(self.settings, Random(1))
        for _ in range(5):
            backoff.wait_s(healthy_s=59)
        assert backoff.failures == 5
        assert backoff.wait_s(healthy_s=60) <= 1

    def test_the_servers_wish_is_never_undercut(self):
        assert WatchBackoff(self.settings, Random(1)).wait_s(asked_s=100) == 100

    def test_a_week_of_failures_is_no_overflow(self):
        backoff = WatchBackoff(self.settings, Random(1))
        assert max(backoff.wait_s() for _ in range(5000)) <= 8


class TestStore:
    """What is new about which pod."""

    def test_versions_that_are_no_numbers_are_never_older(self):
        store = PodStore()
        store.apply("ADDED", pod(version="abc"))
        observation = store.apply("MODIFIED", pod(version="abb"))
        assert observation is not None
        assert observation.kind is Kind.MODIFIED

    def test_an_older_version_reports_nothing(self):
        store = PodStore()
        store.apply("ADDED", pod(version="10"))
        assert store.apply("MODIFIED", pod(version="9")) is None
        assert store.apply("DELETED", pod(version="9")) is None

    def test_a_deletion_of_an_unknown_pod_is_reported_once(self):
        store = PodStore()
        observation = store.apply("DELETED", pod(version="9"))
        assert observation is not None
        store.add_tombstone(observation.pod)
        assert store.apply("DELETED", pod(version="9")) is None

    def test_graves_are_bounded(self):
        store = PodStore()
        for number in range(10_001):
            store.add_tombstone(pod(uid=f"u{number}"))
        assert not store.has_tombstone("u0")
        assert store.has_tombstone("u10000")

    def test_readers_see_the_pods_and_cannot_change_them(self):
        store = PodStore()
        view = store.view
        store.replace({"u1": pod(uid="u1"), "u2": pod(uid="u2")})
        assert len(view) == 2
        assert "u1" in view
        assert view.get("u3") is None
        for known in view:
            store.apply("DELETED", known)
        assert len(view) == 0
        assert not hasattr(view, "apply")
