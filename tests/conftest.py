"""What all tests share: nothing but the choice of event loops."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from tests.support.event_loops import both_loops

# A noisy machine is no failure: examples are bounded by number, never by time.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("deep", settings.get_profile("default"), max_examples=2_000)
# CI answers for the change under test: the same examples each time. New ones are searched for at the desk, and
# deeply by HYPOTHESIS_PROFILE=deep.
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))


anyio_backend = both_loops
