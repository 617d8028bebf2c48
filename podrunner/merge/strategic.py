"""Strategic merge patch, as the API server applies it.

Objects merge, null deletes, lists replace unless the type's table names a merge key: then elements are
matched by it. Directives in the patch change that: ``$patch`` (replace or delete the object or element that contains
it), ``$retainKeys`` (keep only these members of the object), ``$deleteFromPrimitiveList/<field>`` and
``$setElementOrder/<field>``. The order of a merged list is Kubernetes': elements that the patch names stand in the
patch's order, the rest in their old order, and a new element comes before old ones that the patch does not name.
Sources: sig-api-machinery/strategic-merge-patch.md of the Kubernetes community, and the behaviour of
``k8s.io/apimachinery/pkg/util/strategicpatch`` 0.37.2, with which it is compared on random pods and patches
(``tests/support/merge_cases.py``).

Three deliberate differences: ``$patch: merge`` is accepted (it names the default); an object or element with
``$patch: replace`` and members of its own is set (the API server silently drops it where there is nothing to replace,
and always in lists); and nulls and directives in a new element of a list are obeyed (the API server stores them as
members, and then refuses or drops them).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from podrunner.errors import SpecError
from podrunner.merge.json_value import clone, json_equal, type_name
from podrunner.merge.schema import Field, Fields, fields_of
from podrunner.redaction import redacted, shown_at, shown_value

__all__ = ["strategic_merge"]

_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"
_DELETE_SCALARS = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"
_BAD_DIRECTIVE = "must be delete, replace or merge"
_NO_FIELDS: Fields = {}
_PLAIN = Field()


def strategic_merge(
    target: Mapping[str, Any], patch: Mapping[str, Any], *, kind: str = "Pod"
) -> dict[str, Any]:
    """Return an object with a strategic merge patch applied.

    Args:
        target: The object to patch, as JSON.
        patch: The patch; ``{}`` changes nothing.
        kind: The object's kind, which decides by which keys lists are merged. An unknown kind merges
            by its metadata's keys only.

    Returns:
        A new object; it shares no mutable part with the arguments.

    Raises:
        SpecError: A list element has no merge key, or a directive is malformed; ``field`` is its path.
    """
    return _merge_object(clone(target), patch, fields_of(kind), "")


def _merge_object(
    original: dict[str, Any], patch: Mapping[str, Any], fields: Fields, path: str
) -> dict[str, Any]:
    """Merge a patch into ``original``, in place, and return it; a replacement is a new object."""
    directive = patch.get(_DIRECTIVE, "merge")
    if directive != "merge":
        return _replacement(directive, patch, path)
    if _RETAIN in patch:
        _retain_keys(original, patch, path)
    orders = _element_orders(original, patch, fields, path)
    for name, value in patch.items():
        _merge_member(original, name, value, fields=fields, path=path)
    for order in orders:
        if isinstance(original.get(order.name), list):
            key = order.merge_key
            original[order.name] = _in_order(original[order.name], order.wanted, before=order.before, key=key)
    return original


def _replacement(directive: Any, patch: Mapping[str, Any], path: str) -> dict[str, Any]:
    if directive == "delete":
        return {}
    if directive == "replace":
        replacement: dict[str, Any] = _clean(patch)
        return replacement
    raise SpecError(_BAD_DIRECTIVE, field=_at(path, _DIRECTIVE), value=str(directive))


def _merge_member(original: dict[str, Any], name: str, value: Any, *, fields: Fields, path: str) -> None:
    if name.startswith(_DELETE_SCALARS):
        _delete_scalars(original, name.removeprefix(_DELETE_SCALARS), value, path)
    elif _is_directive(name):
        return
    elif value is None:
        original.pop(name, None)
    else:
        field = fields.get(name, _PLAIN)
        merged = _merge_value(original.get(name), value, field, _at(path, name))
        _set_or_drop(original, name, merged)


def _set_or_drop(original: dict[str, Any], name: str, merged: Any) -> None:
    if merged is None:
        original.pop(name, None)
    else:
        original[name] = merged


def _merge_value(current: Any, value: Any, field: Field, path: str) -> Any:
    """Return the member's new value; None if the member is to be removed."""
    if isinstance(value, Mapping):
        return _merge_mapping(current, value, field, path)
    if isinstance(value, list | tuple) and isinstance(current, list) and current:
        if field.merge_key is not None:
            return _merge_list(current, value, field, path)
        if field.scalars:
            return _merge_scalars(current, list(value))
    return _clean(value)


