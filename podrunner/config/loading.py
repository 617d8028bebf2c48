"""Loading a :class:`~podrunner.config.RunnerConfig` from a file, together with what was found in it.

What belongs here: the entrances for programs that show findings, such as ``podrunner config check``. They read as
``RunnerConfig.from_file`` and ``RunnerConfig.from_airflow_cfg`` do; those report the findings as warnings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from podrunner.config.findings import ConfigFinding, report_findings
from podrunner.config.model import RunnerConfig

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping

    from podrunner.config.builder import ConfigBuilder
    from podrunner.config.origin import PodOrigin

__all__ = ["LoadedConfig", "load_airflow_cfg", "load_file"]


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration, and what was found while it was loaded.

    Attributes:
        config: The configuration.
        findings: First what concerns the syntax, the names and the values, then what has no effect.
        origin: What the pods of an ``airflow.cfg`` are made of; None for any other source.
    """

    config: RunnerConfig
    findings: tuple[ConfigFinding, ...] = ()
    origin: PodOrigin | None = None

    @property
    def warnings(self) -> tuple[ConfigFinding, ...]:
        """The findings that are warnings."""
        return tuple(finding for finding in self.findings if finding.level == "warning")

    @property
    def notes(self) -> tuple[ConfigFinding, ...]:
        """The findings that are notes."""
        return tuple(finding for finding in self.findings if finding.level == "note")

    def checked(self, *, strict: bool = False, stacklevel: int = 2) -> RunnerConfig:
        """Return the configuration, after one :class:`~podrunner.config.ConfigWarning` for each warning.

        Args:
            strict: Raise the first warning as a ConfigError instead.
            stacklevel: As in :func:`warnings.warn`.

        Raises:
            ConfigError: There is a warning, and ``strict`` is set.
        """
        report_findings(self.findings, strict=strict, stacklevel=stacklevel)
        return self.config


def load_file(
    path: str | os.PathLike[str],
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    allow_commands: bool = False,
    unread: Collection[str] = (),
) -> LoadedConfig:
    """Load a configuration file of any format.

    ``.toml``, ``.yaml``, ``.yml`` and ``.json`` are podrunner's own; ``.cfg`` and ``.ini`` Airflow's, and so is a file
    of any other name that has a section of Airflow's.

    Args:
        path: The file.
        environ: The environment to read; None: this process's.
        overrides: Settings that win over all sources, by their dotted names.
        allow_commands: For an ``airflow.cfg``: run the commands of ``…_cmd`` options.
        unread: Options of an ``airflow.cfg`` that may hold a secret and that the caller does not need. Where a command
            or a secrets backend stands for one, its value is ``UNREAD`` instead.

    Raises:
        ConfigError: The file cannot be read, or a value in it is wrong.
    """
    from podrunner.config.files import read_file

    return _loaded(
        read_file(
            path,
            RunnerConfig,
            environ=environ,
            overrides=overrides,
            allow_commands=allow_commands,
            unread=unread,
        )
    )


def load_airflow_cfg(
    path: str | os.PathLike[str],
    *,
    environ: Mapping[str, str] | None = None,
    allow_commands: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> LoadedConfig:
    """Load an ``airflow.cfg``.

    Args:
        path: The file.
        environ: The environment to read; None: this process's.
        allow_commands: Run the commands of ``…_cmd`` options.
        overrides: Settings that win over all sources, by their dotted names.

    Raises:
        ConfigError: The file cannot be read, or a value in it is wrong.
    """
    from podrunner.config.airflow.cfg import read_airflow_cfg

    return _loaded(
        read_airflow_cfg(
            path,
            RunnerConfig,
            environ=environ,
            overrides=overrides,
            allow_commands=allow_commands,
        )
    )


def _loaded(builder: ConfigBuilder[RunnerConfig]) -> LoadedConfig:
    return LoadedConfig(builder.build(), tuple(builder.findings), builder.origin)
