"""The cost of a pod, by the CPU time of processes side by side. Only a ratio is checked, twice as wide as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "whole_walk.py"
AT_MOST = 6.0
"""Times the CPU time of a bare aiohttp session that sends the same requests and reads the same events; it takes 2.9."""


@pytest.mark.processes
@pytest.mark.timeout(300)
def test_a_pods_whole_walk_costs_no_more_than_twice_as_much_as_it_did():
    command = [
        sys.executable,
        str(BENCHMARK),
        "--rounds",
        "3",
        "--pods",
        "300",
        "--contenders",
        "bare",
        "async",
    ]
    untraced = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS")}
    done = subprocess.run(
        [*command, "--json"], check=True, capture_output=True, text=True, timeout=280, env=untraced
    )
    took = {name: figures["us_per_pod"] for name, figures in json.loads(done.stdout).items()}
    assert took["async"] / took["bare"] < AT_MOST, took
