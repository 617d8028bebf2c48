"""Until an API server has answered, an error says that there is none, at which address, and where that comes from."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from random import Random

import anyio
import pytest
import trustme
import yaml
from anyio.abc import SocketAttribute
from podrunner import AsyncPodRunner, PodRunner, RunnerConfig
from podrunner.config import RetrySettings
from podrunner.errors import (
    ForbiddenError,
    NotFoundError,
    RequestTimeoutError,
    ServerError,
    TransportError,
    UnauthorizedError,
    UnreachableError,
)
from podrunner.kube import connect
from podrunner.kube.retry import RequestRetry, retrying

pytestmark = pytest.mark.anyio

PODS = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}'
MISSING = b'{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}'
CLOSED = "http://127.0.0.1:9"


def answer(status: str, body: bytes, media: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


@asynccontextmanager
async def serving(*answers: bytes, tls: ssl.SSLContext | None = None):
    """Answer one connection after the other; the last answer is that of all further ones."""
    left = list(answers)

    async def serve(stream):
        async with stream:
            try:
                if tls is not None:
                    stream = await anyio.streams.tls.TLSStream.wrap(stream, server_side=True, ssl_context=tls)
                await stream.receive()
                await stream.send(left.pop(0) if len(left) > 1 else left[0])
            except (anyio.BrokenResourceError, anyio.EndOfStream, ssl.SSLError, OSError):
                return

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield listener.extra(SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


@pytest.fixture
def kubeconfig(tmp_path):
    """Write a kubeconfig whose context is ``dev``, for a server; return the configuration.

    ``tried_for_s``: where no server is found, and no longer than the test may take.
    """

    def write(server: str, *, tried_for_s: float = 30, **cluster) -> RunnerConfig:
        path = tmp_path / "config"
        document = {
            "current-context": "dev",
            "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
            "users": [{"name": "u", "user": {}}],
        }
        path.write_text(yaml.safe_dump(document))
        return RunnerConfig(
            kubeconfig=path, connect_timeout_s=30, retry={"initial_connect_timeout_s": tried_for_s}
        )

    return write


async def ask(config: RunnerConfig) -> UnreachableError:
    with pytest.raises(UnreachableError) as caught:
        async with connect(config) as client:
            await client.list_pods("default")
    return caught.value


@pytest.mark.parametrize(
    ("server", "cluster", "said"),
    [
        (CLOSED, {}, "refused"),
        ("https://127.0.0.1:9", {}, "refused"),
        ("https://no-such-host.invalid:6443", {"tried_for_s": 0.3}, ""),
        ("https://10.0.0.1:6443", {"proxy-url": CLOSED}, f"by way of the proxy {CLOSED}"),
    ],
    ids=["refused", "refused-tls", "unresolvable", "proxy"],
)
async def test_no_server_is_there(kubeconfig, server, cluster, said):
    config = kubeconfig(server, **cluster)
    error = await ask(config)
    assert str(error).startswith(
        f"no Kubernetes API server at {server} (kubeconfig {config.kubeconfig}, context dev"
    )
    assert said in str(error)
    assert (error.server, error.source) == (server, f"kubeconfig {config.kubeconfig}, context dev")
    assert error.sent is False


@pytest.mark.parametrize(
    ("bytes_", "said"),
    [
        (answer("200 OK", b"<html><body>It works!</body></html>", "text/html"), "with 200: It works!"),
        (answer("404 Not Found", b"<h1>404</h1>", "text/html"), "with 404: 404"),
        (answer("404 Not Found", b'{"detail":"Not Found"}'), "with 404: "),
        (answer("501 Unsupported method", b"<p>POST</p>", "text/html"), "with 501: POST"),
        (answer("503 Service Unavailable", b"", "text/html"), "with 503"),
        (answer("200 OK", b""), "with 200"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ""),
    ],
    ids=["page", "no-page", "another-api", "no-post", "no-backend", "empty", "no-http"],
)
async def test_a_server_that_is_no_kubernetes(kubeconfig, bytes_, said):
    async with serving(bytes_) as port:
        error = await ask(kubeconfig(f"http://127.0.0.1:{port}"))
    assert "no Kubernetes API server at http://127.0.0.1:" in str(error)
    assert said in str(error)
    assert "context dev" in str(error)


async def test_a_certificate_that_is_not_trusted(kubeconfig):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with serving(answer("200 OK", PODS), tls=context) as port:
        error = await ask(kubeconfig(f"https://127.0.0.1:{port}"))
    assert "certificate" in str(error)


async def test_plain_text_where_tls_is_expected(kubeconfig):
    async with serving(answer("400 Bad Request", b"")) as port:
        error = await ask(kubeconfig(f"https://127.0.0.1:{port}"))
    assert f"https://127.0.0.1:{port} (kubeconfig" in str(error)


@pytest.mark.parametrize("first", [answer("200 OK", PODS), answer("404 Not Found", MISSING)])
async def test_after_an_answer_an_outage_is_an_outage(kubeconfig, first):
    answers = (first, answer("503 Service Unavailable", b"", "text/html"), b"")
    async with serving(*answers) as port, connect(kubeconfig(f"http://127.0.0.1:{port}")) as client:
        try:
            await client.list_pods("default")
        except NotFoundError:
            assert b"Status" in first
        with pytest.raises(ServerError):
            await client.list_pods("default")
        with pytest.raises(TransportError) as caught:
            await client.list_pods("default")
        assert not isinstance(caught.value, UnreachableError)


@pytest.mark.parametrize(
    ("status", "kind"), [("401 Unauthorized", UnauthorizedError), ("403 No", ForbiddenError)]
)
async def test_a_gateways_refusal_says_what_it_means(kubeconfig, status, kind):
    async with serving(answer(status, b"<h1>Log in</h1>", "text/html")) as port:
        with pytest.raises(kind):
            async with connect(kubeconfig(f"http://127.0.0.1:{port}")) as client:
                await client.list_pods("default")


async def test_a_slow_server_is_not_a_missing_one(kubeconfig):
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    config = kubeconfig(f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}")
    async with listener, connect(config.with_changes(request_timeout_s=0.05)) as client:
        with pytest.raises(RequestTimeoutError):
            await client.list_pods("default")


async def test_streams_and_handshakes_say_the_same(kubeconfig):
    async with connect(kubeconfig(CLOSED)) as client:
        with pytest.raises(UnreachableError, match="context dev"):
            async with client.watch_pods("default"):
                pytest.fail("opened")
        with pytest.raises(UnreachableError, match="context dev"):
            async with client.exec("default", "pod", ["true"]):
                pytest.fail("opened")


async def test_a_handshake_with_another_server(kubeconfig):
    page = answer("404 Not Found", b"<p>none</p>", "text/html")
    async with serving(page) as port, connect(kubeconfig(f"http://127.0.0.1:{port}")) as client:
        with pytest.raises(UnreachableError, match="none"):
            async with client.exec("default", "pod", ["true"]):
                pytest.fail("opened")
        with pytest.raises(UnreachableError, match="with 404"):
            async with client.watch_pods("default"):
                pytest.fail("opened")


async def test_opening_a_runner_says_it(kubeconfig):
    config = kubeconfig(CLOSED, tried_for_s=0.3)
    with pytest.raises(UnreachableError, match="context dev") as caught:
        async with AsyncPodRunner(config):
            pytest.fail("opened")
    assert caught.value.__notes__ == ["Tried for 0.3 s: retry.initial_connect_timeout_s"]


def test_opening_a_blocking_runner_says_it(kubeconfig):
    with pytest.raises(UnreachableError, match="context dev"), PodRunner(kubeconfig(CLOSED, tried_for_s=0.3)):
        pytest.fail("opened")


async def test_a_server_that_starts_late_is_waited_for(kubeconfig):
    """A scheduler may start before its API server: nothing listens at first, and the runner finds it later."""
    unreachable = UnreachableError("x", server="s", source="k")
    now, calls = 0.0, 0

    async def call():
        nonlocal calls
        calls += 1
        if now < 250:
            raise unreachable
        return "found"

    async def sleep(seconds):
        nonlocal now
        now += seconds

    async def tried(timeout_s):
        policy = RequestRetry.of(RetrySettings(initial_connect_timeout_s=timeout_s))
        return await retrying(call, policy=policy, name="n", sleep=sleep, random=Random(1), clock=lambda: now)

    assert await tried(300) == "found"
    now, calls = 0.0, 0
    with pytest.raises(UnreachableError):
        await tried(RetrySettings().initial_connect_timeout_s)
    assert now < 5
    assert calls > 2
