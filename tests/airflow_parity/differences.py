"""The differences between podrunner's pod and Airflow's that are meant, each with its reason.

What belongs here: the whole table, and for each row the function that settles it: it checks that what it finds is
exactly what the row says, and takes it out of both pods. A difference that no row settles is an error of podrunner.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from podrunner.builder import safe_label
from tests.airflow_parity.api_server import refusals
from tests.airflow_parity.cases import Case

__all__ = ["DIFFERENCES", "Difference", "Pair"]


@dataclass
class Pair:
    """Both sides of a case; what a difference settles goes from both.

    Attributes:
        case: The case.
        line: The version of Airflow.
        error: Why Airflow makes no pod; None: it makes one.
        refusal: Why podrunner makes no pod; None: it makes one.
        airflow: Airflow's pod.
        podrunner: podrunner's pod.
    """

    case: Case
    line: str
    error: str | None
    airflow: dict[str, Any] | None
    refusal: str | None = None
    podrunner: dict[str, Any] | None = None

    @property
    def pods(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Airflow's pod and podrunner's; None where one of them is missing."""
        return None if self.airflow is None or self.podrunner is None else (self.airflow, self.podrunner)

    def as_text(self) -> str:
        """Return both sides in one text, to see whether something changed."""
        return json.dumps([self.airflow, self.error, self.podrunner, self.refusal], sort_keys=True)


@dataclass(frozen=True)
class Difference:
    """A difference that is meant.

    Attributes:
        name: A short name.
        airflow: What Airflow does.
        podrunner: What podrunner does.
        reason: Why.
        settle: Takes the difference out of both sides, if it is there.
    """

    name: str
    airflow: str
    podrunner: str
    reason: str
    settle: Callable[[Pair], None]


def _name(pair: Pair) -> None:
    if pair.pods is None:
        return
    airflow, podrunner = (pod["metadata"].get("name", "") for pod in pair.pods)
    if (
        re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?-[0-9a-f]{32}", podrunner)
        and len(podrunner) <= 63
        and airflow
    ):
        for pod in pair.pods:
            del pod["metadata"]["name"]


def _kind(pair: Pair) -> None:
    if pair.pods is not None:
        airflow, podrunner = pair.pods
        for field, value in (("apiVersion", "v1"), ("kind", "Pod")):
            if podrunner.get(field) == value:
                airflow.setdefault(field, value)


_MEANT = {"emptyDir", "labelSelector", "namespaceSelector", "podSelector"}
"""Objects that say something by being empty."""


def _empty(pair: Pair) -> None:
    if pair.pods is not None:
        _drop_empty(*pair.pods)


def _drop_empty(one: Any, other: Any) -> None:
    """Take out of each side the members that are empty there, and that the other side does not have."""
    if isinstance(one, list) and isinstance(other, list):
        for first, second in zip(one, other, strict=False):
            _drop_empty(first, second)
    elif isinstance(one, dict) and isinstance(other, dict):
        for name in one.keys() & other.keys():
            _drop_empty(one[name], other[name])
        for has, lacks in ((one, other), (other, one)):
            for name in has.keys() - lacks.keys() - _MEANT:
                if _says_nothing(has[name]):
                    del has[name]


def _says_nothing(value: Any) -> bool:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else (value,)
    return value is None or (isinstance(value, dict | list) and all(map(_says_nothing, members)))


def _restart_policy(pair: Pair) -> None:
    if pair.pods is not None:
        airflow, podrunner = (pod["spec"] for pod in pair.pods)
        if "restartPolicy" not in airflow and podrunner.get("restartPolicy") == "Never":
            del podrunner["restartPolicy"]


def _generate_name(pair: Pair) -> None:
    if pair.pods is not None and "generateName" not in pair.pods[1]["metadata"]:
        pair.pods[0]["metadata"].pop("generateName", None)


def _labels_without_legal_characters(pair: Pair) -> None:
    if pair.pods is not None:
        airflow, podrunner = (pod["metadata"].get("labels") or {} for pod in pair.pods)
        for name, value in podrunner.items():
            if re.fullmatch("[0-9a-f]{9}", value) and airflow.get(name) == f"-{value}":
                airflow[name] = value


_IDENTITY = ("dag_id", "task_id", "run_id", "try_number", "map_index")


def _identity(pair: Pair) -> None:
    if pair.pods is None:
        return
    given = (pair.case.pod_override or {}).get("metadata") or {}
    for field, made in (("labels", safe_label), ("annotations", str)):
        airflow, podrunner = (pod["metadata"].get(field) or {} for pod in pair.pods)
        for name in _IDENTITY:
            own = made(str(getattr(pair.case.task, name)))
            theirs = (given.get(field) or {}).get(name)
            if theirs is not None and airflow.get(name) == theirs and podrunner.get(name) == own:
                airflow[name] = own


_MARK = "AIRFLOW_IS_K8S_EXECUTOR_POD"


