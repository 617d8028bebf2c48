"""The watch loop stays in step, whatever the server and the network do."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import anyio
import pytest
from podrunner.errors import ForbiddenError, RunnerClosedError
from podrunner.watch import Kind
from tests.support.fake_server import FakeServer, FakeStream
from tests.unit.watch.harness import Watched, soon, watching

if TYPE_CHECKING:
    from podrunner.outcome.record import Pod

pytestmark = pytest.mark.anyio


async def test_the_first_list_is_reported_page_by_page_but_at_once():
    server = FakeServer()
    for number in range(5):
        server.put(f"p{number}")
    async with watching(server, page_size=2) as watched:
        assert watched.of(Kind.ADDED) == ["p0", "p1", "p2", "p3", "p4"]
        assert watched.known == watched.truth
        assert server.count("GET", "limit=2") == 3
        assert watched.reflector.health().synced


async def test_changes_are_reported_in_order_with_the_record_before():
    server = FakeServer()
    async with watching(server) as watched:
        server.put("a")
        server.phase("a", "Running")
        server.remove("a")
        await soon()
        assert [o.kind for o in watched.reported] == [Kind.ADDED, Kind.MODIFIED, Kind.MODIFIED, Kind.DELETED]
        assert server.count("GET", "/pods/a") == 0
        before = watched.reported[1].previous
        assert before is not None
        assert before.status.phase == "Pending"
        assert len(watched.reflector.store) == 0


async def test_one_watch_serves_all_pods():
    """W12: one connection, however many pods."""
    server = FakeServer()
    async with watching(server) as watched:
        for number in range(200):
            server.put(f"p{number}")
        await soon()
        assert len(watched.reported) == 200
        assert server.count("GET") == 2


@pytest.mark.parametrize("gone_in_stream", [False, True], ids=["at the start", "in the stream"])
async def test_an_expired_version_leads_to_a_new_list(*, gone_in_stream: bool):
    """W1: 410, to the watch or as its first event: relist, diff, go on."""
    server = FakeServer(gone_in_stream=gone_in_stream)
    server.put("kept")
    server.put("changed")
    async with watching(server) as watched:
        server.muted = True
        server.phase("changed", "Running")
        server.put("new")
        server.compact()
        server.muted = False
        server.end_watches()
        await anyio.sleep(60)
        assert watched.known == watched.truth
        assert watched.of(Kind.MODIFIED) == ["changed"]
        assert watched.of(Kind.ADDED) == ["changed", "kept", "new"]
        assert watched.reflector.health().relists == 1
        server.phase("new", "Running")
        await soon()
        assert watched.known == watched.truth


async def test_versions_that_always_expire_are_no_hot_loop():
    """W1: a server that says 410 to every watch is asked at a bounded rate."""
    server = FakeServer()
    gone = json.dumps({"kind": "Status", "code": 410, "reason": "Expired"}).encode()
    async with watching(server) as watched:
        server.fail("GET", "watch=true", times=1000, status=410, body=gone)
        server.end_watches()
        await anyio.sleep(600)
        assert server.count("GET") < 100
        server.faults.clear()
        server.put("late")
        await anyio.sleep(60)
        assert watched.known == watched.truth


async def test_a_continue_token_that_runs_out_leads_to_one_whole_list():
    """W1: 410 between two pages; nothing of the half list is believed."""
    server = FakeServer()
    for number in range(5):
        server.put(f"p{number}")
    gone = json.dumps({"kind": "Status", "code": 410, "reason": "Expired"}).encode()
    server.fail("GET", "continue=", status=410, body=gone)
    async with watching(server, page_size=2) as watched:
        assert len(watched.reported) == 5
        assert "limit=" not in server.requests[2][2]


async def test_silence_is_taken_for_a_dead_connection():
    """W2: a half-open connection is left in a bounded time; nothing is lost."""
    server = FakeServer()
    server.put("a")
    async with watching(server, inactivity_s=120) as watched:
        server.muted = True
        server.phase("a", "Running")
        server.muted = False
        await anyio.sleep(119)
        assert watched.known != watched.truth
        await anyio.sleep(10)
        assert watched.known == watched.truth
        assert watched.reflector.health().reconnects == 1
        assert watched.reflector.health().relists == 0


async def test_silence_after_a_sign_of_life_is_a_dead_connection_too():
    """W2."""
    server = FakeServer()
    server.put("a")
    async with watching(server, inactivity_s=120, server_timeout_s=3600) as watched:
        await anyio.sleep(100)
        server.bookmark()
        await soon()
        server.muted = True
        server.phase("a", "Running")
        server.muted = False
        await anyio.sleep(115)
        assert watched.known != watched.truth
        await anyio.sleep(15)
        assert watched.known == watched.truth


async def test_bookmarks_keep_a_quiet_watch_alive_and_move_it_on():
    """W2: silence is not the same as no change; W1: the version moves on though nothing happens to our pods."""
    server = FakeServer()
    server.put("a")
    async with watching(server, inactivity_s=120, server_timeout_s=3600) as watched:
        for _ in range(10):
            await anyio.sleep(60)
            server.put("foreign" + str(server.version), labels={"app": "other"})
            server.bookmark()
        assert watched.reflector.health().reconnects == 0
        await soon()
        server.compact()
        server.end_watches()
        await anyio.sleep(10)
        assert watched.reflector.health().relists == 0


async def test_a_dead_connection_shows_in_the_health_and_is_stale_at_last():
    """W2, W8: what is known is called stale once it may be, and no longer when it is well again."""
    server = FakeServer()
    async with watching(server, stale_after_s=60) as watched:
        assert not watched.reflector.health().stale
        fault = server.fail("GET", times=10_000, refuse=True)
        server.break_watches()
        await anyio.sleep(59)
        health = watched.reflector.health()
        assert not health.stale
        assert 50 < health.interrupted_s < 60
        await anyio.sleep(3)
        health = watched.reflector.health()
        assert health.stale
        assert health.error == "TransportError: connection refused"
        assert health.last_event_age_s is not None
        fault.times = 0
        await anyio.sleep(60)
        health = watched.reflector.health()
        assert (health.stale, health.error, health.interrupted_s) == (False, None, 0.0)


async def test_a_silent_connection_is_counted_as_interrupted_since_its_last_sign():
    server = FakeServer()
    async with watching(server, inactivity_s=120, stale_after_s=60) as watched:
        server.fail("GET", times=10_000, refuse=True)
        await anyio.sleep(125)
        health = watched.reflector.health()
        assert health.stale
        assert health.interrupted_s > 120


async def test_replayed_events_are_reported_once():
    """W3: what a watch from a stale version repeats is known."""
    server = FakeServer()
    async with watching(server) as watched:
        server.put("a")
        server.phase("a", "Running")
        server.phase("a", "Succeeded")
        await soon()
        reported = len(watched.reported)
        for change in server.history:
            server.watches[0].tell(change)
        await soon()
        assert len(watched.reported) == reported


async def test_a_late_event_does_not_add_a_deleted_pod_again():
    """W3: an event about a deleted pod is delivered after the deletion."""
    server = FakeServer()
    async with watching(server) as watched:
        server.put("a")
        server.mark_deleted("a")
        server.remove("a")
        for change in server.history[:2]:
            server.watches[0].tell(change)
        server.watches[0].tell(server.history[-1])
        await soon()
        assert watched.of(Kind.DELETED) == ["a"]
        assert len(watched.reflector.store) == 0


async def test_a_foreign_pod_with_our_label_is_skipped(caplog: pytest.LogCaptureFixture):
    """W4: counted, logged once, and the watch goes on."""
    server = FakeServer()
    server.put("theirs")

    def ours(pod: Pod) -> bool:
        return pod.metadata.name.startswith("our")

    with caplog.at_level(logging.WARNING):
        async with watching(server, accept=ours) as watched:
            server.phase("theirs", "Running")
            server.put("ours")
            await soon()
            assert watched.of(*Kind) == ["ours"]
            assert watched.reflector.health().skipped == 2
    assert caplog.text.count("is not ours") == 1


async def test_garbage_in_the_stream_is_skipped():
    """W4, W11: half an object, no JSON, an object without a name."""
    server = FakeServer()
    async with watching(server) as watched:
        stream = server.watches[0]
        stream.push(b'{"type":"ADDED","object":{"metadata":5}}\n')
        stream.push(b"<html>bad gateway</html>\n")
        stream.push(b'{"type":"ADDED","object":{"metadata":{"name":"anonymous"}}}\n')
        server.put("a")
        await soon()
        assert watched.of(*Kind) == ["a"]
        assert watched.reflector.health().skipped == 3


async def test_a_deletion_between_two_lists_is_found_by_the_next_list():
    """W7: the relist's diff reports it, with the last known record."""
    server = FakeServer()
    server.put("a", status={"phase": "Running"})
    async with watching(server) as watched:
        server.muted = True
        server.remove("a")
        server.muted = False
        server.compact()
        server.end_watches()
        await anyio.sleep(60)
        (gone,) = [o for o in watched.reported if o.kind is Kind.VANISHED]
        assert gone.pod.status.phase == "Running"


