"""The sources of an Airflow option's value: environment, file, command, in Airflow's order.

What belongs here: precedence, expansion of ``$VAR``, ``~`` and ``{AIRFLOW_HOME}``. Reading a value as a type does not
(``readers.py``), nor does what an option means (``conversion.py``), nor the file's syntax (``ini.py``).

Order, as Airflow documents it: ``AIRFLOW__SECTION__KEY``, ``…_CMD``, ``…_SECRET``, then in the file ``key``,
``key_cmd``, ``key_secret``, then the default.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from time import monotonic
from typing import TYPE_CHECKING, Any

from podrunner.config.airflow.options import OPTIONS, SENSITIVE, Option
from podrunner.config.airflow.readers import READERS
from podrunner.config.location import SourceLocation

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from podrunner.config.airflow.ini import IniFile
    from podrunner.errors import ConfigError

__all__ = ["ENVIRONMENT", "PREFIX", "UNREAD", "AirflowSources", "Given", "Written", "run_command"]

ENVIRONMENT = "environment"
PREFIX = "AIRFLOW__"

UNREAD = "(not read)"
"""The value of a secret that is not needed, and that only a command or a secrets backend could tell."""
_COMMAND_TIMEOUT_S = 60
_LONGEST_OUTPUT = 1024 * 1024
"""Bytes of a value: a program that never stops writing must not fill the memory."""
_DEEPEST_EXPANSION = 10
_BY_KEY = {option.key: option for option in OPTIONS}


@dataclass(frozen=True, slots=True)
class Given:
    """What the environment or the file gives for an option.

    Attributes:
        text: The value, expanded; for a value in a secrets backend, its name there.
        location: Where it was written.
        in_backend: Whether the value is in Airflow's secrets backend, which podrunner does not have.
    """

    text: str
    location: SourceLocation
    in_backend: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """An option as it is written in one place.

    Attributes:
        text: The text, not expanded; of a form for secrets, the command or the name in the backend.
        location: Where it was written.
        section: The section, also of a variable.
        form: "", ``_cmd`` or ``_secret``.
    """

    text: str
    location: SourceLocation
    section: str
    form: str = ""


_FORMS = ("", "_cmd", "_secret")


class AirflowSources:
    """The environment over the file: finds what is given for an option, and reads it as its type.

    Args:
        file: The parsed file.
        environ: The environment.
        run: Runs a command and returns its output; None: commands are refused.
        unread: Options that may hold a secret and are not needed: a command or a secrets backend that stands for one is
            left alone, and its value is ``UNREAD``.

    Attributes:
        versions: The versions or lines of Airflow that are possible: of two sections where an option stands, the one
            that they read counts first. Empty, as long as that is not known: the newest one.
    """

    def __init__(
        self,
        file: IniFile,
        environ: Mapping[str, str],
        *,
        run: Callable[[str, SourceLocation], str] | None = None,
        unread: Collection[str] = (),
    ) -> None:
        self.file = file
        self.environ = environ
        self._run = run
        self._unread = unread
        self.versions: tuple[str, ...] = ()
        self.home: str = self._home()

    def given(self, key: str) -> Given | None:
        """Return what is given for an option, or None; an empty value counts as nothing.

        Raises:
            ConfigError: A command is needed and refused, or fails; or the value is in a secrets backend.
        """
        found = self._found(_BY_KEY[key])
        if found and found.in_backend:
            raise _no_backend(found.location, key)
        return found if found and found.text else None

    def in_backend(self, key: str) -> Given | None:
        """Return the reference to a secrets backend that stands for an option's value, or None."""
        found = self._found(_BY_KEY[key])
        return found if found and found.in_backend else None

    def reference(self, key: str) -> Given | None:
        """Return the command or the name in a secrets backend that stands for an option's value, or None.

        No command is run.
        """
        first = next(self._written(_BY_KEY[key]), None)
        return Given(first.text, first.location) if first and first.form else None

    def written(self, key: str) -> list[Written]:
        """Return where an option is written and not empty, what counts first; no command is run."""
        return [written for written in self._written(_BY_KEY[key]) if written.text]

    def text_of(self, written: Written) -> str:
        """Return what is written, expanded; for a form for secrets, as it stands."""
        return written.text if written.form else self._text_of(written)

    def text(self, key: str) -> str | None:
        """Return an option's text, Airflow's default if it has one and nothing is given, else None."""
        found = self.given(key)
        return found.text if found else self._default(key)

    def value(self, key: str) -> Any:
        """Return an option read as its kind, given or by default; None if there is neither.

        Raises:
            ConfigError: The text does not fit the kind.
        """
        found = self.given(key)
        if found is not None:
            return READERS[_BY_KEY[key].kind](found)
        default = self._default(key)
        return None if default is None else READERS[_BY_KEY[key].kind](self.default_of(key))

    def default_of(self, key: str) -> Given:
        """Return Airflow's default of an option as if it were given."""
        return Given(
            self._default(key) or "", SourceLocation(f"{self.file.source} (Airflow's default)", None, key)
        )

    def entries(self, section: str) -> dict[str, Given]:
        """Return the entries of a section whose keys are the user's own, the environment's over the file's.

        Values are not expanded: they belong to the worker.
        """
        found = {
            key: Given(self.file.text(section, key), SourceLocation(self.file.source, section, key))
            for key in self.file.keys(section)
        }
        prefix = f"{PREFIX}{section.upper()}__"
        for name in sorted(name for name in self.environ if name.startswith(prefix) and name != prefix):
            key = _key_of_variable(section, name.removeprefix(prefix))
            found[key] = Given(self.environ[name], SourceLocation(ENVIRONMENT, None, name))
        return found

    def expanded(self, text: str) -> str:
        """Expand ``$VAR``, ``${VAR}`` and a leading ``~`` until nothing changes, as Airflow does, within a bound."""
        for _ in range(_DEEPEST_EXPANSION):
            once = _with_user(_with_variables(text, self.environ), self.environ)
            if once == text:
                break
            text = once
        return text

    def _default(self, key: str) -> str | None:
        return self.expanded(self._with_home(_BY_KEY[key].default)) or None

    def _home(self) -> str:
        self.home = self.expanded("~/airflow")
        by_variable = self.environ.get("AIRFLOW_HOME")
        written = self.given("airflow_home")
        return self.expanded(by_variable) if by_variable else written.text if written else self.home

    def _with_home(self, text: str) -> str:
        return text.replace("{AIRFLOW_HOME}", self.home)

    def _found(self, option: Option) -> Given | None:
        first = next(self._written(option), None)
        return None if first is None else self._resolved(option, first)

    def _written(self, option: Option) -> Iterator[Written]:
        """Find where an option is written, in the order in which it counts."""
        places = sorted(option.places, key=lambda place: not place.is_read_by(self.versions))
        for find in (self._in_environment, self._in_file):
            for place in places:
                written = find(place.section, option)
                if written is not None:
                    yield written

    def _in_environment(self, section: str, option: Option) -> Written | None:
        for key in (option.key, *option.aliases):
            for form in _FORMS if key in SENSITIVE else _FORMS[:1]:
                name = f"{PREFIX}{section.upper()}__{key.upper()}{form.upper()}"
                if name in self.environ:
                    location = SourceLocation(ENVIRONMENT, None, name)
                    return Written(self.environ[name], location, section, form)
        return None

    def _in_file(self, section: str, option: Option) -> Written | None:
        for key in (option.key, *option.aliases):
            for form in _FORMS if key in SENSITIVE else _FORMS[:1]:
                if name := self.file.find(section, f"{key}{form}"):
                    location = SourceLocation(self.file.source, section, name)
                    return Written(self.file.text(section, name), location, section, form)
        return None

    def _resolved(self, option: Option, written: Written) -> Given:
        if written.form and option.key in self._unread:
            return Given(UNREAD, written.location)
        if written.form == "_cmd":
            return self._by_command(written.text, written.location)
        if written.form == "_secret":
            return Given(written.text, written.location, in_backend=True)
        return Given(self._text_of(written), written.location)

    def _text_of(self, written: Written) -> str:
        in_file = written.location.source != ENVIRONMENT
        return self.expanded(self._with_home(written.text) if in_file else written.text)

    def _by_command(self, command: str, location: SourceLocation) -> Given:
        if self._run is None:
            raise location.error(
                "names a command to run, and commands are not allowed",
                remedy="Allow them by allow_commands=True (CLI: --allow-commands), or set the option itself",
            )
        return Given(self._run(command, location), location)


