"""Rules of a pod, new or changed (``ValidatePodSpec`` and ``ValidatePodUpdate``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from podrunner.local.api.status import FieldError
from podrunner.local.api.validation import formats
from podrunner.local.api.validation.containers import container_errors, probe_errors
from podrunner.local.api.validation.field_errors import (
    duplicate,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
)
from podrunner.local.api.validation.metadata import label_errors
from podrunner.local.api.validation.volumes import volume_errors

__all__ = ["pod_errors", "pod_update_errors"]

Json = Mapping[str, Any]
Found = Iterator[FieldError]

_RESTART = ("Always", "OnFailure", "Never")
_DNS = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_MAX_INT32 = (1 << 31) - 1


def pod_errors(pod: Json) -> Found:
    """Return what is wrong with a pod."""
    spec: Json = pod.get("spec") or {}
    names: set[str] = set()
    yield from volume_errors(spec.get("volumes") or (), names)
    yield from _containers(spec, names)
    yield from _init_containers(spec, names)
    yield from _choices(spec)
    yield from _numbers(spec)
    yield from label_errors(spec.get("nodeSelector") or {}, "spec.nodeSelector")
    yield from _references(spec)
    yield from _toleration_errors(spec.get("tolerations") or ())
    yield from _gate_errors(spec.get("schedulingGates") or ())
    yield from _affinity_errors(spec.get("affinity") or {})


def _containers(spec: Json, volumes: set[str]) -> Found:
    containers = spec.get("containers") or ()
    if not containers:
        yield required("spec.containers")
    names: set[str] = set()
    for index, container in enumerate(containers):
        path = f"spec.containers[{index}]"
        yield from container_errors(container, path, volumes=volumes)
        yield from _unique(container, names, path)
        yield from _probes(container, path)


def _unique(container: Json, names: set[str], path: str) -> Found:
    name = container.get("name") or ""
    if name and name in names:
        yield duplicate(f"{path}.name", name)
    names.add(name)


def _probes(container: Json, path: str) -> Found:
    for field in _PROBES:
        if container.get(field) is not None:
            yield from probe_errors(container[field], f"{path}.{field}")


def _init_containers(spec: Json, volumes: set[str]) -> Found:
    names = {each.get("name") or "" for each in spec.get("containers") or ()}
    for index, container in enumerate(spec.get("initContainers") or ()):
        path = f"spec.initContainers[{index}]"
        yield from container_errors(container, path, volumes=volumes)
        policy = container.get("restartPolicy")
        if policy not in {None, "Always"}:
            yield not_supported(f"{path}.restartPolicy", policy, ("Always",))
        yield from _unique(container, names, path)
        if policy == "Always":
            yield from _probes(container, path)
        else:
            words = "may not be set for init containers without restartPolicy=Always"
            given = (field for field in ("lifecycle", *_PROBES) if container.get(field) is not None)
            yield from (forbidden_field(f"{path}.{field}", words) for field in given)


def _choices(spec: Json) -> Found:
    for field, supported in (("restartPolicy", _RESTART), ("dnsPolicy", _DNS)):
        value = spec.get(field)
        if value not in supported:
            yield not_supported(f"spec.{field}", value, supported)


def _numbers(spec: Json) -> Found:
    deadline, grace = spec.get("activeDeadlineSeconds"), spec.get("terminationGracePeriodSeconds") or 0
    if deadline is not None and not 1 <= deadline <= _MAX_INT32:
        words = f"must be between 1 and {_MAX_INT32}, inclusive"
        yield invalid_value("spec.activeDeadlineSeconds", deadline, words)
    if grace < 0:
        yield invalid_value("spec.terminationGracePeriodSeconds", grace, "must be greater than or equal to 0")
    for path, context in _security_contexts(spec):
        for field in ("runAsUser", "runAsGroup", "fsGroup"):
            value = context.get(field)
            if value is not None and not 0 <= value <= _MAX_INT32:
                yield invalid_value(
                    f"{path}.{field}", value, f"must be between 0 and {_MAX_INT32}, inclusive"
                )


def _security_contexts(spec: Json) -> Iterator[tuple[str, Json]]:
    yield "spec.securityContext", spec.get("securityContext") or {}
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            yield f"spec.{field}[{index}].securityContext", container.get("securityContext") or {}


def _references(spec: Json) -> Found:
    for field, check in (
        ("serviceAccountName", formats.dns_subdomain),
        ("nodeName", formats.dns_subdomain),
        ("priorityClassName", formats.dns_subdomain),
        ("hostname", formats.dns_label),
        ("subdomain", formats.dns_label),
    ):
        value = spec.get(field)
        if value:
            yield from (invalid_value(f"spec.{field}", value, words) for words in check(value))


def _toleration_errors(tolerations: Any) -> Found:
    for index, toleration in enumerate(tolerations):
        path = f"spec.tolerations[{index}]"
        key, operator = toleration.get("key") or "", toleration.get("operator") or ""
        yield from (invalid_value(f"{path}.key", key, words) for words in formats.qualified_name(key) if key)
        if not key and operator != "Exists":
            words = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            yield invalid_value(f"{path}.operator", operator, words)
        yield from _toleration_value(toleration, operator, path)


def _toleration_value(toleration: Json, operator: str, path: str) -> Found:
    value, effect = toleration.get("value") or "", toleration.get("effect") or ""
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        yield invalid_value(
            f"{path}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"
        )
    if operator == "Exists" and value:
        yield invalid_value(f"{path}.operator", value, "value must be empty when `operator` is 'Exists'")
    elif operator in {"", "Equal"}:
        complaints = formats.label_value(value)
        if complaints:
            yield invalid_value(f"{path}.operator", value, ";".join(complaints))
    elif operator != "Exists":
        yield not_supported(f"{path}.operator", operator, ("Equal", "Exists"))
    if effect and effect not in _EFFECTS:
        yield not_supported(f"{path}.effect", effect, _EFFECTS)


def _gate_errors(gates: Any) -> Found:
    names: set[str] = set()
    for index, gate in enumerate(gates):
        path, name = f"spec.schedulingGates[{index}]", gate.get("name") or ""
        yield from (invalid_value(path, name, words) for words in formats.qualified_name(name))
        if name in names:
            yield duplicate(path, name)
        names.add(name)


_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")


def _affinity_errors(affinity: Json) -> Found:
    path = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
    needed = (affinity.get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    if needed is None:
        return
    terms = needed.get("nodeSelectorTerms") or ()
    if not terms:
        yield required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")
    for index, term in enumerate(terms):
        for number, rule in enumerate(term.get("matchExpressions") or ()):
            yield from _expression_errors(
                rule, f"{path}.nodeSelectorTerms[{index}].matchExpressions[{number}]"
            )


def _expression_errors(rule: Json, path: str) -> Found:
    operator, values = rule.get("operator"), rule.get("values") or ()
    if operator in {"In", "NotIn"} and not values:
        yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    if operator in {"Exists", "DoesNotExist"} and values:
        yield forbidden_field(
            f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        )
    if operator in {"Gt", "Lt"} and len(values) != 1:
        yield required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
    if operator not in _OPERATORS:
        yield invalid_value(f"{path}.operator", operator, "not a valid selector operator")


_UPDATABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "
    "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it "
    "was previously negative)"
)


def pod_update_errors(after: Json, before: Json) -> Found:
    """Return what is wrong with a change of a pod's spec: hardly anything of it may change."""
    new, old = after["spec"], before["spec"]
    if new == old:
        return
    for field in ("containers", "initContainers"):
        if len(new.get(field) or ()) != len(old.get(field) or ()):
            yield forbidden_field(f"spec.{field}", "pod updates may not add or remove containers")
            return
    yield from _deadline_change(new, old)
    added = [each for each in old.get("tolerations") or () if each not in (new.get("tolerations") or ())]
    if added:
        words = "existing toleration can not be modified except its tolerationSeconds"
        yield forbidden_field("spec.tolerations", words)
    yield from _gates_change(new, old)
    changed = _changed(_comparable(new), _comparable(old))
    if changed:
        words = f"pod updates may not change fields other than {_UPDATABLE}\nchanged: {', '.join(changed)}"
        yield forbidden_field("spec", words)


