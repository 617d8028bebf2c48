"""Quantities come back in the one form that Kubernetes writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.local.quantities import canonical_quantity, parse_quantity


@pytest.mark.parametrize(
    ("given_text", "canonical"),
    [
        ("0", "0"),
        ("0.0Gi", "0"),
        ("1", "1"),
        ("0.5", "500m"),
        ("1.5", "1500m"),
        ("1000m", "1"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1000Ki", "1000Ki"),
        ("512Ki", "512Ki"),
        ("1000k", "1M"),
        ("1e3", "1e3"),
        ("1000000", "1M"),
        ("12345", "12345"),
        ("100n", "100n"),
        ("0.1n", "1n"),
        ("-5", "-5"),
        ("+3", "3"),
        ("1E", "1E"),
        ("2E3", "2e3"),
    ],
)
def test_canonical_form(given_text, canonical):
    assert canonical_quantity(given_text) == canonical


@pytest.mark.parametrize("text", ["", "x", "1x", "1 Gi", "Gi", "1GiB", "--1", "1e"])
def test_what_is_no_quantity(text):
    with pytest.raises(ValueError, match="quantities must match the regular expression"):
        parse_quantity(text)


@given(st.integers(0, 10**9), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi", "u"]))
def test_the_canonical_form_means_the_same_and_is_stable(number, suffix):
    canonical = canonical_quantity(f"{number}{suffix}")
    assert parse_quantity(canonical) == parse_quantity(f"{number}{suffix}")
    assert canonical_quantity(canonical) == canonical
