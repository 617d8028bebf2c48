"""A certificate for one loopback server, made at its start and forgotten at its end.

kubectl sends no bearer token over plain HTTP (clientcmd reads credentials only for ``https``), so LocalCluster
speaks TLS. The standard library can serve TLS but cannot make a certificate, and a cryptography package would be
the heaviest dependency of all for one signature, so the little that is needed stands here: ECDSA on P-256
(FIPS 186-4) and the DER of X.509 (RFC 5280). It is not constant-time and is meant for nothing else: the keys live
as long as one LocalCluster, on one machine, and the authority's key is never written anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

__all__ = ["Certificates", "make_certificates"]

# NIST P-256 (SEC 2, section 2.4.2).
_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_A = _P - 3
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)

# Object identifiers, already in DER.
_EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")
_P256 = bytes.fromhex("06082a8648ce3d030107")
_ECDSA_SHA256 = bytes.fromhex("06082a8648ce3d040302")
_COMMON_NAME = bytes.fromhex("0603550403")
_SUBJECT_KEY_ID = bytes.fromhex("0603551d0e")
_KEY_USAGE = bytes.fromhex("0603551d0f")
_ALT_NAME = bytes.fromhex("0603551d11")
_BASIC_CONSTRAINTS = bytes.fromhex("0603551d13")
_AUTHORITY_KEY_ID = bytes.fromhex("0603551d23")
_EXTENDED_KEY_USAGE = bytes.fromhex("0603551d25")
_SERVER_AUTH = bytes.fromhex("06082b06010505070301")

_LIFETIME = timedelta(days=365)
_SKEW = timedelta(hours=1)  # a clock that is set back meanwhile does no harm

Point = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM texts.

    Attributes:
        authority: Certificate of the authority, for clients.
        chain: Certificate of the server.
        key: Private key of the server; secret, hence absent from ``repr``.
    """

    authority: str
    chain: str
    key: str

    def __repr__(self) -> str:
        return "Certificates(...)"


@dataclass(frozen=True, slots=True)
class _KeyPair:
    private: int
    public: bytes

    @property
    def identifier(self) -> bytes:
        return hashlib.sha1(self.public, usedforsecurity=False).digest()  # RFC 5280, 4.2.1.2 (1)


def make_certificates(
    names: tuple[str, ...] = ("localhost", "127.0.0.1"), *, now: datetime | None = None
) -> Certificates:
    """A new authority and a server certificate that it signed.

    Args:
        names: DNS names and IP addresses of the server.
        now: Start of the validity; None for this moment.
    """
    start = (now or datetime.now(UTC)) - _SKEW
    authority, server = _key_pair(), _key_pair()
    issuer = "podrunner-local-ca"
    root = _certificate(issuer, authority, issuer, authority, _authority_extensions(authority), start=start)
    leaf = _certificate(
        "podrunner-local",
        server,
        issuer,
        authority,
        _server_extensions(server, authority, names=names),
        start=start,
    )
    return Certificates(
        authority=_pem("CERTIFICATE", root),
        chain=_pem("CERTIFICATE", leaf),
        key=_pem("EC PRIVATE KEY", _private(server)),
    )


def _certificate(
    subject: str, key: _KeyPair, issuer: str, signer: _KeyPair, extensions: bytes, *, start: datetime
) -> bytes:
    body = _sequence(
        _tag(0xA0, _integer(2)),  # version 3
        _integer(secrets.randbits(120) + 1),
        _sequence(_ECDSA_SHA256),
        _name(issuer),
        _sequence(_time(start), _time(start + _LIFETIME)),
        _name(subject),
        _public(key),
        _tag(0xA3, extensions),
    )
    return _sequence(body, _sequence(_ECDSA_SHA256), _bits(_sign(body, signer.private)))


