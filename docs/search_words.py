"""Check that the built documentation is found by the words that people type: ``python docs/search_words.py HTML``.

It reads the index that the search of the pages itself uses, and looks each word up as that search does: by its stem.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import snowballstemmer

WORDS = {
    "adopt": "how-to/adopt-after-a-restart",
    "airflow": "how-to/run-airflow",
    "artefact": "how-to/ci-runner",
    "as_completed": "how-to/run-many-pods",
    "cancel": "how-to/exec-and-cancel",
    "dashboard": "how-to/board",
    "doctor": "how-to/doctor",
    "exec": "how-to/exec-and-cancel",
    "fastapi": "how-to/web-service",
    "gpu": "how-to/node-pools",
    "grafana": "how-to/monitor",
    "jupyter": "how-to/notebooks",
    "kr8s": "how-to/come-from-kr8s",
    "kubectl": "how-to/kubectl",
    "kubernetespodoperator": "how-to/come-from-the-pod-operator",
    "kueue": "how-to/kueue",
    "namespaces": "how-to/many-namespaces",
    "oom": "reference/outcomes",
    "opentelemetry": "how-to/monitor",
    "preemption": "how-to/node-pools",
    "progress": "how-to/run-many-pods",
    "prometheus": "how-to/monitor",
    "pytest": "how-to/test-your-scheduler",
    "retry": "how-to/retry-workloads",
    "sidecar": "how-to/shape-a-pod",
    "timeline": "how-to/timeline",
    "spot": "how-to/node-pools",
    "structlog": "how-to/monitor",
    "trio": "how-to/trio",
    "xcom": "how-to/return-a-result",
}
"""What is typed, and the page that has to be among those that are found."""


def index_of(built: Path) -> dict[str, Any]:
    """Return the index of the search."""
    text = (built / "searchindex.js").read_text(encoding="utf-8")
    index: dict[str, Any] = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    return index


def pages_of(word: str, index: dict[str, Any]) -> set[str]:
    """Return the pages that the search finds for a word."""
    stem = snowballstemmer.stemmer("english").stemWord(word.lower())
    found: set[str] = set()
    for part in re.findall(r"\w+", stem):
        for terms in (index["terms"], index["titleterms"]):
            numbers = terms.get(part, [])
            numbers = [numbers] if isinstance(numbers, int) else numbers
            found |= {index["docnames"][number] for number in numbers}
    return found


def lost_words(built: Path) -> list[str]:
    """Return what is typed and does not lead to its page."""
    index = index_of(built)
    return [
        f"{word!r} does not find {page}" for word, page in WORDS.items() if page not in pages_of(word, index)
    ]


if __name__ == "__main__":
    sys.exit("\n".join(lost_words(Path(sys.argv[1]))) or None)
