"""The board as an ASGI application (Starlette): its routes, and the guard in front of them."""

from __future__ import annotations

from functools import cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import anyio
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from podrunner.dashboard.access import HEADERS, Access, Verdict
from podrunner.dashboard.facts import legend
from podrunner.errors import PodrunnerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from podrunner.dashboard.board import Board, Put

__all__ = ["make_app"]

_REFUSED: Final = {
    Verdict.WRONG_HOST: (421, "This board is not served under this name."),
    Verdict.WRONG_TOKEN: (403, "This is not the board's token: open the URL that was printed last."),
    Verdict.WRONG_METHOD: (405, "The board is read-only."),
    Verdict.UNKNOWN: (401, "Open the URL that `podrunner board` has printed: it holds the token."),
}
_LAST_WORDS_S: Final = 0.5
"""How long a stream may take to say that the board has ended, before it is cut."""
_ASSETS: Final = {"board.js": "text/javascript", "board.css": "text/css"}


@cache
def _asset(name: str) -> str:
    return files("podrunner.dashboard").joinpath("assets", name).read_text(encoding="utf-8")


def make_app(board: Board, access: Access) -> Starlette:
    """Return the application.

    Args:
        board: What it shows.
        access: Who may see it.
    """
    routes = _Routes(board)
    return Starlette(
        routes=[
            Route("/", routes.page),
            Route("/{asset}", routes.asset),
            Route("/api/changes", routes.changes),
            Route("/api/pods/{uid:path}/log", routes.log),
            Route("/api/pods/{uid:path}", routes.pod),
        ],
        middleware=[Middleware(_Guard, access=access)],
        exception_handlers={PodrunnerError: _not_open},
    )


class _Guard:
    """Lets no request past that may not see the board, and puts the headers on each answer."""

    def __init__(self, app: ASGIApp, *, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        verdict = self._judge(scope)
        if verdict is Verdict.SERVE:
            await self._app(scope, receive, _with_headers(send))
        elif verdict is Verdict.LET_IN:
            await self._welcome(scope)(scope, receive, _with_headers(send))
        else:
            status, text = _REFUSED[verdict]
            await PlainTextResponse(f"{text}\n", status)(scope, receive, _with_headers(send))

    def _judge(self, scope: Scope) -> Verdict:
        headers = Headers(scope=scope)
        tokens = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token")
        return self._access.judge(
            method=scope["method"],
            host=headers.get("host", ""),
            cookies=headers.get("cookie", ""),
            token=tokens[0] if tokens else None,
        )

    def _welcome(self, scope: Scope) -> Response:
        """Send the browser to the same place without the token: it is not to stay in the history."""
        root = scope.get("root_path", "").rstrip("/") + "/"
        cookie = self._access.cookie_header(path=root, secure=scope.get("scheme") == "https")
        return Response(status_code=303, headers={"location": root, "set-cookie": cookie})


def _with_headers(send: Send) -> Send:
    extra = [(name.encode(), value.encode()) for name, value in HEADERS]

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        await send(message)

    return sending


class _Routes:
    """What is answered at which path."""

    def __init__(self, board: Board) -> None:
        self._board = board

    async def page(self, request: Request) -> Response:
        del request
        return Response(_asset("board.html"), media_type="text/html")

    async def asset(self, request: Request) -> Response:
        name = request.path_params["asset"]
        if name not in _ASSETS:
            return _not_found("There is no such page.")
        return Response(_asset(name), media_type=_ASSETS[name])

    async def changes(self, request: Request) -> Response:
        del request
        self._board.check_open()  # later the answer has begun
        return _EventStream(self._board, self._board.changes)

    async def pod(self, request: Request) -> Response:
        shown = self._board.find(request.path_params["uid"])
        if shown is None:
            return _not_found("There is no such pod any more.")
        found: dict[str, Any] = await self._board.details(shown)
        return JSONResponse({**found, "marks": legend()})

    async def log(self, request: Request) -> Response:
        shown = self._board.find(request.path_params["uid"])
        container = request.query_params.get("container") or None
        if shown is None or shown.pod is None:
            return _not_found("There is no such pod any more.")
        spec = shown.pod.spec
        names = {each.name for each in (*(spec.containers or ()), *(spec.init_containers or ()))}
        if container is not None and container not in names:
            return _not_found("The pod has no such container.")
        return _EventStream(self._board, partial(self._board.log, shown, container))


def _not_found(text: str) -> Response:
    return JSONResponse({"error": text}, 404)


def _not_open(request: Request, error: Exception) -> Response:
    del request
    return JSONResponse({"error": str(error)}, 503)


class _EventStream(Response):
    """Server-sent events, until there are no more, the viewer leaves, or the board is closed.

    A viewer that does not read holds ``put`` up, and nothing else: the server sends no faster than it is read.

    Args:
        board: The board.
        produce: Sends the events, each as bytes.
    """

    media_type = "text/event-stream"

    def __init__(self, board: Board, produce: Callable[[Put], Awaitable[None]]) -> None:
        # A proxy in front that collects answers would hold the events back.
        super().__init__(headers={"x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._board = board
        self._produce = produce

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        del scope
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})

        async def put(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        async with anyio.create_task_group() as tasks:

            async def until_left() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                tasks.cancel_scope.cancel()

            async def until_closed() -> None:
                await self._board.hub.closed()
                await anyio.sleep(_LAST_WORDS_S)
                tasks.cancel_scope.cancel()

            tasks.start_soon(until_left, name="board-viewer")
            tasks.start_soon(until_closed, name="board-close")
            await self._produce(put)
            tasks.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})
