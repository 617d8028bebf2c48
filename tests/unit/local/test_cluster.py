"""LocalCluster as a whole: starts, stops, leaves nothing, and refuses what cannot work."""

from __future__ import annotations

import asyncio
import signal
import socket
import stat
import sys
import tempfile
import threading
from contextlib import suppress

import httpx
import pytest
import yaml
from podrunner.errors import UsageError
from podrunner.local import Lifecycle, LocalCluster
from podrunner.local import cluster as cluster_module
from podrunner.local.api.server import ApiServer
from podrunner.local.control import ControlPlane
from podrunner.local.folder import ClusterFolder
from tests.support.signals import signal_action
from tests.support.waiting import until_blocking

pytestmark = pytest.mark.processes
PATIENCE_S = 40.0
"""Of clients on a busy machine: httpx gives up after 5 s by default."""


def get(cluster, path="/version", *, token=None):
    verify = not cluster.authority
    headers = {"Authorization": f"Bearer {token or cluster.token}"}
    with httpx.Client(
        base_url=cluster.url, headers=headers, verify=verify, trust_env=False, timeout=PATIENCE_S
    ) as http:
        return http.get(path)


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    """S1: whatever a test does, the threads of its clusters end (other tests' clusters may live on)."""
    before = set(threading.enumerate())
    yield
    left = {each.name for each in set(threading.enumerate()) - before}
    assert "podrunner-local-cluster" not in left


def test_it_serves_and_leaves_nothing():
    """S1: no thread, no folder, no listener."""
    with LocalCluster.blocking() as cluster:
        assert get(cluster).status_code == 200
        assert get(cluster, token="wrong").status_code == 401
        folder = cluster.folder
        assert folder.is_dir()
    assert not folder.exists()
    with pytest.raises(httpx.ConnectError):
        get(cluster)


def test_a_client_that_leaves_before_the_answer_is_no_error_of_the_server(monkeypatch, caplog):

    async def leave(_self, _request):
        raise ConnectionResetError("Cannot write to closing transport")

    with LocalCluster.blocking() as cluster:
        monkeypatch.setattr(ApiServer, "_answer", leave)
        get(cluster)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.anyio
async def test_it_is_entered_from_any_event_loop(tmp_path):
    async with LocalCluster(tmp_path) as cluster:
        assert cluster.kubeconfig.is_file()
    assert tmp_path.is_dir()


def test_the_kubeconfig_is_private_and_goes_with_the_cluster(tmp_path):
    with LocalCluster.blocking(tmp_path) as cluster:
        mode = stat.S_IMODE(cluster.kubeconfig.stat().st_mode)
        config = yaml.safe_load(cluster.kubeconfig.read_text())
        assert not list(tmp_path.glob(".tls*"))
    assert mode == 0o600
    assert config["clusters"][0]["cluster"]["server"] == cluster.url
    assert config["users"][0]["user"]["token"] == cluster.token
    assert not cluster.kubeconfig.exists()


def test_two_live_side_by_side():
    with LocalCluster.blocking() as one, LocalCluster.blocking(tls=False) as two:
        assert one.url != two.url
        assert (one.url[:5], two.url[:5]) == ("https", "http:")
        assert get(one).status_code == get(two).status_code == 200
        assert get(one, token=two.token).status_code == 401


def test_a_folder_serves_one_at_a_time(tmp_path):
    with (
        LocalCluster.blocking(tmp_path),
        pytest.raises(UsageError, match="another LocalCluster uses the folder"),
    ):
        LocalCluster(tmp_path).start()
    with LocalCluster.blocking(tmp_path) as again:
        assert get(again).status_code == 200


def test_a_port_that_is_taken_is_a_usage_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} of 127.0.0.1"):
            LocalCluster(port=port).start()


def test_it_starts_once_and_stops_as_often_as_you_like():
    cluster = LocalCluster()
    cluster.stop()
    with pytest.raises(UsageError, match="does not run"):
        cluster.call(print)
    with pytest.raises(UsageError, match="does not run"):
        _ = cluster.control
    cluster.start()
    with pytest.raises(UsageError, match="runs already"):
        cluster.start()
    cluster.stop()
    cluster.stop()


