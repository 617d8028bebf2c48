"""What an exec plugin is called with, and what it answers: the API ``client.authentication.k8s.io``. Pure.

The rules are client-go's (``plugin/pkg/client/auth/exec``, ``tools/clientcmd/validation.go``). Running the program does
not belong here (``exec_plugin``).
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from podrunner.kube.impersonation import is_header_value
from podrunner.kube.kubeconfig_entry import Entry, parse_document
from podrunner.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from podrunner.errors import ConfigError
    from podrunner.kube.kubeconfig import Kubeconfig

__all__ = ["ExecCredential", "ExecPlugin", "exec_info", "exec_plugin_of", "read_credential"]

_API: Final = "client.authentication.k8s.io"
_VERSIONS: Final = (f"{_API}/v1", f"{_API}/v1beta1")
_MODES: Final = ("Never", "IfAvailable", "Always")
_CLUSTER_EXTENSION: Final = f"{_API}/exec"
"""The name of the cluster's extension that is handed to its plugin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecPlugin:
    """A user's plugin, as the kubeconfig describes it.

    Attributes:
        command: Its path, or a name to be found on ``PATH``.
        args: Its arguments.
        env: Variables that are added to the environment.
        api_version: The version of question and answer.
        interactive_mode: ``Never``, ``IfAvailable`` or ``Always``: whether it reads standard input.
        install_hint: How to install it, or None.
        cluster: What podrunner passes to it about the cluster; None: nothing (``provideClusterInfo``).
        user: Its entry, which errors name.
    """

    command: str
    args: tuple[str, ...] = field(repr=False)
    env: Mapping[str, str] = field(repr=False)
    api_version: str
    interactive_mode: str
    install_hint: str | None
    cluster: Mapping[str, Any] | None = field(repr=False)
    user: Entry

    def error(self, problem: str, remedy: str | None = None) -> ConfigError:
        """Return an error that names the plugin, the kubeconfig and the user's entry; raise it."""
        usual = "`kubectl auth whoami` with this kubeconfig runs it too."
        return self.user.error("exec", f"the credential plugin {self.command} {problem}", remedy or usual)


@dataclass(frozen=True, slots=True)
class ExecCredential:
    """What a plugin granted: a token, a client certificate, or both.

    Attributes:
        token: The bearer token, or None.
        certificate: The client's certificates, PEM; None: none.
        key: The certificate's key, PEM; None: none.
        expires_at_s: When they end, in seconds since the epoch; None: not said.
    """

    token: str | None = field(repr=False)
    certificate: bytes | None = field(repr=False)
    key: bytes | None = field(repr=False)
    expires_at_s: float | None


def exec_plugin_of(kubeconfig: Kubeconfig) -> ExecPlugin:
    """Return the plugin of the context's user.

    Raises:
        ConfigError: Its settings are incomplete or malformed, as for kubectl.
    """
    user = kubeconfig.user
    fields = user.fields["exec"]
    if not isinstance(fields, dict):
        raise user.error("exec", "this is no mapping", "Give command, apiVersion and interactiveMode.")
    entry = Entry(user.kind, user.name, {f"exec.{key}": value for key, value in fields.items()}, user.source)
    version = _one_of(entry, "exec.apiVersion", _VERSIONS)
    mode = "IfAvailable" if not entry.text("exec.interactiveMode") and version.endswith("beta1") else None
    return ExecPlugin(
        command=_command(entry),
        args=tuple(entry.texts("exec.args")),
        env=_variables(entry),
        api_version=version,
        interactive_mode=mode or _one_of(entry, "exec.interactiveMode", _MODES),
        install_hint=entry.text("exec.installHint"),
        cluster=_cluster_info(kubeconfig) if entry.flag("exec.provideClusterInfo") else None,
        user=user,
    )


def _one_of(entry: Entry, key: str, allowed: tuple[str, ...]) -> str:
    value = entry.text(key)
    if value in allowed:
        return value
    problem = "this is missing" if value is None else f"{redact(value)!r} is not supported"
    raise entry.error(key, problem, f"Give {' or '.join(allowed)}.")


def _command(entry: Entry) -> str:
    """Return the command: one with a separator is a path from the kubeconfig's folder on."""
    command = entry.text("exec.command")
    if command is None:
        raise entry.error("exec.command", "this is missing", "Name the program.")
    return str(Path(entry.source.parent, command).absolute()) if "/" in command else command


