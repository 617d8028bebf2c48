"""Settings of how podrunner behaves: retries, deadlines of pending pods, the watch, the logs, TCP keepalive.

Settings of the pod itself do not belong here. Pure data: no I/O, no clock.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field, field_validator, model_validator

from podrunner.config.frozen import Secret, Settings

if TYPE_CHECKING:
    from typing import Unpack

    from podrunner.config.arguments import LogArguments, PendingArguments

__all__ = [
    "LogSettings",
    "PendingPolicy",
    "RetrySettings",
    "RunRetrySettings",
    "Seconds",
    "TcpKeepalive",
    "WatchSettings",
]

_DAY_S = 86_400
_is_server_url: Final = re.compile(r"https?://[^/@?#\s]+(?P<path>/[^?#\s]*)").fullmatch

Seconds = Annotated[float, Field(ge=0, le=366 * _DAY_S)]
PositiveSeconds = Annotated[float, Field(gt=0, le=366 * _DAY_S)]


class TcpKeepalive(Settings):
    """Keepalive probes on the connections to the API server: they detect a peer that vanished without closing them.

    The numbers are those of Airflow's provider: a dead connection is noticed after 120 + 6 * 30 s.

    Attributes:
        enabled: Whether probes are sent.
        idle_s: Seconds of silence before the first probe.
        interval_s: Seconds between probes.
        count: Unanswered probes after which the connection is closed.
    """

    enabled: bool = True
    idle_s: int = Field(default=120, ge=1, le=32_767)
    interval_s: int = Field(default=30, ge=1, le=32_767)
    count: int = Field(default=6, ge=1, le=127)


class RetrySettings(Settings):
    """How a failed request is tried again: exponential waits with jitter.

    The waits are client-go's (0.8 s doubling up to 30 s). The server's ``Retry-After`` takes precedence.

    Attributes:
        attempts: How often at most, the first try included; 0 means without limit.
        initial_s: Seconds before the second try.
        max_s: Longest wait in seconds.
        jitter: Share of each wait that is random: 0 none, 1 all of it.
        initial_connect_timeout_s: Seconds to go on trying to reach an API server that has never answered; then
            ``UnreachableError``. Raise it for a scheduler that may start before its API server.
    """

    attempts: int = Field(default=8, ge=0)
    initial_s: PositiveSeconds = 0.8
    max_s: PositiveSeconds = 30.0
    jitter: float = Field(default=1.0, ge=0, le=1)
    initial_connect_timeout_s: PositiveSeconds = 4.0

    @model_validator(mode="after")
    def _ordered(self) -> RetrySettings:
        if self.max_s < self.initial_s:
            raise ValueError(f"max_s {self.max_s} is shorter than initial_s {self.initial_s}; Make it longer")
        return self


class RunRetrySettings(Settings):
    """When a workload that is run (``runner.run``) is tried again, unless the call sets other values.

    Attributes:
        attempts: Charged tries at most, the first included.
        infrastructure_retries: Free tries of one attempt, for pods that failed before the work began, by the
            infrastructure's fault.
        initial_s: Seconds before the second try (as the Job controller's).
        max_s: Longest wait in seconds; the waits double up to it.
        jitter: Share of each wait that is random: 0 none, 1 all of it.
    """

    attempts: int = Field(default=1, ge=1)
    infrastructure_retries: int = Field(default=3, ge=0)
    initial_s: PositiveSeconds = 10.0
    max_s: PositiveSeconds = 360.0
    jitter: float = Field(default=0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> RunRetrySettings:
        if self.max_s < self.initial_s:
            raise ValueError(f"max_s {self.max_s} is shorter than initial_s {self.initial_s}; Make it longer")
        return self


class PendingPolicy(Settings):
    """How long a pod may stay without starting, by cause. Giving up always deletes the pod.

    Attributes:
        fatal_reasons: Waiting reasons of a container that end the pod at once, without any grace.
        image_grace_s: Seconds that pulling the image may fail (``ErrImagePull``, ``ImagePullBackOff``): a
            registry may recover, and the kubelet itself waits up to 300 s between tries.
        config_grace_s: Seconds that a container may miss its configuration or its program
            (``CreateContainerConfigError``, ``CreateContainerError``, ``RunContainerError``, ``StartError``), also if
            the kubelet starts it again and again. Not 0: a Secret that the pod owns is created just after the pod.
        crash_grace_s: Seconds that an init container or a native sidecar may fail and be started again
            (``CrashLoopBackOff``), before the main container has run; None: no limit. The restarts of the main
            container itself have none: they are the pod's own restart policy.
        creating_grace_s: Seconds on a node until the next container is created, while no status says what is wrong:
            volumes that are not mounted, a network that is not set up, an image that is still being pulled; None: no
            limit.
        unschedulable_grace_s: Seconds without a node, counted from the opening of the last scheduling gate; None waits
            for ever, as a cluster autoscaler needs.
        startup_timeout_s: Seconds until the main container runs, whatever the cause, counted from the creation or
            from the opening of the last scheduling gate; None: no limit.
    """

    fatal_reasons: tuple[str, ...] = ("InvalidImageName", "ErrImageNeverPull")
    image_grace_s: Seconds = 300.0
    config_grace_s: Seconds = 30.0
    crash_grace_s: Seconds | None = 600.0
    creating_grace_s: Seconds | None = 3600.0
    unschedulable_grace_s: Seconds | None = None
    startup_timeout_s: PositiveSeconds | None = None

    if TYPE_CHECKING:

        def __init__(self, **arguments: Unpack[PendingArguments]) -> None: ...


class WatchSettings(Settings):
    """How podrunner watches its pods.

    Attributes:
        page_size: Pods per page of a list.
        max_listed_pods: Pods that a list may have: a longer one counts as one without an end, and the watch does not
            begin. A runner that knows more than half as many lists twice as many as it knows.
        server_timeout_s: Seconds after which the server is asked to end a watch (varied by a few percent, so
            that many runners do not reconnect at once). Under 300 s, where common load balancers cut.
        inactivity_s: Seconds without any sign (a bookmark comes about each minute) after which the connection
            counts as dead and is opened anew.
        backoff_initial_s: Seconds before the first reconnect after an error.
        backoff_max_s: Longest wait in seconds between reconnects.
        backoff_reset_s: Healthy seconds after which the waits start short again (client-go: two minutes).
        stale_after_s: Seconds that the watch may stay interrupted until the known state counts as stale, which is
            reported to callers. A connection that brings anything else than events is an interruption too.
        streaming_lists: Whether the first list comes through the watch (``sendInitialEvents``): ``auto``
            tries it and falls back, ``on`` insists, ``off`` lists in pages.
    """

    page_size: int = Field(default=500, ge=1, le=10_000)
    max_listed_pods: int = Field(default=40_000, ge=1, le=10_000_000)
    server_timeout_s: float = Field(default=290.0, ge=1, le=_DAY_S)
    inactivity_s: float = Field(default=120.0, gt=0, le=_DAY_S)
    backoff_initial_s: PositiveSeconds = 0.8
    backoff_max_s: PositiveSeconds = 30.0
    backoff_reset_s: Seconds = 120.0
    stale_after_s: PositiveSeconds = 60.0
    streaming_lists: Literal["auto", "on", "off"] = "auto"

    @model_validator(mode="after")
    def _ordered(self) -> WatchSettings:
        if self.backoff_max_s < self.backoff_initial_s:
            raise ValueError("backoff_max_s is shorter than backoff_initial_s; Make it longer")
        return self


class LogSettings(Settings):
    """What is collected of the pods' logs, and where to.

    Attributes:
        folder: Folder on this machine where the collector writes one file per attempt, in Airflow's layout
            (``<dag_id>/<task_id>/<execution_date>/<try>.log``); None: no files.
        follow: ``all`` follows each pod as it runs, ``on-demand`` only those that have a reader, ``end``
            fetches the log when the pod has ended, ``off`` collects nothing.
        containers: The containers whose logs are collected: ``main``, the main container's; ``all``, also those of
        init containers and
            sidecars; or a list of names, of which a pod need not have each. Other containers' files lie beside the
            main one's: ``1.git-sync.log``.
        timestamps: Whether each line of a file keeps the container runtime's timestamp in front.
        max_file_bytes: Bytes after which a log's file becomes a part beside it (``1.log.1``, ``1.log.2``, …) and a new
            one is begun; None: one file. Nothing is ever removed.
        compress: Whether such parts are compressed (``1.log.1.gz``).
        tail_lines_on_failure: Last lines kept in the outcome of a failed pod; 0: none.
        drain_timeout_s: Seconds that an ended pod's log may take until the pod is deleted anyway.
        server_url: Where a worker's log server has the log, if neither this machine nor the pod has it:
            ``http://{host}:8793/log/{path}`` is Airflow's; ``{host}`` is the pod's name. It holds no credentials
            and no query. Without it no server is asked.
        server_secret_key: What requests to it are signed with (Airflow's ``[webserver] secret_key``); None: unsigned.
        max_follows: How many connections logs take at once, at least 2. One in five is kept for the logs of pods that
            have ended. If more pods run than connections are left, their logs are followed in turns.
        turn_s: Seconds that a log is followed at a stretch while other logs wait for a connection.
    """

    folder: Path | None = None
    follow: Literal["all", "on-demand", "end", "off"] = "all"
    containers: Literal["main", "all"] | tuple[str, ...] = "main"
    timestamps: bool = False
    max_file_bytes: int | None = Field(default=None, ge=1024, le=2**30)
    compress: bool = False
    tail_lines_on_failure: int = Field(default=100, ge=0, le=10_000)
    drain_timeout_s: Seconds = 30.0
    server_url: str | None = None
    server_secret_key: Secret | None = None
    max_follows: int = Field(default=500, ge=2, le=100_000)
    turn_s: PositiveSeconds = 30.0

    if TYPE_CHECKING:

        def __init__(self, **arguments: Unpack[LogArguments]) -> None: ...

    @field_validator("server_url")
    @classmethod
    def _url_of_logs(cls, url: str | None) -> str | None:
        found = None if url is None else _is_server_url(url)
        if url is not None and (found is None or "{path}" not in found["path"]):
            raise ValueError(
                "must be an http or https URL with {path} in its path, without user, query and fragment; "
                "Write it as http://{host}:8793/log/{path}"
            )
        return url

    @model_validator(mode="after")
    def _compressed_in_parts(self) -> LogSettings:
        if self.compress and self.max_file_bytes is None:
            raise ValueError("compress has no effect without parts; Set max_file_bytes too")
        return self
