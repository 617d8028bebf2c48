"""Which namespace a configuration means that names none: the one that its way to the cluster names.

As kubectl: the context's; in a pod, the service account's; else ``default``. A LocalCluster is not asked, nor is any
cluster under Airflow's settings, whose own default is ``default``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from podrunner.errors import ConfigError
from podrunner.kube.cluster_choice import SERVICE_ACCOUNT, choose_cluster, service_account_namespace
from podrunner.kube.kubeconfig import kubeconfig_paths, read_kubeconfig
from podrunner.redaction import redact, shown_value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from podrunner.config import RunnerConfig

__all__ = ["with_namespace_of_cluster"]


def with_namespace_of_cluster(
    config: RunnerConfig, *, environ: Mapping[str, str] = os.environ, service_account: Path = SERVICE_ACCOUNT
) -> RunnerConfig:
    """Return the configuration with the namespace of its context or service account, unless it sets one itself.

    Args:
        config: The configuration.
        environ: As for :func:`~podrunner.kube.access.open_access`.
        service_account: As for :func:`~podrunner.kube.access.open_access`.

    Raises:
        ConfigError: There is no cluster, the kubeconfig cannot be used, or the namespace is no name of one.
    """
    if "namespace" in config.model_fields_set or config.airflow is not None or config.cluster == "local":
        return config
    if choose_cluster(config, environ=environ, service_account=service_account) == "in-cluster":
        source, key = str(service_account), "namespace"
        found = service_account_namespace(service_account)
    else:
        paths = kubeconfig_paths(config.kubeconfig, environ)
        kubeconfig = read_kubeconfig(paths, context=config.context)
        source, found = kubeconfig.source, kubeconfig.namespace
        key = f"contexts[{redact(kubeconfig.context)}].namespace"
    if found is None:
        return config
    try:
        return config.with_changes(namespace=found)
    except ConfigError as error:
        value, remedy = shown_value(found), error.remedy
        raise ConfigError(error.problem, source=source, key=key, value=value, remedy=remedy) from None