def _deadline_change(new: Json, old: Json) -> Found:
    wanted, known = new.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds")
    path = "spec.activeDeadlineSeconds"
    if wanted is None and known is not None:
        yield invalid_value(path, None, "must not update from a positive integer to nil value")
    elif wanted is not None and not 0 <= wanted <= _MAX_INT32:
        yield invalid_value(path, wanted, f"must be between 0 and {_MAX_INT32}, inclusive")
    elif wanted is not None and known is not None and wanted > known:
        yield invalid_value(path, wanted, "must be less than or equal to previous value")


def _gates_change(new: Json, old: Json) -> Found:
    known = [gate.get("name") for gate in old.get("schedulingGates") or ()]
    for index, gate in enumerate(new.get("schedulingGates") or ()):
        if gate.get("name") not in known:
            path = f"spec.schedulingGates[{index}].name"
            yield forbidden_field(
                path, f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'"
            )


_FREE = frozenset({"activeDeadlineSeconds", "tolerations", "schedulingGates"})


def _comparable(spec: Json) -> dict[str, Any]:
    """Return a spec without the fields that may change."""
    kept = {key: value for key, value in spec.items() if key not in _FREE}
    for field in ("containers", "initContainers"):
        if field in kept:
            kept[field] = [
                {key: value for key, value in each.items() if key != "image"} for each in kept[field]
            ]
    return kept


def _changed(new: Json, old: Json) -> list[str]:
    return sorted(f"spec.{key}" for key in {*new, *old} if new.get(key) != old.get(key))
