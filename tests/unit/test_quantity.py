"""Quantities are read as Kubernetes reads them, and come back in the one form that it writes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.quantity import canonical_quantity, parse_quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", "1"),
        ("500m", "0.5"),
        ("1Gi", "1073741824"),
        ("2k", "2000"),
        ("1e3", "1000"),
        ("1.5Ki", "1536"),
        (".5", "0.5"),
        (3, "3"),
        ("100n", "1e-7"),
        ("12E6", "12000000"),
    ],
)
def test_quantities_are_read(text, number):
    assert parse_quantity(text) == Decimal(number)


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


@pytest.mark.parametrize("text", ["", "x", "1x", "1 Gi", "1gi", "Gi", "1GiB", "--1", "1e", "٣"])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(ValueError, match="quantities must match the regular expression"):
        parse_quantity(text)


@pytest.mark.parametrize("text", ["1e3Ki", "1e3m", "1E3Gi", "1e99999999999999999999"])
def test_an_exponent_stands_alone_and_is_bounded(text):
    """As ``resource.ParseQuantity`` has it: digits after an exponent end the suffix, and an exponent is an int64."""
    with pytest.raises(ValueError, match="quantities must match the regular expression"):
        parse_quantity(text)
    with pytest.raises(ValueError, match="quantities must match the regular expression"):
        canonical_quantity(text)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text", ["1e999999999", "9" * 1_000_001 + "Ki", "9" * 4_000, "1e30", "8Ei", "9.3E", "9223372036854775808"]
)
def test_what_is_larger_than_an_int64_is_its_largest(text):
    """As ``resource.ParseQuantity`` has it: "numbers larger … will be capped"."""
    assert parse_quantity(text) == 2**63 - 1
    assert parse_quantity(f"-{text}") == -(2**63 - 1)
    assert canonical_quantity(text)


@given(
    st.from_regex(
        r"[+-]?[0-9]{1,40}(\.[0-9]{0,40})?([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,12})?", fullmatch=True
    )
)
def test_any_quantity_has_a_canonical_form_that_is_stable(text):
    canonical = canonical_quantity(text)
    assert canonical_quantity(canonical) == canonical


@given(st.integers(0, 10**9), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi", "u"]))
def test_the_canonical_form_means_the_same_and_is_stable(number, suffix):
    canonical = canonical_quantity(f"{number}{suffix}")
    assert parse_quantity(canonical) == parse_quantity(f"{number}{suffix}")
    assert canonical_quantity(canonical) == canonical
