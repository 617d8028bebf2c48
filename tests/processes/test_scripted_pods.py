"""Scripted pods: a life on time, without a process."""

from __future__ import annotations

import asyncio
import json

import pytest
from podrunner.local.kubelet import Lifecycle, LogOptions
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio


def scripted(**script):
    return {"metadata": {"annotations": {"local.podrunner.io/script": json.dumps(script)}}}


async def test_an_annotation_describes_the_whole_life(lab):
    """Pending, creating, running, ended: with exit code, reason, message and log."""
    seen = []
    lab.store.subscribe("pods", lambda _, obj: seen.append(obj["status"]))
    lab.run(
        "a",
        None,
        **scripted(
            creating_s=0.02,
            running_s=0.05,
            exit_code=137,
            reason="OOMKilled",
            message="m",
            log=["one", "two"],
        ),
    )
    end = await lab.ended("a")
    assert (end["exitCode"], end["reason"], end["message"]) == (137, "OOMKilled", "m")
    phases = [status["phase"] for status in seen]
    assert list(dict.fromkeys(phases)) == ["Pending", "Running", "Failed"]
    assert "ContainerCreating" in json.dumps(seen)
    assert await lab.log("a") == "one\ntwo\n"
    assert not (lab.folder / "pods").exists()


async def test_a_rule_scripts_pods_by_label_and_the_latest_wins(lab):
    lab.kubelet.script({"app": "x"}, Lifecycle(running_s=None))
    lab.kubelet.script(lambda pod: pod["metadata"]["name"] == "short", Lifecycle(exit_code=3))
    lab.run("long", None, metadata={"labels": {"app": "x"}})
    lab.run("short", None, metadata={"labels": {"app": "x"}})
    assert (await lab.ended("short"))["exitCode"] == 3
    obj = await lab.phase("long", "Running")
    assert obj["status"]["containerStatuses"][0]["ready"] is True
    lab.delete("long")
    await lab.gone("long")


async def test_a_scripted_pod_can_wait_for_ever(lab):
    lab.run("a", None, **scripted(waiting_reason="ImagePullBackOff", waiting_message="Back-off"))
    assert await lab.waiting("a", "ImagePullBackOff") == "Back-off"
    lab.delete("a")
    await lab.gone("a")


async def test_a_scripted_pod_can_fail_as_a_whole(lab):
    """Evicted, without container statuses (P5)."""
    lab.run("a", None, **scripted(pod_reason="Evicted", pod_message="The node was low on resource: memory."))
    obj = await lab.phase("a", "Failed")
    assert obj["status"]["reason"] == "Evicted"
    assert "containerStatuses" not in obj["status"]


async def test_leaving_takes_as_long_as_the_script_says(lab):
    """And ends a running pod with 143."""
    seen = []
    lab.store.subscribe("pods", lambda kind, obj: seen.append((kind, obj["status"])))
    lab.run("a", None, **scripted(running_s=None, terminating_s=0.05))
    await lab.phase("a", "Running")
    lab.delete("a")
    assert lab.store.find("pods", "default", "a") is not None
    await lab.gone("a")
    assert seen[-1][1]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 143


async def test_a_finalizer_holds_a_scripted_pod_too(lab):
    fields = scripted(running_s=None)
    fields["metadata"]["finalizers"] = ["example.com/hold"]
    lab.run("a", None, **fields)
    await lab.phase("a", "Running")
    lab.delete("a")
    await lab.phase("a", "Failed")
    await asyncio.sleep(0.02)
    lab.store.update(
        "pods", "default", "a", lambda obj: {**obj, "metadata": {**obj["metadata"], "finalizers": []}}
    )
    await lab.gone("a")


def set_deadline(lab, name, seconds):
    lab.store.update(
        "pods",
        "default",
        name,
        lambda obj: {**obj, "spec": {**obj["spec"], "activeDeadlineSeconds": seconds}},
    )


async def test_a_lowered_deadline_ends_a_scripted_pod(lab):
    """With the exit code of its script; its log stays."""
    lab.run(
        "a",
        None,
        activeDeadlineSeconds=500,
        **scripted(running_s=100, log=["up"], stopped_exit_code=7, terminating_s=0.05),
    )
    await lab.phase("a", "Running")
    set_deadline(lab, "a", 400)
    set_deadline(lab, "a", 0.01)
    end = await lab.ended("a")
    assert (end["exitCode"], end["reason"]) == (7, "Error")
    obj = lab.store.find("pods", "default", "a")
    assert (obj["status"]["phase"], obj["status"]["reason"]) == ("Failed", "DeadlineExceeded")
    assert await lab.log("a") == "up\n"
    assert "DeadlineExceeded" in {each["reason"] for each in lab.store.list("events")}


async def test_a_scripted_pod_that_has_ended_has_no_deadline_any_more(lab):
    lab.run("a", None, activeDeadlineSeconds=3, **scripted(running_s=0.01))
    await lab.phase("a", "Succeeded")
    await until(lambda: not lab.kubelet._scripts._heap, within_s=40)  # its deadline has come
    assert "reason" not in lab.store.find("pods", "default", "a")["status"]