def run_command(command: str, location: SourceLocation) -> str:
    """Run a command of a ``…_cmd`` option, without a shell, and return its output without the final newline.

    Raises:
        ConfigError: It cannot be started, fails, takes longer than a minute, or writes more than a value has. Its
            output is not shown: it may hold the secret.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - the user allowed it, and no shell reads it
            shlex.split(command), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except (OSError, ValueError, IndexError) as error:
        raise location.error(f"the command cannot be run: {_why_not(error)}") from None
    with process:
        try:
            output = _output_of(process)
        except subprocess.TimeoutExpired:
            raise location.error(f"the command did not end within {_COMMAND_TIMEOUT_S} s") from None
        finally:
            process.kill()  # has no effect on one that has ended
    if len(output) > _LONGEST_OUTPUT:
        raise location.error(f"the command wrote more than {_LONGEST_OUTPUT >> 10} KiB")
    if process.returncode:
        raise location.error(
            f"the command failed with exit code {process.returncode}", remedy="Run it by hand to see why"
        )
    try:
        return output.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise location.error("the command wrote what is not UTF-8") from None


def _output_of(process: subprocess.Popen[bytes]) -> bytes:
    """Return what a command writes until it ends, or as much as is too much.

    Raises:
        TimeoutExpired: It takes too long.
    """
    assert process.stdout is not None, "it is a pipe"
    until_s = monotonic() + _COMMAND_TIMEOUT_S
    output = bytearray()
    with DefaultSelector() as selector:
        selector.register(process.stdout, EVENT_READ)
        while len(output) <= _LONGEST_OUTPUT:
            if not selector.select(max(0.0, until_s - monotonic())):
                raise subprocess.TimeoutExpired(process.args, _COMMAND_TIMEOUT_S)
            part = os.read(process.stdout.fileno(), 65_536)
            if not part:
                process.wait(max(0.0, until_s - monotonic()))
                break
            output += part
    return bytes(output)


def _why_not(error: Exception) -> str:
    """Say what the system or the shell's syntax objects to, without the command: it may hold a secret."""
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


def _no_backend(location: SourceLocation, key: str) -> ConfigError:
    return location.error(
        "names a secret of Airflow's secrets backend, which podrunner does not have",
        remedy=f"Set {key} itself, or {key}_cmd to a command that prints it",
    )


def _key_of_variable(section: str, key: str) -> str:
    """Return the key that a variable names: names of variables keep their case, other keys become lower case.

    ``AIRFLOW__KUBERNETES_LABELS__TEAM`` means ``team``, as in Airflow; a mixed-case name is taken as it is.
    """
    names_variables = section in {"kubernetes_environment_variables", "kubernetes_secrets"}
    return key if names_variables or not key.isupper() else key.lower()


_VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})", re.ASCII)


def _with_variables(text: str, environ: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: environ.get(match[1] or match[2], match[0]), text)


def _with_user(text: str, environ: Mapping[str, str]) -> str:
    if text == "~" or text.startswith("~/"):
        return (environ.get("HOME") or str(Path.home())).rstrip("/") + text[1:]
    return text
