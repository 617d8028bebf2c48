"""Which other objects a pod names: Secrets, ConfigMaps, volume claims, a service account, a priority class. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from podrunner.cli.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

__all__ = ["Reference", "finding_of_references", "path_of", "references_of"]

_PATHS = {
    "secret": "/api/v1/namespaces/{namespace}/secrets/{name}",
    "configmap": "/api/v1/namespaces/{namespace}/configmaps/{name}",
    "persistentvolumeclaim": "/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}",
    "serviceaccount": "/api/v1/namespaces/{namespace}/serviceaccounts/{name}",
    "priorityclass": "/apis/scheduling.k8s.io/v1/priorityclasses/{name}",
}
_BUILT_IN_PREFIX = "system-"


class Reference(NamedTuple):
    """An object that a pod names.

    Attributes:
        kind: As kubectl writes it.
        name: Its name.
        key: The key in it that is used; "": all, or none.
        place: The field that names it.
    """

    kind: str
    name: str
    key: str
    place: str


def path_of(reference: Reference, namespace: str) -> str:
    """Return the path of the object."""
    return _PATHS[reference.kind].format(namespace=namespace, name=reference.name)


def references_of(pod: Mapping[str, Any], *, own: Collection[str] = ()) -> list[Reference]:
    """Return what a pod needs to start, each once; what is optional is left out.

    Args:
        pod: Its manifest.
        own: Names of Secrets that podrunner makes itself.
    """
    spec = pod.get("spec") or {}
    found = {
        (each.kind, each.name, each.key): each
        for each in (*_of_spec(spec), *_of_volumes(spec), *_of_containers(spec))
        if each.name and not (each.kind == "secret" and each.name in own)
    }
    return list(found.values())


def _of_spec(spec: Mapping[str, Any]) -> Iterator[Reference]:
    for index, each in enumerate(spec.get("imagePullSecrets") or ()):
        yield Reference("secret", each.get("name", ""), "", f"imagePullSecrets[{index}]")
    yield Reference("serviceaccount", spec.get("serviceAccountName") or "", "", "serviceAccountName")
    priority = spec.get("priorityClassName") or ""
    if not priority.startswith(_BUILT_IN_PREFIX):
        yield Reference("priorityclass", priority, "", "priorityClassName")


def _of_volumes(spec: Mapping[str, Any]) -> Iterator[Reference]:
    for volume in spec.get("volumes") or ():
        place = f"volumes[{volume.get('name')}]"
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
        yield Reference("persistentvolumeclaim", claim, "", place)
        sources = [volume, *((volume.get("projected") or {}).get("sources") or ())]
        for source in sources:
            yield from _of_source(source, place)


def _of_source(source: Mapping[str, Any], place: str) -> Iterator[Reference]:
    for kind, field in (("secret", "secret"), ("configmap", "configMap")):
        given = source.get(field) or {}
        if given.get("optional"):
            continue
        name = given.get("secretName") or given.get("name") or ""
        keys = [item.get("key", "") for item in given.get("items") or ()] or [""]
        for key in keys:
            yield Reference(kind, name, key, place)


def _of_containers(spec: Mapping[str, Any]) -> Iterator[Reference]:
    for field in ("initContainers", "containers"):
        for container in spec.get(field) or ():
            place = f"{field}[{container.get('name')}]"
            for variable in container.get("env") or ():
                where = f"{place}.env[{variable.get('name')}]"
                yield from _of_variable(variable.get("valueFrom") or {}, where)
            for source in container.get("envFrom") or ():
                for kind, ref in (("secret", "secretRef"), ("configmap", "configMapRef")):
                    given = source.get(ref) or {}
                    if not given.get("optional"):
                        yield Reference(kind, given.get("name", ""), "", f"{place}.envFrom")


def _of_variable(source: Mapping[str, Any], place: str) -> Iterator[Reference]:
    for kind, ref in (("secret", "secretKeyRef"), ("configmap", "configMapKeyRef")):
        given = source.get(ref) or {}
        if not given.get("optional"):
            yield Reference(kind, given.get("name", ""), given.get("key", ""), place)


def finding_of_references(
    found: Mapping[Reference, Collection[str] | Exception | None], *, namespace: str
) -> list[Finding]:
    """Judge which of the objects are there.

    Args:
        found: For each, its keys; None: it is not there; an error: it could not be read.
        namespace: Where they were looked for.
    """
    if not found:
        return [Finding("references", "ok", "the pod names no other objects")]
    missing = [_missing(reference, keys, namespace) for reference, keys in found.items()]
    findings = [each for each in missing if each is not None]
    unread = [reference for reference, keys in found.items() if isinstance(keys, Exception)]
    there = [reference for reference in found if reference not in unread and found[reference] is not None]
    if there and not findings:
        findings.append(Finding("references", "ok", f"there are {_named(there)}"))
    if unread:
        message = f"no right to read {_named(unread)}; whether they are there shows when a pod starts"
        findings.append(Finding("references", "skipped", message))
    return findings


def _named(references: Iterable[Reference]) -> str:
    return ", ".join(dict.fromkeys(f"{each.kind}/{each.name}" for each in references))


def _missing(
    reference: Reference, keys: Collection[str] | Exception | None, namespace: str
) -> Finding | None:
    what = f"{reference.kind}/{reference.name}"
    where = "" if reference.kind == "priorityclass" else f" in namespace {namespace}"
    if keys is None:
        remedy = f"Create it, or take it out of the configuration or its template ({reference.place})."
        return Finding(
            "references", "error", f"{what} is not there{where}: {reference.place} names it", remedy
        )
    if isinstance(keys, Exception) or not reference.key or reference.key in keys:
        return None
    known = ", ".join(sorted(keys)) or "none"
    return Finding(
        "references",
        "error",
        f"{what}{where} has no key {reference.key}: {reference.place} names it",
        f"Add the key, or name one that it has: {known}.",
    )
