"""What ``podrunner config check`` says of a configuration: a pod is built by it, then one line or one JSON document.

What belongs here: the trial and the wording. What is found in a file is found while it is loaded
(``podrunner.config``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podrunner.builder import check_config
from podrunner.config import ConfigFinding
from podrunner.errors import ConfigError, SpecError

if TYPE_CHECKING:
    from podrunner.config import LoadedConfig

__all__ = ["as_document", "counted", "tried", "what_runs"]

_PODS_OF_OPTIONS = "1.10"
"""The version that makes pods of options, and gives the task as the container's command."""


def tried(file: Path, loaded: LoadedConfig) -> LoadedConfig:
    """Build a pod by the configuration; return it with the warnings about its template and other parts of pods.

    Raises:
        ConfigError: The template and the settings make no pod; further problems are its notes.
    """
    source = (loaded.origin.template_file if loaded.origin else None) or str(file)
    try:
        texts = check_config(loaded.config)
    except SpecError as error:
        refusal = ConfigError(error.problem, source=source, key=error.field, value=error.value)
        for further in getattr(error, "__notes__", ()):
            refusal.add_note(further)
        raise refusal from error
    warnings = (ConfigFinding(level="warning", message=text, source=source) for text in texts)
    return replace(loaded, findings=(*loaded.findings, *warnings))


def as_document(file: Path, loaded: LoadedConfig, *, error: ConfigError | None = None) -> dict[str, Any]:
    """Return what ``--json`` prints: what runs, each finding with its place, and why the file cannot be used.

    Args:
        file: The file.
        loaded: What it says.
        error: Why there is no pod by it; None: there is one.
    """
    origin = loaded.origin
    return {
        "file": str(file),
        "usable": error is None,
        "errors": [str(error), *getattr(error, "__notes__", ())] if error else [],
        "runs": {
            "airflow": list(origin.airflow_versions) if origin else None,
            "pod_template": origin.template_file if origin else None,
            "image": _image(loaded),
            "namespace": loaded.config.namespace,
        },
        "warnings": len(loaded.warnings),
        "notes": len(loaded.notes),
        "findings": [asdict(finding) for finding in loaded.findings],
    }


def what_runs(loaded: LoadedConfig) -> str:
    """Return what the pods are made of: ``Airflow 2.9.2, pod from pod.yaml + args, image apache/airflow:2.9.2``."""
    parts = [_airflow(loaded), _pod(loaded), f"image {_image(loaded)}" if _image(loaded) else "no image"]
    return ", ".join(part for part in parts if part)


def counted(loaded: LoadedConfig) -> str:
    """Return how many warnings and notes there are: ``1 warning, 2 notes``."""
    counts = {"warning": len(loaded.warnings), "note": len(loaded.notes)}
    return ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items())


def _airflow(loaded: LoadedConfig) -> str:
    versions = loaded.origin.airflow_versions if loaded.origin else ()
    return f"Airflow {' or '.join(versions)}" if versions else ""


def _pod(loaded: LoadedConfig) -> str:
    if loaded.origin is None:
        template = "pod_template + " if loaded.config.pod_template is not None else ""
        return f"pod from {template}its settings"
    lines = _lines(loaded)
    if loaded.origin.template_file is not None:
        added = "command" if lines == {_PODS_OF_OPTIONS} else "args"
        return f"pod from {Path(loaded.origin.template_file).name} + {added}"
    return "pod from its options" if _PODS_OF_OPTIONS in lines else "pod without a template"


def _lines(loaded: LoadedConfig) -> set[str]:
    versions = loaded.origin.airflow_versions if loaded.origin else ()
    return {_PODS_OF_OPTIONS if version.startswith(_PODS_OF_OPTIONS) else version[:1] for version in versions}


def _image(loaded: LoadedConfig) -> str | None:
    """Return the main container's image: the configuration's, else that of the template."""
    spec = (loaded.config.pod_template or {}).get("spec")
    containers = spec.get("containers") if isinstance(spec, Mapping) else None
    entries = containers if isinstance(containers, list | tuple) else ()
    named = [entry for entry in entries if isinstance(entry, Mapping)]
    main = next((entry for entry in named if entry.get("name") == loaded.config.container_name), None)
    image = (main or (named[0] if named else {})).get("image")
    return loaded.config.image or (image if isinstance(image, str) else None)
