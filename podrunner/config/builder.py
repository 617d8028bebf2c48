"""The builder of a configuration: values from several sources, each with the location it came from.

What belongs here: layering one source over another, and turning an error about a setting into one about the location
at which its value was written. Reading the sources does not belong here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeAlias

from podrunner.config.cluster_access import without_old_access
from podrunner.config.frozen import SettingsT
from podrunner.config.location import SourceLocation
from podrunner.errors import ConfigError

if TYPE_CHECKING:
    from podrunner.config.findings import ConfigFinding
    from podrunner.config.origin import PodOrigin

__all__ = ["ConfigBuilder", "Layer", "overrides_layer"]

Layer: TypeAlias = Mapping[tuple[str, ...], tuple[Any, SourceLocation]]
"""The settings of one source: path of the setting → value, and where it was written."""


class ConfigBuilder(Generic[SettingsT]):
    """Collects settings and findings; later values win over earlier ones.

    Attributes:
        model: The class of the settings that are built.
        findings: What is worth reporting about the sources.
        origin: What the pods of an ``airflow.cfg`` are made of; None for any other source.
    """

    def __init__(self, model: type[SettingsT], *, source: str) -> None:
        """Begin without any setting.

        Args:
            model: The class of the settings to build.
            source: The source that errors name where no location is known.
        """
        self.model = model
        self.findings: list[ConfigFinding] = []
        self.origin: PodOrigin | None = None
        self._source = source
        self._values: dict[str, Any] = {}
        self._locations: dict[tuple[str, ...], SourceLocation] = {}

    def put(self, path: tuple[str, ...], value: Any, location: SourceLocation) -> None:
        """Set the setting at a path (``("watch", "page_size")``)."""
        parent = self._values
        for part in path[:-1]:
            inner = parent.get(part)
            parent[part] = parent = dict(inner) if isinstance(inner, Mapping) else {}
        parent[path[-1]] = value
        self._locations[path] = location

    def lay_over(self, layer: Layer) -> None:
        """Put all settings of one source over those of the sources before.

        A cluster that the layer chooses drops the earlier settings about access to another one.
        """
        top = {path[0]: value for path, (value, _) in layer.items()}
        self._values = without_old_access(self._values, top)
        for path, (value, location) in layer.items():
            self.put(path, value, location)

    def build(self) -> SettingsT:
        """Validate the settings as a whole and return them.

        Raises:
            ConfigError: A value is wrong; the error names where it was written, as far as that is known.
        """
        try:
            return self.model.from_mapping(self._values, source=self._source)
        except ConfigError as error:
            raise self._located(error) from None

    def _located(self, error: ConfigError) -> ConfigError:
        found = self._nearest(error.key or "")
        if found is None:
            return error
        location, rest = found
        return SourceLocation(location.source, location.section, location.key or error.key).error(
            f"{rest}: {error.problem}" if rest and location.key else error.problem,
            value=error.value,
            remedy=error.remedy,
        )

    def _nearest(self, key: str) -> tuple[SourceLocation, str] | None:
        """Find the location whose path leads furthest towards a key, and the rest of the key."""
        reaching = [path for path in self._locations if _reaches(".".join(path), key)]
        if not reaching:
            return None
        longest = max(reaching, key=lambda path: len(".".join(path)))
        return self._locations[longest], key[len(".".join(longest)) :].lstrip(".")


def overrides_layer(overrides: Mapping[str, Any] | None) -> Layer:
    """Return the layer of settings that the caller names, dotted: ``{"logs.folder": "/var/log/pods"}``."""
    location = SourceLocation("overrides")
    return {tuple(name.split(".")): (value, location) for name, value in (overrides or {}).items()}


def _reaches(path: str, key: str) -> bool:
    return key == path or key.startswith((f"{path}.", f"{path}["))
