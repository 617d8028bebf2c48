"""A pod's log, once, in bounded time, by a connection of its own; over a real socket."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio
import podrunner
import pytest
import yaml
from podrunner.builder import build_pod, with_ownership
from podrunner.errors import CallFromEventLoopError, ForbiddenError, LogError, UsageError
from tests.unit.runner.harness import configured, workload

LINES = "2024-05-01T10:20:30.000000001Z one\n2024-05-01T10:20:30.000000002Z two\n"
RUNNING = {"state": {"running": {"startedAt": "2024-05-01T10:20:30Z"}}}
WAITING = {"state": {"waiting": {"reason": "ContainerCreating"}}}
Answer = tuple[int, object]


def config_for(url: str, folder: Path) -> podrunner.RunnerConfig:
    cluster = {"name": "c", "cluster": {"server": url}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    user = {"name": "u", "user": {"token": "t"}}
    document = {"clusters": [cluster], "contexts": [context], "users": [user], "current-context": "c"}
    (folder / "kubeconfig").write_text(yaml.safe_dump(document))
    return configured(kubeconfig=folder / "kubeconfig")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Callable[[str], Answer]], podrunner.RunnerConfig]]:
    """Serves what a function of the path answers; returns the configuration for it."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Callable[[str], Answer]) -> podrunner.RunnerConfig:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = answer(self.path)
                data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header(
                    "Content-Type", "text/plain" if isinstance(body, str) else "application/json"
                )
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return config_for(f"http://127.0.0.1:{server.server_port}", tmp_path)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def pod(state: dict[str, object], number: int = 1) -> dict[str, object]:
    given = workload(number)
    made = with_ownership(build_pod(configured(), given), owner="o", scope="s", key=given.key)
    made["metadata"] |= {"namespace": "default", "uid": "u1", "resourceVersion": "1"}
    status = {"name": "base", "restartCount": 0, "ready": False, **state}
    return {**made, "status": {"phase": "Pending", "containerStatuses": [status]}}


def refusal(status: int, reason: str) -> Answer:
    return status, {"kind": "Status", "status": "Failure", "reason": reason, "message": "no", "code": status}


def test_the_last_lines_of_a_running_pod(serve):
    asked: list[str] = []

    def answer(path: str) -> Answer:
        asked.append(path)
        return (200, LINES) if "/log" in path else (200, pod(RUNNING))

    read = podrunner.read_log(serve(answer), workload().key, tail=2, timeout_s=30)
    assert read.lines == ("one", "two")
    assert "Reading the log of pod default/" in read.header
    assert "tailLines=2" in asked[1]
    assert podrunner.pod_name(configured(), workload().key) in asked[0]


def test_a_pod_that_has_not_started_says_why(serve):
    read = podrunner.read_log(serve(lambda _: (200, pod(WAITING))), workload(), timeout_s=30)
    assert read.lines == ()
    assert "has not started yet: ContainerCreating" in read.header


def test_no_pod_is_an_error(serve):
    with pytest.raises(LogError, match="does not exist: it is not created yet, or is deleted"):
        podrunner.read_log(serve(lambda _: refusal(404, "NotFound")), workload().key, timeout_s=30)


def test_a_pod_that_goes_between_the_two_requests_is_an_error(serve):
    def answer(path: str) -> Answer:
        return refusal(404, "NotFound") if "/log" in path else (200, pod(RUNNING))

    with pytest.raises(LogError, match="is deleted"):
        podrunner.read_log(serve(answer), workload().key, timeout_s=30)


def test_another_workloads_pod_of_that_name_is_not_read(serve):
    with pytest.raises(LogError, match="is not the one of"):
        podrunner.read_log(serve(lambda _: (200, pod(RUNNING, number=2))), workload().key, timeout_s=30)


def test_a_container_that_is_not_there_is_named(serve):
    config = serve(lambda _: (200, pod(RUNNING)))
    with pytest.raises(LogError, match=r"no container 'x', only base"):
        podrunner.read_log(config, workload().key, container="x", timeout_s=30)


def test_what_the_server_refuses_comes_as_it_is(serve):
    with pytest.raises(ForbiddenError):
        podrunner.read_log(serve(lambda _: refusal(403, "Forbidden")), workload().key, timeout_s=30)


@pytest.mark.parametrize("hangs", ["/pods/", "/log"])
def test_a_server_that_hangs_ends_it_in_time(serve, hangs: str):
    """By the time that was given, while the server still has not answered."""
    release, answered = threading.Event(), list[str]()

    def answer(path: str) -> Answer:
        if hangs in path:
            release.wait(30)
            answered.append(path)
        return (200, LINES) if "/log" in path else (200, pod(RUNNING))

    config = serve(answer)
    with pytest.raises(TimeoutError, match=r"was not read in 0\.5 s"):
        podrunner.read_log(config, workload().key, timeout_s=0.5)
    assert answered == []
    release.set()


def test_it_ends_in_time_though_its_own_thread_does_not(serve, monkeypatch):
    """As of a credential plugin, or a name server, that blocks a thread."""
    release = threading.Event()
    monkeypatch.setattr("podrunner.blocking.log._run", lambda *_: release.wait(30))
    with pytest.raises(TimeoutError):
        podrunner.read_log(serve(lambda _: (200, {})), workload().key, timeout_s=0.05)
    release.set()


