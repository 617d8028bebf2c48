"""A configuration in the making: values from several sources, each with the place it came from.

What belongs here: laying one source over another, and turning an error about a setting into one about the
line that somebody wrote. Reading the sources does not belong here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from podrunner.config.model import RunnerConfig, without_old_access
from podrunner.errors import ConfigError

__all__ = ["Draft", "Place", "overrides_layer"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written.

    Attributes:
        source: The file, or ``environment``, or what else errors are to name.
        section: The section of the file, or None.
        key: The key as written; None: the setting's own path.
    """

    source: str
    section: str | None = None
    key: str | None = None

    def error(self, problem: str, *, value: str | None = None, remedy: str | None = None) -> ConfigError:
        """Return an error about this place."""
        return ConfigError(
            problem, source=self.source, section=self.section, key=self.key, value=value, remedy=remedy
        )


class Draft:
    """Nested settings under construction; later values win over earlier ones."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._values: dict[str, Any] = {}
        self._places: dict[tuple[str, ...], Place] = {}

    def put(self, path: tuple[str, ...], value: Any, place: Place) -> None:
        """Set the setting at a path (``("watch", "page_size")``)."""
        parent = self._values
        for part in path[:-1]:
            inner = parent.get(part)
            parent[part] = parent = dict(inner) if isinstance(inner, Mapping) else {}
        parent[path[-1]] = value
        self._places[path] = place

    def lay_over(self, layer: Mapping[tuple[str, ...], tuple[Any, Place]]) -> None:
        """Put all settings of one source over those of the sources before.

        A cluster chosen here makes void what was said before about the way to another one.
        """
        top = {path[0]: value for path, (value, _) in layer.items()}
        self._values = without_old_access(self._values, top)
        for path, (value, place) in layer.items():
            self.put(path, value, place)

    def build(self) -> RunnerConfig:
        """Validate the whole.

        Raises:
            ConfigError: About the place where the wrong value was written, as far as that can be told.
        """
        try:
            return RunnerConfig.from_mapping(self._values, source=self._source)
        except ConfigError as error:
            raise self._located(error) from None

    def _located(self, error: ConfigError) -> ConfigError:
        found = self._nearest(error.key or "")
        if found is None:
            return error
        place, rest = found
        return Place(place.source, place.section, place.key or error.key).error(
            f"{rest}: {error.problem}" if rest and place.key else error.problem,
            value=error.value,
            remedy=error.remedy,
        )

    def _nearest(self, key: str) -> tuple[Place, str] | None:
        """Find the place whose path leads furthest towards a key, and what of the key is left."""
        reaching = [path for path in self._places if _reaches(".".join(path), key)]
        if not reaching:
            return None
        longest = max(reaching, key=lambda path: len(".".join(path)))
        return self._places[longest], key[len(".".join(longest)) :].lstrip(".")


def overrides_layer(
    overrides: Mapping[str, Any] | None,
) -> dict[tuple[str, ...], tuple[Any, Place]]:
    """Make a layer of settings that the caller names, dotted: ``{"logs.folder": "/var/log/pods"}``."""
    return {tuple(name.split(".")): (value, Place("overrides")) for name, value in (overrides or {}).items()}


def _reaches(path: str, key: str) -> bool:
    return key == path or key.startswith((f"{path}.", f"{path}["))
