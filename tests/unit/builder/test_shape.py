"""What users write is checked before any request: an error names the place, the value and the remedy."""

import pytest
from podrunner.builder import PodBuilder, build_plan, build_pod, check_config, explain_pod
from podrunner.config import AirflowSettings, RunnerConfig
from podrunner.errors import SpecError
from podrunner.workload import Workload

VOLUME = {"name": "data", "emptyDir": {}}
BASE = "spec.containers[base]"
BASE_AGAIN = {"name": "base", "image": "i"}
MOUNT = {"name": "dta", "mountPath": "/data"}


def work(**fields):
    return Workload(key={"a": "b"}, **fields)


def config(**settings):
    return RunnerConfig(**{"image": "i", **settings})


def template(**spec):
    return {"spec": {"containers": [{"name": "base", "image": "i"}], **spec}}


def in_base(**fields):
    return {"spec": {"containers": [{"name": "base", **fields}]}}


def refused(settings, workload, hook=None):
    with pytest.raises(SpecError) as caught:
        PodBuilder(settings, pod_hook=hook).build(workload)
    return caught.value


NUMBER = {"env": [{"name": "PORT", "value": 8080}]}


@pytest.mark.parametrize(
    ("settings", "fields", "place"),
    [
        ({"pod_template": in_base(**NUMBER)}, {}, "pod_template.spec.containers[base].env[PORT].value"),
        ({}, {"pod_template": in_base(**NUMBER)}, "Workload.pod_template.spec.containers[base].env[PORT].value"),
        ({}, {"overrides": in_base(**NUMBER)}, "overrides.spec.containers[base].env[PORT].value"),
        ({"sidecars": [{"name": "s", **NUMBER}]}, {}, "sidecars[s].env[PORT].value"),
        ({"init_containers": [{"name": "s", **NUMBER}]}, {}, "init_containers[s].env[PORT].value"),
        ({"volumes": [{"name": "v", "hostPath": {"path": 1}}]}, {}, "volumes[v].hostPath.path"),
        ({"tolerations": [{"key": 1}]}, {}, "tolerations[0].key"),
        ({"affinity": {"nodeAffinty": {}}}, {}, "affinity.nodeAffinty"),
        ({}, {"sidecars": [{"name": "s", **NUMBER}]}, "Workload.sidecars[s].env[PORT].value"),
        ({}, {"volume_mounts": [{"mountPath": "/v", "readonly": 1}]}, "Workload.volume_mounts[/v].readonly"),
    ],
)  # fmt: skip
def test_the_place_is_where_the_value_was_written(settings, fields, place):
    assert refused(config(**settings), work(**fields)).field == place


def test_what_a_hook_changes_is_checked():
    def hook(pod):
        pod["spec"]["nodeSelector"] = {"disk": 1}

    error = refused(config(), work(), hook)
    assert (error.field, error.value) == ("pod_hook.spec.nodeSelector.disk", "1")


def test_what_a_hook_left_alone_is_not_checked_again():
    """The unknown field of the template is a warning once, not for each pod."""

    def hook(pod):
        pod["spec"]["hostname"] = "h"

    builder = PodBuilder(config(pod_template=template(frobs=1)), pod_hook=hook)
    (warning,) = builder.build(work()).warnings
    assert warning.startswith("pod_template.spec.frobs: ")


def test_further_problems_are_notes_of_the_error():
    error = refused(config(pod_template=template(restartPolcy="Never", hostNetwork="true")), work())
    assert (
        str(error) == "pod_template.spec.restartPolcy: there is no such field; did you mean 'restartPolicy'?"
    )
    (note,) = error.__notes__
    assert note.startswith("pod_template.spec.hostNetwork: must be true or false")


def test_secret_values_are_hidden():
    error = refused(config(pod_template=in_base(env=[{"name": "DB_PASSWORD", "value": 12345}])), work())
    assert "12345" not in str(error)


def test_a_field_of_a_newer_kubernetes_is_a_warning():
    overrides = {"spec": {"schedulingGroup": {"name": "g"}}}
    plan = build_plan(config(), work(overrides=overrides))
    assert plan.manifest["spec"]["schedulingGroup"] == {"name": "g"}
    (warning,) = plan.warnings
    assert warning.startswith("overrides.spec.schedulingGroup: is no field of PodSpec in Kubernetes 1.34.4")


TWICE = "each must have its own"


