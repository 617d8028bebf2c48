"""A container's state, as its log's reader sees it."""

from __future__ import annotations

import msgspec
import pytest
from podrunner.logs import ContainerView, container_view
from podrunner.outcome.record import Pod

BEGAN = "2024-05-01T00:00:00Z"
ENDED = {"terminated": {"exitCode": 1, "startedAt": BEGAN}}
LOST = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None}}
RUNNING = {"running": {}}


def pod(
    state=None, last=None, *, phase="Running", policy="Never", restarts=0, deleting=False, container_id=""
) -> Pod:
    status = {"name": "base", "state": state or {}, "lastState": last or {}, "restartCount": restarts}
    status["containerID"] = container_id
    document = {
        "metadata": {"deletionTimestamp": "2024-05-01T00:00:00Z"} if deleting else {},
        "spec": {"restartPolicy": policy, "initContainers": [{"name": "side", "restartPolicy": "Always"}]},
        "status": {"phase": phase, "containerStatuses": [status]},
    }
    return msgspec.convert(document, Pod)


@pytest.mark.parametrize(
    ("given", "view"),
    [
        (pod(phase="Pending"), ContainerView()),
        (pod(RUNNING), ContainerView(started=True)),
        (pod(ENDED), ContainerView(started=True, ended=True, final=True, began_at=BEGAN)),
        (pod(ENDED, policy="Always", restarts=2), ContainerView(2, started=True, ended=True, began_at=BEGAN)),
        (
            pod(ENDED, policy="Always", deleting=True),
            ContainerView(started=True, ended=True, final=True, began_at=BEGAN),
        ),
        (
            pod({"waiting": {}}, ENDED, policy="Always"),
            ContainerView(started=True, ended=True, began_at=BEGAN),
        ),
        (pod(RUNNING, ENDED, policy="Always", restarts=1), ContainerView(1, started=True)),
        (pod(LOST), ContainerView(started=True, ended=True, final=True, only_ended=True)),
        (pod(LOST, container_id="containerd://4f1d"), ContainerView(started=True, ended=True, final=True)),
        (pod(LOST, LOST), ContainerView(started=True, ended=True, final=True)),
        (pod(phase="Failed"), ContainerView(final=True)),
        (pod(RUNNING, phase="Failed"), ContainerView(started=True, ended=True, final=True)),
    ],
)
def test_views(given, view):
    assert container_view(given, "base") == view


def test_a_container_without_status_has_not_started():
    assert container_view(Pod(), "base") == ContainerView()
    assert container_view(Pod(), "base", gone=True) == ContainerView(final=True, gone=True)


@pytest.mark.parametrize(
    ("policy", "container", "other", "is_final"),
    [
        ("Never", {"restartPolicy": "OnFailure"}, {}, False),
        ("Never", {"restartPolicy": "Never", "restartPolicyRules": [{"action": "Restart"}]}, {}, False),
        ("Never", {}, {"restartPolicyRules": [{"action": "RestartAllContainers"}]}, False),
        ("Never", {}, {"restartPolicy": "Always"}, True),
        ("Always", {"restartPolicy": "Never"}, {}, True),
    ],
)
@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_a_containers_own_policy_says_whether_another_run_comes(kind, policy, container, other, is_final):
    """A container that starts again has another log to be read, whatever the pod's policy is (KEP-5307, 5532)."""
    spec = {"restartPolicy": policy, kind: [{"name": "base"} | container, {"name": "other"} | other]}
    statuses = {f"{kind.removesuffix('s')}Statuses": [{"name": "base", "state": ENDED}]}
    given = msgspec.convert({"spec": spec, "status": {"phase": "Running"} | statuses}, Pod)
    assert container_view(given, "base").final is is_final
