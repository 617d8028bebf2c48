"""References between variables resolve in the container, whichever settings the variables come from."""

from hypothesis import given
from hypothesis import strategies as st
from podrunner.builder import build_pod
from podrunner.config import RunnerConfig
from podrunner.local.kubelet.environment import expand
from podrunner.workload import Workload

NAMES = "ABCDE"
LAYERS = ("config", "workload", "overrides")


@st.composite
def variables(draw):
    """Names with values that refer to earlier names, in any order, each in one of the layers."""
    values = {"A": "a"}
    for rank, name in enumerate(NAMES[1:], 1):
        references = draw(st.lists(st.sampled_from(NAMES[:rank]), max_size=2))
        values[name] = "".join(f"$({reference})" for reference in references)
    order = draw(st.permutations(NAMES))
    return [(name, values[name], draw(st.sampled_from(LAYERS))) for name in order]


def of(layer, drawn):
    return {name: value for name, value, place in drawn if place == layer}


@given(variables())
def test_every_reference_resolves(drawn):
    """F2: in the order in which the kubelet replaces them."""
    patch = [{"name": name, "value": value} for name, value in of("overrides", drawn).items()]
    pod = build_pod(
        RunnerConfig(image="i", env=of("config", drawn)),
        Workload(
            key={"a": "b"},
            env=of("workload", drawn),
            overrides={"spec": {"containers": [{"name": "base", "env": patch}]}} if patch else {},
        ),
    )
    known: dict[str, str] = {}
    for variable in pod["spec"]["containers"][0]["env"]:
        known[variable["name"]] = expand(variable["value"], known)
    assert known.keys() == set(NAMES)
    assert not any("$(" in value for value in known.values())
