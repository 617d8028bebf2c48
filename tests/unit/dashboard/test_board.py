"""The board of a runner: what viewers are sent, and what they cost."""

from __future__ import annotations

import sys

import anyio
import podrunner
import pytest
from podrunner.errors import UsageError
from podrunner.integrations import board
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.unit.dashboard.asgi import get, streaming
from tests.unit.runner.harness import Cluster, running, until, workload

OPEN = {"token": None, "hosts": ["127.0.0.1"]}


async def first_pods(stream) -> dict[str, dict]:
    """The pods that a viewer is sent at first, by UID."""
    found: dict[str, dict] = {}
    while True:
        kind, data = await stream.next()
        if kind == "ready":
            return found
        found.update({pod["uid"]: pod for pod in data["pods"]})


@pytest.mark.anyio
class TestTable:
    async def test_a_viewer_gets_all_pods_then_what_changes(self, cluster: Cluster):
        async with running(cluster) as runner:
            pods = list(await runner.launch_many(workload(number) for number in range(3)))
            cluster.wait_for_image(pods[1].name)
            await until(lambda: pods[1].waiting is not None and pods[1].waiting.reason == "ImagePullBackOff")
            async with streaming(podrunner.board_app(runner, **OPEN), "/api/changes") as stream:
                found = await first_pods(stream)
                assert {pod["pod"] for pod in found.values()} == {pod.name for pod in pods}
                assert found[pods[1].uid]["why"].startswith("ImagePullBackOff")
                cluster.play(pods[0].name, exit_code=3)
                kind, data = await stream.next("pods")
                while not data["pods"] or not data["pods"][0]["category"]:
                    kind, data = await stream.next("pods")
                assert kind == "pods"
                (changed,) = data["pods"]
                assert (changed["uid"], changed["category"], changed["exit"]) == (pods[0].uid, "failed", 3)
            cluster.play_all()

    async def test_a_pod_that_is_gone_is_named(self, cluster: Cluster):
        async with running(cluster, delete_pods=True) as runner:
            pod = await runner.launch(workload(0))
            async with streaming(podrunner.board_app(runner, **OPEN), "/api/changes") as stream:
                await first_pods(stream)
                cluster.play(pod.name)
                await pod
                gone: list[str] = []
                while pod.uid not in gone:
                    gone = (await stream.next("pods"))[1]["gone"]

    async def test_it_delivers_nothing_sends_no_request_and_lets_go(self, cluster: Cluster):
        async with running(cluster) as runner:
            pod = await runner.launch(workload(0))
            cluster.play(pod.name)
            await until(lambda: runner.health().undelivered == 1)
            before = len(cluster.requests)
            app = podrunner.board_app(runner, **OPEN)
            async with streaming(app, "/api/changes") as one, streaming(app, "/api/changes") as two:
                await first_pods(one)
                await first_pods(two)
                assert len(runner._bus._observers) == 1
            assert not runner._bus._observers
            assert runner.health().undelivered == 1
            assert len(cluster.requests) == before

    async def test_a_viewer_that_does_not_read_delays_no_other_and_misses_no_last_state(
        self, cluster: Cluster
    ):
        async with running(cluster) as runner:
            pods = list(await runner.launch_many(workload(number) for number in range(4)))
            app = podrunner.board_app(runner, **OPEN)
            async with streaming(app, "/api/changes") as slow, streaming(app, "/api/changes") as quick:
                await first_pods(quick)
                known = await first_pods(slow)
                for pod in pods:
                    cluster.run(pod.name)
                    await anyio.sleep(1)
                cluster.play_all()
                ended: set[str] = set()
                while len(ended) < 4:  # while the slow one reads nothing
                    _, data = await quick.next("pods")
                    ended |= {pod["uid"] for pod in data["pods"] if pod["category"]}
                messages = 0
                while not all(pod["category"] for pod in known.values()):
                    _, data = await slow.next("pods")
                    known.update({pod["uid"]: pod for pod in data["pods"]})
                    messages += 1
                assert messages <= 3, "changes that it missed came as one"

    async def test_a_runner_that_ends_ends_the_streams(self, cluster: Cluster):
        async with running(cluster) as runner:
            app = podrunner.board_app(runner, **OPEN)
            async with anyio.create_task_group() as tasks:
                ended = anyio.Event()

                async def view() -> None:
                    async with streaming(app, "/api/changes") as stream:
                        await first_pods(stream)
                        begun.set()
                        while not stream.ended:
                            await stream.next()
                    ended.set()

                begun = anyio.Event()
                tasks.start_soon(view)
                await begun.wait()
                await runner.close()
                with anyio.fail_after(20):
                    await ended.wait()


