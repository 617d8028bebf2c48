"""What ``podrunner local up`` tells its user."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from podrunner.cli.local import _images, _say_how


def test_the_shown_commands_work_with_any_path(capsys) -> None:
    _say_how("https://127.0.0.1:1", Path("/my files/[red]config"))
    said = capsys.readouterr().out
    assert "export KUBECONFIG='/my files/[red]config'\n" in said
    assert "--kubeconfig '/my files/[red]config'." in said


def test_images_are_names_and_folders(tmp_path):
    (tmp_path / "a=b").mkdir()
    given = [f"worker={tmp_path}", "worker=.", f"ghcr.io/x/y:1={tmp_path / 'a=b'}"]
    assert _images(given) == {"worker": [tmp_path, Path()], "ghcr.io/x/y:1": [tmp_path / "a=b"]}


@pytest.mark.parametrize("given", ["worker", "=.", "worker=", "worker=/no/such/folder"])
def test_an_image_that_is_none_is_refused(given):
    with pytest.raises(typer.BadParameter, match=r"NAME=DIR|no folder"):
        _images([given])
