"""A pod that the API server refused still has an outcome, with the server's message."""

from __future__ import annotations

import pytest
from podrunner.errors import (
    ForbiddenError,
    InvalidError,
    PodrunnerError,
    QuotaExceededError,
    ServerError,
    TransportError,
)
from podrunner.outcome import Category, Fault, refused_by_api


@pytest.mark.parametrize(
    ("error", "fault", "reason"),
    [
        (
            InvalidError(status=422, reason="Invalid", server_message="spec.x: required"),
            "configuration",
            "Invalid",
        ),
        (ForbiddenError(status=403, server_message='serviceaccount "x" not found'), "configuration", "403"),
        (QuotaExceededError(status=403, reason="Forbidden"), "infrastructure", "Forbidden"),
        (ServerError(status=503), "infrastructure", "503"),
        (TransportError("connection refused"), "infrastructure", "TransportError"),
    ],
)
def test_a_refusal_is_an_outcome_with_the_servers_message(error: PodrunnerError, fault: str, reason: str):
    """L6, L9."""
    outcome = refused_by_api(error)
    assert outcome.category is Category.REJECTED_BY_API
    assert (str(outcome.fault), outcome.reason, outcome.started) == (fault, reason, False)
    assert outcome.retryable == (outcome.fault is Fault.INFRASTRUCTURE)
    assert str(error).strip() in outcome.message
