"""Converting Airflow's options to podrunner's settings.

What belongs here: the version, and what an option of the pod means. Where a value comes from does not (``sources.py``),
nor do the volumes of DAGs and logs (``volumes.py``) and the launcher (``launching.py``). Options whose value goes into
a setting as it is stand only in the table (``options/``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from podrunner.config.airflow.effects import Scope
from podrunner.config.airflow.launching import LAUNCHER_CONVERTERS
from podrunner.config.airflow.options import FREE_SECTIONS, OPTIONS, Option
from podrunner.config.airflow.signs import signs_of
from podrunner.config.airflow.version import ALL_LINES, AirflowLine, detect, line_of
from podrunner.config.findings import ConfigFinding
from podrunner.config.location import SourceLocation
from podrunner.config.pod_template import load_pod_template
from podrunner.redaction import looks_secret

if TYPE_CHECKING:
    from podrunner.config.airflow.sources import AirflowSources, Given
    from podrunner.config.builder import ConfigBuilder

__all__ = ["Conversion", "convert_options", "convert_version"]

_ANY_VERSION = Scope(tuple(sorted(ALL_LINES)))


@dataclass(frozen=True, slots=True)
class Conversion:
    """What converting one file needs: the sources of the options, and the builder of the settings and findings.

    Attributes:
        sources: The options of the file and the environment.
        builder: Takes the settings and findings.
        template: The pod template that the file names, or None.
        template_file: Its path; "": there is none.
        lines: The lines of Airflow that the file may be written for; one, where it is known.
        scope: What decides which options have an effect.
    """

    sources: AirflowSources
    builder: ConfigBuilder[Any]
    template: dict[str, Any] | None = None
    template_file: str = ""
    lines: frozenset[AirflowLine] = ALL_LINES
    scope: Scope = _ANY_VERSION

    def has_finding(self, location: SourceLocation) -> bool:
        """Return whether there is a finding about a location already."""
        at = (location.source, location.section, location.key)
        return any((found.source, found.section, found.key) == at for found in self.builder.findings)

    @property
    def is_template_all(self) -> bool:
        """Whether the pod is the template alone: beside a template, and in Airflow 2 and 3 anyway.

        Options of 1.10 that shape the pod then have no effect, and do not become settings.
        """
        return self.scope.pod_from_template

    def put(self, setting: str, value: Any, location: SourceLocation) -> None:
        """Set a setting by its dotted name."""
        self.builder.put(tuple(setting.split(".")), value, location)

    def take(self, key: str, setting: str) -> None:
        """Set a setting to an option's value, given or Airflow's default; do nothing if there is neither."""
        value = self.sources.value(key)
        if value is not None:
            self.put(setting, value, self.location(key))

    def location(self, key: str) -> SourceLocation:
        """Return the location at which an option is given, or that of its default."""
        return (self.sources.given(key) or self.sources.default_of(key)).location

    def warn(self, location: SourceLocation, message: str, *, remedy: str | None = None) -> None:
        """Add a warning: something has no effect, or not the effect that it seems to have."""
        self._add("warning", location, message, remedy)

    def note(self, location: SourceLocation, message: str, *, remedy: str | None = None) -> None:
        """Add a note: something is right as it is."""
        self._add("note", location, message, remedy)

    def _add(
        self, level: Literal["warning", "note"], location: SourceLocation, message: str, remedy: str | None
    ) -> None:
        self.builder.findings.append(
            ConfigFinding(
                level=level,
                message=message,
                source=location.source,
                section=location.section,
                key=location.key,
                remedy=remedy,
            )
        )


def convert_version(conversion: Conversion, *, explicit: str | None) -> Conversion:
    """Load the pod template and find the version of Airflow; return the conversion with both.

    Args:
        conversion: The conversion so far.
        explicit: The ``airflow.version`` that wins over what the file says, or None.

    Raises:
        ConfigError: The template cannot be read.
    """
    conversion.builder.put(("airflow",), {}, SourceLocation(conversion.sources.file.source))
    template, file = _template(conversion)
    conversion = replace(conversion, template=template, template_file=file)
    if explicit is not None:
        lines = _lines_of(explicit)
        return _with_lines(conversion, lines, explicit if lines != ALL_LINES else None)
    found = detect(signs_of(conversion.sources, template, file=file))
    for followed, other in found.conflicts:
        conversion.warn(
            other.location,
            f"{other.meaning}, contradicts {followed.meaning}{_at(followed.location)}: podrunner follows the latter",
            remedy="Remove one of the two, or set airflow.version (the variable PODRUNNER_AIRFLOW__VERSION)",
        )
    if found.location is not None:
        conversion.put("airflow.version", found.version, found.location)
    return _with_lines(conversion, found.lines, found.version)


def _with_lines(conversion: Conversion, lines: frozenset[AirflowLine], version: str | None) -> Conversion:
    """Return the conversion with what was found. A line that is not known is one that starts from an empty template."""
    scope = Scope((version,) if version else tuple(sorted(lines)), template=conversion.template is not None)
    found = replace(conversion, lines=lines, scope=scope)
    if found.template is None and found.is_template_all and len(lines) > 1:
        conversion.put("pod_template", {}, SourceLocation(conversion.sources.file.source))
    return found


def _lines_of(version: str) -> frozenset[AirflowLine]:
    """Return the line of an explicit version; all for a wrong one, which is refused when the settings are built."""
    try:
        return frozenset({line_of(version)})
    except (TypeError, ValueError):
        return ALL_LINES


def _at(location: SourceLocation) -> str:
    place = " ".join(
        filter(None, (location.source, location.section and f"[{location.section}]", location.key))
    )
    return f" ({place})"


def convert_options(conversion: Conversion) -> None:
    """Convert all options but those of DAG and log volumes.

    Raises:
        ConfigError: A value does not fit its option.
    """
    for option in OPTIONS:
        if option.is_direct:
            _convert_direct(conversion, option)
    for convert in _CONVERTERS:
        convert(conversion)


def _convert_direct(conversion: Conversion, option: Option) -> None:
    assert option.setting is not None
    if conversion.is_template_all and option.in_template:
        return
    if option.own_default and conversion.sources.given(option.key) is None:
        return
    conversion.take(option.key, option.setting)


def _worker(conversion: Conversion) -> None:
    """Take the worker's folders and its connection; a template says both itself."""
    conversion.take("base_log_folder", "logs.folder")
    if conversion.is_template_all:
        return
    sources = conversion.sources
    written = sources.given("airflow_home")
    if written and written.text != sources.home:
        conversion.warn(
            written.location,
            "is overruled by the variable AIRFLOW_HOME",
            remedy="Remove one of the two, or make them equal",
        )
    home = (
        SourceLocation("environment", None, "AIRFLOW_HOME")
        if "AIRFLOW_HOME" in sources.environ
        else conversion.location("airflow_home")
    )
    conversion.put("airflow.home", sources.home, home)
    conversion.take("base_log_folder", "airflow.base_log_folder")
    _connection(conversion)


