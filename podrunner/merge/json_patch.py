"""JSON patch, RFC 6902: a list of operations on values named by JSON pointers (RFC 6901)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from podrunner.errors import SpecError
from podrunner.merge.json_value import clone, json_equal, type_name
from podrunner.redaction import shown_at, shown_value

__all__ = ["json_patch"]

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


def json_patch(target: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """Return ``target`` with the operations applied in order, all or none.

    Args:
        target: The object to patch.
        operations: ``{"op": "add", "path": "/metadata/labels/a", "value": "1"}`` and the like; ``op`` is one
            of add, remove, replace, move, copy, test.

    Returns:
        A new value; it shares no mutable part with the arguments.

    Raises:
        SpecError: An operation is malformed, its path does not exist, or a ``test`` does not hold; ``field`` is the
            operation's index in the list and its path.
    """
    document = clone(target)
    for index, operation in enumerate(operations):
        document = _applied(document, operation, where=f"patch[{index}]")
    return document


def _applied(document: Any, operation: Mapping[str, Any], *, where: str) -> Any:
    if not isinstance(operation, Mapping):
        problem = f"an operation is an object, not {type_name(operation)}"
        raise SpecError(problem, field=where, value=shown_value(operation))
    apply = _OPERATIONS.get(str(operation.get("op")))
    if apply is None:
        remedy = f"op must be one of {', '.join(_OPERATIONS)}"
        raise SpecError(remedy, field=f"{where}.op", value=str(operation.get("op")))
    return apply(document, operation, where)


def _tokens(operation: Mapping[str, Any], name: str, where: str) -> list[str]:
    pointer = operation.get(name)
    if not isinstance(pointer, str):
        problem = f"{name} must be a JSON pointer, not {type_name(pointer)}"
        raise SpecError(problem, field=f"{where}.{name}", value=shown_value(pointer))
    if pointer and not pointer.startswith("/"):
        raise SpecError(f"{name} must be empty or start with '/'", field=f"{where}.{name}", value=pointer)
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _value(operation: Mapping[str, Any], where: str) -> Any:
    if "value" not in operation:
        raise SpecError("value is missing", field=where)
    return clone(operation["value"])


def _add(document: Any, operation: Mapping[str, Any], where: str) -> Any:
    return _put(document, _tokens(operation, "path", where), _value(operation, where), where=where)


def _remove(document: Any, operation: Mapping[str, Any], where: str) -> Any:
    return _take(document, _tokens(operation, "path", where), where=where)[1]


def _replace(document: Any, operation: Mapping[str, Any], where: str) -> Any:
    tokens, value = _tokens(operation, "path", where), _value(operation, where)
    if not tokens:
        return value
    parent = _find(document, tokens[:-1], where=where)
    _child(parent, tokens, len(tokens) - 1, where=where)
    parent[_index(parent, tokens, where=where) if isinstance(parent, list) else tokens[-1]] = value
    return document


def _move(document: Any, operation: Mapping[str, Any], where: str) -> Any:
    source, goal = _tokens(operation, "from", where), _tokens(operation, "path", where)
    if len(goal) > len(source) and goal[: len(source)] == source:
        raise SpecError("a value cannot be moved into itself", field=where, value=str(operation["path"]))
    value, rest = _take(document, source, where=where)
    return _put(rest, goal, value, where=where)


def _copy(document: Any, operation: Mapping[str, Any], where: str) -> Any:
    value = clone(_find(document, _tokens(operation, "from", where), where=where))
    return _put(document, _tokens(operation, "path", where), value, where=where)


def _test(document: Any, operation: Mapping[str, Any], where: str) -> Any:
    tokens, value = _tokens(operation, "path", where), _value(operation, where)
    if not json_equal(_find(document, tokens, where=where), value):
        place = _place(where, tokens)
        found = shown_at(place, _find(document, tokens, where=where))
        raise SpecError("the test does not hold: the value there is another", field=place, value=found)
    return document


_OPERATIONS: Mapping[str, Callable[[Any, Mapping[str, Any], str], Any]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}


def _place(where: str, tokens: Sequence[str]) -> str:
    return f"{where} /{'/'.join(tokens)}"


def _find(document: Any, tokens: Sequence[str], *, where: str) -> Any:
    for depth in range(len(tokens)):
        document = _child(document, tokens, depth, where=where)
    return document


def _child(parent: Any, tokens: Sequence[str], depth: int, *, where: str) -> Any:
    token, place = tokens[depth], _place(where, tokens[: depth + 1])
    if isinstance(parent, list):
        return parent[_index(parent, tokens[: depth + 1], where=where)]
    if not isinstance(parent, dict):
        problem = f"nothing can be inside {type_name(parent)}"
        raise SpecError(problem, field=place, value=shown_at(_place(where, tokens[:depth]), parent))
    if token not in parent:
        raise SpecError("no such member", field=place, value=shown_value(token))
    return parent[token]


def _index(items: list[Any], tokens: Sequence[str], *, where: str, room: int = 0) -> int:
    """Return the last token as an index below ``len(items) + room``: no sign, no leading zero (RFC 6901)."""
    written = tokens[-1]
    if not _INDEX.fullmatch(written) or int(written) >= len(items) + room:
        raise SpecError(
            f"no such index in a list of {len(items)}", field=_place(where, tokens), value=written
        )
    return int(written)


def _put(document: Any, tokens: Sequence[str], value: Any, *, where: str) -> Any:
    if not tokens:
        return value
    parent = _find(document, tokens[:-1], where=where)
    if isinstance(parent, list):
        last = len(parent) if tokens[-1] == "-" else _index(parent, tokens, where=where, room=1)
        parent.insert(last, value)
    elif isinstance(parent, dict):
        parent[tokens[-1]] = value
    else:
        problem, inside = f"nothing can be put inside {type_name(parent)}", _place(where, tokens[:-1])
        raise SpecError(problem, field=_place(where, tokens), value=shown_at(inside, parent))
    return document


def _take(document: Any, tokens: Sequence[str], *, where: str) -> tuple[Any, Any]:
    """Remove a value; return it and the document without it."""
    if not tokens:
        return document, None
    value = _find(document, tokens, where=where)
    parent = _find(document, tokens[:-1], where=where)
    del parent[_index(parent, tokens, where=where) if isinstance(parent, list) else tokens[-1]]
    return value, document
