"""Kubeconfigs and exec plugins of many kinds, with what kubectl and podrunner make of each.

``CASES`` is compared with both programs (``tests/contract/kubectl/test_access.py``), and is the table of
``docs/reference/access.md`` (``docs/access_table.py``).
"""

from __future__ import annotations

from tests.support.access import clusters, files, kinds, plugins, users
from tests.support.access.case import Case

GROUPS: dict[str, tuple[Case, ...]] = {
    "Kinds of clusters": tuple(kinds.cases()),
    "Files": tuple(files.cases()),
    "Clusters": tuple(clusters.cases()),
    "Users": tuple(users.cases()),
    "Exec plugins": tuple(plugins.cases()),
}
CASES = tuple(case for cases in GROUPS.values() for case in cases)
