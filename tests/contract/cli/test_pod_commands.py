"""run, get, logs, exec and delete, as people type them."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable

import pytest
from podrunner import PodRunner, Workload
from podrunner.testing.faults import TcpProxy
from tests.contract.cli.conftest import PODRUNNER
from tests.contract.conftest import Cluster

WAIT_FOR_TERM = 'trap "exit 0" TERM; echo ready; while :; do sleep 0.1; done'
"""A container's first process ignores SIGTERM unless it says otherwise."""


def _pods(podrunner) -> list[str]:
    return podrunner("get", "--others", "-o", "name").stdout.split()


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 100
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def sleeper(environment, podrunner):
    """A pod that runs until the test is over."""
    command = [*PODRUNNER, "run", "--name", "sleeper", "--", "sh", "-c", WAIT_FOR_TERM]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield podrunner("get", "-o", "name").stdout.strip().removeprefix("pod/")
    process.send_signal(signal.SIGINT)
    process.wait(timeout=150)
    process.stdout.close()


def test_run_prints_the_log_and_ends_with_the_containers_exit_code(podrunner) -> None:
    ended = podrunner("run", "-e", "WORD=hello", "--", "sh", "-c", "echo $WORD; exit 3")
    assert (ended.returncode, ended.stdout) == (3, "hello\n")
    assert "exit code 3" in ended.stderr


def test_run_as_json_has_outcome_and_log(podrunner) -> None:
    ended = podrunner("run", "--json", "--", "echo", "hello")
    document = json.loads(ended.stdout)
    assert (ended.returncode, document["log"]) == (0, ["hello"])
    assert document["outcome"]["category"] == "succeeded"


def test_a_running_pod_can_be_seen_read_entered_and_deleted(podrunner, sleeper) -> None:
    assert podrunner("get").stdout.splitlines()[1].split()[:3] == ["sleeper", "1", "Running"]
    assert "Running" in podrunner("get", "-o", "wide", sleeper).stdout
    assert (
        json.loads(podrunner("get", sleeper, "-o", "json").stdout)["items"][0]["metadata"]["name"] == sleeper
    )
    assert podrunner("logs", sleeper).stdout == "ready\n"
    assert podrunner("logs", "--timestamps", "--tail", "1", sleeper).stdout.endswith(" ready\n")
    assert podrunner("exec", sleeper, "--", "sh", "-c", "echo in; exit 4").returncode == 4
    assert podrunner("exec", "-i", sleeper, "--", "cat", input="through\n").stdout == "through\n"
    assert podrunner("delete", "--grace-period", "0", sleeper).stdout == f'pod "{sleeper}" deleted\n'


def test_a_log_is_followed_over_a_connection_that_breaks(environment, config) -> None:
    """G1, as ``podrunner logs --follow`` shows it."""
    command = ["sh", "-c", "echo one; until [ -e go ]; do sleep 0.1; done; echo two"]
    kept = config.model_copy(update={"delete_pods": False})
    with PodRunner(kept, on_exit="cancel") as runner, TcpProxy.blocking(config.kubeconfig) as proxy:
        pod = runner.launch(Workload(key={"test": "follow"}, command=command))
        with subprocess.Popen(
            [*PODRUNNER, "logs", "--follow", pod.name],
            env={**environment, "PODRUNNER_KUBECONFIG": str(proxy.kubeconfig)},
            stdout=subprocess.PIPE,
            text=True,
        ) as follow:
            try:
                assert follow.stdout.readline() == "one\n"
                assert proxy.cut() > 0
                assert pod.exec(["touch", "go"]).exit_code == 0
                assert follow.stdout.read() == "two\n"
                assert follow.wait(40) == 0
            finally:
                follow.kill()
        pod.delete()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_run_leaves_no_pod(environment, podrunner, number) -> None:
    command = [*PODRUNNER, "run", "--", "sh", "-c", WAIT_FOR_TERM]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.wait(timeout=150) == 128 + number
    process.stdout.close()
    _until(lambda: _pods(podrunner) == [])


def test_run_acknowledges_the_outcome_that_it_shows(podrunner, tmp_path) -> None:
    """No other process will ever do it."""
    file = tmp_path / "podrunner.toml"
    file.write_text('outcome_delivery = "acknowledged"\ndelete_pods_on_failure = true\n')
    assert podrunner("run", "--config", str(file), "--", "sh", "-c", "exit 3").returncode == 3
    _until(lambda: _pods(podrunner) == [])


def test_no_pods_are_said_to_be_none(podrunner, config) -> None:
    got = podrunner("get")
    assert (got.returncode, got.stdout) == (0, "")
    others = "Pods that podrunner did not make: --others"
    assert got.stderr == f"No resources found in {config.namespace} namespace. {others}\n"


def test_unknown_pods_are_named(podrunner, sleeper) -> None:
    """And what is known is shown all the same."""
    commands = (
        ["get", "nope", sleeper, "-o", "wide"],
        ["delete", "nope"],
        ["exec", "nope", "--", "ls"],
        ["logs", "nope"],
        ["logs", "-f", "nope"],
    )
    ends = [podrunner(*words) for words in commands]
    assert [ended.returncode for ended in ends] == [66] * len(commands)
    assert all("nope" in ended.stderr for ended in ends)
    assert sleeper in ends[0].stdout


def test_a_watch_shows_a_pod_come_and_go(environment, podrunner, sleeper) -> None:
    command = [*PODRUNNER, "get", "-w", "-o", "wide"]
    watch = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert any(sleeper in line for line in watch.stdout), "what is there is shown first"
        assert podrunner("run", "--", "true").returncode == 0
        rows = (line for line in watch.stdout if sleeper not in line)
        assert any("Completed" in line for line in rows)
        assert any("Terminating" in line for line in rows)
        watch.send_signal(signal.SIGINT)
        watch.communicate(timeout=150)
        assert watch.returncode == 130
    finally:
        watch.kill()


def test_a_refused_connection_a_wrong_token_and_a_missing_kubeconfig_have_their_own_ends(
    cluster: Cluster, tmp_path
) -> None:
    def end(kubeconfig) -> tuple[int, str]:
        ran = subprocess.run(
            [*PODRUNNER, "get", "--kubeconfig", str(kubeconfig)],
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert len(ran.stderr.splitlines()) == 1, ran.stderr
        return ran.returncode, ran.stderr

    text = cluster.kubeconfig.read_text()
    (tmp_path / "refused").write_text(text.replace(cluster.url, "https://127.0.0.1:9"))
    (tmp_path / "token").write_text(text.replace(cluster.token, "wrong-token"))
    assert end(tmp_path / "refused")[0] == 69
    code, words = end(tmp_path / "token")
    assert (code, "wrong-token" in words) == (77, False)
    code, words = end(tmp_path / "missing")
    assert code == 78
    assert str(tmp_path / "missing") in words


def test_an_empty_command_is_refused_before_a_cluster_is_asked(podrunner) -> None:
    assert podrunner("run", "--").returncode == 2


def test_what_the_server_calls_invalid_is_shown_with_its_field(podrunner, tmp_path) -> None:
    file = tmp_path / "podrunner.toml"
    file.write_text('volumes = [{name = "up", hostPath = {path = "/a/../b"}}]\n')
    ended = podrunner("run", "--config", str(file), "--", "true")
    assert ended.returncode == 65
    assert (
        """spec.volumes[0].hostPath.path: Invalid value: "/a/../b": must not contain '..'""" in ended.stderr
    )
