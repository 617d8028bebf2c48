"""DAGs from git, over https and ssh."""

import pytest
from podrunner.builder import build_pod
from podrunner.config import AirflowSettings, DagsFromGit, RunnerConfig


@pytest.fixture
def built(workload):
    def build(**git):
        source = DagsFromGit(**{"repo": "git@host:x/y.git", "mount_point": "/dags", **git})
        return build_pod(RunnerConfig(image="i", airflow=AirflowSettings(dags=source)), workload)

    return build


def env_of(container):
    return {
        variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in container["env"]
    }


def test_over_ssh_key_and_known_hosts_are_mounted(built, look):
    pod = built(ssh_key_secret="key", known_hosts_configmap="hosts")
    assert look.volumes(pod)["git-sync-ssh-key"] == {
        "secret": {"secretName": "key", "items": [{"key": "gitSshKey", "path": "ssh", "mode": 0o440}]}
    }
    (clone,) = pod["spec"]["initContainers"]
    assert clone["volumeMounts"] == [
        {"name": "airflow-dags", "mountPath": "/git", "readOnly": False},
        {"name": "git-sync-ssh-key", "mountPath": "/etc/git-secret/ssh", "subPath": "ssh"},
        {
            "name": "git-sync-known-hosts",
            "mountPath": "/etc/git-secret/known_hosts",
            "subPath": "known_hosts",
        },
    ]
    env = env_of(clone)
    assert env["GIT_SSH_KEY_FILE"] == "/etc/git-secret/ssh"
    assert env["GIT_SYNC_SSH"] == "true"
    assert env["GIT_KNOWN_HOSTS"] == "true"
    assert env["GIT_SSH_KNOWN_HOSTS_FILE"] == "/etc/git-secret/known_hosts"


def test_the_mode_of_known_hosts_is_set_where_kubernetes_reads_it(built, look):
    """The original wrote it beside configMap, as a field that does not exist."""
    assert look.volumes(built(known_hosts_configmap="hosts"))["git-sync-known-hosts"] == {
        "configMap": {"name": "hosts", "defaultMode": 0o440}
    }


def test_a_key_without_a_group_gets_git_syncs(built):
    assert built(ssh_key_secret="key")["spec"]["securityContext"] == {"fsGroup": 65533}
    assert "securityContext" not in built()["spec"]


def test_a_group_that_is_set_stays(workload):
    git = DagsFromGit(repo="git@x:y", mount_point="/dags", ssh_key_secret="key")
    config = RunnerConfig(image="i", fs_group=7, run_as_user=0, airflow=AirflowSettings(dags=git))
    assert build_pod(config, workload)["spec"]["securityContext"] == {"runAsUser": 0, "fsGroup": 7}


def test_later_options_reach_the_clone(built):
    pod = built(
        rev="abc", depth=0, credentials_secret="creds", image="git-sync:v4", container_name="clone", root="/g"
    )
    (clone,) = pod["spec"]["initContainers"]
    env = env_of(clone)
    assert env["GIT_SYNC_REV"] == "abc"
    assert env["GIT_SYNC_DEPTH"] == "0"
    assert env["GIT_SYNC_ROOT"] == "/g"
    for name in ("GIT_SYNC_USERNAME", "GIT_SYNC_PASSWORD"):
        assert env[name] == {"secretKeyRef": {"name": "creds", "key": name}}
    assert clone["name"] == "clone"
    assert clone["image"] == "git-sync:v4"
    assert "securityContext" not in clone


def test_the_worker_reads_the_clone_where_it_is_mounted(built, look):
    pod = built()
    assert look.mounts(pod)["/dags"] == {"name": "airflow-dags", "readOnly": True}
    assert look.volumes(pod)["airflow-dags"] == {"emptyDir": {}}
