"""Rules about single options of an ``airflow.cfg``: what they ask for, and what a launcher of pods can do about it.

What belongs here: one function per rule. Findings that follow from the table of options alone are in ``report.py``,
those about the pod template in ``template_checks.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podrunner.config.airflow.options import is_in
from podrunner.redaction import redact

if TYPE_CHECKING:
    from podrunner.config.airflow.conversion import Conversion
    from podrunner.config.airflow.sources import Given

__all__ = ["check_options"]

_HYBRID = {
    "CeleryKubernetesExecutor": "celery_kubernetes_executor",
    "LocalKubernetesExecutor": "local_kubernetes_executor",
}
"""Executors that choose by the task's queue, and the section that names the queue."""
_OF_PODS = ("Kubernetes", "PodRunnerExecutor")
"""What the name of an executor has in it that runs tasks in pods."""

_LONGEST_NAMES = 200


def check_options(conversion: Conversion) -> None:
    """Report what single options ask for and podrunner does in another way, or not at all."""
    for check in _CHECKS:
        check(conversion)


def _executor(conversion: Conversion) -> None:
    given = conversion.sources.given("executor")
    if given is None:
        return
    names = executor_names(given.text)
    shown = _shown(names)
    if not any(part in name for name in names for part in _OF_PODS):
        conversion.warn(
            given.location,
            f"{shown}: Airflow launches no pods by it; podrunner launches a pod for each task",
            remedy="Set KubernetesExecutor, if the file is for podrunner",
        )
    elif len(names) > 1 or names[0] in _HYBRID:
        conversion.note(
            given.location,
            f"{shown}: Airflow runs only some tasks in pods; podrunner runs all that it is given",
            remedy="Give it the tasks that are to run in pods",
        )


def executor_names(text: str) -> list[str]:
    """Return the classes that ``[core] executor`` names, without modules, aliases and teams.

    Airflow 2.10 and later take a list; an entry may have an alias before or after the class (``a:b.C``, ``b.C:a``),
    and in 3.x a team before it (``team=C``).
    """
    entries = [entry.strip().rpartition("=")[2] for entry in text.replace(";", ",").split(",")]
    return [_class_of(entry) for entry in entries if entry] or [text]


def _shown(names: list[str]) -> str:
    return redact(" and ".join(names))[:_LONGEST_NAMES]


def _class_of(entry: str) -> str:
    parts = entry.split(":")
    path = next((part for part in parts if "." in part or part.endswith("Executor")), parts[0])
    return path.rpartition(".")[2]


def _queue(conversion: Conversion) -> None:
    """Report the queue of a hybrid executor that is not the one that is set."""
    given = conversion.sources.given("executor")
    names = executor_names(given.text) if given else []
    for written in conversion.sources.written("kubernetes_queue"):
        if not any(_HYBRID.get(name) == written.section for name in names):
            executor = _shown(names) or "not set"
            conversion.note(written.location, f"has no effect: the executor is {executor}")


def _remote_logging(conversion: Conversion) -> None:
    given = conversion.sources.given("remote_logging")
    if given is not None and conversion.sources.value("remote_logging"):
        conversion.note(
            given.location,
            "the worker sends its log to the remote store; podrunner collects the container's output"
            " into logs.folder, and reads no remote store",
        )


def _deletions(conversion: Conversion) -> None:
    sources = conversion.sources
    delete, on_failure = sources.given("delete_worker_pods"), sources.given("delete_worker_pods_on_failure")
    if delete and not sources.value("delete_worker_pods"):
        conversion.note(
            delete.location,
            "finished pods stay in the cluster",
            remedy="Bound them by kept_pods_max_age_s or kept_pods_max_count",
        )
        if on_failure and sources.value("delete_worker_pods_on_failure"):
            conversion.note(on_failure.location, "has no effect beside delete_worker_pods = False")
    elif delete and not is_in("1.10.11", "", conversion.scope.versions):
        conversion.warn(
            delete.location,
            f"{conversion.scope.airflow} deletes failed pods too; podrunner keeps them, as later versions do",
            remedy="Set delete_worker_pods_on_failure = True to delete them",
        )


def _pending_timeouts(conversion: Conversion) -> None:
    """Report the shorter of two timeouts: Airflow 2.6 and later take the longer one, and so does podrunner."""
    keys = ("worker_pods_pending_timeout", "task_queued_timeout")
    both = [(conversion.sources.value(key), conversion.sources.given(key)) for key in keys]
    given = [(value, found) for value, found in both if found is not None]
    if len(given) == 2 and given[0][0] != given[1][0]:
        (_, shorter), (_, longer) = sorted(given, key=lambda each: each[0])
        conversion.note(
            shorter.location, f"has no effect: {_named(longer)} is longer, and the longer one counts"
        )


def _named(given: Given) -> str:
    section = f"[{given.location.section}] " if given.location.section else ""
    return f"{section}{given.location.key}"


_CHECKS = (_executor, _queue, _remote_logging, _deletions, _pending_timeouts)
