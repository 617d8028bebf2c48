"""Which cluster a configuration means, and what a pod's service account says of its own. Sends nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from podrunner.errors import ConfigError
from podrunner.kube.kubeconfig import is_there, kubeconfig_paths, with_content

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from podrunner.config import RunnerConfig

__all__ = [
    "SERVICE_ACCOUNT",
    "ClusterKind",
    "choose_cluster",
    "kubeconfig_of",
    "missing_in_pod",
    "service_account_namespace",
]

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet puts a pod's token, authority and namespace (Kubernetes' ServiceAccount admission)."""

ClusterKind = Literal["local", "in-cluster", "kubeconfig"]


def choose_cluster(
    config: RunnerConfig, *, environ: Mapping[str, str] = os.environ, service_account: Path = SERVICE_ACCOUNT
) -> ClusterKind:
    """Resolve ``cluster="auto"``: the cluster of the pod that this process runs in, else that of a kubeconfig.

    Never ``local``: a LocalCluster runs pods as processes of this machine, which only the caller can want.

    Raises:
        ConfigError: ``auto``, and neither is there; names both places, and what else can be set.
    """
    if config.cluster != "auto":
        return config.cluster
    if config.kubeconfig is None and _inside_pod(environ, service_account):
        return "in-cluster"
    paths = kubeconfig_paths(config.kubeconfig, environ)
    if config.kubeconfig is not None or any(is_there(path) for path in paths):
        return "kubeconfig"
    raise ConfigError(
        f"no cluster was found: not in a pod ({missing_in_pod(environ, service_account)}), "
        f"and no kubeconfig ({_no_kubeconfig(paths, environ)})",
        key="cluster",
        value="auto",
        remedy="Name a kubeconfig (kubeconfig=…, KUBECONFIG, CLI: --kubeconfig FILE), or set "
        'cluster="local" (CLI: --local) to run pods as processes of this machine.',
    )


def kubeconfig_of(config: RunnerConfig, *, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the kubeconfig that a configuration means; None: it means none, or several that are merged.

    Raises:
        ConfigError: As :func:`choose_cluster`.
    """
    if choose_cluster(config, environ=environ) != "kubeconfig":
        return None
    found = with_content(kubeconfig_paths(config.kubeconfig, environ))
    return found[0] if len(found) == 1 else None


def _no_kubeconfig(paths: Sequence[Path], environ: Mapping[str, str]) -> str:
    missing = ", ".join(map(str, paths))
    return f"KUBECONFIG names {missing}, not there" if environ.get("KUBECONFIG") else f"there is no {missing}"


def _inside_pod(environ: Mapping[str, str], service_account: Path) -> bool:
    return not missing_in_pod(environ, service_account)


def missing_in_pod(environ: Mapping[str, str], service_account: Path) -> str:
    """Say what a process in a pod would have and this one lacks; "" in a pod."""
    if not environ.get("KUBERNETES_SERVICE_HOST"):
        return "KUBERNETES_SERVICE_HOST is not set"
    token = service_account / "token"
    return "" if is_there(token) else f"there is no {token}"


def service_account_namespace(folder: Path) -> str | None:
    """Return the namespace of a service account, as its folder says; None if it does not."""
    path = folder / "namespace"
    return (path.read_text("utf-8").strip() or None) if path.is_file() else None
