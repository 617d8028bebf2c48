"""A service that runs jobs and streams their logs as server-sent events.

Start it: ``python examples/log_service.py``. Run a job: ``curl -N --data 'echo hello' localhost:8080/jobs/mine``. Its
test is test_log_service.py.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import podrunner
from aiohttp import web

RUNNER = web.AppKey("RUNNER", podrunner.AsyncPodRunner)


async def run_job(request: web.Request) -> web.StreamResponse:
    """Run the shell command in the body, and stream its log, then its outcome. Asking again streams it again."""
    name, script = request.match_info["name"], await request.text()
    workload = podrunner.Workload(key={"job": name}, labels={"job": name}, command=["sh", "-c", script])
    pod = request.app[RUNNER].submit(workload)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    async for line in pod.logs():
        await response.write(f"data: {line}\n\n".encode())
    outcome = await pod
    await response.write(f"event: outcome\ndata: {json.dumps(outcome.to_dict())}\n\n".encode())
    return response


def make_app(config: podrunner.RunnerConfig) -> web.Application:
    """Return the service. Its runner is opened and closed with it."""

    async def with_runner(app: web.Application) -> AsyncIterator[None]:
        async with podrunner.AsyncPodRunner(config, on_exit="cancel") as app[RUNNER]:
            yield

    app = web.Application()
    app.cleanup_ctx.append(with_runner)
    app.router.add_post("/jobs/{name}", run_job)
    return app


if __name__ == "__main__":
    web.run_app(make_app(podrunner.RunnerConfig(cluster="local")), host="127.0.0.1", port=8080)
