"""The API server behind a proxy: where it is, how it is trusted, and whose credentials are used. From a kubeconfig."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from podrunner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Upstream", "direct", "redirected", "server_of", "write_kubeconfig"]

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where requests are passed on to.

    Attributes:
        host: Its name or address.
        port: Its port.
        token: Bearer token, or "" with a client certificate.
        tls: How it is trusted; None: plain HTTP.
        server_name: The name that its certificate is for.
    """

    host: str
    port: int
    token: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None
    server_name: str | None = None

    @classmethod
    def of(cls, kubeconfig: Path) -> Upstream:
        """Read the current context of a kubeconfig.

        Raises:
            UsageError: Its user has neither a token nor a client certificate (but, say, a plugin).
        """
        cluster, user = _current(_load(kubeconfig), kubeconfig)
        token = user.get("token") or _text_of(user, "tokenFile", kubeconfig)
        if not token and not ({"client-certificate", "client-certificate-data"} & set(user)):
            raise UsageError(
                f"{kubeconfig}: the user of the current context has neither a token nor a client certificate; "
                "give the proxy a kubeconfig that has one"
            )
        url = urlsplit(cluster["server"])
        is_tls = url.scheme == "https"
        return cls(
            url.hostname or "",
            url.port or (443 if is_tls else 80),
            token,
            _tls(cluster, user, kubeconfig) if is_tls else None,
            cluster.get("tls-server-name"),
        )

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection.

        Raises:
            OSError: It cannot be reached, or not be trusted.
        """
        name = (self.server_name or self.host) if self.tls else None
        return await asyncio.open_connection(
            self.host, self.port, ssl=self.tls, server_hostname=name, limit=1024 * 1024
        )


def server_of(kubeconfig: Path) -> str:
    """Return the address that a kubeconfig leads to."""
    return str(_current(_load(kubeconfig), kubeconfig)[0]["server"])


def redirected(kubeconfig: Path, server: str) -> Document:
    """Return a kubeconfig that leads to another address and is otherwise the same; the certificate's name stays."""
    document = _load(kubeconfig)
    cluster, user = _current(document, kubeconfig)
    host = urlsplit(cluster["server"]).hostname
    named = {"tls-server-name": host, **cluster, "server": server}
    return _document(_absolute(named, kubeconfig), _absolute(user, kubeconfig), _namespace(document))


def direct(kubeconfig: Path, server: str, token: str) -> Document:
    """Return a kubeconfig for plain HTTP at an address, with a token."""
    return _document({"server": server}, {"token": token}, _namespace(_load(kubeconfig)))


def write_kubeconfig(document: Document, folder: Path) -> Path:
    """Write a kubeconfig that only its owner can read."""
    path = folder / "kubeconfig"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        yaml.safe_dump(document, file, sort_keys=False)
    return path


def _load(path: Path) -> Document:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise UsageError(f"{path} is no kubeconfig")
    return document


def _current(document: Document, path: Path) -> tuple[Document, Document]:
    name = document.get("current-context")
    context = _named(document, "context", name, path)
    cluster = _named(document, "cluster", context.get("cluster"), path)
    return cluster, _named(document, "user", context.get("user"), path)


def _named(document: Document, kind: str, name: str | None, path: Path) -> Document:
    for entry in document.get(f"{kind}s") or ():
        if entry.get("name") == name:
            found: Document = entry.get(kind) or {}
            return found
    raise UsageError(f"{path}: there is no {kind} {name!r}")


def _namespace(document: Document) -> str:
    name = document.get("current-context")
    found = (entry["context"] for entry in document["contexts"] if entry["name"] == name)
    return str(next(found).get("namespace", "default"))


def _document(cluster: Document, user: Document, namespace: str) -> Document:
    name = "podrunner-faults"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
        "current-context": name,
    }


_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


def _absolute(entry: Document, kubeconfig: Path) -> Document:
    """Paths in a kubeconfig are relative to it."""
    return {
        name: str(kubeconfig.parent.absolute() / value) if name in _FILES else value
        for name, value in entry.items()
    }


def _text_of(entry: Document, name: str, kubeconfig: Path) -> str:
    if name not in entry:
        return ""
    path = kubeconfig.parent / str(entry[name])
    return path.read_text(encoding="utf-8").strip()


def _tls(cluster: Document, user: Document, kubeconfig: Path) -> ssl.SSLContext:
    authority = _pem(cluster, "certificate-authority", kubeconfig)
    context = ssl.create_default_context(cadata=authority or None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = (_pem(user, name, kubeconfig) for name in ("client-certificate", "client-key"))
    if certificate and key:
        with _as_file(certificate + "\n" + key) as path:
            context.load_cert_chain(path)
    return context


def _pem(entry: Document, name: str, kubeconfig: Path) -> str:
    if data := entry.get(f"{name}-data"):
        return base64.b64decode(data).decode()
    return _text_of(entry, name, kubeconfig)


@contextmanager
def _as_file(text: str) -> Iterator[str]:
    """The ssl module takes a client certificate only from a file."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        yield file.name
