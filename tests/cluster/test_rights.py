"""Rights: all other tests run with those of ``examples/rbac.yaml``; without a right, the error names it."""

from __future__ import annotations

import time

import pytest
from podrunner import AsyncPodRunner
from podrunner.errors import ForbiddenError

pytestmark = pytest.mark.anyio


async def test_a_foreign_namespace(config, workload):
    """403: the server's message names the verb, the resource and the namespace."""
    async with AsyncPodRunner(config.with_changes(namespaces=["default"])) as runner:
        with pytest.raises(ForbiddenError, match=r'cannot create resource "pods".*"default"') as caught:
            await runner.launch(workload("true", namespace="default"))
    assert caught.value.status == 403


async def test_a_runner_without_any_right(config):
    """Opening it raises an error, instead of waiting for ever."""
    with pytest.raises(ForbiddenError, match=r'cannot .* resource "leases"'):
        async with AsyncPodRunner(config.with_changes(namespace="default")):
            pytest.fail("opened")


def take_away(admin, namespace, verb, resource) -> None:
    """Remove a verb from the role, and wait until the API server has read it."""
    role_path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles/podrunner"
    role = admin.get(role_path).json()
    for rule in role["rules"]:
        if resource in rule["resources"]:
            rule["verbs"].remove(verb)
    admin.put(role_path, json=role).raise_for_status()
    question = {
        "user": f"system:serviceaccount:{namespace}:podrunner",
        "resourceAttributes": {"namespace": namespace, "verb": verb, "resource": resource},
    }
    deadline = time.monotonic() + 60
    reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    while admin.post(reviews, json={"spec": question}).raise_for_status().json()["status"]["allowed"]:
        assert time.monotonic() < deadline, "the right stays"
        time.sleep(0.05)


@pytest.mark.parametrize("verb", ["list", "watch"])
async def test_no_right_to_list_or_to_watch(config, admin, namespace, verb):
    """``wait_synced`` raises an error that names the missing right."""
    take_away(admin, namespace, verb, "pods")
    lists = {"streaming_lists": "off" if verb == "list" else "on"}
    async with AsyncPodRunner(config.with_changes(watch=lists)) as runner:
        with pytest.raises(ForbiddenError, match=f'cannot {verb} resource "pods"'):
            await runner.wait_synced()


async def test_no_right_to_create_secrets(config, workload, admin, namespace, pods):
    """C4: a pod whose Secret cannot be created is deleted, and no message has the credential."""
    take_away(admin, namespace, "create", "secrets")
    async with AsyncPodRunner(config) as runner:
        with pytest.raises(ForbiddenError, match='cannot create resource "secrets"') as caught:
            await runner.launch(workload("true", credentials={"PASSWORD": "very-hush"}))
    assert "very-hush" not in str(caught.value)
    assert [pod for pod in pods() if "deletionTimestamp" not in pod["metadata"]] == []