async def test_the_same_name_again_is_another_pod():
    """W9: deleted and made anew between two lists: two pods."""
    server = FakeServer()
    server.put("a")
    async with watching(server) as watched:
        server.muted = True
        server.remove("a")
        server.put("a")
        server.muted = False
        server.compact()
        server.end_watches()
        await anyio.sleep(60)
        assert [o.kind for o in watched.reported] == [Kind.ADDED, Kind.ADDED, Kind.VANISHED]
        assert len({o.pod.metadata.uid for o in watched.reported}) == 2


async def test_a_success_seen_only_in_the_deletion_is_in_the_record():
    """W6."""
    server = FakeServer()
    server.put("a", status={"phase": "Running"})
    async with watching(server) as watched:
        server.remove("a", status={"phase": "Succeeded"})
        await soon()
        assert watched.reported[-1].kind is Kind.DELETED
        assert watched.reported[-1].pod.status.phase == "Succeeded"


@pytest.mark.parametrize(
    "answer",
    [{"status": 500}, {"status": 429, "headers": {"Retry-After": "7"}}, {"status": 200}, {"status": 403}],
    ids=["500", "429", "empty 200 at once", "403"],
)
async def test_a_broken_server_is_asked_at_a_bounded_rate(answer: dict[str, object]):
    """W10: a few requests a minute, not thousands; then it is synced."""
    server = FakeServer()
    async with watching(server) as watched:
        server.fail("GET", times=10_000, **answer)
        server.end_watches()
        before = len(server.requests)
        await anyio.sleep(60)
        assert len(server.requests) - before <= 12
        await anyio.sleep(540)
        assert len(server.requests) - before <= 45
        server.faults.clear()
        server.put("a")
        await anyio.sleep(31)
        assert watched.known == watched.truth


