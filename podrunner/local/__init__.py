"""LocalCluster: a small Kubernetes-compatible cluster inside one Python process, for development, demos and tests.

An API server on loopback (``server``, ``objects``, ``store`` …), a kubelet that runs containers as local processes
(``kubelet``), and the streams of exec and port-forward (``streams``). It is a server: it imports nothing of
podrunner's client side.
"""

from __future__ import annotations

from podrunner.local.cluster import LocalCluster
from podrunner.local.kubelet import Image, Lifecycle

__all__ = ["Image", "Lifecycle", "LocalCluster"]
