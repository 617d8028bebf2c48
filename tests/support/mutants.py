"""What the mutation tests showed, by module: ``python -m tests.support.mutants``, after ``mutmut run``.

The exit code is 1 if the tests noticed less than 90 % of a module's mutants. A mutant that makes them run into their
time limit is noticed: its loop has no end. After ``mutmut run NAMES`` only the mutants of these names count.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

__all__ = ["by_module", "report"]

LEAST_SHARE = 0.9
NOTICED = {"killed", "timeout", "segfault", "suspicious", "caught by type check"}
NOT_RUN = "not checked"
_LINE = re.compile(r"^ *(?P<module>[\w.]+)\.(?P<function>x\w+?)__mutmut_\d+: (?P<result>[\w ]+)$")


def by_module(lines: Iterable[str]) -> Mapping[str, Counter[tuple[str, str]]]:
    """Count the mutants of each module that were run by function and result."""
    modules: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for line in lines:
        if (found := _LINE.match(line)) and found["result"] != NOT_RUN:
            modules[found["module"]][found["function"], found["result"]] += 1
    return modules


def share_noticed(mutants: Counter[tuple[str, str]]) -> float:
    noticed = sum(number for (_, result), number in mutants.items() if result in NOTICED)
    return noticed / mutants.total()


def report(modules: Mapping[str, Counter[tuple[str, str]]]) -> str:
    """Return a line for each module, and below it one for each function with survivors."""
    lines = []
    for module, mutants in sorted(modules.items()):
        lines.append(f"{share_noticed(mutants):6.1%} of {mutants.total():4} noticed: {module}")
        lines += [
            f"          {number:3} {result}: {function.removeprefix('x_')}"
            for (function, result), number in mutants.most_common()
            if result not in NOTICED
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    listed = subprocess.run(
        [sys.executable, "-m", "mutmut", "results", "--all", "true"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = by_module(listed.stdout.splitlines())
    sys.stdout.write(report(found) + "\n")
    sys.exit(not found or any(share_noticed(each) < LEAST_SHARE for each in found.values()))
