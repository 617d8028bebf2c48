"""The log of a pod that is polled: each line once over broken connections, and an end when the pod has one."""

from __future__ import annotations

import anyio
import msgspec
import pytest
from podrunner.errors import LogError, NotFoundError, ServerError, TransportError
from podrunner.logs import LogQuery, LogReader, PodLog, polled, states
from podrunner.outcome.record import Pod
from tests.support.event_loops import both_in_virtual_time
from tests.unit.logs.conftest import FakeNode, stamped, whole

pytestmark = pytest.mark.anyio
anyio_backend = both_in_virtual_time

QUERY = LogQuery(namespace="default", pod="pod-1", main_container="")
RUNNING = {"running": {}}
ENDED = {"terminated": {"exitCode": 0}}


def pod(state=RUNNING, *, uid="uid-1", restarts=0, policy="Never", annotations=None) -> Pod:
    status = {"name": "base", "state": state, "restartCount": restarts}
    document = {
        "metadata": {
            "name": "pod-1",
            "namespace": "default",
            "uid": uid,
            "annotations": annotations or {},
        },
        "spec": {"restartPolicy": policy, "containers": [{"name": "base"}, {"name": "proxy"}]},
        "status": {"phase": "Running", "containerStatuses": [status]},
    }
    return msgspec.convert(document, Pod)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(polled, "_POLL_EVERY_S", 0.05)
    monkeypatch.setattr(states, "_FIRST_DELAY_S", 0.01)


class Node(FakeNode):
    """Also shows the pod: the next of the given states at each read, then the last for ever."""

    def __init__(self, *shown: Pod | Exception) -> None:
        super().__init__()
        self.shown = [*shown]

    async def read_pod(self, namespace: str, name: str) -> Pod:
        assert (namespace, name) == ("default", "pod-1")
        found = self.shown.pop(0) if len(self.shown) > 1 else self.shown[0]
        if isinstance(found, Exception):
            raise found
        return found


async def followed(node: Node, query: LogQuery = QUERY, *, offset: int = 0, **options) -> bytes:
    with anyio.fail_after(20):
        async with LogReader([PodLog(node, **options)]).open(query, offset=offset, follow=True) as found:
            return b"".join([batch async for batch in found.batches])


async def broken(data: bytes):
    """Breaks within the second line."""
    yield data[: data.index(b"\n") + 20]
    raise TransportError("connection reset")


async def test_a_broken_connection_is_resumed_without_loss_or_repeat():
    """G1."""
    node = Node(pod(), pod(), pod(ENDED))
    node.write(stamped(1), stamped(2), stamped(3))
    node.scripts = [broken]
    assert await followed(node) == b"line 1\nline 2\nline 3\n"


async def test_it_ends_with_the_pod_and_asks_no_more_than_it_must():
    node = Node(pod(), pod(ENDED))
    node.write(stamped(1))
    assert await followed(node) == b"line 1\n"
    assert [request["follow"] for request in node.requests] == [True, False]


async def test_a_poll_that_fails_concludes_nothing(monkeypatch):
    """W8."""
    node = Node(pod(), ServerError(status=500), pod(ENDED))
    node.write(stamped(1), stamped(2))
    node.scripts = [only_the_first, only_the_first]
    monkeypatch.setattr(
        polled, "_POLL_EVERY_S", 60
    )  # after each connection only: no poll between fails and succeeds
    assert await followed(node) == b"line 1\nline 2\n"


@pytest.mark.parametrize("gone", [NotFoundError(status=404), pod(uid="uid-2")])
async def test_what_went_with_the_pod_is_a_gap(gone):
    """A pod of the same name is another pod."""
    node = Node(pod(), gone)
    node.write(stamped(1), stamped(2))
    node.scripts = [broken]
    node.otherwise = NotFoundError(status=404)
    lines = (await followed(node)).splitlines()
    assert lines[0] == b"line 1"
    assert lines[1].startswith(b"*** Log gap in container base (unavailable)")
    assert len(lines) == 2


