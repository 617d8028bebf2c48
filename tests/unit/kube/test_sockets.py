"""Keepalive probes are really set."""

from __future__ import annotations

import socket

from podrunner.kube.sockets import keepalive_options


def test_the_kernel_takes_the_options():
    """W2: a half-open connection is found even where the watch's own timer does not look."""
    with socket.socket() as opened:
        for option in keepalive_options(idle_s=61, interval_s=7, count=3):
            opened.setsockopt(*option)
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 7
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3


def test_a_timing_that_a_system_does_not_know_is_left_out(monkeypatch):
    monkeypatch.delattr(socket, "TCP_KEEPCNT")
    options = keepalive_options(idle_s=61, interval_s=7, count=3)
    assert 3 not in {value for _, _, value in options}
