"""The HTTP side of the API server: authentication, routing, encoding of answers.

One handler for all paths (aiohttp's router would try hundreds of routes). Each request becomes a verb on a target;
the verbs themselves are ``objects``, ``listing`` and ``watching``; logs and streams are the pod runtime's.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiohttp import web

from podrunner.errors import UsageError
from podrunner.local.api import reviews
from podrunner.local.api.connections import HEADER_S, Connection, connection_factory, read_body
from podrunner.local.api.discovery import absent, groups
from podrunner.local.api.encoding.decoding import decode_body, expected_kind, media_type
from podrunner.local.api.encoding.events_v1 import converter
from podrunner.local.api.encoding.rendering import (
    Answer,
    View,
    as_yaml,
    choose_view,
    encode_json,
    prefers_yaml,
)
from podrunner.local.api.options import DeleteOptions, ListOptions, WriteOptions
from podrunner.local.api.paths import Target, parse_path
from podrunner.local.api.registry.patching import APPLY
from podrunner.local.api.status import (
    StatusError,
    bad_request,
    method_not_allowed,
    no_such_resource,
    too_large,
)
from podrunner.local.api.storage.listing import list_page
from podrunner.local.api.storage.watching import Watch

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from podrunner.local.api.discovery.openapi import OpenApi
    from podrunner.local.api.pod_subresources import PodSubresources
    from podrunner.local.api.registry.objects import Objects, Written
    from podrunner.local.api.tokens import Tokens

__all__ = ["ApiServer"]

logger: logging.Logger = logging.getLogger(__name__)

MAX_BODY = 3 * 1024 * 1024
"""kube-apiserver's limit of a request body."""

_STOP_S = 1.0
"""Seconds that open requests have to end when the server stops."""

_TLS_GOODBYE_S = 0.1
"""Seconds that a client has to answer the end of TLS; asyncio's own 30 would outlive the server's loop."""

_HEALTH = frozenset({"/healthz", "/livez", "/readyz"})


