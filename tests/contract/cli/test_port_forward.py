"""port-forward, as people type it: programs of this machine talk with a server in a pod."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from podrunner import Pod, PodRunner, Workload
from tests.contract.cli.conftest import PODRUNNER

NAME = "servers"
SERVERS = """
import http.server, socket, socketserver, threading
class Count(socketserver.StreamRequestHandler):
    def handle(self):
        size = self.rfile.readline().strip()
        data = self.rfile.read(int(size)) if size else self.rfile.read()
        self.wfile.write(data.upper() + b"<%d>" % len(data))
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"page of the pod")
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
count = Server(("127.0.0.1", 0), Count)
threading.Thread(target=count.serve_forever, daemon=True).start()
page = http.server.HTTPServer(("127.0.0.1", 0), Page)
deaf = socket.socket()
deaf.bind(("127.0.0.1", 0))
print(*(each.getsockname()[1] for each in (count.socket, page.socket, deaf)), flush=True)
page.serve_forever()
"""
"""The pod takes its ports and says which: one of a LocalCluster has this machine's, where others take some too."""


@pytest.fixture
def pod(config) -> Iterator[Pod]:
    """A pod with two servers."""
    with PodRunner(config.with_changes(delete_grace_period_s=1), on_exit="cancel") as runner:
        yield runner.launch(Workload(key={"run": NAME}, command=["python3", "-c", SERVERS]))


@pytest.fixture
def ports(pod: Pod) -> list[int]:
    """Of the pod: one that counts what it gets, one with a page, one where nothing listens."""
    with pod.logs() as lines:
        return [int(port) for port in str(next(iter(lines))).split()]


@pytest.fixture
def as_person(environment, cluster) -> dict[str, str]:
    """A person may forward ports; a runner need not (examples/rbac.yaml)."""
    return {**environment, "PODRUNNER_KUBECONFIG": str(cluster.kubeconfig)}


@contextmanager
def _forwarding(environment, *words: str) -> Iterator[tuple[subprocess.Popen[str], dict[int, int]]]:
    """The command while it runs, and for each port in the pod the one of this machine."""
    process = subprocess.Popen(
        [*PODRUNNER, "port-forward", "--json", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        text = ""
        while not text.endswith("\n}\n"):
            line = process.stdout.readline()
            assert line, process.communicate()
            text += line
        yield process, {each["remote"]: each["local"] for each in json.loads(text)["ports"]}
    finally:
        process.kill()
        process.communicate()


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=100)


def _rest(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def _interrupted(process: subprocess.Popen[str]) -> tuple[int, str]:
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=100)
    return process.returncode, said


def test_several_connections_at_once_and_a_megabyte_each_way(as_person, pod, ports) -> None:
    with _forwarding(as_person, NAME, f"0:{ports[0]}") as (process, local):
        with _connect(local[ports[0]]) as slow, _connect(local[ports[0]]) as quick:
            slow.sendall(b"11\nbegun ")
            quick.sendall(b"1000000\n" + b"q" * 1_000_000)
            slow.sendall(b"ended")
            assert _rest(quick) == b"Q" * 1_000_000 + b"<1000000>"
            assert _rest(slow) == b"BEGUN ENDED<11>"
        assert _interrupted(process) == (130, "")


def test_the_end_of_one_direction_is_passed_on(as_person, cluster, pod, ports) -> None:
    """The server answers only when it has read the end of what a client sends."""
    if not cluster.is_local:
        pytest.skip("containerd 1.6 ends a connection one second after one of its directions")
    with (
        _forwarding(as_person, NAME, f"0:{ports[0]}") as (_, local),
        _connect(local[ports[0]]) as connection,
    ):
        connection.sendall(b"\nended")
        connection.shutdown(socket.SHUT_WR)
        assert _rest(connection) == b"ENDED<5>"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
def test_curl_reads_a_page_also_after_a_connection_that_failed(as_person, pod, ports) -> None:
    _, page, closed = ports
    with _forwarding(as_person, NAME, f"0:{page}", f":{closed}") as (process, local):
        with _connect(local[closed]) as refused:
            assert _rest(refused) == b""
        for _ in range(2):
            shown = subprocess.run(
                ["curl", "--silent", "--noproxy", "*", f"http://127.0.0.1:{local[page]}/"],
                capture_output=True,
                text=True,
                timeout=40,
                check=True,
            )
            assert shown.stdout == "page of the pod"
        code, said = _interrupted(process)
    assert code == 130
    assert said.startswith(f"podrunner: port {closed}: ")
    assert said.count("\n") == 1
    with pytest.raises(OSError, match="refused"):
        _connect(local[page])


def test_a_program_that_hangs_up_ends_its_connection_only(as_person, pod, ports) -> None:
    with _forwarding(as_person, NAME, f"0:{ports[0]}") as (process, local):
        for _ in range(3):
            connection = _connect(local[ports[0]])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close by RST
            connection.sendall(b"x")
            connection.close()
        with _connect(local[ports[0]]) as connection:
            connection.sendall(b"1\nx")
            assert _rest(connection) == b"X<1>"
        assert _interrupted(process)[0] == 130


def test_the_command_ends_when_the_pod_is_gone(as_person, pod, ports) -> None:
    with _forwarding(as_person, NAME, f"0:{ports[0]}") as (process, local):
        pod.delete(grace_period_s=0)
        pod.wait()
        with _connect(local[ports[0]]) as connection:
            assert _rest(connection) == b""
        _, said = process.communicate(timeout=100)
    assert process.returncode == 66
    assert "not found" in said


def test_what_cannot_be_forwarded_is_said_at_once(here, pod, ports) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = here("port-forward", NAME, f"{port}:{ports[0]}")
    assert (ended.returncode, ended.stdout) == (74, "")
    assert ended.stderr == f"podrunner: 127.0.0.1:{port}: Address already in use\n"
    assert here("port-forward", "nope", "80").returncode == 66
    assert here("port-forward", NAME, "80:http").returncode == 64
