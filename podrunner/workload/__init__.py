"""What to run: the workload, its identity and its resources.

What belongs here: the values that a scheduler submits, checked when they are created, and their form in Airflow. What
does not: where and how pods run (``podrunner.config``) and the content of a pod (``podrunner.builder``). The only
files read are a workload's own and the pod template that it names, and only when the workload is created.
"""

from podrunner.workload.files import read_pod_template
from podrunner.workload.key import WorkloadKey
from podrunner.workload.model import Workload
from podrunner.workload.resources import Resources

__all__ = ["Resources", "Workload", "WorkloadKey", "read_pod_template"]
