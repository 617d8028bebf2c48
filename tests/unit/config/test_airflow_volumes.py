"""DAGs have exactly one source and logs one volume: what Airflow 1.10 ranked silently is refused."""

from __future__ import annotations

import itertools

import pytest
from podrunner.config import (
    DagsFromClaim,
    DagsFromGit,
    DagsFromHostPath,
    DagsInImage,
    LogsInEmptyDir,
    LogsOnClaim,
    LogsOnHostPath,
)
from podrunner.errors import ConfigError

GIT = "git_repo = https://x/y.git\ngit_branch = main\ngit_dags_folder_mount_point = /dags\n"
SOURCES = {
    "dags_in_image": "dags_in_image = True\n",
    "dags_volume_claim": "dags_volume_claim = dags\n",
    "dags_volume_host": "dags_volume_host = /airflow-dags/\n",
    "git_repo": GIT,
}


def dags(loaded):
    return loaded.config.airflow.dags


def test_a_claim(load):
    text = "[kubernetes]\ndags_volume_claim = dags\ndags_volume_subpath = a/b\ndags_volume_mount_point = /m\n"
    assert dags(load(text)) == DagsFromClaim(claim="dags", subpath="a/b", mount_point="/m")


def test_a_folder_of_the_node(load):
    text = "[kubernetes]\ndags_volume_host = /airflow-dags/\ndags_volume_subpath = a/b\n"
    assert dags(load(text)) == DagsFromHostPath(path="/airflow-dags/", subpath="a/b")


def test_in_the_image(load):
    assert dags(load("[kubernetes]\ndags_in_image = True\n")) == DagsInImage()


def test_git_with_airflows_defaults(load):
    assert dags(load(f"[kubernetes]\n{GIT}")) == DagsFromGit(
        repo="https://x/y.git",
        branch="main",
        mount_point="/dags",
        root="/git",
        dest="repo",
        image="k8s.gcr.io/git-sync:v3.1.1",
        run_as_user=65533,
    )


def test_git_over_https(load):
    text = "git_user = u\ngit_password = p\ngit_subpath = d/\ngit_sync_rev = v1\ngit_sync_depth = 0\n"
    git = dags(load(f"[kubernetes]\n{GIT}{text}git_sync_dest = clone\ngit_sync_root = /r\n"))
    assert (git.username, git.password.get_secret_value(), git.subpath, git.rev) == ("u", "p", "d/", "v1")
    assert (git.depth, git.dest, git.root) == (0, "clone", "/r")


def test_git_over_ssh(load):
    text = "git_ssh_key_secret_name = key\ngit_ssh_known_hosts_configmap_name = hosts\ngit_sync_run_as_user = 7\n"
    git = dags(load(f"[kubernetes]\n{GIT}{text}"))
    assert (git.ssh_key_secret, git.known_hosts_configmap, git.run_as_user) == ("key", "hosts", 7)


def test_the_git_sync_image(load):
    text = "git_sync_container_repository = r/git-sync\ngit_sync_container_tag = v2.0.5\n"
    git = dags(load(f"[kubernetes]\n{GIT}{text}git_sync_init_container_name = clone\n"))
    assert (git.image, git.container_name) == ("r/git-sync:v2.0.5", "clone")


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(SOURCES, 2)))
def test_two_sources_are_refused(load, one, other):
    with pytest.raises(ConfigError, match=f"{one} and {other} are two sources of DAGs. Keep one"):
        load(f"[kubernetes]\n{SOURCES[one]}{SOURCES[other]}")


def test_no_source_is_refused(load):
    with pytest.raises(ConfigError, match=r"no source of DAGs is set.*Set one of dags_volume_claim"):
        load("[kubernetes]\nnamespace = a\n")


def test_a_misspelt_source_is_named_beside_the_error(load):
    with pytest.raises(ConfigError, match=r"dag_volume_claim is unknown: Did you mean 'dags_volume_claim'\?"):
        load("[kubernetes]\ndag_volume_claim = dags\n")


