"""Precedence: template < configuration < workload < overrides < identity."""

import pytest
from podrunner.builder import build_plan, build_pod
from podrunner.config import AirflowSettings, RunnerConfig
from podrunner.errors import SpecError
from podrunner.workload import Resources, Workload

TEMPLATE = {
    "metadata": {"labels": {"who": "template"}, "annotations": {"who": "template", "only": "template"}},
    "spec": {
        "containers": [{"name": "base", "image": "template", "env": [{"name": "WHO", "value": "template"}]}],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "nodeSelector": {"who": "template"},
        "serviceAccountName": "template",
    },
}
CONFIG = {
    "labels": {"who": "config"},
    "annotations": {"who": "config"},
    "image": "config",
    "env": {"WHO": "config"},
    "volumes": [{"name": "v", "hostPath": {"path": "/config"}}],
    "node_selector": {"who": "config"},
    "service_account_name": "config",
}
WORKLOAD = {
    "labels": {"who": "workload"},
    "annotations": {"who": "workload"},
    "image": "workload",
    "env": {"WHO": "workload"},
    "volumes": [{"name": "v", "hostPath": {"path": "/workload"}}],
    "node_selector": {"who": "workload"},
    "service_account_name": "workload",
}
OVERRIDES = {
    "metadata": {"labels": {"who": "overrides"}, "annotations": {"who": "overrides"}},
    "spec": {
        "containers": [
            {"name": "base", "image": "overrides", "env": [{"name": "WHO", "value": "overrides"}]}
        ],
        "volumes": [{"name": "v", "hostPath": {"path": "/overrides"}}],
        "nodeSelector": {"who": "overrides"},
        "serviceAccountName": "overrides",
    },
}


def who(look, pod):
    return {
        pod["metadata"]["labels"]["who"],
        pod["metadata"]["annotations"]["who"],
        look.main(pod)["image"],
        look.env(pod)["WHO"],
        look.volumes(pod)["v"].get("hostPath", {"path": "/template"})["path"][1:],
        pod["spec"]["nodeSelector"]["who"],
        pod["spec"]["serviceAccountName"],
    }


@pytest.mark.parametrize(
    ("config", "workload", "winner"),
    [
        ({}, {}, "template"),
        (CONFIG, {}, "config"),
        (CONFIG, WORKLOAD, "workload"),
        ({}, WORKLOAD, "workload"),
        (CONFIG, {**WORKLOAD, "overrides": OVERRIDES}, "overrides"),
        ({}, {"overrides": OVERRIDES}, "overrides"),
    ],
)
def test_the_stronger_layer_wins(config, workload, winner, look):
    pod = build_pod(RunnerConfig(pod_template=TEMPLATE, **config), Workload(key={"a": "b"}, **workload))
    assert who(look, pod) == {winner}
    assert pod["metadata"]["annotations"]["only"] == "template"


def test_nothing_wins_over_the_identity(look):
    overrides = {
        "metadata": {
            "labels": {"dag_id": "x", "airflow-worker": "x"},
            "annotations": {"dag_id": "x"},
            "name": "x",
        }
    }
    task = Workload.airflow(dag_id="d", task_id="t", run_id="r", executor_config={"pod_override": overrides})
    config = RunnerConfig(image="i", labels={"dag_id": "y"}, airflow=AirflowSettings(worker_uuid="w"))
    plan = build_plan(config, task)
    assert plan.manifest["metadata"]["labels"]["dag_id"] == "d"
    assert plan.manifest["metadata"]["labels"]["airflow-worker"] == "w"
    assert plan.manifest["metadata"]["annotations"]["dag_id"] == "d"
    assert plan.name.startswith("d-t-")
    assert plan.warnings == ("pod_override.metadata.name has no effect: podrunner names pods",)


