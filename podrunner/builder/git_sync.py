"""DAGs from git: the init container that clones them, and the volumes of its key and known hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podrunner.builder.env import secret_ref

if TYPE_CHECKING:
    from podrunner.config import DagsFromGit

__all__ = ["FS_GROUP", "PASSWORD_KEY", "clone_container", "clone_folder", "git_volumes"]

PASSWORD_KEY = "git-sync-password"  # noqa: S105 - a key, not a password
"""The password's key in the pod's own Secret; no variable has such a name."""
FS_GROUP = 65533
"""git-sync's own group: with it the container may read the key, whose mode is 0440."""

_USERNAME = "GIT_SYNC_USERNAME"
_PASSWORD = "GIT_SYNC_PASSWORD"  # noqa: S105 - the name of a variable
_KEY_VOLUME = "git-sync-ssh-key"
_KEY_MODE = 0o440
_KEY_PATH = "/etc/git-secret/ssh"
_HOSTS_VOLUME = "git-sync-known-hosts"
_HOSTS_PATH = "/etc/git-secret/known_hosts"


def clone_folder(git: DagsFromGit) -> str:
    """Return the folder where the worker finds the DAGs: ``<mount point>/<dest>/<subpath>``."""
    parts = (git.mount_point.rstrip("/"), git.dest.strip("/"), git.subpath.strip("/"))
    return "/".join(part for part in parts if part) or "/"


def git_volumes(git: DagsFromGit) -> list[dict[str, Any]]:
    """Return the volumes of the ssh key and of the known hosts, as far as they are configured."""
    volumes: list[dict[str, Any]] = []
    if git.ssh_key_secret is not None:
        key = {"key": "gitSshKey", "path": "ssh", "mode": _KEY_MODE}
        secret = {"secretName": git.ssh_key_secret, "items": [key]}
        volumes.append({"name": _KEY_VOLUME, "secret": secret})
    if git.known_hosts_configmap is not None:
        # Airflow set the mode beside configMap, where there is no such field.
        hosts = {"name": git.known_hosts_configmap, "defaultMode": _KEY_MODE}
        volumes.append({"name": _HOSTS_VOLUME, "configMap": hosts})
    return volumes


def clone_container(git: DagsFromGit, *, dags_volume: str, secret: str) -> dict[str, Any]:
    """Return the init container that clones the DAGs.

    Args:
        git: What to clone.
        dags_volume: Name of the volume that the worker mounts.
        secret: Name of the pod's own Secret, which holds the password if there is one.
    """
    container: dict[str, Any] = {
        "name": git.container_name,
        "image": git.image,
        "env": [*_repository(git), *_credentials(git, secret), *_ssh(git), *_known_hosts(git)],
        "volumeMounts": _mounts(git, dags_volume),
    }
    if git.run_as_user is not None:
        container["securityContext"] = {"runAsUser": git.run_as_user}
    return container


def _repository(git: DagsFromGit) -> list[dict[str, Any]]:
    return _plain(
        GIT_SYNC_REPO=git.repo,
        GIT_SYNC_BRANCH=git.branch,
        GIT_SYNC_ROOT=git.root,
        GIT_SYNC_DEST=git.dest,
        GIT_SYNC_REV=git.rev,
        GIT_SYNC_DEPTH=str(git.depth),
        GIT_SYNC_ONE_TIME="true",
    )


def _credentials(git: DagsFromGit, secret: str) -> list[dict[str, Any]]:
    if git.credentials_secret is not None:
        return [secret_ref(name, git.credentials_secret, name) for name in (_USERNAME, _PASSWORD)]
    password = [secret_ref(_PASSWORD, secret, PASSWORD_KEY)] if git.password is not None else []
    return [*_plain(GIT_SYNC_USERNAME=git.username), *password]


def _ssh(git: DagsFromGit) -> list[dict[str, Any]]:
    return _plain(GIT_SSH_KEY_FILE=_KEY_PATH, GIT_SYNC_SSH="true") if git.ssh_key_secret is not None else []


def _known_hosts(git: DagsFromGit) -> list[dict[str, Any]]:
    if git.known_hosts_configmap is None:
        return _plain(GIT_KNOWN_HOSTS="false")
    return _plain(GIT_KNOWN_HOSTS="true", GIT_SSH_KNOWN_HOSTS_FILE=_HOSTS_PATH)


def _plain(**variables: str | None) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in variables.items() if value is not None]


def _mounts(git: DagsFromGit, dags_volume: str) -> list[dict[str, Any]]:
    mounts: list[dict[str, Any]] = [{"name": dags_volume, "mountPath": git.root, "readOnly": False}]
    if git.ssh_key_secret is not None:
        mounts.append({"name": _KEY_VOLUME, "mountPath": _KEY_PATH, "subPath": "ssh"})
    if git.known_hosts_configmap is not None:
        mounts.append({"name": _HOSTS_VOLUME, "mountPath": _HOSTS_PATH, "subPath": "known_hosts"})
    return mounts
