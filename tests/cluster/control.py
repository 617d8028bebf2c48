"""Lets a test stop, kill and start the daemons of the node: one request per connection.

The process that started the daemons serves ``<folder>/control.sock``; :class:`Control` asks it. A request is one
line of JSON, ``{"do": …, …}``, and so is the answer: ``{"value": …}`` or ``{"error": …}``. The daemons themselves are
in ``node.py``.
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SOCKET = "control.sock"


class ControlServer(AbstractContextManager["ControlServer"]):
    """Serves verbs from its own thread, one at a time."""

    def __init__(self, folder: Path, verbs: Mapping[str, Callable[..., object]]) -> None:
        lock = threading.Lock()

        class Answer(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with lock:
                    self.wfile.write(_answer(self.rfile.readline(), verbs))

        (folder / SOCKET).unlink(missing_ok=True)
        self._server = socketserver.ThreadingUnixStreamServer(str(folder / SOCKET), Answer)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="control", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _answer(line: bytes, verbs: Mapping[str, Callable[..., object]]) -> bytes:
    try:
        request = json.loads(line)
        answer: dict[str, object] = {"value": verbs[request.pop("do")](**request)}
    except Exception as error:  # noqa: BLE001  # the answer reports every error to the test
        answer = {"error": f"{type(error).__name__}: {error}"}
    return json.dumps(answer).encode() + b"\n"


class Control:
    """Sends requests to the process that started the daemons."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def kill(self, daemon: str) -> None:
        """End a daemon by SIGKILL; return when it has ended."""
        self._ask("stop", name=daemon, kill=True)

    def stop(self, daemon: str) -> None:
        """End a daemon by SIGTERM; return when it has ended."""
        self._ask("stop", name=daemon)

    def start(self, daemon: str, *flags: str) -> None:
        """Start a daemon that is not running; ``flags`` come after its usual ones, and so take precedence."""
        self._ask("start", name=daemon, flags=flags)

    def restart_api(self, *flags: str) -> None:
        """Kill the API server and start it again; return when it is ready."""
        self.kill("kube-apiserver")
        self.start("kube-apiserver", *flags)
        self.wait_for_api()

    def wait_for_api(self) -> None:
        """Return when the API server answers and has served its first lists."""
        self._ask("wait_for_api")

    def settle(self) -> None:
        """Return when all daemons work again after some were started or stopped.

        The API server gets its usual flags back, its clients are restarted if it was, and a pod has run. Without it,
        tests that come after a restart of the server wait for clients that are backing off, up to 60 s each.
        """
        self._ask("settle")

    def compact(self) -> int:
        """Compact etcd at its newest revision and return the revision."""
        return int(self._ask("compact"))

    def running(self) -> list[str]:
        """Return the daemons that have been started and not stopped."""
        return list(self._ask("running"))

    def cpu_s(self, daemon: str) -> float:
        """Return the CPU seconds that a running daemon has used."""
        fields = Path(f"/proc/{self.pid(daemon)}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def pid(self, daemon: str) -> int:
        return int((self.folder / "pid" / daemon).read_text())

    def _ask(self, do: str, **arguments: object) -> Any:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(600)
            connection.connect(str(self.folder / SOCKET))
            connection.sendall(json.dumps({"do": do, **arguments}).encode() + b"\n")
            answer = json.loads(connection.makefile().readline())
        if "error" in answer:
            raise RuntimeError(f"{do}: {answer['error']}")
        return answer["value"]