async def test_a_retry_after_is_never_undercut():
    """W10: the server said 25 s."""
    server = FakeServer()
    async with watching(server):
        server.fail("GET", "watch=true", status=429, headers={"Retry-After": "25"})
        server.end_watches()
        await anyio.sleep(90)
        times = [at for at, _, target in server.requests if "watch=true" in target]
        assert times[2] - times[1] >= 25


async def test_refused_credentials_are_shown_and_tried_again():
    """L7, L8: 401 in the loop is an error that shows, not an end."""
    server = FakeServer()
    async with watching(server) as watched:
        body = json.dumps({"kind": "Status", "code": 401, "reason": "Unauthorized"}).encode()
        fault = server.fail("GET", times=10_000, status=401, body=body)
        server.end_watches()
        await anyio.sleep(30)
        assert "UnauthorizedError" in (watched.reflector.health().error or "")
        fault.times = 0
        await anyio.sleep(60)
        assert watched.reflector.health().error is None


async def test_the_waits_start_short_again_only_after_a_healthy_time():
    """W10: a connection that stands for a moment between failures does not count as health."""
    server = FakeServer()
    async with watching(server, backoff_reset_s=120, server_timeout_s=3600, inactivity_s=3600) as watched:
        for _ in range(6):
            server.break_watches()
            await anyio.sleep(31)
        flapping = server.count("GET", "watch=true")
        assert watched.reflector.health().failures == 6
        await anyio.sleep(200)
        server.break_watches()
        await anyio.sleep(0.81)
        assert server.count("GET", "watch=true") == flapping + 1


