"""Label and field selectors: text in, predicate out (apimachinery's ``labels.Parse`` and ``fields.ParseSelector``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from podrunner.local.api.status import bad_request

if TYPE_CHECKING:
    from podrunner.local.api.resources import ResourceType

__all__ = [
    "Predicate",
    "field_selector",
    "label_selector",
    "matches_label_selector",
    "selectable_fields",
    "selector",
]

Predicate = Callable[[Mapping[str, Any]], bool]
"""Whether an object is selected."""

Labels = Mapping[str, str]
_LabelRule = Callable[[Labels], bool]

_KEY = r"(?P<key>[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?)"
_VALUE = r"[-A-Za-z0-9_.]*"
_SET = re.compile(rf"\s*{_KEY}\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)\s*")
_COMPARE = re.compile(rf"\s*{_KEY}\s*(?P<operator>==|=|!=|>|<)\s*(?P<value>{_VALUE})\s*")
_EXISTS = re.compile(rf"\s*+(?P<operator>!?)\s*+{_KEY}\s*")


def selector(kind: ResourceType, *, labels: str, fields: str) -> Predicate | None:
    """Return both selectors as one predicate; None if both are empty, which selects everything.

    Raises:
        StatusError: 400 if one of them cannot be read, or names a field that the kind does not offer.
    """
    rules = [*label_selector(labels), *field_selector(kind, fields)]
    if not rules:
        return None
    if len(rules) == 1:
        return rules[0]
    return lambda obj: all(rule(obj) for rule in rules)


def label_selector(text: str) -> list[Predicate]:
    """Return the rules of a label selector such as ``a=b,c in (d,e),!f``; all must hold."""
    return [_on_labels(rule) for rule in _label_rules(text)]


def _on_labels(rule: _LabelRule) -> Predicate:
    return lambda obj: rule(obj["metadata"].get("labels") or {})


def _label_rules(text: str) -> Iterable[_LabelRule]:
    position = 0 if text.strip() else len(text)
    while position < len(text):
        match, make = _next_rule(text, position)
        position = match.end()
        yield make(match)
        if position < len(text):
            if text[position] != ",":
                raise _unreadable(text, text[position:])
            position += 1


def _next_rule(text: str, position: int) -> tuple[re.Match[str], Callable[[re.Match[str]], _LabelRule]]:
    readers = ((_SET, _set_rule), (_COMPARE, _compare_rule), (_EXISTS, _exists_rule))
    for pattern, make in readers:
        match = pattern.match(text, position)
        if match and (match.end() == len(text) or text[match.end()] == ","):
            return match, make
    raise _unreadable(text, text[position:])


def _unreadable(text: str, rest: str) -> Exception:
    return bad_request(
        f"unable to parse requirement: found '{rest.strip()}' in {text!r}, expected: a requirement such as key=value"
    )


def _set_rule(match: re.Match[str]) -> _LabelRule:
    key, wanted = match["key"], match["operator"] == "in"
    values = frozenset(value.strip() for value in match["values"].split(","))
    return lambda labels: (labels.get(key) in values) is wanted if key in labels else not wanted


def _compare_rule(match: re.Match[str]) -> _LabelRule:
    key, operator, value = match["key"], match["operator"], match["value"]
    if operator in "=<>" and operator != "=":
        return _ordered_rule(key, operator, value)
    if operator == "!=":
        return lambda labels: labels.get(key) != value
    return lambda labels: labels.get(key) == value


def _ordered_rule(key: str, operator: str, value: str) -> _LabelRule:
    if not _is_integer(value):
        raise bad_request(f"for 'Gt', 'Lt' operators, the value must be an integer: {value!r}")
    bound, sign = int(value), 1 if operator == ">" else -1
    return lambda labels: _is_integer(labels.get(key)) and sign * (int(labels[key]) - bound) > 0


def _is_integer(value: str | None) -> bool:
    return value is not None and re.fullmatch(r"-?\d{1,18}", value, re.ASCII) is not None


def _exists_rule(match: re.Match[str]) -> _LabelRule:
    key, wanted = match["key"], not match["operator"]
    return lambda labels: (key in labels) is wanted


def matches_label_selector(spec: Mapping[str, Any], labels: Labels) -> bool:
    """Return whether labels satisfy a ``metav1.LabelSelector`` object (``matchLabels``, ``matchExpressions``)."""
    plain = all(labels.get(key) == value for key, value in (spec.get("matchLabels") or {}).items())
    return plain and all(_expression(each, labels) for each in spec.get("matchExpressions") or ())


def _expression(each: Mapping[str, Any], labels: Labels) -> bool:
    present, values = each["key"] in labels, each.get("values") or ()
    matched = {
        "In": present and labels.get(each["key"]) in values,
        "NotIn": not (present and labels.get(each["key"]) in values),
        "Exists": present,
        "DoesNotExist": not present,
    }
    return matched.get(each["operator"], False)


def field_selector(kind: ResourceType, text: str) -> list[Predicate]:
    """Return the rules of a field selector such as ``status.phase=Running,metadata.name!=a``; all must hold."""
    return [_field_rule(kind, term) for term in re.split(r"(?<!\\),", text) if term]


def _field_rule(kind: ResourceType, term: str) -> Predicate:
    match = re.fullmatch(r"([^=!\\]+)(==|=|!=)(.*)", term)
    if not match:
        raise bad_request(f"invalid selector: '{term}'; can't understand '{term}'")
    path, operator, value = match.groups()
    if path not in selectable_fields(kind):
        raise bad_request(f"field label not supported: {path}")
    value, wanted = re.sub(r"\\([\\,=])", r"\1", value), operator != "!="
    read = _field_reader(path)
    return lambda obj: (read(obj) == value) is wanted


def selectable_fields(kind: ResourceType) -> frozenset[str]:
    """Return fields that a field selector may name."""
    own = {"metadata.name", "metadata.namespace"} if kind.namespaced else {"metadata.name"}
    return frozenset(own | set(kind.selectable))


_DERIVED = {"source": "source.component"}


def _field_reader(path: str) -> Callable[[Mapping[str, Any]], str]:
    parts = _DERIVED.get(path, path).split(".")

    def read(obj: Mapping[str, Any]) -> str:
        found: Any = obj
        for part in parts:
            found = found.get(part) if isinstance(found, Mapping) else None
        if isinstance(found, bool):
            return "true" if found else "false"
        return "" if found is None else str(found)

    return read
