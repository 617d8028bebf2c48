"""The transport that fits the configuration and the event loop is opened, and closed again."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from podrunner.config import RunnerConfig, TcpKeepalive
from podrunner.errors import ConfigError
from podrunner.kube import connect, explicit_access, open_transport

pytestmark = pytest.mark.anyio

ACCESS = explicit_access("http://127.0.0.1:9", environ={})


@pytest.mark.parametrize(("setting", "anyio_backend", "kind"), [
    ("auto", "asyncio", "AiohttpTransport"),
    ("auto", "trio", "HttpxTransport"),
    ("aiohttp", "asyncio", "AiohttpTransport"),
    ("httpx", "asyncio", "HttpxTransport"),
    ("httpx", "trio", "HttpxTransport"),
])  # fmt: skip
async def test_the_transport_fits_the_loop(setting, kind):
    config = RunnerConfig(transport=setting, tcp_keepalive=TcpKeepalive(enabled=False))
    transport = open_transport(config, ACCESS)
    assert type(transport).__name__ == kind
    await transport.aclose()


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_aiohttp_on_trio_is_refused_with_what_to_use():
    with pytest.raises(ConfigError, match="asyncio only") as caught:
        open_transport(RunnerConfig(transport="aiohttp"), ACCESS)
    assert '"httpx"' in str(caught.value)


async def test_a_socks_proxy_is_httpx_matter(monkeypatch):
    """aiohttp would speak HTTP to it."""
    access = replace(ACCESS, proxy="socks5://127.0.0.1:9")
    transport = open_transport(RunnerConfig(), access)
    assert type(transport).__name__ == "HttpxTransport"
    await transport.aclose()
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(ConfigError, match=r"proxy-url: a SOCKS proxy needs socksio.*podrunner\[socks\]"):
        open_transport(RunnerConfig(), access)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_aiohttp_with_a_socks_proxy_is_refused_with_what_to_use():
    with pytest.raises(ConfigError, match="the aiohttp transport knows no SOCKS proxies"):
        open_transport(RunnerConfig(transport="aiohttp"), replace(ACCESS, proxy="socks5://127.0.0.1:9"))


@pytest.mark.parametrize("setting", [None, 7])
async def test_creates_in_flight_are_bounded_by_the_setting_else_by_the_connections(setting):
    async with connect(RunnerConfig(max_creates_in_flight=setting, connections=9), access=ACCESS) as client:
        assert client.creates.limit == (setting or 9)


async def test_an_embedders_api_client_is_asked_for_its_configuration():
    class Theirs:
        default_headers = {"User-Agent": "x"}  # noqa: RUF012  # as kubernetes-asyncio has it

        class configuration:  # noqa: N801  # likewise
            host, proxy = "http://127.0.0.1:9", None
            verify_ssl, ssl_ca_cert, cert_file, key_file, tls_server_name = True, None, None, None, None

    async with connect(RunnerConfig(), api_client=Theirs()) as client:
        assert client is not None


async def test_a_certificate_that_cannot_be_read_is_reported_on_opening(tmp_path):
    access = explicit_access("https://127.0.0.1:9", ca=tmp_path / "gone", environ={})
    with pytest.raises(ConfigError, match="authority"):
        async with connect(RunnerConfig(), access=access):
            pass


@pytest.mark.parametrize(
    ("user", "cluster", "key"),
    [
        ({}, {"certificate-authority-data": "aGVsbG8="}, "certificate-authority"),
        ({"client-certificate-data": "eA==", "client-key-data": "eQ=="}, {}, "client-certificate"),
    ],
)
async def test_an_inline_certificate_that_cannot_be_read_is_named_by_its_kubeconfig(
    write, user, cluster, key
):
    """And in no words of Python's ssl module."""
    config = RunnerConfig(kubeconfig=write(user, cluster))
    with pytest.raises(ConfigError) as caught:
        async with connect(config):
            pass
    assert str(caught.value).startswith(f"kubeconfig {config.kubeconfig}, context main: {key}: the ")
    assert "_ssl.c" not in str(caught.value)


def test_importing_the_room_imports_no_http_library():
    """kubernetes-asyncio costs 0.36 s, aiohttp 0.17 s: only a caller that opens a client pays."""
    heavy = "{'aiohttp', 'httpx', 'kubernetes_asyncio', 'tenacity', 'wsproto', 'trio'}"
    code = f"import sys, podrunner.kube; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_static_kubeconfig_needs_no_kubernetes_asyncio(write):
    """A LocalCluster's kubeconfig is static: its users never pay for the model tree."""
    code = f"""
import sys, anyio
from pathlib import Path
from podrunner.config import RunnerConfig
from podrunner.kube import connect
async def main():
    async with connect(RunnerConfig(kubeconfig=Path({str(write())!r}))):
        pass
anyio.run(main)
print("kubernetes_asyncio" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
