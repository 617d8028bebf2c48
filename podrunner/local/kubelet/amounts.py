"""Sums and quotients of quantities, and durations as Go writes them. Pure."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any

from podrunner.quantity import parse_quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["add_quantities", "divided", "go_duration", "pod_requests"]


def divided(value: str | float, divisor: str | float = "1") -> str:
    """Return a quantity in units of a divisor, rounded up, as the downward API gives it."""
    by = parse_quantity(divisor) or Decimal(1)
    return str(int((parse_quantity(value) / by).to_integral_value(ROUND_CEILING)))


def add_quantities(parts: Iterable[Mapping[str, Any]]) -> dict[str, Decimal]:
    """Return the sums of lists of resources."""
    total: dict[str, Decimal] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, Decimal(0)) + parse_quantity(value)
    return total


def pod_requests(spec: Mapping[str, Any]) -> dict[str, Decimal]:
    """Return what a pod takes of a node: containers and sidecars, or the largest init container, and the overhead."""
    inits = spec.get("initContainers") or []
    sidecars = [each for each in inits if each.get("restartPolicy") == "Always"]
    total = add_quantities(map(_requests, [*spec.get("containers", ()), *sidecars]))
    for init in inits:
        for name, value in add_quantities([_requests(init)]).items():
            total[name] = max(total.get(name, Decimal(0)), value)
    overhead = add_quantities([spec.get("overhead") or {}])
    return {
        name: total.get(name, Decimal(0)) + overhead.get(name, Decimal(0)) for name in {**total, **overhead}
    }


def _requests(container: Mapping[str, Any]) -> Mapping[str, Any]:
    resources = container.get("resources") or {}
    return {**(resources.get("limits") or {}), **(resources.get("requests") or {})}


def go_duration(seconds: float) -> str:
    """Return ``10s``, ``1m20s``, ``5m0s``, ``1.5s``, ``20ms``, as Go's ``time.Duration`` prints."""
    if seconds < 1:
        return f"{seconds * 1000:.6g}ms" if seconds else "0s"
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{rest:.9g}s"
    if hours:
        return f"{int(hours)}h{int(minutes)}m{text}"
    return f"{int(minutes)}m{text}" if minutes else text
