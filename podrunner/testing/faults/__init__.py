"""Faults between a client and an API server: a proxy on the loopback address, and rules of what goes wrong.

:class:`FaultProxy` stands before any API server (a LocalCluster, a real one) and knows HTTP; what it does wrong is
said by :class:`Faults`. :class:`TcpProxy` stands before anything and knows only bytes, so TLS goes through unseen.
Faults of the cluster itself that need no proxy (:func:`compact`, :func:`skew_clock`) work on a LocalCluster.

What a client makes of the faults does not belong here.
"""

from podrunner.testing.faults.cluster import compact, skew_clock
from podrunner.testing.faults.proxy import FaultProxy
from podrunner.testing.faults.rules import Faults, On
from podrunner.testing.faults.tcp import Line, TcpProxy

__all__ = ["FaultProxy", "Faults", "Line", "On", "TcpProxy", "compact", "skew_clock"]
