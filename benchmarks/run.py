"""Run all benchmarks, or those named: ``python benchmarks/run.py [NAME…]``. Figures to compare, never asserted."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).parent
NO_BENCHMARKS = {"run", "__init__", "page_of_results", "pod_stub", "scale"}


def main() -> None:
    found = {path.stem: path for path in sorted(HERE.glob("*.py")) if path.stem not in NO_BENCHMARKS}
    wanted = sys.argv[1:] or list(found)
    for name in wanted:
        if name not in found:
            raise SystemExit(f"no benchmark {name!r}; there are: {', '.join(found)}")
        print(f"=== {name}", flush=True)
        sys.argv = [str(found[name])]
        runpy.run_path(str(found[name]), run_name="__main__")


if __name__ == "__main__":
    main()
