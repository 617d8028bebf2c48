"""The watch loop: one list and watch for all pods of a namespace, and the store that it keeps up to date.

What a pod's status means does not belong here (``podrunner.outcome``), nor what is done about it (the runner).
"""

from podrunner.watch.health import WatchHealth
from podrunner.watch.reflector import PodListerWatcher, Reflector
from podrunner.watch.store import Kind, Observation, PodStore, PodView, is_older

__all__ = [
    "Kind",
    "Observation",
    "PodListerWatcher",
    "PodStore",
    "PodView",
    "Reflector",
    "WatchHealth",
    "is_older",
]
