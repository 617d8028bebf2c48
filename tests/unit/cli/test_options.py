"""The options that choose a cluster."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from podrunner.cli.options import on_cluster
from podrunner.config import RunnerConfig
from podrunner.kube.kubeconfig import kubeconfig_paths


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


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="Linux has files in memory")
@pytest.mark.parametrize("context", [None, "dev"])
def test_a_pipe_that_kubeconfig_lists_can_be_read_again(tmp_path, monkeypatch, context) -> None:
    """``KUBECONFIG=<(sops -d config)``; the other files of the list, and their order, stay."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setenv("KUBECONFIG", f"/gone{os.pathsep}{pipe}")
    writer = threading.Thread(target=pipe.write_text, args=("kind: Config",))
    writer.start()
    on_cluster(RunnerConfig(), context=context)
    writer.join()
    first, second = kubeconfig_paths(None, os.environ)
    assert first == Path("/gone")
    assert [second.read_text(), second.read_text()] == ["kind: Config"] * 2
    os.close(int(second.name))


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="Linux has files in memory")
def test_a_pipe_that_the_configuration_names_can_be_read_again(tmp_path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("kind: Config",))
    writer.start()
    chosen = on_cluster(RunnerConfig(kubeconfig=pipe)).kubeconfig
    writer.join()
    assert chosen is not None
    assert [chosen.read_text(), chosen.read_text()] == ["kind: Config"] * 2
    os.close(int(chosen.name))


def test_no_pipe_is_read_that_is_not_asked_for(tmp_path, monkeypatch) -> None:
    """Nobody writes into this one: reading it would not end."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setenv("KUBECONFIG", str(pipe))
    on_cluster(RunnerConfig(), local=True)
    on_cluster(RunnerConfig(cluster="in-cluster"))
    assert on_cluster(RunnerConfig(), kubeconfig=tmp_path / "file").kubeconfig == tmp_path / "file"


def test_a_file_is_taken_as_it_is_named(tmp_path) -> None:
    """So that it is named in errors, and paths in it start at its folder."""
    for path in (tmp_path / "there", tmp_path / "gone", Path("a\0b")):
        if path.name == "there":
            path.write_text("kind: Config")
        assert on_cluster(RunnerConfig(), kubeconfig=path).kubeconfig == path
