"""Rights: those of ``examples/rbac.yaml`` are enough for all else here; without them, what is missing is said."""

from __future__ import annotations

import pytest
from podrunner import AsyncPodRunner
from podrunner.errors import ForbiddenError

pytestmark = pytest.mark.anyio


async def test_a_foreign_namespace(config, workload):
    """403: the server's words name the verb, the resource and the namespace."""
    async with AsyncPodRunner(config) as runner:
        with pytest.raises(ForbiddenError, match=r'cannot create resource "pods".*"default"') as caught:
            await runner.launch(workload("true", namespace="default"))
    assert caught.value.status == 403


async def test_a_runner_without_any_right(config):
    """It says so when it is opened, instead of waiting for ever."""
    with pytest.raises(ForbiddenError, match=r'cannot .* resource "leases"'):
        async with AsyncPodRunner(config.with_changes(namespace="default")):
            pytest.fail("opened")


async def test_no_right_to_make_secrets(config, workload, admin, namespace, pods):
    """C4: a pod whose Secret cannot be made is deleted again, and the credential shows nowhere."""
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles/podrunner"
    role = admin.get(path).json()
    role["rules"] = [rule for rule in role["rules"] if "secrets" not in rule["resources"]]
    admin.put(path, json=role).raise_for_status()
    async with AsyncPodRunner(config) as runner:
        with pytest.raises(ForbiddenError, match='cannot create resource "secrets"') as caught:
            await runner.launch(workload("true", credentials={"PASSWORD": "very-hush"}))
    assert "very-hush" not in str(caught.value)
    assert [pod for pod in pods() if "deletionTimestamp" not in pod["metadata"]] == []
