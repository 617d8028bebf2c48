"""A pod that the API server refused still has an outcome, with the server's message."""

from __future__ import annotations

import pytest
from podrunner.errors import (
    ApiError,
    ForbiddenError,
    InvalidError,
    PodrunnerError,
    QuotaExceededError,
    RequestTooLargeError,
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
        (
            ForbiddenError(status=403, server_message="no PriorityClass with name urgent was found"),
            "configuration",
            "403",
        ),
        (QuotaExceededError(status=403, reason="Forbidden"), "infrastructure", "Forbidden"),
        (ServerError(status=503), "infrastructure", "503"),
        (
            RequestTooLargeError(status=500, server_message="etcdserver: request is too large"),
            "configuration",
            "500",
        ),
        (RequestTooLargeError(status=500, server_message="a long message, cut…"), "configuration", "500"),
        (RequestTooLargeError(status=413, server_message="Request entity too large"), "configuration", "413"),
        (
            ServerError(status=500, server_message='failed calling webhook "a.b": EOF'),
            "infrastructure",
            "500",
        ),
        (ApiError(status=418, server_message="no word decides"), "unknown", "418"),
        (TransportError("connection refused"), "infrastructure", "TransportError"),
    ],
)
def test_a_refusal_is_an_outcome_with_the_servers_message(error: PodrunnerError, fault: str, reason: str):
    """L6, L9, L11, L12."""
    outcome = refused_by_api(error)
    assert outcome.category is Category.REJECTED_BY_API
    assert (str(outcome.fault), outcome.reason, outcome.started) == (fault, reason, False)
    assert outcome.retryable == (outcome.fault is Fault.INFRASTRUCTURE)
    assert str(error).strip() in outcome.message
