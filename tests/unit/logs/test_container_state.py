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


def pod(state=None, last=None, *, phase="Running", policy="Never", restarts=0, deleting=False) -> Pod:
    status = {"name": "base", "state": state or {}, "lastState": last or {}, "restartCount": restarts}
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
        (pod(phase="Failed"), ContainerView(final=True)),
        (pod(RUNNING, phase="Failed"), ContainerView(started=True, ended=True, final=True)),
    ],
)
def test_views(given, view):
    assert container_view(given, "base") == view


def test_a_container_without_status_has_not_started():
    assert container_view(Pod(), "base") == ContainerView()
    assert container_view(Pod(), "base", gone=True) == ContainerView(final=True, gone=True)
