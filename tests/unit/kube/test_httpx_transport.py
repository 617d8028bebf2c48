"""An embedder's own httpx client, its server faked by respx."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import anyio
import httpx
import pytest
import respx
from podrunner.config import RunnerConfig
from podrunner.errors import ConfigError, NotFoundError, RequestTimeoutError, TransportError
from podrunner.kube import Request, connect, explicit_access
from podrunner.kube.httpx_transport import HttpxTransport

pytestmark = pytest.mark.anyio

URL = "https://api.example"
GET = Request("GET", "/x?a=%2F", {"Authorization": "Bearer t"}, timeout_s=5.0)


@pytest.fixture
async def mine():
    async with httpx.AsyncClient(follow_redirects=True, cookies={"own": "1"}) as client:
        yield client


async def test_a_request_goes_through_the_embedders_client(mine):
    with respx.mock:
        route = respx.get(f"{URL}/x?a=%2F").respond(201, headers={"X-A": "1"}, content=b"body")
        response = await HttpxTransport(URL, requests=mine, owns_clients=False).request(GET)
    assert (response.status, response.headers["x-a"], response.body) == (201, "1", b"body")
    sent = route.calls.last.request
    assert sent.headers["Authorization"] == "Bearer t"
    assert sent.url.raw_path == b"/x?a=%2F"
    assert sent.extensions["timeout"] == {"connect": 10.0, "read": 5.0, "write": 5.0, "pool": 5.0}


async def test_its_redirects_are_not_followed_for_us(mine):
    with respx.mock:
        respx.get(f"{URL}/x?a=%2F").respond(302, headers={"Location": f"{URL}/y"})
        assert (await HttpxTransport(URL, requests=mine).request(GET)).status == 302


async def test_the_typed_verbs_work_on_it_and_it_stays_open(mine):
    access = explicit_access(URL, token="t", environ={})
    with respx.mock:
        respx.get(f"{URL}/api/v1/namespaces/n/pods/a").respond(
            404, json={"message": "no", "reason": "NotFound"}
        )
        respx.get(f"{URL}/api/v1/namespaces/n/pods/a/log?timestamps=true").respond(200, content=b"line\n")
        async with connect(RunnerConfig(), access=access, http_client=mine) as client:
            with pytest.raises(NotFoundError):
                await client.read_pod("n", "a")
            async with client.stream_log("n", "a") as batches:
                assert [batch async for batch in batches] == [b"line\n"]
    assert not mine.is_closed


@pytest.mark.parametrize(
    ("failure", "kind", "sent"),
    [
        (httpx.ConnectError("refused"), TransportError, False),
        (httpx.ConnectTimeout("slow"), RequestTimeoutError, False),
        (httpx.PoolTimeout("full"), RequestTimeoutError, False),
        (httpx.ProxyError("407"), TransportError, False),
        (httpx.ReadTimeout("slow"), RequestTimeoutError, True),
        (httpx.ReadError("reset"), TransportError, True),
        (httpx.WriteError("broken pipe"), TransportError, True),
        (httpx.RemoteProtocolError("garbage"), TransportError, True),
    ],
)
async def test_each_failure_says_whether_the_request_may_have_arrived(mine, failure, kind, sent):
    """L1."""
    transport = HttpxTransport(URL, requests=mine)
    with respx.mock:
        respx.route().mock(side_effect=failure)
        for attempt in (transport.request, _streamed(transport)):
            with pytest.raises(kind) as caught:
                await attempt(GET)
            assert type(caught.value) is kind
            assert caught.value.sent is sent
            assert caught.value.url == f"{URL}/x"


def _streamed(transport):
    async def stream(request):
        async with transport.stream(request):
            pass

    return stream


@pytest.mark.parametrize("is_sending", [False, True])
async def test_a_connection_that_comes_as_its_time_is_over_may_have_carried_the_request(is_sending):
    """L1: the time is over in the same turn of the event loop in which httpcore begins to send."""

    async def answer(request: httpx.Request) -> httpx.Response:
        trace = request.extensions["trace"]
        await trace("connection.connect_tcp.started", {})
        trace.connecting.cancel()
        if is_sending:
            await trace("http11.send_request_headers.started", {"request": SimpleNamespace(method=b"POST")})
        await anyio.sleep_forever()
        raise AssertionError("it is cancelled")

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(RequestTimeoutError) as raised:
            await HttpxTransport(URL, requests=client).request(GET)
    assert raised.value.sent == is_sending


async def test_a_client_that_cannot_switch_protocols_says_so(mine):
    with respx.mock:
        respx.route().respond(101)
        transport = HttpxTransport(URL, requests=mine)
        with pytest.raises(TransportError, match="cannot switch protocols"):
            async with transport.upgrade(GET, ("v5.channel.k8s.io",)):
                pass


@pytest.mark.parametrize(
    ("cause", "message"),
    [(OSError("certificate verify failed"), "certificate verify failed"), (None, "ConnectError")],
)
async def test_the_message_of_an_error_comes_from_its_cause_where_it_has_none(cause, message):
    def refuse(_):
        raise httpx.ConnectError("") from cause

    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as client:
        with pytest.raises(TransportError, match=message):
            await HttpxTransport(URL, requests=client).request(GET)


async def test_a_missing_library_is_reported_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "podrunner.kube.httpx_transport", None)
    config = RunnerConfig(transport="httpx")
    with pytest.raises(ConfigError, match=r"podrunner\[httpx\]"):
        async with connect(config, access=explicit_access("http://api.example", environ={})):
            pass
