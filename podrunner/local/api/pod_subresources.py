"""Subresources that are not plain objects: log, exec, attach, portforward, binding, eviction, token.

This module decides what is asked for and of which container; the pod runtime (the kubelet) does it, and the streams of
exec, attach and portforward are served by ``streams``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from podrunner.local.api.connections import read_body
from podrunner.local.api.encoding.decoding import decode_body, expected_kind
from podrunner.local.api.encoding.rendering import Answer, encode_json
from podrunner.local.api.options import DeleteOptions, WriteOptions, read_bool, read_int
from podrunner.local.api.paths import Target
from podrunner.local.api.registry.deletion import delete_object
from podrunner.local.api.runtime import LogOptions, PodRuntime
from podrunner.local.api.status import (
    FieldError,
    bad_request,
    conflict,
    invalid,
    method_not_allowed,
    status_body,
)
from podrunner.local.api.storage.store import Stored, rfc3339
from podrunner.local.api.validation.field_errors import invalid_value
from podrunner.local.streams import ContainerProcess, serve_attach, serve_exec, serve_port_forward

if TYPE_CHECKING:
    from podrunner.local.api.registry.objects import Objects
    from podrunner.local.api.tokens import Tokens

__all__ = ["PodSubresources", "choose_container"]

Json = dict[str, Any]

_HEADERS_AFTER_S = 0.1
"""Seconds after which a log's headers are sent even without output; until then a refusal can become a status code."""


_LONGEST_TOKEN_S = 1 << 32

Handler = Callable[["PodSubresources", web.Request, Target], Awaitable[web.StreamResponse]]


