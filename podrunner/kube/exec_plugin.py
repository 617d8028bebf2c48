"""Run an exec plugin: a program that grants the credentials of a kubeconfig's user.

As client-go does it, on asyncio and trio, with three differences: a time limit, a standard error that is kept for the
error's text instead of being written to ours, and a standard input that is empty unless the caller lends its terminal.
What is asked and answered does not belong here (``exec_credential``), nor when it is asked (``credentials``).
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TextIO

import anyio

from podrunner.errors import ConfigError
from podrunner.kube.exec_credential import exec_info, read_credential
from podrunner.kube.tls import check_client_certificate
from podrunner.redaction import redact_output, secrets_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anyio.abc import ByteReceiveStream, Process

    from podrunner.kube.exec_credential import ExecCredential, ExecPlugin

__all__ = ["PLUGIN_TIMEOUT_S", "PluginRunner"]

_logger = logging.getLogger(__name__)

PLUGIN_TIMEOUT_S: Final = 60.0
"""Seconds that a plugin may take by default. client-go waits for ever; the requests that need the credentials wait too.
"""

_MAX_OUTPUT_BYTES: Final = 1024 * 1024
"""Of an answer: a token or certificates have some KiB."""

_KEPT_ERROR_BYTES: Final = 1000
"""Of the standard error, its end, as much as an error shows: what made a program fail stands there."""

_OUTPUT_AFTER_END_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Ended:
    """A plugin that has ended: its exit code, its whole output, and the end of its standard error."""

    code: int
    output: bytes
    error: bytes


class PluginRunner:
    """Runs one plugin, as often as it is asked.

    Args:
        plugin: The plugin.
        environ: The environment that it gets, with its own variables added.
        timeout_s: Seconds that a run may take.
        lends_terminal: Whether the plugin may use standard input and standard error of this process, if they are a
            terminal: those of a command, never those of a library's embedder.
    """

    def __init__(
        self,
        plugin: ExecPlugin,
        *,
        environ: Mapping[str, str] = os.environ,
        timeout_s: float = PLUGIN_TIMEOUT_S,
        lends_terminal: bool = False,
    ) -> None:
        self._plugin = plugin
        self._environ = environ
        self._timeout_s = timeout_s
        self._lends_terminal = lends_terminal

    async def run(self) -> ExecCredential:
        """Run the plugin and return what it granted. If this is cancelled, the program is killed.

        Raises:
            ConfigError: It cannot be run, failed, took too long, or did not answer as it must; says which plugin, of
                which kubeconfig and user.
        """
        ended = await self._ended(interactive=self._is_interactive())
        said = self._said(ended.error)
        if ended.code != 0:
            how = (
                f"failed with exit code {ended.code}"
                if ended.code > 0
                else f"was ended by signal {-ended.code}"
            )
            raise self._failed(f"{how}{f': {said}' if said else ''}")
        credential = read_credential(self._plugin, ended.output)
        if said:
            _logger.info("the credential plugin %s says: %s", self._plugin.command, said)
        if credential.certificate is not None and credential.key is not None:
            try:
                check_client_certificate(credential.certificate, credential.key)
            except ConfigError as error:
                raise self._failed(f"returned an unusable client certificate: {error.problem}") from None
        return credential

    def _is_interactive(self) -> bool:
        mode = self._plugin.interactive_mode
        has_terminal = self._lends_terminal and _is_terminal(sys.stdin)
        if mode == "Always" and not has_terminal:
            raise self._failed(
                "wants a terminal (interactiveMode: Always), and there is none",
                "Log in with kubectl in a terminal, if the plugin keeps its credentials; or use one that needs none.",
            )
        return has_terminal and mode != "Never"

    async def _ended(self, *, interactive: bool) -> _Ended:
        error = bytearray()
        process = await self._started(interactive=interactive)
        is_over = False
        try:
            with anyio.fail_after(self._timeout_s):
                ended = await self._read(process, error)
            is_over = True
        except TimeoutError:
            said = self._said(error)
            raise self._failed(
                f"did not end within {self._timeout_s:g} s{f': {said}' if said else ''}",
                "Run it in a terminal to see what it waits for, or raise exec_plugin_timeout_s.",
            ) from None
        finally:
            await _end(process, is_over=is_over, in_group=not interactive)
        return ended

    async def _read(self, process: Process, error: bytearray) -> _Ended:
        output = bytearray()
        async with anyio.create_task_group() as tasks:
            async with anyio.create_task_group() as readers:

                async def read_output() -> None:
                    assert process.stdout is not None, "it is a pipe"
                    async for part in process.stdout:
                        output.extend(part)
                        if len(output) > _MAX_OUTPUT_BYTES:
                            readers.cancel_scope.cancel()

                tasks.start_soon(_stop_after, process, readers.cancel_scope, name="await a plugin's end")
                readers.start_soon(read_output, name="read a plugin's output")
                readers.start_soon(_keep_end, process.stderr, error, name="read a plugin's errors")
            code = await process.wait() if len(output) <= _MAX_OUTPUT_BYTES else 0
            tasks.cancel_scope.cancel()
        if len(output) > _MAX_OUTPUT_BYTES:
            raise self._failed(f"wrote more than {_MAX_OUTPUT_BYTES // 1024} KiB to its standard output")
        return _Ended(code, bytes(output), bytes(error))

    async def _started(self, *, interactive: bool) -> Process:
        command = [self._found(), *self._plugin.args]
        environ = {
            **self._environ,
            **self._plugin.env,
            "KUBERNETES_EXEC_INFO": exec_info(self._plugin, interactive=interactive),
        }
        try:
            with anyio.CancelScope(shield=True):  # or what was started could not be killed
                process = await anyio.open_process(
                    command,
                    stdin=None if interactive else subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=None if self._lends_terminal and _is_terminal(sys.stderr) else subprocess.PIPE,
                    env=environ,
                    # Without our terminal a program cannot ask there for a password, past its standard input.
                    start_new_session=not interactive,
                )
        except (OSError, ValueError) as error:
            raise self._failed(f"cannot be run: {_why(error)}") from None
        return process

    def _found(self) -> str:
        """Return the path of the program."""
        command = self._plugin.command
        if "/" in command:
            if not os.path.exists(command):  # noqa: PTH110  # Path.exists raises where a folder may not be entered
                raise self._not_found("does not exist")
            return command
        found = shutil.which(command, path=self._environ.get("PATH", os.defpath))
        if found is None:
            raise self._not_found("is not on PATH")
        return found

    def _not_found(self, problem: str) -> ConfigError:
        hint = redact_output(self._plugin.install_hint or "")
        usual = "Install it, or give exec.command the path of the program."
        return self._failed(problem, hint or usual)

    def _said(self, error: bytes | bytearray) -> str:
        """Return the end of the standard error, without credentials."""
        text = error.decode("utf-8", "replace")
        if len(error) >= _KEPT_ERROR_BYTES:
            text = _without_rest(text)
        plugin = self._plugin
        known = (
            *secrets_in(dict(self._environ)),
            *secrets_in(dict(plugin.env)),
            *secrets_in(list(plugin.args)),
        )
        return redact_output(text, secrets=known).strip()

    def _failed(self, problem: str, remedy: str | None = None) -> ConfigError:
        return self._plugin.error(problem, remedy)


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    held = "half a surrogate pair" if isinstance(error, UnicodeError) else "a null byte"
    return f"its arguments or variables hold {held}"


def _without_rest(text: str) -> str:
    """Return the end of a text without what may be the rest of a credential whose beginning was cut off."""
    text = text.partition("\n")[2] or text.partition(" ")[2]
    before, end, after = text.partition("-----END ")
    return after.partition("\n")[2] if end and "-----BEGIN " not in before else text


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


async def _stop_after(process: Process, readers: anyio.CancelScope) -> None:
    """Stop reading a moment after the program's end: what it started in the background may hold its output open."""
    await process.wait()
    await anyio.sleep(_OUTPUT_AFTER_END_S)
    readers.cancel()


async def _keep_end(stream: ByteReceiveStream | None, kept: bytearray) -> None:
    if stream is None:
        return
    async for part in stream:
        kept += part
        del kept[:-_KEPT_ERROR_BYTES]


async def _end(process: Process, *, is_over: bool, in_group: bool) -> None:
    """Take leave of a program, and kill what runs on if it is not over: no process and no descriptor is left."""
    with anyio.CancelScope(shield=True):
        if not is_over:
            # Of a group also those whose leader has ended: they hold its standard output open.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL) if in_group else process.kill()
        await process.aclose()
