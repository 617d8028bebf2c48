"""The server's socket."""

from __future__ import annotations

import pytest
from podrunner.dashboard.server import loopback_socket
from podrunner.errors import UsageError


def test_it_listens_on_loopback_alone_and_says_so_when_the_port_is_taken():
    with loopback_socket(0) as listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        with pytest.raises(UsageError, match=rf"cannot listen on 127.0.0.1:{port}: Address already in use"):
            loopback_socket(port)
