"""SPDY/3.1, which Kubernetes speaks for port-forward, and older clients for exec: frames, and what they mean.

Pure: bytes in, bytes out. LocalCluster serves it (``podrunner.local.streams``), and the client's port-forward speaks it
(``podrunner.kube.port_forward``). What the streams are for does not belong here.
"""
