"""The pod that building starts from: a copy of the template, taken apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from podrunner.errors import SpecError
from podrunner.merge.json_value import clone, type_name

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Template", "opened"]


@dataclass(frozen=True, slots=True)
class Template:
    """A template in the parts that building works on. All are copies, ours to change.

    Attributes:
        labels: Its labels.
        annotations: Its annotations.
        metadata: The rest of its metadata, but for names.
        spec: Its spec, but for the containers.
        main: The main container.
        before: Containers before the main one.
        after: Containers after it.
        warnings: What the template says without effect.
    """

    labels: dict[str, str]
    annotations: dict[str, str]
    metadata: dict[str, Any]
    spec: dict[str, Any]
    main: dict[str, Any]
    before: list[dict[str, Any]]
    after: list[dict[str, Any]]
    warnings: tuple[str, ...]


def opened(template: Mapping[str, Any] | None, *, container: str, insist: bool) -> Template:
    """Take a template apart.

    Args:
        template: A pod; None: an empty one.
        container: Name of the main container.
        insist: Whether the main container must have this name, or else the template's first container is it.

    Raises:
        SpecError: The template's shape is not a pod's.
    """
    pod = clone(template or {})
    metadata, spec = _object(pod, "metadata", ""), _object(pod, "spec", "")
    containers = _containers(spec)
    before, main, after = _around_main(containers, container=container, insist=insist)
    labels, annotations = (
        _object(metadata, "labels", "metadata."),
        _object(metadata, "annotations", "metadata."),
    )
    return Template(
        labels, annotations, _unnamed(metadata), spec, main, before, after, warnings=_warnings(metadata, spec)
    )


def _object(parent: dict[str, Any], name: str, place: str) -> dict[str, Any]:
    value = parent.pop(name, None)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SpecError(f"must be an object, not {type_name(value)}", field=f"pod_template.{place}{name}")
    return value


def _containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    containers = spec.pop("containers", None) or []
    for index, container in enumerate(containers):
        if not isinstance(container, dict) or not container.get("name"):
            raise SpecError("needs 'name'", field=f"pod_template.spec.containers[{index}]")
    return list(containers)


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
    """What a template may say of the pod as an object: not its name, nothing that the server writes."""
    kept = ("finalizers", "ownerReferences")
    return {name: metadata[name] for name in kept if name in metadata}


def _warnings(metadata: dict[str, Any], spec: dict[str, Any]) -> tuple[str, ...]:
    named = [name for name in ("name", "generateName", "namespace") if name in metadata]
    warnings = [f"pod_template.metadata.{name} has no effect: podrunner names pods" for name in named]
    if spec.get("restartPolicy") == "Always":
        warnings.append("pod_template.spec.restartPolicy is Always: such a pod never ends by itself")
    return tuple(warnings)
