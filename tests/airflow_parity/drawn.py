"""Cases that hypothesis draws: templates in the form that charts render, overrides in the form that DAGs have."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from tests.airflow_parity.cases import VERSION, Case, Task, as_yaml, cfg

__all__ = ["cases"]

NAMES = ("dags", "logs", "config", "scratch", "keys", "cache")
VARIABLES = ("AIRFLOW__CORE__EXECUTOR", "STAGE", "REGION", "HOST", "URL", "TZ")
CONTAINERS = ("proxy", "exporter", "kerberos", "shipper")
VALUES = st.sampled_from(["", "a", "$(HOST)/x", "$(STAGE)-$(REGION)", "$$(HOST)", "false", "0", "a b", "ü"])
WORDS = st.lists(
    st.sampled_from(["sh", "-c", 'exec "$0" "$@"', "--", "/vault/run", "$(HOST)", ""]), max_size=3
)
IMAGES = st.sampled_from(
    [f"apache/airflow:{VERSION}", "r.example/team/airflow@sha256:" + "0" * 64, "busybox"]
)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for mappings with any choice of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


def named(
    key: str, names: tuple[str, ...], rest: st.SearchStrategy[Any], most: int
) -> st.SearchStrategy[Any]:
    """Return a strategy for lists of mappings whose names differ."""
    keys = st.lists(st.sampled_from(names), max_size=most, unique=True)
    return keys.flatmap(
        lambda chosen: st.tuples(
            *[rest.map(lambda other, name=name: {key: name, **other}) for name in chosen]
        ).map(list)
    )


SOURCES = st.one_of(
    VALUES.map(lambda value: {"value": value}),
    st.sampled_from(
        [
            {"valueFrom": {"secretKeyRef": {"name": "metadata", "key": "connection"}}},
            {"valueFrom": {"configMapKeyRef": {"name": "stage", "key": "name", "optional": True}}},
            {"valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
        ]
    ),
)
ENV = named("name", VARIABLES, SOURCES, 4)
ENV_FROM = st.lists(
    st.sampled_from(
        [
            {"configMapRef": {"name": "common"}},
            {"secretRef": {"name": "common", "optional": False}},
            {"prefix": "X_", "configMapRef": {"name": "more"}},
        ]
    ),
    max_size=2,
)
RESOURCES = some(
    requests=st.sampled_from([{"cpu": "100m", "memory": "128Mi"}, {"cpu": "1"}, {}]),
    limits=st.sampled_from([{"memory": "1Gi"}, {"nvidia.com/gpu": "1"}, {}]),
)
SECURITY = some(
    runAsUser=st.sampled_from([0, 50000]),
    allowPrivilegeEscalation=st.booleans(),
    readOnlyRootFilesystem=st.booleans(),
    capabilities=st.just({"drop": ["ALL"]}),
)
VOLUME_SOURCES = st.sampled_from(
    [
        {"emptyDir": {}},
        {"emptyDir": {"sizeLimit": "1Gi", "medium": "Memory"}},
        {"persistentVolumeClaim": {"claimName": "claim", "readOnly": False}},
        {"configMap": {"name": "airflow-config", "items": [{"key": "airflow.cfg", "path": "airflow.cfg"}]}},
        {"secret": {"secretName": "keys", "defaultMode": 288}},
        {"hostPath": {"path": "/data", "type": ""}},
    ]
)


def mounts(volumes: list[dict[str, Any]], folder: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Return a strategy for mounts of the volumes, each at a path of its own."""
    options = some(readOnly=st.booleans(), subPath=st.sampled_from(["a", "airflow.cfg"]))
    each = [
        options.map(
            lambda other, name=volume["name"]: {"name": name, "mountPath": f"{folder}/{name}", **other}
        )
        for volume in volumes
    ]
    return st.tuples(*each).map(list)