@pytest.mark.parametrize(
    ("settings", "fields", "place"),
    [
        ({"pod_template": template(volumes=[VOLUME, VOLUME])}, {}, "pod_template.spec.volumes[1].name"),
        ({"pod_template": template(initContainers=[{"name": "base"}])}, {}, "pod_template.spec.initContainers[0].name"),
        ({"pod_template": in_base(volumeMounts=[MOUNT, MOUNT])}, {}, f"pod_template.{BASE}.volumeMounts[1].mountPath"),
        ({"volumes": [VOLUME, VOLUME]}, {}, "volumes[1].name"),
        ({}, {"volume_mounts": [MOUNT, MOUNT]}, "Workload.volume_mounts[1].mountPath"),
        ({}, {"sidecars": [{"name": "a"}, {"name": "a"}]}, "Workload.sidecars[1].name"),
        ({"sidecars": [{"name": "base", "image": "i"}]}, {}, "sidecars[base].name"),
        ({}, {"init_containers": [{"name": "base", "image": "i"}]}, "Workload.init_containers[base].name"),
        ({}, {"overrides": {"spec": {"initContainers": [BASE_AGAIN]}}}, "overrides.spec.initContainers[base].name"),
        ({}, {"overrides": {"spec": {"volumes": [VOLUME, VOLUME]}}}, "overrides.spec.volumes[data].name"),
    ],
)  # fmt: skip
def test_a_name_that_stands_twice_is_refused(settings, fields, place):
    error = refused(config(**settings), work(**fields))
    assert (error.field, TWICE in error.problem) == (place, True)


def test_a_variable_that_stands_twice_is_a_warning():
    """Kubernetes takes the last one."""
    env = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    plan = build_plan(config(pod_template=in_base(env=env)), work())
    (warning,) = plan.warnings
    assert warning.startswith(
        "pod_template.spec.containers[base].env[1].name: another variable has this name"
    )


@pytest.mark.parametrize(
    ("settings", "fields", "place"),
    [
        ({"pod_template": in_base(volumeMounts=[MOUNT])}, {}, f"pod_template.{BASE}.volumeMounts[/data].name"),
        ({"volume_mounts": [MOUNT]}, {}, "volume_mounts[/data].name"),
        ({}, {"volume_mounts": [MOUNT]}, "Workload.volume_mounts[/data].name"),
        ({}, {"overrides": in_base(volumeMounts=[MOUNT])}, f"overrides.{BASE}.volumeMounts[/data].name"),
        ({}, {"sidecars": [{"name": "s", "volumeMounts": [MOUNT]}]}, "Workload.sidecars[s].volumeMounts[/data].name"),
    ],
)  # fmt: skip
def test_a_mount_that_names_no_volume_is_refused(settings, fields, place):
    error = refused(config(volumes=[VOLUME], **settings), work(**fields))
    assert (error.field, error.value) == (place, "'dta'")
    assert "Did you mean 'data'?" in error.problem


def test_a_mount_of_a_hook_stands_at_its_place_in_the_pod():
    def hook(pod):
        pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "gone", "mountPath": "/x"}]

    error = refused(config(), work(), hook)
    assert error.field == "spec.containers[base].volumeMounts[/x].name"
    assert "it has none" in error.problem


def test_a_workload_may_bring_the_volume_of_a_templates_mount():
    settings = config(pod_template=in_base(volumeMounts=[{"name": "data", "mountPath": "/d"}]))
    builder = PodBuilder(settings)
    assert builder.build(work(volumes=[VOLUME])).manifest["spec"]["volumes"] == [VOLUME]
    with pytest.raises(SpecError, match="no volume has this name"):
        builder.build(work())
    with pytest.raises(SpecError, match="no volume has this name"):
        builder.build(work())


def test_a_builder_that_built_a_sound_pod_still_checks_the_others():
    builder = PodBuilder(config())
    builder.build(work())
    with pytest.raises(SpecError, match="no volume has this name"):
        builder.build(work(volume_mounts=[MOUNT]))


def test_build_pod_and_explain_refuse_alike():
    broken = config(pod_template=template(restartPolcy="Never"))
    for make in (build_pod, explain_pod):
        with pytest.raises(SpecError, match="restartPolcy"):
            make(broken, work())


def test_explaining_adds_mounts_before_their_volumes():
    settings = config(volumes=[VOLUME], volume_mounts=[{"name": "data", "mountPath": "/data"}])
    rows = {row.path: row.source for row in explain_pod(settings, work())}
    assert rows["spec.containers[base].volumeMounts[/data].name"] == "config.volume_mounts"


def test_a_configuration_is_checked_without_a_workload():
    assert check_config(config()) == ()
    assert check_config(RunnerConfig(airflow=AirflowSettings(dags={"kind": "image"}))) == ()
    with pytest.raises(SpecError, match="restartPolcy"):
        check_config(config(pod_template=template(restartPolcy="Never")))
    with pytest.raises(SpecError, match=TWICE):
        check_config(config(sidecars=[{"name": "base"}]))
    odd = check_config(config(pod_template=template(frobs=1), volume_mounts=[MOUNT]))
    assert [warning.partition(":")[0] for warning in odd] == [
        "pod_template.spec.frobs",
        "volume_mounts[/data].name",
    ]
    assert "unless the workload brings it" in odd[1]
