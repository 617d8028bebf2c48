"""``lightkube`` does what its users need. By its own documentation it does not support exec."""

from __future__ import annotations

import pytest

lightkube = pytest.importorskip("lightkube")
from lightkube.core.exceptions import ApiError  # noqa: E402 - after the check that it is there
from lightkube.models.coordination_v1 import LeaseSpec  # noqa: E402
from lightkube.models.meta_v1 import ObjectMeta  # noqa: E402
from lightkube.resources.coordination_v1 import Lease  # noqa: E402
from lightkube.resources.core_v1 import Pod  # noqa: E402
from lightkube.types import PatchType  # noqa: E402


@pytest.fixture(scope="module")
def client(cluster, place):
    config = lightkube.KubeConfig.from_file(str(cluster.kubeconfig))
    return lightkube.Client(config=config, namespace=place, trust_env=False, field_manager="tests")


def test_a_pods_lifecycle(client, talker) -> None:
    """Create, watch until it runs, follow its log, patch, apply, delete, watch until it is gone."""
    created = client.create(Pod.from_dict(talker))
    client.wait(Pod, "talker", for_conditions=["Ready"])
    followed = client.log("talker", follow=True)
    assert [next(followed) for _ in range(3)] == ["line 1\n", "line 2\n", "line 3\n"]
    followed.close()
    assert list(client.log("talker", tail_lines=1)) == ["line 3\n"]

    patched = client.patch(
        Pod, "talker", {"metadata": {"labels": {"stage": "two"}}}, patch_type=PatchType.MERGE
    )
    assert patched.metadata.labels == {"app": "talker", "stage": "two"}
    assert [each.metadata.name for each in client.list(Pod, labels={"stage": "two"})] == ["talker"]

    client.delete(Pod, "talker", grace_period=2)
    for kind, pod in client.watch(Pod, resource_version=created.metadata.resourceVersion, server_timeout=50):
        if kind == "DELETED":
            assert pod.metadata.uid == created.metadata.uid
            break
    with pytest.raises(ApiError, match='pods "talker" not found'):
        client.get(Pod, "talker")


def test_a_lease_has_one_winner(client) -> None:
    spec = LeaseSpec(holderIdentity="first", leaseDurationSeconds=60)
    held = client.create(Lease(metadata=ObjectMeta(name="owner"), spec=spec))
    held.spec.holderIdentity = "second"
    client.replace(held)
    with pytest.raises(ApiError) as refused:
        client.replace(held)
    assert (refused.value.status.code, refused.value.status.reason) == (409, "Conflict")


def test_server_side_apply(client) -> None:
    lease = Lease(
        metadata=ObjectMeta(name="applied"), spec=LeaseSpec(holderIdentity="me", leaseDurationSeconds=5)
    )
    assert client.apply(lease).spec.holderIdentity == "me"
    lease.spec.holderIdentity = "you"
    assert client.apply(lease).spec.holderIdentity == "you"
