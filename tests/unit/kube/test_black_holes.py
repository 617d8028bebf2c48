"""An address from which nothing comes back is an UnreachableError in time, though no connection is ever refused.

All other limits are longer than the time limit of a test: only ``retry.initial_connect_timeout_s`` can end it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest
import yaml
from podrunner import AsyncPodRunner, PodRunner, RunnerConfig
from podrunner.errors import RequestTimeoutError, UnreachableError
from podrunner.kube import connect

LONG_S = 3600.0
INITIAL_S = 0.2
TRANSPORTS = [("asyncio", "aiohttp"), ("asyncio", "httpx"), ("trio", "httpx")]


@contextmanager
def dropping():
    """Yield a port whose connections the kernel neither takes nor refuses: its queue is full, and stays so."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        first.connect(listener.getsockname())
        second.setblocking(False)  # noqa: FBT003  # the standard library's
        second.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@contextmanager
def silent():
    """Yield a port whose connections the kernel takes, and to which no program answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


HOLES = {
    "connect": (dropping, "http://127.0.0.1:{}", None),
    "connect-tls": (dropping, "https://127.0.0.1:{}", None),
    "handshake": (silent, "https://127.0.0.1:{}", None),
    "proxy-connect": (dropping, "https://10.0.0.1:6443", "http://127.0.0.1:{}"),
    "proxy-tunnel": (silent, "https://10.0.0.1:6443", "http://127.0.0.1:{}"),
    "socks-connect": (dropping, "https://10.0.0.1:6443", "socks5://127.0.0.1:{}"),
    "socks-greeting": (silent, "https://10.0.0.1:6443", "socks5://127.0.0.1:{}"),
}


@pytest.fixture(params=HOLES)
def hole(request, tmp_path):
    """Yield a kubeconfig's path, and the URL of its server, from which nothing comes back."""
    opened, server, proxy = HOLES[request.param]
    with opened() as port:
        yield kubeconfig(tmp_path, server.format(port), proxy and proxy.format(port))


def kubeconfig(folder, server, proxy=None):
    path = folder / "config"
    cluster = {"server": server} | ({"proxy-url": proxy} if proxy else {})
    document = {
        "current-context": "dev",
        "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {}}],
    }
    path.write_text(yaml.safe_dump(document))
    return path, server


def config_of(path, **settings) -> RunnerConfig:
    limits = {"request_timeout_s": LONG_S, "connect_timeout_s": LONG_S}
    return RunnerConfig(
        kubeconfig=path, retry={"initial_connect_timeout_s": INITIAL_S}, **(limits | settings)
    )


@pytest.fixture(params=TRANSPORTS, ids="-".join)
def transport(request):
    return request.param


@pytest.fixture
def anyio_backend(transport):
    return transport[0]


async def list_pods(client):
    await client.list_pods("default")


async def watch_pods(client):
    async with client.watch_pods("default"):
        pytest.fail("opened")


async def execute(client):
    async with client.exec("default", "pod", ["true"]):
        pytest.fail("opened")


@pytest.mark.anyio
@pytest.mark.parametrize("act", [list_pods, watch_pods, execute])
async def test_nothing_comes_back(hole, transport, act):
    path, server = hole
    if transport[1] == "aiohttp" and "socks" in path.read_text():
        pytest.skip("aiohttp knows no SOCKS")
    async with connect(config_of(path, transport=transport[1])) as client:
        with pytest.raises(UnreachableError) as caught:
            await act(client)
    check(caught.value, path, server)
    assert not caught.value.sent


def check(error: UnreachableError, path, server):
    assert str(error).startswith(f"no Kubernetes API server at {server} (kubeconfig {path}, context dev")
    assert str(error).endswith(f": no connection within {INITIAL_S:g} s")


AT_FIRST = pytest.mark.parametrize("hole", ["connect", "handshake"], indirect=True)


@AT_FIRST
@pytest.mark.anyio
async def test_opening_a_runner_says_it(hole, transport):
    path, server = hole
    with pytest.raises(UnreachableError) as caught:
        async with AsyncPodRunner(config_of(path, transport=transport[1])):
            pytest.fail("opened")
    check(caught.value, path, server)
    assert caught.value.__notes__ == [f"Tried for {INITIAL_S:g} s: retry.initial_connect_timeout_s"]


@AT_FIRST
def test_opening_a_blocking_runner_says_it(hole):
    path, server = hole
    with pytest.raises(UnreachableError) as caught, PodRunner(config_of(path)):
        pytest.fail("opened")
    check(caught.value, path, server)


@AT_FIRST
def test_the_command_says_it(hole):
    path, server = hole
    environment = os.environ | {
        "PODRUNNER_REQUEST_TIMEOUT_S": f"{LONG_S}",
        "PODRUNNER_CONNECT_TIMEOUT_S": f"{LONG_S}",
        "PODRUNNER_RETRY__INITIAL_CONNECT_TIMEOUT_S": f"{INITIAL_S}",
    }
    command = [sys.executable, "-m", "podrunner", "get", "--kubeconfig", str(path)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (69, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(
        f"podrunner: no Kubernetes API server at {server} (kubeconfig {path}, context dev)"
    )


@pytest.mark.anyio
async def test_a_request_that_is_never_answered_says_where_it_went(tmp_path, transport):
    """The server took the connection and the request: it may be slow, and is given the time of a request."""
    with silent() as port:
        path, server = kubeconfig(tmp_path, f"http://127.0.0.1:{port}")
        config = config_of(path, transport=transport[1], request_timeout_s=INITIAL_S)
        async with connect(config) as client:
            with pytest.raises(RequestTimeoutError) as caught:
                await client.list_pods("default")
    assert caught.value.sent
    assert str(caught.value).startswith(
        f"GET {server}/api/v1/namespaces/default/pods: no answer within 0.2 s"
    )
    assert f"nothing has answered yet at {server} (kubeconfig {path}, context dev)" in str(caught.value)
