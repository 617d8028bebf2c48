"""What the tests of the launcher share: a plan, a launcher on a fake server, an answer that refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from msgspec.structs import replace
from podrunner.builder import PodPlan, build_plan
from podrunner.config import RetrySettings, RunnerConfig
from podrunner.launcher import Launcher
from podrunner.workload import Workload, WorkloadKey
from tests.support.event_loops import virtual_time
from tests.support.fake_server import FakeServer

CONFIG = RunnerConfig(
    image="busybox", create_retry=RetrySettings(attempts=4), retry=RetrySettings(attempts=4)
)
SECRET = {"metadata": {"name": "s", "namespace": "default"}, "stringData": {"password": "hidden"}}

anyio_backend = virtual_time


def plan(name: str = "t", *, attempt: int = 1, secret: bool = False) -> PodPlan:
    key = WorkloadKey({"task": name}, attempt=attempt)
    made = build_plan(CONFIG, Workload(key=key, command=["true"]))
    return replace(made, secret=SECRET) if secret else made


def launcher(
    server: FakeServer,
    *,
    owner: str = "me",
    waits: list[float] | None = None,
    may_act: Callable[[], bool] = lambda: True,
    attempts: int = 4,
) -> Launcher:
    on_retry = None if waits is None else lambda _error, wait_s: waits.append(wait_s)
    return Launcher(
        server.client(),
        owner=owner,
        scope="default",
        config=CONFIG.model_copy(update={"create_retry": RetrySettings(attempts=attempts)}),
        random=Random(3),
        on_retry=on_retry,
        may_act=may_act,
    )


def status(code: int, reason: str, message: str = "", **details: Any) -> dict[str, Any]:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
    return {"status": code, "body": json.dumps(body).encode()}
