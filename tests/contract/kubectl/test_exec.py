"""kubectl exec, attach and port-forward: SPDY with an old kubectl, WebSockets with a new one."""

from __future__ import annotations

import re
import time
import urllib.request

import pytest


@pytest.fixture(scope="class")
def shell(any_kubectl) -> str:
    return any_kubectl.pod("shell")


class TestExec:
    def test_output_and_errors_are_separate(self, any_kubectl, shell) -> None:
        result = any_kubectl.run("exec", shell, "--", "sh", "-c", "echo out; echo err >&2")
        assert (result.code, result.out, result.err) == (0, "out\n", "err\n")

    def test_the_exit_code_is_the_commands(self, any_kubectl, shell) -> None:
        result = any_kubectl.run("exec", shell, "--", "sh", "-c", "exit 42")
        assert (result.code, result.err) == (42, "command terminated with exit code 42\n")

    def test_input_is_passed_on_to_its_end(self, any_kubectl, shell) -> None:
        assert (
            any_kubectl("exec", "-i", shell, "--", "sh", "-c", "cat; echo end", stdin="a\nb\n")
            == "a\nb\nend\n"
        )

    def test_large_input_and_output_are_transferred(self, any_kubectl, shell) -> None:
        text = "0123456789abcdef" * 65_536 * 4
        assert any_kubectl("exec", "-i", shell, "--", "cat", stdin=text) == text

    def test_a_terminal_is_interactive(self, any_kubectl, shell, terminal) -> None:
        """Echo, size, Ctrl-C, Ctrl-D: an interactive shell."""
        sat = terminal(any_kubectl, "exec", "-it", shell, "--", "sh", rows=17, columns=91)
        sat.type("PS1='> '; tty; until stty size | grep '^17'; do sleep 0.1; done\n")
        sat.until(r"/dev/\S*\d\r\n")
        sat.until(r"17 91\r\n")
        sat.type("echo asleep $((40+1)); sleep 100\n")
        sat.until("asleep 41")
        time.sleep(0.3)
        sat.type("\x03")
        sat.type("echo back $((40+2))\n")
        sat.until("back 42")
        sat.type("exit 5\n")
        assert sat.close() == 5

    def test_a_missing_program_is_an_error(self, any_kubectl, shell) -> None:
        result = any_kubectl.run("exec", shell, "--", "no-such-program")
        assert result.code != 0
        assert re.search("no-such-program.*(not found|no such file)", result.err, re.IGNORECASE), result.err

    def test_a_missing_pod_is_an_error(self, any_kubectl) -> None:
        assert (
            any_kubectl.fails("exec", "nope", "--", "true")
            == 'Error from server (NotFound): pods "nope" not found'
        )

    def test_a_missing_container_is_an_error(self, any_kubectl, shell) -> None:
        message = any_kubectl.fails("exec", shell, "-c", "x", "--", "true")
        assert "container x" in message or 'container not found ("x")' in message, message

    def test_a_pod_that_has_ended_is_an_error(self, any_kubectl) -> None:
        over = any_kubectl.pod("over", "exit 0", wait="jsonpath={.status.phase}=Succeeded")
        message = any_kubectl.fails("exec", over, "--", "true")
        assert "cannot exec into a container in a completed pod; current phase is Succeeded" in message

    def test_the_command_ends_when_its_client_disconnects(self, any_kubectl, shell, cluster) -> None:
        if not cluster.is_local:
            pytest.skip("containerd leaves the command running")
        running = any_kubectl.start("exec", shell, "--", "sh", "-c", "echo $$; exec sleep 1000")
        try:
            number = running.stdout.readline().strip()
        finally:
            running.kill()
            running.communicate()
        gone = f"for i in $(seq 600); do kill -0 {number} 2>/dev/null || exit 0; sleep 0.05; done; exit 1"
        assert any_kubectl.run("exec", shell, "--", "sh", "-c", gone).code == 0


class TestAttach:
    def test_attach_begins_with_the_present_output(self, any_kubectl) -> None:
        script = "trap 'exit 0' TERM; i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done"
        any_kubectl.pod("ticker", script)
        attached = any_kubectl.start("attach", "ticker")
        try:
            seen = [attached.stdout.readline() for _ in range(5)]
        finally:
            attached.kill()
            attached.communicate()
        assert any(re.match(r"tick \d+", line) for line in seen), seen
        assert any_kubectl("get", "pod", "ticker", "-o", "jsonpath={.status.phase}") == "Running"

    def test_run_with_a_terminal_removes_the_pod_at_the_end(self, any_kubectl, terminal) -> None:
        """``kubectl run -it --rm``: a shell in a fresh pod, which kubectl deletes when the shell ends."""
        image = f"--image={any_kubectl.image}"
        sat = terminal(
            any_kubectl, "run", "seat", image, "--restart=Never", "-it", "--rm", "--command", "--", "sh"
        )
        sat.type("\n")
        sat.until(r"[$#] ")
        sat.type("tty; echo here $((40+2))\n")
        sat.until("here 42")
        assert re.search(r"/dev/\S*\d\r\n", sat.seen)
        sat.type("exit\n")
        sat.until('pod "seat" deleted')
        assert sat.close() == 0
        assert "NotFound" in any_kubectl.fails("get", "pod", "seat")


class TestPortForward:
    SERVER = """
        folder=$(mktemp -d); trap 'kill $!; rm -r $folder; exit' TERM
        cd $folder; echo hello >index.txt; python3 -u -m http.server 0 --bind 127.0.0.1 & wait
    """

    def test_connections_reach_the_pod(self, any_kubectl) -> None:
        """The server and kubectl take a port each, and say which."""
        any_kubectl.pod("web", self.SERVER)
        deadline = time.monotonic() + 40
        while not (serving := re.search(r"Serving HTTP on 127.0.0.1 port (\d+)", any_kubectl("logs", "web"))):
            assert time.monotonic() < deadline
        remote = serving[1]
        forwarding = any_kubectl.start("port-forward", "pod/web", f":{remote}")
        try:
            line = forwarding.stdout.readline()
            begun = re.match(rf"Forwarding from 127.0.0.1:(\d+) -> {remote}", line)
            assert begun, line
            for _ in range(3):
                with urllib.request.urlopen(f"http://127.0.0.1:{begun[1]}/index.txt", timeout=40) as answer:
                    assert answer.read() == b"hello\n"
        finally:
            forwarding.terminate()
            forwarding.communicate()
        any_kubectl("delete", "pod", "web", "--grace-period=1")