class ApiServer:
    """A Kubernetes-compatible API server on one address.

    Args:
        objects: The verbs.
        subresources: Subresources of pods that are not plain objects.
        openapi: The published schema.
        tokens: Every request must carry one of these.
    """

    def __init__(
        self, objects: Objects, subresources: PodSubresources, openapi: OpenApi, *, tokens: Tokens
    ) -> None:
        self._objects = objects
        self._subresources = subresources
        self._openapi = openapi
        self._tokens = tokens
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None

    async def start(
        self, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> int:
        """Start to listen.

        Returns:
            The port: that asked for, or a free one for 0.

        Raises:
            UsageError: The port is taken, or this process may not take it.
        """
        loop = asyncio.get_running_loop()
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle, expect_handler=_answer_expectation)
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, handler_cancellation=True, shutdown_timeout=_STOP_S
        )
        await self._runner.setup()
        assert self._runner.server is not None
        goodbye, hello = (_TLS_GOODBYE_S, HEADER_S) if tls else (None, None)
        protocols = connection_factory(self._runner.server)
        try:
            self._listener = await loop.create_server(
                protocols, host, port, ssl=tls, ssl_shutdown_timeout=goodbye, ssl_handshake_timeout=hello
            )
        except OSError as error:
            raise UsageError(
                f"port {port} of {host} cannot be served ({error}); 0 takes a free one"
            ) from error
        bound: int = self._listener.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Stop listening and end every open request."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            await asyncio.sleep(_TLS_GOODBYE_S)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.begin()
        try:
            return await self._authenticated(request)
        finally:
            connection.end()

    async def _authenticated(self, request: web.Request) -> web.StreamResponse:  # noqa: PLR0911 - a table of errors
        try:
            self._user_of(request.headers.get("Authorization", ""))
            return await self._answer(request)
        except StatusError as error:
            return _respond(request, _refusal(error))
        except RecursionError:
            return _respond(request, _refusal(bad_request("the object is nested too deeply")))
        except web.HTTPRequestEntityTooLarge:
            return _respond(request, _refusal(too_large(MAX_BODY)))
        except web.HTTPError as error:  # aiohttp's own, of a handshake for example
            return _respond(
                request, _refusal(StatusError(error.status, "BadRequest", error.text or error.reason))
            )
        except ConnectionError:
            # The client left, and this answer is not sent. aiohttp would log the error as the server's failure.
            return web.Response()
        except Exception:
            logger.exception("the API server failed on %s %s", request.method, request.path)
            return _respond(request, _refusal(StatusError(500, "InternalError", "Internal error occurred")))

    def _user_of(self, authorization: str) -> str:
        return self._tokens.user(authorization, now=self._objects.store.now())

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        target = parse_path(request.path)
        if target is None:
            return self._answer_elsewhere(request)
        if target.subresource is not None and self._subresources.serves(target):
            return await self._subresources.answer(request, target)
        if request.method in {"GET", "HEAD"}:
            return await self._read(request, target)
        return _respond(request, await self._write(request, target))

    def _answer_elsewhere(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path in _HEALTH or path.startswith(("/readyz/", "/livez/")):
            return web.Response(text="ok")
        if path.rstrip("/") == "/version":
            return _respond(request, Answer(encode_json(groups.VERSION)))
        accept = request.headers.get("Accept", "")
        if request.method == "GET" and (
            none := absent.answer(path, version=str(self._objects.store.version))
        ):
            return _respond(request, none)
        answer = groups.answer(path, accept) or self._openapi.answer(path, accept=accept, query=request.query)
        if answer is None and groups.knows_version(path):
            raise no_such_resource()
        if answer is None:
            return web.Response(status=404, text="404 page not found\n")
        return _respond(request, answer)

    async def _read(self, request: web.Request, target: Target) -> web.StreamResponse:
        kind = target.type
        if not kind.stored:
            raise method_not_allowed()
        view = self._view(request, target)
        if target.name and not target.watch and request.query.get("watch") not in {"1", "true"}:
            return _respond(request, Answer(view.one(self._objects.get(target))))
        options = ListOptions.read(request.query)
        if options.watch or target.watch:
            return await self._watch(request, target, options, view)
        return _respond(request, Answer(view.page(list_page(self._objects.store, target, options))))

    def _view(self, request: web.Request, target: Target) -> View:
        return choose_view(
            request.headers.get("Accept", ""),
            target.type,
            now=lambda: self._objects.store.now().timestamp(),
            convert=converter(target.type),
            include=request.query.get("includeObject", ""),
        )

    async def _watch(
        self, request: web.Request, target: Target, options: ListOptions, view: View
    ) -> web.StreamResponse:
        watch = Watch(self._objects.store, target, options, view)
        response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
        )
        with suppress(ConnectionError):  # the watcher left, which is no error
            await response.prepare(request)
            await watch.run(response.write)
        return response

    async def _write(self, request: web.Request, target: Target) -> Answer:
        verb = _WRITES.get(request.method)
        if verb is None or verb not in _verbs(target, verb):
            raise method_not_allowed()
        body = await read_body(request)
        if verb == "delete":
            return self._delete(request, target, body)
        content_type = request.headers.get("Content-Type", "")
        options = WriteOptions.read(request.query)
        if not target.type.stored:
            return self._review(request, target, decode_body(body, content_type, kind=target.type.kind))
        written = self._written(target, body, options, verb=verb, content_type=content_type)
        code = 201 if written.created else 200
        return Answer(self._view(request, target).one(written.obj), code, written.warnings)

    def _review(self, request: web.Request, target: Target, body: Any) -> Answer:
        user = self._user_of(request.headers.get("Authorization", ""))
        own = reviews.user_info(user, request.headers)
        return Answer(encode_json(reviews.answer(target, body, own=own, user_of=self._user_of)), 201)

    def _written(
        self, target: Target, body: bytes, options: WriteOptions, *, verb: str, content_type: str
    ) -> Written:
        convert = converter(target.type, to_stored=True)
        if verb == "patch":
            media = media_type(content_type)
            value = decode_body(
                body, "application/yaml" if media == APPLY else "application/json", kind=target.type.kind
            )
            return self._objects.patch(target, value, options, media=media)
        value = decode_body(body, content_type, kind=expected_kind(target)[1])
        if convert and isinstance(value, dict):
            value = convert(value)
        if verb == "create":
            return self._objects.create(target, value, options)
        return self._objects.update(target, value, options)

    def _delete(self, request: web.Request, target: Target, body: bytes) -> Answer:
        value = (
            decode_body(body, request.headers.get("Content-Type", ""), kind="DeleteOptions")
            if body.strip()
            else {}
        )
        options = DeleteOptions.read(request.query, self._objects.read_delete_options(value))
        view = self._view(request, target)
        if target.name:
            return Answer(view.one(self._objects.delete(target, options)))
        selected = ListOptions.read(request.query)
        page = list_page(self._objects.store, target, selected)
        self._objects.delete_collection(target, selected, options)
        return Answer(view.page(page))


_WRITES: Mapping[str, str] = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def _verbs(target: Target, verb: str) -> tuple[str, ...]:
    """Return the verbs that the path allows; on a collection, ``verb`` alone or none."""
    if target.subresource is not None:
        return target.subresource.verbs
    if target.name:
        return tuple(each for each in target.type.verbs if each != "create")
    collection = {"create": "create", "delete": "deletecollection"}.get(verb, "")
    return (verb,) if collection in target.type.verbs else ()


async def _answer_expectation(request: web.BaseRequest) -> web.StreamResponse | None:
    """Ask for the body that a client holds back until then; 417 with a ``Status`` for any other expectation."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself is not begun
        return None
    refusal = StatusError(417, "BadRequest", "the server meets no expectation but 100-continue")
    return web.Response(
        body=encode_json(refusal.body()), status=refusal.code, content_type="application/json"
    )


def _refusal(error: StatusError) -> Answer:
    headers = {}
    seconds = error.details.get("retryAfterSeconds")
    if seconds:
        headers["Retry-After"] = str(seconds)
    return Answer(encode_json(error.body()), error.code, headers=headers)


def _respond(request: web.Request, answer: Answer) -> web.Response:
    if prefers_yaml(request.headers.get("Accept", "")):
        answer = as_yaml(answer)
    response = web.Response(body=answer.body, status=answer.code, headers=answer.headers)
    response.headers["Content-Type"] = answer.content_type
    response.headers["Cache-Control"] = "no-cache, private"
    if isinstance(request.protocol, Connection) and request.protocol.is_last:
        response.force_close()
    for warning in answer.warnings:
        response.headers.add("Warning", f'299 - "{_quoted(warning)}"')
    return response


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
