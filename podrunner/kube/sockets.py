"""The sockets of the connections to the API server: their options, and their certain end.

Keepalive probes find a connection whose other side is gone without closing it; they are set on every connection, as a
watch may be silent for minutes (failure seen behind load balancers that drop idle connections).
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "HALF_AN_ANSWER",
    "NO_ANSWER",
    "NO_HTTP",
    "SocketOption",
    "Sockets",
    "keepalive_options",
    "plain_tls",
    "system_message",
]

NO_ANSWER: Final = "the connection ended before an answer came"
NO_HTTP: Final = "the answer is no HTTP"
HALF_AN_ANSWER: Final = "the connection ended within the answer"
"""What transports say, instead of their libraries' words."""

_OF_OPENSSL: Final = re.compile(r"\[(?:SSL|X509|PEM|CONF|ASN1)[A-Z0-9_: ]*\] | \(_ssl\.c:\d+\)$")
"""What Python puts around OpenSSL's words: a code, and a line of its own source."""

SocketOption = tuple[int, int, int]


def keepalive_options(*, idle_s: int, interval_s: int, count: int) -> list[SocketOption]:
    """Return the options that switch TCP keepalive on; the timings only where the system knows them.

    Args:
        idle_s: Seconds of silence before the first probe.
        interval_s: Seconds between probes.
        count: Unanswered probes after which the connection is dead.
    """
    options: list[SocketOption] = [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    ]
    timings = {
        "TCP_KEEPIDLE": idle_s,
        "TCP_KEEPALIVE": idle_s,
        "TCP_KEEPINTVL": interval_s,
        "TCP_KEEPCNT": count,
    }
    known = [(name, value) for name, value in timings.items() if hasattr(socket, name)]
    return options + [(socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in known]


class Sockets:
    """Opens sockets with options, and keeps those in view that are not closed.

    Args:
        options: Set on each socket.
    """

    def __init__(self, options: Sequence[SocketOption] = ()) -> None:
        self._options = tuple(options)
        self._opened: WeakSet[socket.socket] = WeakSet()

    def open(self, address: Any) -> socket.socket:
        """Open a socket for an address as getaddrinfo gives it."""
        family, kind, protocol, *_ = address
        opened = socket.socket(family=family, type=kind, proto=protocol)
        for option in self._options:
            opened.setsockopt(*option)
        self._opened.add(opened)
        return opened

    @property
    def still_open(self) -> bool:
        """Whether any of them is not closed."""
        return any(opened.fileno() != -1 for opened in self._opened)

    def shut_down(self) -> None:
        """End all connections: a reader that waits for the other side sees its end. Closing is left to the holders."""
        for opened in tuple(self._opened):
            with suppress(OSError):  # closed, or not connected
                opened.shutdown(socket.SHUT_RDWR)


def system_message(error: BaseException) -> str | None:
    """Return the operating system's words for what made a connection fail: ``Connection refused``; None: it has none.

    Libraries put their own words over them, as ``Connect call failed`` and ``all attempts to connect failed``.
    """
    found: list[BaseException | None] = [error]
    for _ in range(20):  # causes may form a ring
        each = found.pop(0) if found else None
        if isinstance(each, ssl.SSLError):
            return None  # its own words are the better ones
        if isinstance(each, OSError) and each.errno is not None and each.errno > 0:
            return os.strerror(each.errno)
        if isinstance(each, BaseExceptionGroup):
            found.extend(each.exceptions[:3])
        if each is not None:
            found.append(each.__cause__ or each.__context__)
    return None


def plain_tls(text: str) -> str:
    """Return OpenSSL's words for a failure of TLS, without the code and the place that Python adds."""
    return _OF_OPENSSL.sub("", text)
