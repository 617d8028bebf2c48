"""Fixtures of the builder's tests: a workload, and views of a pod."""

from __future__ import annotations

from typing import Any

import pytest
from podrunner.workload import Workload


@pytest.fixture
def workload() -> Workload:
    """The smallest valid workload."""
    return Workload(key={"dag_id": "d", "task_id": "t"}, command=["date"])


class Look:
    """Finds parts of a manifest by name."""

    @staticmethod
    def main(pod: dict[str, Any], name: str = "base") -> dict[str, Any]:
        """A container."""
        (container,) = [found for found in pod["spec"]["containers"] if found["name"] == name]
        return dict(container)

    @classmethod
    def env(cls, pod: dict[str, Any]) -> dict[str, Any]:
        """Variables of the main container: the value, or its source."""
        variables = cls.main(pod).get("env", [])
        return {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in variables}

    @staticmethod
    def volumes(pod: dict[str, Any]) -> dict[str, Any]:
        """Volumes by name, without their names."""
        return {
            volume["name"]: {field: volume[field] for field in volume if field != "name"}
            for volume in pod["spec"].get("volumes", [])
        }

    @classmethod
    def mounts(cls, pod: dict[str, Any]) -> dict[str, Any]:
        """Mounts of the main container by path, without their paths."""
        return {
            mount["mountPath"]: {field: mount[field] for field in mount if field != "mountPath"}
            for mount in cls.main(pod).get("volumeMounts", [])
        }


@pytest.fixture
def look() -> type[Look]:
    """Views of a pod."""
    return Look
