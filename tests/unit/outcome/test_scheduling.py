"""The scheduler's message, read: which resource, how many nodes (P2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.outcome import parse_unschedulable

MESSAGE = (
    "0/5 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
    "1 node(s) had taint {gpu: true}, that the pod didn't tolerate, 2 Insufficient cpu, 3 Insufficient "
    "nvidia.com/gpu, 1 Too many pods. preemption: 0/5 nodes are available: 5 No preemption victims found."
)


def test_causes_nodes_and_resources_are_told_apart():
    found = parse_unschedulable(MESSAGE)
    assert found.nodes == 5
    assert [cause.nodes for cause in found.causes] == [1, 1, 2, 3, 1]
    assert found.lacking == ("cpu", "nvidia.com/gpu", "pods")
    assert found.causes[1].text == "node(s) had taint {gpu: true}, that the pod didn't tolerate"
    assert str(found).startswith("1 of 5 nodes: node(s) had untolerated taint")


@pytest.mark.parametrize("afterwards", [
    " preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.",
    " no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful.",  # 1.34
    " still not schedulable, preemption: not eligible due to preemptionPolicy=Never.",
    "",
])  # fmt: skip
def test_what_plugins_say_after_the_filters_is_no_cause(afterwards: str):
    """As kube-scheduler 1.34 to 1.37 print it; since 1.34 without the taint's key and value."""
    message = (
        f"0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient memory.{afterwards}"
    )
    found = parse_unschedulable(message)
    assert [cause.text for cause in found.causes] == [
        "node(s) had untolerated taint(s)",
        "Insufficient memory",
    ]
    assert found.lacking == ("memory",)


def test_a_message_of_another_form_is_kept_as_it_is():
    found = parse_unschedulable("no nodes available to schedule pods")
    assert (found.nodes, found.causes, str(found)) == (None, (), "no nodes available to schedule pods")
    assert parse_unschedulable(None).message == ""


@given(st.text())
def test_no_text_whatever_breaks_it(text: str):
    assert parse_unschedulable("0/3 nodes are available: " + text).nodes == 3
    parse_unschedulable(text)
