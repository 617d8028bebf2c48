"""The page of Airflow's options is complete, and as the table has them."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from podrunner.config.airflow.options import FREE_SECTIONS, OPTIONS

ROOT = Path(__file__).parents[3]
DRAWN = runpy.run_path(str(ROOT / "docs" / "airflow_options.py"))
PAGE = DRAWN["page"]()
ROWS = {row.split("`")[1]: row for row in PAGE.splitlines() if row.startswith("| `")}


def test_the_page_matches_the_table():
    """If not: ``python docs/airflow_options.py``."""
    assert (ROOT / "docs" / "reference" / "airflow-options.md").read_text(encoding="utf-8") == PAGE


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.key)
def test_every_option_is_on_the_page(option):
    assert option.effect in ROWS[option.key]


def test_every_free_section_is_on_the_page():
    assert {f"[{section.name}]" for section in FREE_SECTIONS} <= {*ROWS}


def test_every_row_has_the_cells_of_its_head():
    for table in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(widths) == 1


@pytest.mark.parametrize(
    ("key", "cells"),
    [
        ("dags_volume_claim", ["effect without a template", "the template", "the template", "the template"]),
        (
            "git_sync_rev",
            ["effect without a template from 1.10.7", "the template", "the template", "the template"],
        ),
        ("sql_alchemy_conn", ["effect without a template", "the worker", "the worker", "the worker"]),
        ("pod_template_file", ["effect from 1.10.11", "effect", "effect", "effect"]),
        ("verify_ssl", ["not yet", "effect from 2.1.0", "effect", "effect"]),
        ("worker_pods_pending_timeout", ["not yet", "effect from 2.1.0", "effect", "removed"]),
        (
            "worker_pods_pending_timeout_batch_size",
            ["not yet", "no effect from 2.1.0", "no effect up to 2.5", "removed"],
        ),
        ("async_pod_creation", ["not yet", "not yet", "no effect from 2.11", "no effect"]),
        ("kubernetes_queue", ["not yet", "reported", "reported", "removed"]),
        ("jwt_secret", ["not yet", "not yet", "not yet", "Airflow"]),
    ],
)
def test_the_cells_of_an_option(key, cells):
    assert [cell.strip() for cell in ROWS[key].split("|")[2:6]] == cells