class PodSubresources:
    """Answers requests for these subresources.

    Args:
        objects: The verbs.
        runtime: Runs the pods; None if there is no kubelet.
        tokens: Issues tokens of service accounts.
    """

    def __init__(self, objects: Objects, runtime: PodRuntime | None, tokens: Tokens) -> None:
        self._objects = objects
        self._runtime = runtime
        self._tokens = tokens

    def serves(self, target: Target) -> bool:
        """Return whether the target is one of these subresources."""
        return (target.type.plural, target.subresource.name if target.subresource else "") in _HANDLERS

    async def answer(self, request: web.Request, target: Target) -> web.StreamResponse:
        """Answer a request for one of these subresources; a refusal is a StatusError."""
        assert target.subresource is not None
        handler = _HANDLERS[target.type.plural, target.subresource.name]
        verb = {"GET": "get", "POST": "create"}.get(request.method, "")
        if verb not in target.subresource.verbs:
            raise method_not_allowed()
        return await handler(self, request, target)

    def _located(self, request: web.Request, target: Target) -> tuple[Stored, str]:
        pod = self._objects.get(target)
        return pod, choose_container(pod, request.query.get("container", ""))

    def _running(self, pod: Stored) -> PodRuntime:
        if self._runtime is None or not (pod.get("spec") or {}).get("nodeName"):
            raise bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
        return self._runtime

    async def log(self, request: web.Request, target: Target) -> web.StreamResponse:
        """Answer with a container's log."""
        pod, container = self._located(request, target)
        options = _read_log_query(request, target.name)
        if self._runtime is None or not pod["spec"].get("nodeName"):
            return web.Response(status=204)
        response = web.StreamResponse(
            headers={"Content-Type": "text/plain", "Cache-Control": "no-cache, private"}
        )
        pieces = self._runtime.read_log(pod, container, options)
        await _send(request, response, pieces)
        return response

    async def exec(self, request: web.Request, target: Target) -> web.StreamResponse:
        """Start a process in a container and serve its streams."""
        pod, container = self._located(request, target)
        runtime, argv, streams = self._running(pod), request.query.getall("command", []), _streams(request)
        if not argv:
            raise bad_request("you must specify at least one command for the exec")

        async def open_process() -> ContainerProcess:
            return await runtime.exec(pod, container, argv, stdin=streams["stdin"], tty=streams["tty"])

        return await serve_exec(request, open_process, **streams)

    async def attach(self, request: web.Request, target: Target) -> web.StreamResponse:
        """Serve the streams of a container's main process."""
        pod, container = self._located(request, target)
        runtime, streams = self._running(pod), _streams(request)

        async def open_process() -> ContainerProcess:
            return await runtime.attach(pod, container, stdin=streams["stdin"], tty=streams["tty"])

        return await serve_attach(request, open_process, **streams)

    async def port_forward(self, request: web.Request, target: Target) -> web.StreamResponse:
        """Serve connections to ports of the pod."""
        self._running(self._objects.get(target))
        return await serve_port_forward(request, _connect)

    async def bind(self, request: web.Request, target: Target) -> web.StreamResponse:
        """Assign a pod to a node."""
        body = self._objects.read_part(target, await _body(request, expected_kind(target)[1]))
        options = WriteOptions.read(request.query)
        node = (body.get("target") or {}).get("name") or ""
        if not node:
            error = FieldError("FieldValueRequired", "target.name", "Required value")
            raise invalid("Binding", target.name, [error])
        if not options.dry_run:
            self._objects.store.update(
                "pods", target.namespace, target.name, lambda pod: _bound(pod, body, node)
            )
        return _json(status_body("Success", code=201), 201)

    async def evict(self, request: web.Request, target: Target) -> web.StreamResponse:
        """Mark a pod as disrupted and delete it."""
        body = self._objects.read_part(target, await _body(request, expected_kind(target)[1]))
        pod = self._objects.get(target)
        options = DeleteOptions.read(request.query, body.get("deleteOptions") or {})
        if not options.dry_run:
            pod = self._objects.store.update("pods", target.namespace, target.name, self._disrupted)
        delete_object(self._objects.store, "pods", pod, replace(options, version=None))
        return _json(status_body("Success", code=201), 201)

    def _disrupted(self, pod: Json) -> Json:
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
            "lastTransitionTime": rfc3339(self._objects.store.now()),
        }
        return _with_condition(pod, condition)

    async def token(self, request: web.Request, target: Target) -> web.StreamResponse:
        """Issue a token of a service account."""
        body = self._objects.read_part(target, await _body(request, expected_kind(target)[1]))
        account = self._objects.get(target)
        spec = body.setdefault("spec", {})
        user = f"system:serviceaccount:{target.namespace}:{target.name}"
        now, seconds = self._objects.store.now(), spec.get("expirationSeconds")
        if seconds is not None and seconds > _LONGEST_TOKEN_S:
            words = "may not specify a duration larger than 2^32 seconds"
            error = invalid_value("spec.expirationSeconds", seconds, words)
            raise invalid("TokenRequest", target.name, [error], group="authentication.k8s.io")
        token, expiry = self._tokens.issue(user, seconds=seconds, now=now)
        spec["expirationSeconds"] = int((expiry - now).total_seconds())
        body["metadata"] = {"name": account["metadata"]["name"], "namespace": target.namespace}
        body["status"] = {"token": token, "expirationTimestamp": rfc3339(expiry)}
        return _json(body, 201)


_HANDLERS: dict[tuple[str, str], Handler] = {
    ("pods", "log"): PodSubresources.log,
    ("pods", "exec"): PodSubresources.exec,
    ("pods", "attach"): PodSubresources.attach,
    ("pods", "portforward"): PodSubresources.port_forward,
    ("pods", "binding"): PodSubresources.bind,
    ("pods", "eviction"): PodSubresources.evict,
    ("serviceaccounts", "token"): PodSubresources.token,
}


def choose_container(pod: Json, wanted: str) -> str:
    """Return the container that is meant; 400 with the choices if none of several is named, or an unknown one."""
    spec, pod_name = pod["spec"], pod["metadata"]["name"]
    names = [each["name"] for field in _CONTAINER_FIELDS for each in spec.get(field) or ()]
    if wanted:
        if wanted not in names:
            raise bad_request(f"container {wanted} is not valid for pod {pod_name}")
        return wanted
    if len(spec["containers"]) == 1:
        return str(spec["containers"][0]["name"])
    choices = f"choose one of: [{' '.join(names)}]"
    raise bad_request(f"a container name must be specified for pod {pod_name}, {choices}")


_CONTAINER_FIELDS = ("initContainers", "containers", "ephemeralContainers")


_LEAST = {"sinceSeconds": 1, "tailLines": 0, "limitBytes": 1}


