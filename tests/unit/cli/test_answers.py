"""K4: parts of an answer of another program than Kubernetes."""

from __future__ import annotations

import pytest
from podrunner.cli.answers import part_of
from podrunner.cli.doctor import checks


@pytest.mark.parametrize("answer", [{}, {"status": None}, {"status": 7}, {"status": "ü"}, {"status": [{}]}])
def test_what_is_no_object_is_an_empty_part(answer):
    assert part_of(answer, "status") == {}
    assert checks.identity(answer, credentials_of="user u").level == "ok"


def test_an_object_is_a_part():
    assert part_of({"status": {"phase": "Running"}}, "status") == {"phase": "Running"}
