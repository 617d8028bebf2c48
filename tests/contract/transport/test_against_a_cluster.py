"""The typed verbs against a cluster: LocalCluster, or the Kubernetes of ``PODRUNNER_TEST_KUBECONFIG``."""

from __future__ import annotations

import uuid

import anyio
import pytest
from podrunner.config import RunnerConfig
from podrunner.errors import (
    AlreadyExistsError,
    BadRequestError,
    ConflictError,
    ExecError,
    InvalidError,
    NotFoundError,
    UnauthorizedError,
)
from podrunner.kube import connect, explicit_access

pytestmark = [pytest.mark.anyio, pytest.mark.processes]

EVENTS = {"Scheduled", "Created", "Started"}
"""Of scheduler and kubelet; each sends its own when it has the time."""
TALKING = "for i in 1 2 3; do echo line $i; done; exec sleep 600"


@pytest.fixture
def connected(cluster, combination):
    """Open a client to the cluster with the combination's transport."""
    config = RunnerConfig(cluster="kubeconfig", kubeconfig=cluster.kubeconfig, transport=combination[0])
    return lambda: connect(config)


def manifest(cluster, script=TALKING, **meta):
    name = f"pod-{uuid.uuid4().hex[:8]}"
    container = {"name": "base", "image": cluster.image, "command": ["sh", "-c", script]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **meta},
        "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container]},
    }


async def until_running(client, namespace, pod):
    selector = f"metadata.name={pod.metadata.name}"
    async with client.watch_pods(namespace, field_selector=selector, timeout_s=150) as stream:
        async for batch in stream:
            if any(event.pod is not None and event.pod.status.phase == "Running" for event in batch):
                return
    raise AssertionError("the pod did not run in time")


async def until_gone(client, namespace, name):
    """With no grace at all, a real API server may still wait for the node's final status."""
    with anyio.fail_after(50):
        # A cluster has no event of ours to set.
        while (await client.list_pods(namespace, field_selector=f"metadata.name={name}")).items:
            await anyio.sleep(0.1)
    assert not await client.delete_pod(namespace, name)


async def test_a_pods_life(connected, cluster, namespace):
    """Create, list, watch, log, exec, patch, delete: as the rest of podrunner does it."""
    wanted = manifest(cluster, labels={"podrunner.io/test": "life"})
    async with connected() as client:
        pod = await client.create_pod(namespace, wanted)
        name = pod.metadata.name
        with pytest.raises(AlreadyExistsError):
            await client.create_pod(namespace, wanted)
        await until_running(client, namespace, pod)
        page = await client.list_pods(namespace, label_selector="podrunner.io/test=life")
        assert [found.metadata.uid for found in page.items] == [pod.metadata.uid]

        async with client.stream_log(namespace, name, container="base", follow=True, timestamps=False) as log:
            text = b""
            async for batch in log:
                text += batch
                if text.count(b"\n") == 3:
                    break
        assert text == b"line 1\nline 2\nline 3\n"

        done = await client.run_exec(
            namespace, name, ["sh", "-c", "cat; echo oops >&2; exit 7"], stdin=b"x" * 99_999
        )
        assert (done.exit_code, done.stdout, done.stderr) == (7, b"x" * 99_999, b"oops\n")
        with pytest.raises(ExecError, match="nope"):
            await client.run_exec(namespace, name, ["nope"])
        with pytest.raises(BadRequestError, match="other"):
            await client.run_exec(namespace, name, ["date"], container="other")

        patch = {"metadata": {"annotations": {"a": "b"}}}
        patched = await client.patch_pod(namespace, name, patch)
        assert patched.metadata.annotations["a"] == "b"
        with pytest.raises(ConflictError):
            await client.patch_pod(namespace, name, patch, resource_version=pod.metadata.resource_version)

        assert not await client.delete_pod(namespace, name, uid=str(uuid.uuid4()))
        assert await client.delete_pod(namespace, name, uid=pod.metadata.uid, grace_period_s=0)
        await until_gone(client, namespace, name)


