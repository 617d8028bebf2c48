"""Pod templates: which fields they may set, and which container is the main one."""

import pytest
from podrunner.builder import PodBuilder, build_plan, build_pod
from podrunner.builder.labels import DEFAULT_CONTAINER, OUTCOME_FINALIZER
from podrunner.config import RunnerConfig
from podrunner.errors import SpecError
from podrunner.workload import Workload


def template(*names, **spec):
    return {"spec": {"containers": [{"name": name, "image": "i"} for name in names], **spec}}


def names(pod):
    return [container["name"] for container in pod["spec"]["containers"]]


@pytest.mark.parametrize(
    ("containers", "config", "workload", "main", "order"),
    [
        ((), {}, {}, "base", ["base"]),
        (("a", "base"), {}, {}, "base", ["a", "base"]),
        (("a", "b"), {}, {}, "a", ["a", "b"]),
        (("a", "b"), {"container_name": "b"}, {}, "b", ["a", "b"]),
        (("a", "b"), {"container_name": "c"}, {}, "c", ["c", "a", "b"]),
        (("a", "b"), {"container_name": "b"}, {"container_name": "a"}, "a", ["a", "b"]),
        ((), {}, {"container_name": "mine"}, "mine", ["mine"]),
    ],
)
def test_the_main_container_is_found(containers, config, workload, main, order):
    settings = RunnerConfig(image="i", pod_template=template(*containers), **config)
    plan = build_plan(settings, Workload(key={"a": "b"}, command=["date"], **workload))
    assert plan.main_container == main
    assert names(plan.manifest) == order
    assert [found["name"] for found in plan.manifest["spec"]["containers"] if "command" in found] == [main]


def test_a_main_container_that_is_not_the_first_is_named_for_kubectl(workload):
    pod = build_pod(RunnerConfig(image="i", pod_template=template("istio", "base")), workload)
    assert pod["metadata"]["annotations"] == {DEFAULT_CONTAINER: "base"}


def test_a_workloads_template_replaces_the_configurations(workload):
    config = RunnerConfig(image="i", pod_template=template("base", hostname="config"))
    pod = build_pod(config, workload.model_copy(update={"pod_template": template("base", subdomain="mine")}))
    assert "hostname" not in pod["spec"]
    assert pod["spec"]["subdomain"] == "mine"


def test_no_field_of_a_pod_is_out_of_reach(workload):
    fields = {
        "hostNetwork": True,
        "dnsPolicy": "None",
        "restartPolicy": "OnFailure",
        "runtimeClassName": "gvisor",
    }
    pod = build_pod(RunnerConfig(image="i", pod_template=template("base", **fields)), workload)
    assert {name: pod["spec"][name] for name in fields} == fields


def test_the_templates_lists_are_added_to(workload, look):
    start = template("base", imagePullSecrets=[{"name": "t"}], securityContext={"supplementalGroups": [1]})
    start["spec"]["containers"][0] |= {
        "envFrom": [{"prefix": "T_", "secretRef": {"name": "t"}}],
        "volumeMounts": [{"name": "t", "mountPath": "/t"}],
    }
    config = RunnerConfig(
        pod_template=start,
        image_pull_secrets=["c"],
        fs_group=2,
        env_from_secrets=["c"],
        volumes=[{"name": "c", "emptyDir": {}}, {"name": "t", "emptyDir": {}}],
        volume_mounts=[{"name": "c", "mountPath": "/c"}],
    )
    pod = build_pod(config, workload)
    assert pod["spec"]["imagePullSecrets"] == [{"name": "t"}, {"name": "c"}]
    assert pod["spec"]["securityContext"] == {"supplementalGroups": [1], "fsGroup": 2}
    assert [*look.mounts(pod)] == ["/t", "/c"]
    assert look.main(pod)["envFrom"] == [
        {"prefix": "T_", "secretRef": {"name": "t"}},
        {"secretRef": {"name": "c"}},
    ]


def test_parts_of_a_template_without_effect_are_warnings(workload):
    start = template("base", restartPolicy="Always") | {
        "metadata": {"name": "n", "namespace": "x", "generateName": "g", "finalizers": ["f"], "uid": "u"},
        "status": {"phase": "Failed"},
    }
    plan = build_plan(RunnerConfig(pod_template=start), workload)
    assert plan.warnings == (
        "pod_template.metadata.name has no effect: podrunner names pods",
        "pod_template.metadata.generateName has no effect: podrunner names pods",
        (
            "pod_template.metadata.namespace has no effect: "
            "the setting `namespace`, the workload or its overrides name the pod's namespace"
        ),
        "pod_template.spec.restartPolicy is Always: such a pod never ends by itself",
    )
    assert plan.manifest["metadata"] == {"name": plan.name, "finalizers": ["f"]}
    assert "status" not in plan.manifest


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        ({"spec": []}, "pod_template.spec"),
        ({"metadata": "x"}, "pod_template.metadata"),
        ({"metadata": {"labels": []}}, "pod_template.metadata.labels"),
        ({"spec": {"containers": [{"image": "i"}]}}, "pod_template.spec.containers[0]"),
        ({"spec": {"containers": ["base"]}}, "pod_template.spec.containers[0]"),
        (
            {"spec": {"containers": [{"name": "base", "env": [{"value": "x"}]}]}},
            "pod_template.spec.containers[base].env[0]",
        ),
    ],
)
def test_a_template_that_is_no_pod_is_refused(broken, field, workload):
    with pytest.raises(SpecError) as caught:
        build_pod(RunnerConfig(image="i", pod_template=broken), workload)
    assert caught.value.field == field


def test_a_template_may_leave_out_everything(workload):
    empty = {"metadata": None, "spec": {"containers": None, "volumes": None}}
    assert names(build_pod(RunnerConfig(image="i", pod_template=empty), workload)) == ["base"]


def finalizers(config, workload, **options):
    return PodBuilder(config, **options).build(workload).manifest["metadata"].get("finalizers")


def test_the_finalizer_stands_beside_the_users_own(workload):
    config = RunnerConfig(
        image="i", outcome_finalizer=True, pod_template={"metadata": {"finalizers": ["example.com/mine"]}}
    )
    assert finalizers(config, workload) == ["example.com/mine", OUTCOME_FINALIZER]


def test_without_the_setting_a_pod_has_only_the_users_finalizers(workload):
    config = RunnerConfig(
        image="i", pod_template={"metadata": {"finalizers": [OUTCOME_FINALIZER, "example.com/mine"]}}
    )
    assert finalizers(config, workload) == ["example.com/mine"]
    assert finalizers(RunnerConfig(image="i"), workload) is None


def test_neither_override_nor_hook_takes_the_finalizer_away(workload):
    config = RunnerConfig(image="i", outcome_finalizer=True)
    overrides = {"metadata": {"$deleteFromPrimitiveList/finalizers": [OUTCOME_FINALIZER]}}
    overridden = workload.model_copy(update={"overrides": overrides})

    def hook(pod):
        pod["metadata"]["finalizers"] = []

    assert finalizers(config, overridden, pod_hook=hook) == [OUTCOME_FINALIZER]


@pytest.mark.parametrize("given", ["example.com/mine", [1], {"a": "b"}])
def test_finalizers_that_are_no_list_of_texts_are_refused(workload, given):
    with pytest.raises(SpecError, match=r"metadata\.finalizers"):
        build_pod(RunnerConfig(image="i", pod_template={"metadata": {"finalizers": given}}), workload)
