"""The pytest plugin: fixtures for the tests of a scheduler that embeds podrunner.

pytest loads it in every project where podrunner is installed, so nothing is imported here before a fixture is used:
``podrunner_cluster``, ``podrunner_config``, ``podrunner_script``, ``podrunner_faults``, ``podrunner_ledger``. They are
plain functions, for blocking tests as for those of pytest-asyncio and anyio. Each worker of pytest-xdist has a cluster
of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from podrunner import Lifecycle, LocalCluster, RunnerConfig
    from podrunner.testing.faults import FaultProxy
    from podrunner.testing.ledger import Ledger

__all__ = ["ScriptLife"]

_QUICK: Final[Mapping[str, Any]] = {
    "image": "any",
    "pending": {"image_grace_s": 0, "config_grace_s": 1, "unschedulable_grace_s": 1},
    "retry": {"initial_s": 0.05, "max_s": 0.4},
    "create_retry": {"initial_s": 0.05, "max_s": 0.4},
    "watch": {"backoff_initial_s": 0.05, "backoff_max_s": 0.4, "inactivity_s": 2},
    "run_retry": {"initial_s": 0.05, "max_s": 0.1},
    "request_timeout_s": 5,
}
"""Settings that end in moments what takes minutes in production. All else is as by default."""


class ScriptLife(Protocol):
    """What the fixture ``podrunner_script`` is."""

    def __call__(
        self,
        life: str | Lifecycle,
        key: Mapping[str, object] | None = None,
        *,
        attempt: int | None = None,
        labels: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> Lifecycle:
        """Lets pods that are created from now on in this test live a scripted life; the latest script counts.

        Args:
            life: ``oom``, ``image``, ``node-lost``, ``node-shutdown``, ``evicted``, ``preempted``, ``unschedulable``,
                ``config``, ``succeeded``, ``failed``, ``exit N``, ``endless``; or a life.
            key: Parts of the key of their workload; None: whatever it is.
            attempt: Which attempt they are; None: whichever.
            labels: Labels that they have; None: whichever.
            changes: Fields of ``Lifecycle`` that are otherwise, such as ``running_s=1`` or ``log=["hello"]``.

        Returns:
            The life.

        Raises:
            UsageError: There is no such life, or no such field.
        """
        ...


class _Shared(NamedTuple):
    """The cluster of a worker, and what is in it from the beginning."""

    cluster: LocalCluster
    baseline: frozenset[str]


@pytest.fixture(scope="session")
def _podrunner_shared() -> Iterator[_Shared]:
    from podrunner.local import LocalCluster
    from podrunner.testing.clean import objects_in

    with LocalCluster.blocking(tls=False) as cluster:
        yield _Shared(cluster, objects_in(cluster))


@pytest.fixture
def podrunner_cluster(_podrunner_shared: _Shared) -> Iterator[LocalCluster]:
    """A LocalCluster, shared by the tests of a process: each finds it empty."""
    from podrunner.testing.clean import clean

    yield _podrunner_shared.cluster
    clean(*_podrunner_shared)


@pytest.fixture
def podrunner_config(request: pytest.FixtureRequest, podrunner_cluster: LocalCluster) -> RunnerConfig:
    """A configuration for that cluster, with short waits; through the faults, if the test uses ``podrunner_faults``."""
    import uuid

    from podrunner.config import RunnerConfig

    kubeconfig = podrunner_cluster.kubeconfig
    if "podrunner_faults" in request.fixturenames:
        proxy: FaultProxy = request.getfixturevalue("podrunner_faults")
        kubeconfig = proxy.kubeconfig
    return RunnerConfig(cluster="kubeconfig", kubeconfig=kubeconfig, scope=uuid.uuid4().hex, **_QUICK)


@pytest.fixture
def podrunner_faults(podrunner_cluster: LocalCluster) -> Iterator[FaultProxy]:
    """A proxy between ``podrunner_config`` and the cluster: ``podrunner_faults.on("POST", "pods").lose_reply()``."""
    from podrunner.testing.faults import FaultProxy

    with FaultProxy.blocking(podrunner_cluster) as proxy:
        yield proxy


@pytest.fixture
def podrunner_script(podrunner_cluster: LocalCluster) -> ScriptLife:
    """Scripts how pods end: ``podrunner_script("oom", {"task": "load"}, attempt=1)``."""
    from podrunner.testing.lives import life_named, matches

    def script(
        life: str | Lifecycle,
        key: Mapping[str, object] | None = None,
        *,
        attempt: int | None = None,
        labels: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> Lifecycle:
        is_its, lived = matches(key, attempt=attempt, labels=labels), life_named(life, changes)
        podrunner_cluster.script(is_its, lived)
        return lived

    return script


@pytest.fixture
def podrunner_ledger(
    request: pytest.FixtureRequest, _podrunner_shared: _Shared, podrunner_cluster: LocalCluster
) -> Iterator[Ledger]:
    """Checks the promises at the end of a test: ``podrunner_ledger.assert_promises_kept(events)``."""
    from podrunner.testing.ledger import Ledger

    if "podrunner_faults" in request.fixturenames:
        request.getfixturevalue("podrunner_faults")  # its sockets are not the scheduler's
    ledger = Ledger(podrunner_cluster, _podrunner_shared.baseline)
    yield ledger
    ledger.close()
