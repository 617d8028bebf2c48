"""The reference of all settings, as Markdown, made from the code.

``python -m podrunner.config.reference`` prints the content of ``docs/reference/configuration.md``; a test compares.
What belongs here: the page's layout. Its facts are in the settings' docstrings.
"""

from __future__ import annotations

import inspect
import re
import sys
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from podrunner.config.airflow.settings import (
    AirflowSettings,
    DagsFromClaim,
    DagsFromGit,
    DagsFromHostPath,
    DagsInImage,
    LogsInEmptyDir,
    LogsOnClaim,
    LogsOnHostPath,
)
from podrunner.config.failure_policy import FailureRule, OnExitCodes, OnPodCondition
from podrunner.config.local import LocalSettings
from podrunner.config.model import RunnerConfig
from podrunner.config.policies import (
    LogSettings,
    PendingPolicy,
    RetrySettings,
    RunRetrySettings,
    TcpKeepalive,
    WatchSettings,
)
from podrunner.workload import Resources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

__all__ = ["attribute_texts", "reference_page"]

_SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("", RunnerConfig),
    ("local", LocalSettings),
    ("tcp_keepalive", TcpKeepalive),
    ("create_retry, retry", RetrySettings),
    ("run_retry", RunRetrySettings),
    ("pending", PendingPolicy),
    ("failure_policy[]", FailureRule),
    ("failure_policy[].on_exit_codes", OnExitCodes),
    ("failure_policy[].on_pod_conditions[]", OnPodCondition),
    ("watch", WatchSettings),
    ("logs", LogSettings),
    ("resources", Resources),
    ("airflow", AirflowSettings),
    ('airflow.dags, kind = "image"', DagsInImage),
    ('airflow.dags, kind = "claim"', DagsFromClaim),
    ('airflow.dags, kind = "host-path"', DagsFromHostPath),
    ('airflow.dags, kind = "git"', DagsFromGit),
    ('airflow.logs, kind = "empty-dir"', LogsInEmptyDir),
    ('airflow.logs, kind = "claim"', LogsOnClaim),
    ('airflow.logs, kind = "host-path"', LogsOnHostPath),
)

_HEAD = """\
# Configuration

<!-- Made from the code by `python -m podrunner.config.reference`; a test compares. -->

A `RunnerConfig` comes from Python, from podrunner's own TOML, YAML or JSON file, from an `airflow.cfg`, or from
variables. `podrunner config check FILE` reads a file and reports what is wrong or odd in it.

Precedence, strongest first: what the caller sets (`overrides=`, options of the command line), `PODRUNNER_*`
variables, `AIRFLOW__SECTION__KEY` variables (beside an `airflow.cfg` only), the file, the defaults.

A variable's name is the setting's in capitals, with `__` between parts: `PODRUNNER_NAMESPACE`,
`PODRUNNER_WATCH__PAGE_SIZE`, `PODRUNNER_ENV__HTTP_PROXY`. Lists may be written with commas; mappings and lists of
mappings are JSON; an empty text means none.
"""

_TOML_EXAMPLE = """\
```toml
namespace = "jobs"
image = "registry.example.com/worker:7"
max_creates_in_flight = 50

[secret_env]
DATABASE_URL = "database=url"      # secret = key

[pending]
image_grace_s = 120

[watch]
page_size = 1000
```
"""

_AIRFLOW = """\
## Options of Airflow

[Options of Airflow](airflow-options.md) lists each option of an `airflow.cfg`, the setting that it becomes, and the
versions in which it has an effect.
"""


def reference_page() -> str:
    """Return the whole page."""
    return "\n".join([_HEAD, _TOML_EXAMPLE, *_setting_sections(), _AIRFLOW])


def attribute_texts(model: type[BaseModel]) -> dict[str, str]:
    """Return the text of each attribute in a class's docstring, on one line each."""
    _, _, listed = inspect.cleandoc(model.__doc__ or "").partition("Attributes:\n")
    entries = re.split(r"\n? {4}(?=\w+: )", listed)
    named = (entry.partition(": ") for entry in entries if entry.strip())
    return {name: " ".join(text.split()) for name, _, text in named}


def _setting_sections() -> Iterator[str]:
    yield "## Settings"
    for title, model in _SECTIONS:
        yield ""
        if title:
            yield f"### `{title}`\n\n{_summary(model)}\n"
        if rows := list(_rows(model)):
            yield "| Setting | Default | Meaning |\n|---|---|---|"
            yield from rows
    yield ""


def _summary(model: type[BaseModel]) -> str:
    text = inspect.cleandoc(model.__doc__ or "").partition("Attributes:")[0]
    return _as_markdown(" ".join(text.split()))


def _rows(model: type[BaseModel]) -> Iterator[str]:
    texts = attribute_texts(model)
    if undescribed := [name for name in model.model_fields if name not in {*texts, "kind"}]:
        raise LookupError(f"the docstring of {model.__name__} has no text for {', '.join(undescribed)}")
    for name, field in model.model_fields.items():
        if name != "kind":
            yield f"| `{name}` | {_default(field)} | {_as_markdown(texts[name])} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "(required)"
    if field.default_factory_takes_validated_data:
        return "(derived)"
    return _shown(field.get_default(call_default_factory=True))


def _shown(value: Any) -> str:
    if isinstance(value, BaseModel):
        return f'kind = "{value.kind}"' if "kind" in type(value).model_fields else "(below)"  # type: ignore[attr-defined]
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value) or "none"
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value in (None, {}, "") else f"`{value}`"


def _as_markdown(text: str) -> str:
    plain = re.sub(r":\w+:`~?(?:\w+\.)*(\w+)`", r"`\1`", text).replace("``", "`")
    return plain.replace("|", "\\|").replace("<", "&lt;") if "`" not in plain else plain.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference_page())
