"""What all tests share: how many examples hypothesis tries, and the choice of event loops."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings
from tests.support.event_loops import both_loops

# A noisy machine is no failure: examples are bounded by number, never by time. CI answers for the change under test:
# it tries the same examples each time, elsewhere each run tries new ones.
settings.register_profile(
    "fast",
    deadline=None,
    max_examples=20,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("full", settings.get_profile("fast"), max_examples=100)
settings.register_profile("deep", settings.get_profile("fast"), max_examples=2_000, derandomize=False)
# A mutant is not to survive by chance, and where it fails does not matter: no time goes into a smaller example.
settings.register_profile(
    "mutation",
    settings.get_profile("fast"),
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

anyio_backend = both_loops
