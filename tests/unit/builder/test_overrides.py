"""Overrides: a strategic merge patch onto the finished pod, and a hook after it."""

import pytest
from podrunner.builder import PodBuilder, build_pod
from podrunner.config import RunnerConfig
from podrunner.errors import SpecError
from podrunner.workload import Workload


def built(overrides, **workload):
    return build_pod(RunnerConfig(image="i"), Workload(key={"a": "b"}, **workload, overrides=overrides))


def test_containers_merge_by_name(look):
    pod = built({"spec": {"containers": [{"name": "base", "tty": True}, {"name": "side", "image": "s"}]}})
    assert look.main(pod) == {"name": "base", "image": "i", "tty": True}
    assert look.main(pod, "side") == {"name": "side", "image": "s"}


def test_directives_are_obeyed():
    pod = built(
        {"spec": {"tolerations": None, "volumes": [{"name": "v", "$patch": "delete"}]}},
        tolerations=[{"key": "a"}],
        volumes=[{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}],
    )
    assert "tolerations" not in pod["spec"]
    assert pod["spec"]["volumes"] == [{"name": "w", "emptyDir": {}}]


def test_a_volume_with_a_new_source_loses_the_old_one(look):
    """A plain merge leaves both, and Kubernetes refuses the pod."""
    patch = {"spec": {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}}
    pod = built(patch, volumes=[{"name": "v", "emptyDir": {}}])
    assert look.volumes(pod) == {"v": {"persistentVolumeClaim": {"claimName": "c"}}}


def test_a_variable_with_a_new_source_loses_the_old_one(look):
    reference = {"secretKeyRef": {"name": "s", "key": "k"}}
    variables = [{"name": "A", "valueFrom": reference}, {"name": "B", "value": "2"}, {"name": "C"}]
    pod = built(
        {"spec": {"containers": [{"name": "base", "env": variables}]}},
        env={"A": "1"},
        secret_env={"B": ("s", "k")},
    )
    assert look.main(pod)["env"] == [
        {"name": "A", "valueFrom": reference},
        {"name": "B", "value": "2"},
        {"name": "C"},
    ]


def test_a_patch_that_is_no_object_is_refused():
    with pytest.raises(SpecError) as caught:
        built({"spec": {"containers": ["base"]}})
    assert caught.value.field == "overrides.spec.containers[0]"


@pytest.mark.parametrize("patch", [[{"name": "base", "$patch": "delete"}], None, [{"$patch": "replace"}]])
def test_the_main_container_cannot_be_removed(patch):
    with pytest.raises(SpecError, match="main container is gone"):
        built({"spec": {"containers": patch}})


def test_the_image_cannot_be_removed():
    with pytest.raises(SpecError, match="no image"):
        built({"spec": {"containers": [{"name": "base", "image": None}]}})


def test_a_hook_may_change_everything_but_the_identity(workload):
    def hook(pod):
        pod["spec"]["hostname"] = "hooked"
        pod["metadata"]["labels"]["dag_id"] = "hooked"
        pod["metadata"]["name"] = "hooked"

    builder = PodBuilder(RunnerConfig(image="i"), pod_hook=hook)
    plan = builder.build(workload.model_copy(update={"identity_labels": {"dag_id": "d"}}))
    assert plan.manifest["spec"]["hostname"] == "hooked"
    assert plan.manifest["metadata"]["labels"] == {"dag_id": "d"}
    assert plan.name.startswith("d-t-")


def test_a_hook_may_return_another_pod(workload):
    builder = PodBuilder(
        RunnerConfig(image="i"), pod_hook=lambda pod: {**pod, "spec": {**pod["spec"], "hostname": "h"}}
    )
    assert builder.build(workload).manifest["spec"]["hostname"] == "h"


@pytest.mark.parametrize("patch", [{"metadata": None}, {"spec": None}, {"spec": {"$patch": "delete"}}])
def test_metadata_and_spec_cannot_be_removed(patch):
    with pytest.raises(SpecError, match="is gone"):
        built(patch)


def test_labels_that_are_no_text_are_refused_with_the_remedy():
    with pytest.raises(SpecError, match="put it in quotes") as caught:
        built({"metadata": {"labels": {"version": 1}}})
    assert caught.value.field == "overrides.metadata.labels.version"


def test_a_hook_that_breaks_the_pod_is_an_error(workload):
    with pytest.raises(SpecError) as caught:
        PodBuilder(RunnerConfig(image="i"), pod_hook=lambda pod: {"metadata": pod["metadata"]}).build(
            workload
        )
    assert caught.value.field == "spec"


