"""Logs of running and ended containers, as the API server asks for them."""

from __future__ import annotations

import asyncio

import pytest
from podrunner.local.api.status import StatusError
from podrunner.local.kubelet import LogOptions

pytestmark = [pytest.mark.asyncio, pytest.mark.processes]


async def test_following_a_running_container_ends_with_it(lab):
    """All lines, then the end."""
    lab.run("a", ["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.05; done"])
    await lab.phase("a", "Running")
    assert await lab.log("a", follow=True) == "1\n2\n3\n"


async def test_a_big_output_arrives_whole_and_in_order(lab):
    """20,000 lines while a follower reads."""
    lab.run("a", ["sh", "-c", "seq 20000"])
    await lab.phase("a", "Running", "Succeeded")
    assert await lab.log("a", follow=True) == "".join(f"{number}\n" for number in range(1, 20_001))


async def test_the_previous_run_can_be_read(lab, tmp_path):
    """After a crash."""
    lab.run(
        "a",
        [
            "sh",
            "-c",
            f"test -e {tmp_path}/f && echo second && exec sleep 100; touch {tmp_path}/f; echo first; exit 1",
        ],
        restartPolicy="Always",
    )
    await lab.until(
        "a",
        lambda obj: (
            obj["status"].get("containerStatuses", [{}])[0].get("restartCount") == 1
            and obj["status"]["containerStatuses"][0]["ready"]
        ),
    )
    assert await lab.log("a", previous=True) == "first\n"
    assert (await lab.log("a")) in {"", "second\n"}


async def test_without_a_log_the_answer_has_the_reason(make_lab):
    """Kubernetes' words for a container that waits, and for a run that never was."""
    lab = await make_lab(strict_images=True)
    lab.run("a", ["true"], image="no:1")
    await lab.waiting("a", "ImagePullBackOff")
    with pytest.raises(StatusError) as refused:
        await lab.log("a")
    assert refused.value.code == 400
    assert (
        refused.value.message
        == 'container "main" in pod "a" is waiting to start: trying and failing to pull image'
    )
    with pytest.raises(StatusError, match='previous terminated container "main" in pod "a" not found'):
        await lab.log("a", previous=True)


async def test_a_follower_survives_the_pods_removal(lab):
    """It gets what was written, and then the end."""
    lab.run("a", ["sh", "-c", "echo before; sleep 100"])
    obj = await lab.phase("a", "Running")
    pieces = lab.kubelet.read_log(obj, "main", LogOptions(follow=True))
    assert await anext(pieces) == b"before\n"
    lab.delete("a")
    await lab.gone("a")
    assert await asyncio.wait_for(anext(pieces, None), 40) is None


async def test_a_full_log_disk_does_not_stop_the_container(lab, tmp_path):
    """Lines are lost, the workload goes on (P8)."""
    lab.run("a", ["sh", "-c", f"until test -e {tmp_path}/full; do sleep 0.05; done; seq 10"])
    obj = await lab.phase("a", "Running")
    log = lab.kubelet._workers[obj["metadata"]["uid"]].containers["main"].current.log
    real = log._file

    class Full:
        def write(self, _):
            raise OSError(28, "No space left on device")

        def close(self):
            real.close()

    log._file = Full()
    (tmp_path / "full").touch()
    assert (await lab.ended("a"))["exitCode"] == 0
