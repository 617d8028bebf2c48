"""Read kubeconfig files: merged like kubectl does it, one context picked, its settings taken.

A user who is static (a token, a client certificate, a password, or anonymous) is read here, as are a cluster's
settings. What an exec plugin grants does not belong here (``exec_plugin``), nor an identity provider (``oidc``).
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podrunner.errors import ConfigError
from podrunner.kube.impersonation import impersonation_headers, is_header_value
from podrunner.kube.kubeconfig_entry import Entry, read_document
from podrunner.kube.server_url import is_host, server_url
from podrunner.kube.tls import TlsSettings
from podrunner.redaction import redact, secrets_in, shown_value

__all__ = ["Kubeconfig", "context_names", "is_there", "kubeconfig_paths", "read_kubeconfig", "with_content"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubeconfig:
    """One context of the merged files."""

    paths: tuple[Path, ...]
    context: str
    namespace: str | None
    cluster: Entry
    user: Entry

    @property
    def source(self) -> str:
        """The files' names, for messages."""
        return os.pathsep.join(map(str, self.paths))

    @property
    def is_static(self) -> bool:
        """Whether everything that identifies the user stands in the file, or in a file that it names.

        As in client-go, a plugin beside a token, a password or a client certificate is not run.
        """
        if self.user.fields.get("auth-provider") is not None:
            return False
        return self.user.fields.get("exec") is None or self._is_identified

    @property
    def _is_identified(self) -> bool:
        named = any(map(self.user.text, ("token", "tokenFile", "username")))
        return named or any(map(self.user.text, ("client-certificate", "client-certificate-data")))

    @property
    def secrets(self) -> frozenset[str]:
        """The user's credentials, as far as they stand in the file."""
        return frozenset(secrets_in(self.user.fields))

    @property
    def url(self) -> str:
        """The API server's URL."""
        server = self.cluster.fields.get("server")
        if not isinstance(server, str) or not server.lower().startswith(("https://", "http://")):
            problem = f"no http(s) URL of an API server: {shown_value(server)}"
            raise self.cluster.error("server", problem, "Give https://host:port.")
        return server_url(server)

    @property
    def proxy(self) -> str | None:
        """The cluster's ``proxy-url``."""
        return self.cluster.text("proxy-url")

    @property
    def tls(self) -> TlsSettings:
        """How to trust the server, and how to be trusted.

        Raises:
            ConfigError: A file is missing, or settings contradict each other, as for kubectl.
        """
        verify = not self.cluster.flag("insecure-skip-tls-verify")
        ca = self.cluster.pem("certificate-authority")
        if ca is not None and not verify:
            problem = "the certificate is not to be verified, and an authority to verify it by is given"
            raise self.cluster.error("insecure-skip-tls-verify", problem, "Keep one of them.")
        certificate, key = self.user.pem("client-certificate"), self.user.pem("client-key")
        if certificate is not None and key is None:
            problem = "a client certificate without its key"
            raise self.user.error("client-key", problem, "Give client-key or client-key-data.")
        server_name = self.cluster.text("tls-server-name")
        if server_name is not None and not is_host(server_name):
            problem = f"this is no name of a host: {shown_value(server_name)}"
            raise self.cluster.error("tls-server-name", problem, "Give a name that the certificate has.")
        return TlsSettings(verify=verify, ca=ca, certificate=certificate, key=key, server_name=server_name)

    @property
    def authorization(self) -> str | None:
        """The value of the ``Authorization`` header of a user with a token or a password.

        Raises:
            ConfigError: Both are given, or the token cannot be sent.
        """
        token, name, password = map(self.user.text, ("token", "username", "password"))
        if token and (name or password):
            problem = "a token and a password are given, and only one can be sent"
            raise self.user.error("token", problem, "Keep one of them.")
        if token:
            return f"Bearer {self._sendable(token)}"
        if name is None:
            return None
        pair = f"{name}:{password or ''}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"

    def _sendable(self, token: str) -> str:
        trimmed = token.strip()
        if not trimmed or not is_header_value(trimmed):
            problem = "the token is blank, or has a line break or another control character in it"
            raise self.user.error("token", problem, "Give the token as it was issued, in one line.")
        return trimmed

    @property
    def token_file(self) -> Path | None:
        """The file of a user's token; as in client-go, it is used rather than a ``token`` beside it."""
        return self.user.file("tokenFile")

    @property
    def impersonation(self) -> tuple[tuple[str, str], ...]:
        """Headers of the user to be impersonated.

        Raises:
            ConfigError: They cannot be sent.
        """
        return impersonation_headers(self.user)


