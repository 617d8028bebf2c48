"""TLS: which certificates are trusted, and under which name."""

from __future__ import annotations

import anyio
import pytest
from podrunner.errors import TransportError
from podrunner.kube import Access, Request, explicit_access
from podrunner.kube.tls import TlsRotation, TlsSettings

pytestmark = pytest.mark.anyio

GET = Request("GET", "/version", {}, timeout_s=40.0)


async def test_an_authority_given_inline_is_trusted(opened, tls_stub, certificates):
    tls_stub.json({})
    access = explicit_access(tls_stub.url, ca=certificates.authority.encode())
    async with opened("", access=access) as transport:
        assert (await transport.request(GET)).status == 200


async def test_an_unknown_authority_is_refused_before_anything_is_sent(opened, tls_stub):
    tls_stub.json({})
    async with opened(tls_stub.url) as transport:
        with pytest.raises(TransportError, match=r"(?i)certificate") as caught:
            await transport.request(GET)
    assert not caught.value.sent
    assert not tls_stub.seen


async def test_verification_can_be_switched_off(opened, tls_stub):
    tls_stub.json({})
    async with opened("", access=explicit_access(tls_stub.url, verify=False)) as transport:
        assert (await transport.request(GET)).status == 200


@pytest.mark.parametrize(("name", "fits"), [("localhost", True), ("kubernetes.example", False)])
async def test_the_servers_name_may_be_another_than_the_urls_host(opened, tls_stub, certificates, name, fits):
    """``tls-server-name`` of a kubeconfig."""
    tls_stub.json({})
    tls = TlsSettings(ca=certificates.authority.encode(), server_name=name)
    async with opened("", access=Access(url=tls_stub.url, rotation=TlsRotation(tls))) as transport:
        with anyio.fail_after(40):
            if fits:
                assert (await transport.request(GET)).status == 200
            else:
                with pytest.raises(TransportError):
                    await transport.request(GET)


async def test_streams_and_upgrades_use_the_same_settings(opened, tls_stub, certificates):
    tls_stub.json({"a": 1})
    tls = TlsSettings(ca=certificates.authority.encode(), server_name="localhost")
    async with (
        opened("", access=Access(url=tls_stub.url, rotation=TlsRotation(tls))) as transport,
        transport.stream(GET) as stream,
    ):
        assert b"".join([batch async for batch in stream]) == b'{"a": 1}'
