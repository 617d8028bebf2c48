"""The report of a benchmark: one document, as text for a terminal and as JSON. Pure, but for the versions."""

from __future__ import annotations

import math
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

import msgspec

from podrunner.bench.marks import STAGES, percentiles, samples_of
from podrunner.bench.svg import shown, shown_s

if TYPE_CHECKING:
    from collections.abc import Sequence

    from podrunner.bench.marks import Marks
    from podrunner.bench.measure import Figures

__all__ = ["document", "is_as_planned", "machine", "text"]

_POINTS: Final = 120
"""Points of a line in a picture."""
_PROBLEMS: Final = 10
_PROBLEM_LENGTH: Final = 300
_COLUMNS: Final = 60
_MB: Final = 1e6
_PACKAGES: Final = ("podrunner", "aiohttp", "anyio", "msgspec", "pydantic", "uvloop")


def document(figures: Figures) -> dict[str, Any]:
    """Return all figures as one document, ready for JSON. Seconds are seconds, memory is in bytes."""
    pods = figures.plan.pods
    samples = samples_of(figures.marks)
    delivered = sum(each.delivered is not None for each in figures.marks)
    server_cpu_s = figures.server_cpu_s
    return {
        "plan": msgspec.to_builtins(figures.plan),
        "machine": machine(),
        "pods": {
            "planned": pods,
            "outcomes": delivered,
            "as_planned": is_as_planned(figures),
            "problems": figures.problems[:_PROBLEMS],
            "problem_count": len(figures.problems),
            "left": figures.left,
        },
        "wall_s": figures.wall_s,
        "pods_per_s": pods / figures.wall_s,
        "cpu_us_per_pod": figures.cpu_s / pods * 1e6,
        "server_cpu_us_per_pod": None if server_cpu_s is None else server_cpu_s / pods * 1e6,
        "api_calls_per_pod": sum(figures.calls.values()) / pods,
        "api_calls": dict(sorted(figures.calls.items())),
        "memory": {
            "begin": figures.memory_begin,
            "peak": figures.memory_peak,
            "per_live_pod": figures.memory_per_live_pod,
        },
        "all_live": None if figures.live is None else msgspec.to_builtins(figures.live),
        "logs": {"lines": figures.log_lines, "gaps": figures.log_gaps},
        "stages": {name: _stage(name, found) for name, found in samples.items()},
        "live": _live(figures.marks, figures.began_s, figures.wall_s),
        "outcome_delivered": _quantiles(samples["outcome delivered"]),
    }


def is_as_planned(figures: Figures) -> bool:
    """Whether each pod had its one planned outcome, each line was read once, and nothing is left."""
    is_clean = not figures.problems and not figures.log_gaps and not any(figures.left.values())
    return is_clean and all(each.delivered is not None for each in figures.marks)


def machine() -> dict[str, Any]:
    """Return what the figures depend on: the machine, Python, the versions of what takes part."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
        "versions": {name: found for name in _PACKAGES if (found := _version_of(name))},
    }


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _stage(name: str, samples: Sequence[float]) -> dict[str, Any] | None:
    found = percentiles(samples)
    return None if found is None else {**msgspec.to_builtins(found), "of": STAGES[name][2]}


def _live(marks: Sequence[Marks], began_s: float, wall_s: float) -> list[tuple[float, int, int]]:
    """Return at some times the pods that are live, and those whose outcome was delivered."""
    times = [wall_s * point / _POINTS for point in range(_POINTS + 1)]
    return [(round(at_s, 4), *_counts(marks, began_s + at_s)) for at_s in times]


def _counts(marks: Sequence[Marks], now_s: float) -> tuple[int, int]:
    created = sum(each.created is not None and each.created <= now_s for each in marks)
    done = sum(each.delivered is not None and each.delivered <= now_s for each in marks)
    gone = sum(each.deleted is not None and each.deleted <= now_s for each in marks)
    return created - gone, done


def _quantiles(samples: Sequence[float]) -> list[tuple[float, float]]:
    """Return the distribution: seconds, and the percentage of pods that took no longer."""
    ordered = sorted(samples)
    count = len(ordered)
    ranks = sorted({math.ceil(count * point / _POINTS) for point in range(1, _POINTS + 1)})
    return [(ordered[rank - 1], rank / count * 100) for rank in ranks if count]


def text(found: dict[str, Any]) -> list[str]:
    """Return the report in lines of at most 60 columns."""
    plan, pods = found["plan"], found["pods"]
    head = f"{plan['pods']} pods, {plan['concurrency']} at once, on {plan['target']}, seed {plan['seed']}"
    return [
        head,
        "",
        f"{'stage':18}{'p50':>10}{'p90':>10}{'p99':>10}{'max':>10}",
        *(_stage_line(name, of) for name, of in found["stages"].items()),
        "",
        *(f"{name:24}{value}" for name, value in _facts(found)),
        *(line for problem in pods["problems"] for line in _wrapped(problem)),
        *_verdict(found),
    ]


def _wrapped(problem: str) -> list[str]:
    """Return a problem in lines; its end is the cause, which a cut line would not show."""
    printable = "".join(each if each.isprintable() else " " for each in problem)
    return wrap(printable[:_PROBLEM_LENGTH], _COLUMNS, initial_indent="! ", subsequent_indent="  ")


def _stage_line(name: str, of: dict[str, Any] | None) -> str:
    cells = ["-"] * 4 if of is None else [shown_s(of[each]) for each in ("p50", "p90", "p99", "max")]
    return f"{name:18}" + "".join(f"{cell:>10}" for cell in cells)


def _facts(found: dict[str, Any]) -> list[tuple[str, str]]:
    memory, server = found["memory"], found["server_cpu_us_per_pod"]
    per_pod = memory["per_live_pod"]
    facts = [
        ("pods/s", shown(found["pods_per_s"])),
        ("CPU per pod", f"{found['cpu_us_per_pod']:,.0f} µs"),
        ("server's CPU per pod", "-" if server is None else f"{server:,.0f} µs"),
        ("API calls per pod", f"{found['api_calls_per_pod']:.2f}"),
        ("memory, peak", f"{memory['peak'] / _MB:.1f} MB"),
        ("memory per live pod", "-" if per_pod is None else f"{per_pod / 1e3:.1f} KB"),
    ]
    if found["plan"]["log_lines"]:
        facts.append(("log lines", f"{found['logs']['lines']:,}, {found['logs']['gaps']} gaps"))
    return facts


def _verdict(found: dict[str, Any]) -> list[str]:
    pods = found["pods"]
    if pods["as_planned"]:
        return [f"{'outcomes':24}{pods['outcomes']}, each as planned"]
    left = ", ".join(f"{count} {name}" for name, count in pods["left"].items() if count)
    return [f"{'outcomes':24}{pods['outcomes']} of {pods['planned']}, {pods['problem_count']} problems"] + (
        [f"left behind: {left}"] if left else []
    )