async def test_a_terminal_is_a_terminal(connected, cluster, namespace):
    async with connected() as client:
        pod = await client.create_pod(namespace, manifest(cluster))
        await until_running(client, namespace, pod)
        async with client.exec(namespace, pod.metadata.name, ["sh"], stdin=True, tty=True) as session:
            await session.resize(width=90, height=30)
            await session.write(b"until stty size | grep '^30'; do sleep 0.1; done; exit 4\n")
            output = b"".join([piece.data async for piece in session])
        assert (b"30 90" in output, session.exit_code) == (True, 4)
        await client.delete_pod(namespace, pod.metadata.name, grace_period_s=0)


async def test_events_name_the_pod(connected, cluster, namespace):
    async with connected() as client:
        pod = await client.create_pod(namespace, manifest(cluster))
        await until_running(client, namespace, pod)
        with anyio.fail_after(50):
            reasons = set()
            while not reasons >= EVENTS:
                events = await client.list_events(
                    namespace, field_selector=f"involvedObject.uid={pod.metadata.uid}"
                )
                reasons = {event.reason for event in events}
        await client.delete_pod(namespace, pod.metadata.name, grace_period_s=0)


async def test_a_list_comes_in_pages(connected, cluster, namespace):
    async with connected() as client:
        names = {
            (await client.create_pod(namespace, manifest(cluster, labels={"page": "x"}))).metadata.name
            for _ in range(5)
        }
        found, token = [], None
        for _ in range(3):
            page = await client.list_pods(namespace, label_selector="page=x", limit=2, continue_token=token)
            found += [pod.metadata.name for pod in page.items]
            token = page.continue_token
        assert (len(found), set(found), token) == (5, names, None)
        for name in names:
            await client.delete_pod(namespace, name, grace_period_s=0)


async def test_a_lease_is_compared_and_swapped(connected, namespace):
    """A1."""
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {}}
    async with connected() as client:
        first = await client.create_lease(namespace, lease)
        with pytest.raises(AlreadyExistsError):
            await client.create_lease(namespace, lease)
        mine = {**first, "spec": {"holderIdentity": "me", "leaseDurationSeconds": 60}}
        second = await client.replace_lease(namespace, "l", mine)
        with pytest.raises(ConflictError):
            await client.replace_lease(namespace, "l", {**mine, "spec": {"holderIdentity": "them"}})
        assert (await client.read_lease(namespace, "l"))["spec"]["holderIdentity"] == "me"
        with pytest.raises(ConflictError):
            await client.delete_lease(namespace, "l", resource_version=first["metadata"]["resourceVersion"])
        newest = second["metadata"]["resourceVersion"]
        assert await client.delete_lease(namespace, "l", resource_version=newest)
        assert not await client.delete_lease(namespace, "l", resource_version=newest)


async def test_the_servers_refusals_have_their_classes(connected, cluster, namespace):
    """L6."""
    async with connected() as client:
        with pytest.raises(InvalidError, match=r"spec\.containers") as caught:
            await client.create_pod(namespace, {**manifest(cluster), "spec": {"containers": []}})
        assert any("containers" in cause["field"] for cause in caught.value.details["causes"])
        with pytest.raises(BadRequestError):
            await client.create_pod(namespace, b"no json")
        misspelt = manifest(cluster)
        misspelt["spec"]["nodeSelectr"] = {"disk": "ssd"}
        with pytest.raises(BadRequestError, match=r'unknown field "spec.nodeSelectr"'):
            await client.create_pod(namespace, misspelt)
        with pytest.raises(NotFoundError):
            await client.create_pod(f"{namespace}-none", manifest(cluster))
        with pytest.raises(NotFoundError):
            await client.read_pod(namespace, "nobody")


async def test_a_wrong_token_is_unauthorized(cluster, config):
    access = explicit_access(cluster.url, token="wrong", verify=False)
    async with connect(config, access=access) as client:
        with pytest.raises(UnauthorizedError):
            await client.list_pods("default")
