"""Kubernetes quantities (``500m``, ``1Gi``): their value, and the canonical form in which the API server writes them.

What belongs here: the syntax of ``k8s.io/apimachinery/pkg/api/resource``. What a resource may be set to does not.
"""

from __future__ import annotations

import re
from decimal import ROUND_UP, Decimal, InvalidOperation
from functools import lru_cache

__all__ = ["FORMAT_MESSAGE", "canonical_quantity", "parse_quantity"]

FORMAT_MESSAGE = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
"""The message of apimachinery's ``resource.ErrFormatWrong``."""

# A number with a binary suffix, a decimal suffix or an exponent: never two of them (``suffixHandler.interpret``).
_FORM = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:([KMGTPE]i)|([numkMGTPE]?)|([eE][+-]?[0-9]+))")
_DECIMAL = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
_EXPONENT = {suffix: power for power, suffix in _DECIMAL.items()}
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_NANO = Decimal("1e-9")
_MAX = Decimal(2**63 - 1)
"""The largest amount; apimachinery takes it for all that is larger (``maxAllowed``)."""


def parse_quantity(value: str | float) -> Decimal:
    """Return the number that a quantity stands for, which is 2^63-1 at most, as in the API server.

    Args:
        value: The quantity; a number is read as its decimal text, as the API server reads a JSON number.

    Raises:
        ValueError: It is no quantity; the message is Kubernetes'.
    """
    return _parsed(str(value))


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Decimal:
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(FORMAT_MESSAGE)
    number, binary, decimal, exponent = match.groups()
    if binary:
        return _capped(_capped(Decimal(number)) * Decimal(1024) ** _BINARY.index(binary))
    try:
        return _capped(Decimal(number + (exponent or f"e{_EXPONENT[decimal]}")))
    except InvalidOperation:  # an exponent beyond 18 digits, which Kubernetes does not parse either
        raise ValueError(FORMAT_MESSAGE) from None


def _capped(value: Decimal) -> Decimal:
    """Return a number within the limits: arithmetic with 1e999999999 fails, or takes all memory."""
    return max(-_MAX, min(_MAX, value)) if value < -_MAX or value > _MAX else value


@lru_cache(maxsize=4096)
def canonical_quantity(text: str) -> str:
    """Return a quantity in canonical form: no fraction, and the largest suffix that leaves a whole number.

    Raises:
        ValueError: It is no quantity; the message is Kubernetes'.
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
    """Return the largest multiple of 3 from -9 to 18 whose power of ten divides the value."""
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return max(-9, min(18, exponent - exponent % 3))


def _binary(value: int) -> str:
    suffixes = iter(_BINARY)
    suffix = next(suffixes)
    while value % 1024 == 0 and (larger := next(suffixes, None)) is not None:
        value, suffix = value // 1024, larger
    return f"{value}{suffix}"