@st.composite
def containers(
    draw: st.DrawFn, name: str, volumes: list[dict[str, Any]], *, folder: str = "/mnt"
) -> dict[str, Any]:
    """Draw a container."""
    fields = draw(
        some(
            image=IMAGES,
            imagePullPolicy=st.sampled_from(["Always", "IfNotPresent"]),
            command=WORDS,
            args=WORDS,
            env=ENV,
            envFrom=ENV_FROM,
            resources=RESOURCES,
            securityContext=SECURITY,
            ports=st.sampled_from([[], [{"containerPort": 8793, "name": "logs"}]]),
            workingDir=st.sampled_from(["/opt/airflow", ""]),
            lifecycle=st.just({"preStop": {"exec": {"command": ["sh", "-c", "sleep 1"]}}}),
            livenessProbe=st.just(
                {"exec": {"command": ["true"]}, "initialDelaySeconds": 0, "periodSeconds": 10}
            ),
            tty=st.booleans(),
        )
    )
    if draw(st.booleans()):
        fields["volumeMounts"] = draw(mounts(volumes, folder))
    return {"name": name, **fields}


POD_FIELDS = {
    "affinity": st.sampled_from(
        [
            {},
            {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [
                            {"matchExpressions": [{"key": "pool", "operator": "In", "values": ["a", "b"]}]}
                        ]
                    }
                }
            },
            {
                "podAntiAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {
                            "weight": 1,
                            "podAffinityTerm": {
                                "topologyKey": "zone",
                                "labelSelector": {"matchLabels": {"a": "b"}},
                            },
                        }
                    ]
                }
            },
        ]
    ),
    "tolerations": st.lists(
        st.sampled_from(
            [
                {"key": "dedicated", "operator": "Equal", "value": "airflow", "effect": "NoSchedule"},
                {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0},
                {"key": "gpu", "operator": "Exists"},
            ]
        ),
        max_size=2,
    ),
    "nodeSelector": st.sampled_from([{}, {"pool": "workers"}, {"kubernetes.io/arch": "arm64"}]),
    "topologySpreadConstraints": st.sampled_from(
        [
            [],
            [
                {
                    "maxSkew": 1,
                    "topologyKey": "zone",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": {"tier": "airflow"}},
                }
            ],
        ]
    ),
    "imagePullSecrets": st.sampled_from([[], [{"name": "registry"}], [{"name": "a"}, {"name": "b"}]]),
    "hostAliases": st.just([{"ip": "10.0.0.1", "hostnames": ["db.internal"]}]),
    "securityContext": some(
        runAsUser=st.sampled_from([0, 50000]),
        fsGroup=st.sampled_from([0, 65533]),
        runAsNonRoot=st.booleans(),
        supplementalGroups=st.just([0, 1]),
    ),
    "serviceAccountName": st.sampled_from(["worker", "other"]),
    "automountServiceAccountToken": st.booleans(),
    "priorityClassName": st.just("batch"),
    "runtimeClassName": st.just("gvisor"),
    "schedulerName": st.just("volcano"),
    "terminationGracePeriodSeconds": st.sampled_from([0, 600]),
    "activeDeadlineSeconds": st.just(3600),
    "shareProcessNamespace": st.booleans(),
    "hostNetwork": st.booleans(),
    "enableServiceLinks": st.booleans(),
    "dnsPolicy": st.just("ClusterFirst"),
    "dnsConfig": st.just({"options": [{"name": "ndots", "value": "2"}]}),
}
METADATA = some(
    labels=st.dictionaries(
        st.sampled_from(["tier", "component", "team", "dag_id"]), st.sampled_from(["a", "b", ""])
    ),
    annotations=st.dictionaries(
        st.sampled_from(["cluster-autoscaler.kubernetes.io/safe-to-evict", "iam/role", "task_id"]),
        st.sampled_from(["false", "x", ""]),
    ),
    finalizers=st.just(["example.com/keep"]),
)


