"""Asks a cluster for what the checks judge, one question after the other; each finding is given as it is found.

Nothing is decided here but which question comes next: where one answer makes the next useless, the examination ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import anyio

from podrunner.cli.answers import part_of
from podrunner.cli.doctor import checks
from podrunner.cli.doctor.finding import Finding
from podrunner.cli.doctor.references import (
    Reference,
    finding_of_references,
    path_of,
    references_of,
)
from podrunner.cli.doctor.rights import Right, Rule, attributes, finding_of, needed_rules
from podrunner.errors import (
    ApiError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    PodrunnerError,
    SpecError,
    TransportError,
)
from podrunner.event_loop import current_time

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Collection

    from podrunner.builder import PodPlan
    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient, WatchStream
    from podrunner.runner import AsyncPodRunner
    from podrunner.workload import Workload

__all__ = ["Examination", "Trial"]

_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_IDENTITY = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_NO_PODS = "podrunner.io/doctor=none"
WATCH_LIMIT_S: Final = 10.0
"""Seconds until the bookmark of an empty list. A server sends it at once, a proxy that buffers at the watch's end."""
_PLACEHOLDER_IMAGE = "unset.invalid/image"
GONE_WITHIN_S: Final = 30.0
_LOOK_EACH_S = 0.25


@dataclass(frozen=True)
class Trial:
    """The test pod that is wanted.

    Attributes:
        wanted: Whether one is run.
        image: Its image; None: the configuration's.
        timeout_s: Seconds that it may take.
    """

    wanted: bool = True
    image: str | None = None
    timeout_s: float = 60.0


