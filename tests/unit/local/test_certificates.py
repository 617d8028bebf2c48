"""The certificate of a LocalCluster: valid for loopback, under its authority only; without trustme only plain HTTP."""

from __future__ import annotations

import ssl
import sys

import pytest
from podrunner.errors import ConfigError
from podrunner.local import LocalCluster
from podrunner.local.certificates import make_certificates


def contexts(tmp_path, certificates):
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_text(certificates.chain)
    key.write_text(certificates.key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain, key)
    client = ssl.create_default_context(cadata=certificates.authority)
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    return server, client


def shake(server, client, name):
    """A handshake in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    while sides:
        for side in tuple(sides):
            try:
                side.do_handshake()
                sides.remove(side)
            except ssl.SSLWantReadError:
                pass


@pytest.mark.parametrize("name", ["127.0.0.1", "::1", "localhost"])
def test_it_is_accepted_for_its_names(tmp_path, name):
    shake(*contexts(tmp_path, make_certificates()), name)


def test_another_name_is_refused(tmp_path):
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake(*contexts(tmp_path, make_certificates()), "example.com")


def test_another_authority_is_refused(tmp_path):
    server, _ = contexts(tmp_path, make_certificates())
    _, client = contexts(tmp_path, make_certificates())
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(server, client, "localhost")


def test_the_key_is_in_no_repr():
    certificates = make_certificates()
    assert certificates.key not in repr(certificates)
    assert "PRIVATE" not in repr(certificates)


@pytest.fixture
def _no_trustme(monkeypatch):
    monkeypatch.setitem(sys.modules, "trustme", None)


@pytest.mark.usefixtures("_no_trustme")
def test_https_without_trustme_says_what_to_install():
    with pytest.raises(ConfigError) as caught:
        LocalCluster()
    assert "trustme, which is not installed" in str(caught.value)
    assert "pip install 'podrunner[local]'" in str(caught.value)


@pytest.mark.usefixtures("_no_trustme")
def test_plain_http_needs_no_trustme():
    with LocalCluster.blocking(tls=False) as cluster:
        assert cluster.url.startswith("http:")
        assert cluster.authority is None