def test_an_open_watch_does_not_delay_the_end():
    with LocalCluster.blocking() as cluster:
        headers = {"Authorization": f"Bearer {cluster.token}"}
        http = httpx.Client(
            base_url=cluster.url, headers=headers, verify=False, trust_env=False, timeout=PATIENCE_S
        )
        with http.stream("GET", "/api/v1/pods?watch=1") as response:
            assert response.status_code == 200
            cluster.stop()
        http.close()


def test_a_scripted_pod_needs_no_process():
    pod = {
        "metadata": {"name": "p", "labels": {"scripted": "yes"}},
        "spec": {"containers": [{"name": "c", "image": "x"}]},
    }
    with LocalCluster.blocking() as cluster:
        cluster.script({"scripted": "yes"}, Lifecycle(exit_code=3))
        seen = threading.Event()

        def watch(_kind, obj):
            if obj["status"].get("phase") == "Failed":
                seen.set()

        cluster.call(cluster.control.store.subscribe, "pods", watch)
        headers = {"Authorization": f"Bearer {cluster.token}"}
        path = f"{cluster.url}/api/v1/namespaces/default/pods"
        spec = {**pod["spec"], "restartPolicy": "Never"}
        answer = httpx.post(
            path,
            json={**pod, "spec": spec},
            headers=headers,
            verify=False,
            trust_env=False,
            timeout=PATIENCE_S,
        )
        answer.raise_for_status()
        assert seen.wait(PATIENCE_S)


@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.1, 0.5])
def test_a_start_or_a_stop_that_is_cancelled_again_and_again_leaves_nothing(tmp_path, monkeypatch, after_s):
    """H3: ``Task.cancel()`` of asyncio, which no scope shields from: no thread, and no temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    async def use() -> None:
        async with LocalCluster():
            await asyncio.sleep(0.1)

    async def main() -> None:
        task = asyncio.create_task(use())
        for _ in range(3):
            await asyncio.sleep(after_s)
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


class CtrlC:
    """Presses Ctrl-C, from the cluster's thread, while the main thread waits for the cluster in a function."""

    def __init__(self):
        self._main = threading.main_thread().ident
        self.heard_in = []

    def hear(self, _number, frame):
        """As the action of SIGINT."""
        self.heard_in.append(self._waits_in(frame))
        raise KeyboardInterrupt

    def press_while_it_waits_in(self, name):
        until_blocking(lambda: self._waits_in(sys._current_frames()[self._main]) == name, every_s=0.005)
        pressed = len(self.heard_in)
        signal.pthread_kill(self._main, signal.SIGINT)
        until_blocking(lambda: len(self.heard_in) > pressed, every_s=0.005)

    @staticmethod
    def _waits_in(frame):
        """The function that called threading's ``wait``; None: the thread does not wait there."""
        if frame.f_code.co_name != "wait":
            return None
        while frame.f_code.co_name == "wait":  # of an Event, and of its Condition
            frame = frame.f_back
        return frame.f_code.co_name


@pytest.mark.parametrize(
    "where",
    [(ClusterFolder, "__enter__"), (ControlPlane, "start"), (cluster_module, "kubeconfig")],
    ids=["before its folder", "before its server", "when it listens"],
)
def test_ctrl_c_during_its_start_leaves_nothing(tmp_path, monkeypatch, where):
    """H3: and again while it is being stopped for that."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ctrl_c, begin, leave = CtrlC(), getattr(*where), ClusterFolder.__exit__

    def begun(*args, **options):
        ctrl_c.press_while_it_waits_in("result")
        return begin(*args, **options)

    def left(*args):
        ctrl_c.press_while_it_waits_in("wait_out")
        return leave(*args)

    monkeypatch.setattr(*where, begun)
    monkeypatch.setattr(ClusterFolder, "__exit__", left)
    with (
        signal_action(signal.SIGINT, ctrl_c.hear),
        pytest.raises(KeyboardInterrupt),
        LocalCluster.blocking(),
    ):
        pytest.fail("it has started")
    assert ctrl_c.heard_in == ["result", "wait_out"]
    assert list(tmp_path.iterdir()) == []