def _connection(conversion: Conversion) -> None:
    """Take the connection string, unless the worker finds it itself: then no command is run, and no backend needed."""
    sources = conversion.sources
    reference = sources.reference("sql_alchemy_conn")
    found_by_worker = sources.given(
        "airflow_configmap"
    ) or "AIRFLOW__CORE__SQL_ALCHEMY_CONN" in sources.entries("kubernetes_secrets")
    if reference is not None and found_by_worker:
        conversion.note(reference.location, "is left to the worker, which finds the connection itself")
    else:
        conversion.take("sql_alchemy_conn", "airflow.sql_alchemy_conn")


def _image(conversion: Conversion) -> None:
    repository = conversion.sources.given("worker_container_repository")
    tag = conversion.sources.given("worker_container_tag")
    if repository and not tag and conversion.is_template_all:
        conversion.warn(
            repository.location,
            "has no effect without worker_container_tag: the template's image is used",
            remedy="Set the tag beside it",
        )
    elif repository:
        name = f"{repository.text}:{tag.text}" if tag else repository.text
        conversion.put("image", name, repository.location)
    elif tag:
        conversion.warn(
            tag.location, "is a tag without an image", remedy="Set worker_container_repository beside it"
        )


def _template(conversion: Conversion) -> tuple[dict[str, Any] | None, str]:
    """Take the pod template; return it, and its path."""
    given = conversion.sources.given("pod_template_file")
    if given is None:
        return None, ""
    path = Path(conversion.sources.file.source).parent / given.text
    if not path.exists():
        section = given.location.section or "kubernetes_executor"
        raise given.location.error(
            f"the pod template cannot be read: there is no {path}",
            remedy=f"Copy it there, or name another by AIRFLOW__{section.upper()}__POD_TEMPLATE_FILE",
        )
    template = load_pod_template(path, location=given.location)
    conversion.put("pod_template", template, given.location)
    return template, str(path)


def _free_sections(conversion: Conversion) -> None:
    if conversion.is_template_all:
        return
    for section in FREE_SECTIONS:
        for key, given in conversion.sources.entries(section.name).items():
            setting = (
                _setting_of_variable(conversion, key, given) if section.setting == "env" else section.setting
            )
            conversion.builder.put((setting, key), given.text, given.location)


def _setting_of_variable(conversion: Conversion, name: str, given: Given) -> str:
    """Return the setting for a variable: ``credentials`` if its name says that it holds a secret, else ``env``."""
    if not looks_secret(name):
        return "env"
    conversion.note(given.location, "looks like a secret, so it goes into a Secret that the pod owns")
    return "credentials"


_CONVERTERS = (_worker, _image, *LAUNCHER_CONVERTERS, _free_sections)
