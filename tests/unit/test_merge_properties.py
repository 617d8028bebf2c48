"""Properties of every merge: identity, idempotence, unchanged arguments, nothing shared."""

import copy

from hypothesis import given
from hypothesis import strategies as st
from podrunner.merge import json_merge, json_patch, strategic_merge

NAMES = st.sampled_from(["a", "b", "c", "d"])
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text("xyz$~/", max_size=3)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


def named(**members):
    element = st.fixed_dictionaries({"name": NAMES}, optional=members)
    return st.lists(element, max_size=4, unique_by=lambda item: item["name"])


ENV = named(value=st.text("xyz", max_size=2))
CONTAINERS = named(image=st.text("xyz", min_size=1), env=ENV, command=st.lists(st.text("xyz"), max_size=2))
LABELS = st.dictionaries(NAMES, st.text("xyz", max_size=2), max_size=3)
PODS = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries(
            {}, optional={"labels": LABELS, "finalizers": st.lists(NAMES, max_size=3, unique=True)}
        ),
        "spec": st.fixed_dictionaries(
            {}, optional={"containers": CONTAINERS, "volumes": named(), "nodeSelector": LABELS}
        ),
    },
)


@given(PODS)
def test_an_empty_patch_changes_nothing(pod):
    assert strategic_merge(pod, {}) == pod
    assert json_merge(pod, {}) == pod
    assert json_patch(pod, []) == pod


@given(PODS, PODS)
def test_merging_twice_is_merging_once(pod, patch):
    once = strategic_merge(pod, patch)
    assert strategic_merge(once, patch) == once
    assert json_merge(json_merge(pod, patch), patch) == json_merge(pod, patch)


@given(PODS, PODS)
def test_the_arguments_stay_untouched(pod, patch):
    before = copy.deepcopy((pod, patch))
    strategic_merge(pod, patch)
    json_merge(pod, patch)
    assert (pod, patch) == before


@given(PODS, PODS)
def test_the_result_shares_nothing_with_the_arguments(pod, patch):
    before = copy.deepcopy((pod, patch))
    scribble(strategic_merge(pod, patch))
    scribble(json_merge(pod, patch))
    scribble(
        json_patch(
            pod, [{"op": "add", "path": "/x", "value": patch}, {"op": "copy", "from": "/x", "path": "/y"}]
        )
    )
    assert (pod, patch) == before


def scribble(value):
    if isinstance(value, dict):
        for member in value.values():
            scribble(member)
        value["scribbled"] = True
    elif isinstance(value, list):
        for member in value:
            scribble(member)
        value.append("scribbled")


@given(PODS)
def test_a_pod_merged_into_nothing_is_that_pod(pod):
    assert strategic_merge({}, pod) == pod


@given(PODS, PODS)
def test_the_values_of_the_patch_are_in_the_result(pod, patch):
    merged = strategic_merge(pod, patch)
    wanted = patch.get("spec", {}).get("containers", [])
    for container, there in named_alike(wanted, merged.get("spec", {}).get("containers", [])):
        assert container.get("image") in {None, there.get("image")}
        for variable, found in named_alike(container.get("env", []), there.get("env", [])):
            assert found | variable == found


def named_alike(wanted, found):
    by_name = {element["name"]: element for element in found}
    return [(element, by_name[element["name"]]) for element in wanted]


@given(JSON, JSON)
def test_any_json_can_be_merge_patched(target, patch):
    merged = json_merge(target, patch)
    assert json_merge(merged, patch) == merged


@given(JSON, JSON)
def test_a_value_added_is_a_value_found(target, value):
    document = {"target": target}
    added = json_patch(document, [{"op": "add", "path": "/a~1b~0c", "value": value}])
    assert added["a/b~c"] == value
    assert json_patch(added, [{"op": "remove", "path": "/a~1b~0c"}]) == document