async def test_a_scripted_pod_that_never_ran_has_no_end_of_its_own(lab):
    """It is ended while it waits for its image."""
    lab.run("a", None, activeDeadlineSeconds=0.05, **scripted(waiting_reason="ImagePullBackOff"))
    end = await lab.ended("a")
    assert (end["reason"], end["finishedAt"]) == ("ContainerStatusUnknown", None)


async def test_the_log_of_a_scripted_pod_that_was_deleted_while_it_ran_is_lost(lab):
    """As a kubelet removes the containers of a deleted pod, also of one that is held."""
    fields = scripted(running_s=None, log=["up"])
    fields["metadata"]["finalizers"] = ["example.com/hold"]
    lab.run("a", None, **fields)
    await lab.phase("a", "Running")
    lab.delete("a")
    await lab.phase("a", "Failed")
    assert await lab.log("a") == "up\n"
    await asyncio.sleep(1.2)
    assert (await lab.log("a")).startswith("unable to retrieve container logs for podrunner://")


async def test_sidecars_and_init_containers_have_statuses_too(lab):
    inits = [{"name": "i", "image": "x"}, {"name": "s", "image": "x", "restartPolicy": "Always"}]
    lab.run("a", None, initContainers=inits, **scripted(running_s=0.02, exit_code=1))
    obj = await lab.phase("a", "Failed")
    codes = [each["state"]["terminated"]["exitCode"] for each in obj["status"]["initContainerStatuses"]]
    assert codes == [0, 0]


async def test_following_gives_lines_as_their_time_comes(lab):
    """And ends with the pod."""
    lab.run("a", None, **scripted(running_s=3, log=["1", "2", "3", "4"]))
    obj = await lab.phase("a", "Running")
    pieces = [piece async for piece in lab.kubelet.read_log(obj, "main", LogOptions(follow=True))]
    assert b"".join(pieces) == b"1\n2\n3\n4\n"
    assert len(pieces) > 1
    assert await lab.log("a", tail_lines=2) == "3\n4\n"
    assert await lab.log("a", limit_bytes=3) == "1\n2"
    assert (await lab.log("a", timestamps=True)).split()[1] == "1"
    assert await lab.log("a", since_seconds=100) == "1\n2\n3\n4\n"
    assert await lab.log("a", since_time="2999-01-01T00:00:00Z") == ""


async def test_following_a_pod_that_has_not_begun_waits_for_it(lab):
    lab.run("a", None, **scripted(pending_s=0.05, running_s=0.0, log=["x"]))
    obj = await lab.until("a", lambda obj: obj["spec"].get("nodeName"))
    await asyncio.sleep(0)
    pieces = [piece async for piece in lab.kubelet.read_log(obj, "main", LogOptions(follow=True))]
    assert b"".join(pieces) == b"x\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [("[1]", "JSON object"), ('{"runing_s": 1}', "unknown fields: runing_s"), ("{", "Expecting")],
)
async def test_a_script_that_cannot_be_read_is_an_event(lab, text, words):
    """By an event; the pod stays pending."""
    lab.run("a", None, metadata={"annotations": {"local.podrunner.io/script": text}})
    await lab.until("a", lambda obj: obj["spec"].get("nodeName"))
    assert any(reason == "InvalidScript" and words in message for reason, message in lab.recorded("a"))


async def test_a_thousand_scripted_pods_cost_no_task_and_no_process(lab):
    """All end; one timer serves them."""
    lab.kubelet.script({"app": "x"}, Lifecycle(running_s=0.05))
    before = len(asyncio.all_tasks())
    ended = asyncio.Event()
    done = set()

    def look(_, obj):
        if obj["status"]["phase"] == "Succeeded":
            done.add(obj["metadata"]["name"])
            if len(done) == 1000:
                ended.set()

    lab.store.subscribe("pods", look)
    for number in range(1000):
        lab.run(f"p{number}", None, metadata={"labels": {"app": "x"}})
    assert len(asyncio.all_tasks()) == before
    await asyncio.wait_for(ended.wait(), 50)


async def test_a_pod_removed_by_force_is_forgotten(lab):
    lab.run("a", None, **scripted(running_s=0.05))
    await lab.phase("a", "Running")
    lab.store.remove("pods", "default", "a")
    await asyncio.sleep(0.1)
    assert not lab.kubelet._scripts._lives


async def test_a_scripted_log_has_stamps_that_are_out_of_order(lab):
    """G12: as a runtime stamps two streams; sinceTime is compared with the stamps."""
    life = scripted(running_s=0.05, log=["one", "late", "two", "late too"], log_offsets_s=[0, -4])
    lab.run("a", None, **life)
    await lab.ended("a")
    lines = (await lab.log("a", timestamps=True)).splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["one", "late", "two", "late too"]
    assert lines[1] < lines[3] < lines[0] < lines[2]
    since = lines[0].split()[0]
    assert await lab.log("a", since_time=since) == "one\ntwo\n"
