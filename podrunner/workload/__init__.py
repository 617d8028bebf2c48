"""What to run: the workload, its identity and its resources.

What belongs here: the values that a scheduler hands over, checked as soon as they are made, and Airflow's way
to say them. What does not: where and how pods run (``podrunner.config``) and what a pod looks like
(``podrunner.builder``). The only files touched are a workload's own and the pod template it names, and only
while it is made.
"""

from podrunner.workload.files import read_pod_template
from podrunner.workload.key import WorkloadKey
from podrunner.workload.model import Workload
from podrunner.workload.resources import Resources

__all__ = ["Resources", "Workload", "WorkloadKey", "read_pod_template"]
