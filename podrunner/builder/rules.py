"""Rules between the fields of a pod that hold in every version of Kubernetes: names that must differ or must exist.

The fields themselves, and the types of their values, are checked before (``podrunner.schema``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podrunner.redaction import shown_value
from podrunner.schema.fields import Problem
from podrunner.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["NO_VOLUME", "mounts_without_volume", "problems_between", "repeated"]


NO_VOLUME = "no volume has this name"


def problems_between(pod: Mapping[str, Any], *, place: str = "", is_finished: bool = True) -> list[Problem]:
    """Return what is wrong between the fields of a pod whose types have been checked.

    Args:
        pod: The pod.
        place: The beginning of all paths.
        is_finished: Whether each mount must name one of the pod's volumes. A template's may still come; there, a
            variable that stands twice is reported, which overrides may do on purpose.
    """
    spec, before = pod.get("spec") or {}, f"{place}." if place else ""
    found = [*repeated(spec.get("volumes") or (), "name", place=f"{before}spec.volumes", what="volume")]
    names: set[str] = set()
    known = {volume["name"] for volume in spec.get("volumes") or ()} if is_finished else None
    for field in ("containers", "initContainers"):
        elements = spec.get(field) or ()
        found += repeated(elements, "name", place=f"{before}spec.{field}", what="container", names=names)
        for container in elements:
            found += _container(container, f"{before}spec.{field}[{container['name']}]", known)
    return found


def repeated(
    elements: Iterable[Mapping[str, Any]], key: str, *, place: str, what: str, names: set[str] | None = None
) -> Iterator[Problem]:
    """Yield a problem for each element of a list whose name another element has.

    Args:
        elements: The list.
        key: The member that names an element.
        place: The list's path.
        what: What an element is.
        names: Names that are taken already; those of the list are added.
    """
    taken = set() if names is None else names
    for index, element in enumerate(elements):
        name = element.get(key)
        if name in taken:
            message = f"another {what} has this {key}; each must have its own"
            yield Problem(f"{place}[{index}].{key}", message, shown_value(name))
        elif name is not None:
            taken.add(name)


def _container(container: Mapping[str, Any], place: str, volumes: set[str] | None) -> Iterator[Problem]:
    mounts = container.get("volumeMounts")
    if mounts:
        yield from repeated(mounts, "mountPath", place=f"{place}.volumeMounts", what="mount of the container")
        if volumes is not None:
            yield from mounts_without_volume(mounts, f"{place}.volumeMounts", volumes)
    variables = container.get("env") if volumes is None else None
    if variables and len({variable["name"] for variable in variables}) < len(variables):
        yield from _variables(variables, f"{place}.env")


def mounts_without_volume(
    mounts: Iterable[Mapping[str, Any]], place: str, volumes: set[str]
) -> Iterator[Problem]:
    """Yield a problem for each mount that names none of these volumes.

    Args:
        mounts: The mounts.
        place: The list's path.
        volumes: Names of the pod's volumes.
    """
    for mount in mounts:
        name = mount.get("name")
        if name is None:
            yield Problem(f"{place}[{mount.get('mountPath')}]", "needs 'name', the name of a volume")
        elif name not in volumes:
            known = f"its volumes: {', '.join(sorted(volumes))}" if volumes else "it has none"
            remedy = did_you_mean(name, volumes) or f"The pod needs a volume of this name; {known}"
            yield Problem(
                f"{place}[{mount.get('mountPath')}].name",
                f"{NO_VOLUME}. {remedy}",
                shown_value(name),
            )


def _variables(variables: Iterable[Mapping[str, Any]], place: str) -> Iterator[Problem]:
    """Yield a note for each variable that stands twice: Kubernetes takes the last one."""
    for problem in repeated(variables, "name", place=place, what="variable"):
        message = "another variable has this name; the last one counts"
        yield problem._replace(message=message, is_certain=False)
