"""The proxies themselves: threads, kubeconfigs, tokens, and what becomes of connections."""

from __future__ import annotations

import gc
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path

import httpx
import pytest
import yaml
from podrunner.errors import UsageError
from podrunner.local import LocalCluster
from podrunner.testing.faults import FaultProxy, Line, TcpProxy, skew_clock

PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster.blocking(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture
def proxy(cluster: LocalCluster) -> Iterator[FaultProxy]:
    with FaultProxy.blocking(cluster) as started:
        yield started


def token_of(kubeconfig: Path) -> str:
    return yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"]


def client(proxy: FaultProxy | TcpProxy) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token_of(proxy.kubeconfig)}"}
    return httpx.Client(base_url=proxy.url, headers=headers, verify=False, trust_env=False, timeout=30)


@pytest.mark.parametrize("kind", [FaultProxy, TcpProxy])
def test_requests_pass_and_nothing_is_left(cluster: LocalCluster, kind: type[FaultProxy | TcpProxy]):
    before = set(threading.enumerate())
    with kind.blocking(cluster.kubeconfig) as proxy, client(proxy) as http:
        for _ in range(3):
            assert http.get(PODS).json()["kind"] == "PodList"
        assert http.head("/healthz").status_code == 200
        assert http.post(PODS, json={}).status_code == 422
        path = proxy.kubeconfig
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(UsageError, match="runs already"):
            proxy.start()
    assert not path.exists()
    assert set(threading.enumerate()) - before == set()  # an earlier test's idle thread may end meanwhile
    proxy.stop()


@pytest.mark.anyio
async def test_it_is_an_async_context_manager_too(cluster: LocalCluster):
    async with FaultProxy(cluster) as proxy:
        with client(proxy) as http:
            assert http.get(PODS).status_code == 200


def test_no_other_client_gets_through(cluster: LocalCluster, proxy: FaultProxy):
    """The proxy has an administrator's credentials: its own token is needed, and no other is in its kubeconfig."""
    assert httpx.get(proxy.url + PODS, trust_env=False, timeout=30).status_code == 401
    assert cluster.token not in proxy.kubeconfig.read_text()
    assert cluster.token not in repr(vars(proxy))


def test_a_user_by_plugin_is_refused(tmp_path: Path, cluster: LocalCluster):
    document = yaml.safe_load(cluster.kubeconfig.read_text())
    document["users"][0]["user"] = {"exec": {"command": "login"}}
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(UsageError, match="neither a token nor a client certificate"):
        FaultProxy(path)
    path.write_text("[]")
    with pytest.raises(UsageError, match="no kubeconfig"):
        FaultProxy(path)
    path.write_text("current-context: x")
    with pytest.raises(UsageError, match="no context 'x'"):
        FaultProxy(path)


def test_an_outage_refuses_and_ends_at_the_same_port(proxy: FaultProxy):
    with client(proxy) as http:
        assert http.get(PODS).status_code == 200
        with proxy.outage(), pytest.raises(httpx.ConnectError):
            http.get(PODS)
        assert http.get(PODS).status_code == 200


def test_a_frozen_connection_is_silent_and_open(proxy: FaultProxy):
    with client(proxy) as http:
        http.get(PODS)
        assert proxy.freeze() == 1
        with pytest.raises(httpx.ReadTimeout):
            http.get(PODS, timeout=0.3)
        assert http.get(PODS).status_code == 200  # on a new one


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_connection_that_comes_as_it_stops_is_closed_too(cluster: LocalCluster):
    for _ in range(10):
        with ExitStack() as stack:
            proxy = stack.enter_context(TcpProxy.blocking(cluster))
            address = ("127.0.0.1", httpx.URL(proxy.url).port)
            for _ in range(20):
                stack.callback(socket.create_connection(address).close)
            proxy.stop()
    gc.collect()


def test_an_unknown_upstream_resets(tmp_path: Path, cluster: LocalCluster):
    document = yaml.safe_load(cluster.kubeconfig.read_text())
    document["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:1"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    with FaultProxy.blocking(path) as proxy, client(proxy) as http, pytest.raises(httpx.TransportError):
        http.get(PODS)


def test_a_body_that_ends_too_early_looks_whole_or_broken(proxy: FaultProxy):
    proxy.faults.on("GET", "pods").truncate(after_bytes=10)
    proxy.faults.on("GET", "pods").cut(after_bytes=10)
    connection = HTTPConnection(proxy.url.removeprefix("http://"), timeout=30)
    headers = {"Authorization": f"Bearer {token_of(proxy.kubeconfig)}"}
    connection.request("GET", PODS, headers=headers)
    assert len(connection.getresponse().read()) == 10
    connection.request("GET", PODS, headers=headers)
    with pytest.raises((IncompleteRead, ConnectionResetError)):
        connection.getresponse().read()
    connection.close()


def test_an_outdated_list_is_the_one_before(cluster: LocalCluster, proxy: FaultProxy):
    proxy.faults.on("GET", "configmaps", skip=1).outdated()
    path = "/api/v1/namespaces/default/configmaps"
    with client(proxy) as http:
        first = http.get(path).json()
        http.post(path, json={"metadata": {"name": "new"}}).raise_for_status()
        assert http.get(path).json() == first
        assert http.get(path).json() != first


def test_time_passes_where_a_rule_says_so(proxy: FaultProxy):
    proxy.faults.on("GET", "pods").delay(0.2)
    proxy.faults.on("GET", "pods").delay_reply(0.2)
    proxy.faults.on("GET", "pods").slow(500)
    with client(proxy) as http:
        for _ in range(3):
            began = time.monotonic()
            assert http.get(PODS).json()["kind"] == "PodList"
            assert time.monotonic() - began >= 0.15


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (Line(cut_after_bytes=1500), httpx.TransportError),
        (Line(freeze_after_bytes=1500), httpx.TimeoutException),
    ],
)
def test_a_line_cuts_and_freezes_tls_too(cluster: LocalCluster, line: Line, error: type[Exception]):
    with TcpProxy.blocking(cluster) as proxy:
        proxy.line = line
        with client(proxy) as http, pytest.raises(error):
            [http.get(PODS, timeout=0.5) for _ in range(5)]
        proxy.line = Line(delay_s=0.01, bytes_per_s=20_000)
        with client(proxy) as http:
            assert http.get(PODS).status_code == 200


def test_a_skewed_clock_stamps_wrongly(cluster: LocalCluster, proxy: FaultProxy):
    skew_clock(cluster, -10 * 365 * 86_400)
    try:
        with client(proxy) as http:
            made = http.post("/api/v1/namespaces", json={"metadata": {"name": "old"}}).json()
    finally:
        skew_clock(cluster, 0)
    assert made["metadata"]["creationTimestamp"] < time.strftime(
        "%Y", time.gmtime(time.time() - 5 * 365 * 86_400)
    )
