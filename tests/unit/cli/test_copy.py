"""cp, without a cluster."""

from __future__ import annotations

import tarfile

import pytest
from podrunner.cli.copy import _check_python
from podrunner.errors import UsageError


def test_a_python_that_cannot_unpack_safely_says_which_one_can(monkeypatch) -> None:
    """Debian's Python 3.11.2 has no filters of tar members."""
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    with pytest.raises(UsageError, match=r"needs Python 3\.11\.4 or newer"):
        _check_python()
