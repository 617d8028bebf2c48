"""F1: what the table says of each option that shapes a pod is what the built pod shows, by version and template."""

from __future__ import annotations

from collections import defaultdict

import pytest
from podrunner.builder import build_plan
from podrunner.config.airflow.effects import Effect, Scope, effect_of
from podrunner.config.airflow.options import FREE_SECTIONS, OPTIONS
from podrunner.config.loading import load_airflow_cfg
from podrunner.workload import Workload

BY_KEY = {option.key: option for option in OPTIONS}
TASK = Workload(key={"name": "task"}, args=["true"])
TEMPLATE = "kind: Pod\nspec:\n  containers:\n  - name: base\n    image: example\n"
SCOPES = [("1.10.15", False), ("1.10.15", True), ("2.9.2", False), ("2.9.2", True), ("3.0.2", True)]

CLAIMS = {
    "worker_container_repository": "apache/airflow",
    "worker_container_tag": "1",
    "dags_volume_claim": "dags",
    "logs_volume_claim": "logs",
}
HOST = {**CLAIMS, "dags_volume_claim": None, "logs_volume_claim": None}
GIT = {**HOST, "git_repo": "https://x/y", "git_branch": "m", "git_dags_folder_mount_point": "/d"}
IMAGE = {**HOST, "dags_in_image": "True"}

# option, its value, what else the file says
SHAPES = [
    ("worker_container_image_pull_policy", "Always", CLAIMS),
    ("image_pull_secrets", "s", CLAIMS),
    ("worker_service_account_name", "s", CLAIMS),
    ("env_from_configmap_ref", "c", CLAIMS),
    ("env_from_secret_ref", "s", CLAIMS),
    ("affinity", '{"nodeAffinity": {}}', CLAIMS),
    ("tolerations", '[{"key": "a"}]', CLAIMS),
    ("run_as_user", "5", CLAIMS),
    ("fs_group", "5", CLAIMS),
    ("airflow_configmap", "c", CLAIMS),
    ("airflow_local_settings_configmap", "c", CLAIMS),
    ("sql_alchemy_conn", "postgresql://h/d", CLAIMS),
    ("dags_folder", "/srv/dags", CLAIMS),
    ("dags_volume_claim", "others", CLAIMS),
    ("dags_volume_host", "/node", {**IMAGE, "dags_in_image": None}),
    ("dags_volume_subpath", "a", CLAIMS),
    ("dags_volume_mount_point", "/m", CLAIMS),
    ("logs_volume_claim", "others", CLAIMS),
    ("logs_volume_host", "/node", IMAGE),
    ("logs_volume_subpath", "a", CLAIMS),
    ("git_repo", "https://x/z", GIT),
    ("git_branch", "b", GIT),
    ("git_dags_folder_mount_point", "/e", GIT),
    ("git_subpath", "a", GIT),
    ("git_sync_rev", "1", GIT),
    ("git_user", "u", GIT),
    ("git_password", "p", {**GIT, "git_user": "u"}),
    ("git_sync_credentials_secret", "s", GIT),
    ("git_ssh_key_secret_name", "s", GIT),
    ("git_ssh_known_hosts_configmap_name", "c", {**GIT, "git_ssh_key_secret_name": "s"}),
    ("git_sync_root", "/r", GIT),
    ("git_sync_dest", "e", GIT),
    ("git_sync_depth", "2", GIT),
    ("git_sync_container_repository", "r", GIT),
    ("git_sync_container_tag", "t", GIT),
    ("git_sync_init_container_name", "n", GIT),
    ("git_sync_run_as_user", "5", GIT),
    ("worker_container_repository", "example/airflow", CLAIMS),
    ("worker_container_tag", "2", CLAIMS),
]
NO_POD_WITHOUT = {"dags_volume_host": {"dags_in_image": "True"}}
"""What stands in place of an option, where 1.10 refuses a file without it."""


@pytest.fixture
def built(tmp_path):
    """Build the pod and the Secret of a file's options."""

    def _built(options, version, *, template, more=""):
        sections = defaultdict(list)
        for key, value in options.items():
            if value is not None:
                sections[BY_KEY[key].section[-1]].append(f"{key} = {value}\n")
        if template:
            (tmp_path / "pod.yaml").write_text(TEMPLATE)
            sections["kubernetes"].append("pod_template_file = pod.yaml\n")
        text = "".join(f"[{section}]\n{''.join(lines)}" for section, lines in sections.items())
        file = tmp_path / "airflow.cfg"
        file.write_text(text + more)
        environ = {"HOME": "/h", "PODRUNNER_AIRFLOW__VERSION": version}
        plan = build_plan(load_airflow_cfg(file, environ=environ).config, TASK)
        return plan.manifest, plan.secret

    return _built


def test_each_option_that_shapes_the_pod_is_tried():
    assert {option.key for option in OPTIONS if option.in_template} - {
        "dags_in_image",
        "gcp_service_account_keys",
    } <= {key for key, *_ in SHAPES}


@pytest.mark.parametrize(("version", "template"), SCOPES)
@pytest.mark.parametrize(("key", "value", "others"), SHAPES, ids=[key for key, *_ in SHAPES])
def test_an_option_changes_the_pod_if_the_table_says_so(built, key, value, others, version, template):
    """F1: a template, and each version since 2.0, takes the effect from the options of 1.10."""
    without = {**others, **NO_POD_WITHOUT.get(key, {})}
    has_effect = effect_of(BY_KEY[key], Scope((version,), template=template)) is Effect.EFFECT
    changed = built({**others, key: value}, version, template=template) != built(
        without, version, template=template
    )
    assert changed is has_effect


@pytest.mark.parametrize(("version", "template"), SCOPES)
@pytest.mark.parametrize("section", FREE_SECTIONS, ids=lambda section: section.name)
def test_a_free_section_changes_the_pod_without_a_template_only(built, section, version, template):
    """F1: so it is in 1.10; Airflow 2.0 removed these sections."""
    more = (
        f"[{section.name}]\nname = secret=key\n"
        if "secrets" in section.name
        else f"[{section.name}]\nname = v\n"
    )
    changed = built(CLAIMS, version, template=template, more=more) != built(
        CLAIMS, version, template=template
    )
    assert changed is not Scope((version,), template=template).pod_from_template
