"""One identity everywhere, what is kept and detached, several logs, and the live table: in pipes and on a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest
import yaml
from podrunner import PodRunner
from tests.contract.cli.conftest import PODRUNNER

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
UNTIL_GO = "until [ -e go ]; do sleep 0.1; done"


def test_what_run_keeps_is_seen_and_deleted_by_the_commands_that_it_names(environment, podrunner) -> None:
    environment["PODRUNNER_RUN_RETRY__INITIAL_S"] = "0.1"
    ran = podrunner("run", "--name", "first", "--retries", "1", "--", "sh", "-c", "echo one; exit 3")
    assert (ran.returncode, ran.stdout) == (3, "one\none\n")
    said = [line.removeprefix("podrunner: ") for line in ran.stderr.splitlines()]
    assert said[0].startswith("try 1: failed")
    assert said[0].endswith("; another one follows within 1 s")
    assert any(line.startswith("kept 2 pods ") for line in said)
    commands = [shlex.split(line.split(":", 1)[1])[1:] for line in said if line.startswith("  ")]
    assert [words[0] for words in commands] == ["describe", "logs", "delete"]
    (shown,) = json.loads(podrunner("get", "fir", "run=first", "@latest", "--json").stdout)["pods"]
    assert (shown["attempt"], shown["exit_code"], shown["category"]) == (2, 3, "failed")
    described = podrunner(*commands[0]).stdout
    assert "Outcome    failed (fault: workload): container base ended with exit code 3" in described
    assert "running" in described
    assert described.endswith("Log\n  one\n")
    assert podrunner(*commands[1]).stdout == "one\n"
    assert podrunner(*commands[2]).stdout.count("deleted") == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_names_the_pods_of_the_tries_before(environment, podrunner, number) -> None:
    """It keeps them as at a normal end, and the next try would have followed much later."""
    environment |= {"PODRUNNER_RUN_RETRY__INITIAL_S": "60", "PODRUNNER_RUN_RETRY__JITTER": "0"}
    command = [*PODRUNNER, "run", "--name", "tried", "--retries", "2", "--", "sh", "-c", "exit 3"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("another one follows" in line for line in process.stderr)
        process.send_signal(number)
        said = [line.removeprefix("podrunner: ") for line in process.stderr]
        assert process.wait(timeout=150) == 128 + number
    (shown,) = json.loads(podrunner("get", "--json").stdout)["pods"]
    assert said[0] == f"kept pod {shown['pod']} (run --rm deletes also what fails)\n"
    commands = [shlex.split(line.split(":", 1)[1])[1:] for line in said[1:]]
    assert [words[0] for words in commands] == ["describe", "logs", "delete"]
    assert podrunner(*commands[2]).stdout.count("deleted") == 1


@pytest.mark.parametrize("options", [[], ["--detach"]])
def test_a_run_without_an_image_says_which_option_names_one(here, monkeypatch, options) -> None:
    monkeypatch.delenv("PODRUNNER_IMAGE")
    ran = here("run", *options, "--", "true")
    assert ran.returncode == 65
    assert ran.stderr.endswith(
        "no image: name one by --image, in the workload, the configuration or the template\n"
    )


def test_a_detached_pod_runs_on_and_belongs_to_no_runner(podrunner, config, tmp_path) -> None:
    """Promise 4: it is found and deleted by the commands; a runner of the namespace neither adopts nor ends it."""
    file = tmp_path / "workload.yaml"
    file.write_text(yaml.safe_dump({"key": {"dag_id": "etl", "task_id": "load"}, "env": {"A": "1"}}))
    options = [
        "--memory",
        "64Mi",
        "--timeout",
        "5m",
        "-e",
        "B=2",
        "-v",
        "emptydir:1Gi:/scratch",
        "-l",
        "team=a",
    ]
    command = ["run", "--detach", "--json", "--workload", str(file), *options, "--", "sh", "-c", UNTIL_GO]
    ran = podrunner(*command)
    assert ran.returncode == 0
    document = json.loads(ran.stdout)
    assert document["key"] == "dag_id=etl,task_id=load"
    (pod,) = yaml.safe_load(podrunner("get", "-l", "team=a", "-o", "yaml").stdout)["items"]
    assert pod["metadata"]["name"] == document["pod"]
    assert "finalizers" not in pod["metadata"]
    assert pod["spec"]["activeDeadlineSeconds"] == 300
    (main,) = pod["spec"]["containers"]
    assert {one["name"]: one["value"] for one in main["env"]}.items() >= {"A": "1", "B": "2"}.items()
    assert main["resources"]["limits"]["memory"] == "64Mi"
    assert main["volumeMounts"][0]["mountPath"] == "/scratch"
    with PodRunner(config, on_exit="cancel") as runner:
        assert runner.adopt() == []
    assert podrunner("wait", "task_id=load", "--for", "running").returncode == 0
    described = json.loads(podrunner("describe", "task_id=load", "--json").stdout)
    assert (described["status"], described["owner"]["lease"]) == ("Running", "absent")
    assert described["owner"]["is_detached"] is True
    assert podrunner("delete", "--detached").stdout == "", "it has not ended"
    assert podrunner("exec", "@latest", "--", "touch", "go").returncode == 0
    _until(lambda: document["pod"] in podrunner("delete", "--detached").stdout)


def test_kubectls_words_and_all_namespaces_find_a_pod(here, cluster, config, monkeypatch) -> None:
    monkeypatch.setenv(
        "PODRUNNER_KUBECONFIG", str(cluster.kubeconfig)
    )  # a runner has rights in one namespace only
    assert here("run", "--name", "seen", "--", "sh", "-c", "echo said; exit 3").returncode == 3
    (listed,) = json.loads(here("get", "-A", "pods", "run=seen", "--json").stdout)["pods"]
    assert listed["namespace"] == config.namespace
    heading, line = here("get", "-A", "seen").stdout.splitlines()
    assert (heading.split()[0], line.split()[:2]) == ("NAMESPACE", [config.namespace, "seen"])
    assert f"{config.namespace}/{listed['pod']}\n" in here("describe", "-A", "pod", listed["pod"]).stdout
    for words in (["-A", "seen"], [f"pod/{listed['pod']}"], ["-A", "run=seen"]):
        assert here("logs", *words).stdout == "said\n"
    assert here("logs", "-A", "--prefix", "seen").stdout == f"{config.namespace}/seen | said\n"
    refused = here("get", "-A", "-n", config.namespace)
    assert (refused.returncode, refused.stderr.split()[-1]) == (64, "other")
    assert here("delete", "pods").returncode == 64, "it names none"
    assert here("delete", "pod", "seen").stdout == f'pod "{listed["pod"]}" deleted\n'


def test_several_logs_come_behind_the_names_of_their_pods(podrunner) -> None:
    for name in ("a", "b"):
        script = f"for i in 1 2 3; do echo {name}$i; sleep 0.2; done"
        assert podrunner("run", "-d", "--name", name, "--", "sh", "-c", script).returncode == 0
    followed = podrunner("logs", "-f", "a", "b")
    assert followed.returncode == 0
    assert sorted(followed.stdout.splitlines()) == [f"{pod} | {pod}{n}" for pod in "ab" for n in (1, 2, 3)]
    assert sorted(podrunner("logs", "--all", "--no-prefix", "--tail", "1").stdout.split()) == ["a3", "b3"]
    assert podrunner("logs", "--since", "1h", "-c", "base", "b").stdout == "b1\nb2\nb3\n"


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 100
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


class Terminal:
    """A command on a terminal of a size."""

    def __init__(self, words: list[str], environment: dict[str, str], *, columns: int) -> None:
        self._own, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        variables = {**environment, "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            [*PODRUNNER, *words], stdin=other, stdout=other, stderr=other, env=variables
        )
        os.close(other)
        self.shown = ""

    def until(self, text: str, *, within_s: float = 100) -> None:
        deadline = time.monotonic() + within_s
        while text not in self.shown:
            assert time.monotonic() < deadline, f"no {text!r} in {self.shown[-2000:]!r}"
            self._read(0.2)

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + 100
        while self.process.poll() is None:
            assert time.monotonic() < deadline
            self._read(0.2)
        self._read(0)
        os.close(self._own)
        return self.process.returncode

    def _read(self, wait_s: float) -> None:
        with suppress(OSError):  # the other end is closed
            while select.select([self._own], [], [], wait_s)[0] and (data := os.read(self._own, 65_536)):
                self.shown += data.decode()
                wait_s = 0

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def test_the_live_table_follows_the_pods_within_60_columns(environment, podrunner) -> None:
    """In colours, and without where ``NO_COLOR`` is set."""
    with ExitStack() as stack:
        coloured = Terminal(["get", "-w"], environment, columns=60)
        stack.callback(coloured.close)
        plain = Terminal(["get", "-w"], {**environment, "NO_COLOR": "1"}, columns=60)
        stack.callback(plain.close)
        for terminal in (coloured, plain):
            terminal.until("(no pods)")
        options = ["--name", "a-task-with-a-very-long-name", "-l", "x=y"]
        assert podrunner("run", "-d", *options, "--", "sh", "-c", f"{UNTIL_GO}; exit 4").returncode == 0
        for terminal in (coloured, plain):
            terminal.until("Running")
        assert podrunner("exec", "@latest", "--", "touch", "go").returncode == 0
        for terminal in (coloured, plain):
            terminal.until("exit code 4")
            assert terminal.end() == 130
    for terminal in (coloured, plain):
        lines = ESCAPES.sub("", terminal.shown).replace("\r", "\n").splitlines()
        assert max(map(len, lines)) <= 60
        assert terminal.shown.endswith("\x1b[?25h"), "the cursor is shown again"
    assert "\x1b[31m" in coloured.shown
    assert "\x1b[31m" not in plain.shown


def test_a_log_on_a_terminal_does_not_drive_it(environment, podrunner) -> None:
    """What a terminal would obey is shown there; a pipe gets the log as it was written."""
    script = r"printf '\033]0;title\007\033[32mgreen\033[0m\n'; exit 3"
    assert podrunner("run", "--name", "loud", "--", "sh", "-c", script).returncode == 3
    assert podrunner("logs", "loud").stdout == "\x1b]0;title\x07\x1b[32mgreen\x1b[0m\n"
    with ExitStack() as stack:
        shown = Terminal(["logs", "loud"], environment, columns=60)
        stack.callback(shown.close)
        shown.until("^[]0;title^G\x1b[32mgreen\x1b[0m")


def test_a_run_on_a_terminal_says_why_its_pod_waits_in_one_line(environment) -> None:
    """P14: no node has so many CPUs. Ctrl-C leaves no pod, and the line is gone."""
    terminal = Terminal(["run", "--cpu", "100k", "--", "true"], environment, columns=60)
    try:
        terminal.until("s: Pending: 0/")
        assert terminal.end() == 130
    finally:
        terminal.close()
    assert "\n" not in terminal.shown.rstrip("\r\n")
    assert terminal.shown.rstrip("\r\n").endswith("\x1b[2K")
