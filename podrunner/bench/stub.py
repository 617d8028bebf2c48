"""A stub API server for benchmarks: plain HTTP on loopback, asyncio protocols, one namespace or many.

It serves what a runner asks for: pods (create, list, watch, read, merge patch, delete, log), Leases, and no Events. A
pod lives by the script in its annotation, as in a LocalCluster, and each of its stages is an event on every watch. It
takes any token and any selector: one runner is measured at a time.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
import uuid
from collections import Counter
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from podrunner.bench.plan import SCRIPT
from podrunner.bench.stub_discovery import DISCOVERY
from podrunner.bench.stub_http import EVENTS_END, Answer, Connection, chunk
from podrunner.bench.stub_pods import FINAL, NODE, admitted, status_of
from podrunner.merge import json_merge

__all__ = ["StubServer"]

Json = dict[str, Any]
_encode = msgspec.json.encode
_decode = msgspec.json.decode
_STAGE_S: Final = 0.02
"""Seconds between two stages before a pod runs."""
_APART_S: Final = 0.002
"""Seconds at least between two batches of stages."""


class _Life:
    """A pod of the stub, its script, and when it passed its stages (monotonic seconds)."""

    __slots__ = ("ended_ns", "passed", "pod", "readers", "script", "stage", "started")

    def __init__(self, pod: Json) -> None:
        self.pod = pod
        self.script: Json = _decode((pod["metadata"].get("annotations") or {}).get(SCRIPT) or "{}")
        self.stage = 0
        self.started = ""
        self.ended_ns = 0
        self.passed: dict[str, float] = {}
        self.readers: list[Connection] = []


class StubServer:
    """The part of the API that a runner uses.

    Attributes:
        requests: How many there were, by verb and resource.
        passed: When each pod that ever was passed its stages, in monotonic seconds, by its name.
    """

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.passed: dict[str, dict[str, float]] = {}
        self._versions = itertools.count(1_000_001)
        self._order = itertools.count()
        self._pods: dict[tuple[str, str], _Life] = {}
        self._leases: dict[tuple[str, str], Json] = {}
        self._watches: set[Connection] = set()
        self._due: list[tuple[float, int, tuple[str, str], str]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._held: list[tuple[str, str]] = []

    async def start(self) -> str:
        """Begin to serve; return the URL."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(self), "127.0.0.1", 0, backlog=2048)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    @property
    def left(self) -> dict[str, int]:
        """How many pods and Leases there are."""
        return {"pods": len(self._pods), "leases": len(self._leases)}

    def release(self) -> None:
        """Let the pods that are held run on: each ends when its script's time has passed from now on."""
        held, self._held = self._held, []
        for key in held:
            if key in self._pods:
                self._at(self._pods[key].script.get("running_s", 0), key)

    def closed(self, connection: Connection) -> None:
        """A client closed its connection."""
        self._watches.discard(connection)

    def answer(  # noqa: PLR0911  # a table: one return per resource
        self, connection: Connection, method: str, target: str, body: bytes
    ) -> Answer | None:
        """Answer a request; None: the connection was given a stream."""
        path, _, query = target.partition("?")
        if (known := DISCOVERY.get(path.rstrip("/"))) is not None:
            return Answer(200, known)
        parts = path.split("/namespaces/", 1)[-1].split("/")
        namespace, resource, name, below = (*parts, "", "", "", "")[:4]
        self.requests[f"{method} {resource}{'/' + below if below else ''}"] += 1
        key = (namespace, name)
        if resource == "leases":
            return self._lease(method, key, body)
        if resource == "events":
            return Answer(200, {"kind": "EventList", "apiVersion": "v1", "metadata": {}, "items": []})
        if resource != "pods":
            return _missing(path)
        if not name:
            return self._of_collection(connection, method, namespace, query, body)
        if (life := self._pods.get(key)) is None:
            return _missing(name)
        if below == "log":
            return self._log(connection, life, query)
        return self._of_pod(method, key, life, body)

    # --- pods ---

    def _of_collection(
        self, connection: Connection, method: str, namespace: str, query: str, body: bytes
    ) -> Answer | None:
        if method == "POST":
            return self._create(namespace, _decode(body))
        if "watch=" in query:
            self._watch(connection, query)
            return None
        meta = {"resourceVersion": str(next(self._versions))}
        return Answer(
            200, {"kind": "PodList", "apiVersion": "v1", "metadata": meta, "items": self._objects()}
        )

    def _objects(self) -> list[Json]:
        return [life.pod for life in self._pods.values()]

    def _create(self, namespace: str, manifest: Json) -> Answer:
        key = (namespace, manifest["metadata"]["name"])
        if key in self._pods:
            return _refused(409, "AlreadyExists", f'pods "{key[1]}" already exists')
        pod = admitted(manifest, namespace=namespace, uid=str(uuid.uuid4()), now=_now())
        life = self._pods[key] = _Life(pod)
        answer = self._emit(b"ADDED", pod)
        self.passed[key[1]] = life.passed
        self._at(_STAGE_S, key)
        return Answer(201, answer)

    def _of_pod(self, method: str, key: tuple[str, str], life: _Life, body: bytes) -> Answer:
        if method == "DELETE":
            return self._delete(key, life, _decode(body) if body else {})
        if method == "PATCH":
            return self._patch(life, _decode(body))
        return Answer(200, life.pod)

    def _patch(self, life: _Life, patch: Json) -> Answer:
        patched = json_merge(life.pod, patch)
        if patched["metadata"]["resourceVersion"] != life.pod["metadata"]["resourceVersion"]:
            return _refused(409, "Conflict", "the pod has been modified")
        life.pod = patched
        if "activeDeadlineSeconds" in patched["spec"] and life.stage < FINAL:
            self._end(life, exit_code=137, reason="DeadlineExceeded")
        return Answer(200, self._emit(b"MODIFIED", life.pod))

    def _delete(self, key: tuple[str, str], life: _Life, options: Json) -> Answer:
        meta = life.pod["metadata"]
        for name, wanted in (options.get("preconditions") or {}).items():
            if meta[name] != wanted:
                return _refused(409, "Conflict", f"the pod's {name} is {meta[name]}")
        del self._pods[key]
        meta |= {"deletionTimestamp": _now(), "deletionGracePeriodSeconds": 0}
        self._finish_logs(life)
        return Answer(200, self._emit(b"DELETED", life.pod))

    # --- the lives ---

    def _at(self, delay_s: float, key: tuple[str, str]) -> None:
        uid = self._pods[key].pod["metadata"]["uid"]
        heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._order), key, uid))
        self._set_timer()

    def _set_timer(self) -> None:
        """Set the timer for what is due first; what is due within 2 ms comes together: 500 batches a second at most."""
        if not self._due:
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + max(_APART_S, self._due[0][0] - time.monotonic())
        if self._timer is not None:
            if self._timer.when() <= at + _APART_S:
                return
            self._timer.cancel()
        self._timer = loop.call_at(at, self._advance)

    def _advance(self) -> None:
        """Put each pod whose time has come into its next stage."""
        self._timer = None
        while self._due and self._due[0][0] <= time.monotonic():
            _, _, key, uid = heapq.heappop(self._due)
            life = self._pods.get(key)
            if life is not None and life.pod["metadata"]["uid"] == uid and life.stage < FINAL:
                self._next_stage(key, life)
        self._set_timer()

    def _next_stage(self, key: tuple[str, str], life: _Life) -> None:
        if life.stage == FINAL - 1:
            self._end(life, exit_code=life.script.get("exit_code", 0))
        else:
            life.stage += 1
            life.pod["spec"]["nodeName"] = NODE
            life.started = _now() if life.stage == FINAL - 1 else ""
            self._set_status(life)
            life.passed[("scheduled", "creating", "running")[life.stage - 1]] = time.monotonic()
            self._wait(key, life)
        self._emit(b"MODIFIED", life.pod)

    def _wait(self, key: tuple[str, str], life: _Life) -> None:
        """Set the time of the next stage; of a pod that runs and is held, there is none yet."""
        if not life.started:
            self._at(_STAGE_S, key)
        elif life.script.get("held"):
            self._held.append(key)
        else:
            self._at(life.script.get("running_s", 0), key)

    def _end(self, life: _Life, *, exit_code: int, reason: str = "") -> None:
        life.stage, life.started = FINAL, life.started or _now()
        self._set_status(life, exit_code=exit_code, reason=reason)
        life.ended_ns = time.time_ns()
        life.passed["ended"] = time.monotonic()
        self._finish_logs(life)

    def _set_status(self, life: _Life, *, exit_code: int = 0, reason: str = "") -> None:
        main = life.pod["spec"]["containers"][0]
        life.pod["status"] = status_of(
            life.stage,
            name=main["name"],
            image=main.get("image", ""),
            now=_now(),
            exit_code=exit_code,
            started=life.started,
            reason=reason,
        )

    # --- watches ---

    def _watch(self, connection: Connection, query: str) -> None:
        """Begin a watch: by all pods that there are, unless it goes on from a version; then by a bookmark, if asked."""
        connection.begin_stream()
        streams_list = "sendInitialEvents=true" in query
        if streams_list or parse_qs(query).get("resourceVersion", ["0"]) == ["0"]:
            lines = [_event(b"ADDED", _encode(pod)) for pod in self._objects()]
            connection.write_soon(b"".join(map(chunk, lines)))
        if streams_list:
            meta = {"resourceVersion": str(next(self._versions)), "annotations": {EVENTS_END: "true"}}
            bookmark = {"kind": "Pod", "apiVersion": "v1", "metadata": meta}
            connection.write_soon(chunk(_event(b"BOOKMARK", _encode(bookmark))))
        self._watches.add(connection)

    def _emit(self, kind: bytes, pod: Json) -> bytes:
        """Send an event of a pod, at a new version; return the pod's JSON."""
        pod["metadata"]["resourceVersion"] = str(next(self._versions))
        encoded = _encode(pod)
        line = chunk(_event(kind, encoded))
        for watch in self._watches:
            watch.write_soon(line)
        return encoded

    # --- logs ---

    def _log(self, connection: Connection, life: _Life, query: str) -> Answer | None:
        if "follow=true" not in query:
            return Answer(200, _log_of(life), content_type="text/plain")
        connection.begin_stream("text/plain")
        life.readers.append(connection)
        if life.stage == FINAL:
            self._finish_logs(life)
        return None

    @staticmethod
    def _finish_logs(life: _Life) -> None:
        for reader in life.readers:
            reader.end_stream(_log_of(life))
        life.readers.clear()

    # --- Leases ---

    def _lease(self, method: str, key: tuple[str, str], body: bytes) -> Answer:
        if method in {"POST", "PUT"}:
            return self._keep(method, key, _decode(body))
        if not key[1]:
            meta = {"resourceVersion": str(next(self._versions))}
            return Answer(200, {"kind": "LeaseList", "metadata": meta, "items": [*self._leases.values()]})
        if key not in self._leases:
            return _missing(key[1])
        if method == "DELETE":
            return Answer(200, self._leases.pop(key))
        return Answer(200, self._leases[key])

    def _keep(self, method: str, key: tuple[str, str], lease: Json) -> Answer:
        key = (key[0], lease["metadata"]["name"])
        if method == "POST" and key in self._leases:
            return _refused(409, "AlreadyExists", "the Lease exists")
        lease["metadata"].setdefault("uid", str(uuid.uuid4()))
        lease["metadata"]["resourceVersion"] = str(next(self._versions))
        self._leases[key] = lease
        return Answer(201 if method == "POST" else 200, lease)


def _event(kind: bytes, encoded: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (kind, encoded)


def _log_of(life: _Life) -> bytes:
    """Return the log of a pod that is over, each line with its stamp."""
    if life.stage < FINAL:
        return b""
    lines = life.script.get("log") or []
    return "".join(f"{_nano(life.ended_ns + number)} {line}\n" for number, line in enumerate(lines)).encode()


def _nano(since_epoch_ns: int) -> str:
    seconds, fraction = divmod(since_epoch_ns, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{fraction:09}Z"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _missing(what: str) -> Answer:
    return _refused(404, "NotFound", f'"{what}" not found')


def _refused(code: int, reason: str, message: str) -> Answer:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code}
    return Answer(code, status | {"message": message})
