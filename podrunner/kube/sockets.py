"""Socket options of the connections to the API server.

Keepalive probes find a connection whose other side is gone without a word; they are set on every connection, as a
watch may be silent for minutes (failure seen behind load balancers that drop idle connections).
"""

from __future__ import annotations

import socket

__all__ = ["SocketOption", "keepalive_options"]

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
