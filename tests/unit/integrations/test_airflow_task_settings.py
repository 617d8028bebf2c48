"""What executor_config and the coordinator of a queue say of a task's pod."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from podrunner.errors import SpecError
from podrunner.integrations.airflow.task_settings import coordinator_extra, image_of, settings_of_task


@pytest.mark.parametrize("given", [None, {}, {"pod_override": None}, {"KubernetesExecutor": None}])
def test_nothing_is_said(given: Any) -> None:
    assert settings_of_task(given, None) == {}


def test_what_airflow_3_knows_is_taken_as_it_is() -> None:
    given = {"pod_override": {"spec": {}}, "pod_template_file": "/t.yaml"}
    assert settings_of_task(given, None) == given


def test_the_form_of_airflow_1_is_refused_with_the_remedy() -> None:
    with pytest.raises(SpecError, match=r"by pod_override, a kubernetes\.client\.models\.V1Pod") as caught:
        settings_of_task({"KubernetesExecutor": {"image": "i"}}, None)
    assert caught.value.field == "executor_config['KubernetesExecutor']"


@pytest.mark.parametrize("name", ["image", "pod_overide"])
def test_a_setting_that_no_airflow_3_reads_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match="pod_override and pod_template_file are") as caught:
        settings_of_task({name: "x"}, None)
    assert caught.value.field == f"executor_config[{name!r}]"


def test_the_coordinators_template_wins_over_the_tasks() -> None:
    """As in Airflow's KubernetesExecutor."""
    extra = {"pod_template_file": "/java.yaml"}
    assert settings_of_task({"pod_template_file": "/mine.yaml"}, extra) == extra
    assert settings_of_task({"pod_template_file": "/mine.yaml"}, {"other": 1}) == {
        "pod_template_file": "/mine.yaml"
    }


@pytest.mark.parametrize(
    ("extra", "image"),
    [
        (None, None),
        ({"worker_container_repository": "java"}, None),
        ({"worker_container_tag": "11"}, None),
        ({"worker_container_repository": "java", "worker_container_tag": "11"}, "java:11"),
    ],
)
def test_an_image_needs_repository_and_tag(extra: Any, image: str | None) -> None:
    assert image_of(extra) == image


class MalformedError(Exception):
    """Stands for AirflowConfigException."""


class Manager:
    """Airflow's registry of coordinators."""

    def extra_for_queue(self, queue: str) -> dict[str, str] | None:
        if queue == "malformed":
            raise MalformedError("no JSON")
        return {"pod_template_file": "/java.yaml"} if queue == "java" else None


@pytest.fixture
def task_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Task SDK with as much as is imported of it."""
    for name, content in {
        "airflow": {},
        "airflow.sdk": {},
        "airflow.sdk.exceptions": {"AirflowConfigException": MalformedError},
        "airflow.sdk.execution_time": {},
        "airflow.sdk.execution_time.coordinator": {"get_coordinator_manager": Manager},
    }.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.usefixtures("task_sdk")
def test_a_coordinator_declares_by_queue() -> None:
    assert coordinator_extra("java") == {"pod_template_file": "/java.yaml"}
    assert coordinator_extra("default") is None
    assert coordinator_extra(None) is None


@pytest.mark.usefixtures("task_sdk")
def test_a_malformed_section_hinders_no_task(caplog: pytest.LogCaptureFixture) -> None:
    assert coordinator_extra("malformed") is None
    assert "queue malformed is passed over" in caplog.text


def test_before_airflow_3_3_there_are_no_coordinators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow.sdk.execution_time.coordinator", None)
    assert coordinator_extra("java") is None
