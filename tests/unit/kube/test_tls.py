"""The SSL context is made of what was given, and a file that does not fit is named."""

from __future__ import annotations

import ssl

import pytest
from podrunner.errors import ConfigError
from podrunner.kube.tls import TlsRotation, TlsSettings, ssl_context, sweep_folders
from podrunner.local.certificates import make_certificates


@pytest.fixture(scope="module")
def certificates():
    return make_certificates()


def test_authorities_come_inline_or_from_a_file(certificates, tmp_path):
    path = tmp_path / "ca.crt"
    path.write_text(certificates.authority)
    for ca in (path, certificates.authority.encode()):
        context = ssl_context(TlsSettings(ca=ca))
        assert len(context.get_ca_certs()) == 1, "no others are trusted"
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert not context.verify_flags & ssl.VERIFY_X509_STRICT


def test_verification_can_be_off():
    context = ssl_context(TlsSettings(verify=False))
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


def test_a_client_certificate_comes_inline_or_from_files(certificates, tmp_path):
    (tmp_path / "crt").write_text(certificates.chain)
    (tmp_path / "key").write_text(certificates.key)
    files = TlsSettings(certificate=tmp_path / "crt", key=tmp_path / "key")
    inline = TlsSettings(certificate=certificates.chain.encode(), key=certificates.key.encode())
    both = TlsSettings(certificate=(certificates.chain + certificates.key).encode())
    for settings in (files, inline, both):
        assert ssl_context(settings) is not None


def test_an_inline_key_stays_nowhere(certificates, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ssl_context(TlsSettings(certificate=certificates.chain.encode(), key=certificates.key.encode()))
    assert list(tmp_path.iterdir()) == []
    assert "PRIVATE" not in repr(TlsSettings(key=certificates.key.encode()))


@pytest.mark.parametrize("ca", [b"nonsense", b"\xff", None])
def test_a_bad_authority_is_named(tmp_path, ca):
    with pytest.raises(ConfigError, match="certificate authority cannot be read") as caught:
        ssl_context(TlsSettings(ca=ca if ca is not None else tmp_path / "gone.crt"))
    assert caught.value.key == "certificate-authority"


def test_a_key_that_does_not_belong_is_named(certificates, tmp_path):
    other = make_certificates()
    path = tmp_path / "crt"
    path.write_text(certificates.chain)
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        ssl_context(TlsSettings(certificate=path, key=other.key.encode()))
    assert caught.value.source == str(path)
    with pytest.raises(ConfigError):
        ssl_context(TlsSettings(certificate=tmp_path / "gone"))


def test_only_another_certificate_is_a_rotation():
    first = TlsSettings(certificate=b"1", key=b"k", server_name="x", verify=False)
    rotation = TlsRotation(first)
    rotation.offer(TlsSettings(certificate=b"1", key=b"k"))
    assert rotation.settings is first
    rotation.offer(TlsSettings(certificate=b"2", key=b"l", ca=b"ignored"))
    assert rotation.settings == TlsSettings(certificate=b"2", key=b"l", server_name="x", verify=False)


def test_folders_of_killed_processes_are_removed(tmp_path):
    """H10: keys that were written for a moment, by a process that was killed in that moment."""
    left = tmp_path / "podrunner-tls-abc"
    left.mkdir()
    (left / "key.pem").write_text("key")
    other = tmp_path / "another"
    other.mkdir()
    (tmp_path / "podrunner-tls-link").symlink_to(other)
    (tmp_path / "podrunner-tls-file").write_text("no folder")
    made_s = left.stat().st_mtime
    sweep_folders(tmp_path, now_s=made_s + 59)
    assert left.exists()
    sweep_folders(tmp_path, now_s=made_s + 61)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "another",
        "podrunner-tls-file",
        "podrunner-tls-link",
    ]
