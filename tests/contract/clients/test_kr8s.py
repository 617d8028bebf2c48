"""``kr8s`` does what its users need."""

from __future__ import annotations

import time
from itertools import islice

import pytest

kr8s = pytest.importorskip("kr8s")
from kr8s.objects import Pod, new_class  # noqa: E402 - after the check that it is there


@pytest.fixture(scope="module")
def api(cluster, place):
    return kr8s.api(kubeconfig=str(cluster.kubeconfig), namespace=place)


def test_a_pods_lifecycle(api, place, talker) -> None:
    """Create, wait until it is ready, follow its log, exec, patch, delete, wait until it is gone."""
    pod = Pod(talker | {"metadata": {**talker["metadata"], "namespace": place}}, api=api)
    pod.create()
    pod.wait("condition=Ready", timeout=50)
    assert list(islice(pod.logs(follow=True, timeout=50), 3)) == ["line 1", "line 2", "line 3"]

    done = pod.exec(["sh", "-c", "echo out; echo err >&2; exit 3"], check=False)
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 3)

    pod.patch({"metadata": {"labels": {"stage": "two"}}})
    assert [each.name for each in api.get("pods", namespace=place, label_selector={"stage": "two"})] == [
        "talker"
    ]

    pod.delete(grace_period=2)
    deadline = time.monotonic() + 50
    while pod.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_watching_sees_each_change(api, place, talker) -> None:
    pod = Pod(talker | {"metadata": {"name": "seen", "namespace": place}}, api=api)
    pod.create()
    changes = []
    for kind, changed in api.watch("pods", namespace=place):
        if changed.name == "seen":
            changes.append(kind)
            if (
                changed.status.get("phase") == "Running"
                and "MODIFIED" in changes
                and not changed.metadata.get("deletionTimestamp")
            ):
                pod.delete(grace_period=0)
        if kind == "DELETED":
            break
    assert changes[0] == "ADDED"
    assert changes[-1] == "DELETED"


def test_a_lease_has_one_winner(api, place, lease) -> None:
    """A patch that names an old version is refused."""
    kind = new_class("Lease", version="coordination.k8s.io/v1", namespaced=True)
    held = kind(lease | {"metadata": {"name": "owner", "namespace": place}}, api=api)
    held.create()
    version = held.metadata.resourceVersion
    held.patch({"metadata": {"resourceVersion": version}, "spec": {"holderIdentity": "second"}})
    with pytest.raises(kr8s.ServerError) as refused:
        held.patch({"metadata": {"resourceVersion": version}, "spec": {"holderIdentity": "third"}})
    assert refused.value.response.status_code == 409


def test_a_missing_pod_is_an_error(api, place) -> None:
    with pytest.raises(kr8s.NotFoundError):
        Pod.get("nope", namespace=place, api=api, timeout=1)
