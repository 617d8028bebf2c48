"""Both faces: the asynchronous one in virtual time, the blocking one on the cluster in memory."""

from __future__ import annotations

from tests.support.event_loops import both_in_virtual_time
from tests.unit.blocking.conftest import act, cluster, opened

__all__ = ["act", "anyio_backend", "cluster", "opened"]

anyio_backend = both_in_virtual_time
