"""The last look for pods and Leases of a run on a cluster: none is left, or the user is shown how to find them."""

from __future__ import annotations

import pytest
from podrunner.bench.measure import _leases_left, _sweep
from podrunner.errors import ForbiddenError, TransportError
from podrunner.kube.wire import ObjectPage

pytestmark = pytest.mark.anyio


class _Unreachable:
    """A client whose server has gone."""

    async def list_pods(self, namespace: str, **_: object) -> object:
        raise TransportError(f"cannot ask for the pods of {namespace}")


async def test_a_cluster_that_cannot_be_asked_may_hold_pods(caplog):
    with pytest.raises(TransportError):
        await _sweep(_Unreachable(), "jobs", "1a2b")
    assert caplog.messages == [
        "pods may be left in namespace jobs: kubectl delete pods -n jobs -l podrunner-bench/run=1a2b"
    ]


class _WithLeases:
    """A client of a cluster with Leases, or of one that refuses to list them."""

    def __init__(self, leases: int | None) -> None:
        self._leases = leases
        self.asked: list[tuple[str, str]] = []

    async def list_leases(self, namespace: str, *, label_selector: str = "", **_: object) -> ObjectPage:
        self.asked.append((namespace, label_selector))
        if self._leases is None:
            raise ForbiddenError(status=403, server_message="leases is forbidden")
        return ObjectPage(items=[{}] * self._leases)


@pytest.mark.parametrize(("there", "left"), [(0, {"leases": 0}), (1, {"leases": 1}), (None, {})])
async def test_leases_of_the_run_are_counted_where_they_may_be_listed(there, left):
    client = _WithLeases(there)
    assert await _leases_left(client, "jobs", scope="bench-1a2b") == left
    assert client.asked == [("jobs", "app.kubernetes.io/managed-by=podrunner,podrunner.io/scope=bench-1a2b")]