def _merge_mapping(current: Any, value: Mapping[str, Any], field: Field, path: str) -> dict[str, Any] | None:
    if isinstance(current, dict):
        return _merge_object(current, value, field.fields or _NO_FIELDS, path)
    if value.get(_DIRECTIVE) == "delete":
        return None
    return _merge_object({}, value, field.fields or _NO_FIELDS, path)


# Directives of objects


def _retain_keys(original: dict[str, Any], patch: Mapping[str, Any], path: str) -> None:
    retained = patch[_RETAIN]
    if not isinstance(retained, list):
        problem = f"must be a list of names, not {type_name(retained)}"
        raise SpecError(problem, field=_at(path, _RETAIN), value=shown_value(retained))
    for name, value in patch.items():
        if value is not None and not _is_directive(name) and name not in retained:
            problem = "the patch sets a field that $retainKeys does not name"
            raise SpecError(problem, field=_at(path, name), value=shown_at(name, value))
    for name in [name for name in original if name not in retained]:
        del original[name]


def _delete_scalars(original: dict[str, Any], name: str, unwanted: Any, path: str) -> None:
    if not isinstance(unwanted, list):
        problem = f"must be a list of values, not {type_name(unwanted)}"
        raise SpecError(problem, field=_at(path, _DELETE_SCALARS + name), value=shown_at(name, unwanted))
    current = original.get(name)
    if isinstance(current, list):
        original[name] = [item for item in current if not _contains(unwanted, item)]


class _ElementOrder(NamedTuple):
    """A ``$setElementOrder`` of a patch: the list's name, the wanted order, and the list as it was."""

    name: str
    merge_key: str | None
    wanted: list[Any]
    before: list[Any]


def _element_orders(
    original: dict[str, Any], patch: Mapping[str, Any], fields: Fields, path: str
) -> list[_ElementOrder]:
    orders = []
    for directive, wanted in patch.items():
        if directive.startswith(_ORDER):
            name = directive.removeprefix(_ORDER)
            key = fields.get(name, _PLAIN).merge_key
            _check_order(wanted, patch.get(name), key=key, where=_at(path, directive))
            before = original.get(name)
            orders.append(_ElementOrder(name, key, wanted, [*before] if isinstance(before, list) else []))
    return orders


def _check_order(wanted: Any, patched: Any, *, key: str | None, where: str) -> None:
    """Check that an order is a list, and names the elements of the patch's list in the same order."""
    if not isinstance(wanted, list):
        raise SpecError(f"must be a list, not {type_name(wanted)}", field=where, value=shown_value(wanted))
    for index, element in enumerate(wanted):
        if key is not None and (not isinstance(element, Mapping) or key not in element):
            problem = f"must be an object with {key!r}"
            raise SpecError(problem, field=f"{where}[{index}]", value=shown_value(element))
    given = patched if isinstance(patched, list) else []
    plain = [item for item in given if not (isinstance(item, Mapping) and _DIRECTIVE in item)]
    places = [_position(wanted, key, _key_of(item, key)) for item in plain]
    if None in places or places != sorted(place for place in places if place is not None):
        problem = "does not agree with the order of the list that the patch gives"
        raise SpecError(
            problem, field=where, value=str(redacted([_key_of(item, key) for item in wanted]))[:80]
        )


# Lists


def _merge_list(current: list[Any], patch: Any, field: Field, path: str) -> list[Any]:
    """Return a list of objects merged by its merge key."""
    assert field.merge_key is not None
    key = field.merge_key
    kept, wanted = _special_elements(current, patch, key, path)
    merged = list(kept)
    for place, element in wanted:
        at = _position(merged, key, element[key])
        if at is None:
            merged.append(_merge_object({}, element, field.fields or _NO_FIELDS, place))
        else:
            merged[at] = _merge_object(merged[at], element, field.fields or _NO_FIELDS, place)
    return _in_order(merged, [element for _, element in wanted], before=kept, key=key)


