"""The ports of ``podrunner port-forward``, as they are written."""

from __future__ import annotations

import pytest
from podrunner.cli.ports import PortPair, read_pairs
from podrunner.errors import UsageError


@pytest.mark.parametrize(
    ("word", "pair"),
    [
        ("8080:80", PortPair(8080, 80)),
        ("80", PortPair(80, 80)),
        ("0:80", PortPair(0, 80)),
        (":80", PortPair(0, 80)),
        ("65535:65535", PortPair(65535, 65535)),
    ],
)
def test_the_forms_of_a_pair(word, pair) -> None:
    assert read_pairs([word]) == [pair]


@pytest.mark.parametrize(
    "word", ["", ":", "80:", "0", "80:0", "a:80", "80:a", "1:2:3", "65536", "-1:80", "٨٠"]
)
def test_anything_else_is_refused_by_its_name(word) -> None:
    with pytest.raises(UsageError, match="LOCAL:REMOTE"):
        read_pairs([word])


def test_a_port_of_this_machine_leads_to_one_port_only() -> None:
    assert len(read_pairs(["0:80", "0:80"])) == 2
    with pytest.raises(UsageError, match="8080"):
        read_pairs(["8080:80", "8080:81"])