def kubeconfig_paths(explicit: Path | None, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return where to look, in order: the one given, else the list in KUBECONFIG, else ``~/.kube/config``."""
    if explicit is not None:
        return (explicit.expanduser(),)
    if listed := environ.get("KUBECONFIG"):
        return tuple(Path(name).expanduser() for name in listed.split(os.pathsep) if name)
    home = environ.get("HOME")
    return ((Path(home) if home else Path.home()) / ".kube" / "config",)


def is_there(path: Path) -> bool:
    """Whether a file exists; true also where its folder may not be entered: reading it then says so."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def with_content(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files that count: those that exist and hold more than comments.

    Raises:
        ConfigError: One of several is malformed.
    """
    there = tuple(path for path in paths if is_there(path))
    return there if len(there) < 2 else tuple(path for path in there if read_document(path) is not None)


def read_kubeconfig(paths: Sequence[Path], *, context: str | None = None) -> Kubeconfig:
    """Read and merge kubeconfig files; of entries with one name the first counts, as with kubectl.

    Args:
        paths: The files; those that do not exist, or are empty but for comments, are passed over, if another is left.
        context: The context to use; None: the current one.

    Raises:
        ConfigError: No file is there, one is malformed, or what the context names is missing.
    """
    there = [path for path in paths if is_there(path)]
    if not there:
        raise ConfigError(
            "no kubeconfig is there",
            source=os.pathsep.join(map(str, paths)),
            remedy="Give its path by RunnerConfig(kubeconfig=…), KUBECONFIG or --kubeconfig, "
            'or use cluster="local" (--local) for a cluster on this machine.',
        )
    documents = _documents(there)
    name = context or _current_context(documents)
    chosen = _entry(documents, "contexts", name)
    return Kubeconfig(
        paths=tuple(path for path, _ in documents),
        context=name,
        namespace=chosen.text("namespace"),
        cluster=_entry(documents, "clusters", _named(chosen, "cluster")),
        user=_user(documents, chosen),
    )


_Documents = Sequence[tuple[Path, Mapping[str, Any]]]


def context_names(paths: Sequence[Path]) -> list[str]:
    """Return the names of all contexts; none if no file is there.

    Raises:
        ConfigError: A file cannot be read, or is none.
    """
    there = [path for path in paths if is_there(path)]
    documents = _documents(there) if there else []
    contexts = (item for _, document in documents for item in _items(document, "contexts"))
    return list(dict.fromkeys(str(context.get("name")) for context in contexts))


def _documents(paths: Sequence[Path]) -> _Documents:
    """Read files; those without content are passed over, as kubectl does."""
    read = [(path, read_document(path)) for path in paths]
    found = [(path, document) for path, document in read if document is not None]
    if not found:
        raise ConfigError(
            "this is no kubeconfig: it holds no mapping",
            source=str(paths[0]),
            remedy="Give a file as kubectl writes it.",
        )
    return found


def _current_context(documents: _Documents) -> str:
    for path, document in documents:
        name = document.get("current-context")
        if isinstance(name, str) and name:
            return name
        if name not in (None, ""):
            raise _broken(path, "current-context", "this is no text", "Put it in quotes.")
    raise _broken(
        documents[0][0],
        "current-context",
        "no current context is set",
        f"Name one by RunnerConfig(context=…): {_choice(documents, 'contexts')}.",
    )


def _entry(documents: _Documents, kind: str, name: str) -> Entry:
    singular = kind.removesuffix("s")
    for path, document in documents:
        found = [item.get(singular) for item in _items(document, kind) if item.get("name") == name]
        if len(found) > 1:
            raise _broken(path, kind, f"two {kind} are named {redact(name)!r}", "Rename or remove one.")
        if found:
            return Entry(kind, redact(name), found[0] if isinstance(found[0], dict) else {}, path)
    raise _broken(
        documents[0][0],
        kind,
        f"there is no {singular} {redact(name)!r}",
        f"There are: {_choice(documents, kind)}.",
    )


def _user(documents: _Documents, context: Entry) -> Entry:
    if not context.text("user"):
        return Entry("users", "", {}, context.source)
    return _entry(documents, "users", _named(context, "user"))


def _items(document: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    items = document.get(kind)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _choice(documents: _Documents, kind: str) -> str:
    names = [str(item.get("name")) for _, document in documents for item in _items(document, kind)]
    return ", ".join(dict.fromkeys(names)) or "none"


def _named(context: Entry, key: str) -> str:
    name = context.text(key)
    if not name:
        raise context.error(key, f"the context names no {key}", f"Set the context's {key}.")
    return name


def _broken(path: Path, key: str, problem: str, remedy: str) -> ConfigError:
    return ConfigError(problem, source=str(path), key=key, remedy=remedy)