def _special_elements(
    current: list[Any], patch: Any, key: str, path: str
) -> tuple[list[Any], list[tuple[str, Mapping[str, Any]]]]:
    """Apply ``$patch`` in elements; return the rest of the list, and the elements to merge with their paths."""
    kept = list(current)
    wanted: list[tuple[str, Mapping[str, Any]]] = []
    for index, element in enumerate(patch):
        place = f"{path}[{index}]"
        directive = _element_directive(element, key, place)
        if directive == "replace":
            kept = []
        elif directive == "delete":
            kept = [item for item in kept if not json_equal(_key_of(item, key), element[key])]
        if directive == "merge" or (directive == "replace" and len(element) > 1):
            wanted.append((place, {name: value for name, value in element.items() if name != _DIRECTIVE}))
    return kept, wanted


def _element_directive(element: Any, key: str, place: str) -> str:
    if not isinstance(element, Mapping):
        problem = f"must be an object, not {type_name(element)}"
        raise SpecError(problem, field=place, value=shown_at(place, element))
    directive = element.get(_DIRECTIVE, "merge")
    if directive not in ("merge", "replace", "delete"):
        raise SpecError(_BAD_DIRECTIVE, field=f"{place}.{_DIRECTIVE}", value=str(directive))
    if key not in element and not (directive == "replace" and len(element) == 1):
        problem = f"has no {key!r}, by which elements of this list are matched"
        raise SpecError(problem, field=place, value=shown_value(element))
    return str(directive)


def _merge_scalars(current: list[Any], patch: list[Any]) -> list[Any]:
    merged: list[Any] = []
    for item in [*current, *patch]:
        if not _contains(merged, item):
            merged.append(item)
    return _in_order(merged, patch, before=current, key=None)


def _in_order(merged: list[Any], order: list[Any], *, before: list[Any], key: str | None) -> list[Any]:
    """Return a list sorted: elements of ``order`` in its order, the rest before what followed them in ``before``."""
    named = sorted(
        (item for item in merged if _position(order, key, _key_of(item, key)) is not None),
        key=lambda item: _position(order, key, _key_of(item, key)) or 0,
    )
    rest = [item for item in merged if _position(order, key, _key_of(item, key)) is None]
    return _interleave(rest, named, before=before, key=key)


def _interleave(rest: list[Any], named: list[Any], *, before: list[Any], key: str | None) -> list[Any]:
    """Return two sorted lists merged; an item of ``rest`` goes first only if it did in ``before``."""
    result: list[Any] = []
    left, right = list(rest), list(named)
    while left and right:
        first = _position(before, key, _key_of(left[0], key))
        second = _position(before, key, _key_of(right[0], key))
        earlier = first is not None and second is not None and first < second
        result.append(left.pop(0) if earlier else right.pop(0))
    return [*result, *left, *right]


def _key_of(item: Any, key: str | None) -> Any:
    if key is None:
        return item
    return item.get(key) if isinstance(item, Mapping) else None


def _position(items: list[Any], key: str | None, wanted: Any) -> int | None:
    for index, item in enumerate(items):
        if json_equal(_key_of(item, key), wanted):
            return index
    return None


def _contains(items: list[Any], wanted: Any) -> bool:
    return any(json_equal(item, wanted) for item in items)


# Values of a patch


def _is_directive(name: str) -> bool:
    return name in {_DIRECTIVE, _RETAIN} or name.startswith((_DELETE_SCALARS, _ORDER))


def _clean(value: Any) -> Any:
    """Return a copy of a value that replaces another, without nulls and directives, which have been applied."""
    if isinstance(value, Mapping):
        members = value.items()
        return {name: _clean(item) for name, item in members if item is not None and not _is_directive(name)}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value if not _is_only_directive(item)]
    return value


def _is_only_directive(item: Any) -> bool:
    """Return whether a list element only deletes another, or only requests that the list be replaced."""
    return isinstance(item, Mapping) and (item.get(_DIRECTIVE) == "delete" or [*item] == [_DIRECTIVE])


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
