"""A runner's failure policy reaches every outcome that it tells."""

from __future__ import annotations

import pytest
from podrunner.outcome import Category, Fault
from tests.unit.runner.harness import Cluster, running, workload

pytestmark = pytest.mark.anyio

POLICY = [
    {"name": "hiccup", "action": "retry", "on_exit_codes": {"values": [75]}},
    {"name": "refused", "action": "retry", "on_categories": ["rejected-by-api"]},
]


async def test_an_outcome_names_the_rule_that_decided(cluster: Cluster):
    async with running(cluster, failure_policy=POLICY) as runner:
        pods = {code: await runner.launch(workload(code)) for code in (75, 1)}
        for code, pod in pods.items():
            cluster.play(pod.name, exit_code=code)
        outcome, other = await pods[75].wait(5), await pods[1].wait(5)
        assert (outcome.category, outcome.fault, outcome.retryable) == (Category.FAILED, Fault.WORKLOAD, True)
        assert (outcome.evidence[-1].source, outcome.evidence[-1].name) == ("failure-policy", "hiccup")
        assert not other.retryable


async def test_a_condition_of_anybodys_is_there_to_be_matched(cluster: Cluster):
    """Records are held without the conditions that no rule reads."""
    rule = {
        "name": "own",
        "action": "retry",
        "on_pod_conditions": [{"type": "example.com/Licence", "status": "False"}],
    }
    async with running(cluster, failure_policy=[rule]) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        missing = {"type": "example.com/Licence", "status": "False"}
        cluster.change(pod.name, status={"conditions": [{"type": "Ready", "status": "False"}, missing]})
        cluster.finish(pod.name, 1)
        outcome = await pod.wait(5)
        assert (outcome.retryable, outcome.evidence[-1].name) == (True, "own")


async def test_a_refused_submission_is_judged_too(cluster: Cluster):
    cluster.fail("POST", status=422, body=b'{"kind":"Status","reason":"Invalid","message":"spec.x: bad"}')
    async with running(cluster, failure_policy=POLICY) as runner:
        outcome = await runner.submit(workload()).wait(5)
        assert (outcome.retryable, outcome.evidence[-1].name) == (True, "refused")
