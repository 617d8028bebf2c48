"""A pod template beside an airflow.cfg: what the options and the workers need of it."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.config.loading import load_airflow_cfg
from podrunner.errors import ConfigError

CONNECTION = {"name": "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "value": "x"}
BASE = {"name": "base", "image": "apache/airflow:2.9.2", "env": [CONNECTION]}
MOUNTS = [
    {"name": "dags", "mountPath": "/opt/airflow/dags"},
    {"name": "logs", "mountPath": "/opt/airflow/logs"},
]


@pytest.fixture
def check(load, write):
    """Load a file with a template of these containers; return level, key and message of each finding."""

    def _check(*containers, text=""):
        write(json.dumps({"kind": "Pod", "spec": {"containers": list(containers)}}), "pod.yaml")
        loaded = load(f"[kubernetes_executor]\npod_template_file = pod.yaml\n{text}")
        return [(finding.level, finding.key, finding.message) for finding in loaded.findings]

    return _check


def test_a_template_with_all_that_is_needed_is_no_finding(check):
    text = (
        "[core]\ndags_folder = /opt/airflow/dags/repo//dags\n[logging]\nbase_log_folder = /opt/airflow/logs\n"
    )
    assert check({**BASE, "volumeMounts": MOUNTS}, text=text) == []


def test_a_base_that_is_not_the_first_container_is_a_warning(check):
    ((level, key, message),) = check({"name": "vault", "env": [CONNECTION]}, BASE)
    assert (level, key) == ("warning", "spec.containers")
    assert message == "base is not the first container: podrunner runs the task in it, Airflow in 'vault'"


def test_a_template_without_base_is_a_note(check):
    ((level, key, message),) = check({**BASE, "name": "worker"})
    assert (level, key) == ("note", "spec.containers")
    assert "the first one, 'worker', gets that name" in message


def test_an_image_that_the_options_overrule_is_a_note(check):
    text = "worker_container_repository = apache/airflow\nworker_container_tag = 2.9.3\n"
    ((level, key, message),) = check(BASE, text=text)
    assert (level, key) == ("note", "spec.containers[base].image")
    assert "say 'apache/airflow:2.9.3'" in message
    assert check(BASE, text=text.replace("2.9.3", "2.9.2")) == []


@pytest.mark.parametrize(
    ("text", "key", "mounted"),
    [
        ("[core]\ndags_folder = /srv/dags\n", "dags_folder", "/opt/airflow/dags"),
        ("[logging]\nbase_log_folder = /var/log/airflow\n", "base_log_folder", "/opt/airflow/logs"),
        ("[logging]\nbase_log_folder = /opt/airflow/logs2\n", "base_log_folder", "/opt/airflow/logs"),
    ],
)
def test_a_folder_beside_its_volume_is_a_warning(check, text, key, mounted):
    ((level, found, message),) = check({**BASE, "volumeMounts": MOUNTS}, text=text)
    assert (level, found) == ("warning", key)
    assert f"the template mounts its volume at '{mounted}'" in message
    assert check(BASE, text=text) == []  # the image may have it


def test_the_templates_own_variable_is_what_the_worker_uses(check):
    own = [CONNECTION, {"name": "AIRFLOW__CORE__DAGS_FOLDER", "value": "/opt/airflow/dags"}]
    text = "[core]\ndags_folder = /srv/dags\n"
    assert check({**BASE, "volumeMounts": MOUNTS, "env": own}, text=text) == []
    own[1]["value"] = "/elsewhere"
    ((level, key, message),) = check({**BASE, "volumeMounts": MOUNTS, "env": own})
    assert (level, key) == ("warning", "spec.containers[base].env")
    assert message.startswith("dags_folder is '/elsewhere'")


def test_the_dag_folder_of_a_worker_with_bundles_is_not_compared(check):
    text = "[core]\ndags_folder = /srv/dags\n[dag_processor]\ndag_bundle_config_list = []\n"
    of_3 = {**BASE, "image": "apache/airflow:3.1.0", "volumeMounts": MOUNTS}
    assert check(of_3, text=text) == []
    assert ("warning", "dags_folder") in [
        row[:2] for row in check({**BASE, "volumeMounts": MOUNTS}, text=text)
    ]


def test_a_template_that_is_elsewhere_can_be_named_by_a_variable(load, write, tmp_path):
    """The chart's file names the template's place in the scheduler's container."""
    text = "[kubernetes_executor]\npod_template_file = /opt/airflow/pod_templates/pod_template_file.yaml\n"
    with pytest.raises(
        ConfigError, match=r"there is no /opt/.*AIRFLOW__KUBERNETES_EXECUTOR__POD_TEMPLATE_FILE"
    ):
        load(text)
    write(json.dumps({"kind": "Pod", "spec": {"containers": [BASE]}}), "pod.yaml")
    variable = {"AIRFLOW__KUBERNETES_EXECUTOR__POD_TEMPLATE_FILE": str(tmp_path / "pod.yaml")}
    assert load(text, variable).config.pod_template["spec"]["containers"][0]["name"] == "base"


def test_a_variable_from_elsewhere_is_not_guessed(check):
    own = [
        CONNECTION,
        {"name": "AIRFLOW__CORE__DAGS_FOLDER", "valueFrom": {"configMapKeyRef": {"name": "a"}}},
    ]
    assert check({**BASE, "volumeMounts": MOUNTS, "env": own}, text="[core]\ndags_folder = /srv/dags\n") == []


@pytest.mark.parametrize(
    "more",
    [
        {"env": [{**CONNECTION, "name": "AIRFLOW__CORE__SQL_ALCHEMY_CONN_CMD"}]},
        {"env": [{"name": CONNECTION["name"], "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
        {"env": [], "envFrom": [{"secretRef": {"name": "s"}}]},
        {"env": [], "volumeMounts": [{"name": "config", "mountPath": "/opt/airflow/airflow.cfg"}]},
    ],
)
def test_a_connection_may_come_in_several_ways(check, more):
    assert check({**BASE, **more}) == []


def test_a_template_without_the_connection_is_a_note_in_airflow_2_only(check):
    ((level, key, _),) = check({**BASE, "env": []})
    assert (level, key) == ("note", "spec.containers[base]")
    assert check({**BASE, "env": [], "image": "apache/airflow:3.0.2"}) == []


names = st.sampled_from(["spec", "containers", "name", "env", "volumeMounts", "mountPath", "value", "image"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("any")
    (path / "airflow.cfg").write_text(
        "[core]\ndags_folder = /d\n[kubernetes_executor]\npod_template_file = pod.yaml\n"
        "worker_container_repository = a\nworker_container_tag = 2.9.2\n"
    )
    return path


@given(spec=json_values)
def test_any_template_gives_findings_or_a_config_error(folder, spec):
    (folder / "pod.yaml").write_text(json.dumps({"kind": "Pod", "spec": spec}))
    with contextlib.suppress(ConfigError):
        load_airflow_cfg(folder / "airflow.cfg", environ={"HOME": "/h"})
