"""The server side of exec, attach and port-forward: long conversations over one upgraded HTTP connection.

This package decides which protocol the client speaks (WebSocket channels, or SPDY/3.1 as kubectl up to
1.30 does), and connects its streams with a process or a port. What a container is, how a process is started in it
and whether a client may ask for it do not belong here: callers hand in an opener.
"""

from __future__ import annotations

from podrunner.local.streams.portforward import Connect, serve_port_forward
from podrunner.local.streams.process import ContainerProcess, TerminalSize
from podrunner.local.streams.remotecommand import serve_attach, serve_exec

__all__ = ["Connect", "ContainerProcess", "TerminalSize", "serve_attach", "serve_exec", "serve_port_forward"]
