"""What an ordinary user gets: mounts below /root, a root of their own, files that are theirs."""

from __future__ import annotations

import os

import pytest

pytestmark = pytest.mark.processes

UID = 54321
SCRIPT = """
import asyncio, sys
from pathlib import Path
from podrunner.local.api.storage.events import EventRecorder
from podrunner.local.kubelet import Kubelet, LogOptions
from podrunner.local.api.storage.store import Store

async def main(folder, isolation):
    store = Store()
    kubelet = Kubelet(store, EventRecorder(store), folder=folder, isolation=isolation)
    await kubelet.start()
    store.create("configmaps", {"metadata": {"name": "dags", "namespace": "default"}, "data": {"a.py": "A = 1"}})
    command = "cat /root/airflow/dags/a.py; echo; id -u; ls $DAGS; touch /podrunner-out/f; ls /podrunner-out"
    mounts = [{"name": "dags", "mountPath": "/root/airflow/dags"}, {"name": "out", "mountPath": "/podrunner-out"}]
    container = {"name": "main", "image": "x", "command": ["sh", "-c", command], "volumeMounts": mounts}
    container["env"] = [{"name": "DAGS", "value": "/root/airflow/dags"}]
    volumes = [{"name": "dags", "configMap": {"name": "dags"}}]
    volumes.append({"name": "out", "hostPath": {"path": str(folder / "out")}})
    spec = {"containers": [container], "volumes": volumes, "restartPolicy": "Never"}
    meta = {"name": "a", "namespace": "default"}
    store.create("pods", {"metadata": meta, "spec": spec, "status": {"phase": "Pending"}})
    while store.get("pods", "default", "a")["status"]["phase"] not in {"Succeeded", "Failed"}:
        await asyncio.sleep(0.01)
    pod = store.get("pods", "default", "a")
    log = b"".join([piece async for piece in kubelet.read_log(pod, "main", LogOptions())])
    print(kubelet.node.isolation, *log.decode().split(), flush=True)
    await kubelet.stop()

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


@pytest.mark.parametrize("isolation", ["auto", "none"])
def test_volumes_are_below_root_and_files_are_the_users_own(open_folder, start_python, isolation):
    """As root inside where namespaces work, as the user where not; the machine sees the user's files."""
    process = start_python(SCRIPT, str(open_folder / "cluster"), isolation, uid=UID)
    level, *words = process.stdout.readline().split()
    assert process.wait(50) == 0
    assert level == {"auto": level, "none": "none"}[isolation]
    assert words == ["A", "=", "1", "0" if level == "user" else str(UID), "a.py", "f"]
    assert (open_folder / "cluster" / "out" / "f").stat().st_uid == UID
    assert not os.path.lexists("/podrunner-out")
