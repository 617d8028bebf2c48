"""Files and loading, for the tests of the configuration."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from podrunner.config import LoadedConfig
from podrunner.config.loading import load_airflow_cfg

Load = Callable[..., LoadedConfig]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file; its indentation is taken off."""

    def _write(text: str, name: str = "airflow.cfg") -> Path:
        path = tmp_path / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return _write


@pytest.fixture
def load(write: Write) -> Load:
    """Load the text of an airflow.cfg beside an environment that holds nothing but what is given."""

    def _load(
        text: str, environ: Mapping[str, str] | None = None, *, allow_commands: bool = False
    ) -> LoadedConfig:
        given = {"HOME": "/home/u", **(environ or {})}
        return load_airflow_cfg(write(text), environ=given, allow_commands=allow_commands)

    return _load
