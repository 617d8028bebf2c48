"""Both pods of a case, and whether only named differences remain.

What belongs here: podrunner's side, and the comparison. The differences are in ``differences.py``.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from podrunner.builder import build_plan
from podrunner.config import RunnerConfig, load_airflow_cfg
from podrunner.errors import SpecError
from podrunner.workload import Workload
from tests.airflow_parity.cases import CFG, TASK_TEMPLATE, TEMPLATE, Case
from tests.airflow_parity.differences import DIFFERENCES, Pair

__all__ = ["Compared", "compared", "pod_by_podrunner"]


@dataclasses.dataclass(frozen=True)
class Compared:
    """What the comparison of a case found.

    Attributes:
        named: The names of the differences that are there.
        remaining: The first of the others, with the place and both values; None: there is none.
    """

    named: tuple[str, ...]
    remaining: str | None


def pod_by_podrunner(
    case: Case, line: str, *, model: Callable[[dict[str, Any]], Any] = dict
) -> dict[str, Any]:
    """Return the pod that podrunner makes of a case's files and task, with the namespace that it is created in.

    Args:
        case: The case.
        line: The version of Airflow.
        model: Makes what the task holds as its ``pod_override`` of a manifest.
    """
    files = case.files(line)
    config = _config(files[CFG], files.get(TEMPLATE))
    with _folder({TASK_TEMPLATE: files.get(TASK_TEMPLATE)}) as folder:
        plan = build_plan(config, _workload(case, line, folder, model))
    pod = deepcopy(plan.manifest)
    pod["metadata"]["namespace"] = plan.namespace
    return pod


@lru_cache(maxsize=16)
def _config(cfg: str, template: str | None) -> RunnerConfig:
    """Return the configuration of the files; many cases differ in their task only."""
    with _folder({CFG: cfg, TEMPLATE: template}) as folder:
        return load_airflow_cfg(folder / CFG, environ={}).config


@contextmanager
def _folder(files: Mapping[str, str | None]) -> Iterator[Path]:
    """Make a folder with the files that have a text."""
    with tempfile.TemporaryDirectory() as name:
        for file, text in files.items():
            if text is not None:
                Path(name, file).write_text(text)
        yield Path(name)


def _workload(case: Case, line: str, folder: Path, model: Callable[[dict[str, Any]], Any]) -> Workload:
    settings: dict[str, Any] = {}
    override = case.override(line)
    if override is not None:
        settings["pod_override"] = model(override)
    if case.task_template is not None:
        settings["pod_template_file"] = str(folder / TASK_TEMPLATE)
    shared: dict[str, Any] = {
        "airflow_version": line,
        "executor_config": settings,
        "worker_uuid": case.scheduler_job_id,
    }
    if line.startswith("3."):
        return Workload.airflow(task_workload=case.task.workload, **shared)
    return Workload.airflow(**dataclasses.asdict(case.task), **shared)


def compared(case: Case, line: str, answer: dict[str, Any]) -> Compared:
    """Compare both pods of a case.

    Args:
        case: The case.
        line: The version of Airflow.
        answer: What the provider's program said.
    """
    pair = Pair(case=case, line=line, error=answer.get("error"), airflow=deepcopy(answer.get("pod")))
    try:
        pair.podrunner = pod_by_podrunner(case, line)
    except SpecError as error:
        pair.refusal = str(error)
    named = []
    before = pair.as_text()
    for difference in DIFFERENCES:
        difference.settle(pair)
        after = pair.as_text()
        if after != before:
            named.append(difference.name)
        before = after
    return Compared(tuple(named), _remaining(pair))


def _remaining(pair: Pair) -> str | None:
    if pair.error is not None or pair.refusal is not None:
        return f"Airflow: {pair.error or 'a pod'}; podrunner: {pair.refusal or 'a pod'}"
    return first_difference(pair.airflow, pair.podrunner)


def first_difference(airflow: Any, podrunner: Any, place: str = "pod") -> str | None:
    """Return the place of the first difference of two values with both; None: they are equal."""
    if isinstance(airflow, dict) and isinstance(podrunner, dict):
        for name in sorted(airflow.keys() | podrunner.keys()):
            ours, theirs = podrunner.get(name, _ABSENT), airflow.get(name, _ABSENT)
            if _ABSENT in (ours, theirs):
                return f"{place}.{name}: Airflow {_shown(theirs)}, podrunner {_shown(ours)}"
            found = first_difference(theirs, ours, f"{place}.{name}")
            if found is not None:
                return found
        return None
    if isinstance(airflow, list) and isinstance(podrunner, list) and len(airflow) == len(podrunner):
        pairs = enumerate(zip(airflow, podrunner, strict=True))
        found = (first_difference(theirs, ours, f"{place}[{index}]") for index, (theirs, ours) in pairs)
        return next((text for text in found if text is not None), None)
    equal = type(airflow) is type(podrunner) and airflow == podrunner
    return None if equal else f"{place}: Airflow {_shown(airflow)}, podrunner {_shown(podrunner)}"


_ABSENT = object()


def _shown(value: Any) -> str:
    return "nothing" if value is _ABSENT else json.dumps(value, ensure_ascii=False)[:400]
