"""Messages as Kubernetes' components print them, each with the party at fault (``tests/unit/outcome/messages``)."""

from __future__ import annotations

from pathlib import Path

__all__ = ["messages"]

_FOLDER = Path(__file__).parents[1] / "unit" / "outcome" / "messages"


def messages(name: str) -> list[tuple[str, str]]:
    """Return fault and message of each line of a file."""
    lines = (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    parts = [line.partition(": ") for line in lines if line and not line.startswith("#")]
    return [(fault, message.replace("\\n", "\n")) for fault, _, message in parts]
