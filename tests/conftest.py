"""What all tests share: nothing but the choice of event loops."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# A noisy machine is no failure: examples are bounded by number, never by time.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("deep", settings.get_profile("default"), max_examples=2_000)
# CI answers for the change under test: the same examples each time. New ones are searched for at the desk, and
# deeply by HYPOTHESIS_PROFILE=deep.
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Each test marked ``anyio`` runs on both event loops."""
    backend: str = request.param
    return backend
