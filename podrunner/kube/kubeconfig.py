"""Read kubeconfig files: merged like kubectl does it, one context picked, its static settings taken.

A kubeconfig whose user is static (a token, a client certificate, a password, or anonymous) is read here, without
kubernetes-asyncio, whose import costs 0.36 s and 70 MiB. Users of plugins and identity providers are
kubernetes-asyncio's (``plugins``); a test holds both readings against each other.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from podrunner.errors import ConfigError
from podrunner.kube.tls import Pem, TlsSettings
from podrunner.redaction import redact, secrets_in, shown_value

__all__ = ["Kubeconfig", "is_there", "kubeconfig_paths", "read_kubeconfig"]

_STATIC_USER_KEYS = frozenset(
    {
        "token",
        "tokenFile",
        "client-certificate",
        "client-certificate-data",
        "client-key",
        "client-key-data",
        "username",
        "password",
        "as",
        "as-uid",
        "as-groups",
        "as-user-extra",
        "extensions",
    }
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A named entry, and the folder that its relative paths start from."""

    fields: Mapping[str, Any] = field(repr=False)
    source: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubeconfig:
    """One context of the merged files."""

    paths: tuple[Path, ...]
    context: str
    namespace: str | None
    cluster: _Entry
    user: _Entry

    @property
    def source(self) -> str:
        """The files' names, for messages."""
        return os.pathsep.join(map(str, self.paths))

    @property
    def is_static(self) -> bool:
        """Whether everything that identifies the user stands in the file, or in a file that it names."""
        return set(self.user.fields) <= _STATIC_USER_KEYS

    @property
    def secrets(self) -> frozenset[str]:
        """The user's credentials, as far as they stand in the file."""
        return frozenset(secrets_in(self.user.fields))

    @property
    def url(self) -> str:
        """The API server's URL."""
        server = self.cluster.fields.get("server")
        if not isinstance(server, str) or not server.startswith(("https://", "http://")):
            raise _broken(
                self.cluster.source,
                "server",
                f"no http(s) URL of an API server: {shown_value(server)}",
                "Set the cluster's server.",
            )
        return server.rstrip("/")

    @property
    def proxy(self) -> str | None:
        """The cluster's ``proxy-url``."""
        return _text(self.cluster, "proxy-url")

    @property
    def tls(self) -> TlsSettings:
        """How to trust the server, and how to be trusted."""
        return TlsSettings(
            verify=not self.cluster.fields.get("insecure-skip-tls-verify"),
            ca=_pem(self.cluster, "certificate-authority"),
            certificate=_pem(self.user, "client-certificate"),
            key=_pem(self.user, "client-key"),
            server_name=_text(self.cluster, "tls-server-name"),
        )

    @property
    def authorization(self) -> str | None:
        """The value of the ``Authorization`` header of a user with a token or a password."""
        if token := _text(self.user, "token"):
            return f"Bearer {token}"
        name, password = _text(self.user, "username"), _text(self.user, "password")
        if name is None or password is None:
            return None
        return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"

    @property
    def token_file(self) -> Path | None:
        """The file of a user's token; as in client-go, it is used rather than a ``token`` beside it."""
        name = _text(self.user, "tokenFile")
        return self.user.source.parent / name if name else None

    @property
    def impersonation(self) -> dict[str, str]:
        """Headers of the user to be impersonated.

        Raises:
            ConfigError: Groups or extras are given: each would need a header of the same name.
        """
        if any(self.user.fields.get(key) for key in ("as-groups", "as-user-extra")):
            raise _broken(
                self.user.source,
                "as-groups",
                "impersonated groups and extras are not supported",
                "Impersonate by `as` alone, or give credentials of the user itself.",
            )
        headers = {"Impersonate-User": _text(self.user, "as"), "Impersonate-Uid": _text(self.user, "as-uid")}
        return {name: value for name, value in headers.items() if value}


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
        namespace=_text(chosen, "namespace"),
        cluster=_entry(documents, "clusters", _named(chosen, "cluster")),
        user=_user(documents, chosen),
    )


_Documents = Sequence[tuple[Path, Mapping[str, Any]]]


def _documents(paths: Sequence[Path]) -> _Documents:
    """Read files; those without content are passed over, as kubectl does."""
    read = [(path, _document(path)) for path in paths]
    found = [(path, document) for path, document in read if document is not None]
    if not found:
        raise _no_mapping(paths[0])
    return found


def _document(path: Path) -> Mapping[str, Any] | None:
    import yaml

    try:
        document = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"the kubeconfig cannot be read: {error.strerror}", source=str(path)) from error
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(
            error, "problem_mark", None
        )  # never the error's own text: it quotes the file, secrets and all
        line = f" (line {mark.line + 1})" if mark is not None else ""
        raise ConfigError(f"the kubeconfig is not YAML{line}", source=str(path)) from None
    if document is not None and not isinstance(document, dict):
        raise _no_mapping(path)
    return document


def _no_mapping(path: Path) -> ConfigError:
    return ConfigError(
        "this is no kubeconfig: it holds no mapping",
        source=str(path),
        remedy="Give a file as kubectl writes it.",
    )


def _current_context(documents: _Documents) -> str:
    for _, document in documents:
        name = document.get("current-context")
        if isinstance(name, str) and name:
            return name
    raise _broken(
        documents[0][0],
        "current-context",
        "no current context is set",
        f"Name one by RunnerConfig(context=…): {_choice(documents, 'contexts')}.",
    )


def _entry(documents: _Documents, kind: str, name: str) -> _Entry:
    singular = kind.removesuffix("s")
    for path, document in documents:
        for item in _items(document, kind):
            if item.get("name") == name:
                fields = item.get(singular)
                return _Entry(fields if isinstance(fields, dict) else {}, path)
    raise _broken(
        documents[0][0],
        kind,
        f"there is no {singular} {redact(name)!r}",
        f"There are: {_choice(documents, kind)}.",
    )


def _user(documents: _Documents, context: _Entry) -> _Entry:
    if not _text(context, "user"):
        return _Entry({}, context.source)
    return _entry(documents, "users", _named(context, "user"))


def _items(document: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    items = document.get(kind)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _choice(documents: _Documents, kind: str) -> str:
    names = [str(item.get("name")) for _, document in documents for item in _items(document, kind)]
    return ", ".join(dict.fromkeys(names)) or "none"


def _named(context: _Entry, key: str) -> str:
    name = _text(context, key)
    if not name:
        raise _broken(context.source, key, f"the context names no {key}", f"Set the context's {key}.")
    return name


def _text(entry: _Entry, key: str) -> str | None:
    value = entry.fields.get(key)
    return str(value) if value not in (None, "") else None


def _pem(entry: _Entry, key: str) -> Pem | None:
    """Take inline data before a file's name, as client-go does."""
    if data := _text(entry, f"{key}-data"):
        try:
            return base64.b64decode(data, validate=False)
        except (binascii.Error, ValueError):
            raise _broken(
                entry.source, f"{key}-data", "this is not base64", "Give PEM, encoded in base64."
            ) from None
    name = _text(entry, key)
    if name is None:
        return None
    path = entry.source.parent / Path(name).expanduser()
    if not os.path.isfile(path):  # noqa: PTH113  # Path.is_file raises where a folder may not be entered
        problem = f"there is no file {path}, or it may not be read"
        raise _broken(entry.source, key, problem, "Correct the path, or give the data inline.")
    return path


def _broken(path: Path, key: str, problem: str, remedy: str) -> ConfigError:
    return ConfigError(problem, source=str(path), key=key, remedy=remedy)
