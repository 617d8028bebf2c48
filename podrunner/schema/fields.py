"""Checking plain data against the schema of a type: unknown fields, and values of another type.

A field that is missing is no problem, but for the name of an element of a list that is merged by names: what is checked
may be a part of an object, or a patch. Null counts as absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from podrunner.merge.json_value import type_name
from podrunner.quantity import parse_quantity
from podrunner.redaction import HIDDEN, looks_secret, shown_value
from podrunner.schema.openapi import VERSION, Schemas, load_schemas, reference
from podrunner.spelling import misspelt_name

__all__ = ["Problem", "problems_of", "problems_of_field"]

_CORE = "io.k8s.api.core.v1."
_DIRECTIVES = ("$patch", "$retainKeys")
_DIRECTIVES_OF_A_FIELD = ("$setElementOrder/", "$deleteFromPrimitiveList/")
_LONGEST_LABEL = 63


class Problem(NamedTuple):
    """What is wrong in checked data, or may be.

    Attributes:
        path: The field: ``spec.containers[base].env[PORT].value``. An element of a list that is merged by names is
            called by its name, one of another list by its index.
        message: What is wrong, and the remedy.
        value: The value, shortened and without credentials; None where it says nothing.
        is_certain: Whether every API server refuses it. A field that is unknown here may be known to a newer server,
            unless its name is nearly that of a known field.
    """

    path: str
    message: str
    value: str | None = None
    is_certain: bool = True


def problems_of(value: Any, kind: str, *, place: str = "", is_patch: bool = False) -> list[Problem]:
    """Return what is wrong with a value of one of the types of Kubernetes' core API.

    Args:
        value: Plain data.
        kind: The type's name: ``Pod``, ``Container``, ``Volume``.
        place: Where the value is: the beginning of all paths.
        is_patch: Whether it is a strategic merge patch, which may hold directives.
    """
    walk = _Walk([], is_patch)
    _types().named(f"{_CORE}{kind}")(value, (None, place, False), walk)
    return walk.found


def problems_of_field(value: Any, kind: str, field: str, *, place: str) -> list[Problem]:
    """Return what is wrong with a value of a field of a type, such as ``volumes`` of a ``PodSpec``.

    Args:
        value: Plain data.
        kind: The type's name.
        field: The field's name.
        place: Where the value is: the beginning of all paths.
    """
    walk = _Walk([], is_patch=False)
    _types().field(f"{_CORE}{kind}", field)(value, (None, place, False), walk)
    return walk.found


_Place: TypeAlias = tuple[Any, str, bool]
"""A place in the data: the place around it or None, its label, whether it is an element of a list.

A tuple, since one is made for each field: it becomes a path only if something is wrong there.
"""


def _path_of(place: _Place) -> str:
    around, label, is_element = place
    if around is None:
        return label
    before = _path_of(around)
    if is_element or "." in label or "/" in label:
        return f"{before}[{label}]"
    return f"{before}.{label}" if before else label


def _is_secret(place: _Place) -> bool:
    """Return whether the value may be a credential, by its name: of a variable's value, by the variable's."""
    around, label, _ = place
    is_of_variable = label == "value" and around is not None and around[2]
    return looks_secret(around[1] if is_of_variable else label)


class _Walk(NamedTuple):
    found: list[Problem]
    is_patch: bool

    def wrong(self, at: _Place, message: str, value: Any) -> None:
        is_hidden = _is_secret(at) and not isinstance(value, Mapping | list)
        shown = None if value is None else HIDDEN if is_hidden else shown_value(value)
        self.found.append(Problem(_path_of(at), message, shown))


Check: TypeAlias = Callable[[Any, _Place, _Walk], None]
"""Appends the problems of a value at a place to those of the walk."""


@cache
def _types() -> _Types:
    return _Types(load_schemas())


class _Types:
    """The checks of all types, each made when it is first asked for."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self.named: Callable[[str], Check] = cache(self._make)
        self.field: Callable[[str, str], Check] = cache(
            lambda name, field: self.of(schemas[name]["properties"][field])
        )

    def _make(self, name: str) -> Check:
        special = _SPECIAL.get(name.rpartition(".")[2])
        if special is not None:
            return special
        properties = self._schemas[name].get("properties")
        return _anything if properties is None else _Struct(self, name, properties).check

    def of(self, schema: Schemas) -> Check:
        """Return the check of a field, by the field's schema."""
        named = reference(schema)
        if named is not None:
            return self.named(named)
        if schema.get("type") == "array":
            return _List(self.of(schema["items"]), schema.get("x-kubernetes-patch-merge-key")).check
        if "additionalProperties" in schema:
            return _Map(self.of(schema["additionalProperties"])).check
        return _FORMATS.get(schema.get("format", "")) or _SCALARS.get(schema.get("type", ""), _anything)

    def owner_of(self, field: str) -> str | None:
        """Return which part of a pod has a field of this name."""
        for owner, words in _PARTS.items():
            if field in self._schemas[owner]["properties"]:
                return words
        return None


_PARTS = {
    "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": "`metadata`",
    f"{_CORE}PodSpec": "`spec`",
    f"{_CORE}Container": "a container",
    f"{_CORE}SecurityContext": "a container's `securityContext`",
    f"{_CORE}PodSecurityContext": "the pod's `spec.securityContext`",
}


