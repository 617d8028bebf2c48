"""The hash of a workload: the same for the same work, whichever runner runs it and wherever it is placed."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.builder import PodBuilder, build_plan, is_another_workload
from podrunner.builder.labels import MANIFEST_HASH
from podrunner.builder.manifest_hash import NOT_HASHED, manifest_hash
from podrunner.config import AirflowSettings, DagsInImage, RunnerConfig
from podrunner.launcher import Launcher
from podrunner.workload import Resources, Workload, WorkloadKey
from tests.support.event_loops import both_in_virtual_time
from tests.support.fake_server import FakeServer

anyio_backend = both_in_virtual_time

KEY = WorkloadKey({"a": "b"})
COUNTS: dict[str, Any] = {
    "args": ["x"],
    "command": ["x"],
    "container_name": "x",
    "credentials": {"X": "x"},
    "env": {"X": "x"},
    "fs_group": 0,
    "image": "x",
    "init_containers": [{"name": "x"}],
    "overrides": {"spec": {"hostname": "x"}},
    "pod_override": {"spec": {"hostname": "x"}},
    "pod_template": {"spec": {"hostname": "x"}},
    "result_path": "/x/y",
    "run_as_user": 0,
    "secret_env": {"X": ("x", "x")},
    "sidecars": [{"name": "x"}],
    "task_workload": '{"ti": {"id": "1", "dag_id": "d", "task_id": "t", "run_id": "r", "try_number": 1}}',
    "volume_mounts": [{"mountPath": "/x"}],
    "volumes": [{"name": "x"}],
    "working_dir": "x",
}
DOES_NOT_COUNT: dict[str, Any] = {
    "active_deadline_s": 1,
    "affinity": {"x": {}},
    "annotations": {"x": "x"},
    "identity_annotations": {"x": "x"},
    "identity_labels": {"x": "x"},
    "image_pull_policy": "Always",
    "image_pull_secrets": ["x"],
    "key": WorkloadKey({"x": "x"}, attempt=2, relaunch=1),
    "labels": {"x": "x"},
    "log_path": "x",
    "name": "x",
    "namespace": "x",
    "node_selector": {"x": "x"},
    "priority_class_name": "x",
    "resources": Resources(cpu_request="1"),
    "scheduling_gates": ["x"],
    "service_account_name": "x",
    "termination_grace_period_s": 1,
    "tolerations": [{"key": "x"}],
}
LEAST = manifest_hash(Workload(key=KEY))


def test_each_field_is_decided_on():
    assert {*COUNTS} | {*DOES_NOT_COUNT} == {*Workload.model_fields}
    assert {*DOES_NOT_COUNT} == NOT_HASHED


@pytest.mark.parametrize("field", COUNTS)
def test_what_is_run_counts(field):
    hashed = manifest_hash(Workload(key=KEY, **{field: COUNTS[field]}))
    assert re.fullmatch(r"2:[0-9a-f]{64}", hashed)
    assert hashed != LEAST


@pytest.mark.parametrize("field", DOES_NOT_COUNT)
def test_how_it_is_run_and_found_does_not_count(field):
    assert manifest_hash(Workload(**{"key": KEY, field: DOES_NOT_COUNT[field]})) == LEAST


def test_the_form_is_stable():
    """Another form would refuse outcomes after an update of podrunner; it needs another prefix."""
    workload = Workload(key=KEY, command=["a", "b"], env={"B": "2", "A": "1"}, run_as_user=0)
    form = b'{"command":["a","b"],"env":{"A":"1","B":"2"},"run_as_user":0}'
    assert manifest_hash(workload) == "2:" + hashlib.sha256(form).hexdigest()


@given(
    st.fixed_dictionaries({}, optional={name: st.just(value) for name, value in COUNTS.items()}),
    st.fixed_dictionaries({}, optional={name: st.just(value) for name, value in DOES_NOT_COUNT.items()}),
    st.randoms(),
)
def test_neither_the_order_nor_what_is_left_at_its_default_counts(given_fields, others, random):
    fields = {"key": KEY, **given_fields, **others}
    items = list(fields.items())
    random.shuffle(items)
    unset = {
        name: field.default for name, field in Workload.model_fields.items() if field.default in (None, ())
    }
    assert manifest_hash(Workload(**fields)) == manifest_hash(Workload(**{**unset, **dict(items)}))


def test_the_order_of_variables_does_not_count_but_that_of_words_does():
    one, other = {"A": "1", "B": "2"}, {"B": "2", "A": "1"}
    assert manifest_hash(Workload(key=KEY, env=one)) == manifest_hash(Workload(key=KEY, env=other))
    assert manifest_hash(Workload(key=KEY, args=["a", "b"])) != manifest_hash(
        Workload(key=KEY, args=["b", "a"])
    )


def test_a_password_does_not_count_and_its_name_does():
    def hashed(**credentials: str) -> str | None:
        return manifest_hash(Workload(key=KEY, credentials=credentials))

    assert hashed(PASSWORD="old") == hashed(PASSWORD="new")
    assert hashed(PASSWORD="old") != hashed(TOKEN="old")


def test_the_plan_has_it_whatever_the_runner_and_its_configuration():
    workload = Workload(key=KEY, command=["date"])
    bare = RunnerConfig(image="i", scope="one")
    full = RunnerConfig(
        image="other",
        scope="two",
        env={"RUN": "2"},
        outcome_finalizer=True,
        labels={"version": "2"},
        airflow=AirflowSettings(home="/a", dags=DagsInImage()),
    )
    plans = [
        PodBuilder(bare).build(workload),
        PodBuilder(full, owner="me", pod_hook=lambda pod: pod["spec"].update(hostname="h")).build(workload),
    ]
    assert {plan.manifest_hash for plan in plans} == {manifest_hash(workload)}


def test_what_cannot_be_written_has_none():
    assert manifest_hash(Workload(key=KEY, command=["\ud800"])) is None


@pytest.mark.anyio
async def test_each_pod_bears_it():
    plan = build_plan(RunnerConfig(image="i"), Workload(key=KEY, command=["date"]))
    launcher = Launcher(FakeServer().client(), owner="o", scope="s", config=RunnerConfig())
    pod = (await launcher.launch(plan)).pod
    assert pod.metadata.annotations[MANIFEST_HASH] == plan.manifest_hash


@pytest.mark.parametrize(
    ("annotations", "ours", "is_another"),
    [
        ({MANIFEST_HASH: "2:a"}, "2:a", False),
        ({MANIFEST_HASH: "2:a"}, "2:b", True),
        ({MANIFEST_HASH: "1:a"}, "2:b", False),
        ({MANIFEST_HASH: "2:a"}, None, False),
        ({}, "2:a", False),
        (None, "2:a", False),
    ],
)
def test_only_a_certain_difference_counts(annotations, ours, is_another):
    assert is_another_workload(annotations, ours) is is_another
