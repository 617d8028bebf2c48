"""Quantities (``500m``, ``1Gi``): what they mean, and the one way in which the API server writes them back."""

from __future__ import annotations

import re
from decimal import ROUND_UP, Decimal
from functools import lru_cache

__all__ = ["REGEX_MESSAGE", "canonical_quantity", "parse_quantity"]

REGEX_MESSAGE = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
"""The words of apimachinery's ``resource.ErrFormatWrong``."""

_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([KMGTPE]i)|([numkMGTPE]?)|([eE][+-]?\d+))")
_DECIMAL = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
_EXPONENT = {suffix: power for power, suffix in _DECIMAL.items()}
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_NANO = Decimal("1e-9")


@lru_cache(maxsize=4096)
def parse_quantity(text: str) -> Decimal:
    """The number that a quantity means.

    Raises:
        ValueError: It is none; the message is Kubernetes'.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(REGEX_MESSAGE)
    number, binary, decimal, exponent = match.groups()
    if exponent:
        return Decimal(number + exponent)
    if binary:
        return Decimal(number) * Decimal(1024) ** _BINARY.index(binary)
    value: Decimal = Decimal(number).scaleb(_EXPONENT[decimal])
    return value


@lru_cache(maxsize=4096)
def canonical_quantity(text: str) -> str:
    """The quantity in canonical form: no fraction, the largest suffix that leaves a whole number.

    Raises:
        ValueError: It is no quantity.
    """
    value = parse_quantity(text).quantize(_NANO, rounding=ROUND_UP).normalize()
    if not value:
        return "0"
    if text.endswith("i") and abs(value) >= 1024:
        return _binary(int(value.to_integral_value(ROUND_UP)))
    power = _power(value)
    number = f"{value.scaleb(-power):f}"
    if re.search(r"[eE][+-]?\d+$", text):
        return f"{number}e{power}" if power else number
    return number + _DECIMAL[power]


def _power(value: Decimal) -> int:
    """The largest multiple of 3 (-9 … 18) by which a power of ten divides the value."""
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return max(-9, min(18, exponent - exponent % 3))


def _binary(value: int) -> str:
    suffixes = iter(_BINARY)
    suffix = next(suffixes)
    while value % 1024 == 0 and (larger := next(suffixes, None)) is not None:
        value, suffix = value // 1024, larger
    return f"{value}{suffix}"