async def test_a_receiver_with_a_bug_does_not_end_the_watch():
    """W11: what it missed is handed over once more."""
    server = FakeServer()
    async with watching(server) as watched:
        watched.broken_sink = 1
        server.put("a")
        await soon()
        assert watched.of(Kind.ADDED) == ["a"]
        watched.broken_sink = 2
        server.put("b")
        server.put("c")
        await soon()
        server.put("d")
        await soon()
        assert watched.known == watched.truth
        assert "d" in watched.of(Kind.ADDED)


async def test_an_error_of_any_kind_does_not_end_the_watch(monkeypatch: pytest.MonkeyPatch):
    """W11: even a bug within leads to a wait and another try."""
    server = FakeServer()
    async with watching(server) as watched:
        monkeypatch.setattr(watched.reflector._store, "apply", lambda *_: 1 / 0)
        server.put("a")
        await anyio.sleep(1)
        monkeypatch.undo()
        server.compact()
        server.end_watches()
        await anyio.sleep(60)
        assert watched.known == watched.truth
        assert watched.reflector.health().failures >= 1


async def test_large_foreign_annotations_are_not_held():
    """W13: kubectl's last-applied-configuration is a whole pod."""
    server = FakeServer()
    notes = {"kubectl.kubernetes.io/last-applied-configuration": "x" * 9000, "podrunner.io/key": "y" * 9000}
    async with watching(server) as watched:
        server.put("a")
        server.change("a", metadata={"annotations": notes})
        await soon()
        (held,) = list(watched.reflector.store)
        assert set(held.metadata.annotations or {}) == {"podrunner.io/key"}


