"""The official client (``kubernetes``) does what its users need."""

from __future__ import annotations

import pytest

kubernetes = pytest.importorskip("kubernetes")
from kubernetes.stream import stream  # noqa: E402 - after the check that it is there


@pytest.fixture(scope="module")
def api(cluster):
    with kubernetes.config.new_client_from_config(str(cluster.kubeconfig)) as client:
        yield client


def test_a_pods_lifecycle(api, place, talker) -> None:
    """Create, watch until it runs, read and follow its log, exec, patch, delete, watch until it is gone."""
    core = kubernetes.client.CoreV1Api(api)
    created = core.create_namespaced_pod(place, talker)
    phases = []
    for event in kubernetes.watch.Watch().stream(core.list_namespaced_pod, place, timeout_seconds=50):
        phases.append(event["object"].status.phase)
        if phases[-1] == "Running":
            break
    assert phases[-1] == "Running"

    followed = core.read_namespaced_pod_log("talker", place, follow=True, _preload_content=False)
    lines = [next(iter(followed)) for _ in range(1)]
    assert lines[0].startswith(b"line 1\n")
    followed.close()

    command = ["sh", "-c", "echo out; echo err >&2; exit 3"]
    session = stream(
        core.connect_get_namespaced_pod_exec, "talker", place, command=command, stdout=True, stderr=True,
        _preload_content=False,
    )  # fmt: skip
    session.run_forever(timeout=50)
    assert (session.read_stdout(), session.read_stderr(), session.returncode) == ("out\n", "err\n", 3)
    assert core.read_namespaced_pod_log("talker", place).splitlines()[0] == "line 1"

    patched = core.patch_namespaced_pod("talker", place, {"metadata": {"labels": {"stage": "two"}}})
    assert patched.metadata.labels == {"app": "talker", "stage": "two"}

    core.delete_namespaced_pod("talker", place, grace_period_seconds=2)
    kinds = []
    watch = kubernetes.watch.Watch().stream(
        core.list_namespaced_pod,
        place,
        resource_version=created.metadata.resource_version,
        timeout_seconds=50,
    )
    for event in watch:
        kinds.append(event["type"])
        if kinds[-1] == "DELETED":
            break
    assert kinds[-1] == "DELETED"


def test_standard_input_is_sent(api, place, talker) -> None:
    core = kubernetes.client.CoreV1Api(api)
    core.create_namespaced_pod(place, talker | {"metadata": {"name": "reader"}})
    for event in kubernetes.watch.Watch().stream(core.list_namespaced_pod, place, timeout_seconds=50):
        if event["object"].metadata.name == "reader" and event["object"].status.phase == "Running":
            break
    session = stream(
        core.connect_get_namespaced_pod_exec, "reader", place, command=["sh", "-c", "read a; echo got $a"],
        stdin=True, stdout=True, _preload_content=False,
    )  # fmt: skip
    session.write_stdin("hello\n")
    session.run_forever(timeout=50)
    assert (session.read_stdout(), session.returncode) == ("got hello\n", 0)
    core.delete_namespaced_pod("reader", place, grace_period_seconds=0)


def test_a_lease_has_one_winner(api, place, lease) -> None:
    """The second writer of the same version gets a conflict."""
    leases = kubernetes.client.CoordinationV1Api(api)
    held = leases.create_namespaced_lease(place, lease)
    held.spec.holder_identity = "second"
    assert leases.replace_namespaced_lease("owner", place, held).spec.holder_identity == "second"
    held.spec.holder_identity = "third"
    with pytest.raises(kubernetes.client.ApiException) as refused:
        leases.replace_namespaced_lease("owner", place, held)
    assert (refused.value.status, refused.value.reason) == (409, "Conflict")


def test_a_missing_pod_is_an_error(api, place) -> None:
    with pytest.raises(kubernetes.client.ApiException) as refused:
        kubernetes.client.CoreV1Api(api).read_namespaced_pod("nope", place)
    assert refused.value.status == 404
    assert '"reason":"NotFound"' in refused.value.body


def test_a_list_in_pages(api, place) -> None:
    core = kubernetes.client.CoreV1Api(api)
    for number in range(5):
        core.create_namespaced_config_map(
            place, {"metadata": {"name": f"page-{number}", "labels": {"paged": "yes"}}}
        )
    first = core.list_namespaced_config_map(place, label_selector="paged=yes", limit=2)
    rest = core.list_namespaced_config_map(
        place, label_selector="paged=yes", limit=10, _continue=first.metadata._continue
    )
    names = [each.metadata.name for each in [*first.items, *rest.items]]
    assert (len(first.items), names) == (2, [f"page-{number}" for number in range(5)])
