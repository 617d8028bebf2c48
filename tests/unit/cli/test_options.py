"""The options that choose a cluster."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from podrunner.cli.options import on_cluster
from podrunner.config import RunnerConfig


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="Linux has files in memory")
def test_a_kubeconfig_from_a_pipe_can_be_read_again(tmp_path) -> None:
    """``--kubeconfig <(sops -d config)``: it is read for the namespace, and for the connection."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("kind: Config",))
    writer.start()
    chosen = on_cluster(RunnerConfig(), kubeconfig=pipe).kubeconfig
    writer.join()
    assert chosen is not None
    assert [chosen.read_text(), chosen.read_text()] == ["kind: Config"] * 2
    os.close(int(chosen.name))


def test_a_file_is_taken_as_it_is_named(tmp_path) -> None:
    """So that it is named in errors, and paths in it start at its folder."""
    for path in (tmp_path / "there", tmp_path / "gone", Path("a\0b")):
        if path.name == "there":
            path.write_text("kind: Config")
        assert on_cluster(RunnerConfig(), kubeconfig=path).kubeconfig == path
