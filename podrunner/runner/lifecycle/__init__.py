"""The life of a pod as its runner sees it: a state machine. Pure: no I/O, no clock, no tasks.

:data:`TABLE` says, for each state, which inputs are legal in it and which states may follow; :func:`step` applies one
input to one state. What belongs here: every decision about one pod, from its submission until nothing is left to do.
What does not: what a record means (``podrunner.outcome``), when a deadline has passed
(:mod:`podrunner.runner.deadlines`), and carrying out the effects (:mod:`podrunner.runner.supervisor`).
"""

from __future__ import annotations

from podrunner.runner.lifecycle.ended import wants_events, with_events
from podrunner.runner.lifecycle.launch import replayed_state
from podrunner.runner.lifecycle.steps import Step
from podrunner.runner.lifecycle.table import TABLE, Transition, step

__all__ = ["TABLE", "Step", "Transition", "replayed_state", "step", "wants_events", "with_events"]
