"""A cluster in memory: the fake server with Leases, events and logs, and a hand that plays the kubelet."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from datetime import datetime
from random import Random
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import anyio
from podrunner.config import RunnerConfig
from podrunner.kube import Request, Response
from podrunner.kube.transport import HandshakeRefusedError
from podrunner.runner import AsyncPod, AsyncPodRunner
from podrunner.workload import Workload
from tests.support.fake_server import ENDED, FakeServer, FakeStream, _ok, _status
from tests.support.waiting import until  # noqa: F401  # the tests of this room take it from here

JSON = {"content-type": "application/json"}
DEADLINE_EXCEEDED = {
    "reason": "DeadlineExceeded",
    "message": "Pod was active on the node longer than the specified deadline",
}


class Cluster(FakeServer):
    """The fake server and what a runner needs beside pods."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.leases: dict[str, dict[str, Any]] = {}
        self.logs: dict[str, list[str]] = {}
        self.events: list[dict[str, Any]] = []
        self.log_requests: list[dict[str, str]] = []
        self.obedient = True  # the kubelet ends what is deleted, or past its deadline
        self.exit_codes: dict[str, int] = {}  # of pods that the kubelet ends, by name; 143 for the others
        self.commands: list[dict[str, Any]] = []  # that were run in containers
        self.on_exec: Callable[[dict[str, Any]], FakeCommand] = lambda _: FakeCommand()

    # What the kubelet does

    def tell(self, name: str, phase: str, *, init: Any = (), **states: dict[str, Any]) -> None:
        """How each container is, by its name; those in `init` are init containers."""
        statuses = [_status_of(state, name) for name, state in states.items()]
        status = {
            "phase": phase,
            "initContainerStatuses": [it for it in statuses if it["name"] in init],
            "containerStatuses": [it for it in statuses if it["name"] not in init],
        }
        self.change(name, status=status)

    def run(self, name: str) -> None:
        """The main container starts."""
        state = {"running": {"startedAt": self._time()}}
        status = {"phase": "Running", "containerStatuses": [_status_of(state)]}
        self.change(name, spec={**self.pods["default", name]["spec"], "nodeName": "node-1"}, status=status)

    def finish(self, name: str, exit_code: int = 0, **terminated: Any) -> None:
        """The main container ends."""
        phase = "Failed" if exit_code else "Succeeded"
        self.change(name, status={"phase": phase, **self._ended(exit_code, **terminated)})

    def _ended(self, exit_code: int, **terminated: Any) -> dict[str, Any]:
        reason = "Error" if exit_code else "Completed"
        times = {"startedAt": self._time(), "finishedAt": self._time()}
        state = {"terminated": {"exitCode": exit_code, "reason": reason, **times, **terminated}}
        return {"containerStatuses": [_status_of(state)]}

    def play(self, name: str, exit_code: int = 0) -> None:
        """The whole life of a short pod."""
        self.run(name)
        self.finish(name, exit_code)

    def play_all(self, exit_code: int = 0) -> None:
        """All pods run and end."""
        for _, name in list(self.pods):
            self.play(name, exit_code)

    def wait_for_image(self, name: str, reason: str = "ImagePullBackOff") -> None:
        """The image cannot be pulled."""
        state = {"waiting": {"reason": reason, "message": "not found"}}
        self.change(name, status={"phase": "Pending", "containerStatuses": [_status_of(state)]})

    def expire(self, name: str) -> None:
        """The kubelet ends a pod that its node has accepted, because its ``activeDeadlineSeconds`` are over."""
        pod = self.pods["default", name]
        if pod["status"]["phase"] in ENDED or not pod["spec"].get("nodeName"):
            return
        running = any("running" in each["state"] for each in pod["status"].get("containerStatuses", []))
        ended = self._ended(self.exit_codes.get(name, 143)) if running else {}
        self.change(name, status={"phase": "Failed", **DEADLINE_EXCEEDED, **ended})

    def expire_overdue(self) -> None:
        """The kubelet ends all pods whose ``activeDeadlineSeconds`` are over."""
        for _, name in list(self.pods):
            if self.left_s(name) <= 0:
                self.expire(name)

    def left_s(self, name: str) -> float:
        """Seconds until the ``activeDeadlineSeconds`` of a pod that its node has accepted are over."""
        pod = self.pods["default", name]
        deadline_s = pod["spec"].get("activeDeadlineSeconds")
        if deadline_s is None or pod["status"]["phase"] in ENDED or not pod["spec"].get("nodeName"):
            return math.inf
        states = [each["state"] for each in pod["status"].get("containerStatuses", [])]
        began = [
            detail["startedAt"] for state in states for detail in state.values() if "startedAt" in detail
        ]
        since = datetime.fromisoformat(min(began, default=pod["metadata"]["creationTimestamp"]))
        return float(deadline_s) - (self._now() - since).total_seconds()

    def _delete(self, namespace: str, name: str, options: dict[str, Any]) -> Response:
        answer = super()._delete(namespace, name, options)
        if answer.status == 200 and self.obedient and (namespace, name) in self.pods:
            self._obey(name)
        return answer

    def _obey(self, name: str) -> None:
        """The kubelet ends a deleted pod, and takes its leave of it."""
        pod = self.pods["default", name]
        if pod["spec"].get("nodeName") and pod["status"]["phase"] not in ENDED:
            self.finish(name, self.exit_codes.get(name, 143), reason="Error")
        self.remove(name)

    def _patch(self, namespace: str, name: str, body: dict[str, Any], **how: Any) -> Response:
        answer = super()._patch(namespace, name, body, **how)
        if answer.status == 200 and "activeDeadlineSeconds" in (body.get("spec") or {}) and self.obedient:
            self._check_deadline(name)
        return answer

    def _check_deadline(self, name: str) -> None:
        """At once, also within the second in which a pod with a deadline of one second started."""
        if self.left_s(name) <= 1:
            self.expire(name)

    # The transport

    def _answer(self, request: Request) -> Response:
        if "/leases" in request.path:
            return self._lease(request)
        if "/events" in request.path:
            return _ok({"kind": "EventList", "metadata": {}, "items": self.events})
        return super()._answer(request)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[FakeStream]:
        if not request.path.endswith("/log"):
            async with super().stream(request) as stream:
                yield stream
            return
        fault = await self._arrive(request)
        if fault is not None and fault.status is not None:
            yield _refusal(fault.status)
        else:
            yield self._log(request)

    @asynccontextmanager
    async def upgrade(self, request: Request, subprotocols: object) -> AsyncIterator[FakeCommand]:
        fault = await self._arrive(request)
        if fault is not None and fault.status is not None:
            raise HandshakeRefusedError(_status(fault.status, "", "no exec"))
        query = parse_qs(urlsplit(request.target).query)
        command = {"command": query["command"], "container": query["container"][0]}
        self.commands.append(command)
        yield deepcopy(self.on_exec(command))  # one may be said twice

    def _log(self, request: Request) -> FakeStream:
        query = dict(parse_qsl(urlsplit(request.target).query))
        self.log_requests.append(query)
        name = request.path.split("/")[-2]
        if ("default", name) not in self.pods:
            return _refusal(404)
        log = self.logs.get(f"{name}/{query.get('container')}", self.logs.get(name, []))
        lines = log[-int(query.get("tailLines", 1_000_000)) :]
        stream = FakeStream(200, {})
        stream.push("".join(f"{line}\n" for line in lines).encode())
        stream.end()
        return stream

    def _lease(self, request: Request) -> Response:  # noqa: PLR0911  # a router: one return per route
        name = request.path.split("/")[-1]
        body = json.loads(request.body) if request.body else {}
        if request.method == "POST":
            name = body["metadata"]["name"]
            if name in self.leases:
                return _status(409, "AlreadyExists", f'leases "{name}" already exists')
            return self._keep_lease(name, body, 201)
        if name == "leases":
            return _ok(
                {"kind": "LeaseList", "metadata": {"resourceVersion": str(self.version)}}
                | self._page(request)
            )
        if name not in self.leases:
            return _status(404, "NotFound", f'leases "{name}" not found')
        version = self.leases[name]["metadata"]["resourceVersion"]
        if body.get("preconditions", body.get("metadata", {})).get("resourceVersion", version) != version:
            return _status(409, "Conflict", "the object has been modified")
        if request.method == "DELETE":
            return _ok(self.leases.pop(name))
        if request.method == "PUT":
            return self._keep_lease(name, body, 200)
        return _ok(self.leases[name])

    def _page(self, request: Request) -> dict[str, Any]:
        """The Leases that a label selector means."""
        query = dict(parse_qsl(urlsplit(request.target).query))
        wanted = dict(pair.split("=") for pair in query["labelSelector"].split(","))
        return {
            "items": [it for it in self.leases.values() if wanted.items() <= it["metadata"]["labels"].items()]
        }

    def _keep_lease(self, name: str, body: dict[str, Any], status: int) -> Response:
        self.version += 1
        uid = self.leases.get(name, {"metadata": {}})["metadata"].get("uid") or f"uid-of-lease-{self.version}"
        meta = {**body["metadata"], "uid": uid, "resourceVersion": str(self.version)}
        self.leases[name] = {**body, "metadata": meta}
        return _ok(self.leases[name], status)


