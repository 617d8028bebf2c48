"""A byte that changes on the way, on a line without TLS, changes no pod's outcome."""

from __future__ import annotations

import pytest
from podrunner.kube import Request, Response
from tests.unit.runner.harness import Cluster, running, until, workload

pytestmark = pytest.mark.anyio


class SpoilingCluster(Cluster):
    """Changes the UID in one answer on the way."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self.method = method

    async def request(self, request: Request) -> Response:
        answer = await super().request(request)
        if request.method == self.method and "/pods" in request.path and b'"uid-1"' in answer.body:
            self.method = ""
            return Response(answer.status, answer.headers, answer.body.replace(b'"uid-1"', b'"uid-9"'))
        return answer


async def test_the_uid_of_a_create_was_changed():
    """The watch shows a pod that was never made here, and the one that was made is never shown: they are the same."""
    cluster = SpoilingCluster("POST")
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        assert pod.uid == "uid-9"
        cluster.run(pod.name)
        await until(lambda: pod.uid == "uid-1")
        cluster.finish(pod.name, 5)
        assert (await pod.wait(30)).exit_code == 5
        await until(lambda: runner.health().active == 0)
    assert cluster.count("POST", "/pods") == 1


async def test_the_uid_of_a_read_was_changed():
    """A pod that the watch does not show is asked for; one answer with another UID does not make it gone."""
    cluster = SpoilingCluster("")
    async with running(cluster) as runner:
        cluster.muted = True
        pod = await runner.launch(workload())
        cluster.method = "GET"
        await until(lambda: not cluster.method)
        cluster.play(pod.name, 6)
        assert (await pod.wait(30)).exit_code == 6
        cluster.muted = False
        cluster.break_watches()
