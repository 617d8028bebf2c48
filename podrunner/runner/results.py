"""The result of a workload: a file that its main container left, read over exec before the pod goes.

What keeps the file within reach is ``podrunner.builder.result``. Nothing here can fail an outcome: either the whole
file is read, or a sentence says why it was not. What it holds may be secret: no log, event or sentence repeats it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from podrunner.builder.labels import RESULT_PATH
from podrunner.builder.result import RESULT_CONTAINER
from podrunner.errors import PodrunnerError, TransportError
from podrunner.kube import RequestRetry, retrying
from podrunner.log_fields import pod_fields
from podrunner.outcome.record import ContainerState
from podrunner.redaction import redact

if TYPE_CHECKING:
    from podrunner.config import RetrySettings
    from podrunner.kube import ExecSession, KubeClient
    from podrunner.outcome import Outcome
    from podrunner.outcome.record import Pod
    from podrunner.runner.tracked import TrackedPod

__all__ = ["announces_result", "with_result"]

_logger = logging.getLogger(__name__)

# A result is held as long as its outcome. etcd takes objects of 1.5 MiB, and a scheduler's database rows are smaller.
_MAX_BYTES: Final = 1024 * 1024
# The second container may still be starting when a short main one has ended.
_PATIENCE_S: Final = 60.0
# One look may take so long, also where a connection hangs.
_LOOK_S: Final = 20.0
_NO_FILE: Final = 44
# The length goes before the text, so that a connection that ends too early in good order does not cut it unseen.
_READ: Final = f'[ -e "$0" ] || exit {_NO_FILE}; wc -c < "$0" && exec cat "$0"'
_HEADER_BYTES: Final = 64
_ENDED: Final = frozenset({"Succeeded", "Failed"})


class _UnreadableError(Exception):
    """It cannot be read, and trying again does not help. The words say why."""


async def with_result(
    client: KubeClient, tracked: TrackedPod, outcome: Outcome, *, retry: RetrySettings
) -> Outcome:
    """The outcome with the workload's result, or with why it could not be read.

    Args:
        client: Where the pod is.
        tracked: The pod.
        outcome: Its outcome, a success; it stays one.
        retry: When to try again after passing trouble.
    """
    path = _announced_path(tracked)
    if path is None:
        return outcome
    why = None
    policy = RequestRetry.of(retry)
    with anyio.move_on_after(_PATIENCE_S):
        try:
            return outcome.with_result(await _read(client, tracked, path, policy=policy))
        except (_UnreadableError, PodrunnerError) as error:
            why = str(error)
    problem = f"no result from {path}: {why or _too_slow(tracked)}"
    _logger.warning("pod %s/%s: %s", tracked.namespace, tracked.name, problem, extra=pod_fields(tracked))
    return outcome.without_result(problem)


def announces_result(tracked: TrackedPod) -> bool:
    """Whether a pod is to leave a result behind."""
    return _announced_path(tracked) is not None


def _announced_path(tracked: TrackedPod) -> str | None:
    pod = tracked.pod
    return (pod.metadata.annotations or {}).get(RESULT_PATH) if pod is not None else None


async def _read(client: KubeClient, tracked: TrackedPod, path: str, *, policy: RequestRetry) -> str:
    async def look() -> bytes:
        await _within_reach(tracked)
        try:
            with anyio.fail_after(_LOOK_S):
                return await _look(client, tracked, path)
        except TimeoutError:
            raise TransportError(f"reading it took longer than {_LOOK_S:.0f} s", method="GET") from None

    data = await retrying(
        look, policy=policy, name=f"read the result of pod {tracked.namespace}/{tracked.name}"
    )
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _UnreadableError("the file is not UTF-8 text") from None


async def _within_reach(tracked: TrackedPod) -> None:
    """Returns when the container from which the file can be read runs."""
    while not (tracked.is_gone or tracked.is_relinquished) and tracked.pod is not None:
        state = _state(tracked.pod)
        if state.running is not None:
            return
        if state.terminated is not None or tracked.pod.status.phase in _ENDED:
            raise _UnreadableError(f"the container {RESULT_CONTAINER} has ended")
        await tracked.changed()
    raise _UnreadableError("the pod is gone" if tracked.is_gone else "another runner took it over")


def _state(pod: Pod) -> ContainerState:
    states = (it.state for it in pod.status.container_statuses or () if it.name == RESULT_CONTAINER)
    return next(states, ContainerState())


def _too_slow(tracked: TrackedPod) -> str:
    ran = tracked.pod is not None and _state(tracked.pod).running is not None
    what = "it could not be read" if ran else f"the container {RESULT_CONTAINER} did not start"
    return f"{what} within {_PATIENCE_S:.0f} s"


async def _look(client: KubeClient, tracked: TrackedPod, path: str) -> bytes:
    command = ["sh", "-c", _READ, path]
    async with client.exec(tracked.namespace, tracked.name, command, container=RESULT_CONTAINER) as session:
        output, errors = await _collect(session)
        exit_code = session.exit_code
    if exit_code == _NO_FILE:
        raise _UnreadableError("the main container left no such file")
    if exit_code != 0:
        words = redact(errors.decode(errors="replace")) or "no word of why"
        raise _UnreadableError(f"exit code {exit_code} ({words})")
    length, _, data = output.partition(b"\n")
    if not length.strip().isdigit() or int(length) != len(data):
        raise TransportError("the connection ended before the whole file came", method="GET")
    return data


async def _collect(session: ExecSession) -> tuple[bytes, bytes]:
    """All output, and the first errors. Refuses a file that is too long before it is held."""
    output, errors = bytearray(), bytearray()
    async for chunk in session:
        if chunk.stream == "stderr":
            errors += chunk.data[: max(0, 200 - len(errors))]
            continue
        output += chunk.data
        if len(output) > _MAX_BYTES + _HEADER_BYTES or _announced(output) > _MAX_BYTES:
            raise _UnreadableError(f"the file is larger than {_MAX_BYTES} bytes")
    return bytes(output), bytes(errors)


def _announced(output: bytearray) -> int:
    """How long the file is, once that was said."""
    end = output.find(b"\n", 0, _HEADER_BYTES)
    length = bytes(output[:end]).strip() if end >= 0 else b""
    return int(length) if length.isdigit() else 0
