"""Any text of a file or a variable gives a configuration or a ConfigError, nothing else."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from podrunner.config import LoadedConfig, RunnerConfig, load_airflow_cfg, load_file
from podrunner.config.airflow.options import FREE_SECTIONS, KUBERNETES_SECTIONS, OPTIONS
from podrunner.errors import ConfigError

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
values = st.one_of(
    text,
    st.sampled_from(
        ["True", "False", "1", "-1", "[]", "{}", "[1]", '{"a": 1}', "/a", "a=b", "%(x)s", "$HOME", "~"]
    ),
    st.sampled_from(
        ['{"_request_timeout": [1, 2]}', '{"total": "x", "backoff_factor": []}', '{"total": true}']
    ),
)
sections = st.sampled_from(
    [*KUBERNETES_SECTIONS, *(s.name for s in FREE_SECTIONS), "core", "logging", "database"]
)
keys = st.sampled_from([option.key for option in OPTIONS])
variables = st.builds(lambda s, k: f"AIRFLOW__{s.upper()}__{k.upper()}", sections, keys)
ours = st.sampled_from(
    [f"PODRUNNER_{name.upper()}" for name in RunnerConfig.model_fields]
    + [
        "PODRUNNER_WATCH__PAGE_SIZE",
        "PODRUNNER_AIRFLOW__DAGS__KIND",
        "PODRUNNER_ENV__A",
        "PODRUNNER_X",
        "PODRUNNER_",
    ]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("any")


def tried(load) -> LoadedConfig | None:
    with contextlib.suppress(ConfigError):
        return load()
    return None


@given(
    text=st.one_of(text, st.text("[]=\n %:;#kubernetes", max_size=60)),
    suffix=st.sampled_from(["cfg", "toml", "yaml", "json", "x"]),
)
def test_any_file(folder, text, suffix):
    path = folder / f"any.{suffix}"
    path.write_text(text, encoding="utf-8")
    tried(lambda: load_file(path, environ={}))


@settings(max_examples=3 * settings().max_examples)
@given(
    lines=st.dictionaries(keys, values, max_size=6), environ=st.dictionaries(variables, values, max_size=3)
)
@example(lines={"kube_client_request_args": "[]"}, environ={})
def test_any_value_of_an_option(folder, lines, environ):
    path = folder / "airflow.cfg"
    body = "".join(f"{key} = {value}\n" for key, value in lines.items())
    path.write_text(f"[kubernetes]\n{body}", encoding="utf-8")
    tried(lambda: load_airflow_cfg(path, environ={"HOME": "/h", **environ}))


@given(environ=st.dictionaries(ours, values, max_size=3))
def test_any_variable(environ):
    tried(lambda: RunnerConfig.from_environ(environ=environ))


@given(
    values=st.dictionaries(
        st.sampled_from([*RunnerConfig.model_fields]),
        st.recursive(
            text | st.none() | st.integers() | st.booleans(),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(text, inner, max_size=2),
            max_leaves=4,
        ),
        max_size=3,
    )
)
def test_any_argument(values):
    tried(lambda: RunnerConfig(**values))
