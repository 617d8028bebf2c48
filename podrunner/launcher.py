"""Creates each pod exactly once, and deletes.

The pod's name is made from the workload's identity and attempt, so a create whose reply was lost finds its own pod by
that name. What is noted before the request is sent (the intent) is what a cancellation cleans up after. When to
launch, how many at once, what becomes of a pod afterwards, and of a pod of that name that an earlier launch made
(``podrunner.ownership.existing``), does not belong here.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import anyio

from podrunner.builder import read_ownership, with_ownership
from podrunner.builder.labels import (
    DEFAULT_CONTAINER,
    MANIFEST_HASH,
    OUTCOME,
    OUTCOME_FINALIZER,
    REPORTED,
    STARTED,
    VERDICT,
)
from podrunner.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    OwnershipError,
    PodrunnerError,
    RequestTimeoutError,
    ServerError,
    TransportError,
)
from podrunner.event_loop import make_event
from podrunner.kube import Deletion, RequestRetry, retrying
from podrunner.log_fields import pod_fields
from podrunner.outcome import ever_started, main_status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from podrunner.builder import PodPlan
    from podrunner.config import RunnerConfig
    from podrunner.event_loop import Event
    from podrunner.outcome.record import Pod
    from podrunner.workload import WorkloadKey

__all__ = ["CreateIntent", "Launched", "Launcher", "Occupied", "PodMaker"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

_READS_AFTER_CANCEL_S = (0.0, 0.5, 1.5)
"""Waits before each read of a pod after its create was cancelled: the server may still be creating it. A pod that
appears later is recognised by :meth:`Launcher.is_unwanted`."""

_CLEANUP_S = 30.0
"""Seconds that cleaning up after a cancelled launch may take; then the intent stays noted as unwanted."""

_UNWANTED_KEPT = 10_000
"""Cancelled launches that are remembered: about 2 MB at the very most."""


class PodMaker(Protocol):
    """What a launcher needs of a client."""

    async def create_pod(
        self, namespace: str, manifest: Mapping[str, Any], *, before_send: Callable[[], None] | None = None
    ) -> Pod:
        """Create a pod, one try; what ``before_send`` raises, right before the request, keeps it from going out."""
        ...

    async def read_pod(self, namespace: str, name: str) -> Pod:
        """Read a pod."""
        ...

    async def delete_pod(
        self,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_period_s: int | None = None,
        before_send: Callable[[], None] | None = None,
    ) -> Deletion:
        """Delete a pod; false: it was not there."""
        ...

    async def patch_pod(
        self,
        namespace: str,
        name: str,
        patch: Mapping[str, Any],
        *,
        resource_version: str | None = None,
        strategic: bool = False,
        before_send: Callable[[], None] | None = None,
    ) -> Pod:
        """Change a pod."""
        ...

    async def create_secret(
        self, namespace: str, manifest: Mapping[str, Any], *, before_send: Callable[[], None] | None = None
    ) -> None:
        """Create a Secret."""
        ...

    async def delete_secret(
        self, namespace: str, name: str, *, before_send: Callable[[], None] | None = None
    ) -> bool:
        """Delete a Secret; False: it was not there."""
        ...


class Launched(NamedTuple):
    """A pod that this launch made.

    Attributes:
        pod: Its record.
    """

    pod: Pod


class Occupied(NamedTuple):
    """A pod of that name is there, and this launch did not make it. It is left as it is.

    Attributes:
        pod: Its record, if it was read.
    """

    pod: Pod | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateIntent:
    """A launch under way: noted before its first request, dropped when it is known how it ended."""

    namespace: str
    name: str
    key: WorkloadKey


@dataclass(slots=True)
class _Try:
    """What one launch knows of its tries so far."""

    intent: CreateIntent
    manifest: dict[str, Any]
    may_exist: bool = False
    pod: Pod | None = None
    secret_may_exist: bool = False


class Launcher:
    """Creates pods from plans, each exactly once.

    Args:
        client: Talks to the API server; may try each request once, repeating is done here.
        owner: The runner's name; stamped on each pod.
        scope: The runner's scope; stamped likewise.
        config: Its retry settings are read.
        random: The source of jitter; None: a new one.
        sleep: Waits between tries.
        on_retry: Called with each failure that is tried again, and the seconds until then.
        may_act: Whether the owner still holds its Lease: called right before each request that changes something is
            sent, after all waiting.
        on_begun: Called with the pod of a launch that failed or was cancelled, if it has started: its work may be done,
            so it is not simply deleted. None: it is.
    """

    def __init__(  # noqa: PLR0913  # the engine wires it
        self,
        client: PodMaker,
        *,
        owner: str,
        scope: str,
        config: RunnerConfig,
        random: Random | None = None,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        on_retry: Callable[[PodrunnerError, float], None] | None = None,
        may_act: Callable[[], bool] = lambda: True,
        on_begun: Callable[[Pod], None] | None = None,
    ) -> None:
        self._client = client
        self._owner = owner
        self._scope = scope
        self._creating = RequestRetry.of(config.create_retry)
        self._other = RequestRetry.of(config.retry)
        self._random = random or Random()  # noqa: S311  # jitter guards nothing
        self._sleep = sleep
        self._on_retry = on_retry
        self._may_act = may_act
        self._on_begun = on_begun
        self._intents: dict[tuple[str, str], CreateIntent] = {}
        self._unwanted: OrderedDict[tuple[str, str], WorkloadKey] = OrderedDict()
        self._discards: dict[tuple[str, str], list[Event]] = {}  # that are under way; set at their ends

    @property
    def intents(self) -> tuple[CreateIntent, ...]:
        """The launches under way."""
        return tuple(self._intents.values())

    def is_launching(self, namespace: str, name: str) -> bool:
        """Whether a launch of that name is under way."""
        return (namespace, name) in self._intents

    def is_unwanted(self, pod: Pod) -> bool:
        """Whether a pod was created after its launch was cancelled: it is to be deleted."""
        key = self._unwanted.get((pod.metadata.namespace, pod.metadata.name))
        return key is not None and self._is_ours(pod, key)

    def want(self, namespace: str, name: str) -> None:
        """A pod of that name is not deleted as the leftover of an earlier launch."""
        self._unwanted.pop((namespace, name), None)

    async def launch(
        self,
        plan: PodPlan,
        *,
        key: WorkloadKey | None = None,
        namespace: str | None = None,
        on_occupied: Callable[[Pod], None] | None = None,
    ) -> Launched | Occupied:
        """Make the pod of a plan, and its Secret.

        Cancelling deletes what was made, even when the answer was not there yet.

        Args:
            plan: The pod.
            key: Identity and attempt; None: the plan's.
            namespace: Where to; None: the plan's.
            on_occupied: Called if the launch is cancelled, with a pod that has the name and that it did not make.

        Returns:
            The pod; or that another pod has its name: of an earlier launch of this attempt, or anyone's.

        Raises:
            OwnershipError: The runner is no owner any more.
            ApiError: The server refuses, for good or until the tries are used up.
            TransportError: The server cannot be reached until the tries are used up. If the pod may exist nevertheless,
                it is remembered as unwanted.
        """
        intent = CreateIntent(namespace=namespace or plan.namespace, name=plan.name, key=key or plan.key)
        place = (intent.namespace, intent.name)
        self._intents[place] = intent
        self.want(*place)
        attempt = _Try(intent, self._stamped(plan, intent.key))
        try:
            await self._discards_end(place)
            return await self._launch(plan, attempt)
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(_CLEANUP_S, shield=True):
                await self._undo(attempt, waits_s=_READS_AFTER_CANCEL_S, on_occupied=on_occupied)
            raise
        except PodrunnerError as error:
            if not isinstance(error, OwnershipError):
                self._give_up(attempt)
            raise
        finally:
            del self._intents[place]

    async def delete(
        self,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_period_s: int | None = None,
        before_send: Callable[[], None] | None = None,
    ) -> Deletion:
        """Delete a pod, trying again after transient errors.

        Args:
            namespace: Its namespace.
            name: Its name.
            uid: Delete it only if this is its UID; None: whichever has the name.
            resource_version: Delete it only if it is still at this version; None: at whichever.
            grace_period_s: Seconds between SIGTERM and SIGKILL; None: the pod's own; 0: drop it without hearing the
                node, for a node that is gone.
            before_send: Called right before each request, after the Lease was checked; what it raises is raised, and
                nothing is sent. None: nothing more is checked.

        Returns:
            The server's answer, with the pod as it was then; false if it was not there.

        Raises:
            OwnershipError: The runner is no owner any more; the pod is left to a successor.
            ConflictError: The pod is at another version.
            ApiError: The server refuses.
            TransportError: The server cannot be reached.
        """
        tries = 0

        def check() -> None:
            self._check_owner(namespace, name)
            if before_send is not None:
                before_send()

        async def delete() -> Deletion:
            nonlocal tries
            tries += 1
            return await self._client.delete_pod(
                namespace,
                name,
                uid=uid,
                resource_version=resource_version,
                grace_period_s=grace_period_s,
                before_send=check,
            )

        answer = await self._retrying(delete, policy=self._other, name=f"delete pod {namespace}/{name}")
        return Deletion(found=answer.found, pod=answer.pod, repeated=tries > 1)

    def _stamped(self, plan: PodPlan, key: WorkloadKey) -> dict[str, Any]:
        return with_ownership(
            plan.manifest,
            owner=self._owner,
            scope=self._scope,
            key=key,
            log_path=plan.log_path,
            main_container=plan.main_container,
            manifest_hash=plan.manifest_hash,
        )

    async def _launch(self, plan: PodPlan, attempt: _Try) -> Launched | Occupied:
        intent = attempt.intent
        launched = await self._retrying(
            lambda: self._create(attempt),
            policy=self._creating,
            name=f"create pod {intent.namespace}/{intent.name}",
        )
        if isinstance(launched, Launched):
            attempt.pod = launched.pod
            if plan.secret is not None:
                await self._add_secret(plan.secret, attempt, created=True)
        return launched

    async def add_secret(self, plan: PodPlan, pod: Pod) -> None:
        """Make the Secret of a plan for a pod that an earlier launch made, if that launch did not come to it.

        Raises:
            OwnershipError: The runner is no owner any more.
            ApiError: The server refuses; the pod stays.
            TransportError: The server cannot be reached.
        """
        if plan.secret is not None:
            intent = CreateIntent(namespace=pod.metadata.namespace, name=pod.metadata.name, key=plan.key)
            await self._add_secret(plan.secret, _Try(intent, plan.manifest, pod=pod), created=False)

    # Creating

    async def _create(self, attempt: _Try) -> Launched | Occupied:
        """Try once. What may exist is looked up first, never just sent again."""
        if attempt.may_exist and (found := await self._look_twice(attempt)) is not None:
            return found
        lost_before = attempt.may_exist
        intent = attempt.intent
        try:
            # From here until the answer, a cancellation leaves it open whether there is a pod.
            attempt.may_exist = True
            made = await self._client.create_pod(
                intent.namespace,
                attempt.manifest,
                before_send=partial(self._check_owner, intent.namespace, intent.name),
            )
        except AlreadyExistsError:
            attempt.may_exist = lost_before
            return await self._look(attempt) if lost_before else Occupied(None)
        except (ServerError, RequestTimeoutError):
            raise
        except TransportError as error:
            attempt.may_exist = lost_before or error.sent
            raise
        except PodrunnerError:
            attempt.may_exist = lost_before
            raise
        self._check_answer(made, attempt)
        return Launched(made)

    def _check_answer(self, made: Pod, attempt: _Try) -> None:
        """Check that an answer shows the pod that was asked for: one that was changed on the way is as good as lost.

        Raises:
            TransportError: It does not.
        """
        meta, intent, sent = made.metadata, attempt.intent, attempt.manifest["metadata"]
        is_named = (meta.namespace, meta.name) == (intent.namespace, intent.name)
        is_as_sent = meta.annotations == sent["annotations"] and meta.labels == sent["labels"]
        if not (meta.uid and is_named and (is_as_sent or self._is_ours(made, intent.key))):
            raise TransportError(
                f"the answer to the create of pod {intent.namespace}/{intent.name} shows another"
            )

    async def _look(self, attempt: _Try) -> Launched | Occupied:
        """Look whose pod has the name; an earlier try whose answer was lost may have made it."""
        return await self._look_twice(attempt) or Occupied(None)

    async def _look_twice(self, attempt: _Try) -> Launched | Occupied | None:
        """Look what has the name. That it is not ours is believed at a second look: one may be changed on the way."""
        first = await self._seen(attempt)
        return await self._seen(attempt) if isinstance(first, Occupied) else first

    async def _seen(self, attempt: _Try) -> Launched | Occupied | None:
        found = await self._find(attempt.intent.namespace, attempt.intent.name)
        return None if found is None else self._as_requested(found, attempt)

    async def _find(self, namespace: str, name: str) -> Pod | None:
        """Return the pod that has a name, or None if there is none."""
        try:
            return await self._client.read_pod(namespace, name)
        except NotFoundError:
            return None

    def _as_requested(self, found: Pod, attempt: _Try) -> Launched | Occupied:
        """Return whether a pod that was found is what an unanswered request of this launch asked for."""
        sent = attempt.manifest["metadata"]["annotations"]
        said = found.metadata.annotations or {}
        # What a runner writes about an end is on no pod that was created just now: an earlier process had our name.
        is_new = not said.keys() & {REPORTED, VERDICT, OUTCOME, STARTED}
        is_same = is_new and said.get(MANIFEST_HASH) == sent.get(MANIFEST_HASH)
        return Launched(found) if is_same and self._is_ours(found, attempt.intent.key) else Occupied(found)

    def _check_owner(self, namespace: str, name: str) -> None:
        if not self._may_act():
            raise OwnershipError(
                f"this runner lost its lease: pod {namespace}/{name} is left to the runner that adopts it",
                namespace=namespace,
                name=name,
                owner=self._owner,
            )

    def _is_ours(self, pod: Pod, key: WorkloadKey) -> bool:
        said = read_ownership(pod.metadata.labels, pod.metadata.annotations)
        return said is not None and said.key == key and said.owner == self._owner

    # The Secret: made after the pod and owned by it, so that it can never outlive it

    async def _add_secret(self, secret: Mapping[str, Any], attempt: _Try, *, created: bool) -> None:
        pod = attempt.pod
        assert pod is not None
        owned = _owned_by(secret, pod)
        name = owned["metadata"]["name"]
        try:
            await self._retrying(
                lambda: self._create_secret(owned, attempt, created=created),
                policy=self._creating,
                name=f"create secret {attempt.intent.namespace}/{name}",
            )
        except PodrunnerError:
            if created:
                await self.discard(pod)
            raise

    async def _create_secret(self, secret: Mapping[str, Any], attempt: _Try, *, created: bool) -> None:
        namespace, name = attempt.intent.namespace, secret["metadata"]["name"]
        check = partial(self._check_owner, namespace, attempt.intent.name)
        try:
            await self._client.create_secret(namespace, secret, before_send=check)
        except AlreadyExistsError:
            if attempt.secret_may_exist or not created:
                return  # of our own try whose answer was lost, or of the launch that made the pod
            # Of an earlier pod of this name, which is gone; the garbage collector has not come by yet.
            await self._client.delete_secret(namespace, name, before_send=check)
            await self._client.create_secret(namespace, secret, before_send=check)
        except (TransportError, ServerError):
            attempt.secret_may_exist = True
            raise

    # Undoing

    def _give_up(self, attempt: _Try) -> None:
        """After the tries are used up, a pod may still appear: remember it as unwanted."""
        if attempt.may_exist and attempt.pod is None:
            self._remember_unwanted(attempt.intent)

    def _remember_unwanted(self, intent: CreateIntent) -> None:
        self._unwanted[intent.namespace, intent.name] = intent.key
        if len(self._unwanted) > _UNWANTED_KEPT:
            self._unwanted.popitem(last=False)

    async def _undo(
        self, attempt: _Try, *, waits_s: tuple[float, ...], on_occupied: Callable[[Pod], None] | None
    ) -> None:
        if not (attempt.may_exist and self._may_act()):
            return
        self._remember_unwanted(attempt.intent)
        for wait_s in waits_s:
            await self._sleep(wait_s)
            found = Launched(attempt.pod) if attempt.pod is not None else await self._found(attempt)
            if isinstance(found, Launched):
                await self.discard(found.pod)
            elif found is not None and found.pod is not None and on_occupied is not None:
                on_occupied(found.pod)
            if found is not None:
                return

    async def _found(self, attempt: _Try) -> Launched | Occupied | None:
        intent = attempt.intent
        try:
            found = await self._retrying(
                lambda: self._find(intent.namespace, intent.name),
                policy=self._other,
                name=f"look for pod {intent.namespace}/{intent.name}",
            )
        except PodrunnerError as error:
            _log.warning(
                "pod %s/%s may be left behind: %s",
                intent.namespace,
                intent.name,
                error,
                extra=pod_fields(intent),
            )
            return None
        return None if found is None else self._as_requested(found, attempt)

    async def discard_unwanted(self, pod: Pod) -> None:
        """Delete a pod for which :meth:`is_unwanted` holds, as :meth:`discard`, unless a launch of its name begins."""
        await self.discard(pod, is_wanted=lambda: not self.is_unwanted(pod))

    async def discard(self, pod: Pod, *, is_wanted: Callable[[], bool] = lambda: False) -> None:
        """Delete the pod of a launch that failed or was cancelled, as long as it has not started.

        A failure is logged, and garbage collection finds the pod by its label.

        Args:
            pod: The pod.
            is_wanted: Asked before each request: whether the pod is to stay after all.
        """
        meta = pod.metadata
        place, ended = (meta.namespace, meta.name), make_event()
        self._discards.setdefault(place, []).append(ended)
        with anyio.move_on_after(_CLEANUP_S, shield=True):
            try:
                await self._discard(pod, is_wanted)
            except PodrunnerError as error:
                _log.warning(
                    "pod %s/%s of a failed launch is left behind: %s",
                    meta.namespace,
                    meta.name,
                    error,
                    extra=pod_fields(meta),
                )
            finally:
                self._discards[place].remove(ended)
                if not self._discards[place]:
                    del self._discards[place]
                ended.set()

    async def _discards_end(self, place: tuple[str, str]) -> None:
        """Return when no clean-up is under way there, whose request would delete the pod that a launch takes."""
        while place in self._discards:
            await self._discards[place][0].wait()

    async def _discard(self, pod: Pod, is_wanted: Callable[[], bool]) -> None:
        """Delete a pod only at a version that has not started; a kubelet may write its status at any time."""
        while not (self._has_begun(pod) or is_wanted()):
            try:
                present = await self._discard_at(pod)
            except ConflictError:
                present = await self._read_again(pod)
            except NotFoundError:
                return
            if present is None:
                return
            pod = present
        if self._on_begun is not None and not is_wanted():
            self._check_owner(pod.metadata.namespace, pod.metadata.name)
            self._on_begun(pod)

    async def _discard_at(self, pod: Pod) -> Pod | None:
        """Delete a pod at its version. If its finalizer has to be removed first, return the pod without it."""
        meta = pod.metadata
        if OUTCOME_FINALIZER in (meta.finalizers or ()):
            return await self._release(pod)
        await self.delete(meta.namespace, meta.name, uid=meta.uid, resource_version=meta.resource_version)
        return None

    def _has_begun(self, pod: Pod) -> bool:
        main = (pod.metadata.annotations or {}).get(DEFAULT_CONTAINER)
        return self._on_begun is not None and ever_started(main_status(pod, main))

    async def _release(self, pod: Pod) -> Pod:
        """Remove the finalizer that holds a pod until its outcome is delivered: it will have none."""
        meta = pod.metadata
        patch = {
            "metadata": {"uid": meta.uid, "$deleteFromPrimitiveList/finalizers": [OUTCOME_FINALIZER]},
        }
        return await self._retrying(
            lambda: self._client.patch_pod(
                meta.namespace,
                meta.name,
                patch,
                resource_version=meta.resource_version,
                strategic=True,
                before_send=partial(self._check_owner, meta.namespace, meta.name),
            ),
            policy=self._other,
            name=f"release pod {meta.namespace}/{meta.name}",
        )

    async def _read_again(self, pod: Pod) -> Pod | None:
        meta = pod.metadata
        found = await self._retrying(
            lambda: self._find(meta.namespace, meta.name),
            policy=self._other,
            name=f"read pod {meta.namespace}/{meta.name}",
        )
        return found if found is not None and found.metadata.uid == meta.uid else None

    def _retrying(self, call: Callable[[], Awaitable[T]], *, policy: RequestRetry, name: str) -> Awaitable[T]:
        return retrying(
            call, policy=policy, name=name, sleep=self._sleep, random=self._random, on_retry=self._on_retry
        )


def _owned_by(secret: Mapping[str, Any], pod: Pod) -> dict[str, Any]:
    reference = {"apiVersion": "v1", "kind": "Pod", "name": pod.metadata.name, "uid": pod.metadata.uid}
    return {**secret, "metadata": {**secret["metadata"], "ownerReferences": [reference]}}