@pytest.mark.anyio
class TestPod:
    async def test_its_page_has_stages_evidence_and_events_and_no_environment(self, cluster: Cluster):
        cluster.events = [
            {
                "type": "Warning",
                "reason": "Failed",
                "message": "bad token=hunter2",
                "count": 3,
                "metadata": {},
            }
        ]
        async with running(cluster) as runner:
            pod = await runner.launch(workload(0, env={"DB_PASSWORD": "s3cret-value"}))
            cluster.play(pod.name, exit_code=4)
            await until(lambda: runner.health().undelivered == 1)
            answer = await get(podrunner.board_app(runner, **OPEN), f"/api/pods/{pod.uid}")
            found = answer.json()
            assert (found["outcome"]["exit_code"], found["containers"][0]["name"]) == (4, "base")
            assert found["outcome"]["evidence"][0]["source"] == "rule"
            assert [(each["reason"], each["count"]) for each in found["events"]] == [("Failed", 3)]
            assert b"s3cret-value" not in answer.body
            assert b"hunter2" not in answer.body

    async def test_events_are_asked_for_once_for_many_viewers(self, cluster: Cluster):
        async with running(cluster) as runner:
            pod = await runner.launch(workload(0))
            app = podrunner.board_app(runner, **OPEN)
            asked = [request for request in cluster.requests if "/events" in str(request)]
            for _ in range(5):
                assert (await get(app, f"/api/pods/{pod.uid}")).status == 200
            again = [request for request in cluster.requests if "/events" in str(request)]
            assert len(again) - len(asked) == 1
            cluster.play(pod.name)

    async def test_its_log_comes_line_by_line_to_its_end(self, cluster: Cluster):
        async with running(cluster) as runner:
            pod = await runner.launch(workload(0))
            cluster.logs[pod.name] = [f"2026-11-28T10:00:0{n}.000000000Z line {n}" for n in range(3)]
            cluster.play(pod.name)
            await until(lambda: runner.health().undelivered == 1)
            async with streaming(podrunner.board_app(runner, **OPEN), f"/api/pods/{pod.uid}/log") as stream:
                lines: list[str] = []
                kind = ""
                while kind not in {"end", "failed"}:
                    kind, data = await stream.next()
                    lines += data if kind == "lines" else []
                assert (kind, lines) == ("end", ["line 0", "line 1", "line 2"])

    async def test_what_is_not_there_is_404(self, cluster: Cluster):
        async with running(cluster) as runner:
            pod = await runner.launch(workload(0))
            app = podrunner.board_app(runner, **OPEN)
            for url in (
                "/x",
                "/api/pods/none",
                "/api/pods/none/log",
                f"/api/pods/{pod.uid}/log?container=../x",
            ):
                assert (await get(app, url)).status == 404
            cluster.play(pod.name)


@pytest.mark.anyio
class TestDoor:
    async def test_the_token_becomes_a_cookie_and_leaves_the_address(self, cluster: Cluster):
        async with running(cluster) as runner:
            app = podrunner.board_app(runner, token="t0ken")
            welcome = await get(app, "/?token=t0ken")
            assert (welcome.status, welcome.headers["location"]) == (303, "/")
            page = await get(app, "/", cookie=welcome.headers["set-cookie"].partition(";")[0])
            assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert b"t0ken" not in page.body

    @pytest.mark.parametrize(
        "path", ["/", "/board.js", "/api/changes", "/api/pods/x", "/api/pods/x/log", "/else"]
    )
    async def test_nothing_is_open_without_it(self, cluster: Cluster, path: str):
        async with running(cluster) as runner:
            app = podrunner.board_app(runner, token="t0ken")
            assert (await get(app, path)).status == 401
            assert (await get(app, path + "?token=other")).status == 403
            assert (await get(app, path + "?token=t0ken", host="evil.example")).status == 421
            assert (await get(app, path, method="POST")).status == 405

    async def test_no_answer_allows_another_origin(self, cluster: Cluster):
        async with running(cluster) as runner:
            app = podrunner.board_app(runner, token=None)
            for path in ("/", "/board.css", "/api/pods/x"):
                headers = (await get(app, path, origin="https://evil.example")).headers
                assert not [name for name in headers if name.startswith("access-control")]
                assert headers["x-content-type-options"] == "nosniff"


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "starlette", None)
    with pytest.raises(UsageError, match=r"needs starlette: pip install 'podrunner\[board\]'"):
        podrunner.board_app(podrunner.AsyncPodRunner(), token=None)


def test_a_blocking_runner_is_refused():
    with pytest.raises(UsageError, match="give it an AsyncPodRunner"):
        podrunner.board_app(podrunner.PodRunner(), token=None)


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/api/changes", "/api/pods/x", "/api/pods/x/log"])
async def test_a_runner_that_is_not_open_yet_is_an_answer(path: str):
    """And no traceback in the service's log each time that the page tries again."""
    answer = await get(podrunner.board_app(podrunner.AsyncPodRunner(), **OPEN), path)
    assert (answer.status, answer.headers["content-type"]) == (503, "application/json")
    assert "not open" in answer.json()["error"]


@pytest.mark.anyio
async def test_a_runner_that_is_closed_is_an_answer(cluster: Cluster):
    async with running(cluster) as runner:
        app = podrunner.board_app(runner, **OPEN)
    answer = await get(app, "/api/changes")
    assert (answer.status, "closed" in answer.json()["error"]) == (503, True)


@pytest.mark.anyio
async def test_it_is_mounted_inside_a_service(cluster: Cluster):
    async with running(cluster) as runner:
        service = Starlette(routes=[Mount("/jobs/board", app=board.app(runner, token="t"))])
        welcome = await get(service, "/jobs/board/?token=t")
        assert welcome.headers["location"] == "/jobs/board/"
        assert "Path=/jobs/board/;" in welcome.headers["set-cookie"]
        cookie = welcome.headers["set-cookie"].partition(";")[0]
        for path in ("", "board.css", "board.js"):
            assert (await get(service, f"/jobs/board/{path}", cookie=cookie)).status == 200
