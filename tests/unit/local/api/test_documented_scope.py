"""docs/reference/local-cluster.md lists the subresources of pods that are served, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from podrunner.local.api.resources import BY_PATH

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "local-cluster.md"


def test_the_page_lists_the_subresources_that_are_served():
    listed = re.search(r"\*\*Kinds\.\*\* Pods \(with ([^)]+)\)", PAGE.read_text())
    served = {each.name for each in BY_PATH["", "v1", "pods"].subresources}
    assert set(re.split(r",\s+", listed[1])) == served
