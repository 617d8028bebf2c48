"""Probes and hooks: whether a container is started, alive and ready.

A prober only asks and counts; ``container`` decides what follows from an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from podrunner.local.kubelet.container_run import ContainerRun, ExecFailedError

__all__ = ["Probe", "Prober", "run_action"]

Json = Mapping[str, Any]
OUTPUT_LIMIT = 10 << 10
"""Bytes of a probe's output that are looked at (kubelet's ``maxReadLength``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A probe of a container's spec with Kubernetes' defaults."""

    kind: str
    action: Json
    initial_delay_s: float = 0
    period_s: float = 10
    timeout_s: float = 1
    success_threshold: int = 1
    failure_threshold: int = 3

    @classmethod
    def of(cls, container: Json, kind: str) -> Probe | None:
        """Return the container's probe of a kind (``startup``, ``liveness``, ``readiness``), None if it has none."""
        spec = container.get(f"{kind}Probe")
        if not spec:
            return None
        return cls(
            kind=kind,
            action=spec,
            initial_delay_s=spec.get("initialDelaySeconds") or 0,
            period_s=spec.get("periodSeconds") or 10,
            timeout_s=spec.get("timeoutSeconds") or 1,
            success_threshold=spec.get("successThreshold") or 1,
            failure_threshold=spec.get("failureThreshold") or 3,
        )


class Prober:
    """Asks again and again.

    Args:
        probe: What to ask.
        ask: Returns why it failed, or None.
        on_change: Called with each new verdict.
        on_failure: Called with the words of each failed try.
    """

    def __init__(
        self,
        probe: Probe,
        ask: Callable[[], Awaitable[str | None]],
        *,
        on_change: Callable[[bool], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self._probe = probe
        self._ask = ask
        self._on_change = on_change
        self._on_failure = on_failure
        self._run: tuple[bool, int] | None = None
        self._verdict: bool | None = None

    async def run(self) -> None:
        """Probe until cancelled; a startup probe ends with its first success."""
        await asyncio.sleep(self._probe.initial_delay_s)
        while True:
            failure = await self._try()
            if failure is not None:
                self._on_failure(failure)
            self._count(success=failure is None)
            if self._verdict and self._probe.kind == "startup":
                return
            await asyncio.sleep(self._probe.period_s)

    async def _try(self) -> str | None:
        try:
            async with asyncio.timeout(self._probe.timeout_s):
                return await self._ask()
        except TimeoutError:
            return f"command timed out after {self._probe.timeout_s:g}s"

    def _count(self, *, success: bool) -> None:
        length = self._run[1] + 1 if self._run and self._run[0] is success else 1
        self._run = (success, length)
        enough = self._probe.success_threshold if success else self._probe.failure_threshold
        if length >= enough and self._verdict is not success:
            self._verdict = success
            self._on_change(success)
        if not success and length >= enough:
            self._run = None  # a container that is restarted starts with a clean count


async def run_action(action: Json, run: ContainerRun, container: Json, *, ip: str) -> str | None:
    """Carry out a probe or hook; return why it failed, or None."""
    if "exec" in action:
        return await _exec(action["exec"].get("command") or [], run)
    if "httpGet" in action:
        return await _http_get(action["httpGet"], container, ip=ip)
    if "tcpSocket" in action:
        return await _connect(action["tcpSocket"], container, ip=ip)
    if "sleep" in action:
        await asyncio.sleep(action["sleep"].get("seconds", 0))
    return None


async def _exec(command: list[str], run: ContainerRun) -> str | None:
    try:
        process = await run.exec(command, stdin=False, tty=False)
    except ExecFailedError as error:
        return str(error)
    output = b""
    try:
        while (piece := await process.read()) is not None:
            output = (output + piece[1])[:OUTPUT_LIMIT]
        code = await process.wait()
    finally:
        await process.kill()
    return None if code == 0 else output.decode(errors="replace").strip() or f"exit code {code}"


def port_number(port: int | str, container: Json) -> int:
    """Return a port by number or by its name in the container."""
    named = {each.get("name"): each["containerPort"] for each in container.get("ports") or ()}
    return int(named.get(port, port))


async def _connect(target: Json, container: Json, *, ip: str) -> str | None:
    host, port = target.get("host") or ip, port_number(target["port"], container)
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return f"dial tcp {host}:{port}: connect: connection refused"
    writer.close()
    return None


async def _http_get(target: Json, container: Json, *, ip: str) -> str | None:
    host, port, path = (
        target.get("host") or ip,
        port_number(target["port"], container),
        target.get("path") or "/",
    )
    headers = {
        "Host": f"{host}:{port}",
        "User-Agent": "kube-probe/podrunner",
        "Accept": "*/*",
        "Connection": "close",
    }
    headers |= {each["name"]: each["value"] for each in target.get("httpHeaders") or ()}
    request = (
        f"GET {path} HTTP/1.1\r\n" + "".join(f"{key}: {value}\r\n" for key, value in headers.items()) + "\r\n"
    )
    secure = target.get("scheme", "HTTP").upper() == "HTTPS"
    try:
        line = await _first_line(host, port, request.encode(), secure=secure)
    except OSError as error:
        return (
            f'Get "{target.get("scheme", "HTTP").lower()}://{host}:{port}{path}": {error.strerror or error}'
        )
    parts = line.split(b" ", 2)
    status = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0
    return None if 200 <= status < 400 else f"HTTP probe failed with statuscode: {status}"


async def _first_line(host: str, port: int, request: bytes, *, secure: bool) -> bytes:
    context = None
    if secure:
        import ssl

        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # as the kubelet: certificates of pods are not checked
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        writer.write(request)
        return await reader.readline()
    finally:
        writer.close()
