"""A renewed client certificate is used on fresh connections; what runs on the old one may end."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import pytest
from podrunner.config import RunnerConfig
from podrunner.errors import ConfigError, UnauthorizedError
from podrunner.kube import KubeClient, Request, Response
from podrunner.kube.access import open_access
from podrunner.kube.credentials import CertificateCredentials, Grant, RenewedCredentials
from podrunner.kube.rotation import RotatingTransport
from podrunner.kube.tls import TlsRotation, TlsSettings

pytestmark = pytest.mark.anyio

GET = Request("GET", "/", {})


class Connections:
    """A transport that knows which certificate it was made with; the server takes only some."""

    def __init__(self, certificate, taken):
        self.certificate = certificate
        self.taken = taken
        self.closed = 0

    async def request(self, request):
        status = 200 if self.certificate in self.taken else 401
        return Response(status, {}, b'{"made_with": "%s"}' % self.certificate)

    @asynccontextmanager
    async def stream(self, request):
        yield self

    @asynccontextmanager
    async def upgrade(self, request, subprotocols):
        yield self

    async def aclose(self):
        self.closed += 1


class Maker:
    def __init__(self, rotation, taken=(b"1", b"2", b"3")):
        self.rotation = rotation
        self.taken = taken
        self.made = []

    def __call__(self):
        self.made.append(Connections(self.rotation.settings.certificate, self.taken))
        return self.made[-1]


@pytest.fixture
def rotation():
    return TlsRotation(TlsSettings(certificate=b"1"))


async def test_requests_and_streams_take_the_newest_certificate(rotation):
    maker = Maker(rotation)
    transport = RotatingTransport(rotation, maker)
    assert b'"1"' in (await transport.request(GET)).body
    rotation.offer(TlsSettings(certificate=b"2"))
    async with transport.stream(GET) as stream:
        assert stream.certificate == b"2"
        rotation.offer(TlsSettings(certificate=b"3"))
        async with transport.upgrade(GET, ()) as socket:
            assert socket.certificate == b"3"
        assert [made.closed for made in maker.made] == [1, 0, 0], "the stream's own still serves it"
    assert b'"3"' in (await transport.request(GET)).body
    await transport.aclose()
    assert [made.closed for made in maker.made] == [1, 1, 1]


async def test_a_certificate_that_cannot_be_loaded_is_tried_again_with_the_next_request(rotation):
    maker = Maker(rotation)
    transport = RotatingTransport(rotation, maker)
    rotation.offer(TlsSettings(certificate=b"2"))

    def broken():
        raise ConfigError("half written")

    transport._make = broken  # the file is whole a moment later
    with pytest.raises(ConfigError):
        await transport.request(GET)
    transport._make = maker
    assert b'"2"' in (await transport.request(GET)).body


async def test_a_plugins_expired_certificate_is_renewed_once_and_used(rotation):
    """L8."""
    calls = []

    async def fetch():
        calls.append(1)
        await anyio.sleep(0.01)
        rotation.offer(TlsSettings(certificate=b"2"))
        return Grant(None, certificate=b"2")

    maker = Maker(rotation, taken=(b"2",))
    credentials = RenewedCredentials(Grant(None, certificate=b"1"), fetch)
    client = KubeClient(RotatingTransport(rotation, maker), credentials=credentials)
    answers = []

    async def ask():
        answers.append(await client.server_version())

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(ask)
    assert answers == [{"made_with": "2"}] * 5
    assert len(calls) == 1


async def test_certificate_files_that_changed_are_read_again(tmp_path, write):
    """L8: kubeadm and cert-manager replace the files."""
    for name in ("me.crt", "me.key"):
        (tmp_path / name).write_text("old")
    user = {"client-certificate": "me.crt", "client-key": "me.key"}
    access = await open_access(RunnerConfig(kubeconfig=write(user)), environ={})
    assert isinstance(access.credentials, CertificateCredentials)
    before = access.tls
    assert await access.credentials.authorization() is None
    assert not await access.credentials.renew(None)
    assert access.tls is before
    fresh = tmp_path / "fresh"
    fresh.write_text("new")
    fresh.replace(tmp_path / "me.crt")
    assert await access.credentials.renew(None)
    assert access.tls is not before
    assert not await access.credentials.renew(None)


async def test_a_certificate_that_stays_refused_is_a_401(rotation):
    client = KubeClient(
        RotatingTransport(rotation, Maker(rotation, taken=())), credentials=CertificateCredentials(rotation)
    )
    with pytest.raises(UnauthorizedError):
        await client.server_version()
