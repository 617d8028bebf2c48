"""The one room that talks HTTP to an API server.

What belongs here: how to reach it and be let in (``access``), the transports, typed verbs (``client``), errors from
answers (``answers``), what may be tried again and when (``retry``, ``gate``), how much at once (``flow``, ``limiter``),
decoding (``wire``). What to do with pods does not: the launcher, the watch and the logs do that. The HTTP libraries
and kubernetes-asyncio are imported when a client is opened, never with this package.
"""

from podrunner.kube.access import Access, access_of_api_client, explicit_access, open_access
from podrunner.kube.answers import TransientKind, is_transient, transient_kind
from podrunner.kube.bodies import AnswerTooLongError
from podrunner.kube.client import KubeClient
from podrunner.kube.cluster_choice import kubeconfig_of
from podrunner.kube.connect import connect, open_transport
from podrunner.kube.flow import AdaptiveLimit
from podrunner.kube.gate import RetryAfterGate
from podrunner.kube.limiter import RequestLimiter, VerbClass
from podrunner.kube.observation import ApiRequest, observe_requests
from podrunner.kube.pages import EndlessListError, PageGuard, UnreadablePageError
from podrunner.kube.remote_command import ExecOutput, ExecResult, ExecSession
from podrunner.kube.retry import Backoff, RequestRetry, retrying
from podrunner.kube.transport import Request, Response, ResponseStream, Transport, WebSocket
from podrunner.kube.watch_stream import WatchStream
from podrunner.kube.wire import Deletion, PodPage, WatchEvent

__all__ = [
    "Access",
    "AdaptiveLimit",
    "AnswerTooLongError",
    "ApiRequest",
    "Backoff",
    "Deletion",
    "EndlessListError",
    "ExecOutput",
    "ExecResult",
    "ExecSession",
    "KubeClient",
    "PageGuard",
    "PodPage",
    "Request",
    "RequestLimiter",
    "RequestRetry",
    "Response",
    "ResponseStream",
    "RetryAfterGate",
    "TransientKind",
    "Transport",
    "UnreadablePageError",
    "VerbClass",
    "WatchEvent",
    "WatchStream",
    "WebSocket",
    "access_of_api_client",
    "connect",
    "explicit_access",
    "is_transient",
    "kubeconfig_of",
    "observe_requests",
    "open_access",
    "open_transport",
    "retrying",
    "transient_kind",
]
