"""The typed verbs: what podrunner says to an API server, one method each, one try each.

Manifests go out as plain dicts (or bytes that are ready), pods come back as small records. Trying again, owning,
watching without end and collecting logs are the callers' (``launcher``, ``watch``, ``logs``).
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from podrunner.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    PodrunnerError,
    TooManyRequestsError,
    UsageError,
)
from podrunner.kube.answers import has_cause, is_of_another_uid
from podrunner.kube.flow import AdaptiveLimit
from podrunner.kube.lease_answers import decode_lease, decode_leases
from podrunner.kube.paths import EVENTS, LEASES, PODS, SECRETS, STRICTLY, collection, item, with_query
from podrunner.kube.remote_command import SUBPROTOCOLS, ExecResult, ExecSession, run_to_end
from podrunner.kube.session import JSON_OR_ANY, Session
from podrunner.kube.watch_stream import WatchStream
from podrunner.kube.wire import (
    Deletion,
    ObjectPage,
    PodPage,
    decode_deletion,
    decode_events,
    decode_object,
    decode_page,
    decode_pod,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from podrunner.kube.credentials import Credentials
    from podrunner.kube.gate import RetryAfterGate
    from podrunner.kube.limiter import RequestLimiter
    from podrunner.kube.port_forward import ForwardedConnection
    from podrunner.kube.transport import ResponseStream, Transport
    from podrunner.outcome.record import Event, Pod

__all__ = ["KubeClient"]

MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"


class KubeClient:
    """Talks to one API server.

    Usually made by :func:`podrunner.kube.connect`; the parts can be given by hand. Runs on asyncio and trio, as its
    transport does. All methods raise :class:`~podrunner.errors.ApiError` (a subclass that names the cause) when the
    server refuses, and :class:`~podrunner.errors.TransportError` when it cannot be asked.

    Args:
        transport: Carries the requests.
        credentials: Our identity; None: anonymous, or a client certificate.
        headers: More headers for each request, as a mapping or as pairs.
        timeout_s: Seconds for one request; for a stream, until it begins.
        gate: Closed by the server's ``Retry-After``; holds back all requests but those about leases.
        creates: How many creates may be under way at once; None: at most 32, found out.
        lanes: Limits creates, deletes and reads in flight; None: 32 at once.
        credentials_of: Where the credentials come from, for the error of a 401; "": not known.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        credentials: Credentials | None = None,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        timeout_s: float = 30.0,
        gate: RetryAfterGate | None = None,
        creates: AdaptiveLimit | None = None,
        lanes: RequestLimiter | None = None,
        credentials_of: str = "",
    ) -> None:
        self._session = Session(
            transport,
            credentials=credentials,
            headers=headers,
            timeout_s=timeout_s,
            gate=gate,
            lanes=lanes,
            credentials_of=credentials_of,
        )
        self.creates: AdaptiveLimit = creates or AdaptiveLimit(maximum=32)

    @property
    def gate(self) -> RetryAfterGate:
        """Closed while the server asked us to wait (``Retry-After``)."""
        return self._session.gate

    # Pods

    async def create_pod(
        self,
        namespace: str,
        manifest: Mapping[str, Any] | bytes,
        *,
        before_send: Callable[[], None] | None = None,
    ) -> Pod:
        """Create a pod: one try, within the adaptive limit on creates in flight.

        A field that the server does not know is an error, as with kubectl: by default servers drop it silently.

        Args:
            namespace: Its namespace.
            manifest: The pod.
            before_send: Called when all waiting is over; what it raises is raised, and nothing was sent.

        Raises:
            BadRequestError: The manifest cannot be read as a pod; it says which field.
            AlreadyExistsError: A pod of that name is there.
            QuotaExceededError: A ResourceQuota is used up at present.
            TransportError: No answer; ``sent`` says whether the pod may exist now.
            SpecError: The manifest cannot be written as JSON.
        """
        body = encode(manifest)
        target = collection(PODS, namespace) + STRICTLY
        began = await self.creates.acquire()

        def begin() -> None:
            # ``Retry-After`` and our own queue say nothing about the server's speed.
            nonlocal began
            began = self.creates.now()
            if before_send is not None:
                before_send()

        try:
            answer = await self._session.send("POST", target, body=body, before_send=begin)
        except PodrunnerError as error:
            self.creates.release(began, throttled=isinstance(error, TooManyRequestsError))
            raise
        except BaseException:
            self.creates.abandon()
            raise
        self.creates.release(began)
        return decode_pod(answer)

    async def read_pod(self, namespace: str, name: str) -> Pod:
        """Read a pod. Raises NotFoundError if it is not there."""
        return decode_pod(await self._session.send("GET", item(PODS, namespace, name)))

    async def read_pod_manifest(self, namespace: str, name: str) -> dict[str, Any]:
        """Read a pod, whole, as the server wrote it."""
        return decode_object(await self._session.send("GET", item(PODS, namespace, name)))

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
        """Delete a pod. The answer is false if it was not there, or another pod has its name by now (see ``uid``).

        Args:
            namespace: Its namespace.
            name: Its name.
            uid: Delete it only if this is its UID.
            resource_version: Delete it only if it is still at this version, else ConflictError.
            grace_period_s: Seconds that its processes have to end; None: what the pod says; 0: without waiting
                for the node.
            before_send: Called when all waiting is over; what it raises is raised, and nothing was sent.
        """
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        if wanted := {name: value for name, value in preconditions.items() if value is not None}:
            options["preconditions"] = wanted
        if grace_period_s is not None:
            options["gracePeriodSeconds"] = grace_period_s
        try:
            body = await self._session.send(
                "DELETE", item(PODS, namespace, name), body=encode(options), before_send=before_send
            )
        except NotFoundError:
            return Deletion(found=False)
        except ConflictError as error:
            if uid is None or not is_of_another_uid(error):
                raise
            return Deletion(found=False)
        return decode_deletion(body)

    async def is_namespace_ending(self, namespace: str) -> bool:
        """Return whether a namespace is being deleted.

        It asks for a pod that is not stored (``dryRun``): the right to create pods suffices, where reading namespaces
        would need one of its own.

        Raises:
            ApiError: The server refuses the pod for another reason.
            TransportError: No answer.
        """
        containers = [{"name": "none", "image": "none"}]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "podrunner-"}}
        body = encode({**pod, "spec": {"containers": containers}})
        target = with_query(collection(PODS, namespace), [("dryRun", "All")])
        try:
            await self._session.send("POST", target, body=body)
        except NotFoundError:
            return True
        except ForbiddenError as error:
            if has_cause(error, "NamespaceTerminating"):
                return True
            raise
        return False

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
        """Apply a JSON merge patch (RFC 7386), or a strategic merge patch.

        Args:
            namespace: Its namespace.
            name: Its name.
            patch: The fields to change; None removes one. ``metadata.uid`` patches only the pod of that UID, else
                InvalidError.
            resource_version: Patch only if the pod is still at this version, else ConflictError.
            strategic: Whether it is a strategic merge patch: lists are merged, and directives such as
                ``$deleteFromPrimitiveList/finalizers`` are carried out.
            before_send: Called when all waiting is over; what it raises is raised, and nothing was sent.
        """
        if resource_version is not None:
            meta = {**patch.get("metadata", {}), "resourceVersion": resource_version}
            patch = {**patch, "metadata": meta}
        body = await self._session.send(
            "PATCH",
            item(PODS, namespace, name),
            body=encode(patch),
            content_type=STRATEGIC_MERGE_PATCH if strategic else MERGE_PATCH,
            before_send=before_send,
        )
        return decode_pod(body)

    async def list_pods(
        self,
        namespace: str | None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int | None = None,
        continue_token: str | None = None,
        resource_version: str | None = None,
        resource_version_match: str | None = None,
    ) -> PodPage:
        """Read one page of pods.

        Args:
            namespace: The namespace; None: all.
            label_selector: As ``kubectl get -l``.
            field_selector: As ``kubectl get --field-selector``.
            limit: Pods per page; None: all at once.
            continue_token: Of the page before.
            resource_version: How old the answer may be (see the API's semantics); None: it is the newest.
            resource_version_match: ``Exact`` or ``NotOlderThan``.

        Raises:
            GoneError: The continue token or version is too old; begin again without.
        """
        query = (
            ("labelSelector", label_selector),
            ("fieldSelector", field_selector),
            ("limit", limit),
            ("continue", continue_token),
            ("resourceVersion", resource_version),
            ("resourceVersionMatch", resource_version_match),
        )
        return decode_page(await self._session.send("GET", with_query(collection(PODS, namespace), query)))

    @asynccontextmanager
    async def watch_pods(
        self,
        namespace: str | None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        timeout_s: float | None = None,
        bookmarks: bool = True,
        send_initial_events: bool = False,
    ) -> AsyncIterator[WatchStream]:
        """Watch pods from a version on: ``async with … as stream: async for batch in stream: …``.

        Args:
            namespace: The namespace; None: all.
            label_selector: As ``kubectl get -l``.
            field_selector: As ``kubectl get --field-selector``.
            resource_version: Where to begin, from a list or an event; "": with a list of what is there now.
            timeout_s: Seconds after which the server ends the watch; None: as it likes.
            bookmarks: Ask for ``BOOKMARK`` events.
            send_initial_events: Ask for a streaming list (KEP-3157).

        Raises:
            GoneError: The version is too old (on entering; in the stream it is an ``ERROR`` event).
            InvalidError: The server knows no streaming lists.
        """
        query = (
            ("watch", True),
            ("labelSelector", label_selector),
            ("fieldSelector", field_selector),
            ("resourceVersion", resource_version),
            ("timeoutSeconds", None if timeout_s is None else max(1, round(timeout_s))),
            ("allowWatchBookmarks", bookmarks or None),
            ("sendInitialEvents", send_initial_events or None),
            ("resourceVersionMatch", "NotOlderThan" if send_initial_events else None),
        )
        path = collection(PODS, namespace)
        async with self._session.stream(with_query(path, query)) as stream:
            yield WatchStream(stream, path=path, secrets=self._session.secrets)

    @asynccontextmanager
    async def stream_log(  # noqa: PLR0913  # the parameters of Kubernetes' PodLogOptions
        self,
        namespace: str,
        name: str,
        *,
        container: str | None = None,
        follow: bool = False,
        timestamps: bool = True,
        since_time: str | None = None,
        since_seconds: int | None = None,
        tail_lines: int | None = None,
        limit_bytes: int | None = None,
        previous: bool = False,
    ) -> AsyncIterator[ResponseStream]:
        """Read a container's log: ``async with … as batches: async for batch in batches: …``.

        Args:
            namespace: The pod's namespace.
            name: The pod's name.
            container: Which; None: the only one, or the default container.
            follow: Stay until the container ends.
            timestamps: Put the runtime's RFC 3339 timestamp before each line.
            since_time: Only from this RFC 3339 time on; the server rounds it down to a second.
            since_seconds: Only the last so many seconds; not together with ``since_time``.
            tail_lines: Only the last so many lines.
            limit_bytes: At most so many bytes.
            previous: Of the container's instance before its last restart.

        Raises:
            BadRequestError: The container does not run yet, or there is no such container.
        """
        if since_time is not None and since_seconds is not None:
            raise UsageError("give since_time or since_seconds, not both: the server refuses both")
        query = (
            ("container", container),
            ("follow", follow or None),
            ("timestamps", timestamps or None),
            ("sinceTime", since_time),
            ("sinceSeconds", since_seconds),
            ("tailLines", tail_lines),
            ("limitBytes", limit_bytes),
            ("previous", previous or None),
        )
        path = f"{item(PODS, namespace, name)}/log"
        async with self._session.stream(with_query(path, query), accept=JSON_OR_ANY) as stream:
            yield stream

    @asynccontextmanager
    async def exec(
        self,
        namespace: str,
        name: str,
        command: Sequence[str],
        *,
        container: str | None = None,
        stdin: bool = False,
        tty: bool = False,
    ) -> AsyncIterator[ExecSession]:
        """Run a command in a container and talk with it while it runs.

        Args:
            namespace: The pod's namespace.
            name: The pod's name.
            command: Program and arguments; no shell reads them.
            container: Which; None: the only one, or the default container.
            stdin: Whether something will be written to it.
            tty: Give it a terminal; stderr then comes within stdout.

        Raises:
            UsageError: The command is empty.
        """
        if isinstance(command, str) or not command:
            raise UsageError("a command is a list of a program and its arguments, with at least the program")
        query: tuple[tuple[str, object], ...] = (
            ("container", container),
            ("stdin", stdin or None),
            ("stdout", True),
            ("stderr", None if tty else True),
            ("tty", tty or None),
        )
        words = (("command", argument) for argument in command)
        target = with_query(f"{item(PODS, namespace, name)}/exec", query, words=words)
        async with self._session.upgrade(target, SUBPROTOCOLS) as socket:
            yield ExecSession(socket, secrets=self._session.secrets)

    async def run_exec(
        self,
        namespace: str,
        name: str,
        command: Sequence[str],
        *,
        container: str | None = None,
        stdin: bytes | None = None,
    ) -> ExecResult:
        """Run a command in a container to its end.

        Args:
            namespace: The pod's namespace.
            name: The pod's name.
            command: Program and arguments; no shell reads them.
            container: Which; None: the only one, or the default container.
            stdin: All that it reads; None: no stdin at all.

        Raises:
            ExecError: It could not be run (an exit code other than 0 is a result, no error), or its output is longer
                than ``bodies.MAX_BODY_BYTES``: read it piece by piece with :meth:`exec`.
        """
        async with self.exec(
            namespace, name, command, container=container, stdin=stdin is not None
        ) as session:
            return await run_to_end(session, stdin)

    @asynccontextmanager
    async def port_forward(self, namespace: str, name: str, port: int) -> AsyncIterator[ForwardedConnection]:
        """Open one connection to a port in a pod.

        Raises:
            PortForwardError: The server forwards none. That the port takes none shows at the connection's end.
        """
        from podrunner.kube import port_forward  # with all of SPDY, which no runner needs

        target = f"{item(PODS, namespace, name)}/portforward"
        async with self._session.upgrade(target, port_forward.SUBPROTOCOLS) as socket:
            connection = port_forward.ForwardedConnection(socket, port, secrets=self._session.secrets)
            await connection.begin()
            yield connection

    async def list_events(
        self, namespace: str | None, *, field_selector: str = "", limit: int = 500
    ) -> list[Event]:
        """Read Events, as of one pod: ``field_selector="involvedObject.uid=…"``."""
        query = (("fieldSelector", field_selector), ("limit", limit))
        return decode_events(
            await self._session.send("GET", with_query(collection(EVENTS, namespace), query))
        )

    # Secrets

    async def create_secret(
        self, namespace: str, manifest: Mapping[str, Any], *, before_send: Callable[[], None] | None = None
    ) -> None:
        """Create a Secret. ``before_send`` as for :meth:`create_pod`."""
        await self._session.send(
            "POST", collection(SECRETS, namespace), body=encode(manifest), before_send=before_send
        )

    async def delete_secret(
        self, namespace: str, name: str, *, before_send: Callable[[], None] | None = None
    ) -> bool:
        """Delete a Secret. False: it was not there. ``before_send`` as for :meth:`delete_pod`."""
        return await self._delete(item(SECRETS, namespace, name), before_send=before_send)

    # Leases: never held back by the gate, as a lease that is renewed too late is lost

    async def read_lease(self, namespace: str, name: str) -> dict[str, Any]:
        """Read a Lease."""
        return decode_lease(await self._session.send("GET", item(LEASES, namespace, name), gated=False))

    async def list_leases(
        self,
        namespace: str,
        *,
        label_selector: str = "",
        limit: int | None = None,
        continue_token: str | None = None,
    ) -> ObjectPage:
        """Read one page of Leases. The parameters are those of :meth:`list_pods`."""
        query = (("labelSelector", label_selector), ("limit", limit), ("continue", continue_token))
        target = with_query(collection(LEASES, namespace), query)
        return decode_leases(await self._session.send("GET", target))

    async def create_lease(self, namespace: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Create a Lease. Raises AlreadyExistsError."""
        target = collection(LEASES, namespace)
        return decode_lease(await self._session.send("POST", target, body=encode(manifest), gated=False))

    async def replace_lease(self, namespace: str, name: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Replace a Lease. Raises ConflictError if it is no longer at the manifest's ``resourceVersion``."""
        target = item(LEASES, namespace, name)
        return decode_lease(await self._session.send("PUT", target, body=encode(manifest), gated=False))

    async def delete_lease(self, namespace: str, name: str, *, resource_version: str | None = None) -> bool:
        """Delete a Lease. False: it was not there.

        Args:
            namespace: Its namespace.
            name: Its name.
            resource_version: Delete it only if this is its version, else ConflictError; None: whichever it has.
        """
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if resource_version is not None:
            options["preconditions"] = {"resourceVersion": resource_version}
        target = item(LEASES, namespace, name)
        return await self._delete(target, body=encode(options), gated=False)

    # Anything else

    async def server_version(self) -> dict[str, Any]:
        """Read the server's version: ``{"major": "1", "minor": "34", "gitVersion": …}``."""
        return decode_object(await self._session.send("GET", "/version"))

    async def server_date(self) -> str:
        """Return the ``Date`` header of an answer: the server's clock, in HTTP's form; "" if it sends none."""
        async with self._session.stream("/version") as answer:
            return answer.headers.get("Date", "")

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str | None = None,
    ) -> dict[str, Any]:
        """Send any request: for kinds that have no verb here.

        Args:
            method: HTTP method.
            path: Path, percent-encoded: ``/api/v1/namespaces/x/persistentvolumeclaims``.
            query: Its query.
            body: A JSON object.
            content_type: Of the body; None: JSON.
        """
        target = with_query(path, (query or {}).items())
        encoded = None if body is None else encode(body)
        return decode_object(
            await self._session.send(method, target, body=encoded, content_type=content_type)
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.aclose()

    async def _delete(
        self,
        target: str,
        *,
        body: bytes | None = None,
        gated: bool = True,
        before_send: Callable[[], None] | None = None,
    ) -> bool:
        try:
            await self._session.send("DELETE", target, body=body, gated=gated, before_send=before_send)
        except NotFoundError:
            return False
        return True
