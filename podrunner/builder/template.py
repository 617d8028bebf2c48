"""The template that building starts from, split into parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from podrunner.builder.shape import check_shape
from podrunner.merge.json_value import clone

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Template", "opened"]

_NAMES = ("name", "generateName")


@dataclass(frozen=True, slots=True)
class Template:
    """A template, split into the parts that building works on. All are copies, which the builder may change.

    Attributes:
        labels: Its labels.
        annotations: Its annotations.
        metadata: The rest of its metadata, but for names.
        spec: Its spec, but for the containers.
        main: The main container.
        before: Containers before the main one.
        after: Containers after it.
        warnings: What has no effect in the template, one sentence each.
    """

    labels: dict[str, str]
    annotations: dict[str, str]
    metadata: dict[str, Any]
    spec: dict[str, Any]
    main: dict[str, Any]
    before: list[dict[str, Any]]
    after: list[dict[str, Any]]
    warnings: tuple[str, ...]


def opened(
    template: Mapping[str, Any] | None,
    *,
    container: str,
    insist: bool,
    of_airflow: bool = False,
    place: str = "pod_template",
) -> Template:
    """Return a template split into its parts.

    Args:
        template: A pod; None: an empty one.
        container: Name of the main container.
        insist: Whether the main container must have this name, or else the template's first container is it.
        of_airflow: Whether it is taken as Airflow takes it: its first container gets the name, and a pod's name in it
            is a placeholder, about which nothing is said.
        place: Where the template is given, for errors.

    Raises:
        SpecError: The template is no pod: see :func:`podrunner.builder.shape.check_shape`.
    """
    pod = clone(template or {})
    warnings = check_shape(pod, place=place) if pod else ()
    metadata, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    containers = spec.pop("containers", None) or []
    before, main, after = _around_main(containers, container=container, insist=insist)
    return Template(
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        metadata=_unnamed(metadata),
        spec=spec,
        main={**main, "name": container} if of_airflow else main,
        before=before,
        after=after,
        warnings=(*_warnings(metadata, spec, place, names=() if of_airflow else _NAMES), *warnings),
    )


def _around_main(
    containers: list[dict[str, Any]], *, container: str, insist: bool
) -> tuple[list[dict[str, Any]], dict[str, Any], list[dict[str, Any]]]:
    for index, found in enumerate(containers):
        if found["name"] == container:
            return containers[:index], found, containers[index + 1 :]
    if containers and not insist:
        return [], containers[0], containers[1:]
    return [], {"name": container}, containers


def _unnamed(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata that a template may set: not the name, and nothing that the server sets."""
    kept = ("finalizers", "ownerReferences")
    return {name: metadata[name] for name in kept if name in metadata}


def _warnings(
    metadata: dict[str, Any], spec: dict[str, Any], place: str, *, names: tuple[str, ...]
) -> tuple[str, ...]:
    named = [name for name in names if name in metadata]
    warnings = [f"{place}.metadata.{name} has no effect: podrunner names pods" for name in named]
    if metadata.get("namespace") is not None:
        decides = "the setting `namespace`, the workload or its overrides name the pod's namespace"
        warnings.append(f"{place}.metadata.namespace has no effect: {decides}")
    if spec.get("restartPolicy") == "Always":
        warnings.append(f"{place}.spec.restartPolicy is Always: such a pod never ends by itself")
    return tuple(warnings)
