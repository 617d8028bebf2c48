"""What a pod has asked for, and for how long it had it: CPU, memory and GPUs, times the seconds of its run. Pure.

What its containers really used, a pod's record does not say.
"""

from __future__ import annotations

from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Final, NamedTuple

from podrunner.outcome.result import Timings
from podrunner.quantity import parse_quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from podrunner.outcome.record import ContainerResources, Pod

__all__ = ["Requested", "requested_of", "with_resource_seconds"]

_GPU_SHARES: Final = ("gpu.", "mig-")
"""Of ``nvidia.com``: how a share of a GPU is named."""
_INTEL: Final = "gpu.intel.com"
_GPUS_OF_INTEL: Final = frozenset({"i915", "xe"})
"""By driver. Beside them are ``memory.max`` in bytes, ``millicores``, and the right to watch all: ``xe_monitoring``."""


class Requested(NamedTuple):
    """What a pod has asked for.

    Attributes:
        cpu_cores: CPU, in cores.
        memory_bytes: Memory, in bytes.
        gpus: GPUs, or shares of them such as ``nvidia.com/mig-1g.5gb``.
    """

    cpu_cores: float = 0.0
    memory_bytes: float = 0.0
    gpus: float = 0.0


_NOTHING: Final = Requested()


def requested_of(pod: Pod) -> Requested:
    """Return what a pod asks for while its main container runs: the requests of its containers, sidecars included.

    A request for the pod as a whole (KEP-2837) counts instead. What only init containers ask for, does not count.
    """
    asked = [_read(_requests(each)) for each in _running_beside(pod) if each is not None]
    if not asked and pod.spec.resources is None:
        return _NOTHING
    whole = _requests(pod.spec.resources)
    said = _read(whole)
    return Requested(
        said.cpu_cores if "cpu" in whole else sum(each.cpu_cores for each in asked),
        said.memory_bytes if "memory" in whole else sum(each.memory_bytes for each in asked),
        sum(each.gpus for each in asked),
    )


def with_resource_seconds(timings: Timings, pod: Pod) -> Timings:
    """Return the timings with what the pod had for how long; as they are if it is not known how long it ran."""
    run_s = timings.run_s
    if run_s is None:
        return timings
    asked = requested_of(pod)
    return Timings(  # four times as fast as dataclasses.replace, for each pod that ends
        created=timings.created,
        scheduled=timings.scheduled,
        started=timings.started,
        finished=timings.finished,
        measured_queue_s=timings.measured_queue_s,
        measured_run_s=timings.measured_run_s,
        cpu_core_s=asked.cpu_cores * run_s,
        memory_byte_s=asked.memory_bytes * run_s,
        gpu_s=asked.gpus * run_s,
    )


def _running_beside(pod: Pod) -> Iterator[ContainerResources | None]:
    for container in pod.spec.containers or ():
        yield container.resources
    for container in pod.spec.init_containers or ():
        if container.restart_policy == "Always":  # a native sidecar
            yield container.resources


def _requests(resources: ContainerResources | None) -> Mapping[str, object]:
    """Return the requests; a limit without a request is one, as the API server has it."""
    return {} if resources is None else {**(resources.limits or {}), **(resources.requests or {})}


def _read(requests: Mapping[str, object]) -> Requested:
    cpu_cores = memory_bytes = gpus = 0.0
    for name, value in requests.items():
        if name == "cpu":
            cpu_cores = _number(value)
        elif name == "memory":
            memory_bytes = _number(value)
        elif _is_gpu(name):
            gpus += _number(value)
    return Requested(cpu_cores, memory_bytes, gpus)


def _number(quantity: object) -> float:
    return _read_quantity(quantity) if isinstance(quantity, str | int | float) else 0.0


@lru_cache(maxsize=4096)
def _read_quantity(quantity: str | float) -> float:
    try:
        number = float(parse_quantity(quantity))
    except (ValueError, OverflowError):
        return 0.0
    return number if isfinite(number) else 0.0


def _is_gpu(name: str) -> bool:
    domain, _, resource = name.partition("/")
    if domain == _INTEL:
        return resource in _GPUS_OF_INTEL
    return domain.startswith("gpu.") or resource == "gpu" or resource.startswith(_GPU_SHARES)