def _authority_extensions(key: _KeyPair) -> bytes:
    return _sequence(
        _extension(_BASIC_CONSTRAINTS, _sequence(b"\x01\x01\xff"), critical=True),
        _extension(_KEY_USAGE, b"\x03\x02\x02\x04", critical=True),  # keyCertSign
        _extension(_SUBJECT_KEY_ID, _tag(0x04, key.identifier)),
    )


def _server_extensions(key: _KeyPair, authority: _KeyPair, *, names: tuple[str, ...]) -> bytes:
    return _sequence(
        _extension(_BASIC_CONSTRAINTS, _sequence(), critical=True),
        _extension(_KEY_USAGE, b"\x03\x02\x07\x80", critical=True),  # digitalSignature
        _extension(_EXTENDED_KEY_USAGE, _sequence(_SERVER_AUTH)),
        _extension(_SUBJECT_KEY_ID, _tag(0x04, key.identifier)),
        _extension(_AUTHORITY_KEY_ID, _sequence(_tag(0x80, authority.identifier))),
        _extension(_ALT_NAME, _sequence(*map(_alternative, names))),
    )


def _alternative(name: str) -> bytes:
    try:
        return _tag(0x87, ipaddress.ip_address(name).packed)
    except ValueError:
        return _tag(0x82, name.encode("ascii"))


def _extension(identifier: bytes, value: bytes, *, critical: bool = False) -> bytes:
    return _sequence(identifier, b"\x01\x01\xff" if critical else b"", _tag(0x04, value))


def _name(common: str) -> bytes:
    return _sequence(_tag(0x31, _sequence(_COMMON_NAME, _tag(0x0C, common.encode()))))


def _time(moment: datetime) -> bytes:
    return (
        _tag(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())
        if moment.year >= 2050
        else _tag(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())
    )


def _public(key: _KeyPair) -> bytes:
    return _sequence(_sequence(_EC_PUBLIC_KEY, _P256), _bits(key.public))


def _private(key: _KeyPair) -> bytes:
    secret = key.private.to_bytes(32, "big")
    return _sequence(_integer(1), _tag(0x04, secret), _tag(0xA0, _P256), _tag(0xA1, _bits(key.public)))


def _tag(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _sequence(*parts: bytes) -> bytes:
    return _tag(0x30, b"".join(parts))


def _integer(value: int) -> bytes:
    return _tag(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _bits(content: bytes) -> bytes:
    return _tag(0x03, b"\x00" + content)


def _pem(label: str, der: bytes) -> str:
    text = base64.b64encode(der).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def _key_pair() -> _KeyPair:
    private = secrets.randbelow(_N - 1) + 1
    point = _multiply(private, _G)
    assert point is not None
    return _KeyPair(private, b"\x04" + point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big"))


def _sign(message: bytes, private: int) -> bytes:
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    nonce = secrets.randbelow(_N - 1) + 1
    point = _multiply(nonce, _G)
    assert point is not None
    r = point[0] % _N
    s = pow(nonce, -1, _N) * (digest + r * private) % _N
    # r or s is 0 with a chance of 2^-256.
    return _sequence(_integer(r), _integer(s))


def _multiply(factor: int, point: Point) -> Point:
    total: Point = None
    while factor:
        if factor & 1:
            total = _add(total, point)
        point = _add(point, point)
        factor >>= 1
    return total


def _add(left: Point, right: Point) -> Point:
    if left is None or right is None:
        return left or right
    if left[0] == right[0] and (left[1] + right[1]) % _P == 0:
        return None
    slope = _slope(left, right)
    x = (slope * slope - left[0] - right[0]) % _P
    return x, (slope * (left[0] - x) - left[1]) % _P


def _slope(left: tuple[int, int], right: tuple[int, int]) -> int:
    if left == right:
        return (3 * left[0] * left[0] + _A) * pow(2 * left[1], -1, _P) % _P
    return (right[1] - left[1]) * pow(right[0] - left[0], -1, _P) % _P
