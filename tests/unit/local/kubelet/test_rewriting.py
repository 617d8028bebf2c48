"""Mount paths in commands and variables, where there are no mount namespaces."""

from __future__ import annotations

import pytest
from podrunner.local.kubelet.rewriting import rewriter


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/root/airflow/dags", "/real/d"),
        ("/root/airflow/dags/", "/real/d/"),
        ("/root/airflow/dags/x.py", "/real/d/x.py"),
        ("ls /root/airflow/dags; cat '/root/airflow/dags/a'", "ls /real/d; cat '/real/d/a'"),
        ("--dags=/root/airflow/dags:/other", "--dags=/real/d:/other"),
        ("/root/airflow/dags2", "/root/airflow/dags2"),
        ("/root/airflow/dags-old", "/root/airflow/dags-old"),
        ("/root/airflow/dags.bak", "/root/airflow/dags.bak"),
        ("in /root/airflow/dags.", "in /real/d."),
        ("/srv/root/airflow/dags", "/srv/root/airflow/dags"),
        ("/root/airflow/airflow.cfg", "/real/cfg"),
        ("/root/airflow", "/root/airflow"),
    ],
)
def test_only_whole_paths_are_replaced(text, expected):
    rewrite = rewriter([("/root/airflow/dags", "/real/d"), ("/root/airflow/airflow.cfg", "/real/cfg")])
    assert rewrite(text) == expected


def test_the_longest_mount_path_wins():
    rewrite = rewriter([("/a", "/real/a"), ("/a/b/", "/real/b")])
    assert rewrite("/a/x /a/b/x") == "/real/a/x /real/b/x"


def test_without_mounts_nothing_changes():
    assert rewriter([])("/a") == "/a"
    assert rewriter([("/", "/real")])("/a") == "/a"
