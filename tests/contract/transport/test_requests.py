"""A request goes out as it is, and its answer comes back as it is."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager

import anyio
import pytest
from aiohttp import web
from podrunner.errors import RequestTimeoutError, TransportError
from podrunner.kube import KubeClient, Request, explicit_access
from podrunner.kube.credentials import StaticCredentials

pytestmark = pytest.mark.anyio


def get(target="/x", **fields):
    return Request(
        "GET", target, {"Accept": "application/json"}, timeout_s=fields.pop("timeout_s", 40.0), **fields
    )


async def test_method_target_headers_and_body_arrive_as_given(opened, stub):
    """The target's percent-encoding is neither undone nor doubled."""
    stub.json({"fine": True}, status=201)
    target = "/api/v1/pods/a%2Fb?labelSelector=a%3Db%2Cc%20in%20%28d%29&x=%25"
    async with opened(stub.url) as transport:
        await transport.request(
            Request("POST", target, {"Content-Type": "text/x", "X-Own": "1"}, b"\x00body", 40.0)
        )
    (seen,) = stub.seen
    assert (seen.method, seen.target, seen.body) == ("POST", target, b"\x00body")
    assert (seen.headers["Content-Type"], seen.headers["X-Own"]) == ("text/x", "1")


async def test_status_headers_and_body_come_back(opened, stub):
    stub.json({"a": 1}, status=418, **{"Retry-After": "3"})
    async with opened(stub.url) as transport:
        response = await transport.request(get())
    assert (response.status, response.headers["retry-after"], response.body) == (418, "3", b'{"a": 1}')


async def test_a_url_with_a_path_prefix_keeps_it(opened, stub):
    """As behind Rancher: https://host/k8s/clusters/c-1."""
    stub.json({})
    async with opened(f"{stub.url}/k8s/clusters/c-1/") as transport:
        await transport.request(get("/api/v1/pods?limit=1"))
    assert stub.seen[0].target == "/k8s/clusters/c-1/api/v1/pods?limit=1"


async def test_a_redirect_is_an_answer_and_not_followed(opened, stub):
    stub.json({}, status=302, Location=f"{stub.url}/elsewhere")
    async with opened(stub.url) as transport:
        response = await transport.request(get())
    assert (response.status, len(stub.seen)) == (302, 1)


async def test_cookies_are_not_kept(opened, stub):
    stub.json({}, **{"Set-Cookie": "session=abc; Path=/"})
    async with opened(stub.url) as transport:
        await transport.request(get())
        await transport.request(get())
    assert "Cookie" not in stub.seen[1].headers


async def test_the_environments_proxy_is_not_asked_per_request(opened, stub, monkeypatch):
    """It was resolved once, when access was opened; the transport itself uses the proxy that it was given."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    stub.json({})
    async with opened(stub.url) as transport:
        assert (await transport.request(get())).status == 200


async def test_a_compressed_answer_is_read(opened, stub):
    async def answer(_):
        response = web.json_response({"long": "x" * 5000})
        response.enable_compression(web.ContentCoding.gzip)
        return response

    stub.answer = answer
    async with opened(stub.url) as transport:
        response = await transport.request(get())
    assert response.body == b'{"long": "' + b"x" * 5000 + b'"}'


async def test_a_refused_connection_was_never_sent(opened):
    with socket.socket() as unlistened:  # bound to the port, not listening: no other process can take it
        unlistened.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unlistened.getsockname()[1]}"
        async with opened(url) as transport:
            with pytest.raises(TransportError, match=rf"GET {url}/x: ") as caught:
                await transport.request(get("/x?secret=1"))
    assert (caught.value.sent, caught.value.method, caught.value.url) == (False, "GET", f"{url}/x")


async def test_a_host_that_does_not_exist_was_never_sent(opened):
    async with opened("http://no-such-host.invalid:6443") as transport:
        with pytest.raises(TransportError, match=r"no-such-host\.invalid:6443/x: .*[Nn]ame") as caught:
            await transport.request(get())
    assert not caught.value.sent


async def test_a_connection_closed_before_the_answer_may_have_been_sent(opened, stub):
    """L1: a create whose reply is lost may have made the pod."""

    async def hang_up(request):
        request.transport.abort()
        return web.Response()

    stub.answer = hang_up
    async with opened(stub.url) as transport:
        with pytest.raises(TransportError) as caught:
            await transport.request(Request("POST", "/x", {}, b"{}", 40.0))
    assert caught.value.sent
    assert len(stub.seen) == 1, "a POST is not repeated behind our back"


async def test_half_an_answer_is_none(opened, stub):
    async def break_off(request):
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"half":')
        request.transport.abort()
        return response

    stub.answer = break_off
    async with opened(stub.url) as transport:
        with pytest.raises(TransportError) as caught:
            await transport.request(get())
    assert caught.value.sent


@pytest.mark.parametrize("drips", [False, True], ids=["silent", "dripping"])
async def test_an_answer_that_does_not_come_in_time_is_a_timeout(opened, stub, drips):
    async def dawdle(request):
        response = web.StreamResponse()
        if drips:
            await response.prepare(request)
        while True:
            if drips:
                await response.write(b" ")
            await asyncio.sleep(0.02)

    async with opened(stub.url) as transport:
        stub.json({})
        await transport.request(get())  # so that the next one has a connection, and is sent at once
        stub.answer = dawdle
        with anyio.fail_after(40), pytest.raises(RequestTimeoutError, match=r"within 0\.2 s") as caught:
            await transport.request(get(timeout_s=0.2))
    assert caught.value.sent


@contextmanager
def talking(answer: bytes):
    """Serve these bytes on each connection; yield the server's port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:  # it was shut down
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = threading.Thread(target=talk)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "the answer is no HTTP"),
        (b"\x00\x01\x02\r\n\r\n", "the answer is no HTTP"),
        (b"", "the connection ended before an answer came"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"half":', "the connection ended within the answer"),
    ],
)
async def test_what_is_no_answer_is_said_in_words_of_no_library(opened, answer, said):
    with talking(answer) as port:
        url = f"http://127.0.0.1:{port}"
        async with opened(url) as transport:
            with pytest.raises(TransportError) as caught:
                await transport.request(get())
    assert caught.value.sent
    assert str(caught.value) == f"GET {url}{get().path}: {said}"