class FakeCommand:
    """A command in a container, as the WebSocket tells of it: it writes, and ends.

    Args:
        stdout: What it writes there, in pieces.
        stderr: What it writes there.
        exit_code: How it ends; None: the connection breaks first.
        hangs: Whether nothing comes after the output.
    """

    subprotocol = "v5.channel.k8s.io"

    def __init__(
        self, *stdout: bytes, stderr: bytes = b"", exit_code: int | None = 0, hangs: bool = False
    ) -> None:
        self._messages = deque(b"\x01" + piece for piece in stdout)
        if stderr:
            self._messages.append(b"\x02" + stderr)
        if exit_code is not None:
            self._messages.append(b"\x03" + _ended(exit_code))
        self._hangs = hangs

    async def receive(self) -> bytes | None:
        """The next message; None at the end."""
        await anyio.lowlevel.checkpoint()
        if self._messages:
            return self._messages.popleft()
        if self._hangs:
            await anyio.sleep_forever()
        return None

    async def send(self, data: bytes) -> None:
        """Drops it: the command reads nothing."""


def _ended(exit_code: int) -> bytes:
    if exit_code == 0:
        return json.dumps({"status": "Success"}).encode()
    causes = [{"reason": "ExitCode", "message": str(exit_code)}]
    status = {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}}
    return json.dumps(status).encode()


