"""Rules about a pod template beside an ``airflow.cfg``: whether it has what the options and Airflow's workers need.

What belongs here: comparing the template with the file. Whether the template is a valid pod does not belong here: the
schema of pods checks that. The template is a user's document, so nothing about its shape is taken for granted.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from podrunner.config.airflow.options import is_in
from podrunner.config.location import SourceLocation
from podrunner.redaction import shown_value

if TYPE_CHECKING:
    from podrunner.config.airflow.conversion import Conversion

__all__ = ["check_template"]

_BASE = "base"
"""The name of the task's container in each version of Airflow."""

_BUNDLES = "3.0.0"
"""The version since which a worker may get its DAGs from bundles, wherever the DAG folder is."""

_CONNECTION = "SQL_ALCHEMY_CONN"


def check_template(conversion: Conversion) -> None:
    """Report where the template does not have what the file's options, or Airflow's workers, need."""
    if conversion.template is None:
        return
    containers = _items(_mapping(conversion.template.get("spec")).get("containers"))
    main = next(
        (each for each in containers if each.get("name") == _BASE), containers[0] if containers else {}
    )
    _check_containers(conversion, containers)
    _check_image(conversion, main)
    has_bundles = is_in(_BUNDLES, "", conversion.scope.versions)
    if not (has_bundles and conversion.sources.written("dag_bundle_config_list")):
        _check_folder(conversion, main, "dags_folder", "dags")
    _check_folder(conversion, main, "base_log_folder", "logs")
    _check_connection(conversion, main)


def _check_containers(conversion: Conversion, containers: list[dict[str, Any]]) -> None:
    """Report a template whose first container is not base: Airflow runs the task in the first one, by its position."""
    names = [str(container.get("name", "")) for container in containers]
    if not names or names[0] == _BASE:
        return
    if _BASE in names:
        conversion.warn(
            _place(conversion, "spec.containers"),
            f"base is not the first container: podrunner runs the task in it, Airflow in {shown_value(names[0])}",
            remedy="Put the container base first",
        )
    else:
        conversion.note(
            _place(conversion, "spec.containers"),
            f"no container is named base: the first one, {shown_value(names[0])}, gets that name and runs the task",
            remedy="Name the task's container base",
        )


def _check_image(conversion: Conversion, main: dict[str, Any]) -> None:
    repository = conversion.sources.given("worker_container_repository")
    tag = conversion.sources.given("worker_container_tag")
    image = main.get("image")
    named = f"{repository.text}:{tag.text}" if repository and tag else None
    if named and image and image != named:
        conversion.note(
            _place(conversion, f"{_path_of(main)}.image"),
            f"has no effect: worker_container_repository and worker_container_tag say {shown_value(named)}",
        )


def _check_folder(conversion: Conversion, main: dict[str, Any], key: str, what: str) -> None:
    """Report a folder that is under no mount, while the template mounts a volume for it elsewhere.

    Only a folder that the file or the template names is compared: its default depends on the worker's home.
    """
    given = conversion.sources.given(key)
    written = _variable(main, key.upper())
    folder = (given.text if given else "") if written is None else written
    mounts = [mount for mount in _items(main.get("volumeMounts")) if isinstance(mount.get("mountPath"), str)]
    if not folder or any(_is_under(folder, mount["mountPath"]) for mount in mounts):
        return
    elsewhere = ", ".join(mount["mountPath"] for mount in mounts if _is_about(mount, what))
    if elsewhere:
        conversion.warn(
            given.location if written is None and given else _place(conversion, f"{_path_of(main)}.env"),
            f"{key} is {shown_value(folder)}, but the template mounts its volume at {shown_value(elsewhere)}",
            remedy="Make the two agree",
        )


def _is_about(mount: dict[str, Any], what: str) -> bool:
    """Return whether a mount's volume or folder is named after DAGs or logs."""
    folder = PurePosixPath(mount["mountPath"]).name
    return what in str(mount.get("name", "")) or folder == what


def _is_under(folder: str, mount: str) -> bool:
    return PurePosixPath(folder).is_relative_to(PurePosixPath(mount))


def _check_connection(conversion: Conversion, main: dict[str, Any]) -> None:
    """Report a template that leaves a worker of Airflow 2 without the connection to the database."""
    if any(not version.startswith("2") for version in conversion.scope.versions):
        return
    mounts = [str(mount.get("mountPath", "")) for mount in _items(main.get("volumeMounts"))]
    configured = any(path.rstrip("/").endswith(("airflow.cfg", "/airflow")) for path in mounts)
    if _variable(main, _CONNECTION) is None and not _items(main.get("envFrom")) and not configured:
        conversion.note(
            _place(conversion, _path_of(main)),
            "neither a variable nor an airflow.cfg tells the worker where Airflow's database is",
            remedy="Set AIRFLOW__DATABASE__SQL_ALCHEMY_CONN there, unless the image has it",
        )


def _variable(container: dict[str, Any], option: str) -> str | None:
    """Return an ``AIRFLOW__SECTION__OPTION`` variable's value: "" if it comes from elsewhere, None if there is none."""
    for entry in _items(container.get("env")):
        name = str(entry.get("name", ""))
        if name.startswith("AIRFLOW__") and name.partition("__")[2].partition("__")[2] in {
            option,
            f"{option}_CMD",
            f"{option}_SECRET",
        }:
            return str(entry.get("value", "")) if "value" in entry else ""
    return None


def _path_of(container: dict[str, Any]) -> str:
    return f"spec.containers[{container.get('name', '')}]"


def _place(conversion: Conversion, path: str) -> SourceLocation:
    return SourceLocation(conversion.template_file, None, path)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: object) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
