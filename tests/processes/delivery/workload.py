"""The pods of a round: each leaves its side effect in a file, writes its numbered lines, and ends as planned."""

from __future__ import annotations

import json
from pathlib import Path

from podrunner import Workload, WorkloadKey
from tests.processes.delivery.plan import Attempt, Round

__all__ = ["workload_of"]

PROGRAM = """
import json, os, sys, time
attempt = int(os.environ["ATTEMPT"])
task, plans = json.loads(sys.argv[1])
lines, runs_s, exit_code, too_large = plans[str(attempt)]
effects = os.open("/effects/effects", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
os.write(effects, (json.dumps({"task": task, "attempt": attempt, "uid": os.environ["POD_UID"]}) + "\\n").encode())
os.fsync(effects)
for number in range(lines):
    print(f"task {task} attempt {attempt} line {number}", flush=number % 10 == 9)
    time.sleep(runs_s / lines)
sys.stdout.flush()
if not lines:
    time.sleep(runs_s)
if too_large:
    taken = b"x" * (256 << 20)
    time.sleep(60)
sys.exit(exit_code)
"""
"""The effect comes first: a process that has begun leaves it, whatever becomes of the process."""

MEMORY = "96Mi"


def workload_of(attempt: Attempt, *, plan: Round, effects: Path) -> Workload:
    """Return what to run for an attempt; each pod of its task is told by its annotation which attempt it is.

    Args:
        attempt: Which.
        plan: The round.
        effects: A folder of the node, in which the pod's process writes ``effects``.
    """
    tries = plan.tries(attempt.task)
    plans = {each.number: [each.lines, each.runs_s, each.exit_code, each.too_large] for each in tries}
    fields = {"POD_UID": "metadata.uid", "ATTEMPT": "metadata.annotations['podrunner.io/attempt']"}
    env = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()]
    container: dict[str, object] = {"name": "base", "env": env}
    if any(each.too_large for each in tries):
        container["resources"] = {"limits": {"memory": MEMORY}, "requests": {"memory": MEMORY}}
    return Workload(
        key=WorkloadKey({"round": str(plan.seed), "task": str(attempt.task)}, attempt.number),
        command=["python3", "-S", "-c", PROGRAM, json.dumps([attempt.task, plans])],
        volumes=[{"name": "effects", "hostPath": {"path": str(effects), "type": "Directory"}}],
        volume_mounts=[{"name": "effects", "mountPath": "/effects"}],
        overrides={"spec": {"containers": [container]}},
        termination_grace_period_s=2,
    )
