"""The defaults of nested settings, which are made without a check."""

from __future__ import annotations

import pytest
from podrunner import AirflowSettings, RunnerConfig
from podrunner.config.frozen import Settings


@pytest.mark.parametrize("owner", [RunnerConfig, AirflowSettings])
def test_a_default_is_what_a_check_would_give(owner: type[Settings]):
    """``at_defaults`` passes over the checks: each default must be as its class makes it."""
    defaults = {
        name: field.default
        for name, field in owner.model_fields.items()
        if isinstance(field.default, Settings)
    }
    assert defaults, "some settings are nested"
    for name, default in defaults.items():
        made = type(default)()
        assert default == made, name
        assert repr(default) == repr(made), name
        assert default.model_fields_set == made.model_fields_set == set(), name
