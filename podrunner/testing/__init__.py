"""What a scheduler's own tests need beside ``podrunner.LocalCluster``: faults on the way to an API server.

Nothing of podrunner imports this room. A cluster to test against is :class:`podrunner.LocalCluster`; what goes wrong
between it and its clients is :mod:`podrunner.testing.faults`.
"""