def test_a_server_that_accepts_and_never_answers_ends_it_in_time(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        config = config_for(f"http://127.0.0.1:{server.getsockname()[1]}", tmp_path)
        with pytest.raises(TimeoutError):
            podrunner.read_log(config, workload().key, timeout_s=0.3)


def test_it_is_not_called_from_an_event_loop(serve):
    async def read() -> None:
        podrunner.read_log(configured(), workload().key)

    with pytest.raises(CallFromEventLoopError):
        anyio.run(read)


def test_a_runners_own_local_cluster_cannot_be_reached():
    with pytest.raises(UsageError, match=r"set local\.folder"):
        podrunner.read_log(podrunner.RunnerConfig(cluster="local"), workload().key)


def launched(relaunch: int, *, phase: str = "Running", is_being_deleted: bool = False) -> dict[str, object]:
    """A pod of the first workload's launch of that number."""
    key = podrunner.WorkloadKey(workload().key.parts, relaunch=relaunch)
    made = pod(RUNNING)
    made = with_ownership(made, owner="o", scope="s", key=key)
    made["metadata"]["name"] = podrunner.pod_name(configured(), key)
    made["status"]["phase"] = phase
    if is_being_deleted:
        made["metadata"]["deletionTimestamp"] = "2024-05-01T10:20:31Z"
    return made


@pytest.mark.parametrize(
    ("pods", "newest", "requests"),
    [
        ([launched(0)], 0, 1),
        ([launched(0, phase="Failed"), launched(1)], 1, 2),
        ([launched(0, phase="Pending", is_being_deleted=True), launched(1)], 1, 2),
        ([launched(2)], 2, 3),
        ([launched(0, phase="Failed")], 0, 4),
        ([launched(1, phase="Failed"), launched(3, phase="Succeeded")], 3, 4),
    ],
    ids=["only one", "after one that is retained", "after one that is going", "after two that are deleted",
         "that came to nothing", "after several"],
)  # fmt: skip
def test_of_an_attempt_that_was_launched_again_the_newest_pod_is_read(
    serve, pods: list[dict[str, object]], newest: int, requests: int
):
    """A further pod is looked for only where there may be one."""
    known = {str(made["metadata"]["name"]): made for made in pods}
    asked: list[str] = []

    def answer(path: str) -> Answer:
        name = path.partition("/pods/")[2].partition("/")[0].partition("?")[0]
        asked.append(path)
        if name not in known:
            return refusal(404, "NotFound")
        return (200, f"2024-05-01T10:20:30.000000001Z {name}\n") if "/log" in path else (200, known[name])

    read = podrunner.read_log(serve(answer), workload().key, timeout_s=30)
    assert read.lines == (launched(newest)["metadata"]["name"],)
    assert len(asked) == requests + 1


def test_of_several_keys_the_newest_pod_is_read(serve):
    """Such as those of an Airflow dispatch, which has one for each launch after its container may have started."""
    keys = [podrunner.WorkloadKey({**workload().key.parts, "again": str(again)}) for again in range(3)]
    names = [podrunner.pod_name(configured(), key) for key in keys]
    known: dict[str, dict[str, object]] = {}
    for key, name, phase in zip(keys[:2], names, ("Failed", "Running"), strict=False):
        known[name] = with_ownership(pod(RUNNING), owner="o", scope="s", key=key)
        known[name]["metadata"]["name"] = name
        known[name]["status"]["phase"] = phase

    def answer(path: str) -> Answer:
        name = path.partition("/pods/")[2].partition("/")[0].partition("?")[0]
        if name not in known:
            return refusal(404, "NotFound")
        return (200, f"2024-05-01T10:20:30.000000001Z {name}\n") if "/log" in path else (200, known[name])

    assert podrunner.read_log(serve(answer), keys, timeout_s=30).lines == (names[1],)
    with pytest.raises(UsageError, match="empty sequence"):
        podrunner.read_log(serve(answer), [])


def test_a_launch_that_is_named_is_read_alone(serve):
    key = podrunner.WorkloadKey(workload().key.parts, relaunch=1)
    with pytest.raises(LogError, match=podrunner.pod_name(configured(), key)):
        podrunner.read_log(serve(lambda _: refusal(404, "NotFound")), key, timeout_s=30)


def test_the_namespace_that_overrides_name_is_the_pods(serve):
    asked: list[str] = []

    def answer(path: str) -> Answer:
        asked.append(path)
        return refusal(404, "NotFound")

    moved = workload(pod_override={"metadata": {"namespace": "theirs"}})
    with pytest.raises(LogError, match="pod theirs/"):
        podrunner.read_log(serve(answer), moved, timeout_s=30)
    assert all("/namespaces/theirs/" in path for path in asked)


def test_the_name_of_a_pod_is_known_before_it_exists():
    for given in (workload(3), workload(3, name="Some Task")):
        built = build_pod(configured(), given)["metadata"]["name"]
        assert podrunner.pod_name(configured(), given) == built
    assert podrunner.pod_name(configured(), workload(3).key) == podrunner.pod_name(configured(), workload(3))
