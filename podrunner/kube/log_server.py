"""A worker's log server: Airflow's ``serve_logs``, or any that serves files the same way, over HTTP.

Reading one file from it is all that belongs here; which file that is, and where else a log may be, is
``podrunner.logs``. It needs httpx, which is optional: import this module where it is used.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from time import time
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

import anyio
import httpx

from podrunner.errors import ConfigError, LogError, TransportError
from podrunner.kube.httpx_bodies import body_of, exhaust, pieces_of
from podrunner.redaction import harmless, redact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

__all__ = ["DEFAULT_URL", "LogServer", "ServedLog", "log_token"]

DEFAULT_URL: Final = "http://{host}:8793/log/{path}"
"""Airflow's: its ``worker_log_server_port`` is 8793."""

_TOKEN_LIVES_S: Final = 30
"""As long as Airflow's own (``log_request_clock_grace``)."""


def log_token(secret: str, path: str, *, now_s: float) -> str:
    """The JSON web token that Airflow's log server wants to see in the header ``Authorization``, for one file.

    Args:
        secret: Its ``[webserver] secret_key``.
        path: The file, relative to its log folder.
        now_s: Seconds since the epoch.
    """
    issued = int(now_s)
    claims = {"aud": "task-instance-logs", "filename": path}
    times = {"iat": issued, "nbf": issued, "exp": issued + _TOKEN_LIVES_S}
    signed = f"{_part({'typ': 'JWT', 'alg': 'HS512'})}.{_part({**claims, **times})}"
    return f"{signed}.{_encoded(hmac.digest(secret.encode(), signed.encode(), hashlib.sha512))}"


def _part(value: dict[str, object]) -> str:
    return _encoded(json.dumps(value, separators=(",", ":")).encode())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class ServedLog:
    """A file that a log server has.

    Attributes:
        url: Where.
        batches: Its bytes.
    """

    def __init__(self, url: str, batches: AsyncIterator[bytes]) -> None:
        self.url = url
        self.batches = batches


class LogServer:
    """Reads files from log servers.

    Args:
        url: Template of their URLs, with ``{path}`` and, where it differs from worker to worker, ``{host}``.
        secret: Signs the requests, as Airflow 2.3 and later demand; None: unsigned. Never shown.
        client: An embedder's own client, which stays open; None: one for each file.
        timeout_s: Seconds without a byte until the server is given up.
        now: Seconds since the epoch.

    Raises:
        ConfigError: The URL holds credentials.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        secret: str | None = None,
        client: httpx.AsyncClient | None = None,
        timeout_s: float = 10.0,
        now: Callable[[], float] = time,
    ) -> None:
        if "@" in urlsplit(url).netloc or "?" in url:
            raise ConfigError(
                "a log server's URL may be shown, so that it holds no credentials and no query",
                key="logs.server_url",
            )
        self._url = url
        self._secret = secret
        self._client = client
        self._timeout_s = timeout_s
        self._now = now

    def url_of(self, path: str, host: str | None) -> str | None:
        """The URL of a file; None if the host matters and is not known."""
        if host is None and "{host}" in self._url:
            return None
        return self._url.replace("{host}", host or "").replace("{path}", quote(path, safe="/"))

    @asynccontextmanager
    async def open(
        self, path: str, *, host: str | None = None, offset: int = 0
    ) -> AsyncIterator[ServedLog | None]:
        """Opens a file from a place on; None if the server does not have it, or there is no server to ask.

        Args:
            path: The file, relative to the server's log folder.
            host: The worker; None: the URL names it.
            offset: How many bytes are left out.

        Raises:
            LogError: The server refuses.
            TransportError: It cannot be reached; also while the file is read.
        """
        url = self.url_of(path, host)
        if url is None:
            yield None
            return
        client = self._client or httpx.AsyncClient(trust_env=False, follow_redirects=False)
        try:
            answer = await self._send(client, url, self._headers(path, offset))
            batches = _Batches(answer, url, skip=_to_skip(answer, offset))
            try:
                yield _served(answer, url, batches)
            finally:
                await batches.close()
        finally:
            if self._client is None:
                with anyio.CancelScope(shield=True):
                    await client.aclose()

    async def _send(self, client: httpx.AsyncClient, url: str, headers: dict[str, str]) -> httpx.Response:
        try:
            request = client.build_request("GET", url, headers=headers, timeout=self._timeout_s)
            return await client.send(request, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            secrets = (headers.get("Authorization"),)
            raise _failed(url, error, secrets=secrets) from harmless(error, secrets=secrets)

    def _headers(self, path: str, offset: int) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity", "User-Agent": "podrunner"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        if self._secret is not None:
            headers["Authorization"] = log_token(self._secret, path, now_s=self._now())
        return headers


def _served(answer: httpx.Response, url: str, batches: _Batches) -> ServedLog | None:
    if answer.status_code in {200, 206}:
        return ServedLog(url, batches)
    if answer.status_code == 404:
        return None
    if answer.status_code == 416:  # nothing behind that place (yet)
        return ServedLog(url, _Nothing())
    why = " (the secret differs, or the clocks do)" if answer.status_code in {401, 403} else ""
    raise LogError(f"{url} answered {answer.status_code}{why}")


def _to_skip(answer: httpx.Response, offset: int) -> int:
    return offset if answer.status_code == 200 else 0  # the server gives files from their beginning only


class _Batches:
    """The body of an answer, but for what is skipped."""

    def __init__(self, answer: httpx.Response, url: str, *, skip: int) -> None:
        self._answer = answer
        self._pieces = pieces_of(answer)
        self._body = body_of(answer, self._pieces)
        self._url = url
        self._skip = skip

    def __aiter__(self) -> _Batches:
        return self

    async def __anext__(self) -> bytes:
        try:
            while True:
                data = await self._body.piece()
                if not data:
                    raise StopAsyncIteration
                skipped, self._skip = self._skip, max(0, self._skip - len(data))
                if data := data[skipped:]:
                    return data
        except (httpx.HTTPError, httpx.StreamError, TransportError) as error:
            raise _failed(self._url, error) from harmless(error)

    async def close(self) -> None:
        """Hangs up, and ends the generators inside httpx: trio warns of each that is left suspended."""
        with anyio.CancelScope(shield=True):
            await self._answer.aclose()
        await exhaust(self._pieces)


class _Nothing:
    """The body behind a file's end."""

    def __aiter__(self) -> _Nothing:
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration


def _failed(url: str, error: BaseException, *, secrets: Iterable[str | None] = ()) -> TransportError:
    said = redact(str(error), secrets=secrets) or type(error).__name__
    return TransportError(f"GET {url}: {said}", method="GET", url=url)
