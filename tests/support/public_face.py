"""The public face of podrunner as text, one fact a line: what a user's code may depend on.

``python -m tests.support.public_face`` rewrites ``tests/golden/public_face.txt``. ``tests/unit/test_public_face.py``
compares the two, so that each change of a public name, parameter, default or value is a line in a diff.

What belongs here: the names that ``podrunner.__all__`` exports and those that the documentation imports or describes,
their parameters, members and values; the command's options; the keys on pods. Annotations and docstrings do not: type
checkers and the documentation's build look after them.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import podrunner
import typer
from podrunner.cli.app import app
from pydantic import BaseModel

__all__ = ["GOLDEN", "public_face"]

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "public_face.txt"

HANDED_OUT = {
    "AsyncEvents",
    "AsyncLogStream",
    "AsyncPod",
    "AsyncRun",
    "Events",
    "LogStream",
    "Pod",
    "Progress",
    "Run",
    "RunJournal",
    "TimelineChart",
}
"""Classes whose objects a runner hands out: no caller constructs them, so their parameters are private."""

_LOADED_BY_AIRFLOW = "podrunner.integrations.airflow"
"""Cannot be imported without Airflow, which finds its classes by their names; what they have is Airflow's interface."""

_DIRECTIVE = re.compile(r"^\.\. (currentmodule|autoclass|autofunction|automodule):: (\S+)$", re.MULTILINE)
_IMPORT = re.compile(r"^ *from (podrunner\.[\w.]+) import ([\w, ]+)$", re.MULTILINE)
_ATTRIBUTES = re.compile(r"^Attributes:\n((?: {4}.*\n?|\n)+)", re.MULTILINE)
_KEY = re.compile(r"\"((?:local\.)?podrunner\.io/[a-z-]+)\"")
_PROTOCOL_METHODS = {
    *("__aenter__", "__aexit__", "__aiter__", "__anext__", "__enter__", "__exit__", "__iter__", "__next__"),
    *("__call__", "__getitem__", "__len__"),
}

_CONSTRUCTORS_OF_PYTHON = {Exception.__init__, UserWarning.__init__}


def public_face() -> str:
    """Return the whole text."""
    parts = [_exports(), *(_name(*each) for each in sorted(_names())), _defaults(), _keys(), *_commands()]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


# --- which names -----------------------------------------------------------------------------------------------


def _exports() -> list[str]:
    return ["podrunner exports", *(f"  {name}" for name in sorted(podrunner.__all__))]


def _names() -> set[tuple[str, str]]:
    """Return (module, name) of all that is public; what podrunner itself exports is named by podrunner."""
    exported = {getattr(podrunner, name) for name in podrunner.__all__}
    others = {
        (module, name)
        for module, name in _documented()
        if module == _LOADED_BY_AIRFLOW or _value(module, name) not in exported
    }
    return {("podrunner", name) for name in podrunner.__all__} | others


