"""Checking that an object has a pod's shape, as far as the builder relies on it.

This is not a validation of pods: the API server validates, and its answer names the field. Here a template, an
override or a hook's pod on which the builder would fail is refused with the path of the wrong field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podrunner.errors import SpecError
from podrunner.merge.json_value import type_name
from podrunner.redaction import HIDDEN, looks_secret, shown_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["check_shape"]

_NAMED = ("volumes", "imagePullSecrets", "schedulingGates")
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


def check_shape(pod: Mapping[str, Any], *, place: str) -> None:
    """Check the fields of a pod that the builder reads. A null counts as absent.

    Args:
        pod: The pod.
        place: Prefix of the paths in errors, such as ``pod_template.``.

    Raises:
        SpecError: A field is of the wrong type, or an element of a list has no name.
    """
    metadata = _object(pod, "metadata", place)
    for field in ("labels", "annotations"):
        _check_texts(_object(metadata, field, f"{place}metadata."), f"{place}metadata.{field}")
    for index, name in enumerate(_list(metadata, "finalizers", f"{place}metadata.")):
        _check_text(name, f"{place}metadata.finalizers[{index}]")
    _check_spec(_object(pod, "spec", place), f"{place}spec.")


def _check_spec(spec: Mapping[str, Any], place: str) -> None:
    _object(spec, "securityContext", place)
    for field in _NAMED:
        _check_named(spec, field, place)
    for field in _CONTAINERS:
        for container, path in _check_named(spec, field, place):
            _check_container(container, f"{path}.")


def _check_container(container: Mapping[str, Any], place: str) -> None:
    _check_named(container, "env", place)
    _check_named(container, "volumeMounts", place, key="mountPath")
    list(_objects(container, "envFrom", place))


def _object(parent: Mapping[str, Any], field: str, place: str) -> Mapping[str, Any]:
    value = parent.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SpecError(f"must be an object, not {type_name(value)}", field=f"{place}{field}")
    return value


def _check_texts(texts: Mapping[str, Any], place: str) -> None:
    for name, value in texts.items():
        _check_text(value, f"{place}.{name}")


def _check_text(value: object, place: str) -> None:
    if not isinstance(value, str):
        remedy = f"must be text, not {type_name(value)}; put it in quotes"
        name = place.rpartition(".")[2]
        raise SpecError(remedy, field=place, value=HIDDEN if looks_secret(name) else shown_value(value))


def _check_named(
    parent: Mapping[str, Any], field: str, place: str, *, key: str = "name"
) -> list[tuple[Mapping[str, Any], str]]:
    elements = list(_objects(parent, field, place))
    for element, path in elements:
        if not isinstance(element.get(key), str) or not element[key]:
            raise SpecError(f"needs {key!r}", field=path)
    return elements


def _objects(parent: Mapping[str, Any], field: str, place: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    for index, element in enumerate(_list(parent, field, place)):
        if not isinstance(element, dict):
            problem = f"must be an object, not {type_name(element)}"
            raise SpecError(problem, field=f"{place}{field}[{index}]")
        yield element, f"{place}{field}[{index}]"


def _list(parent: Mapping[str, Any], field: str, place: str) -> list[Any]:
    elements = parent.get(field)
    if not isinstance(elements, list | None):
        raise SpecError(f"must be a list, not {type_name(elements)}", field=f"{place}{field}")
    return elements or []
