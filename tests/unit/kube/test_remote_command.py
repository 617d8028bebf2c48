"""What the channels of a command say, and what its end means."""

from __future__ import annotations

import json
from collections import deque
from contextlib import suppress

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.errors import ExecError
from podrunner.kube import remote_command
from podrunner.kube.remote_command import ExecOutput, ExecSession, exit_code_of


def status(**fields):
    return json.dumps(fields).encode()


def ended(code):
    cause = {"reason": "ExitCode", "message": code}
    return status(status="Failure", reason="NonZeroExitCode", details={"causes": [{"reason": "x"}, cause]})


@pytest.mark.parametrize(
    ("data", "code"), [(status(status="Success"), 0), (ended("7"), 7), (ended("137"), 137), (ended("-1"), -1)]
)
def test_the_status_carries_the_exit_code(data, code):
    assert exit_code_of(data) == code


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"plain text", "plain text"),
        (b"\xff", "\ufffd"),
        (b"[1]", r"\[1\]"),
        (status(status="Failure", message="why", reason="InternalError"), "why"),
        (status(status="Failure"), "no reason"),
        (ended("many"), "no reason"),
        (status(status="Failure", reason="NonZeroExitCode"), "no reason"),
        (status(status="Failure", reason="NonZeroExitCode", details={"causes": 3}), "no reason"),
        (status(status="Failure", reason="NonZeroExitCode", details=[]), "no reason"),
    ],
)
def test_anything_else_is_an_error_with_the_servers_message(data, message):
    with pytest.raises(ExecError, match=message):
        exit_code_of(data)


@given(st.binary(max_size=60))
def test_no_bytes_break_it(data):
    with suppress(ExecError):
        assert isinstance(exit_code_of(data), int)


class Silent:
    """Gives its messages, then neither speaks nor closes."""

    subprotocol = "v5.channel.k8s.io"

    def __init__(self, *messages):
        self.messages = deque(messages)

    async def receive(self):
        if self.messages:
            return self.messages.popleft()
        return await anyio.sleep_forever()

    async def send(self, data):
        raise AssertionError(data)


@pytest.mark.anyio
async def test_a_server_that_does_not_close_after_the_end_is_left(monkeypatch):
    monkeypatch.setattr(remote_command, "AFTER_END_S", 0.05)
    session = ExecSession(Silent(b"\x03" + status(status="Success"), b"\x01late"))
    with anyio.fail_after(30):
        assert [output async for output in session] == [ExecOutput("stdout", b"late")]
    assert session.exit_code == 0


@pytest.mark.anyio
async def test_empty_and_unknown_messages_are_passed_over():
    session = ExecSession(Silent(b"", b"\x01", b"\x09x", b"\x02e", b"\xff\x01"))
    assert await session.read() == ExecOutput("stderr", b"e")