@pytest.mark.parametrize("streaming", ["off", "auto"])
async def test_a_list_is_held_small_too(streaming: str):
    """W13."""
    server = FakeServer()
    server.put("a")
    server.change(
        "a", metadata={"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "x" * 9000}}
    )
    async with watching(server, streaming_lists=streaming) as watched:
        (held,) = list(watched.reflector.store)
        assert not held.metadata.annotations


class TestStreamingLists:
    """The first list through the watch itself (KEP-3157)."""

    async def test_one_request_brings_list_and_watch(self):
        server = FakeServer()
        server.put("a")
        server.put("other", labels={"app": "y"})
        async with watching(server, streaming_lists="auto") as watched:
            assert watched.of(Kind.ADDED) == ["a"]
            server.phase("a", "Running")
            await soon()
            assert watched.known == watched.truth
            assert server.count("GET") == 1

    async def test_a_server_that_does_not_know_it_is_asked_for_pages(self):
        server = FakeServer(streaming_lists=False)
        server.put("a")
        async with watching(server, streaming_lists="auto") as watched:
            assert watched.known == watched.truth
            server.compact()
            server.put("b")
            server.compact()
            server.end_watches()
            await anyio.sleep(60)
            assert server.count("GET", "sendInitialEvents") == 1

    async def test_an_expired_version_streams_the_list_again(self):
        """W1, W7: what is missing in the new list vanished."""
        server = FakeServer()
        server.put("a")
        server.put("b")
        async with watching(server, streaming_lists="auto") as watched:
            server.muted = True
            server.remove("a")
            server.muted = False
            server.compact()
            server.end_watches()
            await anyio.sleep(60)
            assert watched.of(Kind.VANISHED) == ["a"]
            assert server.count("GET", "sendInitialEvents") == 2

    async def test_a_list_that_breaks_off_is_not_believed(self):
        """W8, V4: nothing is reported before the server says that the list is complete."""
        server = FakeServer()
        server.put("a")
        half = json.dumps({"type": "ADDED", "object": server.pods["default", "a"]}).encode() + b"\n"
        server.fail("GET", "sendInitialEvents", status=200, body=half)
        server.put("b")
        async with watching(server, streaming_lists="auto") as watched:
            assert sorted(watched.of(Kind.ADDED)) == ["a", "b"]
            assert watched.of(Kind.VANISHED) == []

    async def test_half_a_list_is_forgotten(self, monkeypatch: pytest.MonkeyPatch):
        """W8: the watch ends in good order, but before the list was complete; meanwhile a pod goes."""
        server = FakeServer()
        server.put("a")
        server.put("b")
        initial = server._initial_events

        def half(stream: FakeStream) -> None:
            monkeypatch.undo()
            stream.send("ADDED", server.pods["default", "a"])
            stream.deadline = anyio.current_time() + 5
            server.muted = True
            server.remove("a")
            server.muted = False

        monkeypatch.setattr(server, "_initial_events", half)
        async with watching(server, streaming_lists="on") as watched:
            assert watched.of(*Kind) == ["b"]
        assert server._initial_events == initial

    async def test_a_list_that_never_comes_is_asked_for_in_pages(self, monkeypatch: pytest.MonkeyPatch):
        """A server before 1.32 may ignore the parameter."""
        server = FakeServer()
        server.put("a")
        monkeypatch.setattr(server, "_initial_events", lambda stream: None)
        began = anyio.current_time()
        async with watching(server, streaming_lists="auto") as watched:
            assert watched.known == watched.truth
            assert anyio.current_time() - began < 20

    async def test_deletions_within_the_list_count(self, monkeypatch: pytest.MonkeyPatch):
        server = FakeServer()
        server.put("a")
        gone = server.pods["default", "a"]
        initial = server._initial_events

        def send(stream: object) -> None:
            stream.send("ADDED", gone)  # type: ignore[attr-defined]
            stream.send("DELETED", gone)  # type: ignore[attr-defined]
            server.pods.clear()
            initial(stream)  # type: ignore[arg-type]

        monkeypatch.setattr(server, "_initial_events", send)
        async with watching(server, streaming_lists="on") as watched:
            assert watched.reported == []


class TestSecondLook:
    """A pod that left the selection is not always deleted."""

    async def test_a_pod_that_was_relabelled_has_left(self):
        """A1: another scheduler took it over; that is no end."""
        server = FakeServer()
        server.put("a")
        async with watching(server) as watched:
            server.change("a", metadata={"labels": {"app": "other"}})
            await soon()
            (left,) = [o for o in watched.reported if o.kind is not Kind.ADDED]
            assert left.kind is Kind.LEFT
            assert (left.pod.metadata.labels or {})["app"] == "other"
            server.change("a", metadata={"labels": {"app": "x"}})
            await soon()
            assert watched.of(Kind.ADDED) == ["a", "a"]

    async def test_a_terminating_pod_that_was_relabelled_has_left(self):
        """A1: a successor took over what was being deleted; found by the convergence test."""
        server = FakeServer()
        server.put("a")
        async with watching(server) as watched:
            server.mark_deleted("a")
            server.change("a", metadata={"labels": {"app": "other"}})
            await soon()
            assert watched.reported[-1].kind is Kind.LEFT

    async def test_a_pod_that_a_finalizer_holds_may_still_leave(self):
        """P9, A1: its grace is over, but it is still there."""
        server = FakeServer()
        server.put("a")
        async with watching(server) as watched:
            server.change("a", metadata={"finalizers": ["example.com/hold"]})
            server.mark_deleted("a", grace_s=0)
            server.change("a", metadata={"labels": {"app": "other"}})
            await soon()
            assert watched.reported[-1].kind is Kind.LEFT

    async def test_a_pod_that_came_back_before_the_answer_has_not_left(self):
        """A1: labelled away and back while the look failed; the late answer is about another time."""
        server = FakeServer()
        server.put("a")
        async with watching(server) as watched:
            server.fail("GET", "/pods/a", status=503)
            server.change("a", metadata={"labels": {"app": "other"}})
            await soon()
            server.change("a", metadata={"labels": {"app": "x"}})
            await anyio.sleep(10)
            assert watched.of(*Kind) == ["a", "a"]
            assert watched.reflector.health().unconfirmed == 0

    async def test_a_pod_deleted_without_notice_is_deleted(self):
        """W5: no deletionTimestamp, as after a forced deletion; the look finds nothing."""
        server = FakeServer()
        server.put("a")
        async with watching(server) as watched:
            server.remove("a", noticed=False)
            await soon()
            assert watched.of(Kind.DELETED) == ["a"]
            assert server.count("GET", "/pods/a") == 1

    async def test_a_pod_of_the_same_name_is_not_the_same_pod(self):
        """W9."""
        server = FakeServer()
        server.put("a")
        async with watching(server) as watched:
            server.remove("a", noticed=False)
            server.put("a")
            await soon()
            assert watched.of(Kind.DELETED) == ["a"]

    async def test_without_an_answer_there_is_no_end(self):
        """W8: nothing is inferred from a failed request; it is asked again."""
        server = FakeServer()
        server.put("a")
        async with watching(server) as watched:
            fault = server.fail("GET", "/pods/a", times=10_000, status=503)
            server.remove("a", noticed=False)
            await anyio.sleep(300)
            assert watched.of(Kind.DELETED) == []
            assert watched.reflector.health().unconfirmed == 1
            assert server.count("GET", "/pods/a") < 30
            fault.times = 0
            await anyio.sleep(31)
            assert watched.of(Kind.DELETED) == ["a"]
            assert watched.reflector.health().unconfirmed == 0


MISSING = 'pods is forbidden: User "u" cannot %s resource "pods" in API group ""'


def forbid(server: FakeServer, verb: str, times: int) -> None:
    """Refuse lists or watches, as an authorizer does."""
    body = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": MISSING % verb}
    part = "watch=true" if verb == "watch" else "limit="
    server.fail("GET", part, times=times, status=403, body=json.dumps(body).encode())


async def test_a_right_that_is_missing_is_an_error_to_waiting_callers_until_it_is_granted(
    caplog: pytest.LogCaptureFixture,
):
    server = FakeServer()
    server.put("a")
    forbid(server, "list", times=3)
    watched = Watched(server, accept=None)
    with caplog.at_level(logging.WARNING):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watched.reflector.run)
            for _ in range(2):
                with anyio.fail_after(1), pytest.raises(ForbiddenError, match="cannot list"):
                    await watched.reflector.wait_synced()
            await anyio.sleep(300)
            await watched.reflector.wait_synced()
            tasks.cancel_scope.cancel()
    assert watched.of(Kind.ADDED) == ["a"]
    assert caplog.text.count("cannot list") == 1, "not each time again"


