"""The signs in an ``airflow.cfg`` of the version that it is written for.

What belongs here: which options, sections and images only some lines of Airflow have, and where they stand in a
configuration. What they say together is decided in ``version.py``.

A repeated section is no sign: the official chart writes ``[kubernetes]`` and ``[kubernetes_executor]``, whatever the
version, and options such as ``airflow_configmap`` that only 1.10 reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podrunner.config.airflow.sources import ENVIRONMENT, PREFIX
from podrunner.config.airflow.version import AirflowLine, Sign, line_of, version_in_image
from podrunner.config.location import SourceLocation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from podrunner.config.airflow.sources import AirflowSources

__all__ = ["signs_of"]

_1_10 = frozenset({AirflowLine.V1_10})
_LATER = frozenset({AirflowLine.V2, AirflowLine.V3})
_3 = frozenset({AirflowLine.V3})

_OPTIONS_OF_1_10 = (
    "dags_in_image",
    "dags_volume_claim",
    "dags_volume_host",
    "git_repo",
    "git_dags_folder_mount_point",
    "logs_volume_claim",
    "logs_volume_host",
    "worker_container_image_pull_policy",
    "worker_service_account_name",
    "image_pull_secrets",
    "env_from_configmap_ref",
    "env_from_secret_ref",
    "affinity",
    "tolerations",
    "run_as_user",
    "fs_group",
)
"""Options of ``[kubernetes]`` that 2.0 removed in favour of the pod template. Only those that give something count."""

_COMMON_SECTIONS = (("database", _LATER, "2.3 and later"),)
"""Sections that say the least: charts set their variables for every version."""

_SECTIONS: tuple[tuple[str, frozenset[AirflowLine], str], ...] = (
    ("api_auth", _3, "3"),
    ("callbacks", _3, "3"),
    ("execution_api", _3, "3"),
    ("sdk", _3, "3"),
    ("workers", _3, "3"),
    ("kubernetes_executor", _LATER, "2.5 and later"),
    ("kubernetes_secrets", _1_10, "1.10"),
    ("kubernetes_environment_variables", _1_10, "1.10"),
    ("kubernetes_node_selectors", _1_10, "1.10"),
    ("kubernetes_annotations", _1_10, "1.10"),
    ("kubernetes_labels", _1_10, "1.10"),
)
"""Sections that only some lines have, and from which version on: ``config.yml`` of 2.11 and 3.3, ``airflow.cfg`` of
1.10.15. ``[dag_processor]`` is not among them, since the chart writes it for 2.x too."""


def signs_of(sources: AirflowSources, template: Mapping[str, Any] | None, *, file: str) -> list[Sign]:
    """Return the signs, the most reliable first: images of Airflow, then sections, then options.

    Sections of later versions come before options of 1.10, which an upgraded file may still hold without effect.

    Args:
        sources: The options of the file and the environment.
        template: The pod template, if one is named.
        file: Its path, for messages.
    """
    images = [*_worker_image(sources), *_template_image(template or {}, file)]
    return [
        *images,
        *_sections(sources, _SECTIONS),
        *_options(sources),
        *_sections(sources, _COMMON_SECTIONS),
    ]


def _worker_image(sources: AirflowSources) -> Iterator[Sign]:
    repository, tag = sources.given("worker_container_repository"), sources.given("worker_container_tag")
    if repository and tag:
        yield from _image(f"{repository.text}:{tag.text}", tag.location, "the tag")


def _template_image(template: Mapping[str, Any], file: str) -> Iterator[Sign]:
    spec = template.get("spec")
    containers = spec.get("containers") if isinstance(spec, dict) else None
    for container in containers if isinstance(containers, list) else []:
        image = container.get("image") if isinstance(container, dict) else None
        if isinstance(image, str):
            place = SourceLocation(file, None, f"spec.containers[{container.get('name')}].image")
            yield from _image(image, place, "the image's tag")
        return  # Airflow's container is the first one


def _image(image: str, location: SourceLocation, what: str) -> Iterator[Sign]:
    version = version_in_image(image)
    if version is not None:
        yield Sign(frozenset({line_of(version)}), f"{what} {image.rpartition(':')[2]}", location, version)


def _options(sources: AirflowSources) -> Iterator[Sign]:
    for key in _OPTIONS_OF_1_10:
        given = sources.given(key)
        if given is None or not _is_of_old_section(given.location):
            continue
        if given.text not in {"False", "{}", "[]", sources.default_of(key).text}:
            yield Sign(_1_10, f"{key}, an option of Airflow 1.10", given.location)
            return


def _is_of_old_section(location: SourceLocation) -> bool:
    """Whether an option stands in ``[kubernetes]``: 1.10 does not read ``[kubernetes_executor]``."""
    return location.section == "kubernetes" or (location.key or "").startswith(f"{PREFIX}KUBERNETES__")


def _sections(
    sources: AirflowSources, known: tuple[tuple[str, frozenset[AirflowLine], str], ...]
) -> Iterator[Sign]:
    for section, lines, since in known:
        location = _section(sources, section)
        if location is not None:
            yield Sign(lines, f"[{section}], a section of Airflow {since}", location)


def _section(sources: AirflowSources, section: str) -> SourceLocation | None:
    """Return where a section stands: in the file with at least one key, or as variables of the environment."""
    if sources.file.keys(section):
        return SourceLocation(sources.file.source, section)
    prefix = f"{PREFIX}{section.upper()}__"
    variable = next((name for name in sorted(sources.environ) if name.startswith(prefix)), None)
    return None if variable is None else SourceLocation(ENVIRONMENT, None, variable)
