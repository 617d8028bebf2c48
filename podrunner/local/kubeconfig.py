"""The kubeconfig file that leads clients to a LocalCluster."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["kubeconfig", "write_private"]

_NAME = "podrunner-local"


def kubeconfig(*, url: str, token: str, authority: str | None, namespace: str = "default") -> str:
    """Return the text of a kubeconfig with one cluster, one user and one context.

    Args:
        url: Address of the API server.
        token: Bearer token.
        authority: PEM text of the certificate authority; None for plain HTTP.
        namespace: Namespace of the context.
    """
    cluster: dict[str, Any] = {"server": url}
    if authority:
        cluster["certificate-authority-data"] = base64.b64encode(authority.encode()).decode()
    context = {"cluster": _NAME, "user": _NAME, "namespace": namespace}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _NAME, "cluster": cluster}],
        "users": [{"name": _NAME, "user": {"token": token}}],
        "contexts": [{"name": _NAME, "context": context}],
        "current-context": _NAME,
    }
    return yaml.safe_dump(config, sort_keys=False)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from the first byte on; it appears whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)  # a link that was left or planted there is not written through
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)