async def test_the_last_lines_come_first_and_nothing_is_left_out_after_a_break():
    """More is written meanwhile than the tail is long."""
    node = Node(pod(), pod(), pod(ENDED))
    node.write(stamped(1), stamped(2))

    async def break_off(data: bytes):
        yield data
        node.write(stamped(3), stamped(4), stamped(5))
        raise TransportError("connection reset")

    node.scripts = [break_off]
    assert await followed(node, tail_lines=1) == b"line 2\nline 3\nline 4\nline 5\n"


async def test_a_log_begins_at_a_time_and_with_its_last_lines_once():
    """The time of the last line may be the second from which the log was asked for: then no line is left out again."""
    node = Node(pod(), pod(), pod(ENDED))
    node.write(stamped(1), stamped(2))

    async def break_off(data: bytes):
        yield data
        node.write(stamped(3), stamped(4), stamped(5))
        raise TransportError("connection reset")

    node.scripts = [break_off]
    since = stamped(2).decode()[:19] + "Z"
    assert await followed(node, tail_lines=1, since_time=since) == b"line 2\nline 3\nline 4\nline 5\n"
    assert node.requests[0]["since_time"] == since
    assert [request["tail_lines"] == 1 for request in node.requests] == [True, False, False]


async def test_a_log_that_is_read_once_begins_at_a_time():
    node = Node(pod())
    node.write(stamped(1))
    await LogReader([PodLog(node, since_time="2026-01-01T00:00:00Z")]).read(QUERY)
    assert node.requests[0]["since_time"] == "2026-01-01T00:00:00Z"


async def test_so_many_bytes_are_left_out():
    node = Node(pod(), pod(ENDED))
    node.write(stamped(1), stamped(2))
    assert await followed(node, offset=8) == b"ine 2\n"


async def test_earlier_runs_are_left_out_and_later_ones_followed():
    """From their beginning."""
    node = Node(
        pod(restarts=3, policy="OnFailure"),
        pod(restarts=4, policy="OnFailure"),
        pod(ENDED, restarts=4),
    )
    node.write(stamped(1), run=0)
    node.write(stamped(2, second=1), stamped(3, second=1), run=1)
    node.scripts = [only_the_first]
    assert await followed(node, tail_lines=1) == b"line 1\nline 2\nline 3\n"


async def only_the_first(_data: bytes):
    """Ends in good order, as long as the log has one line."""
    yield stamped(1) + b"\n"


@pytest.mark.parametrize(
    ("query", "annotations", "container"),
    [
        (QUERY, {}, "base"),
        (QUERY, {"kubectl.kubernetes.io/default-container": "proxy"}, "proxy"),
        (LogQuery(namespace="default", pod="pod-1", container="proxy"), {}, "proxy"),
    ],
)
async def test_the_container_is_the_one_asked_for_or_the_pods_default(query, annotations, container):
    node = Node(pod(annotations=annotations), NotFoundError(status=404))
    await followed(node, query)
    assert {request["container"] for request in node.requests} <= {container}


async def test_an_unknown_container_is_an_error_at_once():
    node = Node(pod())
    with anyio.fail_after(5), pytest.raises(LogError, match="no container 'nope', only base, proxy"):
        await followed(node, LogQuery(namespace="default", pod="pod-1", container="nope"))


async def test_an_error_of_the_readers_own_stays_what_it_is():
    node = Node(pod())
    node.write(stamped(1))
    node.scripts = [whole]

    async def write_to_a_closed_pipe() -> None:
        async with LogReader([PodLog(node)]).open(QUERY, follow=True) as found:
            async for _ in found.batches:
                raise BrokenPipeError

    with anyio.fail_after(20), pytest.raises(BrokenPipeError):
        await write_to_a_closed_pipe()


async def test_a_pod_that_is_not_there_is_passed_over():
    node = Node(NotFoundError(status=404))
    assert node.requests == []
    async with PodLog(node).open(QUERY, follow=True) as found:
        assert found is None