def test_git_without_mount_point_is_refused_when_it_is_the_only_source(load):
    with pytest.raises(ConfigError, match="git_dags_folder_mount_point is missing"):
        load("[kubernetes]\ngit_repo = https://x/y\ngit_branch = main\n")


def test_git_without_branch_is_refused(load):
    with pytest.raises(ConfigError, match="git_branch is missing"):
        load("[kubernetes]\ngit_repo = https://x/y\ngit_dags_folder_mount_point = /dags\n")


@pytest.mark.parametrize("source", ["dags_in_image", "dags_volume_claim", "dags_volume_host"])
def test_git_without_mount_point_beside_another_source_is_one_warning(load, source):
    text = "git_repo = https://x/y\ngit_branch = main\ngit_subpath = d\ngit_sync_root = /git\n"
    (finding,) = load(f"[kubernetes]\n{SOURCES[source]}{text}").findings
    assert f"git_repo, git_branch, git_subpath: no effect beside {source}" in finding.message


@pytest.mark.parametrize(
    "credentials",
    [
        "git_user = u\ngit_password = p\ngit_ssh_key_secret_name = s\n",
        "git_password = p\ngit_sync_credentials_secret = s\n",
        "git_sync_credentials_secret = s\ngit_ssh_key_secret_name = s\n",
    ],
)
def test_two_kinds_of_git_credentials_are_refused(load, credentials):
    with pytest.raises(ConfigError, match=r"exclude each other\. Keep one kind"):
        load(f"[kubernetes]\n{GIT}{credentials}")


def test_a_password_in_the_url_is_moved_to_the_secret_with_a_warning(load):
    loaded = load(f"[kubernetes]\n{GIT.replace('https://', 'https://u:p@')}")
    git = dags(loaded)
    assert (git.repo, git.username, git.password.get_secret_value()) == ("https://x/y.git", "u", "p")
    assert [finding.key for finding in loaded.warnings] == ["git_repo"]


def test_a_password_in_the_url_beside_another_is_refused(load):
    with pytest.raises(ConfigError, match="another option does too") as caught:
        load(f"[kubernetes]\n{GIT.replace('https://', 'https://u:hidden@')}git_password = q\n")
    assert "hidden" not in str(caught.value)


def test_with_a_template_or_in_later_versions_no_source_is_needed(load, write):
    write("kind: Pod\n", "pod.yaml")
    assert dags(load("[kubernetes]\npod_template_file = pod.yaml\n")) == DagsInImage()
    assert dags(load("[kubernetes_executor]\nnamespace = a\n")) == DagsInImage()


@pytest.mark.parametrize(
    ("text", "logs"),
    [
        ("", LogsInEmptyDir()),
        ("logs_volume_subpath = a\n", LogsInEmptyDir()),
        ("logs_volume_claim = logs\nlogs_volume_subpath = a\n", LogsOnClaim(claim="logs", subpath="a")),
        ("logs_volume_host = /l\n", LogsOnHostPath(path="/l")),
    ],
)
def test_log_volumes(load, text, logs):
    assert load(f"[kubernetes]\ndags_in_image = True\n{text}").config.airflow.logs == logs


def test_two_log_volumes_are_refused(load):
    with pytest.raises(ConfigError, match="logs_volume_claim and logs_volume_host are two places for logs"):
        load("[kubernetes]\ndags_in_image = True\nlogs_volume_claim = a\nlogs_volume_host = /b\n")


def test_a_wrong_volume_names_its_option(load):
    with pytest.raises(ConfigError, match=r"\[kubernetes\] dags_volume_host: not an absolute path"):
        load("[kubernetes]\ndags_volume_host = dags\n")
    with pytest.raises(ConfigError, match=r"\[kubernetes\] dags_volume_subpath: not a relative path"):
        load("[kubernetes]\ndags_volume_claim = dags\ndags_volume_subpath = ../x\n")
