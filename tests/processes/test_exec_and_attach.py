"""Programs beside a container's own, and clients joined to it."""

from __future__ import annotations

import asyncio
import signal

import pytest
from podrunner.local.api.status import StatusError
from podrunner.local.kubelet.container_run import ExecFailedError

pytestmark = [pytest.mark.asyncio, pytest.mark.processes]


async def running(lab, **fields):
    """A pod that runs until it is asked to end."""
    lab.run("a", fields.pop("command", ["sleep", "1000"]), **fields)
    return await lab.phase("a", "Running")


async def test_exec_has_the_containers_environment_and_mounts(any_lab):
    """With its own exit code."""
    any_lab.store.create(
        "configmaps", {"metadata": {"name": "c", "namespace": "default"}, "data": {"f": "data\n"}}
    )
    await running(
        any_lab,
        env=[{"name": "V", "value": "1"}],
        volumes=[{"name": "v", "configMap": {"name": "c"}}],
        volumeMounts=[{"name": "v", "mountPath": "/of-podrunner"}],
    )
    assert await any_lab.exec("a", ["sh", "-c", "cat /of-podrunner/f; echo $V; exit 7"]) == (7, "data\n1\n")


async def test_exec_reads_its_input_to_the_end(any_lab):
    await running(any_lab)
    assert await any_lab.exec("a", ["cat"], stdin=b"x" * 300_000) == (0, "x" * 300_000)


async def test_exec_on_a_terminal_has_a_size_and_knows_it(any_lab):
    """The size can change while it runs."""
    obj = await running(any_lab)
    process = await any_lab.kubelet.exec(
        obj, "main", ["sh", "-c", "test -t 0 && read a; stty size"], stdin=True, tty=True
    )
    process.resize(120, 40)
    await process.write_stdin(b"go\n")
    output = b""
    while (piece := await process.read()) is not None:
        output += piece[1]
    assert output.decode().splitlines()[-1] == "40 120"
    assert await process.wait() == 0


async def test_exec_of_nothing_known_fails_in_containerds_words(any_lab):
    await running(any_lab)
    with pytest.raises(ExecFailedError, match='exec: "no-such": executable file not found in \\$PATH'):
        await any_lab.exec("a", ["no-such"])


async def test_a_killed_exec_takes_its_group_along(any_lab):
    """The client went away."""
    obj = await running(any_lab)
    process = await any_lab.kubelet.exec(
        obj, "main", ["sh", "-c", "sleep 1000; echo"], stdin=False, tty=False
    )
    await process.kill()
    assert await asyncio.wait_for(process.wait(), 40) == 128 + signal.SIGKILL
    assert await process.read() is None


async def test_exec_ends_when_the_container_does(any_lab, tmp_path):
    """137, as all that is in it."""
    go = tmp_path / "go"
    obj = await running(any_lab, command=["sh", "-c", f"until test -e {go}; do sleep 0.05; done"])
    process = await any_lab.kubelet.exec(obj, "main", ["sleep", "1000"], stdin=False, tty=False)
    go.touch()
    assert await asyncio.wait_for(process.wait(), 40) == 137


async def test_a_slow_client_makes_the_program_wait_not_the_memory_grow(lab):
    """Output is read as fast as it is taken."""
    obj = await running(lab)
    process = await lab.kubelet.exec(
        obj, "main", ["sh", "-c", "head -c 5000000 /dev/zero"], stdin=False, tty=False
    )
    await asyncio.sleep(0.2)
    assert process._buffer._size < 2_000_000
    total = 0
    while (piece := await process.read()) is not None:
        total += len(piece[1])
    assert total == 5_000_000


async def test_exec_in_a_container_that_does_not_run_is_refused(lab):
    lab.run("a", ["true"])
    await lab.phase("a", "Succeeded")
    with pytest.raises(StatusError, match="container not found"):
        await lab.exec("a", ["true"])


async def test_attach_sees_output_and_gives_input(lab):
    """`kubectl attach -i`; stdinOnce ends the input with the first client."""
    obj = await running(
        lab,
        command=["sh", "-c", "while read line; do echo got $line; done; echo end"],
        stdin=True,
        stdinOnce=True,
    )
    client = await lab.kubelet.attach(obj, "main", stdin=True, tty=False)
    await client.write_stdin(b"one\n")
    assert await client.read() == ("stdout", b"got one\n")
    await client.close_stdin()
    assert await client.read() == ("stdout", b"end\n")
    assert await client.read() is None
    assert await client.wait() == 0
    assert await lab.log("a") == "got one\nend\n"


async def test_the_first_client_gets_what_was_written_before_it_came(lab):
    """`kubectl run --attach` of a short program."""
    obj = await running(lab, command=["sh", "-c", "echo said; read line"], stdin=True)
    while await lab.log("a") != "said\n":  # a file gives no notice
        await asyncio.sleep(0.005)
    first = await lab.kubelet.attach(obj, "main", stdin=True, tty=False)
    assert await first.read() == ("stdout", b"said\n")


async def test_an_attached_client_may_leave_without_ending_the_container(lab):
    """And another may join."""
    obj = await running(lab, command=["sh", "-c", "while :; do echo tick; sleep 0.02; done"])
    one = await lab.kubelet.attach(obj, "main", stdin=False, tty=False)
    assert (await one.read())[1].startswith(b"tick")
    await one.kill()
    two = await lab.kubelet.attach(obj, "main", stdin=False, tty=False)
    assert (await two.read())[1].startswith(b"tick")
    await two.kill()


async def test_a_container_with_a_terminal_can_be_attached_and_resized(lab):
    """`kubectl run -it`."""
    obj = await running(
        lab, command=["sh", "-c", "read a; stty size; test -t 1 && echo terminal"], stdin=True, tty=True
    )
    client = await lab.kubelet.attach(obj, "main", stdin=True, tty=True)
    client.resize(90, 30)
    await client.write_stdin(b"go\n")
    output = b""
    while (piece := await client.read()) is not None:
        output += piece[1]
    assert b"30 90" in output
    assert b"terminal" in output
    client.resize(1, 1)
