"""A task's ``pod_override`` is merged as Airflow's provider does it, which is not as kubectl does it."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes_asyncio import client
from podrunner.builder import build_plan, build_pod
from podrunner.builder.pod_override import reconciled
from podrunner.config import AirflowSettings, RunnerConfig
from podrunner.errors import SpecError
from podrunner.workload import Workload


def pod(containers=None, metadata=None, **spec):
    return {"metadata": metadata or {}, "spec": {"containers": containers or [{"name": "base"}], **spec}}


def main(**fields):
    return [{"name": "base", **fields}]


def var(name, value="x"):
    return {"name": name, "value": value}


APPENDED = {
    "env": (var("A"), var("B")),
    "envFrom": ({"secretRef": {"name": "a"}}, {"secretRef": {"name": "b"}}),
    "ports": ({"containerPort": 1}, {"containerPort": 2}),
    "volumeMounts": ({"name": "a", "mountPath": "/a"}, {"name": "b", "mountPath": "/b"}),
    "volumeDevices": ({"name": "a", "devicePath": "/a"}, {"name": "b", "devicePath": "/b"}),
}


@pytest.mark.parametrize("field", APPENDED)
def test_the_lists_of_a_container_are_appended(field):
    """F2: kubectl's merge puts new elements first."""
    ours, theirs = APPENDED[field]
    merged = reconciled(pod(main(**{field: [ours]})), pod(main(**{field: [theirs]})))
    assert merged["spec"]["containers"] == main(**{field: [ours, theirs]})


@pytest.mark.parametrize(
    ("base", "task", "merged"),
    [
        (
            pod(volumes=[{"name": "a"}]),
            pod(volumes=[{"name": "b"}]),
            pod(volumes=[{"name": "a"}, {"name": "b"}]),
        ),
        (pod(volumes=[{"name": "a"}]), pod(), pod(volumes=[{"name": "a"}])),
        (pod(), pod(volumes=[{"name": "b"}]), pod(volumes=[{"name": "b"}])),
        (pod(volumes=[{"name": "a"}]), pod(volumes=[]), pod(volumes=[{"name": "a"}])),
        (pod(tolerations=[{"key": "a"}]), pod(tolerations=[{"key": "b"}]), pod(tolerations=[{"key": "b"}])),
        (pod(nodeSelector={"a": "1"}), pod(nodeSelector={"b": "2"}), pod(nodeSelector={"b": "2"})),
        (pod(nodeSelector={"a": "1"}), pod(nodeSelector={}), pod(nodeSelector={"a": "1"})),
        (pod(affinity={"podAffinity": {}}), pod(affinity={}), pod(affinity={})),
        (
            pod(securityContext={"fsGroup": 1}),
            pod(securityContext={"runAsUser": 2}),
            pod(securityContext={"runAsUser": 2}),
        ),
        (pod(hostNetwork=True), pod(hostNetwork=False), pod(hostNetwork=True)),
        (pod(), pod(hostNetwork=False), pod(hostNetwork=False)),
        (pod(priority=5), pod(priority=0), pod(priority=5)),
        (pod(hostname="a"), pod(hostname=""), pod(hostname="a")),
        (pod(main(args=["a"])), pod(main(args=["b"])), pod(main(args=["b"]))),
        (pod(main(args=["a"])), pod(main(args=[])), pod(main(args=["a"]))),
        (
            pod(main(resources={"requests": {"cpu": "1"}})),
            pod(main(resources={"limits": {"cpu": "2"}})),
            pod(main(resources={"limits": {"cpu": "2"}})),
        ),
        (pod(main(tty=True)), pod(main(tty=False)), pod(main(tty=True))),
    ],
)
def test_any_other_field_is_replaced_as_a_whole_unless_it_says_nothing(base, task, merged):
    """F2: empty, 0 and false keep what is there; an object of the API counts though it is empty."""
    result = reconciled(base, task)
    expected = {**merged["spec"], "initContainers": []}
    assert {"initContainers": [], **result["spec"]} == expected


