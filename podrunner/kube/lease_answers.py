"""Leases as the server answers them: whole, after their shape was looked at. Another program may have answered."""

from __future__ import annotations

from typing import Any

import msgspec

from podrunner.errors import TransportError
from podrunner.kube.wire import ObjectPage, decode_object, decode_objects

__all__ = ["decode_lease", "decode_leases"]


class _Metadata(msgspec.Struct, rename="camel", gc=False):
    resource_version: str
    name: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _Spec(msgspec.Struct, rename="camel", gc=False):
    holder_identity: str | None = None
    lease_duration_seconds: float | None = None
    acquire_time: str | None = None
    renew_time: str | None = None


class _Lease(msgspec.Struct, gc=False):
    """What is read of a Lease (API reference: coordination.k8s.io/v1)."""

    metadata: _Metadata
    spec: _Spec | None = None


def decode_lease(body: bytes) -> dict[str, Any]:
    """Decode a Lease, whole.

    Raises:
        TransportError: The body is no Lease.
    """
    return _checked(decode_object(body))


def decode_leases(body: bytes) -> ObjectPage:
    """Decode a page of a list of Leases.

    Raises:
        TransportError: The body is no such list, or one of its items is no Lease: a Lease that is not seen would be
            taken for one that is not there.
    """
    page = decode_objects(body)
    for found in page.items:
        _checked(found)
    return page


def _checked(found: dict[str, Any]) -> dict[str, Any]:
    try:
        msgspec.convert(found, _Lease)
    except msgspec.ValidationError as error:
        raise TransportError(f"the server's answer is not a Lease: {error}") from error
    return found
