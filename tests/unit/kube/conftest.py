"""Kubeconfig files, as tests write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Write = Callable[..., Path]


def document(
    user: dict[str, Any] | None = None, cluster: dict[str, Any] | None = None, **context: Any
) -> dict[str, Any]:
    """A kubeconfig of one context."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "main",
        "contexts": [{"name": "main", "context": {"cluster": "c", "user": "u", **context}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://api.example:6443", **(cluster or {})}}],
        "users": [{"name": "u", "user": user if user is not None else {"token": "secret-token"}}],
    }


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a kubeconfig; returns its path."""

    def write(
        user: dict[str, Any] | None = None,
        cluster: dict[str, Any] | None = None,
        *,
        name: str = "config",
        **context: Any,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(document(user, cluster, **context)))
        return path

    return write
