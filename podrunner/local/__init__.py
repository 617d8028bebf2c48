"""LocalCluster: a small Kubernetes-compatible cluster inside one Python process, for development, demos and tests.

Three rooms: the API server (``api``), a kubelet that runs containers as local processes (``kubelet``), and the streams
of exec, attach and port-forward (``streams``). Beside them stands what makes a cluster of them: ``cluster`` (thread
and life), ``control`` (the wiring), ``folder``, ``kubeconfig`` and the certificate. It is a server: it imports nothing
of podrunner's client side.
"""

from __future__ import annotations

from podrunner.local.cluster import LocalCluster
from podrunner.local.kubelet import Image, Lifecycle

__all__ = ["Image", "Lifecycle", "LocalCluster"]