def _repeated_mark(pair: Pair) -> None:
    if pair.pods is None:
        return
    airflow, podrunner = (pod["spec"]["containers"][0].get("env") or [] for pod in pair.pods)
    theirs, ours = (
        [each.get("value") for each in env if each["name"] == _MARK] for env in (airflow, podrunner)
    )
    if len(theirs) > 1 and ours == [theirs[-1]] == ["True"]:
        for pod, env in zip(pair.pods, (airflow, podrunner), strict=True):
            pod["spec"]["containers"][0]["env"] = [each for each in env if each["name"] != _MARK]


def _no_containers(pair: Pair) -> None:
    if pair.error is not None and pair.podrunner is not None and pair.error.startswith(_NO_CONTAINERS):
        pair.error = pair.podrunner = None


_NO_CONTAINERS = "ValueError: Invalid value for `containers`, must not be `None`"


def _refused(pair: Pair) -> None:
    if pair.refusal is not None and pair.airflow is not None and refusals(pair.airflow):
        pair.refusal = pair.airflow = None


def _not_watched(pair: Pair) -> None:
    watched = "multi_namespace_mode = True" in pair.case.cfg
    if pair.airflow is not None and not watched and "is not watched by the runner" in (pair.refusal or ""):
        pair.refusal = pair.airflow = None


def _no_text(pair: Pair) -> None:
    if pair.airflow is not None and re.search("must be text, not a (boolean|number)", pair.refusal or ""):
        pair.refusal = pair.airflow = None


def _unknown_field(pair: Pair) -> None:
    if pair.airflow is not None and "there is no such field" in (pair.refusal or ""):
        pair.refusal = pair.airflow = None


def _container_named_base(pair: Pair) -> None:
    if pair.pods is None:
        return
    airflow, podrunner = ([each["name"] for each in pod["spec"]["containers"]] for pod in pair.pods)
    if airflow.count("base") > 1 and podrunner.count("base") == 1 and not refusals(pair.pods[1]):
        pair.airflow = pair.podrunner = None


DIFFERENCES = (
    Difference(
        "name",
        "`<ids>-<8 random characters>`, or the override's",
        "`<ids>-<32 hexadecimal digits>`, computed from the task and its try",
        "A create request that is sent again finds the first pod, so that one try has one pod.",
        _name,
    ),
    Difference(
        "apiVersion and kind",
        "absent where no template gives them",
        "always `v1` and `Pod`",
        "The manifest can be given to `kubectl`; the API server fills both in.",
        _kind,
    ),
    Difference(
        "empty fields",
        "keeps the template's empty lists and mappings",
        "leaves out those that it has no value for",
        "Both mean the same to the API server.",
        _empty,
    ),
    Difference(
        "restartPolicy",
        "absent where no template gives it: the API server makes it `Always`",
        "`Never`",
        "A worker that ended must not be started again by the kubelet.",
        _restart_policy,
    ),
    Difference(
        "generateName",
        "keeps the template's beside the name",
        "leaves it out",
        "The API server ignores it beside a name.",
        _generate_name,
    ),
    Difference(
        "labels of ids without a legal character",
        "`-<9 digits>`, which the API server refuses",
        "`<9 digits>`",
        "Each task has a valid label; the annotation has the exact id.",
        _labels_without_legal_characters,
    ),
    Difference(
        "identity in pod_override",
        "the labels and annotations `dag_id`, `task_id` and so on are the override's",
        "they are the task's",
        "By them a successor recognises the task of a pod.",
        _identity,
    ),
    Difference(
        f"`{_MARK}` in the template",
        "a second variable of that name",
        "one variable",
        "The second one's value, `True`, counts.",
        _repeated_mark,
    ),
    Difference(
        "a template without containers",
        "the task fails",
        "the container `base` is added",
        "Nothing else is needed to run the task.",
        _no_containers,
    ),
    Difference(
        "a pod that the API server refuses, such as one without an image",
        "is sent; the executor reports the server's answer",
        "a `SpecError` says what is missing, before a request is sent",
        "`render` and `config check` find it offline.",
        _refused,
    ),
    Difference(
        "an override's namespace that is not watched",
        "creates the pod there, and never learns that it ended",
        "a `SpecError` names the setting that is missing",
        "Without `multi_namespace_mode` only one namespace is watched.",
        _not_watched,
    ),
    Difference(
        "numbers and flags where Kubernetes wants text",
        "the client makes text of them: `true` becomes `True`",
        "a `SpecError` names the place",
        "`kubectl` refuses them too; quotes say which text is meant.",
        _no_text,
    ),
    Difference(
        "a field that no pod has",
        "the client drops it",
        "a `SpecError` names the place, and a field with a similar name",
        "What a misspelt field was meant to do would not happen.",
        _unknown_field,
    ),
    Difference(
        "a container before `base`",
        "it becomes a second `base`; the API server refuses the pod",
        "the container with the name `base` runs the task, wherever it stands",
        "The template says by its names which container is meant.",
        _container_named_base,
    ),
)


def as_table() -> str:
    """Return the differences as the documentation shows them."""
    rows = [f"| {row.name} | {row.airflow} | {row.podrunner} | {row.reason} |" for row in DIFFERENCES]
    return "\n".join(["| Difference | Airflow | podrunner | Why |", "|---|---|---|---|", *rows])


if __name__ == "__main__":
    print(as_table())  # noqa: T201 - for the page of the documentation