async def test_a_caller_that_waits_for_an_ended_watch_gets_an_error():
    server = FakeServer()
    server.fail("GET", times=10_000, status=500)
    watched = Watched(server, accept=None)

    async def waits() -> None:
        with pytest.raises(RunnerClosedError, match="ended before"):
            await watched.reflector.wait_synced()

    async with anyio.create_task_group() as waiters:
        waiters.start_soon(waits)
        with anyio.move_on_after(5):
            await watched.reflector.run()
    await waits()


async def test_a_right_to_watch_that_never_was_is_warned_of(caplog: pytest.LogCaptureFixture):
    """The list was allowed, and that is another right."""
    server = FakeServer()
    forbid(server, "watch", times=3)
    with caplog.at_level(logging.WARNING):
        async with watching(server) as watched:
            await anyio.sleep(300)
            server.put("a")
            await soon()
            assert watched.of(Kind.ADDED) == ["a"]
    assert caplog.text.count("cannot watch") == 1


async def test_rights_that_a_young_server_has_not_read_yet_are_waited_for(caplog: pytest.LogCaptureFixture):
    """What was allowed before is no reason for a warning."""
    server = FakeServer()
    with caplog.at_level(logging.WARNING):
        async with watching(server) as watched:
            forbid(server, "watch", times=2)
            server.end_watches()
            await anyio.sleep(300)
            server.put("a")
            await soon()
            assert watched.of(Kind.ADDED) == ["a"]
    assert not caplog.records