def _value(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def _documented() -> Iterator[tuple[str, str]]:
    yield from _described((ROOT / "docs" / "reference" / "library.md").read_text())
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for module, names in _IMPORT.findall(page.read_text()):
            yield from ((module, name.strip()) for name in names.split(","))


def _described(page: str) -> Iterator[tuple[str, str]]:
    current = "podrunner"
    for directive, argument in _DIRECTIVE.findall(page):
        if directive == "currentmodule":
            current = argument
        elif directive == "automodule":
            yield from ((argument, name) for name in importlib.import_module(argument).__all__)
        else:
            module, _, name = argument.rpartition(".")
            yield module or current, name


# --- one name --------------------------------------------------------------------------------------------------


def _name(module: str, name: str) -> list[str]:
    if module == _LOADED_BY_AIRFLOW:
        return [f"{module}.{name}"]
    value = _value(module, name)
    if not inspect.isclass(value):
        return [f"{module}.{_method(name, value)}"]
    return [
        f"{module}.{name}{_bases(value)}",
        *(f"  {line}" for line in [*_data(name, value), *_members(value)]),
    ]


def _bases(value: type) -> str:
    """Return the bases of an error, which callers catch, and of an enum; those of other classes are private."""
    shown = [base.__name__ for base in value.__bases__ if issubclass(base, (BaseException, enum.Enum))]
    return f"({', '.join(shown)})" if shown else ""


def _data(name: str, value: type) -> list[str]:
    """Return what a value is made of: an enum's values; or parameters or fields, then what else an object has."""
    if issubclass(value, enum.Enum):
        return [f"{member.name} = {member.value!r}" for member in value]
    given = dict(_given(name, value))
    further = sorted(_described_attributes(value) - {*given})
    return [*given.values(), *(f"attribute {attribute}" for attribute in further)]


def _given(name: str, value: type) -> Iterator[tuple[str, str]]:
    """Return each field or parameter of the constructor, by its name."""
    if issubclass(value, BaseModel):
        yield from (
            (field, f"setting {field} = {_default(info)}") for field, info in value.model_fields.items()
        )
    elif issubclass(value, msgspec.Struct):
        yield from _struct_fields(value)
    elif name not in HANDED_OUT and value.__init__ not in _CONSTRUCTORS_OF_PYTHON:
        yield from ((each.name, _parameter(each)) for each in inspect.signature(value).parameters.values())


def _default(field: Any) -> str:
    if field.is_required():
        return "(required)"
    if field.default_factory_takes_validated_data:
        return "(follows from the others)"
    return _shown(field.get_default(call_default_factory=True))


def _struct_fields(value: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    """Return the fields with their defaults; ``inspect.signature`` would need each annotation's type at run time."""
    names, defaults = value.__struct_fields__, value.__struct_defaults__
    for name, default in zip(
        names, (msgspec.NODEFAULT,) * (len(names) - len(defaults)) + defaults, strict=True
    ):
        yield name, f"field {name}" if default is msgspec.NODEFAULT else f"field {name} = {_shown(default)}"


def _parameter(parameter: inspect.Parameter) -> str:
    return f"{'keyword' if parameter.kind is parameter.KEYWORD_ONLY else 'parameter'} {_bare(parameter)}"


def _bare(parameter: inspect.Parameter) -> inspect.Parameter:
    """Return a parameter without its annotation, and with its default as text."""
    return parameter.replace(annotation=parameter.empty, default=_Text.of(parameter))


class _Text(str):
    """A default that ``inspect`` shows as it is."""

    __slots__ = ()

    @classmethod
    def of(cls, parameter: inspect.Parameter) -> Any:
        return parameter.empty if parameter.default is parameter.empty else cls(_shown(parameter.default))

    def __repr__(self) -> str:
        return str(self)


def _shown(value: object) -> str:
    """Show a default; of nested settings only the name, where each is at its own default."""
    if isinstance(value, BaseModel):
        changes = {name: getattr(value, name) for name in value.model_fields_set}
        inside = ", ".join(f"{name}={_shown(changed)}" for name, changed in changes.items())
        return f"{type(value).__name__}({inside})"
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return repr(value)


def _described_attributes(value: type) -> set[str]:
    """Return the names below ``Attributes:`` in the docstring of a class."""
    found = _ATTRIBUTES.search(inspect.getdoc(value) or "")
    return {*re.findall(r"^ {4}(\w+):", found[1], re.MULTILINE)} if found else set()


def _members(value: type) -> list[str]:
    """Return the methods and properties that are podrunner's own, inherited ones too."""
    bases = [base for base in value.__mro__ if base.__module__.startswith("podrunner")]
    names = {
        name for base in bases for name in vars(base) if not name.startswith("_") or name in _PROTOCOL_METHODS
    }
    found = {name: inspect.getattr_static(value, name) for name in sorted(names)}
    return [_member(name, member) for name, member in found.items() if _is_member(member)]


def _is_member(member: Any) -> bool:
    return isinstance(member, property | staticmethod | classmethod) or inspect.isfunction(member)


def _member(name: str, member: Any) -> str:
    if name in _PROTOCOL_METHODS:
        return f"method {name}"
    if isinstance(member, property):
        return f"property {name}"
    if isinstance(member, staticmethod | classmethod):
        return f"class {_method(name, member.__func__)}"
    return _method(name, member)


def _method(name: str, function: Any) -> str:
    mark = "async " if inspect.iscoroutinefunction(function) else ""
    parameters = [_bare(each) for each in inspect.signature(function).parameters.values()]
    return f"{mark}{name}{inspect.Signature(parameters)}"


# --- settings, keys, commands ------------------------------------------------------------------------------------


def _defaults() -> list[str]:
    """Return each setting of a configuration in which nothing was said, with what follows from that."""
    return ["RunnerConfig()", *(f"  {line}" for line in _flat("", podrunner.RunnerConfig().model_dump()))]


def _flat(path: str, values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(f"{path}{name}.", value)
        else:
            yield f"{path}{name} = {value!r}"


def _keys() -> list[str]:
    sources = [path.read_text() for path in sorted((ROOT / "podrunner").rglob("*.py"))]
    return [
        "keys of labels and annotations",
        *sorted({f"  {key}" for text in sources for key in _KEY.findall(text)}),
    ]


def _commands() -> Iterator[list[str]]:
    yield from _command("podrunner", typer.main.get_command(app))


def _command(path: str, command: Any) -> Iterator[list[str]]:
    hints = get_type_hints(command.callback) if command.callback else {}
    options = [_option(each, hints[each.name]) for each in command.params if each.name in hints]
    yield [f"command {path}", *(f"  {option}" for option in sorted(options))]
    for name, below in sorted(getattr(command, "commands", {}).items()):
        yield from _command(f"{path} {name}", below)


def _option(option: Any, hint: Any) -> str:
    facts = [
        "" if option.param_type_name == "option" else "argument",
        "required" if option.required else f"default {_shown(option.default)}",
        f"one of {', '.join(choices)}" if (choices := _choices(hint)) else "",
        "repeatable" if option.multiple or option.nargs == -1 else "",
    ]
    return f"{'/'.join([*option.opts, *option.secondary_opts])}: {', '.join(filter(None, facts))}"


def _choices(hint: Any) -> list[str]:
    enums = [
        each for each in (hint, *get_args(hint)) if inspect.isclass(each) and issubclass(each, enum.Enum)
    ]
    return [choice.value for each in enums for choice in each]


if __name__ == "__main__":
    GOLDEN.write_text(public_face())
