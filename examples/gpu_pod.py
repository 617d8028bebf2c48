"""A pod with a GPU, volumes, a secret, an init container and a sidecar. Needs podrunner[local], and no cluster."""

from __future__ import annotations

import podrunner

train = podrunner.Workload(
    key={"job": "train"},
    command=["sh", "-c", "cat /data/*; until test -e /data/up; do sleep 0.1; done; echo token ${#TOKEN}"],
    resources=podrunner.Resources(cpu_request="100m", memory_limit="1Gi", gpu=1),
    volumes=[{"name": "data", "emptyDir": {}}, {"name": "cache", "hostPath": {"path": "/tmp"}}],  # or a claim
    volume_mounts=[{"name": "data", "mountPath": "/data"}, {"name": "cache", "mountPath": "/cache"}],
    credentials={"TOKEN": "hunter2"},  # or secret_env={"TOKEN": ("name-of-a-secret", "key")}
    init_containers=[
        {
            "name": "fetch",
            "image": "busybox",
            "command": ["sh", "-c", "echo samples > /data/a.txt"],
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        }
    ],
    sidecars=[
        {
            "name": "metrics",
            "image": "busybox",
            "command": ["sh", "-c", "touch /data/up; exec sleep 60"],
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        }
    ],
)

with podrunner.LocalCluster.blocking(capacity={"nvidia.com/gpu": "1"}) as cluster:
    config = podrunner.RunnerConfig(kubeconfig=cluster.kubeconfig, image="busybox")
    spec = podrunner.build_pod(config, train)["spec"]
    print([each["name"] for each in spec["initContainers"]])  # ['fetch', 'metrics']
    print(spec["containers"][0]["resources"]["limits"])  # {'memory': '1Gi', 'nvidia.com/gpu': '1'}
    with podrunner.PodRunner(config) as runner:
        pod = runner.launch(train)
        print(list(pod.logs()))  # ['samples', 'token 7']
        pod.wait(timeout_s=30).raise_for_failure()
