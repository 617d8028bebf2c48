"""A refusal's error names whose credentials were refused, and which right is missing."""

from __future__ import annotations

import pytest
from podrunner.errors import ForbiddenError, NotFoundError, UnauthorizedError
from podrunner.kube.access import Access
from podrunner.kube.client import KubeClient
from podrunner.kube.hints import hinted, needed_right
from podrunner.kube.kubeconfig import read_kubeconfig
from podrunner.kube.transport import Response

pytestmark = pytest.mark.anyio

REFUSED = 'pods is forbidden: User "u" cannot list resource "pods" in API group "" in the namespace "jobs"'


class Refusing:
    """A transport whose server refuses everything."""

    def __init__(self, status: int, body: bytes) -> None:
        self._answer = Response(status, {"Content-Type": "application/json"}, body)

    async def request(self, request):
        return self._answer


async def test_a_401_names_the_kubeconfig_and_the_entry_of_the_user(write):
    found = read_kubeconfig([write()])
    access = Access(
        url=found.url, user=found.user.name, source=f"kubeconfig {found.source}, context {found.context}"
    )
    said = f"kubeconfig {found.source}, context main, user u"
    client = KubeClient(Refusing(401, b'{"message":"Unauthorized"}'), credentials_of=access.credentials_of)
    with pytest.raises(UnauthorizedError) as caught:
        await client.list_pods("jobs")
    assert str(caught.value).endswith(f"Unauthorized (credentials of {said})")
    assert caught.value.credentials_of == said


async def test_a_403_names_the_right_and_where_all_of_them_are_listed():
    client = KubeClient(
        Refusing(403, b'{"reason":"Forbidden","message":"%s"}' % REFUSED.replace('"', '\\"').encode())
    )
    with pytest.raises(ForbiddenError) as caught:
        await client.list_pods("jobs")
    assert REFUSED in str(caught.value)
    (note,) = caught.value.__notes__
    assert note.startswith("Needed: list pods in namespace jobs; ")
    assert "examples/rbac.yaml" in note


def test_a_403_of_a_gateway_names_the_right_that_was_asked_for():
    error = hinted(
        ForbiddenError(status=403, method="DELETE"), target="/api/v1/namespaces/a/pods/b", credentials_of=""
    )
    assert error.__notes__[0].startswith("Needed: delete pods in namespace a; ")


@pytest.mark.parametrize(
    "error",
    [
        ForbiddenError(status=403, reason="Forbidden", server_message="denied by the webhook w"),
        NotFoundError(status=404),
    ],
)
def test_other_refusals_stay_as_they_are(error):
    before = str(error)
    assert str(hinted(error, target="/api/v1/pods", credentials_of="k")) == before
    assert not hasattr(error, "__notes__")


@pytest.mark.parametrize(
    ("method", "target", "right"),
    [
        ("GET", "/api/v1/pods?limit=5", "list pods in the whole cluster"),
        ("GET", "/api/v1/namespaces/a/pods?watch=true", "watch pods in namespace a"),
        ("GET", "/api/v1/namespaces/a/pods/b", "get pods in namespace a"),
        ("GET", "/api/v1/namespaces/a/pods/b/log?follow=true", "get pods/log in namespace a"),
        ("POST", "/api/v1/namespaces/a/pods?dryRun=All", "create pods in namespace a"),
        ("PATCH", "/api/v1/namespaces/a/pods/b", "patch pods in namespace a"),
        (
            "PUT",
            "/apis/coordination.k8s.io/v1/namespaces/a/leases/l",
            "update leases of coordination.k8s.io in namespace a",
        ),
        ("POST", "/api/v1/namespaces", "create namespaces in the whole cluster"),
        ("DELETE", "/api/v1/namespaces/a", "delete namespaces in the whole cluster"),
    ],
)
def test_the_right_of_a_request(method, target, right):
    assert needed_right(method, target) == right