@pytest.mark.parametrize(
    ("field", "config", "workload", "expected"),
    [
        ("nodeSelector", {"node_selector": {"a": "1"}}, {"node_selector": {"b": "2"}}, {"b": "2"}),
        (
            "affinity",
            {"affinity": {"podAffinity": {}}},
            {"affinity": {"nodeAffinity": {}}},
            {"nodeAffinity": {}},
        ),
        ("tolerations", {"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]}, [{"key": "b"}]),
        ("tolerations", {"tolerations": [{"key": "a"}]}, {"tolerations": []}, [{"key": "a"}]),
        (
            "imagePullSecrets",
            {"image_pull_secrets": ["a"]},
            {"image_pull_secrets": ["b"]},
            [{"name": "a"}, {"name": "b"}],
        ),
        (
            "schedulingGates",
            {"scheduling_gates": ["a"]},
            {"scheduling_gates": ["b"]},
            [{"name": "a"}, {"name": "b"}],
        ),
        (
            "securityContext",
            {"run_as_user": 1, "fs_group": 2},
            {"run_as_user": 0},
            {"runAsUser": 0, "fsGroup": 2},
        ),
        ("priorityClassName", {"priority_class_name": "low"}, {"priority_class_name": "high"}, "high"),
        ("activeDeadlineSeconds", {}, {"active_deadline_s": 60}, 60),
        ("terminationGracePeriodSeconds", {}, {"termination_grace_period_s": 0}, 0),
        ("restartPolicy", {}, {}, "Never"),
    ],
)
def test_how_a_field_of_the_spec_is_joined(field, config, workload, expected):
    pod = build_pod(RunnerConfig(image="i", **config), Workload(key={"a": "b"}, **workload))
    assert pod["spec"][field] == expected


def test_a_workloads_annotations_replace_the_configurations():
    config = RunnerConfig(image="i", annotations={"a": "1"})
    assert build_pod(config, Workload(key={"k": "v"}))["metadata"]["annotations"] == {"a": "1"}
    with_own = Workload(key={"k": "v"}, annotations={"b": "2"})
    assert build_pod(config, with_own)["metadata"]["annotations"] == {"b": "2"}


def test_the_service_account_of_gcp_comes_beside_the_configurations_annotations():
    task = Workload.airflow(
        dag_id="d", task_id="t", execution_date="2020", executor_config={"gcp_service_account_key": "x"}
    )
    pod = build_pod(RunnerConfig(image="i", annotations={"a": "1"}), task)
    assert pod["metadata"]["annotations"] == {"a": "1", "iam.cloud.google.com/service-account": "x"}


def test_resources_become_requests_and_limits(look):
    resources = Resources(
        cpu_request="1",
        memory_limit="1Gi",
        ephemeral_storage_request="2Gi",
        gpu=2,
        requests={"hugepages-2Mi": "4Mi"},
        limits={"x.io/fpga": "1"},
    )
    pod = build_pod(
        RunnerConfig(image="i", resources={"cpu_limit": 9}), Workload(key={"a": "b"}, resources=resources)
    )
    assert look.main(pod)["resources"] == {
        "requests": {"cpu": "1", "ephemeral-storage": "2Gi", "hugepages-2Mi": "4Mi"},
        "limits": {"memory": "1Gi", "nvidia.com/gpu": "2", "x.io/fpga": "1"},
    }


def test_the_configurations_resources_are_for_workloads_without(look, workload):
    config = RunnerConfig(image="i", resources={"cpu_limit": "9", "gpu": 1, "gpu_resource": "amd.com/gpu"})
    assert look.main(build_pod(config, workload))["resources"] == {"limits": {"cpu": "9", "amd.com/gpu": "1"}}


def test_init_containers_and_sidecars_come_in_order():
    config = RunnerConfig(
        image="i",
        pod_template={"spec": {"initContainers": [{"name": "t"}]}},
        init_containers=[{"name": "c"}],
        sidecars=[{"name": "s", "image": "config"}],
    )
    workload = Workload(
        key={"a": "b"}, init_containers=[{"name": "w"}], sidecars=[{"name": "s", "image": "workload"}]
    )
    assert build_pod(config, workload)["spec"]["initContainers"] == [
        {"name": "t"},
        {"name": "c"},
        {"name": "w"},
        {"name": "s", "image": "workload", "restartPolicy": "Always"},
    ]


def test_mounts_are_joined_by_path(look):
    config = RunnerConfig(
        image="i",
        volumes=[{"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {}}],
        volume_mounts=[{"name": "a", "mountPath": "/x"}, {"name": "a", "mountPath": "/y"}],
    )
    workload = Workload(key={"a": "b"}, volume_mounts=[{"name": "b", "mountPath": "/x"}])
    assert look.mounts(build_pod(config, workload)) == {"/x": {"name": "b"}, "/y": {"name": "a"}}


@pytest.mark.parametrize("field", ["volumes", "volume_mounts", "init_containers", "sidecars"])
def test_an_element_without_a_name_is_refused(field):
    with pytest.raises(SpecError) as caught:
        build_pod(RunnerConfig(image="i"), Workload(key={"a": "b"}, **{field: [{"image": "x"}]}))
    assert caught.value.field == f"Workload.{field}[0]"


def test_no_image_at_all_is_refused(workload):
    with pytest.raises(SpecError, match="no image") as caught:
        build_pod(RunnerConfig(), workload)
    assert caught.value.field == "spec.containers[base].image"


def test_arguments_of_the_template_belong_to_its_command(look):
    template = {"spec": {"containers": [{"name": "base", "image": "i", "command": ["a"], "args": ["b"]}]}}
    config = RunnerConfig(pod_template=template)
    replaced = look.main(build_pod(config, Workload(key={"a": "b"}, command=["c"])))
    assert replaced["command"] == ["c"]
    assert "args" not in replaced
    kept = look.main(build_pod(config, Workload(key={"a": "b"}, args=["c"])))
    assert (kept["command"], kept["args"]) == (["a"], ["c"])


def test_the_working_directory_and_pull_policy_reach_the_container(look):
    workload = Workload(key={"a": "b"}, working_dir="/w", image_pull_policy="Always")
    container = look.main(build_pod(RunnerConfig(image="i"), workload))
    assert (container["workingDir"], container["imagePullPolicy"]) == ("/w", "Always")


def test_the_plan_holds_the_pods_namespace(workload):
    config = RunnerConfig(image="i", namespace="jobs", namespaces=("mine",))
    assert build_plan(config, workload).namespace == "jobs"
    assert build_plan(config, workload.model_copy(update={"namespace": "mine"})).namespace == "mine"
    assert build_plan(config, workload).log_path == "d/t/1.log"
