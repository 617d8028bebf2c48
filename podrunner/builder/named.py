"""Lists whose elements have a name: volumes, mounts, containers, variables.

Between the layers of settings an element replaces the one of the same name as a whole. A deep merge would join, for
example, a claim and an emptyDir in one volume, which Kubernetes refuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podrunner.errors import SpecError
from podrunner.redaction import shown_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["joined"]


def joined(
    base: Iterable[Mapping[str, Any]], further: Iterable[Mapping[str, Any]], *, key: str = "name", field: str
) -> list[dict[str, Any]]:
    """Return ``base`` with ``further`` appended; an element replaces the one of the same name, in its position.

    Args:
        base: The elements of the weaker layer.
        further: The elements of the stronger layer.
        key: The member that names an element.
        field: Where ``further`` comes from, for errors.

    Raises:
        SpecError: An element has no name.
    """
    elements = [dict(element) for element in base]
    places = {element.get(key): index for index, element in enumerate(elements)}
    for index, element in enumerate(further):
        name = _name(element, key=key, field=f"{field}[{index}]")
        if name in places:
            elements[places[name]] = dict(element)
        else:
            places[name] = len(elements)
            elements.append(dict(element))
    return elements


def _name(element: Mapping[str, Any], *, key: str, field: str) -> str:
    name = element.get(key)
    if not isinstance(name, str) or not name:
        value = shown_value(element[key]) if key in element else None
        raise SpecError(f"needs {key!r}", field=field, value=value)
    return name
