"""Serves exec and attach: connects a process with a conversation with the client.

Which process, and whether it may be started, is the caller's business; protocols are ``conversation``'s.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from podrunner.local.api.status import StatusError, bad_request
from podrunner.local.streams import outcomes
from podrunner.local.streams.conversation import Conversation, StreamSet, negotiated, open_conversation
from podrunner.local.streams.process import ContainerProcess, TerminalSize
from podrunner.local.streams.upgrade import require_upgrade

__all__ = ["OpenProcess", "serve_attach", "serve_exec"]

OpenProcess = Callable[[], Awaitable[ContainerProcess]]
_Verdict = Callable[[int], dict[str, Any]]
_KILL_TIMEOUT_S: Final = 10.0
"""How long a process may take to die when its client is gone; the handler does not wait longer."""


async def serve_exec(
    request: web.Request, open_process: OpenProcess, *, stdin: bool, stdout: bool, stderr: bool, tty: bool
) -> web.StreamResponse:
    """Run a command for the client of ``request``; return when it is over.

    The process is started once the protocol is agreed and before the upgrade, so that a StatusError of
    ``open_process`` (no such container) becomes an ordinary HTTP answer; any other error (no such program) is sent on
    the error channel, as a kubelet does. A client that leaves ends its command.

    Args:
        request: The upgrade request, its query already read.
        open_process: Starts the process.
        stdin: Whether the client sends input.
        stdout: Whether the client takes output.
        stderr: Whether the client takes error output; not with a terminal, where there is but one output.
        tty: Whether there is a terminal.

    Raises:
        StatusError: No upgrade or no stream was asked for, or ``open_process`` refuses.
        ConnectionError: The client left during the upgrade, or did not open its streams; no answer can be sent.
    """
    wanted = _wanted(stdin=stdin, stdout=stdout, stderr=stderr, tty=tty)
    return await _serve(request, open_process, wanted, outcomes.exit_status)


async def serve_attach(
    request: web.Request, open_process: OpenProcess, *, stdin: bool, stdout: bool, stderr: bool, tty: bool
) -> web.StreamResponse:
    """Join a running process; as :func:`serve_exec`, but its end is a success with any exit code.

    ``kill`` of the process that ``open_process`` gives must only detach from it: a client that leaves ends nothing.
    """
    wanted = _wanted(stdin=stdin, stdout=stdout, stderr=stderr, tty=tty)
    return await _serve(request, open_process, wanted, lambda _code: outcomes.success_status())


def _wanted(*, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> StreamSet:
    wanted = StreamSet(stdin=stdin, stdout=stdout, stderr=stderr and not tty, tty=tty)
    if not (wanted.stdin or wanted.stdout or wanted.stderr):
        raise bad_request("you must specify at least 1 of stdin, stdout, stderr")
    return wanted


async def _serve(
    request: web.Request, open_process: OpenProcess, wanted: StreamSet, verdict: _Verdict
) -> web.StreamResponse:
    require_upgrade(request.headers)
    protocol = negotiated(request)
    if isinstance(protocol, web.Response):
        return protocol
    process = await _opened(open_process)
    try:
        conversation = await open_conversation(
            request, wanted, protocol=protocol, on_resize=lambda size: _resize(process, size)
        )
    except BaseException:
        await _release(process)
        raise
    try:
        await _converse(conversation, process, wanted, verdict)
    finally:
        await conversation.aclose()
    return conversation.response


async def _opened(open_process: OpenProcess) -> ContainerProcess | Exception:
    """Return the process, or why there is none; a StatusError goes straight to the client."""
    try:
        return await open_process()
    except StatusError:
        raise
    except Exception as error:  # noqa: BLE001 - any error is reported to the client, as a kubelet does
        return error


def _resize(process: ContainerProcess | Exception, size: TerminalSize) -> None:
    if not isinstance(process, Exception):
        process.resize(size.width, size.height)


async def _converse(
    conversation: Conversation, process: ContainerProcess | Exception, wanted: StreamSet, verdict: _Verdict
) -> None:
    with contextlib.suppress(ConnectionError):
        if isinstance(process, Exception):
            await conversation.finish(outcomes.failure_status(process))
        elif (status := await _relay(conversation, process, wanted, verdict)) is not None:
            await conversation.finish(status)


async def _relay(
    conversation: Conversation, process: ContainerProcess, wanted: StreamSet, verdict: _Verdict
) -> dict[str, Any] | None:
    """Carry bytes both ways until the process is over; the status to send, or None when the client left first."""
    ending = asyncio.create_task(_outcome(conversation, process, wanted), name="exec output")
    leaving = asyncio.create_task(conversation.gone.wait(), name="exec client")
    feeding = asyncio.create_task(_feed(conversation, process, wanted), name="exec input")
    try:
        await asyncio.wait({ending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return _status(ending, verdict) if ending.done() else None
    finally:
        over = ending.done() and not ending.cancelled() and ending.exception() is None
        try:
            await _cancel(ending, leaving, feeding)
        finally:
            if not over:
                await _release(process)


def _status(ending: asyncio.Task[int], verdict: _Verdict) -> dict[str, Any]:
    """Return the status for the client: the verdict, or why the process was lost; ConnectionError if it left."""
    problem = ending.exception()
    if problem is None:
        return verdict(ending.result())
    if isinstance(problem, ConnectionError) or not isinstance(problem, Exception):
        raise problem
    return outcomes.failure_status(problem)


async def _outcome(conversation: Conversation, process: ContainerProcess, wanted: StreamSet) -> int:
    while (output := await process.read()) is not None:
        name, data = output
        if wanted.wants(name):
            await conversation.write(name, data)
    return await process.wait()


async def _feed(conversation: Conversation, process: ContainerProcess, wanted: StreamSet) -> None:
    """Pass input on. A process that reads no more is no error, and must not hold up the client."""
    if not wanted.stdin:
        return
    with contextlib.suppress(ConnectionError):
        is_read = True
        while data := await conversation.read_stdin():
            is_read = is_read and await _write(process, data)
    if not conversation.gone.is_set():
        with contextlib.suppress(OSError):
            await process.close_stdin()


async def _write(process: ContainerProcess, data: bytes) -> bool:
    try:
        await process.write_stdin(data)
    except OSError:
        return False
    return True


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def _release(process: ContainerProcess | Exception) -> None:
    """End the process even if the handler itself is being cancelled."""
    if isinstance(process, Exception):
        return
    killing = asyncio.ensure_future(process.kill())
    await asyncio.shield(asyncio.wait({killing}, timeout=_KILL_TIMEOUT_S))
