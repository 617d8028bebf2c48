"""After a test that restarted the API server, the node is in a known state: the fixture ``node`` sees to it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from node import CLIENTS

pytestmark = [pytest.mark.disturbing, pytest.mark.timeout(600)]


def pids(node) -> dict[str, int]:
    return {name: node.pid(name) for name in ("kube-apiserver", *CLIENTS)}


def changed(before: dict[str, int], after: dict[str, int]) -> set[str]:
    return {name for name, pid in before.items() if after[name] != pid}


def test_only_clients_of_an_earlier_server_are_restarted(node):
    """Their back-off grows with each interruption, up to a minute; a new process lists at once."""
    node.restart_api()
    interrupted = pids(node)
    node.settle()
    settled = pids(node)
    assert changed(interrupted, settled) == set(CLIENTS)
    node.settle()
    assert changed(settled, pids(node)) == set()


def test_the_server_gets_its_usual_flags_back(node):
    """A test that failed may have left others."""
    usual = command(node)
    node.restart_api("--watch-cache=false")
    assert command(node) != usual
    node.settle()
    assert command(node) == usual


def command(node) -> bytes:
    return Path(f"/proc/{node.pid('kube-apiserver')}/cmdline").read_bytes()
