"""What a pod's records mean: its outcome, its deadlines while pending, its STATUS column.

Pure functions of records and of times that are handed in: no I/O, no clock, no anyio. Fetching records or events,
deleting pods and reporting outcomes do not belong here.
"""

from podrunner.outcome.category import USUAL_FAULT, Category, Fault
from podrunner.outcome.classify import classify, events_may_tell, timings_of
from podrunner.outcome.containers import ever_started, goes_on, main_name, main_status, may_restart_all
from podrunner.outcome.facts import (
    condition,
    deletion_asked_at,
    ended_before_deletion,
    is_over,
    is_past_deadline,
)
from podrunner.outcome.failure_policy import apply_failure_policy
from podrunner.outcome.final_status import awaits_final_status
from podrunner.outcome.history import NO_HISTORY, History, remember
from podrunner.outcome.lost import lost_verdict, run_verdict, suspicion
from podrunner.outcome.pending import gives_up_s, pending_verdict, waiting_for
from podrunner.outcome.printer import printer_status, ready_column, restarts_of
from podrunner.outcome.refused import refused_by_api
from podrunner.outcome.resources import requested_of, with_resource_seconds
from podrunner.outcome.result import Evidence, Outcome, Timings
from podrunner.outcome.scheduling import Shortage, Unschedulable, parse_unschedulable
from podrunner.outcome.stages import (
    PendingClock,
    Place,
    Stage,
    advance,
    began_at,
    place_of,
    was_never_gated,
)
from podrunner.outcome.telling import explain, is_explained_by_events
from podrunner.outcome.verdict import Verdict, verdict_outcome
from podrunner.outcome.waiting import Said, Waiting, is_same_cause, waiting, why

__all__ = [
    "NO_HISTORY",
    "USUAL_FAULT",
    "Category",
    "Evidence",
    "Fault",
    "History",
    "Outcome",
    "PendingClock",
    "Place",
    "Said",
    "Shortage",
    "Stage",
    "Timings",
    "Unschedulable",
    "Verdict",
    "Waiting",
    "advance",
    "apply_failure_policy",
    "awaits_final_status",
    "began_at",
    "classify",
    "condition",
    "deletion_asked_at",
    "ended_before_deletion",
    "events_may_tell",
    "ever_started",
    "explain",
    "gives_up_s",
    "goes_on",
    "is_explained_by_events",
    "is_over",
    "is_past_deadline",
    "is_same_cause",
    "lost_verdict",
    "main_name",
    "main_status",
    "may_restart_all",
    "parse_unschedulable",
    "pending_verdict",
    "place_of",
    "printer_status",
    "ready_column",
    "refused_by_api",
    "remember",
    "requested_of",
    "restarts_of",
    "run_verdict",
    "suspicion",
    "timings_of",
    "verdict_outcome",
    "waiting",
    "waiting_for",
    "was_never_gated",
    "why",
    "with_resource_seconds",
]
