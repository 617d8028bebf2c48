"""What the constructors accept, as type checkers see it: the same names as the models, and each form of a value."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes_asyncio import client
from podrunner import (
    AirflowSettings,
    DagsFromGit,
    FailureRule,
    LogSettings,
    OnExitCodes,
    PendingPolicy,
    Resources,
    RunnerConfig,
    Workload,
    WorkloadKey,
    build_pod,
)
from podrunner.config import arguments as config_arguments
from podrunner.errors import ConfigError, SpecError
from podrunner.workload import arguments as workload_arguments

if TYPE_CHECKING:
    from pydantic import BaseModel

ARGUMENTS = [
    (Workload, workload_arguments.WorkloadArguments),
    (RunnerConfig, config_arguments.RunnerConfigArguments),
    (AirflowSettings, config_arguments.AirflowArguments),
    (DagsFromGit, config_arguments.DagsFromGitArguments),
    (FailureRule, config_arguments.FailureRuleArguments),
    (OnExitCodes, config_arguments.OnExitCodesArguments),
    (LogSettings, config_arguments.LogArguments),
    (PendingPolicy, config_arguments.PendingArguments),
]
CONFIG = RunnerConfig(image="busybox")
KEY = {"job": "a"}


@pytest.mark.parametrize(("model", "arguments"), ARGUMENTS, ids=lambda each: each.__name__)
def test_the_arguments_have_the_names_of_the_model(model: type[BaseModel], arguments: Any) -> None:
    assert list(arguments.__annotations__) == list(model.model_fields)
    required = {name for name, field in model.model_fields.items() if field.is_required()}
    assert required == {name for name, hint in arguments.__annotations__.items() if "Required[" in str(hint)}


def test_numbers_in_a_key_are_their_digits() -> None:
    assert Workload(key={"n": 3}).key == WorkloadKey({"n": "3"})


@pytest.mark.parametrize("value", [True, 1.5, None, ["a"]])
def test_a_key_has_no_other_values(value: Any) -> None:
    with pytest.raises(SpecError, match="must be text or a whole number"):
        Workload(key={"n": value})


def test_sequences_and_mappings_of_any_kind_are_taken() -> None:
    workload = Workload(
        key=MappingProxyType(KEY), command=deque(["sh", "-c"]), env=MappingProxyType({"A": "b"})
    )
    assert (workload.command, workload.env) == (("sh", "-c"), {"A": "b"})


def test_models_of_a_kubernetes_client_become_manifests() -> None:
    workload = Workload(
        key=KEY,
        volumes=[client.V1Volume(name="data", empty_dir=client.V1EmptyDirVolumeSource())],
        volume_mounts=[client.V1VolumeMount(name="data", mount_path="/data", read_only=True)],
        init_containers=[client.V1Container(name="first", image="busybox", command=["true"])],
        sidecars=[{"name": "beside", "image": "busybox", "env": [client.V1EnvVar(name="A", value="b")]}],
        tolerations=[client.V1Toleration(key="gpu", operator="Exists")],
        affinity=client.V1Affinity(node_affinity=client.V1NodeAffinity()),
        resources=client.V1ResourceRequirements(
            requests={"cpu": "1"}, limits={"memory": "1Gi", "nvidia.com/gpu": "2"}
        ),
        overrides=client.V1Pod(spec=client.V1PodSpec(containers=[], runtime_class_name="gvisor")),
    )
    spec = build_pod(CONFIG, workload)["spec"]
    assert spec["volumes"] == [{"name": "data", "emptyDir": {}}]
    assert spec["containers"][0]["volumeMounts"] == [{"name": "data", "mountPath": "/data", "readOnly": True}]
    assert spec["containers"][0]["resources"] == {
        "requests": {"cpu": "1"},
        "limits": {"memory": "1Gi", "nvidia.com/gpu": "2"},
    }
    assert [container["name"] for container in spec["initContainers"]] == ["first", "beside"]
    assert spec["initContainers"][1]["env"] == [{"name": "A", "value": "b"}]
    assert spec["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert (spec["affinity"], spec["runtimeClassName"]) == ({"nodeAffinity": {}}, "gvisor")


def test_the_configuration_takes_models_too() -> None:
    config = RunnerConfig(
        pod_template=client.V1Pod(
            spec=client.V1PodSpec(containers=[client.V1Container(name="base", image="of-the-template")])
        ),
        tolerations=[client.V1Toleration(operator="Exists")],
        resources=client.V1ResourceRequirements(limits={"cpu": "2"}),
    )
    spec = build_pod(config, Workload(key=KEY))["spec"]
    assert spec["containers"][0]["image"] == "of-the-template"
    assert spec["containers"][0]["resources"] == {"limits": {"cpu": "2"}}
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert config.resources == Resources(cpu_limit="2")


def test_claims_of_dynamic_resources_are_refused() -> None:
    claims = client.V1ResourceRequirements(claims=[client.CoreV1ResourceClaim(name="gpu")])
    with pytest.raises(SpecError, match="sets only by overrides"):
        Workload(key=KEY, resources=claims)


def test_a_template_may_be_the_path_of_a_file(tmp_path: Path) -> None:
    template = tmp_path / "pod.yaml"
    template.write_text("spec: {containers: [{name: base, image: from-file}]}", encoding="utf-8")
    config = RunnerConfig(pod_template=template)
    assert config.pod_template == {"spec": {"containers": [{"name": "base", "image": "from-file"}]}}
    with pytest.raises(ConfigError, match=r"missing\.yaml"):
        RunnerConfig(pod_template=tmp_path / "missing.yaml")


def test_the_name_of_a_file_as_text_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match="Path"):
        RunnerConfig(pod_template="pod.yaml")  # type: ignore[arg-type]
