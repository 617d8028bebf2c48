"""Building is pure: the same bytes each time, arguments unchanged, nothing mutable shared with the caller."""

import copy
import json
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st
from podrunner.builder import PodBuilder, build_pod
from podrunner.config import AirflowSettings, DagsFromClaim, RunnerConfig
from podrunner.workload import Workload

NAMES = st.sampled_from(["a", "b", "c"])
TEXT = st.text(max_size=5)
CONFIGS = st.builds(
    RunnerConfig,
    image=st.just("i"),
    env=st.dictionaries(NAMES, TEXT, max_size=3),
    labels=st.dictionaries(NAMES, NAMES, max_size=2),
    affinity=st.just({"nodeAffinity": {"x": [{}]}}),
    tolerations=st.lists(st.fixed_dictionaries({"key": NAMES}), max_size=2),
    volumes=st.lists(st.fixed_dictionaries({"name": NAMES}), max_size=2, unique_by=str),
    sidecars=st.lists(st.fixed_dictionaries({"name": NAMES}), max_size=2, unique_by=str),
    airflow=st.none() | st.just(AirflowSettings(dags=DagsFromClaim(claim="c"), sql_alchemy_conn="secret")),
)
WORKLOADS = st.builds(
    Workload,
    key=st.dictionaries(TEXT, TEXT, min_size=1, max_size=2),
    command=st.none() | st.just(["date"]),
    env=st.dictionaries(st.text("AZ az_.!", min_size=1, max_size=4), TEXT, max_size=3),
    labels=st.dictionaries(NAMES, TEXT, max_size=2),
    annotations=st.dictionaries(NAMES, TEXT, max_size=2),
    affinity=st.just({}) | st.just({"podAffinity": {"y": [{}]}}),
    volumes=st.lists(st.fixed_dictionaries({"name": NAMES, "x": st.just({})}), max_size=2, unique_by=str),
    overrides=st.just({}) | st.just({"spec": {"hostname": "h", "volumes": [{"name": "a", "emptyDir": {}}]}}),
)


@given(CONFIGS, WORKLOADS)
def test_the_same_input_gives_the_same_bytes(config, workload):
    assert json.dumps(build_pod(config, workload)) == json.dumps(build_pod(config, workload))


@given(CONFIGS, st.lists(WORKLOADS, min_size=2, max_size=4))
def test_one_builder_builds_as_many_do(config, workloads):
    builder = PodBuilder(config)
    for workload in workloads:
        assert json.dumps(builder.build(workload).manifest) == json.dumps(build_pod(config, workload))


@given(CONFIGS, WORKLOADS)
def test_the_manifest_of_build_pod_may_be_changed(config, workload):
    before = copy.deepcopy((config.model_dump(), workload.model_dump()))
    fresh = build_pod(config, workload)
    scribble(build_pod(config, workload))
    assert build_pod(config, workload) == fresh
    assert (config.model_dump(), workload.model_dump()) == before


def scribble(value):
    for member in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        scribble(member)
    if isinstance(value, dict | list):
        value.clear()


@given(CONFIGS, WORKLOADS)
def test_a_manifest_is_plain_json(config, workload):
    manifest = build_pod(config, workload)
    assert json.loads(json.dumps(manifest)) == manifest


PROGRAM = """
import json, podrunner.builder, podrunner.config, podrunner.workload
workload = podrunner.workload.Workload(
    key={"b": "1", "a": "2"}, command=["x"], env={"A": "1", "B": "2"}, labels={"l": "m"}, run_as_user=1,
    fs_group=2, image="i", tolerations=[{"key": "k"}], node_selector={"n": "s"}, working_dir="/w",
)
print(json.dumps(podrunner.builder.build_pod(podrunner.config.RunnerConfig(), workload)))
"""


def test_the_bytes_do_not_depend_on_the_process():
    """The order of Python's sets differs from process to process; that of a manifest must not."""
    runs = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1
