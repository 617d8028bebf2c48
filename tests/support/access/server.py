"""A server that notes who asks for pods, and proxies that lead to it: what kubectl and podrunner send is compared."""

from __future__ import annotations

import json
import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import trustme

NOTED = ("authorization", "impersonate-")
"""Beginnings of the names of the headers that are noted."""

_PODS = {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": ["get", "list"]}
_ANSWERS: dict[str, dict[str, Any]] = {
    "/version": {"major": "1", "minor": "33", "gitVersion": "v1.33.1"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1", "resources": [_PODS]},
    "/pods": {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []},
}
_REFUSAL = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Unauthorized", "code": 401}


class Recorder:
    """One API server with pods, by HTTPS on IPv4 and IPv6 and by plain HTTP, behind an HTTP and a SOCKS5 proxy.

    Attributes:
        seen: Of each request for pods what identifies its sender: namespace, noted headers, certificate.
        wanted: The ``Authorization`` that is let in; None: any.
        authority: PEM of the authority of server and clients.
    """

    def __init__(self) -> None:
        self.seen: list[list[str]] = []
        self.wanted: str | None = None
        self._stack = ExitStack()
        ca = trustme.CA(organization_name="podrunner")
        self.authority = ca.cert_pem.bytes()
        self.client = _issued(ca.issue_cert("jane@example.org"))
        self.other_client = _issued(trustme.CA().issue_cert("jane@example.org"))
        server = ca.issue_cert("localhost", "127.0.0.1", "::1", "kubernetes.example")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.configure_cert(context)
        ca.configure_trust(context)
        context.verify_mode = ssl.CERT_OPTIONAL
        self.https = self._serve("127.0.0.1", context)
        self.http = self._serve("127.0.0.1", None)
        self.ipv6 = self._serve("::1", context) if _has_ipv6() else ""
        self.proxy, self.proxied = self._proxy(_Connect)
        self.socks, self.socksed = self._proxy(_Socks)

    def _serve(self, host: str, context: ssl.SSLContext | None) -> str:
        kind = type("Server", (_Quiet, ThreadingHTTPServer), {"address_family": _family(host)})
        server = kind((host, 0), type("Handler", (_Handler,), {"recorder": self}))
        if context is not None:
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._stack.enter_context(_running(server))
        name = f"[{host}]" if ":" in host else host
        return f"{'https' if context else 'http'}://{name}:{server.server_address[1]}"

    def _proxy(self, handler: type[socketserver.BaseRequestHandler]) -> tuple[str, list[str]]:
        noted: list[str] = []
        made = type("Proxy", (handler,), {"noted": noted})
        server = type("ProxyServer", (_Quiet, socketserver.ThreadingTCPServer), {})(("127.0.0.1", 0), made)
        self._stack.enter_context(_running(server))
        return f"127.0.0.1:{server.server_address[1]}", noted

    def close(self) -> None:
        self._stack.close()


class _Quiet:
    """Prints nothing of handshakes that fail: many do, and the client says why."""

    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Print nothing."""


def _issued(cert: trustme.LeafCert) -> tuple[bytes, bytes]:
    return b"".join(pem.bytes() for pem in cert.cert_chain_pems), cert.private_key_pem.bytes()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@contextmanager
def _running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    recorder: Recorder
    protocol_version = "HTTP/1.1"
    timeout = 20

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        answer = next((found for end, found in _ANSWERS.items() if path.endswith(end)), None)
        is_refused = self.recorder.wanted not in (None, self.headers.get("Authorization"))
        if path.endswith("/pods"):
            self.recorder.seen.append(self._noted(path))
        if is_refused and path.endswith("/pods"):
            self._send(401, _REFUSAL)
        else:
            self._send(200 if answer else 404, answer or {"kind": "Status", "code": 404})

    def _noted(self, path: str) -> list[str]:
        prefix, _, rest = path.partition("/api/v1/namespaces/")
        noted = [f"namespace {rest.partition('/')[0]}"]
        if prefix:
            noted.append(f"below {prefix}")
        headers = [
            (name.title(), value) for name, value in self.headers.items() if name.lower().startswith(NOTED)
        ]
        noted += [f"{name}: {value.encode('latin-1').decode()}" for name, value in sorted(headers)]
        if isinstance(self.connection, ssl.SSLSocket) and self.connection.getpeercert():
            noted.append("client certificate")
        return noted

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


class _Relay(socketserver.BaseRequestHandler):
    noted: list[str]

    def relay(self, host: str, port: int, answer: bytes) -> None:
        with socket.create_connection((host, port), timeout=10) as server:
            self.noted.append(f"{host}:{port}")
            self.request.sendall(answer)
            ends = {self.request: server, server: self.request}
            while ready := select.select([*ends], [], [], 10)[0]:
                for end in ready:
                    data = end.recv(65536)
                    if not data:
                        return
                    ends[end].sendall(data)


class _Connect(_Relay):
    """``CONNECT host:port`` (RFC 9110, section 9.3.6)."""

    def handle(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (data := self.request.recv(4096)):
                return
            head += data
        host, _, port = head.split()[1].decode().rpartition(":")
        self.relay(host, int(port), b"HTTP/1.1 200 Connected\r\n\r\n")


class _Socks(_Relay):
    """SOCKS5 (RFC 1928) without authentication, to an IPv4 address or a name."""

    def handle(self) -> None:
        if len(head := self.request.recv(2)) < 2:
            return
        self.request.recv(head[1])
        self.request.sendall(b"\x05\x00")
        kind = self.request.recv(4)[3]
        host = self.request.recv(4 if kind == 1 else self.request.recv(1)[0])
        port = int.from_bytes(self.request.recv(2), "big")
        name = ".".join(map(str, host)) if kind == 1 else host.decode()
        self.relay(name, port, b"\x05\x00\x00\x01" + bytes(6))
