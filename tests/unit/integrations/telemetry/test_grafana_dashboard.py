"""The dashboard in ``examples``: each query is of metrics that the adapter exports, and Grafana can load it."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from podrunner.integrations.prometheus import PrometheusHooks
from prometheus_client import CollectorRegistry

DASHBOARD = json.loads(
    (Path(__file__).parents[4] / "examples" / "grafana-dashboard.json").read_text(encoding="utf-8")
)
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
_BY_PROMETHEUS = {"job", "le"}


def exported() -> dict[str, set[str]]:
    """The time series' names that the adapter can have, each with its labels."""
    hooks = PrometheusHooks(CollectorRegistry())
    names: dict[str, set[str]] = {}
    for counter in vars(hooks).values():
        for metric in counter.values() if isinstance(counter, dict) else [counter]:
            if hasattr(metric, "_labelnames"):
                suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}[metric._type]
                names |= {f"{metric._name}{suffix}": {*metric._labelnames} for suffix in suffixes}
    for family in hooks.collect():
        suffix = "_total" if family.type == "counter" else ""
        names[f"{family.name}{suffix}"] = {*getattr(family, "_labelnames", ())}
    return names


def _labels(lists: list[str]) -> set[str]:
    return {label.strip() for text in lists for label in text.split(",")}


@pytest.mark.parametrize("query", [*QUERIES, DASHBOARD["templating"]["list"][1]["definition"]])
def test_a_query_is_of_metrics_and_labels_that_are_exported(query: str):
    known = exported()
    used = re.findall(r"\bpodrunner_\w+", query)
    assert used
    assert set(used) <= known.keys()
    grouped = re.findall(r"by \(([\w, ]+)\)", query)
    matched = re.findall(r'(\w+)(?:=~|!~|!=|=)"', query)
    assert _labels([*grouped, *matched]) <= known[used[0]] | _BY_PROMETHEUS


def test_what_a_legend_names_is_a_label_of_the_query():
    for target in (target for panel in PANELS for target in panel["targets"]):
        named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        grouped = {
            label.strip()
            for text in re.findall(r"by \(([\w, ]+)\)", target["expr"])
            for label in text.split(",")
        }
        assert named == grouped - {"le"}, target["expr"]


def test_each_metric_that_is_exported_but_the_rare_ones_is_shown():
    shown = {name for query in QUERIES for name in re.findall(r"\bpodrunner_\w+", query)}
    left_out = {name for name in exported() if name not in shown and not name.endswith(("_count", "_sum"))}
    assert left_out == {
        "podrunner_events_coalesced_total",
        "podrunner_events_waiting",
        "podrunner_log_bytes_total",
        "podrunner_runners_open",
        "podrunner_runs_active",
        "podrunner_watch_last_event_age_seconds",
        "podrunner_watch_skipped_total",
    }


def test_it_has_what_grafana_needs_to_load_it():
    """The fields of Grafana's dashboard model (docs: "JSON model"), with an identity of its own."""
    needed = {"title", "uid", "schemaVersion", "version", "panels", "templating", "time", "annotations"}
    assert needed <= DASHBOARD.keys()
    assert "id" not in DASHBOARD, "of one database: an import gives it"
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    assert {panel["type"] for panel in PANELS} <= {"timeseries", "stat"}
    for panel in PANELS:
        assert {"title", "gridPos", "datasource", "fieldConfig", "options", "targets"} <= panel.keys()
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == [chr(ord("A") + number) for number in range(len(letters))]


def test_its_data_source_is_chosen_by_the_reader():
    places = [*PANELS, *(target for panel in PANELS for target in panel["targets"])]
    assert {json.dumps(place["datasource"]) for place in places} == {
        json.dumps({"type": "prometheus", "uid": "${datasource}"})
    }
    names = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$(?!__)(\w+)|\$\{(\w+)\}", json.dumps(DASHBOARD)))
    assert {first or second for first, second in used} == names


def test_no_panel_lies_on_another():
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
    assert not [
        pair for pair in combinations(DASHBOARD["panels"], 2) if _overlap(*(it["gridPos"] for it in pair))
    ]


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
    down = one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]
    return across and down