class _Struct:
    """An object with certain fields."""

    def __init__(self, types: _Types, name: str, properties: Schemas) -> None:
        self._types = types
        self._kind = name.rpartition(".")[2]
        self._properties = properties
        self._checks: dict[str, Check] = {}

    def check(self, value: Any, at: _Place, walk: _Walk) -> None:
        if type(value) is not dict and not isinstance(value, Mapping):
            walk.wrong(at, f"must be an object, not {type_name(value)}", value)
            return
        checks = self._checks
        for field, member in value.items():
            check = checks.get(field)
            if check is None and (check := self._known(field, at, walk)) is None:
                continue
            if member is not None:
                check(member, (at, field, False), walk)

    def _known(self, field: Any, at: _Place, walk: _Walk) -> Check | None:
        """Return the check of a field that is met for the first time; None if there is no such field."""
        if field in self._properties:
            # Made at first use: types refer to each other in circles.
            return self._checks.setdefault(field, self._types.of(self._properties[field]))
        if not isinstance(field, str):
            walk.wrong(
                at, f"the name of a field must be text, not {type_name(field)}; put it in quotes", field
            )
        elif not (walk.is_patch and (field in _DIRECTIVES or field.startswith(_DIRECTIVES_OF_A_FIELD))):
            walk.found.append(self._unknown(field, _path_of((at, field, False))))
        return None

    def _unknown(self, field: str, path: str) -> Problem:
        meant = misspelt_name(field, self._properties)
        if meant is not None:
            return Problem(path, f"there is no such field; did you mean {meant!r}?")
        owner = self._types.owner_of(field)
        remedy = f"; {owner} has one of this name" if owner else ""
        problem = f"is no field of {self._kind} in Kubernetes {VERSION}; only a newer server may accept it"
        return Problem(path, f"{problem}{remedy}", is_certain=False)


class _List:
    """A list; its elements are merged by names if it has a merge key."""

    def __init__(self, item: Check, key: str | None) -> None:
        self._item = item
        self._key = key

    def check(self, value: Any, at: _Place, walk: _Walk) -> None:
        if not isinstance(value, list | tuple):
            walk.wrong(at, f"must be a list, not {type_name(value)}", value)
            return
        for index, element in enumerate(value):
            self._item(element, (at, self._label(element, index, at, walk), True), walk)

    def _label(self, element: Any, index: int, at: _Place, walk: _Walk) -> str:
        if self._key is None or (type(element) is not dict and not isinstance(element, Mapping)):
            return str(index)
        name = element.get(self._key)
        if name is None or name == "":
            if not (walk.is_patch and [*element] == ["$patch"]):
                walk.found.append(Problem(_path_of((at, str(index), True)), f"needs {self._key!r}"))
            return str(index)
        label = str(name) if isinstance(name, str | int) else ""
        return label if 0 < len(label) <= _LONGEST_LABEL and label.isprintable() else str(index)


class _Map:
    """An object with any names."""

    def __init__(self, item: Check) -> None:
        self._item = item

    def check(self, value: Any, at: _Place, walk: _Walk) -> None:
        if type(value) is not dict and not isinstance(value, Mapping):
            walk.wrong(at, f"must be an object, not {type_name(value)}", value)
            return
        for name, member in value.items():
            if not isinstance(name, str):
                walk.wrong(at, f"a name must be text, not {type_name(name)}; put it in quotes", name)
            elif walk.is_patch and (member is None or name in _DIRECTIVES):
                continue
            elif member is not None or self._item is _text:
                self._item(member, (at, name, False), walk)


def _anything(_value: Any, _at: _Place, _walk: _Walk) -> None:
    pass


def _text(value: Any, at: _Place, walk: _Walk) -> None:
    if not isinstance(value, str):
        remedy = "; put it in quotes" if isinstance(value, bool | int | float) else ""
        walk.wrong(at, f"must be text, not {type_name(value)}{remedy}", value)


def _boolean(value: Any, at: _Place, walk: _Walk) -> None:
    if not isinstance(value, bool):
        remedy = "; remove the quotes" if value in ("true", "false") else ""
        walk.wrong(at, f"must be true or false, not {type_name(value)}{remedy}", value)


def _number(value: Any, at: _Place, walk: _Walk) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        walk.wrong(at, f"must be a number, not {type_name(value)}", value)


def _integer(bits: int) -> Check:
    bound = 1 << (bits - 1)

    def check(value: Any, at: _Place, walk: _Walk) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            is_quoted = isinstance(value, str) and value.lstrip("-").isdecimal()
            remedy = "; remove the quotes" if is_quoted else ""
            walk.wrong(at, f"must be a whole number, not {type_name(value)}{remedy}", value)
        elif not -bound <= value < bound or value != int(value):
            walk.wrong(at, f"must be a whole number of {bits} bits", value)

    return check


_int32 = _integer(32)


def _number_or_text(value: Any, at: _Place, walk: _Walk) -> None:
    if not isinstance(value, str):
        _int32(value, at, walk)


def _quantity(value: Any, at: _Place, walk: _Walk) -> None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        walk.wrong(at, f"must be a quantity, not {type_name(value)}", value)
        return
    try:
        parse_quantity(value)
    except ValueError:
        walk.wrong(at, "is no quantity; write it as '500m', '1.5' or '2Gi'", value)


_SPECIAL: dict[str, Check] = {
    "Quantity": _quantity,
    "IntOrString": _number_or_text,
    "Time": _text,
    "MicroTime": _text,
}
_FORMATS: dict[str, Check] = {
    "int32": _int32,
    "int64": _integer(64),
    "int-or-string": _number_or_text,
}
_SCALARS: dict[str, Check] = {
    "string": _text,
    "boolean": _boolean,
    "integer": _integer(64),
    "number": _number,
}