def _too_small(field: str, value: int) -> FieldError:
    return invalid_value(field, value, f"must be greater than {'0' if _LEAST[field] else 'or equal to 0'}")


def _read_log_query(request: web.Request, name: str) -> LogOptions:
    query = request.query
    counts = {name: read_int(query, name) for name in ("sinceSeconds", "tailLines", "limitBytes")}
    given = {field: value for field, value in counts.items() if value is not None}
    errors = [_too_small(field, value) for field, value in given.items() if value < _LEAST[field]]
    if query.get("sinceTime") and counts["sinceSeconds"] is not None:
        errors.append(
            FieldError(
                "FieldValueForbidden",
                "",
                "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
            )
        )
    if errors:
        raise invalid("PodLogOptions", name, errors)
    return LogOptions(
        follow=read_bool(query, "follow"),
        previous=read_bool(query, "previous"),
        timestamps=read_bool(query, "timestamps"),
        since_time=_since_time(query.get("sinceTime", "")),
        since_seconds=counts["sinceSeconds"],
        tail_lines=counts["tailLines"],
        limit_bytes=counts["limitBytes"],
    )


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.,]\d{1,40})?(Z|[+-]\d\d:\d\d)", re.ASCII)


def _since_time(text: str) -> str | None:
    """Return an RFC 3339 time that can be read, None for none; 400 with Go's words for anything else."""
    if not text:
        return None
    try:
        if not _RFC3339.fullmatch(text):
            raise ValueError(text)
        datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        layout = "2006-01-02T15:04:05Z07:00"
        raise bad_request(f'parsing time "{text}" as "{layout}": cannot parse "{text}" as "2006"') from None
    return text


async def _send(request: web.Request, response: web.StreamResponse, pieces: AsyncIterator[bytes]) -> None:
    """Send the pieces; an error before the first becomes an ordinary refusal."""
    first = asyncio.ensure_future(anext(pieces, None))
    try:
        await asyncio.wait({first}, timeout=_HEADERS_AFTER_S)
        if first.done() and first.exception() is not None:
            await first
        await response.prepare(request)
        piece = await first
        while piece is not None:
            await response.write(piece)
            piece = await anext(pieces, None)
    finally:
        first.cancel()
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await asyncio.gather(first, return_exceptions=True)
            await close()


def _streams(request: web.Request) -> dict[str, bool]:
    streams = {name: read_bool(request.query, name) for name in ("stdin", "stdout", "stderr", "tty")}
    if not any(streams[name] for name in ("stdin", "stdout", "stderr")):
        raise bad_request("you must specify at least 1 of stdin, stdout, stderr")
    return streams


async def _connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a port of this machine's loopback, which all pods share."""
    return await asyncio.open_connection("127.0.0.1", port)


async def _body(request: web.Request, kind: str) -> Any:
    return decode_body(await read_body(request), request.headers.get("Content-Type", ""), kind=kind)


def _json(value: Json, code: int) -> web.Response:
    answer = Answer(encode_json(value), code)
    return web.Response(body=answer.body, status=answer.code, content_type="application/json")


def _bound(pod: Json, binding: Json, node: str) -> Json:
    problem = _unbindable(pod)
    if problem:
        raise conflict("pods/binding", pod["metadata"]["name"], why=problem)
    meta = pod["metadata"]
    annotations = (binding.get("metadata") or {}).get("annotations") or {}
    if annotations:
        meta["annotations"] = {**(meta.get("annotations") or {}), **annotations}
    pod["spec"]["nodeName"] = node
    return _with_condition(pod, {"type": "PodScheduled", "status": "True"})


def _unbindable(pod: Json) -> str:
    name, spec = pod["metadata"]["name"], pod["spec"]
    if pod["metadata"].get("deletionTimestamp"):
        return f"pod {name} is being deleted, cannot be assigned to a host"
    if spec.get("nodeName"):
        return f'pod {name} is already assigned to node "{spec["nodeName"]}"'
    if spec.get("schedulingGates"):
        return f"pod {name} has non-empty .spec.schedulingGates"
    return ""


def _with_condition(pod: Json, condition: Json) -> Json:
    status = pod.setdefault("status", {})
    others = [each for each in status.get("conditions") or () if each["type"] != condition["type"]]
    status["conditions"] = [*others, condition]
    return pod
