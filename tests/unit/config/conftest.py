"""Fixtures of the configuration's tests: writing a file, and loading it."""

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
    """Write a file, without its indentation."""

    def _write(text: str, name: str = "airflow.cfg") -> Path:
        path = tmp_path / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return _write


@pytest.fixture
def load(write: Write) -> Load:
    """Load the text of an airflow.cfg with an environment of only the given variables."""

    def _load(
        text: str, environ: Mapping[str, str] | None = None, *, allow_commands: bool = False
    ) -> LoadedConfig:
        given = {"HOME": "/home/u", **(environ or {})}
        return load_airflow_cfg(write(text), environ=given, allow_commands=allow_commands)

    return _load
