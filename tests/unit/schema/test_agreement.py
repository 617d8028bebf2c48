"""What the checks find, LocalCluster's decoder refuses, and the reverse: both read one schema."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from podrunner.local.api.status import StatusError
from podrunner.local.api.validation.schema import Schema
from podrunner.schema.fields import problems_of
from podrunner.schema.openapi import load_schemas

SCHEMA = Schema(load_schemas())
NAMES = st.sampled_from(
    [
        *["spec", "metadata", "labels", "containers", "volumes", "env", "name", "value", "resources", "limits", "cpu"],
        *["hostNetwork", "priority", "tolerations", "key", "ports", "containerPort", "protocol", "restartPolicy"],
        *["securityContext", "fsGroup", "terminationGracePeriodSeconds", "livenessProbe", "httpGet", "port", "frob"],
    ]
)  # fmt: skip
SCALARS = st.booleans() | st.integers(-9, 2**33) | st.sampled_from(["a", "1", "500m", 1.5, "1Gb"])
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3)
)


def element(key, **fields):
    return st.fixed_dictionaries({key: st.sampled_from(["a", "b"])}, optional=fields)


CONTAINERS = st.lists(
    element(
        "name",
        env=st.lists(element("name", value=SCALARS), max_size=2) | JSON,
        resources=st.fixed_dictionaries({}, optional={"limits": st.dictionaries(NAMES, SCALARS, max_size=2)}) | JSON,
        securityContext=JSON,
        tty=SCALARS,
        livenessProbe=JSON,
        command=JSON,
    ),
    max_size=2,
)  # fmt: skip
PODS = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries({}, optional={"labels": st.dictionaries(NAMES, SCALARS, max_size=2)}),
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "containers": CONTAINERS,
                "hostNetwork": SCALARS,
                "priority": SCALARS,
                "frob": JSON,
                "tolerations": st.lists(st.dictionaries(NAMES, SCALARS, max_size=2), max_size=2) | JSON,
                "securityContext": JSON,
            },
        ),
    },
)  # fmt: skip


@given(PODS | st.dictionaries(NAMES, JSON, max_size=3))
def test_the_check_and_the_decoder_agree(pod):
    found = [problem for problem in problems_of(pod, "Pod") if not problem.message.startswith("needs ")]
    try:
        SCHEMA.read({"apiVersion": "v1", "kind": "Pod", **pod}, mode="Strict")
    except StatusError:
        assert found
    else:
        assert found == []
