"""A small API server in memory, as a Transport: bytes in, bytes out, on any event loop, in virtual time too.

It knows pods and secrets: create, get, list in pages, watch, delete, patch, with resourceVersions, selectors,
finalizers, 404, 409, 410 and 422, and it fails as it is told. It is honest about what it knows (a watch replays
history, a page is of one snapshot) and knows nothing else: LocalCluster is the real fake.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import anyio
from podrunner.errors import RequestTimeoutError, TransportError
from podrunner.kube import KubeClient, Request, Response, RetryAfterGate
from podrunner.merge import json_merge, strategic_merge

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
JSON = {"content-type": "application/json"}
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
ENDED = frozenset({"Succeeded", "Failed"})


@dataclass
class Fault:
    """What goes wrong with the next ``times`` requests that match."""

    matches: Callable[[Request], bool]
    times: int = 1
    status: int | None = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    refuse: bool = False  # the connection is refused: nothing was sent
    lose_reply: bool = False  # the server does it, and the answer is lost
    break_reply: bool = False  # the server does it, and the connection breaks before the answer
    delay_s: float = 0.0  # before the server looks at it
    delay_reply_s: float = 0.0  # after the server did it


@dataclass
class Change:
    """One step of the history."""

    version: int
    kind: str
    obj: dict[str, Any]
    before: dict[str, Any] | None


class FakeServer:
    """The server; also the transport to it."""

    def __init__(self, *, streaming_lists: bool = True, gone_in_stream: bool = False) -> None:
        self.streaming_lists = streaming_lists
        self.gone_in_stream = gone_in_stream
        self.version = 100
        self.compacted = 0
        self.pods: dict[tuple[str, str], dict[str, Any]] = {}
        self.secrets: dict[tuple[str, str], dict[str, Any]] = {}
        self.history: list[Change] = []
        self.snapshots: dict[int, list[dict[str, Any]]] = {}
        self.requests: list[tuple[float, str, str]] = []
        self.faults: list[Fault] = []
        self.watches: list[FakeStream] = []
        self.muted = False
        self._uids = 0

    def client(self) -> KubeClient:
        """Return a real client that talks to this server."""
        return KubeClient(self, timeout_s=30, gate=RetryAfterGate())

    def count(self, method: str, part: str = "") -> int:
        """Count the requests seen."""
        return sum(1 for _, verb, target in self.requests if verb == method and part in target)

    def fail(self, method: str, part: str = "/pods", **how: Any) -> Fault:
        """Let the next requests that match fail."""
        fault = Fault(lambda request: request.method == method and part in request.target, **how)
        self.faults.append(fault)
        return fault

    # What happens in the cluster

    def put(self, name: str, *, labels: Mapping[str, str] | None = None, **parts: Any) -> dict[str, Any]:
        """Create a pod, as another client would."""
        pod = {
            "metadata": {"name": name, "labels": dict(labels or {"app": "x"})},
            "spec": {"containers": [{"name": "base"}], "restartPolicy": "Never"},
            **parts,
        }
        return self._create("default", pod)

    def change(self, name: str, *, namespace: str = "default", **parts: Any) -> dict[str, Any]:
        """Merge parts into a pod: ``status={…}``, ``metadata={…}``."""
        before = self.pods[namespace, name]
        after = _merge(before, parts)
        return self._commit("MODIFIED", after, before)

    def phase(self, name: str, phase: str, **status: Any) -> dict[str, Any]:
        """Set a pod's phase."""
        return self.change(name, status={"phase": phase, **status})

    def remove(
        self, name: str, *, namespace: str = "default", noticed: bool = True, **last: Any
    ) -> dict[str, Any]:
        """Delete a pod for good, as the API server does: its grace becomes 0, then it goes.

        A finalizer holds the pod after the first of the two steps. ``last`` is merged into the deletion's event;
        ``noticed=False`` leaves the mark out, unless a finalizer holds the pod.
        """
        before = self.pods[namespace, name]
        held = bool(before["metadata"].get("finalizers"))
        if noticed or held:
            before = self.mark_deleted(name, namespace=namespace, grace_s=0)
        return before if held else self._drop(before, **last)

    def mark_deleted(self, name: str, *, namespace: str = "default", grace_s: int = 30) -> dict[str, Any]:
        """Mark a pod as terminating; a mark that is there already is only shortened."""
        pod = self.pods[namespace, name]
        known_s = pod["metadata"].get("deletionGracePeriodSeconds")
        if known_s is not None and known_s <= grace_s:
            return pod
        asked = self._now() if known_s is None else _asked_at(pod["metadata"])
        meta = {
            "deletionTimestamp": _stamp(asked + timedelta(seconds=grace_s)),
            "deletionGracePeriodSeconds": grace_s,
        }
        return self.change(name, namespace=namespace, metadata=meta)

    def hold(self, name: str, finalizer: str, *, namespace: str = "default") -> dict[str, Any]:
        """Add a finalizer to a pod."""
        known = self.pods[namespace, name]["metadata"].get("finalizers", [])
        return self.change(name, namespace=namespace, metadata={"finalizers": [*known, finalizer]})

    def release(self, name: str, finalizer: str, *, namespace: str = "default") -> None:
        """Remove a finalizer of a pod, as another client would: a pod that is deleted goes with the last."""
        known = self.pods[namespace, name]["metadata"].get("finalizers", [])
        left = [each for each in known if each != finalizer]
        self._patch(namespace, name, {"metadata": {"finalizers": left or None}})

    def _drop(self, pod: dict[str, Any], **last: Any) -> dict[str, Any]:
        """Remove a pod from the store; the event shows it as it was stored."""
        before = self.pods.pop((pod["metadata"]["namespace"], pod["metadata"]["name"]))
        return self._commit("DELETED", _merge(before, last), before)

    def compact(self) -> None:
        """Forget all history."""
        self.compacted = self.version
        self.history.clear()
        self.snapshots.clear()

    def bookmark(self) -> None:
        """Send a bookmark on all watches."""
        for watch in self.watches:
            watch.send("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}})

    def end_watches(self) -> None:
        """End all watches, in good order."""
        for watch in list(self.watches):
            watch.end()

    def break_watches(self) -> None:
        """Break all watch connections."""
        for watch in list(self.watches):
            watch.end(TransportError("connection reset", method="GET"))

    def _create(self, namespace: str, pod: dict[str, Any]) -> dict[str, Any]:
        self._uids += 1
        meta = {**pod["metadata"], "namespace": namespace, "uid": f"uid-{self._uids}"}
        meta["creationTimestamp"] = self._time()
        return self._commit(
            "ADDED", {**pod, "metadata": meta, "status": pod.get("status", {"phase": "Pending"})}
        )

    def _commit(self, kind: str, obj: dict[str, Any], before: dict[str, Any] | None = None) -> dict[str, Any]:
        self.version += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        meta = obj["metadata"]
        if kind != "DELETED":
            self.pods[meta["namespace"], meta["name"]] = obj
        change = Change(self.version, kind, obj, before)
        self.history.append(change)
        if not self.muted:
            for watch in self.watches:
                watch.tell(change)
        return obj

    def _now(self) -> datetime:
        return EPOCH + timedelta(seconds=anyio.current_time() % 1_000_000)

    def _time(self) -> str:
        return _stamp(self._now())

    # The transport

    async def request(self, request: Request) -> Response:
        fault = await self._arrive(request)
        if fault is not None and fault.status is not None:
            return Response(fault.status, {**JSON, **fault.headers}, fault.body)
        answer = self._answer(request)
        if fault is not None and fault.delay_reply_s:
            await anyio.sleep(fault.delay_reply_s)
        if fault is not None and fault.lose_reply:
            raise RequestTimeoutError("no answer", method=request.method)
        if fault is not None and fault.break_reply:
            raise TransportError("connection reset", method=request.method)
        return answer

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[FakeStream]:
        fault = await self._arrive(request)
        if fault is not None and fault.status is not None:
            stream = FakeStream(fault.status, {**JSON, **fault.headers})
            stream.push(fault.body)
            stream.end()
            yield stream
            return
        stream = self._watch(dict(parse_qsl(urlsplit(request.target).query)), request.path)
        self.watches.append(stream)
        try:
            yield stream
        finally:
            if stream in self.watches:
                self.watches.remove(stream)

    def upgrade(self, request: Request, subprotocols: object) -> Any:
        raise NotImplementedError

    async def aclose(self) -> None:
        """Nothing is open."""

    async def _arrive(self, request: Request) -> Fault | None:
        await anyio.lowlevel.checkpoint()
        self.requests.append((anyio.current_time(), request.method, request.target))
        fault = next((fault for fault in self.faults if fault.times and fault.matches(request)), None)
        if fault is None:
            return None
        fault.times -= 1
        if fault.delay_s:
            await anyio.sleep(fault.delay_s)
        if fault.refuse:
            raise TransportError("connection refused", method=request.method, sent=False)
        return fault

    def _answer(self, request: Request) -> Response:  # noqa: PLR0911  # a router: one return per route
        parts = [part for part in request.path.split("/") if part]  # api v1 namespaces ns pods name
        query = dict(parse_qsl(urlsplit(request.target).query))
        body = json.loads(request.body) if request.body else {}
        namespace = parts[3] if parts[2] == "namespaces" else None
        kind = parts[4] if namespace else parts[2]
        name = parts[5] if len(parts) > 5 else None
        objects = self.secrets if kind == "secrets" else self.pods
        if request.method == "POST" and query.get("dryRun"):
            return _ok(body, 201)
        if request.method == "POST":
            return self._post(objects, namespace or "", body)
        if name is None:
            return self._list(namespace, query)
        if (namespace, name) not in objects:
            return _status(404, "NotFound", f'{kind} "{name}" not found')
        if request.method == "DELETE" and kind == "secrets":
            return _ok(objects.pop((namespace or "", name)))
        if request.method == "DELETE":
            return self._delete(namespace or "", name, body)
        if request.method == "PATCH":
            return self._patch(namespace or "", name, body, media=_media(request))
        return _ok(objects[namespace or "", name])

    def _post(self, objects: dict[tuple[str, str], Any], namespace: str, body: dict[str, Any]) -> Response:
        name = body["metadata"]["name"]
        if (namespace, name) in objects:
            return _status(409, "AlreadyExists", f'"{name}" already exists')
        if objects is self.secrets:
            self.secrets[namespace, name] = body
            return _ok(body, 201)
        return _ok(self._create(namespace, body), 201)

    def _delete(self, namespace: str, name: str, options: dict[str, Any]) -> Response:
        pod = self.pods[namespace, name]
        if refused := _refused_deletion(pod["metadata"], options.get("preconditions") or {}):
            return _status(409, "Conflict", f'Operation cannot be fulfilled on Pod "{name}": {refused}')
        grace_s = options.get("gracePeriodSeconds", 30)
        if pod["spec"].get("nodeName") and pod["status"]["phase"] not in ENDED and grace_s != 0:
            return _ok(self.mark_deleted(name, namespace=namespace, grace_s=grace_s))
        return _ok(self.remove(name, namespace=namespace))

    def _patch(
        self, namespace: str, name: str, body: dict[str, Any], *, media: str = MERGE_PATCH
    ) -> Response:
        """A patch; with a resourceVersion, a compare-and-swap (409); with a UID, of this pod only (422)."""
        before = self.pods[namespace, name]
        if _version_wanted(body) not in {None, before["metadata"]["resourceVersion"]}:
            return _status(409, "Conflict", "the object has been modified")
        after = strategic_merge(before, body) if media == STRATEGIC_PATCH else json_merge(before, body)
        after["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"]
        if refused := _refused_change(before, after):
            return _status(422, "Invalid", f'Pod "{name}" is invalid: {refused}')
        if _is_released(after):
            self._drop(before)
            return _ok(after)
        return _ok(self._commit("MODIFIED", after, before))

    def _list(self, namespace: str | None, query: dict[str, str]) -> Response:
        begin = 0
        version = self.version
        if "continue" in query:
            version, begin = (int(part) for part in query["continue"].split(":"))
            if version not in self.snapshots:
                return _status(410, "Expired", "the provided continue parameter is too old")
        else:
            found = [pod for pod in self.pods.values() if _selected(pod, namespace, query)]
            self.snapshots[version] = sorted(found, key=lambda pod: pod["metadata"]["name"])
        pods = self.snapshots[version]
        end = begin + int(query.get("limit", len(pods) or 1))
        token = f"{version}:{end}" if end < len(pods) else ""
        meta = {"resourceVersion": str(version), "continue": token}
        return _ok({"kind": "PodList", "metadata": meta, "items": pods[begin:end]})

    def _watch(self, query: dict[str, str], path: str) -> FakeStream:
        namespace = path.split("/")[4] if "/namespaces/" in path else None
        if query.get("sendInitialEvents") and not self.streaming_lists:
            refused = _status(422, "Invalid", "sendInitialEvents: Forbidden")
            stream = FakeStream(422, JSON)
            stream.push(refused.body)
            stream.end()
            return stream
        stream = FakeStream(200, JSON, select=lambda pod: _selected(pod, namespace, query))
        if "timeoutSeconds" in query:
            stream.deadline = anyio.current_time() + float(query["timeoutSeconds"])
        if query.get("sendInitialEvents"):
            self._initial_events(stream)
        elif int(query["resourceVersion"]) < self.compacted:
            return self._gone(stream)
        else:
            for change in self.history:
                if change.version > int(query["resourceVersion"]):
                    stream.tell(change)
        return stream

    def _initial_events(self, stream: FakeStream) -> None:
        for pod in self.pods.values():
            if stream.select(pod):
                stream.send("ADDED", pod)
        annotations = {"k8s.io/initial-events-end": "true"}
        stream.send(
            "BOOKMARK", {"metadata": {"resourceVersion": str(self.version), "annotations": annotations}}
        )

    def _gone(self, stream: FakeStream) -> FakeStream:
        status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
        if self.gone_in_stream:
            stream.send("ERROR", status)
        else:
            stream = FakeStream(410, JSON)
            stream.push(json.dumps(status).encode())
        stream.end()
        return stream


class FakeStream:
    """One watch connection."""

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        select: Callable[[dict[str, Any]], bool] = lambda _: True,
    ) -> None:
        self.status = status
        self.headers = headers
        self.select = select
        self.deadline = float("inf")
        self._batches: deque[bytes] = deque()
        self._ended = False
        self._error: Exception | None = None
        self._wake = anyio.Event()

    def tell(self, change: Change) -> None:
        """Send a change as this watch's selector sees it."""
        was = change.before is not None and self.select(change.before)
        now = change.kind != "DELETED" and self.select(change.obj)
        if now:
            self.send("MODIFIED" if was else "ADDED", change.obj)
        elif was and change.kind != "DELETED" and change.before is not None:
            # Gone from the selection: the API server sends the object as it was, at the new version.
            meta = {**change.before["metadata"], "resourceVersion": str(change.version)}
            self.send("DELETED", {**change.before, "metadata": meta})
        elif was:
            self.send("DELETED", change.obj)

    def send(self, kind: str, obj: Mapping[str, Any]) -> None:
        """Send an event."""
        self.push(json.dumps({"type": kind, "object": obj}).encode() + b"\n")

    def push(self, data: bytes) -> None:
        """Send bytes."""
        self._batches.append(data)
        self._wake.set()

    def end(self, error: Exception | None = None) -> None:
        """End the stream, after what was sent."""
        self._ended, self._error = True, error
        self._wake.set()

    def __aiter__(self) -> FakeStream:
        return self

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        while not self._batches:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            self._wake = anyio.Event()
            with anyio.CancelScope(deadline=self.deadline) as scope:
                await self._wake.wait()
            self._ended = self._ended or scope.cancelled_caught
        return self._batches.popleft()