@st.composite
def templates(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a template: the main container first, as charts write it."""
    spec = draw(some(**POD_FIELDS))
    volumes = draw(named("name", NAMES[:4], VOLUME_SOURCES, 4))
    main = draw(containers(draw(st.sampled_from(["base", "base", "base", "worker"])), volumes))
    if draw(st.integers(0, 4)):
        main["image"] = main.get("image", f"apache/airflow:{VERSION}")
    beside = [
        draw(containers(name, volumes))
        for name in draw(st.lists(st.sampled_from(CONTAINERS), max_size=2, unique=True))
    ]
    before = [
        draw(containers(f"{name}-init", volumes))
        for name in draw(st.lists(st.sampled_from(CONTAINERS), max_size=2, unique=True))
    ]
    for container in (*beside, *before):
        container["image"] = container.get("image", "busybox")
    spec |= {"containers": [main, *beside]}
    if before or draw(st.booleans()):
        spec["initContainers"] = before
    if volumes or draw(st.booleans()):
        spec["volumes"] = volumes
    if draw(st.integers(0, 9)):
        spec["restartPolicy"] = "Never"
    metadata = {"name": "placeholder-name", **draw(METADATA)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


@st.composite
def overrides(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a ``pod_override``; its lists mostly add to the template's."""
    volumes = draw(named("name", NAMES[4:], VOLUME_SOURCES, 2))
    spec = draw(some(**POD_FIELDS))
    main = draw(containers("base", volumes, folder="/own"))
    spec["containers"] = draw(st.sampled_from([[main], [main], [main], []]))
    if spec["containers"] and not draw(st.integers(0, 3)):
        spec["containers"].append({"image": "busybox", **draw(containers("helper", volumes, folder="/own"))})
    if volumes:
        spec["volumes"] = volumes
    if not draw(st.integers(0, 2)):
        names = draw(st.lists(st.sampled_from(["proxy-init", "fetch", "warm"]), min_size=1, unique=True))
        spec["initContainers"] = [
            {"image": "busybox", **draw(containers(name, volumes, folder="/own"))} for name in names
        ]
    pod: dict[str, Any] = {"spec": spec}
    if draw(st.booleans()):
        pod["metadata"] = draw(METADATA) | draw(some(namespace=st.just("other")))
    if not draw(st.integers(0, 9)):
        del pod["spec"]
    return pod


IDS = st.one_of(
    st.sampled_from(
        ["etl", "team.etl_daily", "Load-Users", "a b", "größe", "数据", "x" * 120, "-a-", "group.task"]
    ),
    st.text(st.sampled_from("abcXYZ019._-"), min_size=1, max_size=80),
)
RUNS = st.sampled_from(
    [
        "scheduled__2025-03-01T00:00:00+00:00",
        "manual__2025-03-01T12:34:56.789012+00:00",
        "backfill__2025-03-01",
        "my run",
        "r" * 100,
    ]
)
TASKS = st.builds(
    Task,
    dag_id=IDS,
    task_id=IDS,
    run_id=RUNS,
    try_number=st.integers(1, 12),
    map_index=st.sampled_from([-1, -1, 0, 41]),
    pool=st.sampled_from(["default_pool", "my pool"]),
    dag_file=st.sampled_from([None, "/opt/airflow/dags/etl.py"]),
)
OPTIONS = st.sampled_from(
    [
        {},
        {"worker_container_repository": "", "worker_container_tag": ""},
        {"namespace": "batch", "worker_container_tag": f"{VERSION}-python3.11"},
        {"multi_namespace_mode": "True"},
    ]
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a case."""
    template = draw(templates()) if draw(st.integers(0, 7)) else None
    own = None if draw(st.integers(0, 7)) else draw(templates())
    return Case(
        name="drawn",
        task=draw(TASKS),
        cfg=cfg(template=template is not None, **draw(OPTIONS)),
        template=None if template is None else as_yaml(template),
        pod_override=draw(overrides()) if draw(st.integers(0, 3)) else None,
        task_template=None if own is None else as_yaml(own),
        scheduler_job_id=draw(st.sampled_from(["7", "1234"])),
    )
