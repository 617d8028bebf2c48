"""Cases with a name: what users of charts have, and what went wrong for others."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from tests.airflow_parity.cases import VERSION, Case, Task, as_yaml, cfg

__all__ = ["NAMED", "SHORT"]

CHART: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "placeholder-name",
        "labels": {"tier": "airflow", "component": "worker", "release": "af"},
        "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
    },
    "spec": {
        "initContainers": [
            {
                "name": "git-sync-init",
                "image": "registry.k8s.io/git-sync/git-sync:v4.3.0",
                "env": [
                    {"name": "GITSYNC_REF", "value": "main"},
                    {"name": "GITSYNC_ONE_TIME", "value": "true"},
                ],
                "securityContext": {"runAsUser": 65533},
                "resources": {},
                "volumeMounts": [{"name": "dags", "mountPath": "/git"}],
            }
        ],
        "containers": [
            {
                "envFrom": [],
                "env": [
                    {"name": "AIRFLOW__CORE__EXECUTOR", "value": "KubernetesExecutor"},
                    {
                        "name": "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
                        "valueFrom": {"secretKeyRef": {"name": "af-metadata", "key": "connection"}},
                    },
                    {"name": "STAGE", "value": "live"},
                    {"name": "BUCKET", "value": "s3://logs-$(STAGE)"},
                ],
                "image": f"apache/airflow:{VERSION}",
                "imagePullPolicy": "IfNotPresent",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                "name": "base",
                "resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "2Gi"}},
                "volumeMounts": [
                    {"name": "logs", "mountPath": "/opt/airflow/logs"},
                    {
                        "name": "config",
                        "mountPath": "/opt/airflow/airflow.cfg",
                        "subPath": "airflow.cfg",
                        "readOnly": True,
                    },
                    {"name": "dags", "mountPath": "/opt/airflow/dags", "readOnly": True},
                ],
            }
        ],
        "restartPolicy": "Never",
        "securityContext": {"runAsUser": 50000, "fsGroup": 0},
        "nodeSelector": {"pool": "workers"},
        "affinity": {},
        "terminationGracePeriodSeconds": 600,
        "tolerations": [
            {"key": "dedicated", "operator": "Equal", "value": "airflow", "effect": "NoSchedule"}
        ],
        "topologySpreadConstraints": [],
        "serviceAccountName": "af-worker",
        "volumes": [
            {"name": "dags", "emptyDir": {}},
            {"name": "logs", "persistentVolumeClaim": {"claimName": "af-logs"}},
            {"name": "config", "configMap": {"name": "af-config"}},
        ],
    },
}
"""A template as the official chart renders it."""

SIDECAR = {
    "name": "shipper",
    "image": "fluent-bit:3",
    "volumeMounts": [{"name": "logs", "mountPath": "/logs"}],
}


def chart(*, main: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None, **spec: Any) -> str:
    """Return the chart's template with other fields in the main container, the metadata and the spec.

    None takes a field out.
    """
    pod = deepcopy(CHART)
    _lay(pod["spec"]["containers"][0], main or {})
    _lay(pod["metadata"], metadata or {})
    _lay(pod["spec"], spec)
    return as_yaml(pod)


def _lay(into: dict[str, Any], fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        if value is None:
            into.pop(name, None)
        else:
            into[name] = value


def override(*others: dict[str, Any], metadata: dict[str, Any] | None = None, **main: Any) -> dict[str, Any]:
    """Return a ``pod_override`` of the main container, with other containers after it."""
    pod: dict[str, Any] = {"spec": {"containers": [{"name": "base", **main}, *others]}}
    return pod if metadata is None else {**pod, "metadata": metadata}


def spec_override(**spec: Any) -> dict[str, Any]:
    """Return a ``pod_override`` of the spec, which must name the container too."""
    return {"spec": {"containers": [{"name": "base"}], **spec}}


def _of_templates() -> list[Case]:
    return [
        Case("the chart's template", template=chart()),
        Case("no template", cfg=cfg(template=False)),
        Case("no template, image by the task", cfg=cfg(template=False), pod_override=override(image="own:1")),
        Case("a template without a container", template=chart(containers=None)),
        Case("a template without metadata", template=chart(metadata={"labels": None, "annotations": None})),
        Case("a main container of another name", template=chart(main={"name": "airflow-worker"})),
        Case("a template without an image", template=chart(main={"image": None})),
        Case("a command of the template: a wrapper", template=chart(main={"command": ["/vault/run", "--"]})),
        Case("arguments of the template", template=chart(main={"args": ["bash", "-c", "true"]})),
        Case("empty command and arguments", template=chart(main={"command": [], "args": [], "ports": []})),
        Case("a restart policy that is not Never", template=chart(restartPolicy="OnFailure")),
        Case("no restart policy", template=chart(restartPolicy=None)),
        Case("a namespace in the template", template=chart(metadata={"namespace": "elsewhere"})),
        Case("a sidecar before the main container", template=_sidecar_first()),
        Case("a sidecar after the main container", template=_with_sidecar()),
        Case("a native sidecar", template=_native_sidecar()),
        Case(
            "a template with the identity's labels", template=chart(metadata={"labels": {"dag_id": "mine"}})
        ),
        Case("the marker's variable set by the template", template=_marked()),
        Case("a finalizer in the template", template=chart(metadata={"finalizers": ["example.com/keep"]})),
        Case("numbers and flags as text", template=chart(main={"env": [{"name": "A", "value": "8080"}]})),
        Case("numbers and flags that are no text", template=_unquoted()),
        Case("a field that no pod has", template=chart(restartPolicy=None, restartPolcy="Never")),
        Case("what kubectl's dry run writes", template=_by_dry_run()),
        Case("generateName in the template", template=chart(metadata={"name": None, "generateName": "w-"})),
        Case(
            "false and zero in the template",
            template=chart(hostNetwork=False, terminationGracePeriodSeconds=0),
        ),
        Case("no init containers, an empty list", template=chart(initContainers=[], volumes=[])),
    ]


def _sidecar_first() -> str:
    pod = deepcopy(CHART)
    pod["spec"]["containers"].insert(0, SIDECAR)
    return as_yaml(pod)


def _with_sidecar() -> str:
    pod = deepcopy(CHART)
    pod["spec"]["containers"].append(SIDECAR)
    return as_yaml(pod)


def _native_sidecar() -> str:
    pod = deepcopy(CHART)
    pod["spec"]["initContainers"].append({**SIDECAR, "restartPolicy": "Always"})
    return as_yaml(pod)


def _by_dry_run() -> str:
    return chart().replace("metadata:", "metadata:\n  creationTimestamp: null", 1) + "status: {}\n"


def _unquoted() -> str:
    env = [{"name": "PORT", "value": 8080}, {"name": "DEBUG", "value": True}]
    return chart(main={"env": env}, metadata={"annotations": {"safe-to-evict": False}})


def _marked() -> str:
    pod = deepcopy(CHART)
    pod["spec"]["containers"][0]["env"].insert(0, {"name": "AIRFLOW_IS_K8S_EXECUTOR_POD", "value": "no"})
    return as_yaml(pod)


def _of_overrides() -> list[Case]:
    mounts = [{"name": "data", "mountPath": "/data"}]
    volume = {"name": "data", "emptyDir": {}}
    first = {"name": "fetch", "image": "busybox", "command": ["true"]}
    cases = {
        "an image": override(image="own:1"),
        "an empty image": override(image=""),
        "variables": override(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "$(STAGE)-$(A)"}]),
        "a variable that the template has": override(env=[{"name": "STAGE", "value": "dev"}]),
        "envFrom": override(envFrom=[{"secretRef": {"name": "own"}}]),
        "resources": override(resources={"requests": {"cpu": "2"}, "limits": {"nvidia.com/gpu": "1"}}),
        "empty resources": override(resources={}),
        "a command and arguments": override(command=["tini", "--"], args=["own"]),
        "an empty command": override(command=[]),
        "ports": override(ports=[{"containerPort": 8080}]),
        "a security context": override(securityContext={"runAsUser": 0}),
        "false over nothing": override(tty=False, stdin=False),
        "a volume and its mount": {
            "spec": {"containers": [{"name": "base", "volumeMounts": mounts}], "volumes": [volume]}
        },
        "an init container": spec_override(initContainers=[first]),
        "the template's init container": spec_override(
            initContainers=[
                {"name": "git-sync-init", "image": "own-git:1", "env": [{"name": "X", "value": "1"}]}
            ]
        ),
        "an init container beside the template's": spec_override(
            initContainers=[first, {"name": "git-sync-init", "securityContext": {"runAsUser": 0}}]
        ),
        "tolerations": spec_override(tolerations=[{"key": "gpu", "operator": "Exists"}]),
        "no tolerations": spec_override(tolerations=[]),
        "an affinity": spec_override(
            affinity={
                "nodeAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {
                            "weight": 1,
                            "preference": {"matchExpressions": [{"key": "a", "operator": "Exists"}]},
                        }
                    ]
                }
            }
        ),
        "a node selector": spec_override(nodeSelector={"pool": "gpu"}),
        "a service account": spec_override(serviceAccountName="own"),
        "a security context of the pod": spec_override(securityContext={"runAsUser": 0, "fsGroup": 1}),
        "no grace": spec_override(terminationGracePeriodSeconds=0),
        "no host network": spec_override(hostNetwork=False),
        "a restart policy": spec_override(restartPolicy="OnFailure"),
        "a second container": override(SIDECAR),
        "containers by position": {"spec": {"containers": [{"name": "mine", "image": "own:1"}]}},
        "no containers": {"spec": {"containers": [], "priorityClassName": "high"}},
        "metadata only": {"metadata": {"labels": {"team": "data"}, "annotations": {"iam/role": "loader"}}},
        "a namespace that is not watched": override(metadata={"namespace": "team-a"}),
        "a name": override(metadata={"name": "mine"}),
        "the identity's labels": override(
            metadata={"labels": {"dag_id": "mine"}, "annotations": {"task_id": "x"}}
        ),
        "finalizers and owners": override(
            metadata={
                "finalizers": ["a.example/b"],
                "ownerReferences": [
                    {
                        "apiVersion": "v1",
                        "kind": "ConfigMap",
                        "name": "o",
                        "uid": "5ea2b8f2-8c44-4e0f-a4b2-4d1df5c3ab01",
                    }
                ],
            }
        ),
        "an empty one": {"spec": {"containers": [{"name": "base"}]}},
    }
    named = [Case(f"override: {name}", template=chart(), pod_override=pod) for name, pod in cases.items()]
    bare = cfg(template=False)
    return [
        *named,
        Case(
            "override of the namespace",
            template=chart(),
            cfg=cfg(multi_namespace_mode="True"),
            pod_override=override(metadata={"namespace": "team-a"}),
        ),
        Case(
            "override of a volume that the template has",
            template=chart(),
            pod_override=spec_override(volumes=[{"name": "logs", "emptyDir": {}}]),
        ),
        Case("override without a template", cfg=bare, pod_override=cases["a volume and its mount"]),
        Case(
            "override of falsy values over true ones",
            template=chart(hostNetwork=True, main={"tty": True}),
            pod_override={"spec": {"hostNetwork": False, "containers": [{"name": "base", "tty": False}]}},
        ),
        Case(
            "override and a sidecar before the main container",
            template=_sidecar_first(),
            pod_override=override(image="own:1"),
        ),
        Case(
            "override of both containers",
            template=_with_sidecar(),
            pod_override=override({"name": "shipper", "image": "fluent-bit:4"}),
        ),
        Case("the task's own template", template=chart(), task_template=chart(serviceAccountName="own")),
        Case(
            "the task's own template and an override",
            template=chart(),
            task_template=_with_sidecar(),
            pod_override=cases["variables"],
        ),
    ]


def _of_tasks() -> list[Case]:
    tasks = {
        "a mapped task": Task(map_index=41),
        "the first mapped task": Task(map_index=0),
        "a later try": Task(try_number=12),
        "a manual run": Task(run_id="manual__2025-03-01T12:34:56.789012+00:00"),
        "a run id of the user": Task(run_id="my run, №1"),
        "ids with dots": Task(dag_id="team.etl", task_id="group.load"),
        "ids with spaces and umlauts": Task(dag_id="größe a b", task_id="überlauf"),
        "ids beyond Latin": Task(dag_id="数据", task_id="загрузка"),
        "long ids": Task(dag_id="d" * 120, task_id="t" * 120),
        "ids that begin and end with dashes": Task(dag_id="-a-", task_id="_b_"),
        "capitals": Task(dag_id="LoadUsers", task_id="ToWarehouse"),
        "another pool": Task(pool="my pool"),
        "no file": Task(dag_file=None),
    }
    return [Case(name, task=task, template=chart()) for name, task in tasks.items()]


def _of_configurations() -> list[Case]:
    stale = "\n[kubernetes_secrets]\nTOKEN = airflow=token\n\n[kubernetes_environment_variables]\nA = 1\n"
    return [
        Case(
            "image of the template alone",
            template=chart(),
            cfg=cfg(worker_container_repository="", worker_container_tag=""),
        ),
        Case("a repository without a tag", template=chart(), cfg=cfg(worker_container_tag="")),
        Case(
            "another image than the template's",
            template=chart(),
            cfg=cfg(worker_container_repository="r.example/team/airflow", worker_container_tag=VERSION),
        ),
        Case("another namespace", template=chart(), cfg=cfg(namespace="batch")),
        Case("no namespace", template=chart(), cfg=cfg(namespace="")),
        Case("sections that 2.0 removed", template=chart(), cfg=cfg() + stale),
        Case(
            "options that 2.0 removed",
            template=chart(),
            cfg=cfg() + "\n[kubernetes]\n"
            "airflow_configmap = af-config\nlogs_volume_claim = old-logs\ndags_in_image = True\nrun_as_user = 0\n",
        ),
        Case(
            "a database and a home of the machine",
            template=chart(),
            cfg=cfg() + "\n[database]\n"
            "sql_alchemy_conn = postgresql://u:p@h/db\n\n[logging]\nbase_log_folder = /home/me/logs\n",
        ),
        Case("a label of the scheduler", template=chart(), scheduler_job_id="123456"),
    ]


NAMED = (*_of_templates(), *_of_overrides(), *_of_tasks(), *_of_configurations())
SHORT = (*_of_templates(), *_of_overrides()[::3], *_of_tasks(), *_of_configurations())
"""Fewer of the overrides."""
