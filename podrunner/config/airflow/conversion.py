"""Converting Airflow's options to podrunner's settings.

What belongs here: what an option means. Where its value comes from does not (``sources.py``), nor do the volumes of
DAGs and logs (``volumes.py``). Options whose value goes into a setting as it is stand only in the table
(``options.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from podrunner.config.airflow.options import FREE_SECTIONS, OPTIONS, Option
from podrunner.config.airflow.signs import POD_OPTIONS_OF_1_10, signs_of
from podrunner.config.airflow.version import ALL_LINES, AirflowLine, detect, line_of
from podrunner.config.findings import ConfigFinding
from podrunner.config.location import SourceLocation
from podrunner.config.pod_template import load_pod_template
from podrunner.redaction import looks_secret, shown_value

if TYPE_CHECKING:
    from podrunner.config.airflow.sources import AirflowSources, Given
    from podrunner.config.builder import ConfigBuilder

__all__ = ["Conversion", "convert_options", "convert_version"]


@dataclass(frozen=True, slots=True)
class Conversion:
    """What converting one file needs: the sources of the options, and the builder of the settings and findings.

    Attributes:
        sources: The options of the file and the environment.
        builder: Takes the settings and findings.
        template: The pod template that the file names, or None.
        lines: The lines of Airflow that the file may be written for; one, where it is known.
    """

    sources: AirflowSources
    builder: ConfigBuilder[Any]
    template: dict[str, Any] | None = None
    lines: frozenset[AirflowLine] = ALL_LINES

    @property
    def is_template_all(self) -> bool:
        """Whether the pod is the template alone: beside a template, and in Airflow 2 and 3 anyway.

        Options of 1.10 that shape the pod then have no effect, and do not become settings.
        """
        return self.template is not None or AirflowLine.V1_10 not in self.lines

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
    if explicit is not None:
        return _with_lines(conversion, template, _lines_of(explicit))
    found = detect(signs_of(conversion.sources, template, file=file))
    for followed, other in found.conflicts:
        conversion.warn(
            other.location,
            f"{other.meaning}, contradicts {followed.meaning}{_at(followed.location)}: podrunner follows the latter",
            remedy="Remove one of the two, or set airflow.version (the variable PODRUNNER_AIRFLOW__VERSION)",
        )
    if found.location is not None:
        conversion.put("airflow.version", found.version, found.location)
    return _with_lines(conversion, template, found.lines)


def _with_lines(
    conversion: Conversion, template: dict[str, Any] | None, lines: frozenset[AirflowLine]
) -> Conversion:
    """Return the conversion with what was found. A line that is not known is one that starts from an empty template."""
    found = replace(conversion, template=template, lines=lines)
    if template is None and found.is_template_all and len(lines) > 1:
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
        elif option.setting is None:
            _report_meaningless(conversion, option)
    for convert in _CONVERTERS:
        convert(conversion)


def _convert_direct(conversion: Conversion, option: Option) -> None:
    assert option.setting is not None
    if conversion.is_template_all and option.key in POD_OPTIONS_OF_1_10:
        return
    if option.own_default and conversion.sources.given(option.key) is None:
        return
    conversion.take(option.key, option.setting)


def _report_meaningless(conversion: Conversion, option: Option) -> None:
    given = conversion.sources.given(option.key)
    if given is None:
        return
    message = f"has no meaning for podrunner: {option.effect.replace('`', '')}"
    report = conversion.note if given.text in {option.default, option.later_default} else conversion.warn
    report(given.location, message)


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
    template = load_pod_template(path, location=given.location)
    conversion.put("pod_template", template, given.location)
    return template, str(path)


def _access(conversion: Conversion) -> None:
    sources = conversion.sources
    inside = sources.value("in_cluster")
    conversion.put("cluster", "in-cluster" if inside else "kubeconfig", conversion.location("in_cluster"))
    for key, setting in (("config_file", "kubeconfig"), ("cluster_context", "context")):
        given = sources.given(key)
        if given and inside:
            conversion.warn(
                given.location,
                "has no effect beside in_cluster = True",
                remedy="Set in_cluster = False to use a kubeconfig",
            )
        elif given:
            conversion.put(setting, given.text, given.location)


def _namespaces(conversion: Conversion) -> None:
    sources = conversion.sources
    named = sources.value("multi_namespace_mode_namespace_list")
    if not sources.value("multi_namespace_mode"):
        if named:
            conversion.warn(
                conversion.location("multi_namespace_mode_namespace_list"),
                "has no effect without multi_namespace_mode = True",
                remedy="Set it, or remove the list",
            )
    elif named:
        conversion.put("namespaces", named, conversion.location("multi_namespace_mode_namespace_list"))
    else:
        conversion.put("all_namespaces", value=True, location=conversion.location("multi_namespace_mode"))


def _requests(conversion: Conversion) -> None:
    given = conversion.sources.given("kube_client_request_args")
    arguments = dict(conversion.sources.value("kube_client_request_args") or {})
    if given is None:
        return
    timeout = arguments.pop("_request_timeout", None)
    if timeout is not None:
        connect, total = _timeouts(timeout, given)
        conversion.put("request_timeout_s", total, given.location)
        conversion.put("connect_timeout_s", connect, given.location)
    _warn_of_rest(conversion, arguments, given.location)


def _timeouts(timeout: object, given: Given) -> tuple[float, float]:
    """Read ``_request_timeout``: seconds for both, or ``[connect, read]``."""
    both = [timeout, timeout] if isinstance(timeout, int | float) else timeout
    if isinstance(both, list) and len(both) == 2 and all(_is_positive(part) for part in both):
        return both[0], both[1]
    raise given.location.error(
        "_request_timeout is not a time",
        value=shown_value(timeout),
        remedy="Write seconds, or [connect, read]",
    )


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _deletes(conversion: Conversion) -> None:
    given = conversion.sources.given("delete_option_kwargs")
    arguments = dict(conversion.sources.value("delete_option_kwargs") or {})
    if given is None:
        return
    for name in ("grace_period_seconds", "gracePeriodSeconds"):
        if name in arguments:
            conversion.put("delete_grace_period_s", arguments.pop(name), given.location)
    _warn_of_rest(conversion, arguments, given.location)


def _retries(conversion: Conversion) -> None:
    given = conversion.sources.given("api_client_retry_configuration")
    if given is not None:
        arguments = dict(conversion.sources.value("api_client_retry_configuration"))
        for setting in ("retry", "create_retry"):
            _retry(conversion, setting, arguments, given.location)
        _warn_of_rest(
            conversion, {k: v for k, v in arguments.items() if k not in _RETRY_KEYS}, given.location
        )
    publish = conversion.sources.value("task_publish_max_retries")
    if publish:
        conversion.put(
            "create_retry.attempts",
            publish + 1 if publish > 0 else 0,
            conversion.location("task_publish_max_retries"),
        )


_RETRY_KEYS = ("total", "backoff_factor")


def _retry(conversion: Conversion, setting: str, arguments: dict[str, Any], location: SourceLocation) -> None:
    total, factor = (arguments.get(key) for key in _RETRY_KEYS)
    if total is not None:
        if not isinstance(total, int) or isinstance(total, bool) or total < 0:
            raise location.error(
                "total is not a number of retries", value=shown_value(total), remedy="Write 0 or more"
            )
        conversion.put(f"{setting}.attempts", total + 1, location)
    if factor is not None:
        conversion.put(f"{setting}.initial_s", factor, location)


def _creates(conversion: Conversion) -> None:
    """Bound the creates in flight, unless the option is at Airflow's default (one per loop, or automatic)."""
    for key, automatic in (("worker_pods_creation_batch_size", 1), ("pod_creation_max_concurrency", 0)):
        value = conversion.sources.value(key)
        if value is not None and value != automatic:
            conversion.put("max_creates_in_flight", value, conversion.location(key))


def _fatal_reasons(conversion: Conversion) -> None:
    """Take the list unless it is Airflow's own, which would end a pod before its own Secret has been created."""
    key = "worker_pod_pending_fatal_container_state_reasons"
    reasons, default = conversion.sources.value(key), conversion.sources.default_of(key).text
    if {*reasons} != {*default.split(",")}:
        conversion.put("pending.fatal_reasons", reasons, conversion.location(key))


def _warn_of_rest(conversion: Conversion, arguments: dict[str, Any], location: SourceLocation) -> None:
    if arguments:
        conversion.warn(location, f"{', '.join(arguments)}: no meaning for podrunner")


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


_CONVERTERS = (
    _worker,
    _image,
    _access,
    _namespaces,
    _requests,
    _retries,
    _creates,
    _deletes,
    _fatal_reasons,
    _free_sections,
)