class Examination:
    """Examines a cluster for a configuration.

    Args:
        client: Reaches the cluster.
        settings: The configuration.
        credentials_of: Where the credentials come from.
        trial: The test pod.
    """

    def __init__(
        self, client: KubeClient, settings: RunnerConfig, *, credentials_of: str, trial: Trial
    ) -> None:
        self._client = client
        self._settings = settings
        self._credentials_of = credentials_of
        self._trial = trial

    async def findings(self) -> AsyncGenerator[Finding]:
        """Give the findings of all checks. The first is about the server's version: that it answers."""
        try:
            yield checks.version(await self._client.server_version())
        except PodrunnerError as error:
            yield checks.refused("server", error)
            return
        for check in (self._clock, self._identity):
            yield await check()
        plan, found = self._plan()
        if found is not None:
            yield found
        for each in await self._rights(has_secrets=plan is not None and plan.secret is not None):
            yield each
        refusal = None if plan is None else await self._dry_run(plan)
        if refusal is not None:
            yield refusal
        if plan is not None:
            for each in await self._references(plan):
                yield each
        yield await self._watch()
        async for each in self._trials(plan, is_refused=refusal is not None and refusal.level == "error"):
            yield each

    async def _clock(self) -> Finding:
        asked_at = datetime.now(UTC)
        try:
            date = await self._client.server_date()
        except PodrunnerError as error:
            return checks.refused("clock", error)
        return checks.clock(date, asked_at=asked_at, answered_at=datetime.now(UTC))

    async def _identity(self) -> Finding:
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            answer = await self._client.call("POST", _IDENTITY, body=body)
        except PodrunnerError as error:
            return checks.refused("identity", error)
        return checks.identity(answer, credentials_of=self._credentials_of)

    # Rights

    async def _rights(self, *, has_secrets: bool) -> list[Finding]:
        rules = needed_rules(self._settings, has_secrets=has_secrets)
        found: dict[int, Finding] = {}
        async with anyio.create_task_group() as tasks:
            for index, rule in enumerate(rules):
                tasks.start_soon(self._review, rule, index, found, name=f"doctor {rule.resource}")
        return [found[index] for index in range(len(rules))]

    async def _review(self, rule: Rule, index: int, found: dict[int, Finding]) -> None:
        try:
            allowed = {verb: await self._may(Right(rule, verb)) for verb in (*rule.verbs, *rule.useful)}
        except PodrunnerError as error:
            found[index] = checks.refused(f"right: {rule.resource}", error)
        else:
            found[index] = finding_of(rule, allowed)

    async def _may(self, right: Right) -> bool:
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes(right)},
        }
        answer = await self._client.call("POST", _REVIEW, body=body)
        return bool(part_of(answer, "status").get("allowed"))

    # The pod of the configuration

    def _plan(self) -> tuple[PodPlan | None, Finding | None]:
        """Build the pod; without an image, a name stands for it, which is not pulled."""
        from podrunner.builder import build_plan

        try:
            return build_plan(self._settings, self._workload(self._trial.image)), None
        except SpecError as error:
            problem = error
        try:
            plan = build_plan(self._settings, self._workload(_PLACEHOLDER_IMAGE))
        except SpecError:
            return None, checks.unreadable("pod", problem)
        message = "no image is configured: each workload has to name its own"
        return plan, Finding("image", "ok", message)

    def _workload(self, image: str | None) -> Workload:
        from podrunner.workload import Workload

        command = ["sh", "-c", f"echo {checks.EXPECTED_LINE}"]
        return Workload(key={"podrunner": f"doctor-{uuid4().hex[:8]}"}, command=command, image=image)

    async def _dry_run(self, plan: PodPlan) -> Finding | None:
        """Have the server check and admit the pod without storing it: quota, limits, policies, account, class."""
        from podrunner.kube.rights import is_about_rights

        path = f"/api/v1/namespaces/{plan.namespace}/pods"
        query = {"dryRun": "All", "fieldValidation": "Strict"}
        try:
            await self._client.call("POST", path, query=query, body=plan.manifest)
        except ForbiddenError as error:
            if is_about_rights(error):
                return Finding(
                    "pod", "skipped", "no right to create pods: whether one is accepted is not known"
                )
            return checks.pod_refused(error, namespace=plan.namespace)
        except ApiError as error:
            return checks.pod_refused(error, namespace=plan.namespace)
        except TransportError as error:
            return checks.unreadable("pod", error)
        return Finding(
            "pod", "ok", f"the server accepts the configuration's pod in {plan.namespace} (dry run)"
        )

    async def _references(self, plan: PodPlan) -> list[Finding]:
        own = {plan.secret["metadata"]["name"]} if plan.secret is not None else set()
        found: dict[Reference, Collection[str] | Exception | None] = {}
        for reference in references_of(plan.manifest, own=own):
            found[reference] = await self._keys(reference, plan.namespace)
        return finding_of_references(found, namespace=plan.namespace)

    async def _keys(self, reference: Reference, namespace: str) -> Collection[str] | Exception | None:
        try:
            answer = await self._client.call("GET", path_of(reference, namespace))
        except NotFoundError:
            return None
        except PodrunnerError as error:
            return error
        return frozenset(part_of(answer, "data").keys() | part_of(answer, "binaryData").keys())

    # The watch

    async def _watch(self) -> Finding:
        namespace = None if self._settings.all_namespaces else self._settings.namespace
        began = current_time()
        is_seen = False
        try:
            with anyio.move_on_after(WATCH_LIMIT_S):
                await self._first_event(namespace)
                is_seen = True
        except PodrunnerError as error:
            return checks.refused("watch", error)
        return checks.watch(seconds=current_time() - began if is_seen else None, limit_s=WATCH_LIMIT_S)

    async def _first_event(self, namespace: str | None) -> None:
        """Watch until the bookmark of an empty streaming list; without these, until the watch's last bookmark."""
        try:
            async with self._client.watch_pods(
                namespace, label_selector=_NO_PODS, send_initial_events=True
            ) as stream:
                await _first_of(stream)
                return
        except InvalidError:
            version = (await self._client.list_pods(namespace, limit=1)).resource_version
        # A server sends a bookmark two seconds before a watch's own end (cacheWatcher.nextBookmarkTime).
        async with self._client.watch_pods(
            namespace, label_selector=_NO_PODS, resource_version=version, timeout_s=WATCH_LIMIT_S / 2
        ) as stream:
            await _first_of(stream)

    # The test pod

    async def _trials(self, plan: PodPlan | None, *, is_refused: bool) -> AsyncIterator[Finding]:
        if not self._trial.wanted:
            return
        if plan is None or is_refused:
            yield Finding("test pod", "skipped", "not run: the server would not take it")
        elif _PLACEHOLDER_IMAGE in str(plan.manifest["spec"]["containers"]):
            yield Finding(
                "test pod", "skipped", "not run: it needs an image", "Name one that has sh: --image."
            )
        else:
            for each in await self._run(plan):
                yield each

    async def _run(self, plan: PodPlan) -> list[Finding]:
        from podrunner.config import LogSettings
        from podrunner.runner import AsyncPodRunner

        leaves_nothing = {
            "delete_pods": True,
            "delete_pods_on_failure": True,
            "outcome_finalizer": False,
            "outcome_delivery": "taken",
            "adopt_every_s": None,
            "logs": LogSettings(),
        }
        settings = self._settings.model_copy(update=leaves_nothing)
        began = current_time()
        try:
            async with AsyncPodRunner(settings, client=self._client, on_exit="cancel") as runner:
                found = await self._watched(runner, plan)
        except PodrunnerError as error:
            return [checks.refused("test pod", error)]
        return checks.trial(**found, seconds=current_time() - began)

    async def _watched(self, runner: AsyncPodRunner, plan: PodPlan) -> dict[str, Any]:
        pod = await runner.launch(self._workload(self._trial.image))
        log: list[str] = []
        outcome, waits_for = None, ""
        with anyio.move_on_after(self._trial.timeout_s):
            async with pod.logs() as lines:
                log += [str(line) async for line in lines]
            outcome = await pod.wait()
        if outcome is None:
            waits_for = await self._waits_for(plan.namespace, pod.name)
            await pod.cancel()
            await pod.wait()
        is_gone = await self._is_gone(plan.namespace, pod.name)
        return {"outcome": outcome, "waits_for": waits_for, "log": log, "is_gone": is_gone}

    async def _waits_for(self, namespace: str, name: str) -> str:
        from podrunner.outcome import NO_HISTORY, remember, why

        try:
            pod = await self._client.read_pod(namespace, name)
        except PodrunnerError as error:
            return str(error)
        said = why(pod, history=remember(NO_HISTORY, pod))
        return said.message if said is not None else f"its phase is {pod.status.phase}"

    async def _is_gone(self, namespace: str, name: str) -> bool:
        with anyio.move_on_after(GONE_WITHIN_S):
            try:
                while True:
                    await self._client.read_pod(namespace, name)
                    await anyio.sleep(_LOOK_EACH_S)
            except NotFoundError:
                return True
        return False


async def _first_of(stream: WatchStream) -> None:
    """Wait for the first event; an empty batch is none.

    Raises:
        TransportError: The watch ended without one.
    """
    async for batch in stream:
        if batch:
            return
    raise TransportError("the watch ended without an event")
