"""A case: a kubeconfig with its files and plugins, and what kubectl and podrunner make of it."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.support.access.server import Recorder

V1, V1BETA1 = "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"


@dataclass
class Place:
    """A folder in which a case puts its files, and the environment that both programs get."""

    folder: Path
    server: Recorder
    environ: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def cluster(self) -> dict[str, Any]:
        """The settings of a cluster: the server and its authority."""
        return {"server": self.server.https, "certificate-authority-data": coded(self.server.authority)}

    def write(self, content: str | bytes, name: str = "config") -> Path:
        """Write a file and make it the kubeconfig; what was written before comes first."""
        path = self.put(name, content)
        listed = self.environ.get("KUBECONFIG")
        self.environ["KUBECONFIG"] = f"{listed}{os.pathsep}{path}" if listed else str(path)
        return path

    def put(self, name: str, content: str | bytes) -> Path:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def use(self, user: dict[str, Any] | None = None, *, name: str = "config", **cluster: Any) -> None:
        """Write a kubeconfig of one context with this user, and with these settings of the cluster; None: not set."""
        settings = {**self.cluster, **{key.replace("_", "-"): value for key, value in cluster.items()}}
        given = {key: value for key, value in settings.items() if value is not None}
        self.write(yaml.safe_dump(document(given, user)), name)

    def program(self, name: str, body: str, *, mode: int = 0o755) -> Path:
        """Write a shell script."""
        path = self.put(name, f"#!/bin/sh\n{body}\n")
        path.chmod(stat.S_IFREG | mode)
        return path

    def plugin(self, answer: str, **settings: Any) -> None:
        """Write a plugin and a kubeconfig that uses it."""
        self.program("bin/plugin", answer)
        self.use({"exec": exec_of(**settings)})


def coded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def document(cluster: dict[str, Any], user: dict[str, Any] | None, **context: Any) -> dict[str, Any]:
    """A kubeconfig of one context."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "main",
        "contexts": [
            {"name": "main", "context": {"cluster": "c", "user": "u", "namespace": "team", **context}}
        ],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t0"} if user is None else user}],
    }


def exec_of(command: str = "plugin", **settings: Any) -> dict[str, Any]:
    """The settings of an exec plugin; None: not set."""
    given = {"command": command, "apiVersion": V1, "interactiveMode": "Never", **settings}
    return {key: value for key, value in given.items() if value is not None}


def answering(status: dict[str, Any] | None, *, version: str = V1, kind: str = "ExecCredential") -> str:
    """A script that grants credentials."""
    answer = {"apiVersion": version, "kind": kind} | ({} if status is None else {"status": status})
    return f"cat <<'END'\n{json.dumps(answer)}\nEND"


def token(value: str, *, version: str = V1, **status: Any) -> str:
    """A script that grants a token."""
    return answering({"token": value, **status}, version=version)


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes:
        name: What it is, in the words of the table.
        make: Writes it.
        arrives: What both send: namespace, headers, certificate; () if one of them refuses it.
        kubectl: What kubectl says that refuses it; "": it works.
        podrunner: What podrunner says that refuses it; "": it works.
        kubectl_sends: What kubectl sends, if it is something else.
        remark: Why they differ.
        wanted: The ``Authorization`` that the server lets in; None: any.
    """

    name: str
    make: Callable[[Place], None]
    arrives: tuple[str, ...] = ()
    kubectl: str = ""
    podrunner: str = ""
    kubectl_sends: tuple[str, ...] | None = None
    remark: str = ""
    wanted: str | None = None


BEARER = ("namespace team", "Authorization: Bearer t0")
CERTIFICATE = ("namespace team", "client certificate")
ASKS_LOCALHOST = "kubectl then asks `localhost:8080`"


def certificates(place: Place) -> dict[str, str]:
    certificate, key = place.server.client
    return {"client-certificate-data": coded(certificate), "client-key-data": coded(key)}


def write_named(
    place: Place, name: str, cluster: dict[str, Any], user: dict[str, Any], **context: Any
) -> None:
    found = {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": f"{name}-user", **context}}],
        "clusters": [{"name": name, "cluster": {**place.cluster, **cluster}}],
        "users": [{"name": f"{name}-user", "user": user}],
    }
    place.write(yaml.safe_dump(found))