async def test_a_proxy_that_refuses_is_quoted_in_one_form(opened):
    with talking(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n") as port:
        environ = {"HTTPS_PROXY": f"http://127.0.0.1:{port}"}
        access = explicit_access("https://api.example:6443", environ=environ)
        async with opened("", access=access) as transport:
            with pytest.raises(TransportError) as caught:
                await transport.request(get())
    said = "the proxy refuses: 407 Proxy Authentication Required"
    assert str(caught.value) == f"GET https://api.example:6443/x: {said}"


async def test_plain_text_where_tls_is_spoken_is_said_without_a_place_in_openssl(opened):
    with talking(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        async with opened("", access=explicit_access(f"https://127.0.0.1:{port}", environ={})) as transport:
            with pytest.raises(TransportError, match=r"cannot connect: [a-z ]+$") as caught:
                await transport.request(get())
    assert not caught.value.sent


async def test_an_error_names_no_credentials(opened):
    request = Request("GET", "/x?token=hunter2", {"Authorization": "Bearer abcdefghijkl"}, timeout_s=40.0)
    async with opened("http://127.0.0.1:9") as transport:
        with pytest.raises(TransportError) as caught:
            await transport.request(request)
    shown = f"{caught.value} {caught.value.url} {caught.value!r} {request!r}"
    assert "hunter2" not in shown
    assert "abcdefghijkl" not in shown


async def test_closing_twice_is_harmless(opened, stub):
    stub.json({})
    async with opened(stub.url) as transport:
        await transport.request(get())
        await transport.aclose()


async def test_a_cancelled_request_leaves_the_pool_usable(opened, stub):
    """C1: with two connections, ten cancelled requests must not use up the pool."""

    async def never(_):
        await asyncio.sleep(60)

    stub.answer = never
    async with opened(stub.url) as transport:
        for _ in range(10):
            with anyio.move_on_after(0.02):
                await transport.request(get())
        stub.json({})
        with anyio.fail_after(40):
            assert (await transport.request(get())).status == 200


@pytest.mark.parametrize("groups", [["a"], ["a", "ä", "c"]])
async def test_a_header_may_repeat(opened, stub, groups):
    """K4: as that of impersonated groups; in UTF-8, as Go sends it."""
    stub.json({})
    pairs = [("Impersonate-User", "jane"), *(("Impersonate-Group", group) for group in groups)]
    async with opened(stub.url) as transport:
        client = KubeClient(transport, headers=pairs, credentials=StaticCredentials("Bearer t"))
        await client.server_version()
    (seen,) = stub.seen
    assert [value for name, value in seen.headers.items() if name == "Impersonate-Group"] == groups
    assert (seen.headers["Impersonate-User"], seen.headers["Authorization"]) == ("jane", "Bearer t")


@pytest.mark.parametrize(
    "own",
    [
        {"accept": "x/y", "User-agent": "me", "Accept-encoding": "gzip"},
        [("accept", "x/y"), ("User-agent", "me")],
    ],
)
async def test_an_embedders_own_headers_count_over_ours_but_for_the_encoding(opened, stub, own):
    stub.json({})
    async with opened(stub.url) as transport:
        await KubeClient(transport, headers=own).server_version()
    (seen,) = stub.seen
    for name, value in (("accept", "x/y"), ("user-agent", "me"), ("accept-encoding", "identity")):
        assert [found for key, found in seen.headers.items() if key.lower() == name] == [value]