def _variables(entry: Entry) -> dict[str, str]:
    items = entry.fields.get("exec.env") or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise entry.error("exec.env", "this is no list of names and values", "Write `- {name: A, value: b}`.")
    prefixed = [{f"exec.env.{key}": value for key, value in item.items()} for item in items]
    variables = [Entry(entry.kind, entry.name, item, entry.source) for item in prefixed]
    names = [variable.text("exec.env.name") or "" for variable in variables]
    if not all(names):
        raise entry.error("exec.env", "a variable has no name", "Name it, or remove it.")
    if any("=" in name for name in names):
        raise entry.error("exec.env", "the name of a variable has a '='", "Write the value as `value`.")
    values = [variable.text("exec.env.value") or "" for variable in variables]
    return dict(zip(names, values, strict=True))


def _cluster_info(kubeconfig: Kubeconfig) -> dict[str, Any]:
    """Describe the cluster as client-go does (``rest.ConfigToExecCluster``): without what is not set."""
    cluster, ca = kubeconfig.cluster, kubeconfig.tls.ca
    content = ca.read_bytes() if isinstance(ca, Path) else ca
    info = {
        "server": kubeconfig.url,
        "tls-server-name": cluster.text("tls-server-name"),
        "insecure-skip-tls-verify": cluster.flag("insecure-skip-tls-verify"),
        "certificate-authority-data": base64.b64encode(content).decode() if content else None,
        "proxy-url": kubeconfig.proxy,
        "disable-compression": cluster.flag("disable-compression"),
    }
    given = {key: value for key, value in info.items() if value}
    return {**given, "config": _config_for_plugin(cluster)}


def _config_for_plugin(cluster: Entry) -> Any:
    extensions = cluster.fields.get("extensions")
    for item in extensions if isinstance(extensions, list) else []:
        if isinstance(item, dict) and item.get("name") == _CLUSTER_EXTENSION:
            return item.get("extension")
    return None


def exec_info(plugin: ExecPlugin, *, interactive: bool) -> str:
    """Return the value of ``KUBERNETES_EXEC_INFO``.

    Args:
        plugin: The plugin.
        interactive: Whether its standard input is a terminal that it may read.
    """
    spec: dict[str, Any] = {"interactive": interactive}
    if plugin.cluster is not None:
        spec["cluster"] = plugin.cluster
    question = {"kind": "ExecCredential", "apiVersion": plugin.api_version, "spec": spec}
    return json.dumps(question, separators=(",", ":"))


def read_credential(plugin: ExecPlugin, output: bytes) -> ExecCredential:
    """Read what a plugin wrote to its standard output.

    Raises:
        ConfigError: It is no answer to what was asked; never quotes it.
    """
    status = _status(plugin, output)
    token, certificate, key = (
        _granted(plugin, status, name) for name in ("token", "clientCertificateData", "clientKeyData")
    )
    if not (token or certificate or key):
        raise plugin.error("returned neither a token nor a client certificate")
    if bool(certificate) != bool(key):
        raise plugin.error("returned a client certificate or a key, and not both")
    return ExecCredential(
        _sendable(plugin, token) if token else None,
        certificate.encode() if certificate else None,
        key.encode() if key else None,
        _expiry(plugin, status.get("expirationTimestamp")),
    )


def _status(plugin: ExecPlugin, output: bytes) -> Mapping[str, Any]:
    try:
        answer = parse_document(output)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise plugin.error("wrote no ExecCredential to its standard output")
    if answer.get("kind") != "ExecCredential":
        raise plugin.error("returned an object whose kind is not ExecCredential")
    if answer.get("apiVersion") != plugin.api_version:
        found = redact(str(answer.get("apiVersion")))
        raise plugin.error(
            f"was asked for {plugin.api_version} and returned {found}",
            "Set exec.apiVersion to what the plugin supports.",
        )
    status = answer.get("status")
    if not isinstance(status, dict):
        raise plugin.error("returned no status")
    return status


def _granted(plugin: ExecPlugin, status: Mapping[str, Any], key: str) -> str | None:
    value = status.get(key)
    if value is not None and not isinstance(value, str):
        raise plugin.error(f"returned a {key} that is no text")
    return value or None


def _sendable(plugin: ExecPlugin, token: str) -> str:
    trimmed = token.strip()
    if not trimmed or not is_header_value(trimmed):
        raise plugin.error("returned a token with a line break or another control character")
    return trimmed


def _expiry(plugin: ExecPlugin, timestamp: object) -> float | None:
    """Return when a grant ends; None also for Go's zero time, which plugins write for "never"."""
    if timestamp is None or (isinstance(timestamp, str) and timestamp.startswith("0001-01-01T00:00:00")):
        return None
    try:
        ends = dt.datetime.fromisoformat(timestamp) if isinstance(timestamp, str) else None
    except ValueError:
        ends = None
    if ends is None or ends.tzinfo is None:
        raise plugin.error("returned an expirationTimestamp that is no time as 2030-01-02T03:04:05Z")
    return ends.timestamp()