def test_containers_are_matched_by_position_and_take_the_tasks_name():
    """F2."""
    base = [{"name": "base", "image": "a", "tty": True}, {"name": "proxy", "image": "p"}]
    task = [{"name": "mine", "image": "b"}, {"name": "other", "stdin": True}, {"name": "third"}]
    assert reconciled(pod(base), pod(task))["spec"]["containers"] == [
        {"name": "mine", "image": "b", "tty": True},
        {"name": "other", "image": "p", "stdin": True},
        {"name": "third"},
    ]
    assert reconciled(pod(base), pod([{"name": "base"}]))["spec"]["containers"] == base
    assert reconciled(pod(base), {"spec": {"containers": []}})["spec"]["containers"] == base


def test_init_containers_are_matched_by_name_and_others_appended():
    """F2."""
    base = [{"name": "a", "image": "a", "env": [var("A")]}, {"name": "b"}]
    task = [{"name": "c"}, {"name": "a", "image": "z", "env": [var("B")]}]
    merged = reconciled(pod(initContainers=base), pod(initContainers=task))
    assert merged["spec"]["initContainers"] == [
        {"name": "a", "image": "z", "env": [var("A"), var("B")]},
        {"name": "b"},
        {"name": "c"},
    ]
    assert reconciled(pod(), pod(initContainers=task))["spec"]["initContainers"] == task


def test_labels_and_annotations_are_joined_and_the_rest_of_the_metadata_replaced():
    """F2."""
    base = {"labels": {"a": "1", "b": "1"}, "annotations": {"a": "1"}, "finalizers": ["x/a"]}
    task = {"labels": {"b": "2"}, "annotations": {"b": "2"}, "finalizers": ["x/b"]}
    assert reconciled(pod(metadata=base), pod(metadata=task))["metadata"] == {
        "labels": {"a": "1", "b": "2"},
        "annotations": {"a": "1", "b": "2"},
        "finalizers": ["x/b"],
    }


NAMES = st.sampled_from("abc")
VARIABLES = st.lists(st.builds(var, NAMES, st.sampled_from(["1", "$(a)", "$(b)"])), max_size=4)
PODS = st.builds(
    lambda containers, volumes, tolerations: pod(containers, volumes=volumes, tolerations=tolerations),
    st.lists(
        st.builds(lambda name, env: {"name": name, "env": env}, NAMES, VARIABLES), min_size=1, max_size=3
    ),
    st.lists(st.fixed_dictionaries({"name": NAMES}), max_size=2),
    st.lists(st.fixed_dictionaries({"key": NAMES}), max_size=2),
)


@given(PODS, PODS)
def test_nothing_of_either_is_lost_and_references_keep_their_meaning(base, task):
    """F2: what stood before a variable stands before it still, so ``$(NAME)`` in it is replaced by the same."""
    before = copy.deepcopy((base, task))
    merged = reconciled(base, task)
    assert (base, task) == before
    lists = [base["spec"]["containers"], task["spec"]["containers"], merged["spec"]["containers"]]
    for index, container in enumerate(lists[2]):
        ours, theirs = (found[index]["env"] if index < len(found) else [] for found in lists[:2])
        assert container["env"] == [*ours, *theirs]
    assert merged["spec"]["volumes"] == [*base["spec"]["volumes"], *task["spec"]["volumes"]]
    assert merged["spec"]["tolerations"] == (task["spec"]["tolerations"] or base["spec"]["tolerations"])


# In a workload's pod

AIRFLOW = RunnerConfig(
    airflow=AirflowSettings(version="2.9.2"),
    pod_template=pod(
        [{"name": "proxy", "image": "p"}, {"name": "base", "image": "i", "env": [var("HOME", "/h")]}]
    ),
)


def built(override, config=AIRFLOW, **fields):
    return build_plan(config, Workload(key={"a": "b"}, pod_override=override, **fields))


def names(plan):
    return [container["name"] for container in plan.manifest["spec"]["containers"]]


def test_a_variable_of_the_override_may_refer_to_the_templates(look):
    """F2: ``$(HOME)`` resolves, as the template's variables stand before the override's."""
    plan = built(pod(main(env=[var("DATA", "$(HOME)/data")])), env={"MARK": "1"})
    assert look.main(plan.manifest)["env"] == [
        var("HOME", "/h"),
        var("MARK", "1"),
        var("DATA", "$(HOME)/data"),
    ]


