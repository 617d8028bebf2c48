"""A runner with a faulty connection to the cluster, with timeouts so short that a test takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from podrunner import RunnerConfig
from podrunner.testing.faults import FaultProxy, Faults, TcpProxy
from tests.contract.conftest import Cluster
from tests.support.event_loops import asyncio_only

QUICK = {
    "request_timeout_s": 3.0,
    "watch": {
        "backoff_initial_s": 0.05,
        "backoff_max_s": 0.4,
        "inactivity_s": 1.0,
        "server_timeout_s": 5,
        "stale_after_s": 0.5,
    },
    "create_retry": {"attempts": 20, "initial_s": 0.02, "max_s": 0.1},
    "retry": {"attempts": 6, "initial_s": 0.02, "max_s": 0.1},
}


anyio_backend = asyncio_only


@pytest.fixture
def proxy(kubeconfig: Path) -> Iterator[FaultProxy]:
    with FaultProxy.blocking(kubeconfig) as started:
        yield started


@pytest.fixture
def faults(proxy: FaultProxy) -> Faults:
    return proxy.faults


@pytest.fixture
def tcp(kubeconfig: Path) -> Iterator[TcpProxy]:
    with TcpProxy.blocking(kubeconfig) as started:
        yield started


@pytest.fixture
def quick(config: RunnerConfig, proxy: FaultProxy, cluster: Cluster) -> RunnerConfig:
    """Through the HTTP proxy; a real API server that is busy may take longer for an answer than LocalCluster."""
    patient = {} if cluster.is_local else {"request_timeout_s": 15.0}
    return through(config, proxy.kubeconfig, **patient)


def through(config: RunnerConfig, kubeconfig: Path, **settings: object) -> RunnerConfig:
    """The configuration with quick timeouts, by another way."""
    return RunnerConfig(
        **{
            "cluster": "kubeconfig",
            "kubeconfig": kubeconfig,
            "namespace": config.namespace,
            "image": config.image,
            **QUICK,
            **settings,
        }
    )
