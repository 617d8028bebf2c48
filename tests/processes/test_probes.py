"""Probes: what they ask, how answers are counted, what follows."""

from __future__ import annotations

import asyncio
import socket

import pytest
from podrunner.local.kubelet.probes import Probe, Prober, port_number, run_action

pytestmark = pytest.mark.asyncio


def ready(obj):
    return any(each.get("ready") for each in obj["status"].get("containerStatuses", []))


@pytest.mark.processes
async def test_a_container_is_ready_when_its_probe_says_so(lab, tmp_path):
    """Not before."""
    probe = {"exec": {"command": ["test", "-e", str(tmp_path / "ready")]}, "periodSeconds": 0.05}
    lab.run("a", ["sleep", "100"], readinessProbe=probe)
    obj = await lab.phase("a", "Running")
    assert not ready(obj)
    (tmp_path / "ready").touch()
    await lab.until("a", ready)
    (tmp_path / "ready").unlink()
    await lab.until("a", lambda obj: not ready(obj))
    assert any(
        reason == "Unhealthy" and message.startswith("Readiness probe failed")
        for reason, message in lab.recorded("a")
    )


@pytest.mark.processes
async def test_a_failing_liveness_probe_restarts_the_container(lab):
    """With the kubelet's words."""
    probe = {
        "exec": {"command": ["sh", "-c", "echo sick; exit 1"]},
        "periodSeconds": 0.05,
        "timeoutSeconds": 30,
        "failureThreshold": 2,
    }
    lab.run("a", ["sleep", "100"], livenessProbe=probe, restartPolicy="Always")
    await lab.until(
        "a", lambda obj: obj["status"].get("containerStatuses", [{}])[0].get("restartCount", 0) >= 1
    )
    events = lab.recorded("a")
    assert ("Unhealthy", "Liveness probe failed: sick") in events
    assert ("Killing", "Container main failed liveness probe, will be restarted") in events


@pytest.mark.processes
async def test_the_other_probes_wait_for_the_startup_probe(lab, tmp_path):
    """started and ready are false until then."""
    startup = {
        "exec": {"command": ["test", "-e", str(tmp_path / "up")]},
        "periodSeconds": 0.05,
        "failureThreshold": 1000,
    }
    liveness = {"exec": {"command": ["false"]}, "initialDelaySeconds": 100}
    lab.run("a", ["sleep", "100"], startupProbe=startup, livenessProbe=liveness)
    obj = await lab.phase("a", "Running")
    assert obj["status"]["containerStatuses"][0]["started"] is False
    (tmp_path / "up").touch()
    obj = await lab.until("a", ready)
    assert obj["status"]["containerStatuses"][0]["started"] is True


async def test_ports_are_found_by_name():
    container = {"ports": [{"name": "http", "containerPort": 8080}]}
    assert port_number("http", container) == 8080
    assert port_number(81, container) == 81
    assert port_number("82", container) == 82


async def serve(answer):
    """A server that says one thing."""

    async def handle(reader, writer):
        await reader.readline()
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", None),
        (b"HTTP/1.1 302 Found\r\n\r\n", None),
        (b"HTTP/1.1 503 Down\r\n\r\n", "HTTP probe failed with statuscode: 503"),
        (b"", "HTTP probe failed with statuscode: 0"),
    ],
)
async def test_an_http_probe_looks_at_the_status(answer, failure):
    server, port = await serve(answer)
    async with server:
        action = {"httpGet": {"port": port, "path": "/health", "httpHeaders": [{"name": "X", "value": "1"}]}}
        assert await run_action(action, None, {}, ip="127.0.0.1") == failure


async def test_a_tcp_probe_connects():
    server, port = await serve(b"")
    async with server:
        assert await run_action({"tcpSocket": {"port": port}}, None, {}, ip="127.0.0.1") is None
    with socket.socket() as unlistened:  # bound to the port, not listening: no other process can take it
        unlistened.bind(("127.0.0.1", 0))
        port = unlistened.getsockname()[1]
        assert "refused" in await run_action({"tcpSocket": {"port": port}}, None, {}, ip="127.0.0.1")
        for action in ({"port": port}, {"port": port, "scheme": "HTTPS"}):
            assert await run_action({"httpGet": action}, None, {}, ip="127.0.0.1") is not None


async def test_a_sleep_hook_sleeps_and_an_empty_one_does_nothing():
    assert await run_action({"sleep": {"seconds": 0}}, None, {}, ip="") is None
    assert await run_action({}, None, {}, ip="") is None


async def test_verdicts_need_as_many_answers_as_the_thresholds_say():
    """Two good ones, three bad ones; each verdict once."""
    answers = iter(["bad", None, None, "bad", "bad", None, "bad", "bad", "bad"])
    verdicts, failures = [], []

    async def ask():
        try:
            return next(answers)
        except StopIteration:
            raise asyncio.CancelledError from None

    probe = Probe(kind="readiness", action={}, period_s=0, success_threshold=2, failure_threshold=3)
    prober = Prober(probe, ask, on_change=verdicts.append, on_failure=failures.append)
    with pytest.raises(asyncio.CancelledError):
        await prober.run()
    assert verdicts == [True, False]
    assert failures == ["bad"] * 6


async def test_a_probe_that_takes_too_long_has_failed():
    failed = asyncio.get_running_loop().create_future()
    probe = Probe(kind="liveness", action={}, timeout_s=0.01, period_s=100)
    prober = Prober(probe, lambda: asyncio.sleep(1000), on_change=print, on_failure=failed.set_result)
    task = asyncio.create_task(prober.run())
    assert await asyncio.wait_for(failed, 40) == "command timed out after 0.01s"
    task.cancel()


async def test_defaults_are_kubernetes_own():
    probe = Probe.of({"livenessProbe": {"exec": {}}}, "liveness")
    assert (probe.period_s, probe.timeout_s, probe.success_threshold, probe.failure_threshold) == (
        10,
        1,
        1,
        3,
    )
    assert Probe.of({}, "liveness") is None
