"""podrunner's log records bear fields: structlog and JSON formatters have them without reading the message."""

from __future__ import annotations

import ast
import io
import json
import logging
from pathlib import Path

import podrunner
import pytest
import structlog
from podrunner.log_fields import pod_fields
from podrunner.runner.states import Rules
from podrunner.runner.tracked import TrackedPod
from pythonjsonlogger.json import JsonFormatter
from tests.unit.runner.harness import Cluster, configured, running, until, workload

FIELDS = {"pod", "namespace", "uid", "key", "category"}
_ROOT = Path(podrunner.__file__).parent


def _log_calls() -> list[tuple[str, ast.Call]]:
    found = []
    for path in sorted(_ROOT.rglob("*.py")):
        if path.relative_to(_ROOT).parts[0] in {"cli", "integrations", "local", "testing"}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            if is_call and ast.unparse(node.func.value) in {"_log", "_logger"}:
                found.append((f"{path.relative_to(_ROOT)}:{node.lineno}", node))
    return found


def _names_a_pod(call: ast.Call) -> bool:
    """By its message, or by what it puts into it."""
    text = ast.unparse(call)
    return "pod %s" in text or ".namespace, " in text


def test_each_record_about_a_pod_has_the_fields():
    """Of the source: a record whose message names a pod bears ``extra``."""
    calls = _log_calls()
    assert len(calls) > 40, "they are found"
    about_pods = [(place, call) for place, call in calls if _names_a_pod(call)]
    assert len(about_pods) > 20
    missing = [place for place, call in about_pods if all(word.arg != "extra" for word in call.keywords)]
    assert not missing


def test_the_fields_of_a_pod():
    pod = TrackedPod(workload().key, "ns", "name", rules=Rules("base", configured()))
    assert pod_fields(pod, category="failed").keys() == FIELDS
    assert pod_fields(pod)["key"] == str(workload().key)
    assert not FIELDS & vars(logging.makeLogRecord({})).keys(), "logging refuses names of its own"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("library", ["structlog", "python-json-logger"])
async def test_a_library_for_structured_logs_has_them(library):
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(_structlog() if library == "structlog" else JsonFormatter())
    logger = logging.getLogger("podrunner")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        cluster = Cluster()
        async with running(cluster) as runner:
            pod = runner.submit(workload())
            await until(lambda: pod.uid)
            cluster.play(pod.name)
            await pod.wait(30)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    records = [json.loads(line) for line in out.getvalue().splitlines()]
    ended = next(record for record in records if "category" in record)
    assert {name: ended[name] for name in FIELDS} == {
        "pod": pod.name,
        "namespace": "default",
        "uid": pod.uid,
        "key": str(pod.key),
        "category": "succeeded",
    }


def _structlog() -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )
