"""The watch is tested in virtual time: an hour of silence takes no time at all."""

from __future__ import annotations

from tests.support.event_loops import virtual_time

anyio_backend = virtual_time
