"""Writes ``reference/airflow-options.md`` from the table of options: ``python docs/airflow_options.py``.

A test compares the page with what this makes of ``podrunner.config.airflow.options``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from podrunner.config.airflow.effects import Effect, Scope, effect_of
from podrunner.config.airflow.options import FREE_SECTIONS, GROUPS, KUBERNETES_SECTIONS, is_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from podrunner.config.airflow.options import Option

PAGE = Path(__file__).parent / "reference" / "airflow-options.md"

SERIES: dict[str, tuple[str, ...]] = {
    "1.10": tuple(f"1.10.{patch}" for patch in range(4, 16)),
    "2.0 to 2.4": tuple(f"2.{minor}" for minor in range(5)),
    "2.5 to 2.11": tuple(f"2.{minor}" for minor in range(5, 12)),
    "3": ("3.0", "3.1", "3.2", "3.3"),
}
"""The columns, and the versions of each: the provider took the executor over in 2.7, with the section of 2.5."""

HEAD = """\
# Options of Airflow

<!-- Made from the code by `python docs/airflow_options.py`; a test compares. -->

This page lists the options of an `airflow.cfg` that a worker's pod or its launcher depends on: Airflow 1.10.4 to 3.3,
and the Kubernetes provider up to 10.25.0. `podrunner config check airflow.cfg` reports by this table each option of a
file that has no effect. The version is `airflow.version`, or what the file says: the image's tag, sections, options.

## What the pod is made of

- **1.10 without `pod_template_file`**: of the options below. Exactly one source of DAGs is wanted:
  `dags_volume_claim`, `dags_volume_host`, `dags_in_image = True`, or `git_repo` with `git_branch` and
  `git_dags_folder_mount_point`. Git options without a mount point beside another source are inert: one warning.
- **1.10.11 and later with `pod_template_file`, and each version since 2.0**: the template is the pod. Airflow adds the
  arguments, the image, the identity and the task's own `pod_override`. The options that shape the pod in 1.10 have no
  effect, in Airflow as here; the column *In a pod template* names the place that has their role.
  [Worker pods of Airflow](airflow-pods.md) says it step by step.

## Sections and variables

`[kubernetes_executor]` is the section since 2.5, and `[kubernetes]` its name before, which Airflow 3 reads no more.
`[logging]` came with 2.0 and `[database]` with 2.3 for what stood in `[core]`. podrunner reads each of them whatever
the version, and says where a file uses one that its version does not read. Where two sections set an option, the one
that the version reads counts. `AIRFLOW__SECTION__KEY` variables count over the file.

An unknown option of the Kubernetes sections is a warning with the name that was probably meant, an error with
`strict=True`. `sql_alchemy_conn` and `git_password` may also be given as `…_cmd` (run only with
`allow_commands=True`); `…_secret` is an error, because podrunner has no secrets backend, except for a connection string
that the worker finds by itself.

## Warnings and notes

A *warning* says that the file asks for something that podrunner does not do, or does in another way than Airflow. A
*note* says that an option has no effect and that nothing runs differently: Airflow itself passes it over, or it stands
at Airflow's default.

| Cell | Meaning |
|---|---|
| effect | podrunner does what Airflow does |
| effect without a template | beside a `pod_template_file` the template does it instead: a note |
| the template | the template does it: a note; a warning if none is named |
| no effect | Airflow acts on it, podrunner does not: a warning, at Airflow's default a note; see the last column |
| reported | `config check` reports what does not fit podrunner |
| the worker | the worker reads it from its own configuration, and no launcher does anything with it |
| Airflow | Airflow's other processes read it |
| not yet, removed | not in this version; podrunner does what it asks for, if it has a setting for it: a note |
"""


def page() -> str:
    """Returns the whole page."""
    parts = [HEAD]
    for title, options in GROUPS.items():
        parts += [f"## {title}", "", *_head(), *map(_row, options), ""]
    parts += ["## Sections with keys of your own", "", *_free_table(), ""]
    return "\n".join(parts)


def _head() -> Iterator[str]:
    columns = [
        "Option",
        *SERIES,
        "podrunner's setting",
        "Airflow's default",
        "In a pod template",
        "What it does",
    ]
    yield _cells(columns)
    yield "|---" * len(columns) + "|"


def _row(option: Option) -> str:
    default = f"`{option.default}`" if option.default else ""
    setting = f"`{option.setting.replace(', ', '`, `')}`" if option.setting else ""
    effects = (cell(option, versions) for versions in SERIES.values())
    return _cells([_name(option), *effects, setting, default, _template(option), option.effect])


def _name(option: Option) -> str:
    own = option.section == KUBERNETES_SECTIONS
    section = "" if own else f" in {', '.join(f'`[{name}]`' for name in option.section)}"
    old = "".join(f", once `{alias}`" for alias in option.aliases)
    provider = f", provider {option.provider}" if option.provider else ""
    return f"`{option.key}`{section}{old}{provider}"


def _template(option: Option) -> str:
    return option.in_template.replace("spec.containers[base]", "`base`").replace("spec.", "")


def cell(option: Option, versions: tuple[str, ...]) -> str:
    """Returns what becomes of an option in a series of versions."""
    having = [version for version in versions if option.is_in((version,))]
    alone = effect_of(option, Scope(having[-1:] or versions))
    if not having:
        return "the template" if alone is Effect.TEMPLATE else _missing(option, versions)
    beside = effect_of(option, Scope(having[-1:], template=True))
    text = str(alone) if alone is beside else f"{alone} without a template"
    return text + _part_of(option, having, versions)


def _missing(option: Option, versions: tuple[str, ...]) -> str:
    return "removed" if option.until and not is_in("", option.until, versions) else "not yet"


def _part_of(option: Option, having: list[str], versions: tuple[str, ...]) -> str:
    if having == list(versions):
        return ""
    return f" from {option.since}" if having[-1] == versions[-1] else f" up to {having[-1]}"


def _free_table() -> Iterator[str]:
    yield _cells(["Section", *SERIES, "podrunner's setting", "In a pod template", "What it does"])
    yield "|---" * (len(SERIES) + 4) + "|"
    for section in FREE_SECTIONS:
        effects = ["effect without a template"] + ["the template"] * (len(SERIES) - 1)
        place = section.in_template.replace("spec.containers[base]", "`base`").replace("spec.", "")
        yield _cells([f"`[{section.name}]`", *effects, f"`{section.setting}`", place, section.effect])


def _cells(cells: list[str]) -> str:
    return f"| {' | '.join(text.replace('|', chr(92) + '|') for text in cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