def test_the_main_container_counts_as_the_first_one():
    plan = built(pod(main(image="own")))
    assert names(plan) == ["base", "proxy"]
    assert plan.manifest["spec"]["containers"][0]["image"] == "own"
    assert plan.manifest["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] == "base"


def test_a_name_of_the_override_becomes_the_main_containers():
    plan = built(pod([{"name": "mine"}]), result_path="/result/json")
    assert names(plan) == ["mine", "proxy", "podrunner-result"]
    assert plan.main_container == "mine"
    assert plan.manifest["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] == "mine"


def test_podrunners_own_container_is_not_matched_by_position():
    plan = built(
        pod([{"name": "base"}, {"name": "proxy", "image": "q"}, {"name": "more"}]), result_path="/r/json"
    )
    assert names(plan) == ["base", "proxy", "more", "podrunner-result"]


def test_overrides_come_after_the_override_of_the_task(look):
    plan = built(
        pod(main(image="task", env=[var("A", "task")])),
        image="workload",
        overrides=pod(main(env=[var("A", "last")])),
    )
    assert look.main(plan.manifest)["image"] == "task"
    assert look.env(plan.manifest)["A"] == "last"


def test_the_identity_wins_over_the_override():
    metadata = {"labels": {"dag_id": "x", "team": "y"}, "annotations": {"dag_id": "x"}, "name": "x"}
    task = Workload.airflow(
        dag_id="d", task_id="t", run_id="r", executor_config={"pod_override": {"metadata": metadata}}
    )
    plan = build_plan(AIRFLOW, task)
    assert (
        plan.manifest["metadata"]["labels"]["dag_id"]
        == plan.manifest["metadata"]["annotations"]["dag_id"]
        == "d"
    )
    assert plan.manifest["metadata"]["labels"]["team"] == "y"
    assert plan.name.startswith("d-t-")
    assert plan.warnings == ("pod_override.metadata.name has no effect: podrunner names pods",)


@pytest.mark.parametrize(
    ("override", "field"),
    [
        ({"spec": []}, "pod_override.spec"),
        (pod([{"image": "i"}]), "pod_override.spec.containers[0]"),
        (pod(main(env={"A": "1"})), "pod_override.spec.containers[base].env"),
        (pod(volumes="v"), "pod_override.spec.volumes"),
    ],
)
def test_an_override_without_a_pods_shape_is_refused_with_the_place(override, field):
    with pytest.raises(SpecError) as caught:
        built(override)
    assert caught.value.field == field


def test_a_name_that_stands_twice_after_appending_is_refused_at_the_override():
    """F2: Airflow appends, and the API server refuses the pod."""
    volumes = [{"name": "data", "emptyDir": {}}]
    config = AIRFLOW.with_changes(pod_template=pod(main(image="i"), volumes=volumes))
    with pytest.raises(SpecError) as caught:
        built(pod(volumes=volumes), config)
    assert caught.value.field == "pod_override.spec.volumes[data].name"


def test_a_field_that_no_pod_has_is_refused_at_the_override():
    with pytest.raises(SpecError) as caught:
        built({"spec": {"restartPolcy": "Never"}})
    assert caught.value.field == "pod_override.spec.restartPolcy"


def test_a_model_of_the_client_counts_as_its_manifest(look):
    """F2: a V1Pod, as Airflow's tasks have it; a model without content replaces what is there, as in Airflow."""
    container = client.V1Container(
        name="base", image_pull_policy="Always", env=[client.V1EnvVar(name="A", value="1")], tty=False
    )
    spec = client.V1PodSpec(containers=[container], security_context=client.V1PodSecurityContext())
    template = pod(main(image="i", tty=True, env=[var("B")]), securityContext={"fsGroup": 1})
    config = AIRFLOW.with_changes(pod_template=template)
    task = Workload.airflow(
        dag_id="d", task_id="t", run_id="r", executor_config={"pod_override": client.V1Pod(spec=spec)}
    )
    found = look.main(build_pod(config, task))
    assert (found["imagePullPolicy"], found["tty"], found["image"]) == ("Always", True, "i")
    assert [variable["name"] for variable in found["env"]] == ["B", "AIRFLOW_IS_K8S_EXECUTOR_POD", "A"]
    assert build_pod(config, task)["spec"]["securityContext"] == {}


def test_a_builders_pods_share_nothing_with_the_override():
    override = pod(main(env=[var("A")]))
    before = json.dumps(override)
    plan = built(override)
    plan.manifest["spec"]["containers"][0]["env"].append(var("B"))
    assert json.dumps(override) == before