def variables(**values):
    return [{"name": name, "value": value} for name, value in values.items()]


def in_order(pod, name="base"):
    (container,) = [found for found in pod["spec"]["containers"] if found["name"] == name]
    return [variable["name"] for variable in container["env"]]


def patched_env(*env, **more):
    return {"spec": {"containers": [{"name": "base", "env": list(env), **more}]}}


def test_new_elements_stand_where_kubectl_puts_them(look):
    """F2: before those that are there."""
    pod = built(
        {
            "spec": {
                "initContainers": [{"name": "late", "image": "l"}],
                "containers": [{"name": "base", "env": variables(NEW="1")}],
                "volumes": [{"name": "new", "emptyDir": {}}],
            }
        },
        env={"OLD": "1"},
        init_containers=[{"name": "early", "image": "e"}],
        volumes=[{"name": "old", "emptyDir": {}}],
    )
    assert [container["name"] for container in pod["spec"]["initContainers"]] == ["late", "early"]
    assert in_order(pod) == ["NEW", "OLD"]
    assert [*look.volumes(pod)] == ["new", "old"]


def test_the_patch_may_state_the_order():
    """F2."""
    order = [{"name": "early"}, {"name": "late"}]
    pod = built(
        {
            "spec": {
                "initContainers": [{"name": "late", "image": "l"}],
                "$setElementOrder/initContainers": order,
            }
        },
        init_containers=[{"name": "early", "image": "e"}],
    )
    assert [container["name"] for container in pod["spec"]["initContainers"]] == ["early", "late"]


@pytest.mark.parametrize(
    ("there", "patch", "order"),
    [
        ({"HOST": "h"}, variables(URL="http://$(HOST)/"), ["HOST", "URL"]),
        ({"A": "1", "B": "2"}, variables(C="$(B)", D="$(C)"), ["A", "B", "C", "D"]),
        ({"A": "1", "B": "2"}, variables(C="$(A)"), ["A", "C", "B"]),
        ({"A": "1", "B": "2"}, variables(A="$(B)"), ["B", "A"]),
        ({"A": "1"}, variables(B="$$(A)"), ["B", "A"]),
        ({"A": "1"}, variables(B="$$$(A)"), ["A", "B"]),
        ({"A": "1"}, variables(B="$(A"), ["B", "A"]),
        ({"PATH": "/bin"}, variables(B="$(ELSEWHERE)", PATH="$(PATH):/x"), ["B", "PATH"]),
        ({"A": "$(B)"}, variables(B="$(A)"), ["B", "A"]),
        ({"A": "1"}, [{"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "$(A)"}}}], ["B", "A"]),
    ],
)
def test_references_between_variables_keep_resolving(there, patch, order):
    """F2: the kubelet knows the variables above, and leaves the text `$(NAME)` for the others."""
    assert in_order(built(patched_env(*patch), env=there)) == order


def test_an_order_that_the_patch_states_stays():
    """F2."""
    patch = patched_env(*variables(B="$(A)"), **{"$setElementOrder/env": [{"name": "B"}, {"name": "A"}]})
    assert in_order(built(patch, env={"A": "1"})) == ["B", "A"]


def test_a_list_with_a_name_twice_stays():
    """The last of two wins, but a reference between them means the first."""
    twice = [*variables(B="$(A)"), *variables(A="1"), *variables(B="2")]
    pod = built({"spec": {"containers": [{"name": "side", "image": "s", "env": twice}]}})
    assert in_order(pod, "side") == ["B", "A", "B"]


def test_init_containers_resolve_their_references_too():
    """F2."""
    first = {"name": "first", "image": "i", "env": variables(A="1")}
    patch = {"spec": {"initContainers": [{"name": "first", "env": variables(B="$(A)")}]}}
    (container,) = built(patch, init_containers=[first])["spec"]["initContainers"]
    assert [variable["name"] for variable in container["env"]] == ["A", "B"]


def test_a_container_put_first_leaves_the_main_one_the_default_for_kubectl():
    """F2: `kubectl logs` reads the first container unless an annotation names another."""
    pod = built({"spec": {"containers": [{"name": "side", "image": "s"}]}})
    assert [container["name"] for container in pod["spec"]["containers"]] == ["side", "base"]
    assert pod["metadata"]["annotations"] == {"kubectl.kubernetes.io/default-container": "base"}
    chosen = {"kubectl.kubernetes.io/default-container": "side"}
    pod = built(
        {"metadata": {"annotations": chosen}, "spec": {"containers": [{"name": "side", "image": "s"}]}}
    )
    assert pod["metadata"]["annotations"] == chosen
