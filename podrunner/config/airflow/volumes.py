"""Converting Airflow's options for the source of DAGs and the volume of logs.

What belongs here: which of the sources is meant, and that there is exactly one. Airflow 1.10 ranked them silently
(image, claim, host, git); here two usable ones are an error, and git options that cannot work are a warning.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from podrunner.config.location import SourceLocation

if TYPE_CHECKING:
    from podrunner.config.airflow.conversion import Conversion
    from podrunner.config.airflow.sources import AirflowSources, Given

__all__ = ["convert_volumes"]

_REMEDY = (
    "Set one of dags_volume_claim, dags_volume_host, dags_in_image = True,"
    " or git_repo with git_branch and git_dags_folder_mount_point;"
    " or say that this is a later Airflow by airflow.version (the variable PODRUNNER_AIRFLOW__VERSION)"
)
_GIT_WITHOUT_MOUNT = ("git_repo", "git_branch", "git_subpath", "git_user", "git_password", "git_sync_rev")
_GIT = {
    "git_repo": "repo",
    "git_branch": "branch",
    "git_sync_rev": "rev",
    "git_subpath": "subpath",
    "git_dags_folder_mount_point": "mount_point",
    "git_sync_root": "root",
    "git_sync_dest": "dest",
    "git_sync_depth": "depth",
    "git_user": "username",
    "git_password": "password",
    "git_sync_credentials_secret": "credentials_secret",
    "git_ssh_key_secret_name": "ssh_key_secret",
    "git_ssh_known_hosts_configmap_name": "known_hosts_configmap",
    "git_sync_init_container_name": "container_name",
    "git_sync_run_as_user": "run_as_user",
}
_CREDENTIALS = {
    "git_user/git_password": ("git_user", "git_password"),
    "git_sync_credentials_secret": ("git_sync_credentials_secret",),
    "git_ssh_key_secret_name": ("git_ssh_key_secret_name",),
}
_CREDENTIALS_IN_URL = re.compile(r"(?P<scheme>https?://)(?P<user>[^/@:]*):(?P<password>[^/@]*)@(?P<rest>.+)")


def convert_volumes(conversion: Conversion) -> None:
    """Convert the options of DAG and log volumes, unless the pod is the template alone.

    Raises:
        ConfigError: There is no source of DAGs, or two; two log volumes; git with two kinds of credentials.
    """
    if conversion.is_template_all:
        return
    _dags(conversion)
    _logs(conversion)


def _dags(conversion: Conversion) -> None:
    found = _real_sources(conversion.sources)
    if len(found) > 1:
        (first, _), (second, given) = list(found.items())[:2]
        raise given.location.error(f"{first} and {second} are two sources of DAGs", remedy="Keep one of them")
    source = next(iter(found), None)
    if source is None:
        _none(conversion)
    elif source == "git_repo":
        _git(conversion)
    else:
        _volume_or_image(conversion, source, found[source])
        _warn_of_inert_git(conversion, source)


def _real_sources(sources: AirflowSources) -> dict[str, Given]:
    """Return the sources of DAGs that are complete enough to work, by the option that names them."""
    in_image = sources.given("dags_in_image") if sources.value("dags_in_image") else None
    git = sources.given("git_repo") if sources.given("git_dags_folder_mount_point") else None
    named = {
        "dags_in_image": in_image,
        "dags_volume_claim": sources.given("dags_volume_claim"),
        "dags_volume_host": sources.given("dags_volume_host"),
        "git_repo": git,
    }
    return {name: given for name, given in named.items() if given is not None}


def _none(conversion: Conversion) -> None:
    """Refuse a file without a source of DAGs: Airflow 1.10 required one."""
    sources = conversion.sources
    if given := sources.given("git_repo"):
        raise given.location.error(
            "the DAGs cannot come from git: git_dags_folder_mount_point is missing",
            remedy="Set it to the folder where the worker is to mount the clone",
        )
    raise SourceLocation(sources.file.source, "kubernetes").error(
        f"no source of DAGs is set{_misspelt(conversion)}", remedy=_REMEDY
    )


def _misspelt(conversion: Conversion) -> str:
    """Return a hint at unknown options that resemble a source: the error hides the warnings about them."""
    meant = [
        f"{finding.key} is unknown: {finding.remedy}"
        for finding in conversion.builder.findings
        if finding.remedy
    ]
    likely = [text for text in meant if "'dags_" in text or "'git_" in text]
    return f" ({'; '.join(likely)})" if likely else ""


def _volume_or_image(conversion: Conversion, source: str, given: Given) -> None:
    kind, setting = {
        "dags_in_image": ("image", None),
        "dags_volume_claim": ("claim", "claim"),
        "dags_volume_host": ("host-path", "path"),
    }[source]
    conversion.put("airflow.dags.kind", kind, given.location)
    if setting:
        conversion.put(f"airflow.dags.{setting}", given.text, given.location)
        _take_given(conversion, "dags_volume_subpath", "airflow.dags.subpath")
        _take_given(conversion, "dags_volume_mount_point", "airflow.dags.mount_point")


def _take_given(conversion: Conversion, key: str, setting: str) -> None:
    if conversion.sources.given(key) is not None:
        conversion.take(key, setting)


def _warn_of_inert_git(conversion: Conversion, source: str) -> None:
    """Warn once of git options beside a volume: without a mount point they never had an effect."""
    sources = conversion.sources
    inert = [key for key in _GIT_WITHOUT_MOUNT if sources.given(key) is not None]
    first = sources.given(inert[0]) if inert else None
    if first is not None:
        conversion.warn(
            first.location,
            f"{', '.join(inert)}: no effect beside {source}, as git_dags_folder_mount_point is not set",
            remedy=f"Remove them, or set the mount point and remove {source}",
        )


def _git(conversion: Conversion) -> None:
    sources = conversion.sources
    repo = sources.given("git_repo")
    assert repo is not None
    if sources.given("git_branch") is None:
        raise repo.location.error("git_branch is missing beside git_repo", remedy="Set the branch to clone")
    _refuse_two_credentials(sources)
    conversion.put("airflow.dags.kind", "git", repo.location)
    for key, setting in _GIT.items():
        conversion.take(key, f"airflow.dags.{setting}")
    conversion.put(
        "airflow.dags.image", _git_image(sources), conversion.location("git_sync_container_repository")
    )
    _take_credentials_out(conversion, repo)


def _git_image(sources: AirflowSources) -> str:
    return f"{sources.text('git_sync_container_repository')}:{sources.text('git_sync_container_tag')}"


def _refuse_two_credentials(sources: AirflowSources) -> None:
    given = {
        name: found
        for name, keys in _CREDENTIALS.items()
        if (found := next(filter(None, map(sources.given, keys)), None)) is not None
    }
    if len(given) > 1:
        raise next(reversed(given.values())).location.error(
            f"{' and '.join(given)} exclude each other", remedy="Keep one kind of credentials"
        )


def _take_credentials_out(conversion: Conversion, repo: Given) -> None:
    """Move a password from the repository's URL to where git_password goes, so that it is not in the pod."""
    match = _CREDENTIALS_IN_URL.fullmatch(repo.text)
    if not match:
        return
    if any(conversion.sources.given(key) for keys in _CREDENTIALS.values() for key in keys):
        raise repo.location.error("the URL holds a password, and another option does too", remedy="Keep one")
    conversion.put("airflow.dags.repo", match["scheme"] + match["rest"], repo.location)
    conversion.put("airflow.dags.username", match["user"], repo.location)
    conversion.put("airflow.dags.password", SecretStr(match["password"]), repo.location)
    conversion.warn(
        repo.location,
        "the URL holds a password; podrunner hands it over in a Secret instead",
        remedy="Use git_user and git_password",
    )


def _logs(conversion: Conversion) -> None:
    named: dict[str, tuple[str, str]] = {
        "logs_volume_claim": ("claim", "claim"),
        "logs_volume_host": ("host-path", "path"),
    }
    given: dict[str, Any] = {key: conversion.sources.given(key) for key in named}
    set_keys = [key for key, found in given.items() if found is not None]
    if len(set_keys) > 1:
        raise given[set_keys[1]].location.error(
            f"{' and '.join(set_keys)} are two places for logs", remedy="Keep one of them"
        )
    for key in set_keys:
        kind, setting = named[key]
        conversion.put("airflow.logs.kind", kind, given[key].location)
        conversion.put(f"airflow.logs.{setting}", given[key].text, given[key].location)
        _take_given(conversion, "logs_volume_subpath", "airflow.logs.subpath")
