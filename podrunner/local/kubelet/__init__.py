"""The kubelet of a LocalCluster: it runs the containers of pods as processes of this machine.

Here belongs everything that a node and the controllers around it do: binding pods to the node, binding claims to
volumes, images, volumes, container processes and their ends, logs, exec and attach, pod status, scripted pods. What
the API server answers does not belong here: the two meet in the store and in :class:`Kubelet`'s few methods.
"""

from __future__ import annotations

from podrunner.local.api.runtime import LogOptions
from podrunner.local.kubelet.claims import ClaimBinder
from podrunner.local.kubelet.context import ApiAccess, Timing
from podrunner.local.kubelet.images import Image
from podrunner.local.kubelet.kubelet import Kubelet
from podrunner.local.kubelet.scheduler import Scheduler
from podrunner.local.kubelet.script import Lifecycle

__all__ = ["ApiAccess", "ClaimBinder", "Image", "Kubelet", "Lifecycle", "LogOptions", "Scheduler", "Timing"]
