"""Keepalive probes are really set, and the end of a connection is seen by its reader."""

from __future__ import annotations

import socket

from podrunner.kube.sockets import Sockets, keepalive_options


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


LOOPBACK = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 0))


def test_opened_sockets_have_the_options():
    with Sockets([(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]).open(LOOPBACK) as opened:
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_a_connection_that_is_shut_down_reads_its_end():
    """Closed and unconnected ones are passed over."""
    sockets = Sockets()
    sockets.open(LOOPBACK).close()
    with socket.create_server(("127.0.0.1", 0)) as server, sockets.open(LOOPBACK) as connected:
        connected.connect(server.getsockname())
        with sockets.open(LOOPBACK):
            sockets.shut_down()
        assert connected.recv(1) == b""
        assert sockets.still_open
    assert not sockets.still_open
