"""What a benchmark launches is decided by its seed, stays within limits, and is said to the user beforehand."""

from __future__ import annotations

import json
import subprocess

import msgspec
import pytest
from podrunner.bench.plan import (
    MAX_CLUSTER_PODS,
    MAX_CONCURRENCY,
    MAX_PODS,
    Life,
    Plan,
    Target,
    announcement,
    checked,
    command_of,
    lives_of,
    question,
    script_of,
)
from podrunner.errors import UsageError
from podrunner.local import Lifecycle


def plan(**changes) -> Plan:
    given = {"target": Target.CLUSTER, "run": "1a2b", "pods": 100, "concurrency": 30}
    return Plan(**{**given, **changes})


def test_the_same_seed_gives_the_same_lives():
    assert lives_of(plan(seed=7)) == lives_of(plan(seed=7))
    assert lives_of(plan(seed=7)) != lives_of(plan(seed=8))


def test_the_lives_are_as_planned():
    lives = lives_of(plan(pods=2000, failing=0.25, running_s=0.5, log_lines=2))
    assert 0.2 < sum(life.exit_code > 0 for life in lives) / 2000 < 0.3
    assert all(0 <= life.running_s <= 1.0 for life in lives)
    assert lives[3].log == ("pod 3 line 0", "pod 3 line 1")
    assert not any(life.exit_code for life in lives_of(plan(failing=0)))


def test_a_script_is_one_that_a_local_cluster_reads():
    life = Life(0.25, 7, ("a",))
    assert Lifecycle.from_json(script_of(life)) == Lifecycle(running_s=0.25, exit_code=7, log=["a"])
    assert json.loads(script_of(Life(0.0, 0))) == {"running_s": 0.0}


def test_a_command_does_what_the_life_says():
    done = subprocess.run(
        command_of(Life(0.01, 7, ("one", "two"))), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (7, "one\ntwo\n")


def test_the_user_is_told_what_will_be_created():
    said = announcement(plan(), namespace="jobs", server="context prod of /home/me/.kube/config")
    assert said == (
        "podrunner bench will create 100 pods, at most 30 at once, and one Lease",
        "  in namespace jobs of context prod of /home/me/.kube/config",
        "  image busybox:1.37: sleeps 0.2 s on average, and exits",
        "  requests 10m CPU and 16Mi memory each: 300m and 480Mi at once",
        "  labels app.kubernetes.io/part-of=podrunner-bench, podrunner-bench/run=1a2b",
        "  5% of them fail, as planned; all are deleted at the end, and at Ctrl-C",
        "  after 600 s the run is given up, and what is left is deleted",
    )
    assert question(plan()) == "Create 100 pods?"
    assert question(plan(pods=1)) == "Create 1 pod?"


def test_requests_are_summed_over_the_pods_that_there_are_at_once():
    (amounts,) = (
        line
        for line in announcement(plan(pods=3, cpu="1.5", memory="1Gi"), namespace="", server="")
        if "requests" in line
    )
    assert amounts.endswith("each: 4500m and 3Gi at once")


@pytest.mark.parametrize(
    "changes",
    [
        {"pods": MAX_CLUSTER_PODS + 1},
        {"concurrency": MAX_CONCURRENCY + 1},
        {"target": Target.STUB, "pods": MAX_PODS + 1},
    ],
)
def test_a_plan_beyond_the_limits_is_refused(changes):
    with pytest.raises(UsageError, match="is the limit"):
        checked(plan(**changes))


def test_an_amount_that_is_no_quantity_is_refused():
    with pytest.raises(UsageError, match="--memory is '16 MB'"):
        checked(plan(memory="16 MB"))


@pytest.mark.parametrize("amount", ["-1", "-16Mi"])
@pytest.mark.parametrize("target", Target)
def test_a_negative_amount_is_refused_by_the_name_of_its_option(amount, target):
    with pytest.raises(UsageError, match="it must be 0 or more"):
        checked(plan(target=target, cpu=amount))
    assert checked(plan(target=target, cpu="0")).cpu == "0"


def test_a_plan_at_the_limits_is_taken():
    most = plan(pods=MAX_CLUSTER_PODS, concurrency=MAX_CONCURRENCY)
    assert checked(most) is most
    many = msgspec.structs.replace(most, target=Target.STUB, pods=MAX_PODS, concurrency=MAX_PODS)
    assert checked(many) is many


@pytest.mark.parametrize("cpu", ["1e999999999", "1e25", "9" * 3_000])
def test_any_amount_is_announced(cpu):
    assert announcement(checked(plan(cpu=cpu)), namespace="jobs", server="s")
