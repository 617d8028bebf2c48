"""Ctrl-C and SIGTERM end programs of either face in a bounded time, and nothing is left."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from podrunner.builder.labels import OUTCOME, VERDICT

PROGRAM = Path(__file__).with_name("program.py")
WITHIN_S = 100
"""More than a busy machine takes; the processes of the pods would run for 300 s."""


@pytest.mark.processes
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("face", "waits", "number"),
    [
        ("blocking", "wait", signal.SIGINT),
        ("blocking", "wait", signal.SIGTERM),
        ("blocking", "launch", signal.SIGTERM),
        ("blocking", "close", signal.SIGINT),
        ("blocking", "close", signal.SIGTERM),
        ("asyncio", "wait", signal.SIGINT),
        ("asyncio", "launch", signal.SIGTERM),
        ("asyncio", "close", signal.SIGTERM),
        ("trio", "wait", signal.SIGTERM),
    ],
)
def test_a_signal_ends_a_program_and_its_pods(cluster, kubeconfig, namespace, face, waits, number):
    """S1, C1, C2: in a call, while pods are made, and while leaving."""
    count = 3 if waits != "launch" else 200 if cluster.is_local else 40
    arguments = [PROGRAM, face, waits, kubeconfig, namespace, cluster.image, count]
    program = subprocess.Popen(
        [sys.executable, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        time.sleep(0.5)  # it is in the middle of what it does
        began = time.monotonic()
        program.send_signal(number)
        _, errors = program.communicate(timeout=WITHIN_S)
    finally:
        program.kill()
        program.wait(40)
    assert time.monotonic() - began < WITHIN_S, errors
    with cluster.http() as http:
        left = http.get(f"/api/v1/namespaces/{namespace}/pods").json()["items"]
        # What had started is over, and stays with its verdict until a runner adopts it; the rest is deleted.
        assert [pod["metadata"]["name"] for pod in left if not _is_over_with_verdict(pod)] == []
        leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        assert http.get(leases).json()["items"] == []
    assert "Exception ignored" not in errors
    assert "never awaited" not in errors
    if face == "blocking":
        assert program.returncode == (143 if number == signal.SIGTERM else -signal.SIGINT), errors
    else:
        assert program.returncode == 0, errors


def _is_over_with_verdict(pod: dict[str, Any]) -> bool:
    annotations = pod["metadata"]["annotations"]
    return (
        pod["status"]["phase"] in {"Succeeded", "Failed"} and {VERDICT, OUTCOME} & set(annotations) != set()
    )
