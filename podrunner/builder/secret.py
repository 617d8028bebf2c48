"""The Secret that holds a pod's credentials, so that none of them is in the pod's manifest."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from podrunner.builder.labels import MANAGED_BY, MANAGER, POD
from podrunner.builder.names import secret_name

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["credentials_secret"]


def credentials_secret(pod: str, credentials: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the Secret of a pod; None if there are no credentials.

    The launcher creates it after the pod, with an owner reference to the pod, so that it is deleted with the pod.

    Args:
        pod: The pod's name.
        credentials: Key → value.
    """
    if not credentials:
        return None
    data = {name: base64.b64encode(value.encode()).decode() for name, value in credentials.items()}
    labels = {MANAGED_BY: MANAGER, POD: pod}
    metadata = {"name": secret_name(pod), "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}
