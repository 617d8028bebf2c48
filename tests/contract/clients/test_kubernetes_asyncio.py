"""``kubernetes_asyncio`` does what its users need."""

from __future__ import annotations

import pytest

kubernetes_asyncio = pytest.importorskip("kubernetes_asyncio")
from kubernetes_asyncio.client import ApiClient, ApiException, CoordinationV1Api, CoreV1Api  # noqa: E402
from kubernetes_asyncio.config import new_client_from_config  # noqa: E402
from kubernetes_asyncio.stream import WsApiClient  # noqa: E402
from kubernetes_asyncio.watch import Watch  # noqa: E402

pytestmark = pytest.mark.asyncio


async def _watch(core: CoreV1Api, place: str, until, **options):
    async with Watch() as watch:
        async for event in watch.stream(core.list_namespaced_pod, place, timeout_seconds=50, **options):
            if until(event):
                return event
    raise AssertionError("the watch ended before the pod was there")


async def test_a_pods_lifecycle(cluster, place, talker) -> None:
    """Create, watch until it runs, follow its log, exec, patch, delete, watch until it is gone."""
    async with await new_client_from_config(str(cluster.kubeconfig)) as client:
        core = CoreV1Api(client)
        created = await core.create_namespaced_pod(place, talker)
        await _watch(core, place, lambda event: event["object"].status.phase == "Running")

        followed = await core.read_namespaced_pod_log("talker", place, follow=True, _preload_content=False)
        assert await followed.content.readline() == b"line 1\n"
        assert await followed.content.readline() == b"line 2\n"
        followed.close()

        assert await _exec(client, place, ["sh", "-c", "echo out"]) == "out\n"

        patched = await core.patch_namespaced_pod("talker", place, {"metadata": {"labels": {"stage": "two"}}})
        assert patched.metadata.labels == {"app": "talker", "stage": "two"}

        await core.delete_namespaced_pod("talker", place, grace_period_seconds=2)
        version = created.metadata.resource_version
        gone = await _watch(core, place, lambda event: event["type"] == "DELETED", resource_version=version)
        assert gone["object"].metadata.uid == created.metadata.uid


async def _exec(client: ApiClient, place: str, command: list[str]) -> str:
    async with WsApiClient(configuration=client.configuration) as sockets:
        output: str = await CoreV1Api(sockets).connect_get_namespaced_pod_exec(
            "talker", place, command=command, stderr=True, stdin=False, stdout=True, tty=False
        )
        return output


async def test_a_lease_has_one_winner(cluster, place, lease) -> None:
    async with await new_client_from_config(str(cluster.kubeconfig)) as client:
        leases = CoordinationV1Api(client)
        held = await leases.create_namespaced_lease(place, lease)
        held.spec.holder_identity = "second"
        await leases.replace_namespaced_lease("owner", place, held)
        with pytest.raises(ApiException) as refused:
            await leases.replace_namespaced_lease("owner", place, held)
        assert (refused.value.status, refused.value.reason) == (409, "Conflict")