def _refusal(status: int) -> FakeStream:
    stream = FakeStream(status, JSON)
    stream.push(_status(status, "", "no log").body)
    stream.end()
    return stream


def _status_of(state: dict[str, Any], name: str = "base") -> dict[str, Any]:
    return {"name": name, "restartCount": 0, "ready": False, "state": state}


def workload(number: int = 1, **fields: Any) -> Workload:
    """A workload like any other."""
    return Workload(key={"n": str(number)}, command=["true"], **fields)


def configured(**settings: Any) -> RunnerConfig:
    """A configuration with quick retries."""
    quick = {"attempts": 3, "initial_s": 0.001, "max_s": 0.002}
    defaults = {
        "logs": {"follow": "off"},
        "cluster": "kubeconfig",
        "image": "i",
        "create_retry": quick,
        "retry": quick,
    }
    return RunnerConfig(**{**defaults, **settings})


@asynccontextmanager
async def running(
    cluster: Cluster, *, on_exit: str = "detach", log_sinks: Any = None, pod_hook: Any = None, **settings: Any
) -> AsyncIterator[AsyncPodRunner]:
    """A runner on the cluster, its watch in step."""
    config = configured(**settings)
    async with AsyncPodRunner(
        config,
        client=cluster.client(),
        on_exit=on_exit,
        log_sinks=log_sinks,
        pod_hook=pod_hook,
        random=Random(1),
    ) as runner:
        await runner.wait_synced()
        yield runner


def read_events(runner: AsyncPodRunner) -> bool:
    """Reads events as a scheduler's heartbeat does: what an earlier call gave is delivered by this one. True."""
    runner.poll_events()
    return True


def kinds(runner: AsyncPodRunner, pod: AsyncPod | None = None) -> list[str]:
    """The kinds of the events that wait, without those of the status."""
    events = runner.poll_events()
    return [
        str(event.kind)
        for event in events
        if event.kind != "status-changed" and (pod is None or event.name == pod.name)
    ]
