"""``podrunner board``: one program, its door, its stream, its end."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest
from podrunner import PodRunner, Workload
from tests.contract.cli.conftest import PODRUNNER


class Program(NamedTuple):
    """A board that runs, and the address that it has printed."""

    process: subprocess.Popen[str]
    url: str

    @property
    def base(self) -> str:
        return self.url.partition("?")[0]

    def interrupt(self) -> None:
        """Ctrl-C: it ends at once, and says nothing more."""
        self.process.send_signal(signal.SIGINT)
        said = self.process.communicate(timeout=150)
        assert (self.process.returncode, said) == (130, ("", ""))


@pytest.fixture
def board(environment) -> Iterator[Program]:
    with subprocess.Popen(
        [*PODRUNNER, "board"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{40,}", line)
        assert found, line or process.stderr.read()
        program = Program(process, found[0])
        yield program
        if process.poll() is None:
            program.interrupt()


@pytest.fixture
def viewer(board: Program) -> Iterator[httpx.Client]:
    """A browser that was let in."""
    with httpx.Client(base_url=board.base, trust_env=False, timeout=100) as client:
        welcome = client.get(board.url)
        assert (welcome.status_code, welcome.headers["location"]) == (303, "/")
        assert "HttpOnly; SameSite=Lax" in welcome.headers["set-cookie"]
        yield client


def events(answer: httpx.Response) -> Iterator[tuple[str, object]]:
    kind = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))


def test_the_door_is_closed_to_all_but_the_token_on_the_right_name(
    board: Program, viewer: httpx.Client
) -> None:
    with httpx.Client(base_url=board.base, trust_env=False, timeout=100) as stranger:
        assert stranger.get("/").status_code == 401
        assert stranger.get("/?token=wrong").status_code == 403
        assert stranger.get(board.url, headers={"host": "evil.example"}).status_code == 421
        assert stranger.post(board.url).status_code == 405
        assert "access-control-allow-origin" not in stranger.options(board.url).headers
    with viewer.stream("GET", "/api/changes") as answer:
        stream = events(answer)
        assert next(kind for kind, _ in stream if kind == "ready")
        board.interrupt()  # while the stream is open
        assert [kind for kind, _ in stream][-1] == "end"
    with pytest.raises(httpx.ConnectError):
        viewer.get("/")


def test_a_pods_life_is_seen_and_its_log_read_line_by_line(viewer: httpx.Client, config) -> None:
    kept = config.model_copy(update={"delete_pods": False})
    command = ["sh", "-c", "for n in 1 2 3; do echo line $n; sleep 0.3; done; exit 3"]
    with viewer.stream("GET", "/api/changes") as changes, PodRunner(kept) as runner:
        stream = events(changes)
        assert next(kind for kind, _ in stream if kind == "ready")
        pod = runner.launch(Workload(key={"job": "seen"}, command=command, env={"PASSWORD": "s3cret-value"}))
        with viewer.stream("GET", f"/api/pods/{_uid_in(stream)}/log") as log:
            lines = [line for kind, data in events(log) if kind == "lines" for line in data]
        assert lines == ["line 1", "line 2", "line 3"]
        ended = next(
            each for kind, data in stream if kind == "pods" for each in data["pods"] if each["category"]
        )
        assert (ended["category"], ended["exit"], ended["key"]) == ("failed", 3, "seen")
        page = viewer.get(f"/api/pods/{pod.uid}")
        assert page.json()["events"]
        assert "s3cret-value" not in page.text
        assert pod.wait(timeout_s=40).exit_code == 3


def _uid_in(stream: Iterator[tuple[str, object]]) -> str:
    return next(each["uid"] for kind, data in stream if kind == "pods" for each in data["pods"])


def test_a_server_that_is_not_there_ends_it_at_once(environment, tmp_path) -> None:
    """Otherwise its watch would try again for ever, and the command would say nothing."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: m\n"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n"
        "contexts: [{name: m, context: {cluster: c}}]\n"
    )
    done = subprocess.run(
        [*PODRUNNER, "board", "--kubeconfig", str(kubeconfig)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr.startswith("podrunner: no Kubernetes API server at http://127.0.0.1:1 (kubeconfig ")
    assert len(done.stderr.splitlines()) == 1
