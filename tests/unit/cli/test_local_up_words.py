"""What ``podrunner local up`` tells its user."""

from __future__ import annotations

from pathlib import Path

from podrunner.cli.local import _say_how


def test_the_shown_commands_work_with_any_path(capsys) -> None:
    _say_how("https://127.0.0.1:1", Path("/my files/[red]config"))
    said = capsys.readouterr().out
    assert "export KUBECONFIG='/my files/[red]config'\n" in said
    assert "--kubeconfig '/my files/[red]config'." in said
