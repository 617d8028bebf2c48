"""The types of names, labels and paths, with the checks of the API server.

What belongs here: rules of the API that need only the one value (``k8s.io/apimachinery/pkg/util/validation``). A wrong
value is refused, never repaired.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

__all__ = [
    "AbsolutePath",
    "AnnotationKey",
    "EnvName",
    "LabelKey",
    "LabelValue",
    "Namespace",
    "ObjectName",
    "PlainText",
    "RelativePath",
    "SecretKey",
]

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_NAME_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_SECRET_KEY = re.compile(r"[-._A-Za-z0-9]+")
_ENV_NAME = re.compile(r"[!-<>-~]+( *[!-<>-~]+)*")


def _namespace(value: str) -> str:
    if len(value) > 63 or not _DNS_LABEL.fullmatch(value):
        raise ValueError(
            "not a valid namespace; Use lower-case letters, digits and '-', at most 63, no '-' at the ends"
        )
    return value


def _object_name(value: str) -> str:
    if len(value) > 253 or not all(_DNS_LABEL.fullmatch(part) for part in value.split(".")):
        raise ValueError(
            "not a valid object name; Use lower-case letters, digits, '-' and '.', at most 253,"
            " beginning and ending with a letter or digit"
        )
    return value


def _qualified(value: str) -> bool:
    prefix, slash, name = value.rpartition("/")
    prefix_fits = len(prefix) <= 253 and all(_DNS_LABEL.fullmatch(part) for part in prefix.split("."))
    return len(name) <= 63 and bool(_NAME_PART.fullmatch(name)) and (not slash or prefix_fits)


def _label_key(value: str) -> str:
    if not _qualified(value):
        raise ValueError(
            "not a valid label key; Use letters, digits, '-', '_' and '.', at most 63,"
            " optionally after 'domain/'"
        )
    return value


def _annotation_key(value: str) -> str:
    if not _qualified(value.lower()):
        raise ValueError(
            "not a valid annotation key; Use letters, digits, '-', '_' and '.', at most 63,"
            " optionally after 'domain/'"
        )
    return value


def _label_value(value: str) -> str:
    if value and (len(value) > 63 or not _NAME_PART.fullmatch(value)):
        raise ValueError(
            "not a valid label value; Use letters, digits, '-', '_' and '.', at most 63,"
            " beginning and ending with a letter or digit"
        )
    return value


def _secret_key(value: str) -> str:
    if len(value) > 253 or not _SECRET_KEY.fullmatch(value):
        raise ValueError("not a valid key of a Secret; Use letters, digits, '-', '_' and '.', at most 253")
    return value


def _env_name(value: str) -> str:
    if not _ENV_NAME.fullmatch(value):
        raise ValueError("not a valid name of an environment variable; Use printable ASCII without '='")
    return value


def _absolute(value: str) -> str:
    if not value.startswith("/") or ":" in value or "\0" in value:
        raise ValueError("not an absolute path inside a container; Begin it with '/', without ':'")
    return value


def _relative(value: str) -> str:
    if value.startswith("/") or ".." in value.split("/") or "\0" in value:
        raise ValueError("not a relative path; Leave out a leading '/' and '..'")
    return value


Namespace = Annotated[str, AfterValidator(_namespace)]
ObjectName = Annotated[str, AfterValidator(_object_name)]
LabelKey = Annotated[str, AfterValidator(_label_key)]
LabelValue = Annotated[str, AfterValidator(_label_value)]
AnnotationKey = Annotated[str, AfterValidator(_annotation_key)]
EnvName = Annotated[str, AfterValidator(_env_name)]
AbsolutePath = Annotated[str, AfterValidator(_absolute)]
RelativePath = Annotated[str, AfterValidator(_relative)]
SecretKey = Annotated[str, AfterValidator(_secret_key)]
PlainText = Annotated[str, Field(min_length=1)]
