"""Reading from a worker's log server, its answers faked by respx."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging

import httpx
import pytest
import respx
from podrunner.config import LogSettings
from podrunner.errors import ConfigError, LogError, TransportError
from podrunner.kube.log_server import LogServer, log_token
from podrunner.logs import LogQuery, LogReader, ServerLog

pytestmark = pytest.mark.anyio

PATH = "dag/task/2019-08-15T01:16:36+00:00/1.log"
URL = "http://worker-1:8793/log/dag/task/2019-08-15T01%3A16%3A36%2B00%3A00/1.log"
SECRET = "a-webservers-secret-key"
TEXT = b"one\ntwo\nthree\n"
QUERY = LogQuery(log_path=PATH, host="worker-1")


@pytest.fixture
def web():
    with respx.mock as router:
        yield router


def reader(**options) -> LogReader:
    return LogReader([ServerLog("http://{host}:8793/log/{path}", **options)])


async def read(server: LogServer, path: str = PATH, **options) -> bytes | None:
    async with server.open(path, **{"host": "worker-1", **options}) as served:
        return None if served is None else b"".join([batch async for batch in served.batches])


async def test_the_file_is_fetched_by_airflows_url(web):
    route = web.get(URL).respond(content=TEXT)
    document = await reader().read(QUERY)
    assert str(document) == f"*** Fetching from: {URL}\none\ntwo\nthree\n"
    assert document.source == "server"
    headers = route.calls[0].request.headers
    assert headers["accept-encoding"] == "identity"
    assert not {"range", "authorization"} & set(headers)


async def test_another_containers_file_has_its_own_url(web):
    web.get("http://pod-1:8793/log/d/1.proxy.log").respond(content=b"x\n")
    query = LogQuery(log_path="d/1.log", pod="pod-1", namespace="n", container="proxy")
    assert (await reader().read(query)).lines == ("x",)


async def test_a_file_that_the_server_does_not_have_is_nowhere(web):
    web.get(URL).respond(404)
    with pytest.raises(LogError, match="no log found"):
        await reader().read(QUERY)


async def test_a_worker_with_an_unknown_host_is_not_asked(web):
    with pytest.raises(LogError, match="no log found"):
        await reader().read(LogQuery(log_path=PATH))
    assert not web.calls


@pytest.mark.parametrize("partial", [True, False])
async def test_a_page_begins_at_its_offset_also_where_the_server_knows_no_ranges(web, partial):

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["range"] == "bytes=4-"
        return httpx.Response(206, content=TEXT[4:]) if partial else httpx.Response(200, content=TEXT)

    web.get(URL).mock(side_effect=answer)
    page = await reader().read_page(QUERY, offset=4, limit_bytes=5)
    assert (page.lines, page.next_offset, page.is_last) == (("two",), 8, False)


async def test_behind_the_end_there_is_nothing_yet(web):
    web.get(URL).respond(416, content=b"no such range")
    page = await reader().read_page(QUERY, offset=len(TEXT))
    assert (page.lines, page.next_offset, page.is_last) == ((), len(TEXT), True)


async def test_requests_are_signed_as_airflow_demands(web):
    """HS512, for this file, and for half a minute."""
    web.get(URL).respond(content=TEXT)
    assert await read(LogServer(secret=SECRET, now=lambda: 1_700_000_000.9)) == TEXT
    token = web.calls[0].request.headers["authorization"]
    head, claims, signature = token.split(".")
    assert json.loads(_decoded(head)) == {"typ": "JWT", "alg": "HS512"}
    assert json.loads(_decoded(claims)) == {
        "aud": "task-instance-logs",
        "filename": PATH,
        "iat": 1_700_000_000,
        "nbf": 1_700_000_000,
        "exp": 1_700_000_030,
    }
    assert _decoded(signature) == hmac.digest(SECRET.encode(), f"{head}.{claims}".encode(), hashlib.sha512)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def test_a_refusal_names_the_server_and_shows_no_secret(web, caplog):
    caplog.set_level(logging.DEBUG)
    web.get(url__startswith="http://").respond(403, content=b"forbidden")
    with pytest.raises(LogError, match=r"answered 403 \(the secret differs") as refused:
        await reader(secret=SECRET).read(QUERY)
    token = log_token(SECRET, PATH, now_s=0).rsplit(".", 1)[0]
    place = ServerLog("http://x/{path}", secret=SECRET)
    shown = f"{refused.value} {caplog.text} {place!r} {LogServer(secret=SECRET)!r}"
    assert SECRET not in shown
    assert token not in shown


@pytest.mark.parametrize("url", ["http://u:hunter2@logs/{path}", "http://logs/{path}?key=hunter2"])
async def test_a_url_is_shown_and_so_holds_no_credentials(url):
    """httpx logs it too."""
    with pytest.raises(LogError, match="no credentials") as refused:
        await LogReader([ServerLog(url)]).read(QUERY)
    assert "hunter2" not in str(refused.value)
    with pytest.raises(ConfigError):
        LogSettings(server_url=url)


async def test_a_path_out_of_the_servers_folder_is_not_asked_for(web):
    """G10: an adopted pod's annotation may say anything."""
    with pytest.raises(LogError, match="ServerLog failed"):
        await reader().read(LogQuery(log_path="../admin", host="worker-1"))
    assert not web.calls


async def test_a_server_out_of_reach_is_one_place_that_failed(web):
    web.get(URL).mock(side_effect=httpx.ConnectError("refused"))
    with pytest.raises(LogError, match=r"ServerLog failed: GET http://worker-1:8793.*refused"):
        await reader().read(QUERY)


async def test_a_connection_that_breaks_is_an_error_and_no_end(web):
    class Broken(httpx.AsyncByteStream):
        async def __aiter__(self):
            yield b"one\n"
            raise httpx.ReadError("reset")

    web.get(URL).mock(side_effect=lambda _: httpx.Response(200, stream=Broken()))
    with pytest.raises(TransportError, match="reset"):
        await read(LogServer())


async def test_an_embedders_own_client_stays_open(web):
    web.get(URL).respond(content=TEXT)
    async with httpx.AsyncClient() as client:
        assert await read(LogServer(client=client)) == TEXT
        assert not client.is_closed
