"""Whether an option of Airflow has an effect, by version and template; and that the table's rows agree."""

from __future__ import annotations

import pytest
from podrunner.config.airflow.effects import Effect, Scope, effect_of
from podrunner.config.airflow.options import OPTIONS, is_in

BY_KEY = {option.key: option for option in OPTIONS}
VERSIONS = ["1.10.4", "1.10.15", "2.0.2", "2.4.3", "2.5.0", "2.11.2", "3.0.0", "3.3.2"]


@pytest.mark.parametrize(
    ("since", "until", "version", "expected"),
    [
        ("2.6.0", "", "2.5.3", False),
        ("2.6.0", "", "2.6.0", True),
        ("2.6.0", "", "2.10.1", True),
        ("2.6.0", "", "2", True),
        ("2.6.0", "", "1.10.15", False),
        ("1.10.11", "", "1.10.4", False),
        ("1.10.11", "", "1.10", True),
        ("1.10.4", "1.10", "1.10.15", True),
        ("1.10.4", "1.10", "2.0.0", False),
        ("2.1.0", "2.11", "2.11.2", True),
        ("2.1.0", "2.11", "3.0.0rc1", False),
        ("3.0.2", "", "3.0.0rc1", False),
        ("", "2.11", "1.10.4", True),
    ],
)
def test_a_version_is_in_a_range(since, until, version, expected):
    assert is_in(since, until, [version]) is expected


def test_one_of_several_versions_in_the_range_is_enough():
    assert is_in("3.0.0", "", ["1.10", "2", "3"])
    assert not is_in("3.0.0", "", ["1.10", "2"])


@pytest.mark.parametrize(
    ("key", "versions", "template", "effect"),
    [
        ("dags_volume_claim", ("1.10.15",), False, Effect.EFFECT),
        ("dags_volume_claim", ("1.10.15",), True, Effect.TEMPLATE),
        ("dags_volume_claim", ("2.9.2",), False, Effect.TEMPLATE),
        ("dags_volume_claim", ("2", "3"), False, Effect.TEMPLATE),
        ("dags_volume_claim", ("1.10", "2", "3"), False, Effect.EFFECT),
        ("dags_volume_claim", ("1.10", "2", "3"), True, Effect.TEMPLATE),
        ("sql_alchemy_conn", ("1.10",), False, Effect.EFFECT),
        ("sql_alchemy_conn", ("2.9.2",), False, Effect.WORKER),
        ("base_log_folder", ("3.0.0",), True, Effect.EFFECT),
        ("worker_container_tag", ("2.9.2",), True, Effect.EFFECT),
        ("verify_ssl", ("1.10.15",), False, Effect.ABSENT),
        ("worker_pods_pending_timeout", ("3.0.0",), False, Effect.ABSENT),
        ("async_pod_creation", ("3.3.2",), False, Effect.NO_EFFECT),
        ("executor", ("3.3.2",), False, Effect.REPORTED),
        ("remote_base_log_folder", ("2.9.2",), False, Effect.WORKER),
        ("jwt_secret", ("3.0.0",), False, Effect.AIRFLOW),
    ],
)
def test_the_effect_of_an_option(key, versions, template, effect):
    assert effect_of(BY_KEY[key], Scope(versions, template=template)) is effect


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.key)
def test_each_place_of_an_option_is_read_by_a_version_that_has_it(option):
    """What 2.0 removed may stand in the section that came later: the finding says that it has no effect."""
    for place in option.places if option.until != "1.10" else option.places[-1:]:
        assert any(option.is_in([version]) and place.is_read_by([version]) for version in VERSIONS)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.key)
def test_the_fields_of_an_option_agree(option):
    removed_for_the_template = option.until == "1.10"
    assert removed_for_the_template <= bool(option.in_template)
    assert bool(option.replaced_by) <= bool(option.until)
    assert option.reader == "launcher" or option.setting is None or option.in_template
    assert option.effect


@pytest.mark.parametrize(
    ("versions", "name"),
    [
        (("2.9.2",), "Airflow 2.9.2"),
        (("2", "3"), "Airflow 2 or 3"),
        (("1.10", "2", "3"), "Airflow"),
    ],
)
def test_the_name_of_versions_in_a_message(versions, name):
    assert Scope(versions).airflow == name
