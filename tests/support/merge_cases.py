"""Pods and strategic merge patches by chance, and what Kubernetes itself makes of them.

``python -m tests.support.merge_cases`` writes ``tests/golden/strategic_merge.jsonl``: it needs Go, and builds the
program in ``tests/support/strategic_merge``, which calls ``k8s.io/apimachinery``. Run it when the version in that
program's ``go.mod`` changes.
"""

from __future__ import annotations

import json
import random
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

GOLDENS = Path(__file__).parents[1] / "golden" / "strategic_merge.jsonl"
PROGRAM = Path(__file__).with_name("strategic_merge")
CASES = 200
NAMES = "abcd"

Json = dict[str, Any]
Chance = random.Random


def pod(chance: Chance) -> Json:
    """A pod in which most merged lists have some elements, each name once."""
    metadata = _some(chance, {"labels": _labels, "annotations": _labels, "finalizers": _names_of})
    metadata |= _some(chance, {"ownerReferences": _elements("uid", {"kind": _text})}, odds=0.2)
    return {"metadata": metadata, "spec": _spec(chance)}


def patch(chance: Chance, target: Json) -> Json:
    """A patch for a pod: elements of the same and of new names, nulls and directives.

    Where there is nothing to merge with, it has neither null nor directive: Kubernetes stores these (a null name, or a
    field ``$patch``), podrunner obeys and drops them.
    """
    metadata = _some(chance, {"labels": _labels, "finalizers": _names_of}, odds=0.4)
    return {
        "metadata": _spiced(chance, metadata, target["metadata"]),
        "spec": _spiced(chance, _spec(chance), target["spec"]),
    }


def cases(count: int = CASES, *, seed: int = 17) -> list[Json]:
    """The cases, always the same ones."""
    chance = Chance(seed)
    targets = [pod(chance) for _ in range(count)]
    return [{"target": target, "patch": patch(chance, target)} for target in targets]


Make = Callable[[Chance], Any]


def _some(chance: Chance, fields: dict[str, Make], *, odds: float = 0.7) -> Json:
    return {name: make(chance) for name, make in fields.items() if chance.random() < odds}


def _spec(chance: Chance) -> Json:
    return {**_some(chance, _CONTAINERS), **_some(chance, _SPEC, odds=0.3)}


def _text(chance: Chance) -> str:
    return "".join(chance.choices("xyz", k=2))


def _labels(chance: Chance) -> Json:
    return {name: _text(chance) for name in _names_of(chance)}


def _names_of(chance: Chance) -> list[str]:
    return chance.sample(NAMES, chance.randint(1, 3))


def _words(chance: Chance) -> list[str]:
    return [_text(chance) for _ in range(chance.randint(1, 3))]


def _elements(key: str, fields: dict[str, Make]) -> Make:
    def make(chance: Chance) -> list[Json]:
        keys = [_key(key, name) for name in _names_of(chance)]
        return [{key: each, **_some(chance, fields, odds=0.5)} for each in keys]

    return make


def _key(key: str, name: str) -> Any:
    return {"containerPort": 8000 + NAMES.index(name), "mountPath": f"/{name}"}.get(key, name)


def _one_of(*makes: Make) -> Make:
    return lambda chance: chance.choice(makes)(chance)


def _always(value: Any) -> Make:
    return lambda _: json.loads(json.dumps(value))


_CONTAINER: dict[str, Make] = {
    "image": _text,
    "command": _words,
    "env": _elements("name", {"value": _text}),
    "volumeMounts": _elements("mountPath", {"name": _text, "readOnly": _always(value=True)}),
    "ports": _elements("containerPort", {"name": _text}),
    "securityContext": lambda chance: _some(
        chance, {"runAsUser": lambda c: c.randint(1, 9), "privileged": _always(value=True)}
    ),
}
_CONTAINERS = {name: _elements("name", _CONTAINER) for name in ("containers", "initContainers")}
_SPEC: dict[str, Make] = {
    "volumes": _elements("name", {"emptyDir": _one_of(_always({}), _always({"medium": "Memory"}))}),
    "imagePullSecrets": _elements("name", {}),
    "tolerations": _elements("key", {"operator": _always("Exists")}),
    "nodeSelector": _labels,
    "hostname": _text,
    "securityContext": lambda chance: _some(
        chance, {"fsGroup": lambda c: c.randint(1, 9), "supplementalGroups": lambda c: c.sample(range(9), 2)}
    ),
    "topologySpreadConstraints": _elements("topologyKey", {"maxSkew": _always(1)}),
    "hostAliases": _elements("ip", {"hostnames": _words}),
    "schedulingGates": _elements("name", {}),
}
_MERGED = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "imagePullSecrets": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
    "schedulingGates": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}


def _spiced(chance: Chance, patch: Json, target: Json) -> Json:
    """Add nulls and directives to the parts of a patch that meet something in the target."""
    spiced: Json = {}
    for name, value in patch.items():
        there = target.get(name)
        if not there:
            spiced[name] = value
        elif name in _MERGED:
            spiced |= _spiced_list(chance, name, value, there)
        elif name == "finalizers":
            spiced |= _spiced_scalars(chance, value)
        elif name not in _MERGED.values() and chance.random() < 0.07:
            spiced[name] = None
        else:
            spiced[name] = _spiced_object(chance, value, there) if isinstance(value, dict) else value
    return spiced


def _spiced_object(chance: Chance, value: Json, there: Json) -> Json:
    roll = chance.random()
    if roll < 0.05:
        return {"$patch": "delete"}
    if roll < 0.15:
        return {**value, "$retainKeys": [*value]}
    return {name: None if name in there and chance.random() < 0.3 else each for name, each in value.items()}


def _spiced_list(chance: Chance, name: str, elements: list[Json], there: list[Json]) -> Json:
    key, roll = _MERGED[name], chance.random()
    known = {each[key]: each for each in there}
    if roll < 0.1:
        return {name: [*elements, {"$patch": "replace"}]}
    patched = [_spiced(chance, each, known.get(each[key], {})) for each in elements]
    if roll < 0.3:
        gone = chance.randrange(len(patched))
        deleted = {key: patched[gone][key], "$patch": "delete"}
        return {name: [*patched[:gone], deleted, *patched[gone + 1 :]]}
    if roll < 0.45:
        order = [{key: each[key]} for each in patched]
        others = [{key: _key(key, each)} for each in NAMES if {key: _key(key, each)} not in order]
        order.insert(chance.randint(0, len(order)), chance.choice(others))
        return {name: patched, f"$setElementOrder/{name}": order}
    return {name: patched}


def _spiced_scalars(chance: Chance, value: list[str]) -> Json:
    roll = chance.random()
    if roll < 0.3:
        return {"$deleteFromPrimitiveList/finalizers": value}
    if roll < 0.6:
        return {"finalizers": value, "$setElementOrder/finalizers": value}
    return {"finalizers": value}


def _recorded(cases: list[Json]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "strategicmerge"
        subprocess.run(["go", "build", "-buildvcs=false", "-o", program, "."], cwd=PROGRAM, check=True)
        lines = "".join(f"{json.dumps(case)}\n" for case in cases)
        done = subprocess.run([program], input=lines, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


if __name__ == "__main__":
    GOLDENS.write_text(_recorded(cases()))