def _media(request: Request) -> str:
    named = {name.lower(): value for name, value in request.headers.items()}
    return named.get("content-type", MERGE_PATCH)


def _version_wanted(patch: Mapping[str, Any]) -> str | None:
    wanted: str | None = (patch.get("metadata") or {}).get("resourceVersion")
    return wanted


def _refused_deletion(meta: Mapping[str, Any], preconditions: Mapping[str, str]) -> str | None:
    """Why the API server refuses a deletion, in its words; None if it does not."""
    for field_name, word, then in (
        ("uid", "UID", "deleted and then recreated"),
        ("resourceVersion", "ResourceVersion", "modified"),
    ):
        wanted = preconditions.get(field_name)
        if wanted not in {None, meta[field_name]}:
            return (
                f"the {word} in the precondition ({wanted}) does not match the {word} in record "
                f"({meta[field_name]}). The object might have been {then}"
            )
    return None


def _refused_change(before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """Why the API server refuses a change, in its words; None if it does not."""
    old, new = before["metadata"], after["metadata"]
    if new.get("uid") != old["uid"]:
        return f'metadata.uid: Invalid value: "{new.get("uid")}": field is immutable'
    added = sorted(set(new.get("finalizers") or ()) - set(old.get("finalizers") or ()))
    if "deletionTimestamp" in old and added:
        return (
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
            f"found new finalizers {added}"
        )
    return _refused_deadline(
        before["spec"].get("activeDeadlineSeconds"), after["spec"].get("activeDeadlineSeconds")
    )


def _refused_deadline(before_s: int | None, after_s: int | None) -> str | None:
    path = "spec.activeDeadlineSeconds: Invalid value"
    if after_s is None:
        return (
            None
            if before_s is None
            else f"{path}: null: must not update from a positive integer to nil value"
        )
    if after_s < 1:
        return f"{path}: {after_s}: must be between 1 and 2147483647, inclusive"
    if before_s is not None and before_s < after_s:
        return f"{path}: {after_s}: must be less than or equal to previous value"
    return None


def _is_released(pod: Mapping[str, Any]) -> bool:
    """Whether a pod is deleted, its grace is over, and no finalizer holds it."""
    meta = pod["metadata"]
    return (
        "deletionTimestamp" in meta
        and not meta.get("deletionGracePeriodSeconds")
        and not meta.get("finalizers")
    )


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _asked_at(meta: Mapping[str, Any]) -> datetime:
    """When the deletion was asked for: with its grace cut to 0, that is a pod's deletionTimestamp."""
    marked = datetime.fromisoformat(meta["deletionTimestamp"])
    return marked - timedelta(seconds=meta.get("deletionGracePeriodSeconds", 0))


def _selected(pod: dict[str, Any], namespace: str | None, query: Mapping[str, str]) -> bool:
    if namespace is not None and pod["metadata"]["namespace"] != namespace:
        return False
    labels = pod["metadata"].get("labels", {})
    wanted = [part.split("=") for part in query.get("labelSelector", "").split(",") if part]
    return all(labels.get(name) == value for name, value in wanted)


def _merge(target: dict[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(target)
    for name, value in patch.items():
        known = merged.get(name)
        merged[name] = (
            _merge(known, value) if isinstance(known, dict) and isinstance(value, Mapping) else value
        )
    return merged


def _ok(body: object, status: int = 200) -> Response:
    return Response(status, JSON, json.dumps(body).encode())


def _status(code: int, reason: str, message: str) -> Response:
    body = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
    return Response(code, JSON, json.dumps(body).encode())
